"""`esi-room mark`: the README's case, word for word, against a running room; and what may be filled in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from esi_room import config
from esi_room.cli import main
from esi_room.commands import COMMANDS
from esi_room.record.reader import journal_path, records
from esi_room.record.verify_room import verify_room
from esi_room.room.room import Room

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
TEXT = """
[room]
id = "esi-1"
timezone = "Europe/Berlin"
data = "data"

[mqtt]
url = "embedded"
listen = "127.0.0.1:{port}"
"""


@pytest.fixture
def configuration(tmp_path: Path, free_port: Callable[[], int]) -> Path:
    path = tmp_path / "room.toml"
    path.write_text(TEXT.format(port=free_port()))
    return path


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Path]:
    stop = asyncio.Event()
    loaded = config.load(path)
    task = asyncio.create_task(Room(loaded).run(stop))
    try:
        await listening(loaded.mqtt.listen.port)
        yield loaded.room.data
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.05)


def case() -> list[list[str]]:
    block = next(block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "mark start" in block)
    return [shlex.split(line)[1:] for line in block.splitlines()]


def entries(root: Path, record: str) -> list[dict]:
    return [json.loads(line) for line in journal_path(root, record).read_bytes().splitlines()]


async def say(words: list[str], configuration: Path) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, [*words, "-c", str(configuration), "--actor", "Dr. A"])


async def test_the_whole_case_of_the_readme_is_entered_and_complete(configuration: Path) -> None:
    """What a room with no device lacks is the devices' part, and nothing else; no rule is broken."""
    async with running(configuration) as root:
        for words in case():
            result = await say(words, configuration)
            assert result.exit_code == 0, (words, result.output)
            assert "recorded: " in result.output
        _, record, *_ = records(root)
        written = entries(root, record)
        amend = ["amend", record, *shlex.split("follow_up date=2026-12-07 contact=phone pain_score=2 pain_scale=NRS")]
        assert (await say(amend, configuration)).exit_code == 0
        assert all(report.ok for report in verify_room(root, being_written=True))
    said = next(entry["data"] for entry in written if entry["type"] == "procedure.completeness")
    lacks = {lack["item"] for lack in said["lacks"]}
    assert lacks == {
        "guidance.images",
        *(f"vitals.{sign}" for sign in ("heart_rate", "spo2", "nibp", "respiratory_rate")),
    }
    assert [entry["data"]["text"] for entry in written if entry["type"] == "alert.raised"] == []
    assert set(said["not_assessable"]) == {"R1", "R10", "R15", "R16", "R17"}
    assert [syringe["difference_ml"] for syringe in said["syringes"]] == [0]
    (delivery,) = (entry["data"] for entry in written if entry["type"] == "procedure.delivery")
    assert (delivery["origin"], delivery["delivered_ml"], delivery["syringe"]) == ("hand", 5, "A")


async def test_a_refusal_says_what_is_wrong_and_ends_with_1(configuration: Path) -> None:
    async with running(configuration):
        assert (await say(["mark", "start"], configuration)).exit_code == 0
        for words, told in (
            ("mark pain occasion=baseline score=11 scale=NRS", "a number from 0 to 10"),
            ("mark pain occasion=baseline score=7", "scale is missing: one of FACES"),
            ("mark consent given=maybe", "given does not fit: true or false"),
            ("mark padss vital_signs=2 activity=2 nausea_vomiting=2 pain=2 bleeding=2 total=9", "add up to 10"),
            ("mark correction seq=2 reason=x fields.given=yes", "no form"),
            ("mark drug_discarded syringe=B volume_ml=1", "none was drawn up"),
        ):
            result = await say(words.split(), configuration)
            assert (result.exit_code, told in result.output) == (1, True), (words, result.output)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("amend", "backfill", "frame")])
def test_what_can_be_filled_in_is_said_for_every_command(name: str) -> None:
    result = CliRunner().invoke(main, ["mark", name, "--fields"])
    assert result.exit_code == 0
    for field in COMMANDS[name].__struct_fields__:
        assert field in ("id", "actor", "client") or re.search(rf"^  {field}\b", result.output, re.MULTILINE), field
