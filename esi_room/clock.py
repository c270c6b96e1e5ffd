"""The only reader of time.

Every entry carries both clocks: the wall clock (UTC, may step) to be read by people, the monotonic clock
(never steps, arbitrary zero) to measure with. Order in the record is `seq`, never a clock.
"""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

NS = 1_000_000_000

# adjtimex(2): return value 5 and this status bit both mean "nobody disciplines this clock".
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class Stamp(NamedTuple):
    """One instant on both clocks. `wall_ns`: ns since 1970 UTC. `mono_ns`: ns since an arbitrary zero."""

    wall_ns: int
    mono_ns: int


class Clock(Protocol):
    """What everything that needs the time is given."""

    def now(self) -> Stamp:
        """This instant."""


class SystemClock:
    """The host's clocks."""

    def now(self) -> Stamp:
        return Stamp(time.time_ns(), time.monotonic_ns())


class ManualClock:
    """A clock that a test turns by hand."""

    def __init__(self, wall_ns: int = 1_700_000_000 * NS, mono_ns: int = 0) -> None:
        self.wall_ns, self.mono_ns = wall_ns, mono_ns

    def now(self) -> Stamp:
        return Stamp(self.wall_ns, self.mono_ns)

    def advance(self, seconds: float) -> None:
        """Both clocks go on by `seconds`."""
        self.wall_ns += round(seconds * NS)
        self.mono_ns += round(seconds * NS)

    def step(self, seconds: float) -> None:
        """The wall clock alone jumps by `seconds` (NTP, or a hand)."""
        self.wall_ns += round(seconds * NS)


def rfc3339(wall_ns: int) -> str:
    """`wall_ns` as RFC 3339 UTC with microseconds: `2026-11-23T09:30:00.123456Z`."""
    seconds, ns = divmod(wall_ns, NS)
    t = time.gmtime(seconds)
    return (
        f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}T"
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}.{ns // 1000:06d}Z"
    )


def parse_rfc3339(text: str) -> int:
    """Inverse of `rfc3339`, to the microsecond. ValueError if `text` is not RFC 3339 with a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS + delta.microseconds * 1000


class Synchronisation(NamedTuple):
    """What the kernel knows of its own clock (adjtimex(2), so chrony, ntpd and timesyncd alike)."""

    synchronised: bool | None
    max_error_s: float | None


def synchronisation() -> Synchronisation:
    """The kernel's synchronisation state; `None`s where the kernel does not say."""
    # struct timex is 208 bytes on 64-bit Linux: modes is the int at 0, maxerror the long at 24
    # (microseconds), status the int at 40.
    timex = ctypes.create_string_buffer(208)
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (AttributeError, OSError):
        return Synchronisation(None, None)
    if state < 0:
        return Synchronisation(None, None)
    max_error_us = int.from_bytes(timex.raw[24:32], "little", signed=True)
    status = int.from_bytes(timex.raw[40:44], "little")
    synchronised = state != _TIME_ERROR and not status & _STA_UNSYNC
    return Synchronisation(synchronised, max_error_us / 1e6)
