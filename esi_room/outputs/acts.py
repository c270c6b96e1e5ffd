"""What an entry makes of the open record's case: a function a type of entry, which names the topics that changed.

They take in what the entry says and judge nothing; `state` knows when they are called, `render` how it is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

import msgspec

from esi_room.events import (
    AlertAcknowledged,
    AlertCleared,
    AlertRaised,
    CarmDose,
    CarmImage,
    CarmMpps,
    CarmOrder,
    Delivery,
    DeviceAlarm,
    Entry,
    ProcedureCompleteness,
    ProcedurePhase,
    ProcedureRules,
    ProcedureStarted,
    PumpAlarm,
    PumpStatus,
    VitalsNumeric,
)
from esi_room.outputs import snapshots as s
from esi_room.outputs import topics
from esi_room.outputs.known import SILENT, Aging, Case

STALE_AFTER_S = 30.0  # where a driver says nothing: three of the slowest monitor's 10 s intervals
DOSE_RULE = "R16"
DOSE_ALERT = f"{DOSE_RULE}-"  # and then the quantity: the ids of the alerts of that rule
# The rule's parameters by quantity, and how many of the parameter's unit are one of the quantity's.
DOSE_LEVELS = {
    "fluoro_time_s": ("fluoro_time_s", 1.0),
    "dap_gy_m2": ("dap_cgy_cm2", 1e6),
    "air_kerma_rp_gy": ("air_kerma_mgy", 1e3),
}
_LIMIT = re.compile(r"(?P<what>\w+)_(?P<end>low|high)_limit_(?P<unit>[a-z0-9]+)")  # a driver's name for a limit


class Said(NamedTuple):
    """An entry on its way in: its payload, and when it was observed on this boot's monotonic clock."""

    entry: Entry
    data: Any
    mono_ns: int


def _started(case: Case, said: Said) -> set[str]:
    """A second one: the staff take over what the C-arm opened; it began when it began."""
    data: ProcedureStarted = said.data
    case.started, case.started_at = data, case.started_at or said.entry.time
    case.plan = data.plan or case.plan
    return {topics.PROCEDURE}


def _rules(case: Case, said: Said) -> set[str]:
    data: ProcedureRules = said.data
    case.rules = data.version
    told = data.rules.get(DOSE_RULE, {})
    levels = ((quantity, told.get(name), per_unit) for quantity, (name, per_unit) in DOSE_LEVELS.items())
    case.levels = {quantity: level / per_unit for quantity, level, per_unit in levels if _is_level(level)}
    return {topics.PROCEDURE, topics.DOSE}


def _is_level(level: object) -> TypeGuard[float]:
    """0 and whatever is no number: the room has none."""
    return isinstance(level, int | float) and level > 0


def _phase(case: Case, said: Said) -> set[str]:
    """The staff confirm what a device hinted at: it began when it began, and is theirs."""
    data: ProcedurePhase = said.data
    since = said.entry.time
    if case.phases and case.phases[-1].phase == data.phase:
        since = case.phases.pop().since
    case.phases.append(s.Phased(phase=data.phase, since=since, origin=data.origin))
    return {topics.PROCEDURE}


def _delivery(case: Case, said: Said) -> set[str]:
    data: Delivery = said.data
    shown = {name: getattr(data, name) for name in s.DeliveryValue.__struct_fields__ if name != "seq"}
    case.deliveries.append(s.DeliveryValue(seq=said.entry.seq, **shown))
    return {topics.PROCEDURE}


def _completeness(case: Case, said: Said) -> set[str]:
    data: ProcedureCompleteness = said.data
    case.completeness = s.CompletenessValue(
        record=said.entry.record,
        seq=said.entry.seq,
        outcome=case.ended.outcome if case.ended else None,
        ended_at=case.ended_at,
        complete=data.complete,
        lacks=data.lacks,
        not_assessable=data.not_assessable,
        syringes=data.syringes,
        deviations=data.deviations,
    )
    return {topics.PROCEDURE}


def _ended(case: Case, said: Said) -> set[str]:
    case.ended, case.ended_at = said.data, said.entry.time
    return {topics.PROCEDURE}


def _vitals(case: Case, said: Said) -> set[str]:
    data: VitalsNumeric = said.data
    source, at = said.entry.source, said.entry.time
    life_s = STALE_AFTER_S if data.stale_after_s is None else data.stale_after_s
    for reading in data.readings:
        own_s = life_s if reading.stale_after_s is None else reading.stale_after_s
        case.vitals[source, reading.name] = Aging(reading, at, own_s, said.mono_ns)
    case.conditions[source] = Aging(data.conditions, at, life_s, said.mono_ns)
    for field, value in data.fields.items():
        _limit(case, source, field, value)
    return {topics.VITALS}


