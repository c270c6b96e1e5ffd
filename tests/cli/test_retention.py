"""`esi-room records --retention`: what would go, before; and every program that meets a removed record says so."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from esi_room.cli import main
from esi_room.cli import retention as module
from esi_room.clock import ManualClock, Synchronisation
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import records
from esi_room.record.retention import Policy
from esi_room.room.retention import Retention

TOML = '[room]\nid = "esi-1"\ntimezone = "Europe/Berlin"\ndata = "data"\n[mqtt]\nurl = "embedded"\n'


async def _room(root: Path, clock: ManualClock, *, remove: bool) -> None:
    """Three records, half a day each, of 2023; the first is removed."""
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        signing = Checkpoints(root, Disk())
        signing.begin()
        for kind in ("procedure", "standby"):
            clock.advance(43_200)
            await journal.switch(kind, "it goes on")  # type: ignore[arg-type]
            signing.sign_up_to(journal.committed, clock.now().wall_ns)
        clock.advance(86_400)
        if remove:
            first = records(root)[0]
            await Retention(
                journal, clock, Policy(keep_days=1), lambda r, _w: None if r == first else "it is needed",
                quiet=asyncio.Lock(), tell=lambda _: None, synchronised=lambda: Synchronisation(True, None),
            ).look()  # fmt: skip


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "synchronisation", lambda: Synchronisation(True, None))
    (tmp_path / "room.toml").write_text(f"{TOML}[retention]\nkeep_days = 30\n")
    asyncio.run(_room(tmp_path / "data", ManualClock(), remove=True))
    return tmp_path / "data"


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(each) for each in arguments])


def test_what_would_go_is_shown_and_nothing_is_touched(data):
    before = sorted(path for path in data.rglob("*") if path.is_file())
    done = run("records", data, "--retention", "--config", data.parent / "room.toml")
    second = records(data)[1]
    assert done.exit_code == 0
    assert second in done.output
    assert "it was sealed on 2023-11-15, more than 30 days ago (keep_days)" in done.output
    assert "1 record(s) and the images of 0 would go now: " in done.output
    assert "Nothing was touched; each is verified before it goes." in done.output
    assert sorted(path for path in data.rglob("*") if path.is_file()) == before


def test_for_programs(data):
    done = run("records", data, "--retention", "--config", data.parent / "room.toml", "--json")
    (step,) = [json.loads(line) for line in done.output.splitlines()]
    assert (step["record"], step["what"], step["rule"], step["goes"]) == (records(data)[1], "record", "keep_days", True)


def test_what_waits_is_shown_with_its_reason(data):
    (data / "cursors").mkdir()
    cursor = {"record": records(data)[1], "seq": 0, "offset": 0}
    (data / "cursors" / "mqtt.json").write_text(json.dumps(cursor))
    done = run("records", data, "--retention", "-c", data.parent / "room.toml")
    assert "waits" in done.output
    assert "keep_days: not all of its lines were published: the broker was away" in done.output


def test_a_clock_that_nobody_sets_is_said(data, monkeypatch):
    monkeypatch.setattr(module, "synchronisation", lambda: Synchronisation(None, None))
    done = run("records", data, "--retention", "-c", data.parent / "room.toml")
    assert "1 record(s) and the images of 0 would go now: " in done.output
    assert "stays while the clock of the machine is not synchronised; here it is not." in done.output


def test_a_configuration_that_keeps_all_says_so(data):
    (data.parent / "room.toml").write_text(TOML)
    done = run("records", data, "--retention", "-c", data.parent / "room.toml")
    assert "removes nothing: [retention] has neither keep_days, keep_images_days nor max_bytes" in done.output


@pytest.mark.parametrize("arguments", [("--retention",), ("--config", "room.toml"), ("--retention", "--due")])
def test_a_call_that_is_wrong(data, arguments):
    assert run("records", data, *arguments).exit_code == 2


def test_the_list_and_verify_say_what_was_removed(data):
    first = records(data)[0]
    listed = run("records", data).output.splitlines()[1]
    assert listed.startswith(first)
    assert "removed 2023-11-16" in listed
    (one, *_) = [json.loads(line) for line in run("records", data, "--json").output.splitlines()]
    assert (one["state"], one["reason"]) == (
        "removed 2023-11-16", "it was sealed on 2023-11-15, more than 1 day ago (keep_days)",
    )  # fmt: skip
    assert run("records", data, "--due").exit_code == 0
    whole = run("verify", data)
    assert whole.exit_code == 0
    assert f"removed {first}" in " ".join(whole.output.split())
    assert "but for what was erased or removed and is said above" in whole.output
    alone = run("verify", data / "records" / first)
    assert alone.exit_code == 0
    assert "removed by the room 2023-11-16T" in alone.output
    assert json.loads(run("verify", data, "--json").output.splitlines()[0])["removed"].startswith("removed by the room")


@pytest.mark.parametrize(
    "arguments", [("export", "--format", "csv"), ("export", "--format", "html"), ("replay",), ("replay", "--derive")]
)
def test_whoever_wants_a_removed_record_is_told_in_a_sentence(data, tmp_path, arguments):
    name, *options = arguments
    first = records(data)[0]
    done = run(name, data / "records" / first, *options)
    assert done.exit_code == 2
    assert f"record {first} was removed on 2023-11-16: it was sealed on 2023-11-15" in done.output
