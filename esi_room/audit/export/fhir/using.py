"""AuditEvent: who used this record, as the entries `audit.event` of the room say (PS3.15 A.5, which FHIR follows)."""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.audit.export.case import Case
from esi_room.audit.export.fhir.parts import DCM, RECORD, Resource, reference, resource, url
from esi_room.audit.trail import Used
from esi_room.events.audit import PATIENT_RECORD

_TYPES = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLES = "http://terminology.hl7.org/CodeSystem/object-role"
_MACHINE_NAME = "1"  # network type of RFC 3881
_ENDED = {0: "done", 4: "not done to its end", 8: "failed", 12: "failed"}


def audit_events(case: Case) -> Iterator[Resource]:
    """In the order of their times."""
    site = {} if case.opened is None else {"site": case.opened.room}
    for used in case.uses:
        said = used.said
        yield resource(
            case,
            "AuditEvent",
            f"audit/{said.id}",
            type={"system": DCM, "code": said.event, "display": said.meaning},
            action=said.action,
            recorded=used.time,
            outcome=str(said.outcome),
            outcomeDesc=_ENDED[said.outcome],
            purposeOfEvent=[{"text": said.reason}] if said.reason else [],
            agent=[_agent(used)],
            source={"observer": reference(case, "device/room"), **site},
            entity=list(_entities(case, used)),
        )


def _agent(used: Used) -> Resource:
    said, host = used.said, used.said.user.rpartition("@")[2]
    network = {"address": host, "type": _MACHINE_NAME}
    return {"who": {"display": said.actor}, "altId": said.user, "requestor": True, "network": network}


def _entities(case: Case, used: Used) -> Iterator[Resource]:
    entry = "" if used.entry is None else f"{used.entry.record}#{used.entry.seq}"
    yield {
        "what": {"identifier": {"system": RECORD, "value": case.record}},
        "type": {"system": _TYPES, "code": "2", "display": "System Object"},
        "role": {"system": _ROLES, "code": "3", "display": "Report"},
        "description": used.said.what,
        "detail": [{"type": url("entry"), "valueString": entry}],
    }
    if used.said.event == PATIENT_RECORD:
        yield {
            "what": reference(case, "patient"),
            "type": {"system": _TYPES, "code": "1", "display": "Person"},
            "role": {"system": _ROLES, "code": "1", "display": "Patient"},
        }