def _limit(case: Case, source: str, field: str, value: object) -> None:
    """`spo2_low_limit_pct` is the low limit of `spo2_pct`."""
    found = _LIMIT.fullmatch(field)
    if found is None or not isinstance(value, int | float):
        return
    name = f"{found['what']}_{found['unit']}"
    before = case.limits.get((source, name), s.VitalLimits(source=source, name=name, low=None, high=None))
    case.limits[source, name] = msgspec.structs.replace(before, **{found["end"]: float(value)})


def _pump(case: Case, said: Said) -> set[str]:
    data: PumpStatus = said.data
    life_s = STALE_AFTER_S if data.stale_after_s is None else data.stale_after_s
    case.pumps[said.entry.source] = Aging(data, said.entry.time, life_s, said.mono_ns)
    return {topics.PUMP}


def _pump_alarm(case: Case, said: Said) -> set[str]:
    data: PumpAlarm = said.data
    silent = Aging(SILENT, said.entry.time, STALE_AFTER_S, said.mono_ns)
    case.pumps.setdefault(said.entry.source, silent)
    set_alarm(case.pump_alarms.setdefault(said.entry.source, {}), said, data.active)
    return {topics.PUMP}


def _image(case: Case, said: Said) -> set[str]:
    data: CarmImage = said.data
    case.named.add(data.sha256)
    if data.duplicate_of is not None:  # it came before: nothing new to show or to count
        return set()
    case.objects += 1
    if data.taken_in is not None:  # another case's: kept here, and no picture of this one
        return {topics.CARM}
    if case.image is None or case.image[0].time <= said.entry.time:
        case.image = (said.entry, data)
    if data.rows is None:  # no pixels: a report
        return {topics.CARM}
    case.images += 1
    case.frames += data.frames or 1
    if data.dose and (case.dose is None or case.dose[0].time <= said.entry.time):
        case.dose = (said.entry, data)
    return {topics.CARM, topics.DOSE}


def _dose(case: Case, said: Said) -> set[str]:
    data: CarmDose = said.data
    case.total = (said.entry, data)
    if data.taken_in is None:
        case.runs.take(data, said.entry.seq)
    return {topics.DOSE}


def _raised(case: Case, said: Said) -> set[str]:
    data: AlertRaised = said.data
    if data.alert.startswith(DOSE_ALERT):  # it stays exceeded, whatever becomes of the alert
        case.exceeded[data.alert.removeprefix(DOSE_ALERT)] = data.text
        return _alert(case, said) | {topics.DOSE}
    return _alert(case, said)


def _alert(case: Case, said: Said) -> set[str]:
    data: AlertRaised = said.data
    alerts = case.alerts
    if isinstance(data, AlertCleared):
        alerts.pop(data.alert, None)
        return {topics.ALERTS}
    seen = alerts.get(data.alert)
    source = data.source_text or (seen.source if seen else None)
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
        overridden=data.overridden,
        source=source,
    )
    return {topics.ALERTS}


def _order(case: Case, said: Said) -> set[str]:
    data: CarmOrder = said.data
    if data.change != "chosen":
        return set()
    case.order = data.order
    return {topics.CARM}


def _step(case: Case, said: Said) -> set[str]:
    data: CarmMpps = said.data
    before = case.steps.get(data.sop_instance_uid)
    case.steps[data.sop_instance_uid] = s.StepValue(
        seq=said.entry.seq,
        sop_instance_uid=data.sop_instance_uid,
        status=data.status,
        procedure=data.procedure or (before.procedure if before else None),
        order=data.order,
        started=data.started or (before.started if before else None),
        ended=data.ended,
        images=data.images,
        missing=len(data.missing),
    )
    return {topics.CARM}


def set_alarm(alarms: dict[str, s.ActiveAlarm], said: Said, active: bool) -> None:
    """An alarm is signalled, or is over."""
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


ACTIONS: dict[str, Callable[[Case, Said], set[str]]] = {
    "procedure.started": _started,
    "procedure.rules": _rules,
    "procedure.phase": _phase,
    "procedure.delivery": _delivery,
    "procedure.ended": _ended,
    "procedure.completeness": _completeness,
    "vitals.numeric": _vitals,
    "pump.status": _pump,
    "pump.started": _pump,
    "pump.stopped": _pump,
    "pump.completed": _pump,
    "pump.alarm": _pump_alarm,
    "carm.image": _image,
    "carm.dose": _dose,
    "carm.order": _order,
    "carm.mpps": _step,
    "alert.raised": _raised,
    "alert.acknowledged": _alert,
    "alert.cleared": _alert,
}
