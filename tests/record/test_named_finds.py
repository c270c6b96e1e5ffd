"""Each thing that verify is to find is named with its file and line, what was expected and what was found."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from esi_room.clock import ManualClock
from esi_room.events import ClinicalNote, ClockStep, Event, Payload
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.keys import Keys
from esi_room.record.verify_checkpoints import parse
from esi_room.record.verify_lines import Problem
from esi_room.record.verify_room import record_ids, verify_room

Lines = list[bytes]
SHA256 = r"[0-9a-f]{64}"


def _chained(lines: Lines, prev: str | None = None) -> Lines:
    """Each made to name the one before it."""
    made: Lines = []
    for line in lines:
        entry = json.loads(line)
        entry["prev"] = prev or entry["prev"]
        made.append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        prev = hashlib.sha256(made[-1]).hexdigest()
    return made


def _edit(path: Path, change: Callable[[Lines], Lines]) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def _with(line: bytes, **more: Any) -> bytes:
    return json.dumps(json.loads(line) | more, separators=(",", ":")).encode() + b"\n"


class Room(NamedTuple):
    path: Path

    def file(self, which: int, name: str) -> Path:
        return self.path / "records" / record_ids(self.path)[which] / name

    def image(self) -> Path:
        return sorted(self.file(1, "frames").iterdir())[0]

    def problems(self, **more: Any) -> list[Problem]:
        return [problem for report in verify_room(self.path, **more) for problem in report.problems]


@pytest.fixture
def room(signed_room: Path, tmp_path: Path) -> Room:
    return Room(Path(shutil.copytree(signed_room, tmp_path / "room")))


class Find(NamedTuple):
    """What somebody does, and the first problem that is then said: of which file and line, in which words."""

    file: Callable[[Room], Path]
    change: Callable[[Lines], Lines]
    line: int
    what: str
    expected: str
    found: str


def journal(room: Room) -> Path:
    return room.file(1, "journal.jsonl")


def newest(room: Room) -> Path:
    return room.file(2, "journal.jsonl")


def checkpoints(room: Room) -> Path:
    return room.file(1, "checkpoints.jsonl")


def _set_back(lines: Lines) -> Lines:
    """The wall clock of the open record's fifth line and all that follow is an hour back; nothing says so."""
    late = [_with(line, received=json.loads(line)["received"].replace("T22", "T21")) for line in lines[4:]]
    more = [_with(late[-1], seq=len(lines), mono_ns=json.loads(late[-1])["mono_ns"] + 61_000_000_000)]
    return _chained([*lines[:4], *late, *more])


FINDS = {
    "a changed byte": Find(
        journal, lambda ls: [*ls[:1], ls[1].replace(b"before a crash", b"before a Crash"), *ls[2:]],
        3, "line 2 was altered, or lines were removed or inserted", "prev ", "",
    ),
    "a missing line": Find(journal, lambda ls: [*ls[:4], *ls[5:]], 5, "wrong seq", "4", "5"),
    "a doubled line": Find(journal, lambda ls: [*ls[:5], ls[4], *ls[5:]], 6, "wrong seq", "5", "4"),
    "swapped lines": Find(journal, lambda ls: [*ls[:4], ls[5], ls[4], *ls[6:]], 5, "wrong seq", "4", "5"),
    "an inserted line": Find(
        journal, lambda ls: [*ls[:4], _with(ls[4], seq=4), _with(ls[4], seq=5), *ls[5:]],
        6, "line 5 was altered, or lines were removed or inserted", "prev ", "",
    ),
    "a cut tail of a sealed record": Find(
        journal, lambda ls: ls[:-1], 11, "ends without record.sealed", "record.sealed", "nothing behind"
    ),
    "a cut tail of the open record": Find(
        newest, lambda ls: ls[:4], 4, "lines were cut off behind this one", "at least 6 lines", "4"
    ),
    "a cut wire file": Find(
        lambda room: room.file(1, "wire/pump-1.jsonl"), lambda ls: ls[:2], 2,
        "ends elsewhere than record.sealed says", "4 lines, last ", "2 lines, last ",
    ),
    "a cut amendment": Find(
        lambda room: room.file(1, "amendments.jsonl"), lambda ls: ls[:3], 4, "is missing: it was cut off", "", "None"
    ),
    "a forged checkpoint": Find(
        checkpoints, lambda ls: [ls[0].replace(b'"seq":1', b'"seq":2'), *ls[1:]],
        1, "forged: the signature is not of this line by this key", "a signature by ", "another",
    ),
    "a missing checkpoint": Find(
        checkpoints, lambda ls: [ls[0], *ls[2:]], 2, "wrong n: checkpoints were removed, doubled or swapped", "1", "2"
    ),
    "the missing checkpoint of a seal": Find(
        checkpoints, lambda ls: ls[:2], 2, "the last checkpoint, that of the seal, is missing", "seq 11", "seq 10"
    ),
    "a clock that ran backwards": Find(
        newest, _set_back, 5, "the room's clock ran backwards, and no clock.step says so", "received at 2023-", "2023-"
    ),
}  # fmt: skip


@pytest.mark.parametrize("find", FINDS.values(), ids=FINDS.keys())
def test_it_is_named_with_line_expected_and_found(room, find):
    path = find.file(room)
    _edit(path, find.change)
    problem = room.problems()[0]
    assert (problem.file, problem.line) == (path, find.line)
    assert find.what in problem.what
    assert str(problem.expected).startswith(find.expected)
    assert str(problem.found).startswith(find.found)
    assert str(problem).startswith(f"{path}:{find.line}: ")
    assert f"(expected {problem.expected}, found {problem.found})" in str(problem)


