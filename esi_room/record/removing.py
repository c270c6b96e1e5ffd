"""Taking a sealed record, or its images, off the disk.

    it holds -> `record.removed` or `record.shed` in the open record, durable (the journal's COMMIT POINT)
    -> `removed.jsonl`, that line octet for octet, durable -> its files, one after the other

Rules:
- A record that does not hold is never taken away: that would take the evidence with it.
- Nothing goes before the entry is durable. What a crash, or a disk that refuses, left half done is gone on with by the
  same code: `take_away` and `shed` may be called again and again.
- Slowly: vitals need the disk, too. `Gently` pauses, and ends early when the daemon is to stop.
- Every call blocks: make it in a thread.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from esi_room.events import RecordRemoved, RecordShed
from esi_room.record.disk import Disk
from esi_room.record.entry import NO_PREVIOUS, sha256
from esi_room.record.holdings import FRAMES, Holding, Holdings
from esi_room.record.reader import JOURNAL, directory, journal_path
from esi_room.record.recovery import sound
from esi_room.record.removed import Removal
from esi_room.record.retention import Step
from esi_room.record.verify import Elsewhere, Report, verify_record
from esi_room.record.verify_checkpoints import CHECKPOINTS, Signing, parse, read_keys
from esi_room.record.verify_retention import REMOVED

PRIVATE = "private"
STEP_BYTES = 64 << 10  # so much is read at one go, which keeps the event loop waiting for a millisecond ...
PAUSE_S = 0.01  # ... and then so long nothing: a journal of 64 MiB takes 10 s


class Stopped(Exception):
    """The daemon is to end."""


class NotToGo(Exception):
    """Why a record must not be taken away, whatever its age."""


class Gently:
    """Called with the number of bytes just read or removed."""

    def __init__(self) -> None:
        self._bytes, self._stop = 0, threading.Event()

    def __call__(self, count: int) -> None:
        self._bytes += count
        if self._bytes >= STEP_BYTES:
            self._bytes = 0
            self._stop.wait(PAUSE_S)
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """The next call raises Stopped."""
        self._stop.set()


def examined(root: Path, record: str, holdings: Holdings, gently: Gently) -> Report:
    """What `verify` says of it, as far as it stands alone. NotToGo where it does not hold."""
    signing = Signing(read_keys(root), signed_after=True)
    elsewhere = Elsewhere(gone=holdings.gone.get(record, {}))
    report = verify_record(
        directory(root, record), None, elsewhere=elsewhere, signing=signing, may_be_open=False, progress=gently
    )
    if not report.ok:
        raise NotToGo(f"it does not hold, and would take the evidence with it: {report.problems[0]}")
    return report


def to_shed(step: Step, holding: Holding) -> RecordShed:
    """What the room says of images that go."""
    return RecordShed(
        record=step.record,
        rule="max_bytes" if step.rule == "max_bytes" else "keep_images_days",
        reason=step.reason,
        images=holding.images,
        freed_bytes=holding.image_bytes,
    )


def to_remove(root: Path, step: Step, holding: Holding, report: Report, before: Removal | None) -> RecordRemoved:
    """What the room says of a record that goes."""
    path = directory(root, step.record) / CHECKPOINTS
    octets = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    signed = [(line, parse(path, n, line)) for n, line in enumerate(octets, 1)]
    seals = [line for line, each in signed if each is not None and each.seq == report.lines - 1]
    with journal_path(root, step.record).open("rb") as file:
        first = sound(file.readline(), step.record, 0, None)
    if not seals or first is None or report.room is None:
        raise NotToGo("its seal is not signed: nothing would be left to hold its place in the chain")
    return RecordRemoved(
        record=step.record,
        rule="max_bytes" if step.rule == "max_bytes" else "keep_days",
        reason=step.reason,
        kind=report.kind or "",
        room=report.room,
        opened=report.opened or "",
        closed=report.closed or "",
        prev=first.prev,
        head=report.head,
        entries=report.lines,
        images=report.images,
        amendments=report.amendments,
        freed_bytes=holding.size_bytes,
        checkpoint=seals[0].decode().removesuffix("\n"),
        before=NO_PREVIOUS if before is None else sha256(before.octets),
    )


def mark(root: Path, disk: Disk, removal: Removal, gently: Gently | None = None) -> None:
    """`removed.jsonl`: from here on nobody adds anything to the record."""
    path = directory(root, removal.said.record) / REMOVED
    if not path.exists() or path.read_bytes() != removal.octets:
        disk.write_file(path, removal.octets)


def take_away(root: Path, disk: Disk, removal: Removal, gently: Gently) -> None:
    """All of a record but its checkpoints and `removed.jsonl`; the journal last."""
    mark(root, disk, removal)
    folder = directory(root, removal.said.record)
    _empty(folder, disk, gently, but={JOURNAL, CHECKPOINTS, REMOVED})
    _unlink(folder / JOURNAL, disk, gently)
    disk.sync_directory(folder)


def shed(root: Path, disk: Disk, said: RecordShed, gently: Gently) -> None:
    """The images that the entry names."""
    frames = directory(root, said.record) / FRAMES
    if not frames.is_dir():
        return
    for digest in said.images:
        _unlink(frames / f"{digest}.dcm", disk, gently)
    disk.sync_directory(frames)


def _empty(folder: Path, disk: Disk, gently: Gently, but: set[str]) -> None:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        if entry.is_dir(follow_symlinks=False):
            _empty(Path(entry.path), disk, gently, set())
            disk.remove_directory(Path(entry.path))
        elif entry.name not in but:
            _unlink(Path(entry.path), disk, gently)


def _unlink(path: Path, disk: Disk, gently: Gently) -> None:
    try:
        size_bytes = path.lstat().st_size
    except FileNotFoundError:
        return
    if path.parent.name == PRIVATE:  # who the patient is: overwritten, as at an erasure
        disk.erase_file(path)
    else:
        disk.unlink(path)
    gently(
        max(size_bytes, STEP_BYTES)
    )  # a pause behind each file, however small: each is a write of the disk's own log
