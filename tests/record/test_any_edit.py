"""Any single edit of any file of a room's sealed record is found; and exactly what cannot be found in the open one.

What is a note and no problem, because a crash or the room itself leaves such a thing, too:

- A file that no entry names (an image that was received and never acknowledged).
- Octets without a newline behind the last line of `amendments.jsonl` or `checkpoints.jsonl`.
- Checkpoints of amendments that are missing at the end of `checkpoints.jsonl`: the amendments themselves are held by
  the room's chain.

What is not found in the open record without a witness is behind its last checkpoint: `test_the_open_record` says it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from esi_room.record.verify import Report
from esi_room.record.verify_checkpoints import Checkpoint, parse
from esi_room.record.verify_room import record_ids, verify_room

MAY_END_TORN = {"amendments.jsonl", "checkpoints.jsonl"}
LAST_KIB = 1024


@pytest.fixture(scope="module")
def room(signed_room: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for all: every edit here is undone again."""
    return Path(shutil.copytree(signed_room, tmp_path_factory.mktemp("edited") / "room"))


@contextmanager
def edited(path: Path, octets: bytes | None) -> Iterator[None]:
    """The file with other octets, or without it, for a while."""
    before = path.read_bytes() if path.exists() else None
    try:
        if octets is None:
            path.unlink()
        else:
            path.write_bytes(octets)
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)


def verified(room: Path, witnessed: tuple[Checkpoint, ...] = ()) -> tuple[list[str], list[str]]:
    """Problems and notes."""
    reports: list[Report] = list(verify_room(room, witnessed=witnessed))
    return [str(p) for r in reports for p in r.problems], [note for r in reports for note in r.notes]


def sealed_files(room: Path) -> list[Path]:
    return sorted(p for record in record_ids(room)[:-1] for p in (room / "records" / record).rglob("*") if p.is_file())


def _octets(draw: Any, before: bytes) -> bytes:
    at, to = sorted(draw(st.tuples(*[st.integers(0, len(before))] * 2)))
    other = draw(st.integers(to, len(before)))
    some = draw(st.binary(min_size=1, max_size=4) | st.sampled_from([b"\n", b"\0", b"\xff", b" ", b"\n\n"]))
    kinds: dict[str, Callable[[], bytes]] = {
        "change": lambda: before[:at] + some + before[at + len(some) :],
        "insert": lambda: before[:at] + some + before[at:],
        "delete": lambda: before[:at] + before[to:],
        "cut the end off": lambda: before[:at],
        "cut the beginning off": lambda: before[at:],
        "double": lambda: before[:to] + before[at:to] + before[to:],
        "swap": lambda: before[:at] + before[to:other] + before[at:to] + before[other:],
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))]()


def _lines(draw: Any, before: bytes) -> bytes:
    lines = before.splitlines(keepends=True)
    at, to = sorted(draw(st.tuples(*[st.integers(0, len(lines))] * 2)))
    kinds: dict[str, Callable[[], list[bytes]]] = {
        "remove": lambda: lines[:at] + lines[to:],
        "double": lambda: lines[:to] + lines[at:to] + lines[to:],
        "swap": lambda: lines[:at] + lines[at:to][::-1] + lines[to:],
        "insert": lambda: [*lines[:at], b'{"v":1}\n', *lines[at:]],
        "move": lambda: lines[:at] + lines[at + 1 : to] + lines[at : at + 1] + lines[to:],
    }
    return b"".join(kinds[draw(st.sampled_from(sorted(kinds)))]())


