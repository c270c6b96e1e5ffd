"""Verify and checkpoints: the end of the newest record is held, and every forgery is named with file and line."""

from __future__ import annotations

import asyncio
import builtins
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esi_room.clock import ManualClock
from esi_room.events import ClinicalNote, Event
from esi_room.record import held
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.keys import Keys
from esi_room.record.verify import Report, verify_record
from esi_room.record.verify_checkpoints import read_witnessed
from esi_room.record.verify_room import record_ids, verify_room

Change = Callable[[list[bytes]], list[bytes]]


async def _build(root: Path) -> None:
    """Three records, the last one open; signed every second line, and a key rotated in the second."""
    clock = ManualClock()
    checkpoints = Checkpoints(root, Disk())
    checkpoints.keys.make()
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        for kind in ("procedure", "standby", None):
            for n in range(6):
                clock.advance(30)
                await journal.commit(
                    Event(source="room", data=ClinicalNote(text=f"note {n}", actor="a"), received=clock.now())
                )
                if n % 2:
                    checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)
            if kind == "procedure":
                checkpoints.keys.rotate()
            if kind is not None:
                await journal.switch(kind, "it goes on")
        clock.advance(30)
        checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("room")
    asyncio.run(_build(root))
    assert not [p for report in verify_room(root) for p in report.problems]
    return root


@pytest.fixture
def room(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "room"))


def _file(room: Path, which: int, name: str) -> Path:
    return room / "records" / record_ids(room)[which] / name


def _edit(path: Path, change: Change) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def _problems(room: Path) -> list[str]:
    return [str(p) for report in verify_room(room) for p in report.problems]


def _chained(lines: list[bytes]) -> list[bytes]:
    """The lines, each made to name the one before it."""
    made = lines[:1]
    for line in lines[1:]:
        entry = json.loads(line)
        entry["prev"] = hashlib.sha256(made[-1]).hexdigest()
        made.append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
    return made


def test_a_signed_room_holds_and_says_how_far_it_is_signed(room):
    reports = list(verify_room(room))
    assert [(r.sealed, r.signed_lines == r.lines, bool(r.checkpoints)) for r in reports] == [
        (True, True, True), (True, True, True), (False, True, True),
    ]  # fmt: skip
    assert not [note for r in reports for note in r.notes]
    assert len({json.loads(line)["key"] for line in _file(room, 0, "checkpoints.jsonl").read_bytes().splitlines()}) == 2


def test_the_last_line_of_the_newest_record_altered(room):
    path = _file(room, 2, "journal.jsonl")
    _edit(path, lambda ls: [*ls[:-1], ls[-1].replace(b"note 5", b"note 9")])
    (said,) = _problems(room)
    assert f"{path}:7: this line or one before it was altered since " in said
    assert "checkpoints.jsonl:3 named it (expected " in said


@pytest.mark.parametrize("left", [6, 5, 1])
def test_lines_cut_off_the_end_of_the_newest_record(room, left):
    path = _file(room, 2, "journal.jsonl")
    _edit(path, lambda ls: ls[:left])
    (said,) = _problems(room)
    assert f"{path}:{left}: lines were cut off behind this one: " in said


def test_a_line_altered_and_every_line_after_it_chained_anew(room):
    path = _file(room, 2, "journal.jsonl")
    _edit(path, lambda ls: _chained([ls[0], ls[1].replace(b"note 0", b"note 9"), *ls[2:]]))
    (said,) = _problems(room)
    assert f"{path}:3: this line or one before it was altered since " in said


def _other_signature(line: bytes) -> bytes:
    before, name, signature = line.partition(b'"signature":"')
    return before + name + (b"1" if signature[:1] == b"0" else b"0") + signature[1:]


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda ls: [ls[0].replace(b'"seq":2', b'"seq":1'), *ls[1:]], 1, "forged: the signature is not of this line"),
        (lambda ls: [_other_signature(ls[0]), *ls[1:]], 1, "forged: the signature is not of this line"),
        (
            lambda ls: [ls[0].replace(b'"key":"', b'"key":"0123456789abcdef","key":"')[:], *ls[1:]],
            1,
            "not a checkpoint",
        ),
        (lambda ls: ls[1:], 1, "wrong n: checkpoints were removed, doubled or swapped (expected 0, found 1)"),
        (lambda ls: [ls[0], *ls[2:]], 2, "wrong n"),
        (lambda ls: [ls[0], ls[0], *ls[1:]], 2, "wrong n"),
        (lambda ls: [ls[1], ls[0], *ls[2:]], 1, "wrong n"),
        (lambda ls: ls[:-1], 3, "the last checkpoint, that of the seal, is missing"),
        (lambda ls: [], None, "the last checkpoint, that of the seal, is missing"),
        (lambda ls: [*ls[:-1], ls[-1][:-1]], 3, "the last checkpoint, that of the seal, is missing"),
        (lambda ls: [*ls, b"{}\n"], 5, "not a checkpoint"),
        (lambda ls: [*ls, b"x" * 100_000], 5, "not a checkpoint"),
    ],
    ids=[
        "seq",
        "signature",
        "key twice",
        "first",
        "middle",
        "doubled",
        "swapped",
        "last",
        "all",
        "torn",
        "more",
        "long",
    ],
)
def test_forged_and_missing_checkpoints_of_a_sealed_record(room, change, line, said):
    path = _file(room, 1, "checkpoints.jsonl")
    _edit(path, change)
    _, report, _ = verify_room(room)
    assert (report.problems[0].file, report.problems[0].line) == (path, line)
    assert said in str(report.problems[0])
    assert held.report(path.parent).problems == report.problems