def test_a_replaced_and_a_missing_image(room):
    image = room.image()
    other = b"another image"
    image.write_bytes(other)
    (problem,) = room.problems()
    assert (problem.file, problem.expected) == (image, image.stem)
    assert problem.found == hashlib.sha256(other).hexdigest()
    assert f"the image of journal line {_line_of(room, image)} was altered" in problem.what
    image.unlink()
    (problem,) = room.problems()
    assert (problem.file, problem.expected, problem.found) == (image, image.stem, "none")
    assert f"the image of journal line {_line_of(room, image)} is missing" in problem.what


def _line_of(room: Room, image: Path) -> int:
    lines = journal(room).read_bytes().splitlines()
    return next(n for n, line in enumerate(lines, 1) if image.stem.encode() in line)


def test_a_record_taken_out_of_the_sequence(room):
    prev = json.loads(newest(room).read_bytes().splitlines()[0])["prev"]
    head = hashlib.sha256(room.file(0, "journal.jsonl").read_bytes().splitlines(keepends=True)[-1]).hexdigest()
    path = newest(room)
    shutil.rmtree(journal(room).parent)
    problem = room.problems()[0]
    assert (problem.file, problem.line) == (path, 1)
    assert "does not follow the room's record before it: that record was altered, cut off or removed" in problem.what
    assert (problem.expected, problem.found) == (f"prev {head}", prev)


def test_a_checkpoint_signed_by_somebody_else(room, tmp_path):
    other = Keys(tmp_path / "other", Disk()).make()
    path = checkpoints(room)

    def forge(lines: Lines) -> Lines:
        statement = {k: v for k, v in json.loads(lines[0]).items() if k != "signature"} | {"key": other.id}
        signed = json.dumps(statement, separators=(",", ":")).encode()[:-1]
        return [signed + b',"signature":"' + other.sign(signed).hex().encode() + b'"}\n', *lines[1:]]

    ours = json.loads(path.read_bytes().splitlines()[0])["key"]
    _edit(path, forge)
    problem = room.problems()[0]
    assert (problem.file, problem.line) == (path, 1)
    assert (problem.expected, problem.found) == (f"one of {ours}", other.id)


def test_all_rewritten_by_somebody_with_the_rooms_key_is_named_from_what_a_witness_kept(room):
    path = newest(room)
    lines = path.with_name("checkpoints.jsonl").read_bytes().splitlines(keepends=True)
    kept = [parse(Path("witness.jsonl"), n, line) for n, line in enumerate(lines, 1)]
    _edit(path, lambda ls: _chained([line.replace(b"standby 0", b"standby 9") for line in ls]))
    path.with_name("checkpoints.jsonl").unlink()
    entries = path.read_bytes().splitlines(keepends=True)
    signing = Checkpoints(room.path, Disk())
    for each in kept:
        line = entries[each.seq]
        signing._append("esi-1", path.parent.name, each.seq, hashlib.sha256(line).hexdigest(), each.time)
    assert not room.problems()
    altered = next(seq for seq, line in enumerate(entries) if b"standby 9" in line)
    first = next(each for each in kept if each.seq >= altered)
    problem = room.problems(witnessed=kept)[0]
    assert (problem.file, problem.line) == (path, first.seq + 1)
    assert f"this line or one before it was altered since witness.jsonl:{first.line} named it" in problem.what
    assert (problem.expected, problem.found) == (
        first.sha256,
        hashlib.sha256(path.read_bytes().splitlines(keepends=True)[first.seq]).hexdigest(),
    )


def _journal(room: Path, clock: ManualClock, *said: Payload | float) -> list[str]:
    """What verify notes of a record in which these were said; a number sets the wall clock by so many seconds."""

    async def play() -> None:
        async with Journal.open(room, clock, Identity(room="esi-1")) as journal:
            for each in said:
                clock.advance(1)
                if isinstance(each, float):
                    clock.step(each)
                else:
                    await journal.commit(Event(source="room", data=each, received=clock.now()))

    asyncio.run(play())
    reports = list(verify_room(room))
    assert all(report.ok for report in reports)
    return [note for report in reports for note in report.notes]


NOTE = ClinicalNote(text="x", actor="a")


def test_a_clock_that_was_set_back_and_the_record_says_so_is_a_note(tmp_path):
    (note,) = _journal(tmp_path, ManualClock(), NOTE, -60.0, NOTE, ClockStep(step_s=-60.0), NOTE)
    assert note.startswith("line 3: the room's clock ran backwards, from 2023-11-14T22:13:21.000000Z to 2023-")
    assert note.endswith("(a clock.step says so)")


@pytest.mark.parametrize("step_s", [60.0, -0.2])
def test_a_clock_that_was_set_forward_or_slewed_is_none(tmp_path, step_s):
    assert _journal(tmp_path, ManualClock(), NOTE, step_s, NOTE) == []


def test_a_clock_that_was_set_back_while_the_daemon_was_away_is_a_note(tmp_path):
    clock = ManualClock()
    assert _journal(tmp_path, clock, NOTE) == []
    clock.step(-3600.0)
    clock.mono_ns = 0  # the machine was started again
    (note,) = _journal(tmp_path, clock, NOTE)
    assert "line 3: the room's clock ran backwards, from " in note
    assert note.endswith("(while the daemon was away)")


def test_a_monotonic_clock_that_ran_backwards_is_named(room):
    path = newest(room)
    _edit(path, lambda ls: _chained([*ls[:4], *(_with(each, mono_ns=-4_000_000_000_000) for each in ls[4:])]))
    problem = room.problems()[0]
    assert (problem.file, problem.line, problem.found) == (path, 5, "-4000000000000")
    assert "the room's monotonic clock ran backwards" in problem.what