def _only_a_note(path: Path, before: bytes, after: bytes) -> bool:
    """As the file's head says."""
    if path.name == "checkpoints.jsonl":
        seal = path.parent.joinpath("journal.jsonl").read_bytes().count(b"\n") - 1
        of_seal = before.index(b'"seq":%d,' % seal)
        kept = before[: before.index(b"\n", of_seal) + 1]
        whole = after[: after.rfind(b"\n") + 1]
        return before.startswith(whole) and whole.startswith(kept)
    return path.name in MAY_END_TORN and after.startswith(before) and b"\n" not in after[len(before) :]


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_single_edit_of_any_file_of_a_sealed_record_is_found(room, data):
    path = data.draw(st.sampled_from(sealed_files(room)), label="file")
    before = path.read_bytes()
    edit = data.draw(st.sampled_from([_octets, _lines] if path.suffix == ".jsonl" else [_octets]))
    after = edit(data.draw, before)
    assume(after != before)
    _, notes = verified(room)
    with edited(path, after):
        problems, new = verified(room)
    if _only_a_note(path, before, after):
        assert not problems
        assert new != notes
    else:
        assert problems


def test_any_file_removed_or_replaced_by_something_else_is_found(room, tmp_path):
    files = sealed_files(room)
    assert len(files) == 12
    for path in files:
        twin = tmp_path / "twin"
        shutil.copy(path, twin)
        with edited(path, None):
            assert verified(room)[0], f"{path} removed"
            path.symlink_to(twin)  # the same octets, outside of the record
            assert verified(room)[0], f"{path} is a link"
            path.unlink()
            path.mkdir()
            assert verified(room)[0], f"{path} is a directory"
        for other in files:
            if other.read_bytes() != path.read_bytes():
                with edited(path, other.read_bytes()):
                    assert verified(room)[0], f"{path} replaced by {other}"


@pytest.mark.parametrize("folder", ["frames", "private", "wire"])
def test_a_folder_that_is_a_link_is_not_followed(room, tmp_path, folder):
    path = room / "records" / record_ids(room)[1] / folder
    path.rename(tmp_path / folder)
    path.symlink_to(tmp_path / folder)
    problems, _ = verified(room)
    path.unlink()
    (tmp_path / folder).rename(path)
    assert f"{path}: cannot be read: it is no directory" in problems


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("frames/" + "0" * 64 + ".dcm", False),
        ("frames/more.txt", False),
        ("private/" + "0" * 64 + ".mpps", False),
        ("wire/pump-2.jsonl", True),
        ("wire/pump-1.jsonl.old", False),
        ("torn-7-00000000", False),
        ("notes.txt", False),
    ],
)
def test_a_file_that_was_added_is_found(room, name, problem):
    _, notes = verified(room)
    with edited(room / "records" / record_ids(room)[1] / name, b"more"):
        problems, new = verified(room)
    assert bool(problems) == problem
    assert problem or new != notes


def test_a_record_removed_doubled_renamed_or_put_in_is_found(room):
    folder = room / "records"
    first, case, newest = record_ids(room)
    for record in (first, case):
        (folder / record).rename(room / "away")
        assert verified(room)[0], f"{record} removed"
        (room / "away").rename(folder / record)
    for name in (f"{case[:-4]}0000", f"{case[:-4]}ffff", "20991231T235959Z-0000", "20000101T000000Z-0000"):
        shutil.copytree(folder / case, folder / name)
        assert verified(room)[0], f"a copy of the case as {name}"
        shutil.rmtree(folder / name)
        (folder / name).mkdir()
        assert verified(room)[0], f"an empty directory {name}"
        (folder / name).rmdir()
        (folder / case).rename(folder / name)
        assert verified(room)[0], f"the case as {name}"
        (folder / name).rename(folder / case)
    assert newest == record_ids(room)[-1]
    assert not verified(room)[0]


FILES = ["journal.jsonl", "amendments.jsonl", "checkpoints.jsonl", "wire/monitor-1.jsonl", "frames", "private"]


@pytest.mark.parametrize("name", FILES)
def test_a_sealed_record_cut_at_any_octet_of_the_last_kibibyte_is_found(room, name):
    case = room / "records" / record_ids(room)[1]
    path = case / name if (case / name).is_file() else sorted((case / name).iterdir())[0]
    before = path.read_bytes()
    _, notes = verified(room)
    for left in range(max(0, len(before) - LAST_KIB), len(before)):
        with edited(path, before[:left]):
            problems, new = verified(room)
        if _only_a_note(path, before, before[:left]):
            assert new != notes, left
        else:
            assert problems, left


