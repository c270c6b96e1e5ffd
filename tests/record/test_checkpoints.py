"""Checkpoints: in order, durable, one a minute and one a seal, through crashes, full disks and clocks set back."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from esi_room.clock import ManualClock
from esi_room.record import checkpoints
from esi_room.record.checkpoints import Checkpointer, Checkpoints, Signed
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.keys import Keys
from esi_room.record.reader import directory, journal_path, records
from esi_room.record.verify_room import verify_room

NOW_NS = 1_700_000_000 * 10**9


class PowerCut(BaseException):
    """The machine is gone: nothing is tidied up."""


def signed(root: Path, record: str) -> list[dict]:
    path = directory(root, record) / "checkpoints.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def lines(root: Path, record: str) -> list[bytes]:
    return journal_path(root, record).read_bytes().splitlines(keepends=True)


def holds(root: Path) -> bool:
    return all(not report.problems for report in verify_room(root))


@pytest.fixture
async def journal(open_journal: Callable[..., Journal]) -> AsyncIterator[Journal]:
    async with open_journal() as journal:
        await journal.settled()
        yield journal


class Rig:
    """A checkpointer at work, and what it said."""

    def __init__(self, journal: Journal, clock: ManualClock, disk: Disk) -> None:
        self.published: list[Signed] = []
        self.problems: list[str | None] = []
        self.it = Checkpointer(journal, clock, self.published.append, self.problems.append, disk=disk)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.published) < count:
                await asyncio.sleep(0.005)

    async def until_said(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.problems) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
def rig(journal: Journal, clock: ManualClock, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(checkpoints, "RETRY_S", 0.01)
    return Rig(journal, clock, disk)


@asynccontextmanager
async def at_work(rig: Rig) -> AsyncIterator[None]:
    task = asyncio.create_task(rig.it.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await rig.it.finish()


async def test_what_is_published_is_the_line_on_disk_and_names_a_line_of_the_journal(rig, journal):
    async with at_work(rig):
        await rig.until(1)
    (made,) = rig.published
    assert (directory(journal.root, made.record) / "checkpoints.jsonl").read_bytes() == made.octets
    assert hashlib.sha256(lines(journal.root, made.record)[made.seq]).hexdigest() == made.sha256
    assert (directory(journal.root, made.record) / "checkpoints.jsonl").stat().st_mode & 0o777 == 0o600
    assert holds(journal.root)
    assert Keys(journal.root, Disk()).current().id == made.key


async def test_one_a_minute_while_lines_are_committed(rig, journal, clock, note, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_S", 1.5)
    async with at_work(rig):
        await rig.until(1)
        for _ in range(5):
            await journal.commit(note())
        assert len(rig.published) == 1
        await rig.until(2)
        await asyncio.sleep(0.4)
        assert len(rig.published) == 2  # nothing was committed since
    assert [each["seq"] for each in signed(journal.root, journal.record)] == [0, 5]


async def test_a_seal_is_signed_at_once_and_before_the_next_record(rig, journal):
    async with at_work(rig):
        await rig.until(1)
        first, second = journal.record, await journal.switch("procedure", "a case")
        await rig.until(2)
        third = await journal.switch("standby", "over")
        await rig.until(3)
    for record in (first, second):
        assert signed(journal.root, record)[-1]["seq"] == len(lines(journal.root, record)) - 1
    assert third == records(journal.root)[-1]
    assert holds(journal.root)


async def test_a_stopped_daemon_has_signed_its_last_line(rig, journal, note):
    async with at_work(rig):
        await rig.until(1)
        await journal.commit(note())
    assert [each["seq"] for each in signed(journal.root, journal.record)] == [0, 1]


async def test_a_full_disk_is_said_once_and_signed_when_there_is_room(rig, journal, disk, note):
    async with at_work(rig):
        await rig.until(1)
        disk.error, disk.methods, disk.partial = OSError(errno.ENOSPC, "No space left on device"), {"write"}, 40
        record = await journal.switch("procedure", "a case")
        await rig.until_said(1)
        await asyncio.sleep(0.1)
        assert rig.problems == ["the record is not signed: its checkpoints cannot be written: No space left on device"]
        assert holds(journal.root)
        disk.error = None
        await rig.until(2)
    assert rig.problems[1:] == [None]
    assert signed(journal.root, record)
    assert holds(journal.root)


@pytest.mark.parametrize("how", ["gone", "unreadable", "for all to read"])
async def test_a_key_that_does_not_sign_stops_nothing_and_is_said(rig, journal, note, how):
    async with at_work(rig):
        await rig.until(1)
        private = journal.root / "keys" / "private.pem"
        if how == "for all to read":
            private.chmod(0o644)
        else:
            private.unlink()
        if how == "unreadable":
            private.mkdir()
        await journal.switch("procedure", "a case")
        await rig.until_said(1)
        assert "the record is not signed: " in (rig.problems[0] or "")
        assert "esi-room keys rotate" in (rig.problems[0] or "")
        await journal.commit(note())  # the record goes on
        if how == "unreadable":
            private.rmdir()
        Keys(journal.root, Disk()).rotate()
        await rig.until(2)
    assert rig.problems[-1] is None
    assert len({made.key for made in rig.published}) == 2
    assert holds(journal.root)


async def test_keys_taken_away_whole_are_not_made_anew_at_the_next_start(rig, journal, clock, disk, note):
    async with at_work(rig):
        await rig.until(1)
    for path in (journal.root / "keys").iterdir():
        path.unlink()
    await journal.commit(note())
    again = Rig(journal, clock, disk)
    async with at_work(again):
        await again.until_said(1)
    assert "cannot be read" in (again.problems[0] or "")
    assert not list((journal.root / "keys").iterdir())


async def test_a_clock_set_back_is_signed_as_it_ran_and_noted(rig, journal, clock, note, tmp_path):
    async with at_work(rig):
        await rig.until(1)
        clock.step(-3600)
        await journal.commit(note())
    assert holds(tmp_path)
    (report,) = verify_room(tmp_path)
    assert any("checkpoints.jsonl:2: the room's clock ran backwards, from 2023-" in note for note in report.notes)


class DyingDisk(Disk):
    """Ends in its `number`-th call; of a write half reaches the disk."""

    def __init__(self, number: int) -> None:
        self.left = number

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise PowerCut

    def open_append(self, path: Path) -> int:
        self._count()
        return super().open_append(path)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._count()
        super().truncate(descriptor, size_bytes)

    def write(self, descriptor: int, octets: bytes) -> None:
        if self.left == 1:
            super().write(descriptor, octets[: len(octets) // 2])
        self._count()
        super().write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)


@pytest.mark.parametrize("number", range(1, 17))
async def test_a_crash_at_any_call_leaves_what_holds_and_the_next_start_signs_the_rest(journal, tmp_path, note, number):
    """Three records, none signed yet: the room's first start with a key."""
    await journal.switch("procedure", "a case")
    await journal.switch("standby", "over")
    Keys(tmp_path, Disk()).make()
    try:
        Checkpoints(tmp_path, DyingDisk(number)).sign_up_to(journal.committed, NOW_NS)
    except PowerCut:
        assert holds(tmp_path)
    Checkpoints(tmp_path, Disk()).sign_up_to(journal.committed, NOW_NS)
    assert holds(tmp_path)
    for record in records(tmp_path):
        assert [each["seq"] for each in signed(tmp_path, record)] == [len(lines(tmp_path, record)) - 1]


