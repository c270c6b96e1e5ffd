"""The wire file: the raw bytes each serial device sent and was sent, with a chain of its own.

    {"v":1,"record":…,"device":…,"n":0,"prev":…,"received":…,"mono_ns":…,"dir":"open|rx|tx|close","b64":…}

Bytes of one direction that come within COALESCE_S share a line, stamped with the first. Wire lines are written
ahead of the journal lines that follow from them, so a reading in the record always has its bytes; they are made
durable at least every SYNC_S, and when a record is sealed, which names the head of each wire file.
"""

from __future__ import annotations

import base64
from typing import Literal

import msgspec
from msgspec import Struct

from esi_room.clock import NS, Stamp, rfc3339
from esi_room.events import WireHead
from esi_room.record.entry import NO_PREVIOUS, VERSION, sha256

COALESCE_S = 0.1  # 96 bytes at 9600 baud: fine enough for every inter-byte limit that a driver has (0.5 s)
COALESCE_BYTES = 4096
SYNC_S = 1.0

Direction = Literal["open", "rx", "tx", "close"]


class WireLine(Struct, frozen=True, kw_only=True):
    """One line of `wire/<device>.jsonl`."""

    v: int
    record: str
    device: str
    n: int
    prev: str
    received: str
    mono_ns: int
    dir: Direction
    b64: str


_encoder = msgspec.json.Encoder()


class WireChain:
    """One device's wire file within one record: what waits to be written, and the head of its chain."""

    def __init__(self, record: str, device: str, *, lines: int = 0, prev: str = NO_PREVIOUS) -> None:
        self.record, self.device = record, device
        self._lines, self._prev = lines, prev
        self._open: tuple[Direction, Stamp, bytearray] | None = None
        self._encoded = bytearray()

    def add(self, direction: Direction, stamp: Stamp, octets: bytes) -> None:
        """Something went over the wire."""
        held = self._open
        if (
            held is not None
            and held[0] == direction
            and stamp.mono_ns - held[1].mono_ns < COALESCE_S * NS
            and len(held[2]) < COALESCE_BYTES
        ):
            held[2].extend(octets)
            return
        self._close_line()
        self._open = (direction, stamp, bytearray(octets))

    def take(self) -> bytes:
        """The lines that wait to be written, encoded and chained."""
        self._close_line()
        taken = bytes(self._encoded)
        self._encoded.clear()
        return taken

    @property
    def head(self) -> WireHead:
        """How far the chain reaches, all taken lines included."""
        return WireHead(self._lines, self._prev)

    @property
    def waiting_bytes(self) -> int:
        """Roughly what `take` would give."""
        return len(self._encoded) + (len(self._open[2]) if self._open else 0)

    def _close_line(self) -> None:
        if self._open is None:
            return
        direction, stamp, octets = self._open
        self._open = None
        line = WireLine(
            v=VERSION,
            record=self.record,
            device=self.device,
            n=self._lines,
            prev=self._prev,
            received=rfc3339(stamp.wall_ns),
            mono_ns=stamp.mono_ns,
            dir=direction,
            b64=base64.b64encode(octets).decode(),
        )
        encoded = _encoder.encode(line) + b"\n"
        self._lines += 1
        self._prev = sha256(encoded)
        self._encoded += encoded
