"""One time axis for a record: what is replayed is placed on it, and on no clock of today.

Rules:
- It is the record's monotonic clock, for a step of the wall clock moves nothing. It never runs backwards: a line stood
  behind those before it when it was published, also where its first byte had come earlier.
- A daemon that started again may have a monotonic clock that began anew. How long it was away the elder of the two
  clocks says, as it does for the daemon.
"""

from __future__ import annotations

from typing import NamedTuple

from esi_room.clock import parse_rfc3339
from esi_room.events import Entry, RecordRecovered


class Moment(NamedTuple):
    """Where an entry stands. `at_ns`: on the axis; `observed_ns`: of its receipt on the axis, not later than `at_ns`;
    `wall_ns`: what the room's clock said at `at_ns`."""

    at_ns: int
    observed_ns: int
    wall_ns: int


class Axis:
    """Places entries, in the order of their `seq`."""

    def __init__(self) -> None:
        self._at_ns: int | None = None
        self._shift_ns = 0  # from the monotonic clock to the axis
        self._last: tuple[int, int] = (0, 0)  # wall and monotonic, as received

    def place(self, entry: Entry) -> Moment:
        """The next entry's. The first one stands at the monotonic clock's own value."""
        wall_ns = parse_rfc3339(entry.received)
        if self._at_ns is None:
            self._at_ns = entry.mono_ns
        elif entry.type == RecordRecovered.TYPE:
            away_ns = max(0, wall_ns - self._last[0], entry.mono_ns - self._last[1])
            self._shift_ns = self._at_ns + away_ns - entry.mono_ns
        observed_ns = entry.mono_ns + self._shift_ns
        self._at_ns = max(self._at_ns, observed_ns)
        self._last = (wall_ns, entry.mono_ns)
        return Moment(self._at_ns, observed_ns, wall_ns + self._at_ns - observed_ns)
