"""The vital signs about a moment: the last before it, the first after it, of each source."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from esi_room import nomenclature as n
from esi_room.clock import NS, rfc3339
from esi_room.events import VitalAt, VitalsNumeric

NAMES = (
    n.HEART_RATE.name,
    n.PULSE_RATE.name,
    n.SPO2.name,
    n.NIBP_SYSTOLIC.name,
    n.NIBP_DIASTOLIC.name,
    n.NIBP_MEAN.name,
    n.RESPIRATORY_RATE_BY_CO2.name,
    n.IMPEDANCE_RESPIRATORY_RATE.name,
)
KEPT_NS = 1800 * NS  # somebody may say later when an injection by hand was, or let a pump pause for so long


class Kept(NamedTuple):
    """A good value, of the entry `seq`."""

    time_ns: int
    seq: int
    value: float | int
    unit: str


class Vitals:
    """What the monitors said lately. A value that its device doubts is no evidence, and not kept."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], deque[Kept]] = {}

    def take(self, seq: int, time_ns: int, source: str, numeric: VitalsNumeric) -> None:
        """One message of a monitor."""
        for reading in numeric.readings:
            if reading.name in NAMES and reading.status == "ok" and reading.value is not None:
                kept = self._kept.setdefault((reading.name, source), deque())
                kept.append(Kept(time_ns, seq, reading.value, reading.unit))
                while kept[0].time_ns < time_ns - KEPT_NS:
                    kept.popleft()

    def last_before(self, time_ns: int, within_ns: int) -> tuple[VitalAt, ...]:
        """Of each name and source the last at `time_ns` or in the time `within_ns` before."""
        return self._each(time_ns - within_ns, time_ns, latest=True)

    def first_after(self, time_ns: int, within_ns: int) -> tuple[VitalAt, ...]:
        """Of each name and source the first after `time_ns`, in the time `within_ns`."""
        return self._each(time_ns + 1, time_ns + within_ns, latest=False)

    def _each(self, from_ns: int, to_ns: int, *, latest: bool) -> tuple[VitalAt, ...]:
        found = []
        for name, source in sorted(self._kept, key=_order):
            within = [kept for kept in self._kept[name, source] if from_ns <= kept.time_ns <= to_ns]
            if within:
                time_ns, seq, value, unit = max(within) if latest else min(within)
                at = rfc3339(time_ns)
                found.append(VitalAt(name=name, value=value, unit=unit, source=source, at=at, seq=seq))
        return tuple(found)


def _order(key: tuple[str, str]) -> tuple[int, str]:
    name, source = key
    return NAMES.index(name), source
