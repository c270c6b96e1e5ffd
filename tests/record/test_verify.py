"""Verify: every alteration of a record is found and named, and verify itself never falls over."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esi_room.clock import ManualClock
from esi_room.events import CarmImage, ClinicalNote, Event, OperatorCommand, ProcedureStarted
from esi_room.record.amendments import Amendments
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.verify import verify_record
from esi_room.record.verify_room import elsewhere_of, record_ids, verify_room

IMAGE = b"\0" * 128 + b"DICM" + bytes(range(256)) * 4


def _image(digest: str) -> CarmImage:
    return CarmImage(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.12.1", sop_instance_uid="1.2.3", study_uid="1.2", series_uid="1.2.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1", sha256=digest, size_bytes=len(IMAGE), rows=2, columns=2, frames=1,
        acquired=None, dose={}, peer="OEC_9900@127.0.0.1", duplicate_of=None,
    )  # fmt: skip


async def _build(root: Path) -> None:
    clock = ManualClock()
    identity = b'{"name":"Doe^Jane","salt":"00"}'
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:

        async def say(data) -> None:
            clock.advance(1)
            await journal.commit(Event(source="room", data=data, received=clock.now()))

        await say(ClinicalNote(text="standby", actor="a"))
        await journal.switch("procedure", "a case")
        digest = hashlib.sha256(identity).hexdigest()
        await say(ProcedureStarted(procedure="ESI", origin="staff", identity_sha256=digest))
        (journal.directory / "private").mkdir(mode=0o700)
        (journal.directory / "private" / "identity.json").write_bytes(identity)
        for n in range(4):
            journal.wire("pump-1").received(clock.now(), b"\x0200I\x03")
            journal.wire("monitor-1").received(clock.now(), bytes(range(40)))
            await say(ClinicalNote(text=f"note {n}", actor="a"))
        (journal.directory / "frames").mkdir(mode=0o700)
        image = hashlib.sha256(IMAGE).hexdigest()
        (journal.directory / "frames" / f"{image}.dcm").write_bytes(IMAGE)
        await say(_image(image))
        await journal.switch("standby", "the case is over")
        await say(ClinicalNote(text="standby again", actor="a"))
        for n in range(2):
            asked = OperatorCommand(id=f"id-{n}", name="amend", actor="a", client="c")
            late = ClinicalNote(text=f"amendment {n}", actor="a")
            events = (Event(source="room", data=data, received=clock.now()) for data in (asked, late))
            made = Amendments(root, Disk()).add(record_ids(root)[1], *events)
            await say(asked)
            await say(made.announcement)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("room")
    asyncio.run(_build(root))
    assert all(r.ok for r in verify_room(root))
    return root


@pytest.fixture
def room(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "room"))


def _case(root: Path) -> Path:
    return root / "records" / record_ids(root)[1]


def _problems(root: Path) -> list[str]:
    return [str(p) for report in verify_room(root) for p in report.problems]


def _edit(path: Path, change) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


def test_a_whole_room_verifies_and_is_counted(room):
    standby, case, _ = verify_room(room)
    assert (case.kind, case.sealed, case.images, case.wire_lines, case.amendments) == ("procedure", True, 1, 8, 2)
    assert not case.notes
    assert standby.sealed
    assert case.lines == 8


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda ls: [*ls[:3], ls[3].replace(b"note 1", b"note 9"), *ls[4:]], 5, "line 4 was altered"),
        (lambda ls: [*ls[:3], *ls[4:]], 4, "wrong seq (expected 3, found 4)"),
        (lambda ls: [*ls[:4], ls[3], *ls[4:]], 5, "wrong seq (expected 4, found 3)"),
        (lambda ls: [*ls[:3], ls[4], ls[3], *ls[5:]], 4, "wrong seq (expected 3, found 4)"),
        (lambda ls: ls[:-1], 7, "ends without record.sealed"),
        (lambda ls: [*ls[:-1], ls[-1][:-20]], 8, "cut off"),
        (lambda ls: [*ls[:2], b"not json\n", *ls[2:]], 3, "not one JSON object"),
        (lambda ls: [*ls, ls[-1]], 9, "wrong seq"),
        (lambda ls: [ls[0].replace(b'"v":1', b'"v":2'), *ls[1:]], 1, "another format version"),
        (lambda ls: [*ls[:2], b'{"v":1,"seq":9,' + ls[2][1:], *ls[3:]], 3, "twice"),
        (lambda ls: [*ls[:2], b"[" * 100_000 + b"\n", *ls[2:]], 3, "not one JSON object"),
        (lambda ls: [], None, "empty"),
    ],
    ids=[
        "byte",
        "removed",
        "doubled",
        "swapped",
        "cut",
        "torn",
        "garbage",
        "after-seal",
        "version",
        "key-twice",
        "deep",
        "empty",
    ],
)
def test_names_the_first_bad_line_and_why(room, change, line, said):
    path = _case(room) / "journal.jsonl"
    _edit(path, change)
    problem = next(verify_record(_case(room), None, may_be_open=False).problems.__iter__())
    assert said in str(problem)
    assert problem.line == line


def test_the_last_line_of_a_record_is_held_by_the_next_record(room):
    _edit(_case(room) / "journal.jsonl", lambda ls: [*ls[:-1], ls[-1].replace(b"is over", b"is Over")])
    assert "does not follow the record's seal" in _problems(room)[0]
    assert "does not follow the room's record before it" in _problems(room)[1]


def test_a_record_taken_out_of_the_sequence(room):
    shutil.rmtree(_case(room))
    assert "does not follow the room's record before it" in _problems(room)[0]


def test_images(room):
    image = next((_case(room) / "frames").iterdir())
    image.write_bytes(IMAGE[:-1] + b"\0")
    assert "the image of journal line 7 was altered" in _problems(room)[0]
    image.unlink()
    assert "the image of journal line 7 is missing" in _problems(room)[0]
    image.symlink_to("/etc/hostname")
    assert "it is no regular file" in _problems(room)[0]


def test_wire_files(room):
    path = _case(room) / "wire" / "pump-1.jsonl"
    octets = path.read_bytes()
    path.write_bytes(octets.replace(b'"dir":"rx"', b'"dir":"tx"', 1))
    assert "line 1 was altered" in _problems(room)[0]
    path.write_bytes(b"".join(octets.splitlines(keepends=True)[:-1]))
    assert "ends elsewhere than record.sealed says" in _problems(room)[0]
    path.unlink()
    assert "pump-1.jsonl: the wire file that record.sealed names is missing" in _problems(room)[0]


def test_a_changed_identity_is_found_and_one_that_nobody_erased(room):
    path = _case(room) / "private" / "identity.json"
    path.write_bytes(b'{"name":"Roe^Richard","salt":"00"}')
    assert "is not the identity" in _problems(room)[0]
    path.unlink()
    assert "is missing, and no entry says that it was erased" in _problems(room)[0]


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda ls: [ls[0].replace(b"id-0", b"id-9"), *ls[1:]], 2, "line 1 was altered"),
        (lambda ls: [*ls[:3], ls[3].replace(b"amendment 1", b"amendment 9")], 4, "(clinical.note, seq 11) was altered"),
        (lambda ls: [*ls[:2], *ls[3:]], 3, "wrong seq (expected 10, found 11)"),
        (lambda ls: ls[2:], 1, "wrong seq (expected 8, found 10)"),
        (lambda ls: ls[:3], 4, "(clinical.note, seq 11) is missing: it was cut off"),
        (lambda ls: [*ls[:3], ls[3][:-9]], 4, "(clinical.note, seq 11) is missing: it was cut off"),
        (lambda ls: [], 2, "(clinical.note, seq 9) is missing: it was cut off"),
        (lambda ls: [*ls, b"not json\n"], 5, "not one JSON object"),
        (lambda ls: [*ls, b"x" * 5000], 5, "too long"),
    ],
    ids=["byte", "last-line", "removed", "head-removed", "cut", "torn", "emptied", "garbage", "long"],
)
def test_amendments(room, monkeypatch, change, line, said):
    monkeypatch.setattr("esi_room.record.verify_lines.MAX_LINE_BYTES", 4096)
    path = _case(room) / "amendments.jsonl"
    _edit(path, change)
    _, report, _ = verify_room(room)
    assert said in str(report.problems[0])
    assert (report.problems[0].file, report.problems[0].line) == (path, line)
    alone = verify_record(_case(room), None, elsewhere=elsewhere_of(_case(room)), may_be_open=False)
    assert alone.problems == report.problems


@pytest.mark.parametrize("said", [b'{"record":7}', b'{"record":"%s","seq":"9"}', b'{"record":"%s","seq":-5}', b"[]"])
def test_an_announcement_of_nothing(room, said):
    """It is the room's last line, so the chain does not tell that it was altered."""
    newest = room / "records" / record_ids(room)[-1] / "journal.jsonl"
    said = said.replace(b"%s", record_ids(room)[1].encode())
    _edit(newest, lambda ls: [*ls[:-1], ls[-1].split(b'"data":')[0] + b'"data":' + said + b"}\n"])
    assert all("is missing" in problem for problem in _problems(room))


