"""Uses of the record: what a tool leaves becomes an entry, once, whatever happens; rubbish costs the daemon nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.audit import trail
from esi_room.clock import ManualClock, parse_rfc3339
from esi_room.errors import RecordFull
from esi_room.events import Event
from esi_room.record import spool
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal, Receipt
from esi_room.record.reader import journal_path, records
from esi_room.record.verify_room import verify_room
from esi_room.room.uses import Uses

BEGAN_NS = parse_rfc3339("2026-11-23T09:30:00Z")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGAN_NS)


@pytest.fixture
def root(tmp_path: Path, clock: ManualClock) -> Path:
    """A room's data directory in which no daemon runs."""

    async def make() -> None:
        async with Journal.open(tmp_path / "data", clock, Identity(room="esi-1")) as journal:
            await journal.settled()

    asyncio.run(make())
    return tmp_path / "data"


def looked(root: Path, clock: ManualClock, *, times: int = 1, disk: Disk | None = None) -> None:
    """A daemon starts, looks into the spool, and ends."""

    async def run() -> None:
        async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
            uses = Uses(journal, clock, disk=disk)
            for _ in range(times):
                await uses.look()

    asyncio.run(run())


def used(root: Path) -> list[dict[str, Any]]:
    """The audit events of the whole room."""
    lines = [line for record in records(root) for line in journal_path(root, record).read_bytes().splitlines()]
    return [entry for entry in map(json.loads, lines) if entry["type"] == "audit.event"]


def left(root: Path) -> list[str]:
    return sorted(path.name for path in spool.folder(root).iterdir())


def test_a_use_becomes_an_entry_of_the_open_record(root, clock):
    record = records(root)[0]
    assert trail.note(root / "records" / record, "110111", "R", "replayed", actor="Dr. A", clock=clock) is None
    clock.advance(3600)
    looked(root, clock)
    (entry,) = used(root)
    assert (entry["time"], entry["received"]) == ("2026-11-23T09:30:00.000000Z", "2026-11-23T10:30:00.000000Z")
    said = entry["data"]
    assert (said["event"], said["meaning"], said["action"], said["outcome"]) == ("110111", "Procedure Record", "R", 0)
    assert (said["actor"], said["what"], said["records"]) == ("Dr. A", "replayed", [record])
    assert "@" in said["user"]
    assert left(root) == [] and all(report.ok for report in verify_room(root))


def test_a_use_of_the_whole_room_names_no_record(root, clock):
    assert trail.note(root, "110101", "R", "verified") is None
    looked(root, clock)
    assert used(root)[0]["data"]["records"] == []


