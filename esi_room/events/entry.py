"""An event on its way into the record, and the line that it becomes."""

from __future__ import annotations

from msgspec import Raw, Struct

from esi_room.clock import Stamp
from esi_room.events.base import Payload


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, before the record has given it a `seq`.

    `received`: room clock when its first byte arrived. `happened_wall_ns`: best estimate of when it happened,
    where that is not `received`. `device_time`: as the device wrote it, `device_offset_s`: room clock minus
    device clock, as estimated.
    """

    source: str
    data: Payload
    received: Stamp
    happened_wall_ns: int | None = None
    device_time: str | None = None
    device_offset_s: float | None = None


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One journal line, in the order its keys are written. `data` keeps its octets."""

    v: int
    record: str
    seq: int
    prev: str
    type: str
    time: str
    received: str
    mono_ns: int
    source: str
    device_time: str | None = None
    device_offset_s: float | None = None
    data: Raw
