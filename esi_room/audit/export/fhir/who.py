"""Patient, devices, and where it all comes from."""

from __future__ import annotations

from esi_room.audit.export.case import Case
from esi_room.audit.export.fhir.parts import BROKEN, RECORD, Resource, concept, reference, resource, url
from esi_room.commands import Identity
from esi_room.events import CarmImage, DeviceState

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
ROOM = "room"


def patient(case: Case) -> Resource:
    """A pseudonym; or who it is."""
    who = case.identity
    if who is not None:
        return resource(
            case,
            "Patient",
            "patient",
            identifier=[] if who.id is None else [{"system": url("hospital-number"), "value": who.id}],
            name=[_name(who)],
            birthDate=who.birth_date,
        )
    digest = case.facts.started.data.identity_sha256 if case.facts.started is not None else None
    return resource(
        case, "Patient", "patient", identifier=[{"system": url("pseudonym"), "value": digest or case.record}]
    )


def _name(who: Identity) -> Resource:
    """DICOM PN: family^given^middle^prefix^suffix."""
    family, given, middle, prefix, suffix = (who.name.split("^") + [""] * 5)[:5]
    parts = {"family": family, "given": [each for each in (given, middle) if each]}
    parts |= {"prefix": [prefix] if prefix else [], "suffix": [suffix] if suffix else []}
    return {"text": who.name.replace("^", " ").strip(), **{key: value for key, value in parts.items() if value}}


def devices(case: Case) -> list[Resource]:
    """Every device that an entry is of, as it names itself; first the room, which recorded."""
    told: dict[str, str | None] = dict.fromkeys(case.sources)
    carm: CarmImage | None = None
    for said in case.events:
        if isinstance(said.data, DeviceState) and said.data.identity:
            told[said.entry.source] = said.data.identity
        carm = said.data if isinstance(said.data, CarmImage) else carm
    software = None if case.opened is None else [{"value": case.opened.software}]
    room = resource(
        case, "Device", "device/room", deviceName=[{"name": "esi_room", "type": "model-name"}], version=software
    )
    return [room, *(_device(case, *each, carm) for each in sorted(told.items()) if each[0] != ROOM)]


def _device(case: Case, source: str, itself: str | None, carm: CarmImage | None) -> Resource:
    image = carm if source == "carm" else None
    names = [{"name": source, "type": "user-friendly-name"}]
    if image is not None and image.model:
        names.append({"name": image.model, "type": "model-name"})
    return resource(
        case,
        "Device",
        f"device/{source}",
        identifier=[{"system": url("device"), "value": source}],
        manufacturer=None if image is None else image.manufacturer,
        deviceName=names,
        note=[] if itself is None else [{"text": itself}],
    )


def last_time(case: Case) -> str:
    """Of the last entry: the case as it was known then."""
    return max((case.until, *(said.entry.received for said in case.events), *(used.time for used in case.uses)))


def provenance(case: Case, of: list[Resource]) -> Resource:
    """From which record, with which last hash; and whether that verifies."""
    verdict = "verifies" if case.broken is None else f"{BROKEN}: {case.broken}"
    what = {"identifier": {"system": RECORD, "value": case.record}, "display": f"{case.record}: {verdict}"}
    head = {"identifier": {"system": url("journal-head-sha256"), "value": case.report.head}}
    return resource(
        case,
        "Provenance",
        "provenance",
        target=[{"reference": f"urn:uuid:{each['id']}"} for each in of],
        recorded=last_time(case),
        agent=[{"type": concept("assembler", _PARTICIPANT, "assembler"), "who": reference(case, "device/room")}],
        entity=[{"role": "source", "what": what}, {"role": "source", "what": head}],
    )
