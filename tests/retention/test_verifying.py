"""What verify finds of removed records: a hole without its entry, one made up, one altered. Any run leaves a whole."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from retention_rig import DAY_S, START_NS, Kept, cases, problems, room

from esi_room.clock import ManualClock
from esi_room.record.held import report
from esi_room.record.reader import journal_path, records
from esi_room.record.removed import there
from esi_room.record.retention import Policy
from esi_room.record.verify_checkpoints import Checkpoint, parse
from esi_room.record.verify_room import verify_room


async def _build(root: Path) -> None:
    """Day by day for a week, three days kept: some of the records that say what was removed are gone themselves."""
    async with room(root, ManualClock(START_NS)) as builder:
        kept = Kept(builder, Policy(keep_days=3, keep_images_days=2))
        for _ in range(7):
            await cases(builder, 1)
            await kept.look()
        builder.sign()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("room")
    asyncio.run(_build(root))
    assert problems(root) == []
    return root


@pytest.fixture(scope="module")
def removed_ids(pristine: Path) -> list[str]:
    return gone(pristine)


@pytest.fixture
def data(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "room"))


def at(data: Path, record: str, name: str = "") -> Path:
    return data / "records" / record / name


def gone(data: Path) -> list[str]:
    return [each.record for each in verify_room(data) if each.removed]


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_the_room_is_as_these_tests_want_it(data):
    removed = gone(data)
    assert len(removed) >= 6
    by = {json.loads(at(data, each, "removed.jsonl").read_bytes())["record"] for each in removed}
    assert by & set(removed), "some of the entries stand in records that are gone"
    assert by - set(removed)
    assert all(report(at(data, each)).ok and report(at(data, each)).removed for each in removed)


def test_a_record_taken_away_without_an_entry(data):
    record = there(data)[2]
    for path in at(data, record).iterdir():
        if path.name != "checkpoints.jsonl":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert any(f"{at(data, record, 'journal.jsonl')}: is missing" in each for each in problems(data))


def test_a_record_taken_away_with_its_directory(data):
    shutil.rmtree(at(data, there(data)[2]))
    assert any("does not follow the room's record before it" in each for each in problems(data))


@pytest.mark.parametrize("which", [0, 3, -1])
def test_what_is_left_of_a_removed_record_taken_away(data, which):
    shutil.rmtree(at(data, gone(data)[which]))
    assert problems(data)


@pytest.mark.parametrize("which", [0, 3, -1])
def test_its_line_taken_away(data, which):
    """Where a journal says it still, that is a removal which is not finished."""
    record = gone(data)[which]
    at(data, record, "removed.jsonl").unlink()
    (of_it,) = [each for each in verify_room(data) if each.record == record]
    assert of_it.problems or "its removal is not finished: files of it are still there" in of_it.notes


@pytest.mark.parametrize("which", [0, 3, -1])
@pytest.mark.parametrize(
    "change",
    [
        lambda o: o.replace(b"more than 3 days ago", b"more than 9 days ago"),
        lambda o: o.replace(b'"before":"', b'"before":"0', 1)[:-1] + b"\n",
        lambda o: o[:-1],
        lambda o: o + o,
        lambda _: b"",
        lambda _: b"{}\n",
    ],
    ids=["reason", "before", "newline", "twice", "empty", "nonsense"],
)
def test_its_line_altered(data, which, change):
    edit(at(data, gone(data)[which], "removed.jsonl"), change)
    assert problems(data)


def test_a_removal_made_up(data):
    """Somebody takes a record away, and leaves it the line of another, fitted."""
    victim, other = there(data)[1], gone(data)[-1]
    line = json.loads(at(data, other, "removed.jsonl").read_bytes())
    entry = [json.loads(each) for each in journal_path(data, victim).read_bytes().splitlines()]
    line["data"] |= {"record": victim, "prev": entry[0]["prev"], "entries": len(entry)}
    last = at(data, victim, "checkpoints.jsonl").read_bytes().splitlines()[-1]
    line["data"]["head"] = json.loads(last)["sha256"]
    octets = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    for path in at(data, victim).iterdir():
        if path.name != "checkpoints.jsonl":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    at(data, victim, "removed.jsonl").write_bytes(octets)
    assert any("forged: there is no such line in " in each for each in problems(data))
    assert not report(at(data, victim)).ok


def test_the_checkpoint_of_a_removed_record_taken_away_or_forged(data):
    path = at(data, gone(data)[2], "checkpoints.jsonl")
    octets = path.read_bytes()
    path.unlink()
    assert any("the checkpoint of its seal is missing" in each for each in problems(data))
    path.write_bytes(octets.replace(b'"seq":', b'"seq":1', 1))
    assert problems(data)


def test_a_witness_holds_removed_records_too(data, pristine):
    record = gone(data)[2]
    lines = at(data, record, "checkpoints.jsonl").read_bytes().splitlines(keepends=True)
    kept = [each for n, line in enumerate(lines, 1) if (each := parse(Path("witness.jsonl"), n, line)) is not None]
    assert not [problem for each in verify_room(data, witnessed=kept) for problem in each.problems]
    other: Checkpoint = kept[0]
    strange = Checkpoint(**{**vars(other), "sha256": "0" * 64, "signature": b"\0" * 64})
    found = [str(problem) for each in verify_room(data, witnessed=[strange]) for problem in each.problems]
    assert any("a checkpoint is missing" in each for each in found)


def test_an_image_lost_beside_those_that_were_shed(data):
    record = next(r for r in there(data) if list(at(data, r, "frames").glob("*.dcm")))
    next(at(data, record, "frames").glob("*.dcm")).unlink()
    assert any("is missing" in each for each in problems(data))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sample=st.data())
def test_any_single_byte_changed_in_what_is_left_is_found(pristine, removed_ids, sample):
    """But for the last newline of a file of checkpoints, which is as a crash would leave it."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(shutil.copytree(pristine, Path(folder) / "room"))
        record = sample.draw(st.sampled_from(removed_ids))
        path = at(data, record, sample.draw(st.sampled_from(["removed.jsonl", "checkpoints.jsonl"])))
        octets = bytearray(path.read_bytes())
        place = sample.draw(st.integers(0, len(octets) - 1 - (path.name == "checkpoints.jsonl")))
        octets[place] ^= sample.draw(st.integers(1, 255))
        path.write_bytes(octets)
        assert problems(data)


