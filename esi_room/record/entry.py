"""The line: how an event becomes octets, once.

Rules:
- A line is encoded here, at the moment it gets its `seq`, and never again: the octets that are hashed are the
  octets on disk and the octets on MQTT.
- `prev` is the SHA-256 of the octets of the line before it, newline included, across records of a room.
- A line never holds its own hash.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from esi_room.clock import NS, rfc3339
from esi_room.events import Entry, Event

VERSION = 1
NO_PREVIOUS = "0" * 64
RECORD_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")

_encoder = msgspec.json.Encoder()


class Cursor(Struct, frozen=True):
    """A place between two lines: the next line's record, `seq` and byte offset in its `journal.jsonl`."""

    record: str
    seq: int
    offset: int


class Line(NamedTuple):
    """One journal line as it stands on disk. `octets` ends with a newline. `after`: the place behind it."""

    record: str
    seq: int
    octets: bytes
    after: Cursor


def encode(event: Event, *, record: str, seq: int, prev: str) -> bytes:
    """The journal line of `event`, newline included."""
    received_wall_ns, mono_ns = event.received
    received = rfc3339(received_wall_ns)
    happened = event.happened_wall_ns
    entry = Entry(
        v=VERSION,
        record=record,
        seq=seq,
        prev=prev,
        type=event.data.TYPE,
        time=received if happened is None else rfc3339(happened),
        received=received,
        mono_ns=mono_ns,
        source=event.source,
        device_time=event.device_time,
        device_offset_s=event.device_offset_s,
        data=Raw(_encoder.encode(event.data)),
    )
    return _encoder.encode(entry) + b"\n"


def sha256(octets: bytes) -> str:
    """The chain's hash, in hex."""
    return hashlib.sha256(octets).hexdigest()


def new_record_id(wall_ns: int, last: str | None, suffix: str) -> str:
    """`YYYYMMDDTHHMMSSZ-<4 hex>`, always greater than `last`: ids sort in the order of the chain even where the
    wall clock was set back or two records open within a second (the id is then some seconds ahead)."""
    stamp = _compact(wall_ns)
    if last is not None and stamp <= last[: len(stamp)]:
        stamp = _next_second(last[: len(stamp)])
    return f"{stamp}-{suffix}"


def _compact(wall_ns: int) -> str:
    return rfc3339(wall_ns).split(".")[0].replace("-", "").replace(":", "") + "Z"


def _next_second(stamp: str) -> str:
    from datetime import datetime, timedelta  # noqa: PLC0415 - only where a clock went backwards

    later = datetime.strptime(stamp, "%Y%m%dT%H%M%S%z") + timedelta(seconds=1)
    return _compact(int(later.timestamp()) * NS)