def _kept(room: Path, record: str) -> list[Checkpoint]:
    path = room / "records" / record / "checkpoints.jsonl"
    found = [parse(Path("witness.jsonl"), n, line) for n, line in enumerate(path.read_bytes().splitlines(True), 1)]
    return [each for each in found if each is not None]


def _first(octets: bytes, lines: int) -> bytes:
    return b"".join(octets.splitlines(keepends=True)[:lines])


def test_the_open_record_cut_at_any_octet_is_held_up_to_its_last_checkpoint_and_not_beyond(room):
    """What is not found: whole lines cut off behind the last checkpoint (a daemon may not have written them yet)."""
    newest = record_ids(room)[-1]
    path = room / "records" / newest / "journal.jsonl"
    before, last = path.read_bytes(), _kept(room, newest)[-1]
    signed = len(_first(before, last.seq + 1))
    assert signed < len(before)
    for left in range(max(0, len(before) - 2 * LAST_KIB), len(before)):
        with edited(path, before[:left]):
            found = bool(verified(room)[0])
        assert found == (left < signed or before[left - 1 : left] != b"\n"), left


def test_the_open_record_altered_behind_its_last_checkpoint_is_found_but_for_its_last_line(room):
    newest = record_ids(room)[-1]
    path = room / "records" / newest / "journal.jsonl"
    before = path.read_bytes()
    with edited(path, before.replace(b"standby 4", b"standby 9")):
        assert verified(room)[0]
    with edited(path, before.replace(b"standby 5", b"standby 9")):
        assert not verified(room)[0]  # not found: nothing names the last line yet


def test_the_open_record_cut_together_with_its_checkpoints_is_found_with_a_witness_only(room):
    newest = record_ids(room)[-1]
    path = room / "records" / newest / "journal.jsonl"
    before, kept = path.read_bytes(), _kept(room, newest)
    checkpoints = path.with_name("checkpoints.jsonl")
    for lines in range(1, before.count(b"\n") + 1):
        still = sum(each.seq < lines for each in kept)
        with edited(path, _first(before, lines)), edited(checkpoints, _first(checkpoints.read_bytes(), still)):
            announced = lines > 5  # else amendments are on disk that nothing announces: a note
            assert not verified(room)[0] or not announced
            problems, _ = verified(room, tuple(kept))
        assert bool(problems) == (lines <= kept[-1].seq), lines


def test_checkpoints_cut_off_the_open_record_are_found_with_a_witness_only(room):
    newest = record_ids(room)[-1]
    path = room / "records" / newest / "checkpoints.jsonl"
    kept = tuple(_kept(room, newest))
    for lines in range(len(kept)):
        with edited(path, _first(path.read_bytes(), lines)):
            assert not verified(room)[0]
            (problem,) = verified(room, kept)[0]
        assert f"{path.name}" in problem
        assert f"a checkpoint is missing: witness.jsonl:{lines + 1} keeps it" in problem


def test_wire_bytes_of_the_open_record_are_held_by_their_own_chain_only_until_it_is_sealed(room):
    newest = record_ids(room)[-1]
    path = room / "records" / newest / "wire" / "monitor-1.jsonl"
    before = path.read_bytes()
    with edited(path, before.replace(b'"n":1', b'"n":7', 1)):
        assert verified(room)[0]
    with edited(path, _first(before, 2)):
        assert not verified(room)[0]  # not found: the seal is to name its end
    with edited(path, None):
        assert not verified(room)[0]


def test_the_newest_record_removed_is_found_with_a_witness_only(room):
    newest = record_ids(room)[-1]
    kept, path = tuple(_kept(room, newest)), room / "records" / newest
    path.rename(room / "away")
    alone, with_witness = verified(room)[0], verified(room, kept)[0]
    (room / "away").rename(path)
    assert all("amendment" in each for each in alone)
    assert any("the record that witness.jsonl:1 names is missing: it was removed" in each for each in with_witness)
