"""The projection: entries in, snapshots out. A pure function of the entries and of the time it is told.

Rules:
- It reads no clock. Time is the room's monotonic clock, so that a step of the wall clock makes nothing fresh.
- Once stale a value stays stale until the device says a new one.
- It never raises on an entry: an entry of a type it does not know, or whose `data` it cannot read, only moves
  `as_of`.
- What it holds after a restart, from reading the open record again, is what it would hold without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

from esi_room.clock import NS, parse_rfc3339, rfc3339
from esi_room.events import (
    BY_TYPE,
    AlertAcknowledged,
    AlertCleared,
    AlertRaised,
    CarmImage,
    DeviceAlarm,
    DeviceGap,
    DeviceRejected,
    DeviceState,
    Entry,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureStarted,
    PumpAlarm,
    PumpStatus,
    Reading,
    RecordOpened,
    VitalsNumeric,
)
from esi_room.outputs import snapshots as s
from esi_room.outputs import topics

STALE_AFTER_S = 30.0  # where a driver says nothing: three of the slowest monitor's 10 s intervals

# What is known of a pump that has only alarmed so far.
_SILENT = PumpStatus(state=None, rate_ml_h=None, delivered_ml=None, target_ml=None, pressure_mmhg=None, drug=None)
T = TypeVar("T")


class _Aging(Generic[T]):
    """A value that goes stale at `due_ns` (monotonic), or at once when its device is no longer heard."""

    __slots__ = ("due_ns", "observed_at", "stale", "stale_after_s", "value")

    def __init__(self, value: T, observed_at: str, stale_after_s: float | None, mono_ns: int) -> None:
        self.value, self.observed_at, self.stale_after_s = value, observed_at, stale_after_s
        self.stale = False
        self.due_ns = None if stale_after_s is None else mono_ns + round(stale_after_s * NS)

    def aged(self) -> dict[str, Any]:
        """The fields of `snapshots.Aged`."""
        return {"observed_at": self.observed_at, "stale_after_s": self.stale_after_s, "stale": self.stale}


class _Device:
    """One device's line. `since`: when its state began."""

    def __init__(self) -> None:
        self.line: DeviceState | None = None
        self.since: str | None = None
        self.identity: str | None = None
        self.alarms: dict[str, s.ActiveAlarm] = {}
        self.forget_counts()

    def forget_counts(self) -> None:
        self.rejected: dict[str, int] = {}
        self.gaps = 0
        self.last_gap: s.GapValue | None = None


class _Case:
    """What belongs to the open record and is gone with the next."""

    def __init__(self) -> None:
        self.opened: RecordOpened | None = None
        self.opened_at: str | None = None
        self.started: ProcedureStarted | None = None
        self.started_at: str | None = None
        self.phases: list[s.Phased] = []
        self.ended: ProcedureEnded | None = None
        self.ended_at: str | None = None
        self.vitals: dict[tuple[str, str], _Aging[Reading]] = {}
        self.conditions: dict[str, _Aging[tuple[str, ...]]] = {}
        self.pumps: dict[str, _Aging[PumpStatus]] = {}
        self.pump_alarms: dict[str, dict[str, s.ActiveAlarm]] = {}
        self.objects = self.images = self.frames = 0
        self.image: tuple[Entry, CarmImage] | None = None
        self.dose: tuple[Entry, CarmImage] | None = None
        self.alerts: dict[str, s.AlertValue] = {}


class _Said(NamedTuple):
    """An entry on its way in: its payload, and when it was observed on this boot's monotonic clock."""

    entry: Entry
    data: Any
    mono_ns: int


CASE_TOPICS = frozenset({topics.PROCEDURE, topics.VITALS, topics.PUMP, topics.CARM, topics.DOSE, topics.ALERTS})


