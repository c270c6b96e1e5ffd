"""The journal: order, the chain, the commit point, failing disks, switching, recovery."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from esi_room.errors import RecordError, RecordFull
from esi_room.record import journal as journal_module
from esi_room.record.disk import Disk
from esi_room.record.reader import find, first, journal_path, read, records
from esi_room.record.verify_room import verify_room


def lines(root: Path, record: str | None = None) -> list[dict]:
    ids = [record] if record else records(root)
    return [json.loads(line) for r in ids for line in journal_path(root, r).read_bytes().splitlines()]


def verified(root: Path) -> bool:
    return all(report.ok for report in verify_room(root))


async def test_lines_have_the_exact_format_and_chain_over_octets(tmp_path, open_journal, note):
    async with open_journal() as journal:
        await journal.commit(note("Zähne zusammenbeißen"))
        record = journal.record
    octets = journal_path(tmp_path, record).read_bytes()
    one, two = octets.splitlines(keepends=True)
    assert list(json.loads(two)) == [
        "v", "record", "seq", "prev", "type", "time", "received", "mono_ns", "source", "data",
    ]  # fmt: skip
    entry = json.loads(two)
    assert entry["prev"] == hashlib.sha256(one).hexdigest()
    assert (entry["v"], entry["record"], entry["seq"]) == (1, record, 1)
    assert entry["time"] == entry["received"] == "2023-11-14T22:13:20.000000Z"
    assert entry["data"] == {"text": "Zähne zusammenbeißen", "actor": "Dr. A"}
    assert json.loads(one)["prev"] == "0" * 64


async def test_a_shell_proves_the_chain(tmp_path, open_journal, note):
    async with open_journal() as journal:
        for n in range(5):
            await journal.commit(note(str(n)))
        path = journal_path(tmp_path, journal.record)
    for n in range(1, 5):
        digest = subprocess.run(
            f"sed -n '{n}p' {path} | sha256sum", shell=True, capture_output=True, text=True, check=True
        ).stdout.split()[0]
        assert json.loads(path.read_bytes().splitlines()[n])["prev"] == digest


async def test_nothing_counts_as_durable_before_the_sync(open_journal, note, disk):
    async with open_journal(disk) as journal:
        await journal.commit(note())
        before = journal.committed
        disk.error, disk.methods = OSError(errno.EIO, "Input/output error"), {"sync"}
        receipt = journal.append(note("not yet"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receipt.durable(), 0.1)
        assert journal.committed == before
        assert "Input/output error" in (journal.problem or "")
        disk.error = None
        await asyncio.wait_for(receipt.durable(), 5)
        assert journal.problem is None
        assert journal.committed.seq == before.seq + 1


async def test_what_arrives_during_a_sync_shares_the_next(open_journal, note, disk):
    async with open_journal(disk) as journal:
        await journal.commit(note())
        syncs = disk.calls.count("sync")
        receipts = [journal.append(note(str(n))) for n in range(200)]
        await asyncio.gather(*(r.durable() for r in receipts))
        assert disk.calls.count("sync") - syncs <= 2


@pytest.mark.parametrize("method", ["write", "sync", "open", "mkdir"])
@pytest.mark.parametrize("partial", [0, 100])
async def test_a_full_disk_is_said_and_waited_for_and_loses_nothing(
    tmp_path, open_journal, note, disk, method, partial, monkeypatch
):
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    async with open_journal(disk) as journal:
        if method in {"write", "sync"}:
            await journal.commit(note("before"))
        disk.partial, disk.methods = partial, {method}
        disk.error = OSError(errno.ENOSPC, "No space left on device")
        receipts = [journal.append(note(str(n))) for n in range(20)]
        journal.wire("monitor-1").received(note().received, b"\x7e" * 50)
        await asyncio.sleep(0.15)
        assert "No space left" in (journal.problem or "")
        assert verified(tmp_path) or method in {"open", "mkdir"} or partial  # a torn line at most, never a wrong one
        disk.error = None
        await asyncio.gather(*(r.durable() for r in receipts))
    texts = [e["data"]["text"] for e in lines(tmp_path) if e["type"] == "clinical.note"]
    assert texts[-20:] == [str(n) for n in range(20)]
    assert verified(tmp_path)


class WireDisk(Disk):
    """A disk on which wire files cannot be made durable while `error` is set, and on which that takes `hold`."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.hold: threading.Event | None = None

    def sync(self, descriptor: int) -> None:
        if "/wire/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            if self.hold is not None:
                self.hold.wait(5)
            if self.error is not None:
                raise self.error
        super().sync(descriptor)