def test_a_checkpoint_signed_with_a_key_of_somebody_else(room, tmp_path):
    other = Keys(tmp_path / "other", Disk()).make()
    path = _file(room, 2, "checkpoints.jsonl")

    def forge(lines: list[bytes]) -> list[bytes]:
        statement = json.loads(lines[-1]) | {"key": other.id}
        del statement["signature"]
        signed = json.dumps(statement, separators=(",", ":")).encode()[:-1]
        return [*lines[:-1], signed + b',"signature":"' + other.sign(signed).hex().encode() + b'"}\n']

    _edit(path, forge)
    (said,) = _problems(room)
    assert f"{path}:3: forged, or a key was removed" in said
    assert f"found {other.id}" in said


def test_a_checkpoint_of_another_room_and_of_another_record(room, tmp_path):
    path = _file(room, 2, "checkpoints.jsonl")
    first = _file(room, 0, "checkpoints.jsonl").read_bytes().splitlines(keepends=True)[0]
    _edit(path, lambda ls: [first, *ls[1:]])
    assert f"{path}:1: a checkpoint of another record (expected {path.parent.name}, found " in _problems(room)[0]
    record = path.parent.name
    path.unlink()
    Checkpoints(room, Disk())._append("esi-2", record, 3, "0" * 64, "2026-11-23T09:30:00.000000Z")
    assert f"{path}:1: a checkpoint of another room (expected esi-1, found esi-2)" in _problems(room)[0]


def test_a_removed_public_key_is_named(room):
    used = {json.loads(line)["key"] for line in _file(room, 0, "checkpoints.jsonl").read_bytes().splitlines()}
    for name in used:
        (room / "keys" / f"{name}.pem").unlink(missing_ok=True)
    assert "a key was removed" in _problems(room)[0]


def test_a_record_taken_out_of_its_room_says_that_its_signatures_were_not_checked(room, tmp_path):
    source = _file(room, 1, "journal.jsonl").parent
    report = verify_record(source.rename(tmp_path / source.name), None)
    assert report.ok
    assert any("signatures of its checkpoints were not checked: the room's public keys" in n for n in report.notes)


def test_an_open_record_with_no_checkpoint_at_all_is_noted(room):
    _file(room, 2, "checkpoints.jsonl").unlink()
    *_, report = verify_room(room)
    assert report.ok
    assert report.notes == ["nothing of it is signed, though the room has a key: its end is not held by anything"]


def test_without_the_library_everything_but_signatures_is_checked(room, monkeypatch):
    real = builtins.__import__

    def missing(name: str, *arguments: object, **more: object) -> object:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    reports = list(verify_room(room))
    assert all(r.ok and any("needs the library `cryptography`" in note for note in r.notes) for r in reports)
    _edit(_file(room, 2, "journal.jsonl"), lambda ls: ls[:-1])
    assert "lines were cut off" in _problems(room)[0]


def test_the_seven_files_import_nothing_else_of_the_package():
    code = (
        "import sys; import esi_room.record.verify_room; "
        "print(sorted(m for m in sys.modules if m.startswith(('esi_room.', 'cryptography', 'msgspec'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    files = [
        "verify",
        "verify_amendments",
        "verify_checkpoints",
        "verify_clocks",
        "verify_lines",
        "verify_retention",
        "verify_room",
    ]
    assert done.stdout.strip() == str(["esi_room.record", *(f"esi_room.record.{name}" for name in files)])


def test_progress_counts_the_bytes_read(room):
    seen: list[int] = []
    list(verify_room(room, progress=seen.append))
    assert sum(seen) == sum(p.stat().st_size for p in (room / "records").rglob("*.jsonl"))


def _damaged(report: Report) -> bool:
    return bool(report.problems)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_byte_changed_in_a_signed_room_is_found(pristine, tmp_path, data):
    """Also in the newest record: it is signed to its end. The private key is none of the record's files."""
    room = tmp_path / "room"
    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(pristine, room)
    files = sorted(p for p in (room / "records").rglob("*") if p.is_file())
    path = data.draw(st.sampled_from(files))
    octets = bytearray(path.read_bytes())
    torn = path == _file(room, 2, "checkpoints.jsonl")  # its very last newline: as a crash would leave it
    at = data.draw(st.integers(0, len(octets) - 1 - torn))
    octets[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(octets)
    assert any(_damaged(report) for report in verify_room(room))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.binary(min_size=1, max_size=400), which=st.integers(0, 1))
def test_verify_never_falls_over_a_checkpoint_file(pristine, tmp_path, octets, which):
    room = tmp_path / "room"
    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(pristine, room)
    _file(room, which, "checkpoints.jsonl").write_bytes(octets)
    assert _problems(room)
    (tmp_path / "witness").write_bytes(octets + b"\n")
    assert read_witnessed(tmp_path / "witness").problem