def test_amendments_that_follow_another_seal(room):
    path = _case(room) / "amendments.jsonl"
    _edit(path, lambda ls: [json.dumps(json.loads(ls[0]) | {"prev": "0" * 64}).encode() + b"\n"])
    assert "does not follow the record's seal" in _problems(room)[0]


def test_amendments_without_a_seal(room):
    newest = room / "records" / record_ids(room)[-1] / "amendments.jsonl"
    newest.write_bytes(b"")
    assert "no seal that amendments could follow" in _problems(room)[0]
    newest.unlink()
    path = _case(room) / "amendments.jsonl"
    path.rename(room / "elsewhere")
    assert "amendments.jsonl:2: the amendment that line 4 of" in _problems(room)[0]
    path.symlink_to(room / "elsewhere")
    assert "it is no regular file" in _problems(room)[0]


@pytest.mark.parametrize("rest", [b'{"v":1,"rec', b"\0" * 500])
def test_an_amendment_that_was_never_acknowledged_is_a_note(room, rest):
    path = _case(room) / "amendments.jsonl"
    path.write_bytes(path.read_bytes() + rest)
    _, report, _ = verify_room(room)
    assert report.ok
    assert "its last line is not finished" in report.notes[0]
    newest = room / "records" / record_ids(room)[-1] / "journal.jsonl"
    _edit(newest, lambda ls: ls[:-2])
    _, report, _ = verify_room(room)
    assert report.ok
    assert "no later entry names" in report.notes[1]


