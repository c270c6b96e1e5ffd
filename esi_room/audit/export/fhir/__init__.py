"""`fhir`: one HL7 FHIR R4 Bundle (`collection`), `<record>.fhir.json`.

    parts         references, quantities, codes
    who           Patient, Device, Provenance
    observing     Observation: readings, pain scores, dose
    treating      Procedure, MedicationAdministration
    imaging       ImagingStudy
    using         AuditEvent

Rules:
- Patient is a pseudonym, the salted digest that the journal holds, unless `case.identity` was asked for. The Bundle
  says which by its security label.
- A value that a device marked bad has a `dataAbsentReason`, never a number.
- A form that was corrected has the status `corrected`, its new value, and a note with the old one; one that was
  withdrawn is there as `entered-in-error`.
- Codes are given where the project has read them in a standard (MDC, UCUM, DCM, LOINC 72514-3), else words alone.
- Identifiers within follow from the record's id, so that the same record gives the same Bundle, but for who used it
  until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from esi_room.audit.export.case import Case
from esi_room.audit.export.fhir import imaging, observing, treating, using, who
from esi_room.audit.export.fhir.parts import BROKEN, RECORD, Resource, url
from esi_room.audit.export.files import named, written

_LABELS = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"


def export(case: Case, to: Path) -> list[Path]:
    """The Bundle."""
    path = named(case, to, "fhir.json")
    with written(path) as file:
        file.write(msgspec.json.encode(bundle(case)) + b"\n")
    return [path]


def bundle(case: Case) -> Resource:
    """Of the whole case."""
    resources = list(_resources(case))
    resources.append(who.provenance(case, resources))
    return {
        "resourceType": "Bundle",
        "meta": _meta(case),
        "identifier": {"system": RECORD, "value": case.record},
        "type": "collection",
        "timestamp": who.last_time(case),
        "entry": [{"fullUrl": f"urn:uuid:{each['id']}", "resource": each} for each in resources],
    }


def _meta(case: Case) -> Resource:
    meta: Resource = {}
    if case.identity is None:
        meta["security"] = [{"system": _LABELS, "code": "PSEUDED", "display": "pseudonymized"}]
    if case.broken is not None:
        meta["tag"] = [{"system": url("verification"), "code": BROKEN, "display": f"{BROKEN}: {case.broken}"}]
    return meta


def _resources(case: Case) -> Iterator[Resource]:
    yield who.patient(case)
    yield from who.devices(case)
    yield treating.procedure(case)
    yield from treating.administrations(case)
    yield from imaging.studies(case)
    yield from observing.observations(case)
    yield from using.audit_events(case)


"""Provenance comes last: it names all of these."""