def test_the_spool_is_its_owners_alone(root):
    trail.note(root, "110101", "R", "verified")
    (path,) = spool.folder(root).iterdir()
    assert (spool.folder(root).stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_what_a_crash_left_behind_its_commit_is_written_once(root, clock):
    trail.note(root, "110101", "R", "verified", clock=clock)
    (path,) = spool.folder(root).iterdir()
    octets = path.read_bytes()
    looked(root, clock)
    path.write_bytes(octets)  # as if the process had ended before it was taken away
    looked(root, clock)
    assert len(used(root)) == 1 and left(root) == []


def test_it_is_found_in_a_record_that_was_sealed_since(root, clock):
    trail.note(root, "110101", "R", "verified", clock=clock)
    (path,) = spool.folder(root).iterdir()
    octets = path.read_bytes()

    async def run() -> None:
        async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
            await Uses(journal, clock).look()
            for _ in range(3):
                clock.advance(600)
                await journal.switch("standby", "again")

    asyncio.run(run())
    path.write_bytes(octets)
    looked(root, clock)
    assert len(used(root)) == 1


DYING = """
import asyncio, os, shutil, sys
from pathlib import Path
from esi_room.clock import SystemClock
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal, Receipt
from esi_room.room.uses import Uses

class DyingDisk(Disk):
    left = 0
def dying(name):
    def call(self, *arguments, **named):
        DyingDisk.left -= 1
        if DyingDisk.left < 0:
            os._exit(9)
        return getattr(Disk, name)(self, *arguments, **named)
    return call
for name in "make_directory open_append write sync truncate sync_directory write_file erase_file".split():
    setattr(DyingDisk, name, dying(name))

async def run(root):
    clock = SystemClock()
    async with Journal.open(root, clock, Identity(room="esi-1"), disk=DyingDisk()) as journal:
        await Uses(journal, clock, disk=DyingDisk()).look()

number, status = 0, 9
while status == 9:  # die in the first call, in the second, ... until one process lives to its end
    root = Path(sys.argv[2]) / str(number)
    shutil.copytree(sys.argv[1], root)
    child = os.fork()
    if child == 0:
        DyingDisk.left = number
        asyncio.run(run(root))
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    number += 1
sys.exit(status)
"""


def test_wherever_the_daemon_dies_a_use_is_written_once(root, clock, tmp_path):
    case = root / "records" / records(root)[0]
    trail.note(root, "110101", "R", "verified", clock=clock)
    (case / "private").mkdir()
    name = f"{'ab' * 32}.mpps"
    (case / "private" / name).write_bytes(b"x")
    trail.note(case, "110110", "D", "erased", reason="r", erased=(f"{case.name}/private/{name}",))
    died = tmp_path / "died"
    subprocess.run([sys.executable, "-c", DYING, str(root), str(died)], check=True, timeout=60)
    deaths = sorted(died.iterdir())
    assert len(deaths) > 8
    for each in deaths:
        looked(each, clock)
        assert sorted(entry["data"]["what"] for entry in used(each)) == ["erased", "verified"], each
        assert left(each) == [] and not (each / "records" / case.name / "private" / name).exists()
        assert all(report.ok for report in verify_room(each))


def test_two_tools_at_once_leave_two_uses(root, clock):
    async def both() -> None:
        await asyncio.gather(*(asyncio.to_thread(trail.note, root, "110101", "R", f"use {n}") for n in range(20)))

    asyncio.run(both())
    looked(root, clock)
    assert {entry["data"]["what"] for entry in used(root)} == {f"use {n}" for n in range(20)}


def garbage(path: Path, kind: str) -> None:
    use = json.dumps({"v": 1, "time": "2026-11-23T09:30:00Z", "said": {}}).encode()
    match kind:
        case "huge":
            with path.open("wb") as file:
                file.truncate(spool.MAX_BYTES + 1)
        case "link":
            path.symlink_to("/etc/passwd")
        case "pipe":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "deep":
            path.write_bytes(b"[" * 100_000)
        case _:
            path.write_bytes({"empty": b"", "text": b"hello", "other shape": use, "half": use[:20]}[kind])


KINDS = ("huge", "link", "pipe", "directory", "deep", "empty", "text", "other shape", "half")


@pytest.mark.parametrize("kind", KINDS)
def test_rubbish_costs_one_entry(root, clock, kind):
    spool.folder(root).mkdir(mode=0o700)
    garbage(spool.folder(root) / "rub\nbish é.json", kind)
    trail.note(root, "110101", "R", "verified", clock=clock)
    looked(root, clock, times=3)
    alert, use = sorted(used(root), key=lambda entry: entry["data"]["what"])
    assert use["data"]["what"] == "verified"
    assert (alert["data"]["event"], alert["data"]["meaning"], alert["data"]["outcome"]) == (
        "110113",
        "Security Alert",
        4,
    )
    assert "rub?bish" in alert["data"]["what"] and "was not taken in" in alert["data"]["what"]
    assert left(root) == (["rub\nbish é.json"] if kind == "directory" else [])


@pytest.mark.parametrize(
    "change",
    [{"id": "0" * 32}, {"event": "110199"}, {"outcome": 3}, {"action": "X"}, {"records": ["../x"]}, {"actor": ""}],
)
def test_a_use_that_is_none_is_refused(root, clock, change):
    trail.note(root, "110101", "R", "verified", clock=clock)
    (path,) = spool.folder(root).iterdir()
    use = json.loads(path.read_bytes())
    use["said"] |= change
    path.write_text(json.dumps(use))
    looked(root, clock)
    assert [entry["data"]["event"] for entry in used(root)] == ["110113"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@given(octets=st.binary(max_size=200) | _JSON.map(lambda any_: json.dumps(any_).encode()), said=_JSON, field=st.text())
def test_whatever_lies_there_is_a_use_or_is_refused_and_never_stops_verify(tmp_path_factory, octets, said, field):
    folder = spool.folder(tmp_path_factory.mktemp("any"))
    folder.mkdir()
    use = {"v": 1, "time": "2026-11-23T09:30:00Z", "said": {"erased": said, "reason": said, "actor": said, field: said}}
    for name, content in (("a.json", octets), ("b.json", json.dumps(use).encode())):
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError):
            spool.read(folder / name)
    assert list(verify_room(folder.parent)) == []
    record = folder.parent / "records" / "20261123T093000Z-1f2e"
    record.mkdir(parents=True)
    assert not next(verify_room(folder.parent)).ok


def test_a_full_spool_is_worked_off(root, clock, monkeypatch):
    monkeypatch.setattr("esi_room.room.uses.MOST_AT_ONCE", 2)
    for n in range(5):
        trail.note(root, "110101", "R", f"use {n}", clock=clock)
    looked(root, clock, times=3)
    assert len(used(root)) == 5 and left(root) == []


def test_with_a_full_record_nothing_is_lost_and_nothing_comes_twice(root, clock, monkeypatch):
    for n in range(3):
        trail.note(root, "110101", "R", f"use {n}", clock=clock)
    (spool.folder(root) / "0.json").write_bytes(b"rubbish")

    async def run() -> None:
        async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
            uses, append, room = Uses(journal, clock), journal.append, 2

            def full(event: Event) -> Receipt:
                nonlocal room
                room -= 1
                if room < 0:
                    raise RecordFull("64 MiB wait for the disk")
                return append(event)

            monkeypatch.setattr(journal, "append", full)
            for _ in range(3):
                room = 2
                with contextlib.suppress(RecordFull):
                    await uses.look()

    asyncio.run(run())
    assert sorted(entry["data"]["event"] for entry in used(root)) == ["110101", "110101", "110101", "110113"]
    assert left(root) == []


TIMES = (
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59Z",
    "2026-11-23T09:30:00",
    "x",
    "",
)


@pytest.mark.parametrize("time", TIMES)
def test_a_use_of_no_time_is_refused(root, clock, time):
    trail.note(root, "110101", "R", "verified", clock=clock)
    (path,) = spool.folder(root).iterdir()
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"time": time}))
    looked(root, clock)
    assert [entry["data"]["event"] for entry in used(root)] == ["110113"]


