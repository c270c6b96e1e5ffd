"""Which image was on at a moment, and when any frame was taken: the frames of a record on the room's time axis.

Pure, over the entries of type `carm.image`. A frame's time is its entry's `time` (`acquired`, corrected by the device's
offset), plus `first_frame_ms`, plus its own offset from the first. What is on is the frame that began last: an image
stays until the next one, as it does on the C-arm's own screen (last image hold).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from esi_room.clock import parse_rfc3339
from esi_room.events import CarmImage, Entry, InstanceRef

_NS_PER_MS = 1_000_000


class Frame(NamedTuple):
    """One frame: `number` counts from 1, as DICOM does; None where the header does not tell when each was taken.
    `wall_ns`: when it began."""

    entry: InstanceRef
    sha256: str
    number: int | None
    wall_ns: int


class _Run(NamedTuple):
    """An object's frames: `at_ns` one after the other; a single one where the times of the others are not told."""

    at_ns: tuple[int, ...]
    entry: InstanceRef
    sha256: str
    frames: int

    def frame(self, index: int) -> Frame:
        number = index + 1 if len(self.at_ns) == self.frames else None
        return Frame(self.entry, self.sha256, number, self.at_ns[index])


class Timeline:
    """Of the images among some entries. Objects that came again, and those without pixels, are not on it."""

    def __init__(self, images: Iterable[tuple[Entry, CarmImage]]) -> None:
        runs = (_run(entry, image) for entry, image in images if image.duplicate_of is None and image.rows)
        self._runs = sorted(runs, key=lambda run: run.at_ns[0])
        self._begins = [run.at_ns[0] for run in self._runs]
        self._by_ref = {(run.entry.record, run.entry.seq): run for run in self._runs}

    def at(self, wall_ns: int) -> Frame | None:
        """The frame that was on; None before the first."""
        last: Frame | None = None
        for run in self._runs[: bisect_right(self._begins, wall_ns)]:
            frame = run.frame(bisect_right(run.at_ns, wall_ns) - 1)
            if last is None or frame.wall_ns >= last.wall_ns:
                last = frame
        return last

    def frame(self, entry: InstanceRef, number: int) -> Frame | None:
        """Frame `number` (from 1) of an entry; None where it has none of a known time."""
        run = self._by_ref.get((entry.record, entry.seq))
        if run is None or not 1 <= number <= len(run.at_ns):
            return None
        return run.frame(number - 1)

    def between(self, from_ns: int, to_ns: int) -> list[Frame]:
        """All frames that began in this time, `to_ns` not included, in their order."""
        found = [
            run.frame(index)
            for run in self._runs[: bisect_right(self._begins, to_ns)]
            for index, at_ns in enumerate(run.at_ns)
            if from_ns <= at_ns < to_ns
        ]
        return sorted(found, key=lambda frame: frame.wall_ns)


def _run(entry: Entry, image: CarmImage) -> _Run:
    frames = image.frames or 1
    first_ns = parse_rfc3339(entry.time) + round((image.first_frame_ms or 0.0) * _NS_PER_MS)
    told = len(image.frame_times_ms) == frames
    # Frames are kept in the order of time: a device whose clock jumps within a run breaks no look-up.
    offsets = sorted(image.frame_times_ms) if told else (0.0,)
    at_ns = tuple(first_ns + round(offset_ms * _NS_PER_MS) for offset_ms in offsets)
    return _Run(at_ns, InstanceRef(record=entry.record, seq=entry.seq), image.sha256, frames)
