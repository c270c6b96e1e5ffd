"""Retention at work: what goes, what stays, and that the chain holds whatever becomes of the daemon meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from pathlib import Path

import pytest
from retention_rig import DAY_S, Builder, Died, DyingDisk, Kept, StubbornDisk, cases, files, problems, room

from esi_room.errors import CommandRefused
from esi_room.record.disk import Disk
from esi_room.record.held import report
from esi_room.record.reader import journal_path, records
from esi_room.record.removed import removal, there
from esi_room.record.retention import Policy
from esi_room.record.verify_room import verify_room

LEFT = {"checkpoints.jsonl", "removed.jsonl"}


def removed(root: Path) -> list[str]:
    return [each.record for each in verify_room(root) if each.removed]


def said(builder: Builder, kind: str) -> list[bytes]:
    lines = [line for r in there(builder.root) for line in journal_path(builder.root, r).read_bytes().splitlines()]
    return [line for line in lines if f'"type":"{kind}"'.encode() in line]


async def test_nothing_is_removed_where_nothing_is_said(built):
    before = {record: files(built.root, record) for record in records(built.root)}
    await Kept(built, Policy()).look()
    assert {record: files(built.root, record) for record in records(built.root)} == before


async def test_records_beyond_their_age_leave_their_checkpoints_and_the_reason_in_the_chain(built):
    ids = records(built.root)
    opened = journal_path(built.root, ids[-1]).read_bytes()
    kept = Kept(built, Policy(keep_days=3))
    await kept.look()
    assert kept.problems == []
    assert problems(built.root) == []
    assert removed(built.root) == ids[:3]
    assert all(files(built.root, record) == LEFT for record in ids[:3])
    assert all("journal.jsonl" in files(built.root, record) for record in ids[3:])
    assert journal_path(built.root, ids[-1]).read_bytes().startswith(opened)
    first = next(verify_room(built.root))
    assert first.removed is not None
    assert "removed by the room 2027-01-" in first.removed
    assert f"of {ids[-1]} says: it was sealed on 2027-01-15, more than 3 days ago (keep_days)" in first.removed
    await kept.look()
    assert len(said(built, "record.removed")) == 3


async def test_images_go_before_their_record_and_verify_tells_them_from_lost_ones(built):
    ids = records(built.root)
    await Kept(built, Policy(keep_images_days=3)).look()
    assert problems(built.root) == []
    assert [len([f for f in files(built.root, r) if f.endswith(".dcm")]) for r in ids[1::2]] == [0, 2, 2, 2]
    second = list(verify_room(built.root))[1]
    assert any("2 files of frames/: shed by the room 2027-01-" in note for note in second.notes)
    assert report(built.root / "records" / ids[1]).ok
    next((built.root / "records" / ids[3] / "frames").iterdir()).unlink()
    assert "is missing" in problems(built.root)[0]


async def test_beyond_the_quota_the_oldest_images_go_first_and_records_when_no_image_is_left(built):
    ids = records(built.root)
    total = sum(size(built.root, record) for record in ids)
    await Kept(built, Policy(max_bytes=total - 3500)).look()
    assert removed(built.root) == []
    assert [len(list((built.root / "records" / r / "frames").glob("*"))) for r in ids[1::2]] == [0, 0, 2, 2]
    rest = sum(size(built.root, record) for record in ids)
    await Kept(built, Policy(max_bytes=rest - 4000 - size(built.root, ids[0]))).look()
    assert removed(built.root)[:1] == [ids[0]]
    left = sum(len(list((built.root / "records" / r / "frames").glob("*"))) for r in ids[1::2])
    assert left == 2  # of the case that was sealed less than a day ago
    assert problems(built.root) == []


async def test_a_quota_that_cannot_be_held_is_said_with_who_waits(built):
    ids = records(built.root)
    kept = Kept(built, Policy(max_bytes=1), waits=lambda record, _what: "pacs is away" if record == ids[1] else None)
    await kept.look()
    assert problems(built.root) == []
    assert "bytes more than retention.max_bytes allows" in str(kept.problems) or "kB more than" in str(kept.problems)
    assert f"{ids[1]} waits: pacs is away" in str(kept.problems)
    assert "journal.jsonl" in files(built.root, ids[1])
    assert "journal.jsonl" in files(built.root, ids[-2]), "it was sealed less than a day ago"


def size(root: Path, record: str) -> int:
    return sum(path.stat().st_size for path in (root / "records" / record).rglob("*") if path.is_file())


async def test_a_clock_that_nobody_sets_lets_nothing_go_for_its_age_and_that_is_said(built):
    kept = Kept(built, Policy(keep_days=1, keep_images_days=1), synchronised=None)
    await kept.look()
    assert removed(built.root) == []
    assert kept.problems == ["no record is removed for its age: the clock of this machine is not synchronised"]


async def test_a_record_that_does_not_hold_stays_as_evidence_and_others_go(built):
    ids = records(built.root)
    path = journal_path(built.root, ids[1])
    path.write_bytes(path.read_bytes().replace(b"a note", b"a vote"))
    kept = Kept(built, Policy(keep_days=3))
    await kept.look()
    assert "journal.jsonl" in files(built.root, ids[1])
    assert files(built.root, ids[0]) == files(built.root, ids[2]) == LEFT
    assert "was altered" in problems(built.root)[0]
    count = len(said(built, "record.removed"))
    await kept.look()
    assert len(said(built, "record.removed")) == count


async def test_a_record_whose_seal_is_not_signed_stays(tmp_path, clock):
    async with room(tmp_path, clock) as builder:
        for path in (tmp_path / "keys").iterdir():
            path.unlink()
        builder.sign = lambda: None  # type: ignore[method-assign]
        await cases(builder, 3)
        await Kept(builder, Policy(keep_days=1)).look()
        assert removed(tmp_path) == []


async def test_records_that_say_what_was_removed_go_in_their_turn(tmp_path, clock):
    """Day by day: nothing but the last few days is there, and the chain leads back through all of it."""
    async with room(tmp_path, clock) as builder:
        kept = Kept(builder, Policy(keep_days=2, keep_images_days=1))
        for _ in range(6):
            await cases(builder, 1)
            await kept.look()
            assert problems(tmp_path) == []
        ids = records(tmp_path)
        assert len(removed(tmp_path)) == 9
        by = {removal(tmp_path, record).entry.record for record in ids[:9]}
        assert by & set(removed(tmp_path)), "some of the records that said so are gone, too"
        assert kept.problems == []


async def test_amended_records_and_those_of_late_images_wait_for_each_other(tmp_path, clock):
    """What a record says of an older one is needed as long as that is there."""
    async with room(tmp_path, clock) as builder:
        (case,) = await cases(builder, 1)
        await builder.take_image(taken_in=case)
        await builder.amend(case, "a late pain score")
        await cases(builder, 2)
        kept = Kept(builder, Policy(keep_days=1), waits=lambda r, _w: "somebody needs it" if r == case else None)
        await kept.look()
        ids = records(tmp_path)
        assert removed(tmp_path) == [ids[0], *ids[3:5]]
        assert problems(tmp_path) == []
        await Kept(builder, Policy(keep_days=1)).look()
        assert removed(tmp_path) == ids[:5]
        assert problems(tmp_path) == []


async def test_a_line_that_somebody_laid_into_a_record_removes_nothing(built):
    """The daemon goes by its journals; verify says what that file is."""
    ids = records(built.root)
    await Kept(built, Policy(keep_days=3)).look()
    line = (built.root / "records" / ids[0] / "removed.jsonl").read_bytes().replace(ids[0].encode(), ids[5].encode())
    path = built.root / "records" / ids[5] / "removed.jsonl"
    path.write_bytes(line)
    before = files(built.root, ids[5])
    kept = Kept(built, Policy(keep_days=30))
    await kept.look()
    assert files(built.root, ids[5]) == before
    assert any("forged: there is no such line in " in each for each in problems(built.root))
    path.unlink()
    assert problems(built.root) == []


# --- crashes, full disks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", range(22))
async def test_a_crash_at_any_call_to_the_disk(tmp_path, clock, calls):
    """Verify holds right after it; the next start goes on, and nothing is said twice."""
    async with room(tmp_path, clock) as builder:
        await cases(builder, 2)
        ids = records(tmp_path)
        before = journal_path(tmp_path, ids[-1]).read_bytes()
        policy = Policy(keep_days=1, keep_images_days=1)
        with contextlib.suppress(Died):
            await Kept(builder, policy, disk=DyingDisk(calls)).look()
    assert problems(tmp_path) == []
    async with room(tmp_path, clock) as builder:
        assert journal_path(tmp_path, ids[-1]).read_bytes().startswith(before)
        await Kept(builder, policy).look()
        assert problems(tmp_path) == []
        assert removed(tmp_path) == ids[:3]
        assert all(files(tmp_path, record) == LEFT for record in ids[:3])
        assert len(said(builder, "record.removed")) == 3


@pytest.mark.parametrize("calls", range(5))
async def test_a_crash_while_images_are_shed(tmp_path, clock, calls):
    async with room(tmp_path, clock) as builder:
        await cases(builder, 2)
        with contextlib.suppress(Died):
            await Kept(builder, Policy(keep_images_days=1), disk=DyingDisk(calls)).look()
    assert problems(tmp_path) == []
    async with room(tmp_path, clock) as builder:
        await Kept(builder, Policy(keep_images_days=1)).look()
        assert len(said(builder, "record.shed")) == 1
        assert not list((tmp_path / "records" / records(tmp_path)[1] / "frames").iterdir())
    assert problems(tmp_path) == []


async def test_what_the_disk_does_not_let_go_of_is_said_and_the_next_one_goes(built):
    ids = records(built.root)
    disk = StubbornDisk(ids[1])
    kept = Kept(built, Policy(keep_days=3), disk=disk)
    await kept.look()
    assert kept.problems == [f"record {ids[1]} cannot be taken off the disk: Permission denied"]
    assert files(built.root, ids[2]) == LEFT
    assert problems(built.root) == []
    assert any("not finished" in note for note in list(verify_room(built.root))[1].notes)
    tries = disk.tries
    disk.stubborn = ""
    await kept.look()
    assert (disk.tries, kept.problems[-1]) == (tries, None)
    assert files(built.root, ids[1]) == LEFT
    assert len(said(built, "record.removed")) == 3


async def test_a_full_disk_takes_nothing_away_before_it_is_said(tmp_path, clock):
    class Full(Disk):
        full = False

        def write(self, descriptor: int, octets: bytes) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(descriptor, octets)

    disk = Full()
    async with room(tmp_path, clock, disk) as builder:
        await cases(builder, 3)
        ids = records(tmp_path)
        before = files(tmp_path, ids[0])
        disk.full = True
        looking = asyncio.create_task(Kept(builder, Policy(keep_days=1), disk=disk).look())
        async with asyncio.timeout(10):
            while builder.journal.problem is None:
                await asyncio.sleep(0.01)
        assert not looking.done()
        assert files(tmp_path, ids[0]) == before
        disk.full = False
        await asyncio.wait_for(looking, 10)
        assert removed(tmp_path)[:1] == [ids[0]]
        assert problems(tmp_path) == []


async def test_a_daemon_that_ends_does_not_wait_for_a_long_record(built):
    kept = Kept(built, Policy(keep_days=3))
    task = asyncio.create_task(kept.it.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert problems(built.root) == []


# --- living with it -------------------------------------------------------------------------------------------


async def test_a_room_whose_record_before_is_gone_starts_again_and_goes_on(tmp_path, clock):
    async with room(tmp_path, clock) as builder:
        await cases(builder, 1)
        clock.advance(5 * DAY_S)
        await Kept(builder, Policy(keep_days=1)).look()
        assert len(there(tmp_path)) == 1
    async with room(tmp_path, clock) as builder:
        await builder.seal("procedure")
        builder.sign()
    assert problems(tmp_path) == []


async def test_a_removed_record_is_not_amended(built):
    ids = records(built.root)
    await Kept(built, Policy(keep_days=3)).look()
    with pytest.raises(CommandRefused, match=r"was removed on 2027-01-\d\d: it was sealed on .* cannot be amended"):
        await built.amend(ids[1], "too late")
    assert files(built.root, ids[1]) == LEFT


async def test_a_removal_that_a_crash_left_in_words_alone_refuses_amendments_from_the_next_start_on(tmp_path, clock):
    async with room(tmp_path, clock) as builder:
        (case, _) = await cases(builder, 2)
        kept = Kept(builder, Policy(keep_days=1), lambda r, _w: None if r == case else "no", DyingDisk(0))
        with pytest.raises(Died):
            await kept.look()
    assert "removed.jsonl" not in files(tmp_path, case)
    assert removed(tmp_path) == [case]
    async with room(tmp_path, clock) as builder:
        await Kept(builder, Policy()).it.resume()
        with pytest.raises(CommandRefused, match="cannot be amended"):
            await builder.amend(case, "too late")
    assert problems(tmp_path) == []


async def test_an_amendment_that_comes_in_between_keeps_its_record(built):
    """Planned to go, and needed by the time that it would."""
    ids = records(built.root)
    asked: list[str] = []

    def waits(record: str, _what: str) -> str | None:
        asked.append(record)
        return "it was amended" if asked.count(record) > 1 and record == ids[1] else None

    await Kept(built, Policy(keep_days=3), waits=waits).look()
    assert removed(built.root) == [ids[0], ids[2]]
    assert problems(built.root) == []


async def test_links_in_a_record_are_taken_away_and_what_they_name_stays(built, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").write_text("!")
    ids = records(built.root)
    (built.root / "records" / ids[0] / "more").symlink_to(elsewhere)
    (built.root / "records" / ids[1] / "frames" / "a-link").symlink_to(elsewhere / "precious")
    await Kept(built, Policy(keep_days=3)).look()
    assert (elsewhere / "precious").read_text() == "!"
    assert files(built.root, ids[0]) == files(built.root, ids[1]) == LEFT