class Projection:
    """The state of the room, entry by entry. `snapshot` says it."""

    def __init__(self) -> None:
        self._as_of = s.AsOf(record="", seq=-1)
        self._case = _Case()
        self._devices: dict[str, _Device] = {}
        self.shown_sha256: str | None = None
        self._preview_problem: str | None = None

    @property
    def topics(self) -> set[str]:
        """Every topic that has a snapshot now."""
        return {*CASE_TOPICS, *(topics.DEVICE + device for device in self._devices)}

    def apply(self, entry: Entry, mono_ns: int | None = None) -> set[str]:
        """Take in the next entry; the topics whose snapshot changed.

        `mono_ns`: when it was received on this boot's monotonic clock, where that is not what the entry says
        (an entry of an earlier run).
        """
        self._as_of = s.AsOf(record=entry.record, seq=entry.seq)
        act = _ACTIONS.get(entry.type)
        if act is None:
            return set()
        try:
            data = msgspec.json.decode(entry.data, type=BY_TYPE[entry.type])
        except msgspec.MsgspecError:
            return set()
        received_ns = entry.mono_ns if mono_ns is None else mono_ns
        return act(self, _Said(entry, data, received_ns - _delay_ns(entry)))

    def expire(self, now_mono_ns: int) -> set[str]:
        """Mark what is older than it may be; the topics whose snapshot changed."""
        dirty = set()
        for topic, _, value in self._aging():
            if not value.stale and value.due_ns is not None and value.due_ns <= now_mono_ns:
                value.stale = True
                dirty.add(topic)
        return dirty

    def next_expiry(self) -> int | None:
        """When (monotonic ns) the next value goes stale; None if none will."""
        due = (v.due_ns for _, _, v in self._aging() if not v.stale and v.due_ns is not None)
        return min(due, default=None)

    def forget(self) -> set[str]:
        """Mark everything that can go stale: from now on nobody listens (the daemon stops)."""
        dirty = set()
        for topic, _, value in self._aging():
            if not value.stale:
                value.stale = True
                dirty.add(topic)
        return dirty

    def preview(self, shown_sha256: str | None, problem: str | None) -> set[str]:
        """What `image/last` shows from now on, or why it does not show the last object."""
        self.shown_sha256, self._preview_problem = shown_sha256, problem
        return {topics.CARM}

    def snapshot(self, topic: str, now_wall_ns: int) -> s.Snapshot:
        """The present snapshot of one of `topics`."""
        head = {"as_of": self._as_of, "published_at": rfc3339(now_wall_ns)}
        if topic.startswith(topics.DEVICE):
            return self._device_snapshot(topic[len(topics.DEVICE) :], head)
        return _SNAPSHOTS[topic](self, head)

    # --- entries ------------------------------------------------------------------------------------------

    def _on_opened(self, said: _Said) -> set[str]:
        self._case = _Case()
        self._case.opened, self._case.opened_at = said.data, said.entry.time
        self.shown_sha256 = self._preview_problem = None
        for device in self._devices.values():
            device.forget_counts()
        return self.topics

    def _on_recovered(self, said: _Said) -> set[str]:
        """The daemon had ended: what the devices are now, they have yet to say."""
        self._case.pump_alarms.clear()
        for device in self._devices.values():
            device.line = device.since = None
            device.alarms.clear()
        self.forget()
        return self.topics

    def _on_started(self, said: _Said) -> set[str]:
        self._case.started, self._case.started_at = said.data, said.entry.time
        return {topics.PROCEDURE}

    def _on_phase(self, said: _Said) -> set[str]:
        data: ProcedurePhase = said.data
        self._case.phases.append(s.Phased(phase=data.phase, since=said.entry.time, origin=data.origin))
        return {topics.PROCEDURE}

    def _on_ended(self, said: _Said) -> set[str]:
        self._case.ended, self._case.ended_at = said.data, said.entry.time
        return {topics.PROCEDURE}

    def _on_vitals(self, said: _Said) -> set[str]:
        data: VitalsNumeric = said.data
        source, at = said.entry.source, said.entry.time
        life_s = STALE_AFTER_S if data.stale_after_s is None else data.stale_after_s
        for reading in data.readings:
            own_s = life_s if reading.stale_after_s is None else reading.stale_after_s
            self._case.vitals[source, reading.name] = _Aging(reading, at, own_s, said.mono_ns)
        self._case.conditions[source] = _Aging(data.conditions, at, life_s, said.mono_ns)
        return {topics.VITALS}

    def _on_pump(self, said: _Said) -> set[str]:
        data: PumpStatus = said.data
        life_s = STALE_AFTER_S if data.stale_after_s is None else data.stale_after_s
        self._case.pumps[said.entry.source] = _Aging(data, said.entry.time, life_s, said.mono_ns)
        return {topics.PUMP}

    def _on_pump_alarm(self, said: _Said) -> set[str]:
        data: PumpAlarm = said.data
        silent = _Aging(_SILENT, said.entry.time, STALE_AFTER_S, said.mono_ns)
        self._case.pumps.setdefault(said.entry.source, silent)
        _set_alarm(self._case.pump_alarms.setdefault(said.entry.source, {}), said, data.active)
        return {topics.PUMP}

    def _on_image(self, said: _Said) -> set[str]:
        data: CarmImage = said.data
        if data.duplicate_of is not None:  # it came before: nothing new to show or to count
            return set()
        case = self._case
        case.objects += 1
        case.image = (said.entry, data)
        if data.rows is None:  # no pixels: a report
            return {topics.CARM}
        case.images += 1
        case.frames += data.frames or 1
        if data.dose:
            case.dose = (said.entry, data)
        return {topics.CARM, topics.DOSE}

    def _on_alert(self, said: _Said) -> set[str]:
        data: AlertRaised = said.data
        alerts = self._case.alerts
        if isinstance(data, AlertCleared):
            alerts.pop(data.alert, None)
            return {topics.ALERTS}
        seen = alerts.get(data.alert)
        acknowledged = isinstance(data, AlertAcknowledged)
        alerts[data.alert] = s.AlertValue(
            alert=data.alert,
            rule=data.rule,
            severity=data.severity,
            text=data.text,
            facts=data.facts,
            raised_at=said.entry.time if seen is None else seen.raised_at,
            acknowledged_at=said.entry.time if acknowledged else None,
            actor=data.actor,
            reason=data.reason,
        )
        return {topics.ALERTS}

    def _on_device(self, said: _Said) -> set[str]:
        data: DeviceState = said.data
        source = said.entry.source
        device = self._device(source)
        if device.line is None or device.line.state != data.state:
            device.since = said.entry.time
        device.line = data
        device.identity = data.identity or device.identity
        dirty = {topics.DEVICE + source}
        if data.state != "connected":
            dirty |= self._no_longer_heard(source)
        if data.state not in ("connected", "stale"):  # the line was closed: what it signalled is not known any more
            device.alarms.clear()
            if self._case.pump_alarms.pop(source, None):
                dirty.add(topics.PUMP)
        return dirty

    def _on_device_alarm(self, said: _Said) -> set[str]:
        data: DeviceAlarm = said.data
        _set_alarm(self._device(said.entry.source).alarms, said, data.active)
        return {topics.DEVICE + said.entry.source}

    def _on_gap(self, said: _Said) -> set[str]:
        data: DeviceGap = said.data
        device = self._device(said.entry.source)
        device.gaps += 1
        device.last_gap = s.GapValue(from_=data.from_, to=data.to, reason=data.reason)
        return {topics.DEVICE + said.entry.source}

    def _on_rejected(self, said: _Said) -> set[str]:
        data: DeviceRejected = said.data
        rejected = self._device(said.entry.source).rejected
        for reason, count in data.counts.items():
            rejected[reason] = rejected.get(reason, 0) + count
        return {topics.DEVICE + said.entry.source}

    def _device(self, source: str) -> _Device:
        return self._devices.setdefault(source, _Device())

    def _aging(self) -> Iterator[tuple[str, str, _Aging[Any]]]:
        """Everything that can go stale, with its topic and its device."""
        for (source, _), reading in self._case.vitals.items():
            yield topics.VITALS, source, reading
        for source, conditions in self._case.conditions.items():
            yield topics.VITALS, source, conditions
        for source, pump in self._case.pumps.items():
            yield topics.PUMP, source, pump

    def _no_longer_heard(self, device: str) -> set[str]:
        dirty = set()
        for topic, source, value in self._aging():
            if source == device and not value.stale:
                value.stale = True
                dirty.add(topic)
        return dirty

    # --- snapshots ----------------------------------------------------------------------------------------

    def _procedure(self, head: dict[str, Any]) -> s.ProcedureState:
        case = self._case
        return s.ProcedureState(
            **head,
            kind=case.opened.kind if case.opened else None,
            opened_at=case.opened_at,
            procedure=case.started.procedure if case.started else None,
            started_at=case.started_at,
            phase=case.phases[-1].phase if case.phases else None,
            phases=tuple(case.phases),
            outcome=case.ended.outcome if case.ended else None,
            ended_at=case.ended_at,
        )

    def _vitals(self, head: dict[str, Any]) -> s.VitalsState:
        values = tuple(_vital(source, aging) for (source, _), aging in self._case.vitals.items())
        conditions = tuple(
            s.VitalConditions(**aging.aged(), source=source, conditions=aging.value)
            for source, aging in self._case.conditions.items()
        )
        return s.VitalsState(**head, values=values, conditions=conditions)

    def _pump(self, head: dict[str, Any]) -> s.PumpsState:
        alarms = self._case.pump_alarms
        pumps = tuple(_pump(source, aging, alarms.get(source, {})) for source, aging in self._case.pumps.items())
        return s.PumpsState(**head, pumps=pumps)

    def _carm(self, head: dict[str, Any]) -> s.CarmState:
        return s.CarmState(
            **head,
            image=_image(*self._case.image) if self._case.image else None,
            objects=self._case.objects,
            shown_sha256=self.shown_sha256,
            preview_problem=self._preview_problem,
        )

    def _dose(self, head: dict[str, Any]) -> s.DoseState:
        last = None
        if self._case.dose is not None:
            entry, image = self._case.dose
            last = s.HeaderDose(
                **_ageless(entry),
                seq=entry.seq,
                sop_instance_uid=image.sop_instance_uid,
                attributes=image.dose,
            )
        return s.DoseState(
            **head,
            provenance="image headers",
            images=self._case.images,
            frames=self._case.frames,
            last=last,
        )

    def _alerts(self, head: dict[str, Any]) -> s.AlertsState:
        return s.AlertsState(**head, alerts=tuple(self._case.alerts.values()))

    def _device_snapshot(self, name: str, head: dict[str, Any]) -> s.DeviceSnapshot:
        device = self._devices[name]
        line = device.line
        return s.DeviceSnapshot(
            **head,
            device=name,
            state=line.state if line else None,
            since=device.since,
            reason=line.reason if line else None,
            driver=line.driver if line else None,
            port=line.port if line else None,
            identity=device.identity,
            alarms=tuple(device.alarms.values()),
            rejected=dict(device.rejected),
            gaps=device.gaps,
            last_gap=device.last_gap,
        )