step = st.one_of(
    st.tuples(st.just("case"), st.integers(0, 2)),
    st.tuples(st.just("days"), st.integers(0, 3)),
    st.tuples(st.just("amend"), st.integers(0, 5)),
    st.tuples(st.just("late image"), st.integers(0, 5)),
    st.tuples(st.just("look"), st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 40_000))),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(step, min_size=3, max_size=14))
def test_after_any_runs_over_any_records_verify_holds_and_the_open_record_only_grows(steps):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live(Path(folder), steps))


async def _live(root: Path, steps: list[tuple[str, object]]) -> None:
    clock = ManualClock(START_NS)
    async with room(root, clock) as builder:
        made: list[str] = []
        for what, how in steps:
            alive = [each for each in made if each in there(root)]
            match what, how:
                case "case", int(images):
                    made += await cases(builder, 1, images)
                case "days", int(count):
                    clock.advance(count * DAY_S)
                case "amend", int(n) if n < len(alive):
                    await builder.amend(alive[n], f"late {builder.clock.now().wall_ns}")
                case "late image", int(n) if n < len(alive):
                    await builder.take_image(taken_in=alive[n])
                case "look", (int(keep), int(images), int(quota)):
                    journal = journal_path(root, records(root)[-1])
                    octets = journal.read_bytes()
                    policy = Policy(keep_days=keep, keep_images_days=min(images, keep), max_bytes=quota or None)
                    await Kept(builder, policy).look()
                    assert journal.read_bytes().startswith(octets)
            builder.sign()
            assert problems(root) == []
