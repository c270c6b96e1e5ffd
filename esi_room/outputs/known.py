"""What the projection knows: values that age, the devices, and the open record's case.

Rules:
- A value's time is the room's monotonic clock, so that a step of the wall clock makes nothing fresh.
- Once stale a value stays stale until the device says a new one.
- `Case` is the open record's and is thrown away whole with it: nothing of one patient can be left for the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from esi_room.clock import NS
from esi_room.events import (
    CarmDose,
    CarmImage,
    DeviceState,
    Entry,
    Plan,
    ProcedureEnded,
    ProcedureStarted,
    PumpStatus,
    Reading,
    RecordOpened,
)
from esi_room.outputs import topics
from esi_room.outputs.runs import Runs
from esi_room.outputs.snapshots import (
    ActiveAlarm,
    AlertValue,
    CompletenessValue,
    DeliveryValue,
    GapValue,
    Phased,
    StepValue,
    VitalLimits,
)

SILENT = PumpStatus(state=None, rate_ml_h=None, delivered_ml=None, target_ml=None, pressure_mmhg=None, drug=None)
"""What is known of a pump that has only alarmed so far."""

T = TypeVar("T")


class Aging(Generic[T]):
    """A value that goes stale at `due_ns` (monotonic), or at once when its device is no longer heard."""

    __slots__ = ("due_ns", "observed_at", "stale", "stale_after_s", "value")

    def __init__(self, value: T, observed_at: str, stale_after_s: float | None, mono_ns: int) -> None:
        self.value, self.observed_at, self.stale_after_s = value, observed_at, stale_after_s
        self.stale = False
        self.due_ns = None if stale_after_s is None else mono_ns + round(stale_after_s * NS)

    def aged(self) -> dict[str, Any]:
        """The fields of `snapshots.Aged`."""
        return {"observed_at": self.observed_at, "stale_after_s": self.stale_after_s, "stale": self.stale}


class Device:
    """One device's line. `since`: when its state began."""

    def __init__(self) -> None:
        self.line: DeviceState | None = None
        self.since: str | None = None
        self.identity: str | None = None
        self.alarms: dict[str, ActiveAlarm] = {}
        self.forget_counts()

    def forget_counts(self) -> None:
        """A record begins: what was counted in the one before it stays there."""
        self.rejected: dict[str, int] = {}
        self.gaps = 0
        self.last_gap: GapValue | None = None


class Case:
    """What belongs to the open record and is gone with the next."""

    def __init__(self) -> None:
        self.opened: RecordOpened | None = None
        self.opened_at: str | None = None
        self.started: ProcedureStarted | None = None
        self.started_at: str | None = None
        self.phases: list[Phased] = []
        self.rules: str | None = None
        self.plan: Plan | None = None
        self.deliveries: list[DeliveryValue] = []
        self.completeness: CompletenessValue | None = None
        self.ended: ProcedureEnded | None = None
        self.ended_at: str | None = None
        self.vitals: dict[tuple[str, str], Aging[Reading]] = {}
        self.conditions: dict[str, Aging[tuple[str, ...]]] = {}
        self.limits: dict[tuple[str, str], VitalLimits] = {}
        self.pumps: dict[str, Aging[PumpStatus]] = {}
        self.pump_alarms: dict[str, dict[str, ActiveAlarm]] = {}
        self.objects = self.images = self.frames = 0
        self.image: tuple[Entry, CarmImage] | None = None
        self.dose: tuple[Entry, CarmImage] | None = None
        self.total: tuple[Entry, CarmDose] | None = None
        self.runs = Runs()
        self.exceeded: dict[str, str] = {}
        self.levels: dict[str, float] = {}
        self.order: str | None = None
        self.steps: dict[str, StepValue] = {}
        self.named: set[str] = set()  # SHA-256 of every object that came in this record
        self.shown_sha256: str | None = None
        self.preview_problem: str | None = None
        self.alerts: dict[str, AlertValue] = {}

    def aging(self) -> Iterator[tuple[str, str, Aging[Any]]]:
        """Everything that can go stale, with its topic and its device."""
        for (source, _), reading in self.vitals.items():
            yield topics.VITALS, source, reading
        for source, conditions in self.conditions.items():
            yield topics.VITALS, source, conditions
        for source, pump in self.pumps.items():
            yield topics.PUMP, source, pump