_ACTIONS: dict[str, Callable[[Projection, _Said], set[str]]] = {
    "record.opened": Projection._on_opened,
    "record.recovered": Projection._on_recovered,
    "procedure.started": Projection._on_started,
    "procedure.phase": Projection._on_phase,
    "procedure.ended": Projection._on_ended,
    "vitals.numeric": Projection._on_vitals,
    "pump.status": Projection._on_pump,
    "pump.started": Projection._on_pump,
    "pump.stopped": Projection._on_pump,
    "pump.completed": Projection._on_pump,
    "pump.alarm": Projection._on_pump_alarm,
    "carm.image": Projection._on_image,
    "alert.raised": Projection._on_alert,
    "alert.acknowledged": Projection._on_alert,
    "alert.cleared": Projection._on_alert,
    "device.state": Projection._on_device,
    "device.alarm": Projection._on_device_alarm,
    "device.gap": Projection._on_gap,
    "device.rejected": Projection._on_rejected,
}
_SNAPSHOTS: dict[str, Callable[[Projection, dict[str, Any]], s.Snapshot]] = {
    topics.PROCEDURE: Projection._procedure,
    topics.VITALS: Projection._vitals,
    topics.PUMP: Projection._pump,
    topics.CARM: Projection._carm,
    topics.DOSE: Projection._dose,
    topics.ALERTS: Projection._alerts,
}