def test_a_record_taken_out_of_its_room_says_that_its_last_amendments_were_not_checked(room, tmp_path):
    taken = _case(room).rename(tmp_path / record_ids(room)[1])
    assert elsewhere_of(taken) is None
    report = verify_record(taken, None)
    assert report.ok
    assert any("cut off at their end was not checked" in note for note in report.notes)


def test_a_torn_line_is_no_fault_while_a_daemon_writes_there(room):
    newest = room / "records" / record_ids(room)[-1] / "journal.jsonl"
    newest.write_bytes(newest.read_bytes() + b'{"v":1,"rec')
    assert "cut off" in _problems(room)[0]
    assert all(r.ok for r in verify_room(room, being_written=True))


def test_a_line_of_many_megabytes_costs_bounded_memory(room, monkeypatch):
    monkeypatch.setattr("esi_room.record.verify_lines.MAX_LINE_BYTES", 4096)
    path = _case(room) / "journal.jsonl"
    path.write_bytes(path.read_bytes() + b"x" * 100_000)
    assert "too long" in _problems(room)[0]


def test_progress_counts_the_bytes_read(room):
    seen: list[int] = []
    list(verify_room(room, progress=seen.append))
    sizes = sum(p.stat().st_size for p in (room / "records").rglob("*") if p.suffix in {".jsonl", ".dcm"})
    assert sum(seen) == sizes


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_byte_changed_anywhere_in_a_sealed_record_is_found(pristine, tmp_path, data):
    """Of its journal, its wire files and its images; a change that leaves the same octets is none."""
    room = tmp_path / "room"
    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(pristine, room)
    files = sorted(p for p in _case(room).rglob("*") if p.is_file())
    path = data.draw(st.sampled_from(files))
    octets = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(octets)
    assert _problems(room)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["journal.jsonl", "amendments.jsonl"]),
    octets=st.binary(max_size=300),
    lines=st.lists(st.dictionaries(st.text(max_size=6), st.integers() | st.none())),
)
def test_verify_never_falls_over(pristine, tmp_path, name, octets, lines):
    room = tmp_path / "room"
    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(pristine, room)
    path = _case(room) / name
    path.write_bytes(octets + b"\n".join(json.dumps(line).encode() for line in lines) + b"\n")
    assert _problems(room)
