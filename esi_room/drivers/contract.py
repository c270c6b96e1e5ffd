"""What a driver is. A new device costs one file here, one line in `registry`, one folder of vectors.

Rules:
- A driver does no I/O: no asyncio, time, logging, links or record within its reach. Bytes in, values out.
- What it decodes depends on the bytes received and sent alone (`on_frame`, `on_sent`), never on the time: a
  replay of the wire file gives the same readings. `on_tick` may only decide to ask.
- It never raises on what a device sent: a frame that makes no sense is answered with `Refused`.
- It never asks for anything that `info.sends` does not list, and `station` would not send it: a pump is read,
  never driven.

A driver's module holds `INFO` (with default options), `Options` (a msgspec Struct, unknown keys forbidden)
and `make(options) -> Driver`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from esi_room.events import Payload
from esi_room.framing import Grammar
from esi_room.line import LineSettings


class Info(Struct, frozen=True, kw_only=True):
    """The nameplate of a driver: `esi-room drivers` prints it, `station` lives by it."""

    name: str
    kind: Literal["monitor", "oximeter", "capnograph", "pump"]
    maker: str
    models: str
    document: str
    line: LineSettings
    integrity: str
    """What protects a frame on the wire: `8-bit sum`, `CRC-16/XMODEM`, `none: strict line pattern`."""
    max_silence_s: float
    """Without a good frame for this long the device is stale."""
    max_frame_bytes: int
    """Longest legal frame on the wire; more without an end is noise."""
    inter_byte_s: float | None = None
    """A frame whose bytes are further apart is cut off; None where the protocol sets no such limit."""
    sends: Mapping[bytes, str]
    """Every byte string this driver may ever send, and what for. Empty: it only listens."""
    tick_s: float | None = None
    """How often `on_tick` wants to be called; None where the device needs no asking."""
    notes: str = ""
    """What a biomedical engineer must know before connecting it."""


class Said(NamedTuple):
    """The device said this. `device_time` as it wrote it; `device_wall_s` the same as seconds since 1970, taking
    the device's clock for UTC (the station estimates the offset)."""

    data: Payload
    device_time: str | None = None
    device_wall_s: float | None = None


class Ask(NamedTuple):
    """Please send these octets; they are listed in `info.sends`."""

    octets: bytes


class Refused(NamedTuple):
    """An intact frame that could not be understood, and why (one or two words: it becomes a counter's name)."""

    reason: str


class Identified(NamedTuple):
    """The device said what it is: model, firmware, serial number, in words."""

    identity: str


Output = Said | Ask | Refused | Identified


class Driver(Protocol):
    """One device on one line. The station calls these, from one task, in the order things happened."""

    @property
    def info(self) -> Info:
        """The nameplate, with these options."""

    @property
    def grammar(self) -> Grammar:
        """How frames lie in the byte stream, with their integrity check."""

    def on_open(self) -> Sequence[Output]:
        """The line was opened (again): nothing is known of the device any more."""

    def on_frame(self, octets: bytes) -> Sequence[Output]:
        """One intact frame, as on the wire."""

    def on_sent(self, octets: bytes) -> None:
        """These octets went out: what comes next may be the answer."""

    def on_tick(self, now_s: float) -> Sequence[Output]:
        """`now_s`: monotonic seconds. Only `Ask`s are returned."""


class DriverModule(Protocol):
    """What `registry.load` returns."""

    INFO: Info
    Options: type[Struct]

    def make(self, options: Any) -> Driver:
        """A driver with these options (an instance of the module's `Options`)."""
