"""What FHIR resources are put together from."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from esi_room.audit.export.case import Case, Said
from esi_room.events import Clinical

Resource = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
MDC = "urn:iso:std:iso:11073:10101"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
LOINC = "http://loinc.org"
BROKEN = "BROKEN"
_OWN = "urn:uuid:8f0f0f3c-5e39-5d0b-9d0c-3f5b0c1f6a61"
"""Names that no published system has are of this one: a constant, so that they are the same in every Bundle."""


def url(name: str) -> str:
    """A system of identifiers of our own."""
    return f"{_OWN}#{name}"


RECORD = url("record")


def identifier(case: Case, name: str) -> str:
    """The resource `name` of the case: the same from export to export."""
    return str(uuid.uuid5(uuid.UUID(_OWN.removeprefix("urn:uuid:")), f"{case.record}/{name}"))


def reference(case: Case, name: str) -> Resource:
    """To the resource `name`."""
    return {"reference": f"urn:uuid:{identifier(case, name)}"}


def subject(case: Case) -> Resource:
    """Every resource is about this patient."""
    return reference(case, "patient")


def resource(case: Case, kind: str, name: str, /, **more: Any) -> Resource:
    """With an id, and without what is not known: FHIR has no null and no empty list."""
    known = {key: value for key, value in more.items() if value not in (None, [], {}, "")}
    return {"resourceType": kind, "id": identifier(case, name), **known}


def quantity(value: float, ucum: str) -> Resource:
    """In a UCUM unit."""
    return {"value": value, "unit": ucum, "system": UCUM, "code": ucum}


def concept(text: str, system: str | None = None, code: str | None = None) -> Resource:
    """Words, with a code where there is one."""
    coding = {} if code is None else {"coding": [{"system": system, "code": code, "display": text}]}
    return {**coding, "text": text}


def entry_of(said: Said) -> list[Resource]:
    """The identifier of a resource that one entry says: `<record>#<seq>`."""
    return [{"system": url("entry"), "value": f"{said.entry.record}#{said.entry.seq}"}]


class Now(msgspec.Struct, frozen=True):
    """What a form says now. `state`: `final`, `corrected`, or `withdrawn` (then `form` is as it was said). `notes`:
    what it said before, and why that changed."""

    form: Clinical
    state: str
    notes: list[Resource]


def now(case: Case, said: Said, form: Clinical) -> Now:
    """The form of this entry with its corrections."""
    corrections = case.corrections.get(said.entry.seq, ())
    if not corrections:
        return Now(form, "final", [])
    was = msgspec.json.encode(form).decode()
    notes = [{"text": f"As first said, entry {said.entry.seq}: {was}", "time": said.entry.time}]
    for each in corrections:
        what = bytes(each.entry.data).decode(errors="replace")
        notes.append({"text": f"Corrected by entry {each.entry.seq}: {what}", "time": each.entry.time})
    fact = case.facts.form(said.entry.seq)
    return Now(form, "withdrawn", notes) if fact is None else Now(fact.data, "corrected", notes)