async def test_a_wire_file_that_cannot_be_made_durable_repeats_no_line(
    tmp_path, open_journal, note, clock, monkeypatch
):
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    disk = WireDisk()
    async with open_journal(disk) as journal:
        disk.error = OSError(errno.EIO, "Input/output error")
        for n in range(3):
            clock.advance(10)
            journal.wire("monitor-1").received(note().received, b"\x7e" * 50)
            await asyncio.wait_for(journal.commit(note(str(n))), 5)
        async with asyncio.timeout(5):
            while journal.problem is None:
                await asyncio.sleep(0.01)
        assert "Input/output error" in journal.problem
        disk.error = None
        await journal.commit(note("3"))
        async with asyncio.timeout(5):
            while journal.problem is not None:
                await asyncio.sleep(0.01)
    assert [e["data"]["text"] for e in lines(tmp_path) if e["type"] == "clinical.note"] == list("0123")
    assert verified(tmp_path)


async def test_a_line_does_not_wait_for_the_wire_files(open_journal, note, clock):
    disk = WireDisk()
    async with open_journal(disk) as journal:
        await journal.commit(note())
        clock.advance(10)
        disk.hold = threading.Event()
        journal.wire("monitor-1").received(note().received, b"\x7e" * 50)
        try:
            await asyncio.wait_for(journal.commit(note()), 2)
        finally:
            disk.hold.set()


async def test_a_dead_disk_refuses_at_last_instead_of_pretending(open_journal, note, disk, monkeypatch):
    monkeypatch.setattr(journal_module, "PENDING_BYTES", 2000)
    async with open_journal(disk) as journal:
        await journal.commit(note())
        disk.error, disk.methods = OSError(errno.EROFS, "Read-only file system"), {"write"}
        waiting = journal.append(note())
        with pytest.raises(RecordFull, match="wait for the disk"):
            for _ in range(50):
                journal.append(note("x" * 100))
                await asyncio.sleep(0.001)
        unwritten = asyncio.create_task(waiting.durable())
        await asyncio.sleep(0)
    with pytest.raises(RecordError, match="Read-only"):
        await unwritten


async def test_switch_seals_and_the_chain_runs_across(tmp_path, open_journal, note, clock):
    async with open_journal() as journal:
        standby = journal.record
        journal.wire("pump-1").received(clock.now(), b"\x0200S\x03")
        case = await journal.switch("procedure", "a case begins")
        journal.wire("pump-1").received(clock.now(), b"\x0200I\x03")
        await journal.commit(note())
        clock.advance(600)
        after = await journal.switch("standby", "the case ended")
    assert records(tmp_path) == [standby, case, after]
    last_of_first = journal_path(tmp_path, standby).read_bytes().splitlines(keepends=True)[-1]
    assert lines(tmp_path, case)[0]["prev"] == hashlib.sha256(last_of_first).hexdigest()
    sealed = lines(tmp_path, case)[-1]
    assert sealed["type"] == "record.sealed"
    assert sealed["data"]["entries"] == len(lines(tmp_path, case))
    assert sealed["data"]["wire"]["pump-1"]["lines"] == 1
    reports = list(verify_room(tmp_path))
    assert [r.sealed for r in reports] == [True, True, False]
    assert [r.kind for r in reports] == ["standby", "procedure", "standby"]
    assert all(r.ok for r in reports)


async def test_ids_sort_in_the_order_of_the_chain_though_the_clock_is_set_back(tmp_path, open_journal, clock):
    async with open_journal() as journal:
        ids = [journal.record]
        for step in (-86_400, 0, 0, -5, 3):
            clock.step(step)
            ids.append(await journal.switch("standby", "test"))
    assert ids == sorted(ids) == records(tmp_path)
    assert verified(tmp_path)


async def test_reader_gives_the_octets_across_records_and_stops_at_the_commit(tmp_path, open_journal, note):
    async with open_journal() as journal:
        for n in range(30):
            journal.append(note(str(n)))
        await journal.switch("procedure", "case")
        await journal.commit(note("last"))
        cursor, got = first(tmp_path), []
        while batch := read(tmp_path, cursor, journal.committed, max_lines=7):
            assert len(batch) <= 7
            got += batch
            cursor = batch[-1].after
        assert cursor == journal.committed
        assert read(tmp_path, cursor, journal.committed) == []
        on_disk = b"".join(journal_path(tmp_path, r).read_bytes() for r in records(tmp_path))
        assert b"".join(line.octets for line in got) == on_disk
        assert find(tmp_path, got[10].record, got[10].seq) == got[9].after
        assert find(tmp_path, got[10].record, 10_000) is None
        assert find(tmp_path, "../../etc", 0) is None