def _delay_ns(entry: Entry) -> int:
    """How much older than its receipt the observation is (a device that reports late)."""
    if entry.time == entry.received:
        return 0
    try:
        return max(0, parse_rfc3339(entry.received) - parse_rfc3339(entry.time))
    except ValueError:
        return 0


def _set_alarm(alarms: dict[str, s.ActiveAlarm], said: _Said, active: bool) -> None:
    data: DeviceAlarm | PumpAlarm = said.data
    if not active:
        alarms.pop(data.code, None)
        return
    alarms[data.code] = s.ActiveAlarm(
        code=data.code,
        text=data.text,
        since=alarms[data.code].since if data.code in alarms else said.entry.time,
        priority=getattr(data, "priority", None),
        advisory=getattr(data, "advisory", False),
    )


def _vital(source: str, aging: _Aging[Reading]) -> s.VitalValue:
    reading = aging.value
    return s.VitalValue(
        **aging.aged(),
        source=source,
        code=reading.code,
        name=reading.name,
        value=reading.value,
        unit=reading.unit,
        status=reading.status,
        flags=reading.flags,
    )


def _pump(source: str, aging: _Aging[PumpStatus], alarms: dict[str, s.ActiveAlarm]) -> s.PumpValue:
    pump = aging.value
    return s.PumpValue(
        **aging.aged(),
        source=source,
        event=None if pump is _SILENT else cast(Any, pump.TYPE),
        state=pump.state,
        rate_ml_h=pump.rate_ml_h,
        delivered_ml=pump.delivered_ml,
        target_ml=pump.target_ml,
        pressure_mmhg=pump.pressure_mmhg,
        drug=pump.drug,
        withdrawn_ml=pump.withdrawn_ml,
        direction=pump.direction,
        detail=pump.detail,
        alarms=tuple(alarms.values()),
    )


def _ageless(entry: Entry) -> dict[str, Any]:
    return {"observed_at": entry.time, "stale_after_s": None, "stale": False}


def _image(entry: Entry, image: CarmImage) -> s.ImageValue:
    return s.ImageValue(
        **_ageless(entry),
        seq=entry.seq,
        sha256=image.sha256,
        sop_class_uid=image.sop_class_uid,
        sop_instance_uid=image.sop_instance_uid,
        modality=image.modality,
        rows=image.rows,
        columns=image.columns,
        frames=image.frames,
        acquired=image.acquired,
        primary_angle_deg=image.primary_angle_deg,
        secondary_angle_deg=image.secondary_angle_deg,
        kvp=image.kvp,
        tube_current_ma=image.tube_current_ma,
        peer=image.peer,
    )
