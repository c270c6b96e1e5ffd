"""Procedure, and MedicationAdministration: deliveries by pump and by hand, drugs given otherwise, contrast."""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.fhir.parts import (
    RECORD,
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
from esi_room.events import Delivery
from esi_room.events.clinical import ApproachTaken, Complication, Component, Contrast, DrugGiven, Indication

_ICD10 = "http://hl7.org/fhir/sid/icd-10"
_ENDED = {"completed": "completed", "discontinued": "stopped", "unknown": "unknown"}
_DELIVERED = {"completed": "completed", "mark": "completed", "line_lost": "unknown", "procedure_ended": "unknown"}
_STATUS = {"final": "completed", "corrected": "completed", "withdrawn": "entered-in-error"}


def procedure(case: Case) -> Resource:
    """What was done, from its start to its end."""
    facts = case.facts
    started, ended = facts.started, facts.ended
    taken = [fact.data for fact in facts.said(ApproachTaken)]
    period = {"start": rfc3339(started.time_ns)} if started is not None else {}
    period |= {"end": rfc3339(ended.time_ns)} if ended is not None else {}
    return resource(
        case,
        "Procedure",
        "procedure",
        identifier=[{"system": RECORD, "value": case.record}],
        status="in-progress" if ended is None else _ENDED[ended.data.outcome],
        code=concept(facts.procedure or "epidural steroid injection"),
        subject=subject(case),
        performedPeriod=period,
        reasonCode=[concept(fact.data.diagnosis, _ICD10, fact.data.icd10) for fact in facts.said(Indication)],
        bodySite=[concept(f"{each.approach}, {each.side}, {', '.join(each.levels)}") for each in taken],
        outcome=None if ended is None else concept(ended.data.outcome),
        complication=[concept(fact.data.kind) for fact in facts.said(Complication)],
        note=[
            {"text": f"phase {fact.data.phase}, by {fact.data.origin}", "time": rfc3339(fact.time_ns)}
            for fact in facts.phases
        ],
    )


def administrations(case: Case) -> Iterator[Resource]:
    """In the order of their entries."""
    for said in case.events:
        match said.data:
            case Delivery() as delivery:
                yield _delivery(case, said, delivery)
            case DrugGiven() | Contrast() as form:
                yield from _given(case, said, form)


def _delivery(case: Case, said: Said, delivery: Delivery) -> Resource:
    by_pump = delivery.device is not None
    what = f"delivery {delivery.number} by {delivery.origin}, ended by {delivery.ended_by}"
    return resource(
        case,
        "MedicationAdministration",
        f"administration/{said.entry.seq}",
        identifier=entry_of(said),
        status=_DELIVERED.get(delivery.ended_by, "stopped"),
        medicationCodeableConcept=concept(" + ".join(delivery.drugs) or "not said"),
        subject=subject(case),
        effectivePeriod={"start": delivery.started_at, "end": delivery.ended_at},
        partOf=[reference(case, "procedure")],
        device=[reference(case, f"device/{delivery.device}")] if by_pump else [],
        dosage=_dosage(delivery.delivered_ml, delivery.mean_rate_ml_h, what, None),
        note=[{"text": "; ".join((what, *delivery.remarks))}],
    )


def _dosage(volume_ml: float | None, rate_ml_h: float | None, text: str, route: str | None) -> Resource | None:
    """FHIR wants a dose or a rate in it; where neither is known there is none."""
    if volume_ml is None and rate_ml_h is None:
        return None
    dosage: Resource = {"text": text}
    dosage |= {} if route is None else {"route": concept(route)}
    dosage |= {} if volume_ml is None else {"dose": quantity(volume_ml, "mL")}
    return dosage | ({} if rate_ml_h is None else {"rateQuantity": quantity(rate_ml_h, "mL/h")})


def _given(case: Case, said: Said, form: DrugGiven | Contrast) -> Iterator[Resource]:
    present = now(case, said, form)
    if not isinstance(present.form, DrugGiven | Contrast):
        return
    component = present.form.component
    if component is None:  # contrast that was not given
        return
    route = present.form.route if isinstance(present.form, DrugGiven) else "epidural"
    yield resource(
        case,
        "MedicationAdministration",
        f"administration/{said.entry.seq}",
        identifier=entry_of(said),
        status=_STATUS[present.state],
        medicationCodeableConcept=concept(component.name or component.drug),
        subject=subject(case),
        effectiveDateTime=said.entry.time,
        partOf=[reference(case, "procedure")],
        performer=[{"actor": {"display": form.actor}}],
        dosage=_dosage(component.volume_ml, None, _words(component), route),
        note=present.notes,
    )


def _words(component: Component) -> str:
    """`lidocaine 1 % 3 mL`."""
    strength = "" if component.concentration is None else f" {component.concentration:g} {component.concentration_unit}"
    dose = "" if component.dose_mg is None else f" ({component.dose_mg:g} mg)"
    return f"{component.name or component.drug}{strength} {component.volume_ml:g} mL{dose}"
