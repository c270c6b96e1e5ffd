"""Amendments are signed one by one: a cut or altered one shows by that, in its record alone and with a witness."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esi_room.clock import ManualClock
from esi_room.events import ClinicalNote, Event, OperatorCommand
from esi_room.record.amendments import Amendments
from esi_room.record.checkpoints import Checkpointer, Checkpoints, Signed
from esi_room.record.disk import Disk
from esi_room.record.held import report
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import records
from esi_room.record.verify import verify_record
from esi_room.record.verify_checkpoints import Checkpoint, parse
from esi_room.record.verify_room import signing_of, verify_room

Change = Callable[[list[bytes]], list[bytes]]


async def _amend(journal: Journal, clock: ManualClock, record: str, text: str) -> None:
    """As `Amending` does it: beside the record first, then said in the open one."""
    clock.advance(1)
    asked = OperatorCommand(id=text, name="amend", actor="a", client="c")
    said = ClinicalNote(text=text, actor="a")
    events = (Event(source="room", data=data, received=clock.now()) for data in (asked, said))
    made = Amendments(journal.root, Disk()).add(record, *events)
    journal.append(Event(source="room", data=asked, received=clock.now()))
    await journal.commit(Event(source="room", data=made.announcement, received=clock.now()))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def _build(root: Path, published: list[Signed]) -> None:
    """A case, sealed, and amended twice while the daemon signs."""
    clock = ManualClock()
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        signing = Checkpointer(journal, clock, published.append, lambda _: None)
        task = asyncio.create_task(signing.run())
        case = await journal.switch("procedure", "a case")
        await journal.switch("standby", "over")
        await _until(lambda: any(each.record == journal.record for each in published))
        for n, text in enumerate(("one", "two"), 1):
            await _amend(journal, clock, case, text)
            await _until(lambda n=n: sum(each.amendment for each in published) == n)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await signing.finish()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Signed]]:
    root, published = tmp_path_factory.mktemp("room"), list[Signed]()
    asyncio.run(_build(root, published))
    return root, published


@pytest.fixture
def room(made: tuple[Path, list[Signed]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "room"))


def _case(room: Path) -> Path:
    return room / "records" / records(room)[1]


def _edit(path: Path, change: Change) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def _alone(case: Path, witnessed: tuple[Checkpoint, ...] = ()) -> list[str]:
    """What is said of a record with its room's keys at hand, and nothing of its room's journals."""
    return [str(problem) for problem in verify_record(case, None, signing=signing_of(case, witnessed)).problems]


def test_each_amendment_is_signed_at_once_and_what_holds_says_nothing(made, room):
    """The clock stood still but for the amendments: no minute passed."""
    amendments = (_case(room) / "amendments.jsonl").read_bytes().splitlines(keepends=True)
    signed = [each for each in made[1] if each.amendment]
    assert [each.sha256 for each in signed] == [hashlib.sha256(amendments[n]).hexdigest() for n in (1, 3)]
    assert (_case(room) / "checkpoints.jsonl").read_bytes().endswith(b"".join(each.octets for each in signed))
    reports = list(verify_room(room))
    assert all(each.ok and not each.notes for each in reports)
    assert (reports[1].amendments, reports[1].signed_lines, reports[1].lines) == (2, 2, 2)
    assert not _alone(_case(room))


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda ls: [*ls[:3], ls[3].replace(b'"two"', b'"ten"')], 4, "was altered since "),
        (lambda ls: ls[:3], 3, "lines were cut off behind this one: "),
        (lambda ls: ls[:2], 2, "lines were cut off behind this one: "),
        (lambda ls: [], None, "lines were cut off behind this one: "),
    ],
    ids=["altered", "cut in two", "cut", "all"],
)
def test_an_altered_or_cut_amendment_shows_in_the_record_alone(room, change, line, said):
    path = _case(room) / "amendments.jsonl"
    _edit(path, change)
    (problem,) = _alone(_case(room))
    assert problem.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert said in problem
    assert "checkpoints.jsonl:" in problem
    assert not report(_case(room)).ok


def test_amendments_removed_with_their_file_show_too(room):
    (_case(room) / "amendments.jsonl").unlink()
    assert "lines were cut off behind this one" in _alone(_case(room))[0]


def test_amendment_and_its_checkpoint_taken_away_show_with_a_witness(made, room):
    case = _case(room)
    _edit(case / "amendments.jsonl", lambda ls: ls[:2])
    _edit(case / "checkpoints.jsonl", lambda ls: ls[:-1])
    assert not _alone(case)
    kept = tuple(parse(Path("witness.jsonl"), n, each.octets) for n, each in enumerate(made[1], 1))
    assert "names line 4 (expected at least 4 lines, found 2)" in _alone(case, kept)[0]
    assert [each.ok for each in verify_room(room)] == [True, False, True]  # the room's chain announced it


def test_a_broken_chain_of_amendments_is_said_once(room):
    path = _case(room) / "amendments.jsonl"
    _edit(path, lambda ls: [ls[0].replace(b'"one"', b'"ten"'), *ls[1:]])
    (problem,) = _alone(_case(room))
    assert problem.startswith(f"{path}:2: line 1 was altered")


def test_old_amendments_without_a_checkpoint_hold_and_are_noted(room):
    """As those of version 0.1.0 are."""
    _edit(_case(room) / "checkpoints.jsonl", lambda ls: ls[:-2])
    reports = list(verify_room(room))
    assert all(each.ok for each in reports)
    assert reports[1].notes == ["its amendments are not signed from seq 2 on"]


async def test_what_a_crash_left_unsigned_is_signed_at_the_next_start_and_only_as_announced(room):
    case = _case(room)
    whole = (case / "checkpoints.jsonl").read_bytes()
    _edit(case / "checkpoints.jsonl", lambda ls: ls[:-1])
    _edit(case / "amendments.jsonl", lambda ls: [*ls[:3], ls[3].replace(b'"two"', b'"ten"')])
    signing = Checkpoints(room, Disk())
    for each in signing.left():
        signing.sign_amendment(each.said, 1_700_000_000 * 10**9)
    names = [json.loads(line)["sha256"] for line in (case / "checkpoints.jsonl").read_bytes().splitlines()]
    assert names == [json.loads(line)["sha256"] for line in whole.splitlines()]
    assert "was altered since " in _alone(case)[0]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_byte_changed_is_found_in_the_record_alone(made, tmp_path, data):
    room = tmp_path / "room"
    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(made[0], room)
    path = _case(room) / data.draw(st.sampled_from(["amendments.jsonl", "checkpoints.jsonl", "journal.jsonl"]))
    octets = bytearray(path.read_bytes())
    first = len(octets.split(b"\n")[0]) if path.name == "journal.jsonl" else 0  # its first `prev` is taken on trust
    torn = path.name == "checkpoints.jsonl"  # its very last newline: as a crash would leave it
    at = data.draw(st.integers(first, len(octets) - 1 - torn))
    octets[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(octets)
    assert _alone(_case(room))