@pytest.mark.parametrize("text", ["\udcff", "\0\n\x1b[31m", "ä" * 5000, " ", "\U0001f9e0"])
def test_whatever_a_command_line_says_is_taken_in(root, clock, text):
    assert trail.note(root, "110101", "R", text, actor=text, reason=text, clock=clock) is None
    looked(root, clock)
    assert [entry["data"]["event"] for entry in used(root)] == ["110101"]
    assert all(report.ok for report in verify_room(root))


def test_where_there_is_no_room_the_tool_is_told(tmp_path, root):
    assert "does not lie in a room's data directory" in str(trail.note(tmp_path, "110101", "R", "verified"))
    alone = tmp_path / records(root)[0]
    alone.mkdir()
    assert "does not lie in a room's data directory" in str(trail.note(alone, "110101", "R", "verified"))


class FullDisk(Disk):
    def write(self, descriptor: int, octets: bytes) -> None:
        raise OSError(28, "No space left on device")


def test_where_it_cannot_be_written_the_tool_is_told(root):
    assert "not recorded" in str(trail.note(root, "110101", "R", "verified", disk=FullDisk()))
    spool.folder(root).rmdir()
    spool.folder(root).write_bytes(b"")
    problem = trail.note(root, "110101", "R", "verified")
    assert problem is not None and "\n" not in problem and "not recorded" in problem


@pytest.fixture
def refusing(monkeypatch) -> Callable[[], None]:
    """Makes `unlink` fail, as on a disk that has become read-only."""

    def refuse() -> None:
        def unlink(self: Path, missing_ok: bool = False) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "unlink", unlink)

    return refuse


def test_what_cannot_be_taken_away_is_written_once_all_the_same(root, clock, refusing):
    trail.note(root, "110101", "R", "verified", clock=clock)
    refusing()
    looked(root, clock, times=3)
    looked(root, clock)
    assert len(used(root)) == 1 and len(left(root)) == 1
