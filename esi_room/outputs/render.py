"""From what the projection knows to the snapshots: field by field, nothing computed.

Each function takes `head`, the fields of `snapshots.Snapshot` (`as_of` and `published_at`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from esi_room.events import CarmDose, CarmImage, Entry, PumpStatus, Reading
from esi_room.outputs import snapshots as s
from esi_room.outputs import topics
from esi_room.outputs.known import SILENT, Aging, Case, Device

Head = dict[str, Any]


def procedure(case: Case, head: Head) -> s.ProcedureState:
    """`state/procedure`."""
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
        plan=case.plan,
        rules=case.rules,
        deliveries=tuple(case.deliveries),
        completeness=case.completeness,
    )


def vitals(case: Case, head: Head) -> s.VitalsState:
    """`state/vitals`."""
    values = tuple(_vital(source, aging) for (source, _), aging in case.vitals.items())
    conditions = tuple(
        s.VitalConditions(**aging.aged(), source=source, conditions=aging.value)
        for source, aging in case.conditions.items()
    )
    return s.VitalsState(**head, values=values, conditions=conditions, limits=tuple(case.limits.values()))


def pumps(case: Case, head: Head) -> s.PumpsState:
    """`state/pump`."""
    values = tuple(_pump(source, aging, case.pump_alarms.get(source, {})) for source, aging in case.pumps.items())
    return s.PumpsState(**head, pumps=values)


def carm(case: Case, head: Head) -> s.CarmState:
    """`state/carm`."""
    return s.CarmState(
        **head,
        image=_image(*case.image) if case.image else None,
        objects=case.objects,
        order=case.order,
        steps=tuple(case.steps.values()),
        shown_sha256=case.shown_sha256,
        preview_problem=case.preview_problem,
    )


def dose(case: Case, head: Head) -> s.DoseState:
    """`state/dose`."""
    last = None
    if case.dose is not None:
        entry, image = case.dose
        last = s.HeaderDose(
            **_ageless(entry),
            seq=entry.seq,
            sop_instance_uid=image.sop_instance_uid,
            attributes=image.dose,
        )
    return s.DoseState(
        **head,
        total=_total(*case.total) if case.total else None,
        runs=case.runs.last(),
        more_runs=len(case.runs) - len(case.runs.last()),
        exceeded=dict(case.exceeded),
        levels=dict(case.levels),
        images=case.images,
        frames=case.frames,
        last=last,
    )


def alerts(case: Case, head: Head) -> s.AlertsState:
    """`state/alerts`."""
    return s.AlertsState(**head, alerts=tuple(case.alerts.values()))


def device(name: str, known: Device, head: Head) -> s.DeviceSnapshot:
    """`state/device/<name>`."""
    line = known.line
    return s.DeviceSnapshot(
        **head,
        device=name,
        state=line.state if line else None,
        since=known.since,
        reason=line.reason if line else None,
        driver=line.driver if line else None,
        port=line.port if line else None,
        identity=known.identity,
        alarms=tuple(known.alarms.values()),
        rejected=dict(known.rejected),
        gaps=known.gaps,
        last_gap=known.last_gap,
    )


CASE_SNAPSHOTS: dict[str, Callable[[Case, Head], s.Snapshot]] = {
    topics.PROCEDURE: procedure,
    topics.VITALS: vitals,
    topics.PUMP: pumps,
    topics.CARM: carm,
    topics.DOSE: dose,
    topics.ALERTS: alerts,
}
"""The snapshots of the open record, by topic."""


def _vital(source: str, aging: Aging[Reading]) -> s.VitalValue:
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


def _pump(source: str, aging: Aging[PumpStatus], alarms: dict[str, s.ActiveAlarm]) -> s.PumpValue:
    pump = aging.value
    return s.PumpValue(
        **aging.aged(),
        source=source,
        event=None if pump is SILENT else cast(Any, pump.TYPE),
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


def _total(entry: Entry, dose: CarmDose) -> s.DoseSum:
    total = dose.total
    return s.DoseSum(
        **_ageless(entry),
        seq=entry.seq,
        dap_gy_m2=total.dap_gy_m2,
        air_kerma_rp_gy=total.air_kerma_rp_gy,
        fluoro_time_s=total.fluoro_time_s,
        irradiation_events=total.irradiation_events,
        provenance=total.provenance,
    )


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
