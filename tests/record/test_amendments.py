"""Amendments: chained on from the seal, whole or not at all, and refused where there is nothing to go on from."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from esi_room.clock import ManualClock
from esi_room.errors import BrokenRecord, CommandRefused
from esi_room.events import ClinicalNote, Event, OperatorCommand
from esi_room.record.amendments import Amendments, amendments, amendments_path, announcements, read_amendments
from esi_room.record.disk import Disk
from esi_room.record.journal import Journal
from esi_room.record.reader import journal_path, records

Amend = Callable[..., None]


@pytest.fixture
async def case(tmp_path: Path, open_journal: Callable[..., Journal]) -> str:
    """A sealed procedure record, between two standby records."""
    async with open_journal() as journal:
        record = await journal.switch("procedure", "a case")
        await journal.switch("standby", "over")
    return record


@pytest.fixture
def amend(tmp_path: Path, clock: ManualClock, disk: Disk) -> Amend:
    def say(record: str, text: str, command: str | None = None) -> None:
        clock.advance(60)
        Amendments(tmp_path, disk).add(record, *_events(text, command, clock))

    return say


def _events(text: str, command: str | None = None, clock: ManualClock | None = None) -> tuple[Event, Event]:
    received = (clock or ManualClock()).now()
    asked = OperatorCommand(id=command or text, name="amend", actor="Dr. A", client="c")
    said = ClinicalNote(text=text, actor="Dr. A")
    return (
        Event(source="room", data=asked, received=received),
        Event(source="room", data=said, received=received),
    )


def entries(root: Path, record: str) -> list[dict]:
    return [json.loads(line) for line in amendments_path(root, record).read_bytes().splitlines()]


def texts(root: Path, record: str) -> list[str]:
    return [json.loads(a.line.octets)["data"]["text"] for a in amendments(root, record)]


def test_they_go_on_from_the_seal(tmp_path, case, amend):
    amend(case, "one")
    amend(case, "two")
    lines = journal_path(tmp_path, case).read_bytes().splitlines(keepends=True)
    lines += amendments_path(tmp_path, case).read_bytes().splitlines(keepends=True)
    found = [json.loads(line) for line in lines]
    assert [e["seq"] for e in found] == list(range(6))
    assert [e["type"] for e in found[2:]] == ["operator.command", "clinical.note"] * 2
    assert {e["record"] for e in found} == {case}
    assert all(two["prev"] == hashlib.sha256(one).hexdigest() for one, two in zip(lines[1:], found[2:], strict=False))
    assert list(found[3]) == list(found[0])
    assert amendments_path(tmp_path, case).stat().st_mode & 0o777 == 0o600


def test_what_is_there_can_be_read(tmp_path, case, amend):
    assert amendments(tmp_path, case) == ()
    amend(case, "one", "id-1")
    amend(case, "two", "id-2")
    first, second = amendments(tmp_path, case)
    assert (first.asked.id, second.asked.id, second.type, second.line.seq) == ("id-1", "id-2", "clinical.note", 5)
    octets = amendments_path(tmp_path, case).read_bytes()
    assert b"".join(line.octets for line in read_amendments(tmp_path, case)) == octets
    assert [line.seq for line in read_amendments(tmp_path, case, 4)] == [4, 5]
    assert first.announcement.sha256 == hashlib.sha256(octets.splitlines(keepends=True)[1]).hexdigest()
    found = Amendments(tmp_path, Disk()).find(case, "id-1")
    assert found == first
    assert Amendments(tmp_path, Disk()).find(case, "id-3") is None


def test_a_record_that_is_not_to_be_amended_says_why(tmp_path, case, amend):
    standby, _, last = records(tmp_path)
    for record, why in (
        ("20200101T000000Z-abcd", "there is no record '20200101T000000Z-abcd'"),
        ("../../etc", "there is no record '../../etc'"),
        (standby, "is a standby record"),
        (last, "is a standby record"),
    ):
        with pytest.raises(CommandRefused, match=why):
            amend(record, "no")
        assert read_amendments(tmp_path, record) == []
        assert amendments(tmp_path, record) == ()
    assert not list(tmp_path.rglob("amendments.jsonl"))


async def test_an_open_record_is_spoken_to_with_mark(tmp_path, open_journal, amend):
    async with open_journal() as journal:
        record = await journal.switch("procedure", "a case")
        with pytest.raises(CommandRefused, match="it is open: say it with `mark`"):
            amend(record, "no")


@pytest.mark.parametrize(
    "change", [lambda o: o[:-20], lambda o: o + b"more\n", lambda o: o.rsplit(b"\n", 2)[0] + b"\n"]
)
def test_a_record_whose_seal_was_damaged_is_not_gone_on_from(tmp_path, case, amend, change):
    path = journal_path(tmp_path, case)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CommandRefused, match="has no seal to go on from"):
        amend(case, "no")


async def test_a_seal_longer_than_what_is_read_at_once(tmp_path, open_journal, amend, monkeypatch):
    monkeypatch.setattr("esi_room.record.reader._TAIL_BYTES", 16)
    async with open_journal() as journal:
        record = await journal.switch("procedure", "a case" * 100)
        await journal.switch("standby", "over" * 1000)
    amend(record, "one")
    assert texts(tmp_path, record) == ["one"]


@pytest.mark.parametrize("method", ["write", "sync", "open"])
@pytest.mark.parametrize("partial", [0, 100])
def test_a_full_disk_leaves_what_was_there(tmp_path, case, amend, disk, method, partial):
    amend(case, "one")
    before = amendments_path(tmp_path, case).read_bytes()
    disk.partial, disk.methods = partial, {method}
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        amend(case, "two")
    assert amendments_path(tmp_path, case).read_bytes() == before
    disk.error = None
    amend(case, "two")
    assert texts(tmp_path, case) == ["one", "two"]
    assert "record.recovered" not in {e["type"] for e in entries(tmp_path, case)}


class Died(BaseException):
    """The process ended here: nothing after it was done."""


class DyingDisk(Disk):
    """Its n-th call is the last; of a write, half is done."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Died

    def open_append(self, path: Path) -> int:
        self._count()
        return super().open_append(path)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._count()
        super().truncate(descriptor, size_bytes)
        self._count()

    def write(self, descriptor: int, octets: bytes) -> None:
        half = len(octets) // 2
        self._count()
        super().write(descriptor, octets[:half])
        self._count()
        super().write(descriptor, octets[half:])

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)
        self._count()

    def sync_directory(self, path: Path) -> None:
        self._count()
        super().sync_directory(path)
        self._count()


