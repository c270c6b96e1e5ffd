"""Where on the room's time axis an object belongs. Runs in the daemon.

- `acquired` plus the device's offset (`offset`), but never later than it came: a run whose last frame would lie after
  its arrival is moved before it.
- Without a usable time of its own it was taken, at the latest, when it came.
- An object that comes after the record of its procedure was sealed is kept in the open one, and says in `taken_in`
  where it belongs.

What it knows is rebuilt from the journals at every start: the `carm.image` and `carm.mpps` lines in their order, and
each record's first and last line.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from esi_room.carm.time_axis.offset import Estimate, Offsets, parsed
from esi_room.clock import NS, Stamp, parse_rfc3339
from esi_room.events import CarmImage, CarmMpps, ClockOffset, Entry, RecordOpened, RecordSealed
from esi_room.record.reader import journal_path, records
from esi_room.record.removed import removal

# A record's first and last line: `record.sealed` names each wire log, 150 bytes each.
_LAST_LINE_BYTES = 64 << 10
_NS_PER_MS = 1_000_000


class Placed(NamedTuple):
    """`image`, perhaps with `taken_in`; when it was taken, by the room's clock; the offset that this
    follows from; and what is to be said of it."""

    image: CarmImage
    happened_wall_ns: int
    device_offset_s: float | None
    offset: ClockOffset | None


class Case(NamedTuple):
    """A procedure record that is over, from its opening to its sealing."""

    record: str
    from_ns: int
    to_ns: int


class Placer:
    """Places objects, and learns the devices' offsets from them and from the procedure steps that begin."""

    def __init__(self, root: Path) -> None:
        self._offsets = Offsets()
        self._root = root
        self._cases: list[Case] = []
        self._read: set[str] = set()
        self._known: str | None = None

    def remember_image(self, entry: Entry, image: CarmImage) -> None:
        """An entry of the room's journals, oldest first, together with the steps."""
        self._observe(image, parse_rfc3339(entry.received))

    def remember_step(self, entry: Entry, step: CarmMpps) -> None:
        """Likewise."""
        if step.message == "create":
            self.began(step.peer, step.started, parse_rfc3339(entry.received))

    def read_cases(self, before: str) -> bool:
        """Learn of every case before this record; False where the last lines of one are still being written. Reads
        two lines of each: the first time in a thread."""
        whole = True
        for record in records(self._root):
            if record in self._read or record >= before:
                continue
            ends = _ends(journal_path(self._root, record))
            if ends is None:
                whole = whole and removal(self._root, record) is not None
                continue
            self._read.add(record)
            first, last = ends
            if msgspec.json.decode(first.data, type=RecordOpened).kind == "procedure":
                self._cases.append(Case(record, parse_rfc3339(first.time), parse_rfc3339(last.time)))
        return whole

    def place(self, image: CarmImage, started: Stamp, record: str) -> Placed:
        """Where `image` belongs, whose first octet came at `started`, and which goes into `record`."""
        latest_ns = started.wall_ns - round(length_ms(image) * _NS_PER_MS)
        estimate = self._observe(image, started.wall_ns)
        time = None if image.acquired is None else parsed(image.acquired)
        if estimate is None or time is None:
            return Placed(image, latest_ns, None, None)
        happened_ns = min(time.wall_ns + round(estimate.offset_s * NS), latest_ns)
        case = self._case(happened_ns, record)
        if case is not None:
            image = replace(image, taken_in=case.record)
        said = estimate.payload
        return Placed(image, happened_ns, said.offset_s, said if estimate.changed else None)

    def began(self, peer: str, started: str | None, received_wall_ns: int) -> ClockOffset | None:
        """`peer` said that a procedure step has begun; what is to be said of its clock."""
        estimate = None if started is None else self._offsets.observe(peer, started, received_wall_ns)
        return estimate.payload if estimate is not None and estimate.changed else None

    def _observe(self, image: CarmImage, received_wall_ns: int) -> Estimate | None:
        """It came no sooner than its last frame was taken: that is the time to learn from."""
        if image.acquired is None:
            return None
        return self._offsets.observe(
            image.peer, image.acquired, received_wall_ns - round(length_ms(image) * _NS_PER_MS)
        )

    def _case(self, happened_ns: int, record: str) -> Case | None:
        """The procedure that was over when the object came, and during which it was taken."""
        if record != self._known and self.read_cases(record):
            self._known = record
        return next((case for case in self._cases if case.from_ns <= happened_ns < case.to_ns), None)


def length_ms(image: CarmImage) -> float:
    """From `acquired` to the last frame that the header gives a time."""
    last_ms = image.frame_times_ms[-1] if image.frame_times_ms else 0.0
    return max(0.0, (image.first_frame_ms or 0.0) + last_ms)


def _ends(journal: Path) -> tuple[Entry, Entry] | None:
    """The first line of a finished record, and the last; None where it is not finished, or not readable."""
    try:
        with journal.open("rb") as file:
            first = file.readline()
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_LINE_BYTES))
            last = file.read().splitlines()[-1]
        opened, closed = (msgspec.json.decode(line, type=Entry) for line in (first, last))
    except (OSError, IndexError, msgspec.MsgspecError):
        return None
    return (opened, closed) if (opened.type, closed.type) == (RecordOpened.TYPE, RecordSealed.TYPE) else None
