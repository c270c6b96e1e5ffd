"""Observation: one a device message, with a component a reading; pain scores; dose."""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.fhir.parts import (
    DCM,
    LOINC,
    MDC,
    Resource,
    concept,
    entry_of,
    now,
    quantity,
    reference,
    resource,
    subject,
)
from esi_room.clock import rfc3339
from esi_room.events import CarmDose, Reading, VitalsNumeric
from esi_room.events.clinical import FollowUp, Pain

_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_REASONS = {"invalid": "error", "off": "temp-unknown", "unsupported": "unsupported"}
_STATUS = {"final": "final", "corrected": "corrected", "withdrawn": "entered-in-error"}
# PS3.16 TID 10004, and their units.
_DOSES = {
    "dap_gy_m2": ("Dose Area Product Total", "113722", "Gy.m2"),
    "air_kerma_rp_gy": ("Dose (RP) Total", "113725", "Gy"),
    "fluoro_time_s": ("Total Fluoro Time", "113730", "s"),
}
_PAIN = ("Pain severity - 0-10 verbal numeric rating", "72514-3")


def observations(case: Case) -> Iterator[Resource]:
    """All of them, in the order of the entries; then the dose."""
    for said in case.said():
        match said.data:
            case VitalsNumeric(readings=readings) if readings:
                yield _vitals(case, said, readings)
            case Pain() | FollowUp(pain_score=float()) as form:
                yield _pain(case, said, form)
    yield from _dose(case)


def _vitals(case: Case, said: Said, readings: tuple[Reading, ...]) -> Resource:
    return resource(
        case,
        "Observation",
        f"observation/{said.entry.seq}",
        identifier=entry_of(said),
        status="final",
        category=[concept("Vital Signs", _CATEGORY, "vital-signs")],
        code=concept("readings of one device message"),
        subject=subject(case),
        partOf=[reference(case, "procedure")],
        effectiveDateTime=said.entry.time,
        issued=said.entry.received,
        device=reference(case, f"device/{said.entry.source}"),
        component=[_component(each) for each in readings],
    )


def _component(reading: Reading) -> Resource:
    code = str(reading.code) if isinstance(reading.code, int) else None
    part: Resource = {"code": concept(reading.name, MDC, code)}
    if reading.value is None:
        reason = _REASONS.get(reading.status, "unknown")
        return part | {"dataAbsentReason": concept(reading.status, _ABSENT, reason)}
    part["valueQuantity"] = quantity(reading.value, reading.unit)
    return part if reading.status == "ok" else part | {"interpretation": [concept(reading.status)]}


def _pain(case: Case, said: Said, form: Pain | FollowUp) -> Resource:
    present = now(case, said, form)
    match present.form:
        case Pain(score=score, scale=scale, occasion=occasion):
            words = f"{scale}, {occasion}"
        case FollowUp(pain_score=score, pain_scale=scale, date=date):
            words = f"{scale}, follow-up of {date}"
        case _:
            score, scale, words = None, None, ""
    return resource(
        case,
        "Observation",
        f"observation/{said.entry.seq}",
        identifier=entry_of(said),
        status=_STATUS[present.state],
        category=[concept("Survey", _CATEGORY, "survey")],
        code=concept(_PAIN[0], LOINC, _PAIN[1]) if scale == "NRS" else concept("pain score"),
        subject=subject(case),
        partOf=[reference(case, "procedure")],
        effectiveDateTime=form.date if isinstance(form, FollowUp) else said.entry.time,
        issued=said.entry.received,
        performer=[{"display": form.actor}],
        valueQuantity=None if score is None else quantity(score, "{score}"),
        dataAbsentReason=concept("not said", _ABSENT, "unknown") if score is None else None,
        method=concept(words),
        note=present.notes,
    )


def _dose(case: Case) -> Iterator[Resource]:
    """The record's total; and what reports that came too late say, each of its own."""
    total = case.facts.dose
    if total is not None:
        values = {name: getattr(total.data.total, name) for name in _DOSES}
        yield from _dose_of(case, f"dose/{total.seq}", values, rfc3339(total.time_ns), "of the record")
    for said in case.late:
        if isinstance(said.data, CarmDose):
            values = {name: getattr(said.data, name) for name in _DOSES}
            name = f"dose/{said.entry.record}/{said.entry.seq}"
            yield from _dose_of(case, name, values, said.entry.time, f"late, scope {said.data.scope}")


def _dose_of(case: Case, name: str, values: dict[str, float | None], time: str, words: str) -> Iterator[Resource]:
    for field, value in values.items():
        if value is not None:
            text, code, unit = _DOSES[field]
            yield resource(
                case,
                "Observation",
                f"{name}/{field}",
                status="final",
                code=concept(text, DCM, code),
                subject=subject(case),
                partOf=[reference(case, "procedure")],
                effectiveDateTime=time,
                device=reference(case, "device/carm"),
                valueQuantity=quantity(value, unit),
                method=concept(words),
            )
