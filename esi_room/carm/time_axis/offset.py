"""How far a device's clock is from the room's, from the times that it writes into what it sends.

Nobody asks a C-arm for its time; it is never answered. But what it sends was taken before it came:

    received - device time  =  offset + delay,   delay >= 0        (offset: room minus device)

So every object is an upper bound of the offset, and a tight one where it was sent at once. The estimate is the lowest
bound so far, and so never below the true offset, as long as nobody sets the device's clock.

- Drift: a bound loosens by DRIFT with its age; a new one that is lower than that takes its place.
- The device's clock was set forward: the next bound is lower, and adopted at once.
- It was set back (or to winter time): all bounds from now on are higher, like those of objects sent late. Those differ
  from each other, though: what was taken a minute apart and sent together has bounds a minute apart. CONFIRM objects
  that agree within AGREE_S and were taken over SPAN_S are a clock that was set.
- Dates that no time zone explains (1970, next year) are believed only so confirmed.
- A local time without zone is read as if it were UTC: its hours are part of the offset. Times with a zone and times
  without are therefore two clocks, even of one device.

What this cannot see is a delay that all objects have in common; `uncertainty_s` says how well the best bounds agree.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from esi_room.clock import NS
from esi_room.events import ClockOffset

# Room and device may part by this: quartz of a PC is specified to 50 ppm, two of them to 100.
DRIFT = 100e-6
# Worth an entry: less than the pause between two exposures.
NOTICEABLE_S = 0.5
# UTC+14 read as UTC is 14 h ahead, UTC-12 is 12 h behind; and a clock set wrong by half a day.
PLAUSIBLE_S = 26 * 3600
CONFIRM = 3
AGREE_S = 2.0  # what a busy C-arm takes longer for one object than for another
SPAN_S = 60.0  # well beyond AGREE_S: what was taken so far apart and agrees was not sent together
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Estimate(NamedTuple):
    """What is known of `device` now. `changed`: noticeably, since this was last true."""

    device: str
    offset_s: float
    uncertainty_s: float | None
    samples: int
    changed: bool
    reason: str

    @property
    def payload(self) -> ClockOffset:
        """As the record says it."""
        return ClockOffset(
            device=self.device,
            offset_s=round(self.offset_s, 6),
            uncertainty_s=None if self.uncertainty_s is None else round(self.uncertainty_s, 6),
            samples=self.samples,
            reason=self.reason,
        )


class DeviceTime(NamedTuple):
    """A device's date and time: `wall_ns` as if it were UTC where it gives no zone."""

    wall_ns: int
    zoned: bool


class _Bound(NamedTuple):
    """`offset_ns` is not below the true one; seen at `at_ns` (room), of something taken at `taken_ns` (device)."""

    offset_ns: int
    at_ns: int
    taken_ns: int

    def loosened_ns(self, now_ns: int) -> int:
        """What is sure of it now."""
        return self.offset_ns + round(DRIFT * max(0, now_ns - self.at_ns))


class _Clock:
    """One clock of one device."""

    def __init__(self) -> None:
        self.best: _Bound | None = None
        self.second: _Bound | None = None
        self.samples = 0
        self.announced_ns: int | None = None
        self._doubts: list[_Bound] = []

    def take(self, bound: _Bound) -> str:
        """A bound was seen; what it is to us, in words for the record."""
        self.samples += 1
        lower = self.best is not None and bound.offset_ns <= self.best.loosened_ns(bound.at_ns)
        plausible = abs(bound.offset_ns) <= PLAUSIBLE_S * NS
        if plausible and (lower or self.best is None):
            self._doubts.clear()
            self.best, self.second = bound, self.best
            return "sent sooner after it was taken than anything before" if lower else "the first time it told"
        if self._confirmed(bound):
            self.best, self.second, *_ = sorted(self._doubts)
            self._doubts.clear()
            return "the device's clock was set"
        if plausible and (self.second is None or bound.offset_ns < self.second.loosened_ns(bound.at_ns)):
            self.second = bound
        return ""

    def _confirmed(self, bound: _Bound) -> bool:
        """Whether this bound and those that were doubted before it tell of another offset."""
        if self.best is not None and abs(bound.offset_ns - self.best.offset_ns) <= AGREE_S * NS:
            self._doubts.clear()
            return False
        agreeing = [each for each in self._doubts if abs(each.offset_ns - bound.offset_ns) <= AGREE_S * NS]
        self._doubts = [*agreeing[:CONFIRM], bound]
        taken = [each.taken_ns for each in self._doubts]
        return len(taken) >= CONFIRM and max(taken) - min(taken) >= SPAN_S * NS

    def uncertainty_s(self, now_ns: int) -> float | None:
        """How far the second best bound is from the best, and what the clocks may have drifted since."""
        if self.best is None or self.second is None:
            return None
        apart_ns = abs(self.second.offset_ns - self.best.offset_ns)
        return (apart_ns + self.best.loosened_ns(now_ns) - self.best.offset_ns) / NS


class Offsets:
    """The offsets of all devices. Pure: what it is told, in that order, decides what it says."""

    def __init__(self) -> None:
        self._clocks: dict[tuple[str, bool], _Clock] = {}

    def observe(self, device: str, device_time: str, received_wall_ns: int) -> Estimate | None:
        """`device` sent something that it took at `device_time` (ISO 8601, `CarmImage.acquired`), and whose first
        octet came at `received_wall_ns`. None where its offset is not known (yet)."""
        time = parsed(device_time)
        if time is None:
            return None
        clock = self._clocks.setdefault((device, time.zoned), _Clock())
        why = clock.take(_Bound(received_wall_ns - time.wall_ns, received_wall_ns, time.wall_ns))
        if clock.best is None:
            return None
        offset_ns = clock.best.offset_ns
        changed = clock.announced_ns is None or abs(offset_ns - clock.announced_ns) > NOTICEABLE_S * NS
        if changed:
            clock.announced_ns = offset_ns
        uncertainty_s = clock.uncertainty_s(received_wall_ns)
        return Estimate(device, offset_ns / NS, uncertainty_s, clock.samples, changed, why)


def parsed(device_time: str, add_ms: float = 0.0) -> DeviceTime | None:
    """A device's date and time, `add_ms` later; None where there is no such time."""
    if "T" not in device_time:  # a date alone
        return None
    try:
        moment = datetime.fromisoformat(device_time) + timedelta(milliseconds=add_ms)
        zoned = moment.tzinfo is not None
        since = (moment if zoned else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return DeviceTime((since.days * 86_400 + since.seconds) * NS + since.microseconds * 1000, zoned)
