"""An entry on its way into the facts, and what is kept of it there."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import msgspec

from esi_room.clock import Stamp, parse_rfc3339
from esi_room.events import BY_TYPE, Entry, Event, Payload

F = TypeVar("F", bound=Payload)


class Fact(NamedTuple, Generic[F]):
    """An entry that counts. `at_s`: seconds from the record's opening to its receipt."""

    seq: int
    time_ns: int
    at_s: float
    source: str
    data: F


class Value(NamedTuple):
    """A reading that the device holds good or doubts. `at_s`: when it was observed."""

    at_s: float
    time_ns: int
    value: float
    seq: int
    source: str


class Taken(NamedTuple):
    """An entry on its way into the facts."""

    seq: int
    time_ns: int
    received: Stamp
    source: str
    data: Payload

    @classmethod
    def of_event(cls, seq: int, event: Event) -> Taken:
        """As it gets its place in the record, with no more digits than that has."""
        happened_ns = event.received.wall_ns if event.happened_wall_ns is None else event.happened_wall_ns
        received = Stamp(_microseconds(event.received.wall_ns), event.received.mono_ns)
        return cls(seq, _microseconds(happened_ns), received, event.source, event.data)

    @classmethod
    def of_entry(cls, entry: Entry) -> Taken | None:
        """As it stands in the record; None where it cannot be read or its type is not known."""
        if entry.type not in BY_TYPE:
            return None
        try:
            data = msgspec.json.decode(entry.data, type=BY_TYPE[entry.type])
            received = Stamp(parse_rfc3339(entry.received), entry.mono_ns)
            return cls(entry.seq, parse_rfc3339(entry.time), received, entry.source, data)
        except (msgspec.MsgspecError, ValueError):
            return None


def _microseconds(wall_ns: int) -> int:
    return wall_ns // 1000 * 1000