@pytest.mark.parametrize("calls", range(14))
@pytest.mark.parametrize("torn", [b"", b'{"v":1,"rec'], ids=["clean", "torn"])
def test_a_crash_at_any_call_to_the_disk(tmp_path, case, amend, disk, calls, torn):
    """Sent again until it is answered, as a console does: it is there once, and so is what was there before."""
    amend(case, "one")
    with amendments_path(tmp_path, case).open("ab") as file:
        file.write(torn)
    asked, said = _events("two")
    for attempt in range(3):
        written = Amendments(tmp_path, DyingDisk(calls) if attempt < 2 else disk)
        with contextlib.suppress(Died):
            _ = written.find(case, "two") or written.add(case, asked, said)
    amend(case, "three")
    assert texts(tmp_path, case) == ["one", "two", "three"]
    assert [e["seq"] for e in entries(tmp_path, case)] == list(range(2, 2 + len(entries(tmp_path, case))))
    cut = [e["data"] for e in entries(tmp_path, case) if e["type"] == "record.recovered"]
    assert all((tmp_path / "records" / case / each["kept_as"]).stat().st_size == each["cut_bytes"] for each in cut)


@pytest.mark.parametrize("cut", [1, 20, 200, 400])
def test_a_torn_amendment_is_cut_kept_and_said(tmp_path, case, amend, cut):
    """Also where its first line is whole: an amendment is two."""
    amend(case, "one")
    path = amendments_path(tmp_path, case)
    whole = path.read_bytes()
    amend(case, "two")
    path.write_bytes(path.read_bytes()[:-cut])
    torn = path.read_bytes()[len(whole) :]
    assert texts(tmp_path, case) == ["one"]
    assert b"".join(line.octets for line in read_amendments(tmp_path, case)) == whole
    amend(case, "three")
    said = entries(tmp_path, case)[2]
    assert (said["type"], said["data"]["cut_bytes"]) == ("record.recovered", len(torn))
    assert (path.parent / said["data"]["kept_as"]).read_bytes() == torn
    assert said["data"]["cut_sha256"] == hashlib.sha256(torn).hexdigest()
    assert texts(tmp_path, case) == ["one", "three"]


@pytest.mark.parametrize("torn", [b"\0" * 3000, b'{"v":1,"rec', b"not json\n"])
def test_octets_behind_them_are_a_torn_amendment(tmp_path, case, amend, torn):
    amendments_path(tmp_path, case).write_bytes(torn)
    amend(case, "one")
    assert texts(tmp_path, case) == ["one"]
    assert next(amendments_path(tmp_path, case).parent.glob("torn-*")).read_bytes() == torn


def test_amendments_altered_in_the_middle_are_left_alone(tmp_path, case, amend):
    for text in ("one", "two", "three"):
        amend(case, text)
    path = amendments_path(tmp_path, case)
    path.write_bytes(path.read_bytes().replace(b"two", b"ten"))
    altered = path.read_bytes()
    with pytest.raises(BrokenRecord, match="do not hold from seq 4 on"):
        amend(case, "four")
    assert path.read_bytes() == altered
    assert texts(tmp_path, case) == ["one"]


@pytest.mark.parametrize(
    "change",
    [lambda o: o[:-30], lambda o: o.replace(b'"id":"two"', b'"id":"ten"')],
    ids=["cut", "altered"],
)
async def test_what_the_room_announced_is_never_cut(tmp_path, case, amend, open_journal, clock, change):
    amend(case, "one")
    amend(case, "two")
    async with open_journal() as journal:
        for amendment in amendments(tmp_path, case):
            await journal.commit(Event(source="room", data=amendment.announcement, received=clock.now()))
        where = Amendments(tmp_path, Disk()).announced(amendments(tmp_path, case)[1])
        assert where is not None
        assert (where.record, where.said.seq) == (journal.record, 5)
    path = amendments_path(tmp_path, case)
    path.write_bytes(change(path.read_bytes()))
    left = path.read_bytes()
    with pytest.raises(BrokenRecord, match="do not hold from seq 4 on"):
        amend(case, "three")
    assert path.read_bytes() == left


def test_a_line_that_only_looks_like_an_announcement_is_none(tmp_path, case):
    path = journal_path(tmp_path, records(tmp_path)[-1])
    path.write_bytes(path.read_bytes() + b'"type":"record.amended" but no entry\n')
    assert list(announcements(tmp_path, records(tmp_path))) == []