async def test_what_was_signed_once_is_not_signed_anew_by_a_restart(journal, tmp_path, note):
    """Somebody alters a sealed record, and takes its checkpoints away, and starts the daemon again."""
    first = journal.record
    await journal.switch("procedure", "a case")
    at_once = Checkpoints(tmp_path, Disk())
    at_once.keys.make()
    at_once.sign_up_to(journal.committed, NOW_NS)
    (directory(tmp_path, first) / "checkpoints.jsonl").unlink()
    at_once.sign_up_to(journal.committed, NOW_NS)
    assert signed(tmp_path, first) == []
    assert not holds(tmp_path)


async def test_a_room_that_was_renamed_signs_its_open_record_under_the_name_that_the_record_has(
    tmp_path, clock, note, open_journal
):
    async with open_journal() as journal:
        await journal.commit(note())
    async with Journal.open(tmp_path, clock, Identity(room="theatre-2")) as journal:
        await journal.commit(note())
        signing = Checkpoints(tmp_path, Disk())
        signing.keys.make()
        signing.sign_up_to(journal.committed, NOW_NS)
        await journal.switch("procedure", "a case")
        signing.sign_up_to(journal.committed, NOW_NS)
    assert [signed(tmp_path, record)[-1]["room"] for record in records(tmp_path)] == ["esi-1", "theatre-2"]
    assert holds(tmp_path)


async def test_nothing_is_signed_above_the_commit_point(journal, tmp_path, note):
    journal.append(note())
    made = Checkpoints(tmp_path, Disk())
    made.keys.make()
    assert made.sign_up_to(journal.committed, NOW_NS).seq == 0
    assert made.sign_up_to(journal.committed, NOW_NS) is None
