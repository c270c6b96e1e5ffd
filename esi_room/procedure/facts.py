"""The facts of a procedure: one fold over the entries of its record. Rules, completeness and desk look at nothing else.

Rules:
- Pure: no clock, no I/O. The same entries in the same order give the same facts, live, after a restart and in a replay.
- Two times: `time_ns` is when it happened (the staff may say so later), `at_s` counts from the record's opening on the
  monotonic clock, so that a step of the wall clock makes nothing old or fresh.
- A correction takes the place of what it corrects, at the time of that; a form withdrawn was never said.
- Images are those with pixels that were taken in this procedure, of this patient as far as their header says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Reversible
from contextlib import contextmanager
from typing import Any, Literal, cast

from esi_room.clock import NS, Stamp
from esi_room.commands import Amend, PlaceOrder, WithdrawOrder
from esi_room.events import (
    BY_TYPE,
    AlertAcknowledged,
    AlertCleared,
    AlertRaised,
    CarmDose,
    CarmImage,
    Clinical,
    Delivery,
    DeviceState,
    OperatorCommand,
    Payload,
    Phase,
    Plan,
    ProcedureCompleteness,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureRules,
    ProcedureStarted,
    PumpStarted,
    PumpStatus,
    VitalsNumeric,
    VitalsWaveform,
)
from esi_room.events.clinical import Correction
from esi_room.procedure.corrections import corrected
from esi_room.procedure.phases import ORDER
from esi_room.procedure.taken import F, Fact, Taken, Value

STAFF: Literal["staff"] = "staff"
_OF_OTHERS = {PlaceOrder.NAME, WithdrawOrder.NAME, Amend.NAME}  # of other procedures, as a rule
LATE_NS = 60 * NS  # more than an entry waits between its receipt and its place: then the machine was started again
KEPT_S = 1800.0  # of a vital sign: the longest that a rule looks back is its cuff pressure before the last
KEPT_VALUES = 4000  # half an hour at two a second

_STEADY = (VitalsNumeric, VitalsWaveform, PumpStatus)


class Facts:
    """What the record says so far."""

    def __init__(self, record: str) -> None:
        self.record = record
        self.now_ns = 0
        """Since the record was opened, as of the last entry."""
        self.changes = 0
        """Counts the entries, but for those that monitors and pumps send all the time."""
        self.started: Fact[ProcedureStarted] | None = None
        """The last that was said: the staff may take over what a device has begun."""
        self.opened_by: str | None = None
        """`staff`, or the id of the device that began the procedure."""
        self.claimed = False
        """Somebody of the staff has started it, or started what a device had begun."""
        self.attended = False
        """Somebody of the staff has done anything in it."""
        self.procedure: str | None = None
        self.plan = Plan()
        """What was ordered."""
        self.planned: Fact[ProcedureStarted] | None = None
        """The entry that says so."""
        self.ended: Fact[ProcedureEnded] | None = None
        self.completeness: Fact[ProcedureCompleteness] | None = None
        self.rules: Fact[ProcedureRules] | None = None
        self.phases: list[Fact[ProcedurePhase]] = []
        self.images: list[Fact[CarmImage]] = []
        self.dose: Fact[CarmDose] | None = None
        self.deliveries: list[Fact[Delivery]] = []
        self.pump_starts: list[Fact[PumpStarted]] = []
        self.pressures: dict[str, list[Value]] = {}
        """By pump, while it infuses, since its last start."""
        self.alerts: dict[str, Fact[AlertRaised]] = {}
        """Raised and not cleared, by id."""
        self.acknowledged: set[str] = set()
        self.raised: dict[str, Fact[AlertRaised]] = {}
        """All that ever were, by id, in order."""
        self.sources: set[str] = set()
        """Devices that were connected at some time."""
        self.last_activity_s = 0.0
        """When a person, an image or a pump last did anything."""
        self._vitals: dict[str, deque[Value]] = {}
        self._forms: dict[int, Fact[Clinical]] = {}
        self._said: dict[type[Payload], list[Fact[Any]]] = {}  # what `said` has found, until another form comes
        self._last: Stamp | None = None
        self._opened: Stamp | None = None

    # --- taking in ----------------------------------------------------------------------------------------

    def take(self, taken: Taken) -> None:
        """The next entry of the record."""
        at_s = self.pass_time(taken.received)
        self.changes += type(taken.data) not in _STEADY
        action = _ACTIONS.get(type(taken.data))
        if action is None and isinstance(taken.data, Clinical):
            action = Facts._form
        if action is not None:
            action(self, Fact(taken.seq, taken.time_ns, at_s, taken.source, cast(Any, taken.data)))

    def pass_time(self, now: Stamp) -> float:
        """It is `now`, or was a moment ago: an entry is received before it gets its place, and makes nothing younger.
        Seconds from the record's opening to `now`. Over a restart of the machine, where the monotonic clock began anew,
        the wall clock counts."""
        last = self._last or now
        passed_ns = now.mono_ns - last.mono_ns
        if passed_ns < -LATE_NS:
            passed_ns = max(0, now.wall_ns - last.wall_ns)
        if passed_ns >= 0:
            self.now_ns, self._last = self.now_ns + passed_ns, now
        return (self.now_ns + min(0, passed_ns)) / NS

    @contextmanager
    def at(self, now: Stamp) -> Iterator[None]:
        """As if it were `now`, for as long as the block lasts: what is only looked at leaves no trace."""
        kept = self.now_ns, self._last
        self.pass_time(now)
        try:
            yield
        finally:
            self.now_ns, self._last = kept

    def idle_s(self, now: Stamp) -> float:
        """For how long nobody has done anything."""
        with self.at(now):
            return self.now_s - self.last_activity_s

    @property
    def now_s(self) -> float:
        """Seconds since the record was opened."""
        return self.now_ns / NS

    def _form(self, fact: Fact[Any]) -> None:
        self.last_activity_s = fact.at_s
        self._said.clear()
        if isinstance(fact.data, Correction):
            self._correct(fact.data)
        self._forms[fact.seq] = fact

    def _correct(self, correction: Correction) -> None:
        said = self._forms.get(correction.seq)
        if said is None:
            return
        if correction.withdrawn:
            del self._forms[correction.seq]
            return
        merged = corrected(said.data, correction.fields)
        if isinstance(merged, Clinical):
            self._forms[correction.seq] = said._replace(data=merged)

    def _start(self, fact: Fact[ProcedureStarted]) -> None:
        by_staff = fact.data.origin == STAFF
        self.started, self.last_activity_s = fact, fact.at_s
        self.opened_by = self.opened_by or fact.data.origin
        self.claimed, self.attended = self.claimed or by_staff, self.attended or by_staff
        self.procedure = fact.data.procedure or self.procedure
        if fact.data.plan is not None:
            self.plan, self.planned = fact.data.plan, fact

    def _phase(self, fact: Fact[ProcedurePhase]) -> None:
        self.phases.append(fact)
        self.attended = self.attended or fact.data.origin == STAFF
        self.last_activity_s = fact.at_s

    def _end(self, fact: Fact[ProcedureEnded]) -> None:
        self.ended = fact

    def _image(self, fact: Fact[CarmImage]) -> None:
        data = fact.data
        self.last_activity_s = fact.at_s
        if (
            data.rows is not None
            and data.duplicate_of is None
            and data.taken_in is None
            and data.identity != "mismatch"
        ):
            self.images.append(fact)

    def _dose(self, fact: Fact[CarmDose]) -> None:
        if fact.data.taken_in is None:
            self.dose = fact

    def _vital(self, fact: Fact[VitalsNumeric]) -> None:
        for reading in fact.data.readings:
            if reading.value is None or reading.status not in ("ok", "questionable"):
                continue
            kept = self._vitals.setdefault(reading.name, deque(maxlen=KEPT_VALUES))
            kept.append(Value(fact.at_s, fact.time_ns, float(reading.value), fact.seq, fact.source))
            while kept[0].at_s < fact.at_s - KEPT_S:
                kept.popleft()

    def _pump(self, fact: Fact[PumpStatus]) -> None:
        if isinstance(fact.data, PumpStarted) and fact.data.state == "infusing":
            self.pump_starts.append(cast("Fact[PumpStarted]", fact))
            self.pressures[fact.source] = []
        if fact.data.state != "infusing":
            return
        self.last_activity_s = fact.at_s
        if fact.data.pressure_mmhg is not None:
            value = Value(fact.at_s, fact.time_ns, fact.data.pressure_mmhg, fact.seq, fact.source)
            self.pressures.setdefault(fact.source, []).append(value)

    def _deliver(self, fact: Fact[Delivery]) -> None:
        self.deliveries.append(fact)

    def _alert(self, fact: Fact[AlertRaised]) -> None:
        alert = fact.data.alert
        if isinstance(fact.data, AlertCleared):
            self.alerts.pop(alert, None)
        elif isinstance(fact.data, AlertAcknowledged):
            self.acknowledged.add(alert)
        else:
            self.alerts[alert] = fact
            self.raised[alert] = fact

    def _device(self, fact: Fact[DeviceState]) -> None:
        if fact.data.state == "connected":
            self.sources.add(fact.source)

    def _command(self, fact: Fact[OperatorCommand]) -> None:
        self.last_activity_s = fact.at_s
        if self.started is not None and fact.data.name not in _OF_OTHERS:
            self.attended = True

    def _under_rules(self, fact: Fact[ProcedureRules]) -> None:
        self.rules = fact

    def _complete(self, fact: Fact[ProcedureCompleteness]) -> None:
        self.completeness = fact

    # --- looking ------------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase | None:
        """The present one."""
        return self.phases[-1].data.phase if self.phases else None

    def entered(self, phase: Phase) -> Fact[ProcedurePhase] | None:
        """When `phase`, or one behind it, was first entered."""
        order = ORDER.index(phase)
        return next((fact for fact in self.phases if ORDER.index(fact.data.phase) >= order), None)

    def said(self, form: type[F]) -> list[Fact[F]]:
        """Every such form that counts, in the order in which it happened."""
        found = self._said.get(form)
        if found is None:
            found = sorted((fact for fact in self._forms.values() if type(fact.data) is form), key=_when)
            self._said[form] = found
        return found

    def last(self, form: type[F], *, by_ns: int | None = None) -> Fact[F] | None:
        """The last such form, of those that happened by `by_ns`."""
        found = [fact for fact in self.said(form) if by_ns is None or fact.time_ns <= by_ns]
        return found[-1] if found else None

    def form(self, seq: int) -> Fact[Clinical] | None:
        """The form that entry `seq` is, corrected; None if it is none, or was withdrawn."""
        return self._forms.get(seq)

    def vitals(self, *names: str, since_s: float = 0.0) -> list[Value]:
        """The values of these names that were observed since then, the oldest first."""
        found = [value for name in names for value in _since(self._vitals.get(name, ()), since_s)]
        return found if len(names) == 1 else sorted(found, key=_order)

    def last_vital(self, *names: str) -> Value | None:
        """The last value of any of these names."""
        found = [self._vitals[name][-1] for name in names if self._vitals.get(name)]
        return max(found, key=_order, default=None)

    def forms(self) -> Iterator[Fact[Clinical]]:
        """All of them, in the order of their entries."""
        yield from self._forms.values()


def _since(values: Reversible[Value], since_s: float) -> list[Value]:
    """The end of a series, looked for from its end: it is short."""
    found: list[Value] = []
    for value in reversed(values):
        if value.at_s < since_s:
            break
        found.append(value)
    return found[::-1]


def _order(value: Value) -> tuple[float, int]:
    return value.at_s, value.seq


def _when(fact: Fact[Any]) -> tuple[int, int]:
    return fact.time_ns, fact.seq


_ACTIONS: dict[type[Payload], Any] = {
    ProcedureStarted: Facts._start,
    ProcedureRules: Facts._under_rules,
    ProcedurePhase: Facts._phase,
    ProcedureEnded: Facts._end,
    ProcedureCompleteness: Facts._complete,
    CarmImage: Facts._image,
    CarmDose: Facts._dose,
    VitalsNumeric: Facts._vital,
    Delivery: Facts._deliver,
    AlertRaised: Facts._alert,
    AlertAcknowledged: Facts._alert,
    AlertCleared: Facts._alert,
    DeviceState: Facts._device,
    OperatorCommand: Facts._command,
    **{kind: Facts._pump for kind in BY_TYPE.values() if issubclass(kind, PumpStatus)},
}
