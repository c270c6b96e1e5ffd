"""What was derived beside what was recorded, in their order, with the memory of a few of each.

Rules:
- Two are the same if they say the same. An entry's time is that of the read that brought its first byte; its wire line
  may have begun up to COALESCE_S before that, and is what is left of it.
- Where they part, they are held together again at the nearest place where they agree. What stands between is paired in
  its order, and what is left over stands alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice, product
from typing import NamedTuple

import msgspec

from esi_room.audit.derive.deriving import Derived
from esi_room.clock import NS
from esi_room.events import BY_TYPE, Entry
from esi_room.record.wire import COALESCE_S

LOOK_AHEAD = 32
# An offset is rounded to a millisecond, from stamps of which one was cut to a microsecond.
_OFFSET_SLACK_S = COALESCE_S + 0.002

_encoder = msgspec.json.Encoder()


class Pair(NamedTuple):
    """They differ; None: there is none."""

    derived: Derived | None
    recorded: Entry | None


def differing(derived: Iterator[Derived], recorded: Iterator[Entry]) -> Iterator[Pair]:
    """All that differ."""
    ours, theirs = deque[Derived](), deque[Entry]()
    while _filled(ours, derived, 1) | _filled(theirs, recorded, 1):
        if ours and theirs and same(ours[0], theirs[0]):
            ours.popleft()
            theirs.popleft()
            continue
        _filled(ours, derived, LOOK_AHEAD)
        _filled(theirs, recorded, LOOK_AHEAD)
        skip_ours, skip_theirs = _agree(ours, theirs)
        for n in range(max(skip_ours, skip_theirs)):
            yield Pair(
                ours.popleft() if n < skip_ours else None,
                theirs.popleft() if n < skip_theirs else None,
            )


def same(derived: Derived, recorded: Entry) -> bool:
    """Whether the entry says what its bytes do."""
    event = derived.event
    late_ns = recorded.mono_ns - event.received.mono_ns
    return (
        recorded.type == event.data.TYPE
        and recorded.device_time == event.device_time
        and 0 <= late_ns < COALESCE_S * NS
        and _near(recorded.device_offset_s, event.device_offset_s)
        and _says(recorded, derived)
    )


def _says(recorded: Entry, derived: Derived) -> bool:
    data = derived.event.data
    if bytes(recorded.data) == _encoder.encode(data):
        return True
    try:  # written by a version that had not every field yet
        return bool(msgspec.json.decode(recorded.data, type=BY_TYPE[recorded.type]) == data)
    except ValueError:  # msgspec's own errors are such, too
        return False


def _near(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= _OFFSET_SLACK_S


def _filled(queue: deque[Derived] | deque[Entry], source: Iterator[Derived] | Iterator[Entry], count: int) -> bool:
    queue.extend(islice(source, count - len(queue)) if len(queue) < count else ())  # type: ignore[arg-type]
    return bool(queue)


def _agree(ours: deque[Derived], theirs: deque[Entry]) -> tuple[int, int]:
    """How many of each stand before the nearest place where they agree; one of each where there is none."""
    places = sorted(product(range(len(ours)), range(len(theirs))), key=lambda place: (sum(place), max(place)))
    for n, m in places:
        if same(ours[n], theirs[m]):
            return n, m
    return min(1, len(ours)), min(1, len(theirs))