async def test_beyond_wakes_every_follower(open_journal, note):
    async with open_journal() as journal:
        await journal.commit(note())
        at = journal.committed
        followers = [asyncio.create_task(journal.beyond(at)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(f.done() for f in followers)
        await journal.commit(note())
        ends = await asyncio.wait_for(asyncio.gather(*followers), 1)
        assert all(e.seq == at.seq + 1 for e in ends)


async def test_settled_waits_until_what_was_appended_is_durable(open_journal, note, disk, monkeypatch):
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    async with open_journal(disk) as journal:
        receipts = [journal.append(note(str(n))) for n in range(5)]
        await asyncio.wait_for(journal.settled(), 5)
        assert journal.committed.seq == receipts[-1].seq + 1
        disk.error, disk.methods = OSError(errno.EIO, "Input/output error"), {"write"}
        journal.append(note("waits"))
        settling = asyncio.create_task(journal.settled())
        await asyncio.sleep(0.05)
        assert not settling.done()
        disk.error = None
        await asyncio.wait_for(settling, 5)


async def test_two_daemons_on_one_directory(open_journal):
    async with open_journal() as journal:
        await journal.beyond(journal.committed)
        with pytest.raises(RecordError, match=f"process {os.getpid()}"):
            open_journal()


async def test_everything_is_private(tmp_path, open_journal, note, clock):
    async with open_journal() as journal:
        journal.wire("monitor-1").received(clock.now(), b"x")
        await journal.commit(note())
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


# --- what a crash leaves --------------------------------------------------------------------------------------


async def _one_case(open_journal, note, clock, count: int = 5) -> None:
    async with open_journal() as journal:
        journal.wire("pump-1").received(clock.now(), b"\x0200S\x03")
        for n in range(count):
            await journal.commit(note(str(n)))


@pytest.mark.parametrize("cut", range(1, 320, 13))
async def test_a_torn_tail_is_cut_said_and_kept(tmp_path, open_journal, note, clock, cut):
    await _one_case(open_journal, note, clock)
    path = journal_path(tmp_path, records(tmp_path)[0])
    octets = path.read_bytes()
    path.write_bytes(octets[:-cut])
    whole = octets[:-cut].rsplit(b"\n", 1)[0] + b"\n"
    torn = octets[len(whole) : len(octets) - cut]
    async with open_journal() as journal:
        await journal.commit(note("after"))
    assert path.read_bytes().startswith(whole)
    recovered = next(e for e in lines(tmp_path) if e["type"] == "record.recovered")
    assert recovered["data"]["cut_bytes"] == len(torn)
    if torn:
        assert (path.parent / recovered["data"]["kept_as"]).read_bytes() == torn
        assert recovered["data"]["cut_sha256"] == hashlib.sha256(torn).hexdigest()
    assert verified(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b'{"v":1}\n', b"\0" * 4096])
async def test_a_record_whose_first_line_was_never_finished_is_begun_again(
    tmp_path, open_journal, note, clock, content
):
    async with open_journal() as journal:
        await journal.switch("procedure", "case")
        last = await journal.switch("standby", "over")
    journal_path(tmp_path, last).write_bytes(content)
    async with open_journal() as journal:
        assert journal.record == last
        await journal.commit(note())
    assert lines(tmp_path, last)[0]["type"] == "record.opened"
    assert verified(tmp_path)


async def test_a_crash_between_sealing_and_opening(tmp_path, open_journal, note):
    async with open_journal() as journal:
        sealed = journal.record
        fresh = await journal.switch("procedure", "case")
    for path in sorted((tmp_path / "records" / fresh).rglob("*"), reverse=True):
        path.unlink()
    (tmp_path / "records" / fresh).rmdir()
    async with open_journal() as journal:
        await journal.commit(note())
        assert journal.record > sealed
        assert journal.kind == "standby"
    assert verified(tmp_path)


async def test_zeros_behind_the_last_line_are_a_torn_tail(tmp_path, open_journal, note, clock):
    """What ext4 leaves where a file grew and the power went before its data were written."""
    await _one_case(open_journal, note, clock)
    with journal_path(tmp_path, records(tmp_path)[0]).open("ab") as file:
        file.write(b"\0" * 3000)
    async with open_journal() as journal:
        await journal.commit(note("after"))
    assert verified(tmp_path)


@pytest.mark.parametrize("torn", [b"\0" * 500, b'{"v":1,"rec'])
async def test_octets_behind_the_seal_are_cut_and_the_record_stays_sealed(tmp_path, open_journal, note, torn):
    async with open_journal() as journal:
        last = await journal.switch("procedure", "case")
        await journal.switch("standby", "over")
    for path in sorted((tmp_path / "records" / records(tmp_path)[2]).rglob("*"), reverse=True):
        path.unlink()
    (tmp_path / "records" / records(tmp_path)[2]).rmdir()
    with journal_path(tmp_path, last).open("ab") as file:
        file.write(torn)
    async with open_journal() as journal:
        await journal.commit(note("after"))
        assert journal.record > last
    assert next(journal_path(tmp_path, last).parent.glob("torn-*")).read_bytes() == torn
    assert verified(tmp_path)


async def test_a_record_altered_in_the_middle_is_left_alone_and_the_room_goes_on(tmp_path, open_journal, note, clock):
    await _one_case(open_journal, note, clock, count=8)
    path = journal_path(tmp_path, records(tmp_path)[0])
    altered = path.read_bytes().replace(b'"text":"3"', b'"text":"9"')
    path.write_bytes(altered)
    async with open_journal() as journal:
        await journal.commit(note("after"))
        fresh = journal.record
    assert path.read_bytes() == altered
    assert "line 6" in lines(tmp_path, fresh)[0]["data"]["broken"]
    broken, good = verify_room(tmp_path)
    assert not broken.ok
    assert good.kind == "standby"


async def test_a_torn_wire_file_goes_on(tmp_path, open_journal, note, clock):
    await _one_case(open_journal, note, clock)
    path = tmp_path / "records" / records(tmp_path)[0] / "wire" / "pump-1.jsonl"
    path.write_bytes(path.read_bytes() + b'{"v":1,"rec')
    async with open_journal() as journal:
        journal.wire("pump-1").received(clock.now(), b"\x0200I\x03")
        await journal.switch("standby", "end")
    recovered = next(e for e in lines(tmp_path) if e["type"] == "record.recovered")
    assert recovered["data"]["wire_cut_bytes"] == {"pump-1": 11}
    assert len(path.read_bytes().splitlines()) == 2
    assert verified(tmp_path)


async def test_a_standby_and_a_procedure_record_keep_their_kind_over_a_restart(tmp_path, open_journal):
    async with open_journal() as journal:
        case = await journal.switch("procedure", "case")
    async with open_journal() as journal:
        assert (journal.record, journal.kind) == (case, "procedure")


CRASHER = """
import asyncio, os, sys
from pathlib import Path
from esi_room.clock import SystemClock
from esi_room.events import ClinicalNote, Event
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal

class DyingDisk(Disk):
    left = int(sys.argv[2])
    def _count(self):
        DyingDisk.left -= 1
        if DyingDisk.left < 0:
            os._exit(9)
    def write(self, descriptor, octets):
        half = len(octets) // 2
        self._count(); os.write(descriptor, octets[:half]); self._count(); super().write(descriptor, octets[half:])
    def sync(self, descriptor):
        self._count(); super().sync(descriptor); self._count()
    def open_append(self, path):
        self._count(); return super().open_append(path)
    def sync_directory(self, path):
        self._count(); super().sync_directory(path)

async def main():
    clock = SystemClock()
    async with Journal.open(Path(sys.argv[1]), clock, Identity(room="r"), disk=DyingDisk()) as journal:
        for n in range(6):
            journal.wire("pump-1").received(clock.now(), b"0123456789")
            receipt = await journal.commit(
                Event(source="room", data=ClinicalNote(text=str(n), actor="a"), received=clock.now()))
            os.write(1, f"{receipt.record} {receipt.seq} {n}\\n".encode())  # at one go: the thread may die in it
            if n % 2:
                await journal.switch("procedure", "next")
asyncio.run(main())
"""


@pytest.mark.parametrize("calls", range(0, 60, 3))
def test_a_crash_at_any_call_to_the_disk_loses_nothing_acknowledged(tmp_path, calls):
    """The process ends inside the n-th disk call; three times over, the record verifies and holds every answer."""
    acknowledged: list[tuple[str, int, str]] = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", CRASHER, str(tmp_path), str(calls)], capture_output=True, text=True, check=False
        )
        assert done.returncode in {0, 9, -signal.SIGKILL}, done.stderr
        acknowledged += [(r, int(s), n) for r, s, n in (line.split() for line in done.stdout.splitlines())]
    final = subprocess.run(
        [sys.executable, "-c", CRASHER, str(tmp_path), "1000000"], capture_output=True, text=True, check=True
    )
    acknowledged += [(r, int(s), n) for r, s, n in (line.split() for line in final.stdout.splitlines())]
    there = {(e["record"], e["seq"]): e["data"].get("text") for e in lines(tmp_path)}
    assert all(there[record, seq] == n for record, seq, n in acknowledged)
    assert verified(tmp_path)
