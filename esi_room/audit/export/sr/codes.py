"""Codes of the Procedure Log (PS3.16 2024, annexes B and D), and the scheme for what has none there.

Rules:
- A published code is here only where it stands in a context group or template of PS3.16.
- What has no such code has one of the scheme 99ESIROOM, whose value is the word that the record itself uses. The
  document says of that scheme that it is private (Coding Scheme Identification Sequence).
- MDC codes are written `partition:term`, as DICOM writes them.
"""

from __future__ import annotations

from typing import NamedTuple

from esi_room.events import Reading

DCM, SCT, LN, UCUM, MDC = "DCM", "SCT", "LN", "UCUM", "MDC"
PRIVATE = "99ESIROOM"
MEANING_BYTES = 64  # value representation LO: 64 characters, of which programs count the octets
VALUE_BYTES = 16  # value representation SH; what is longer is a Long Code Value


class Code(NamedTuple):
    """Value, scheme and meaning."""

    value: str
    scheme: str
    meaning: str


def line(words: str, most_bytes: int = MEANING_BYTES) -> str:
    """As a value of LO, SH or PN: no backslash, no control character, so long at most."""
    flat = " ".join("".join(each if each.isprintable() else " " for each in words.replace("\\", "/")).split())
    if len(flat.encode()) <= most_bytes:
        return flat
    return flat.encode()[: most_bytes - 3].decode(errors="ignore") + "..."


def dcm(value: int | str, meaning: str) -> Code:
    """Of PS3.16 annex D."""
    return Code(str(value), DCM, meaning)


def own(word: str, meaning: str | None = None) -> Code:
    """Of the private scheme."""
    return Code(line(word, 1024) or "-", PRIVATE, line(meaning or word.replace("_", " ")) or "-")


def ucum(unit: str) -> Code:
    """A unit."""
    return Code(unit, UCUM, unit)


TITLE = dcm(121120, "Cath Lab Procedure Log")  # CID 3400: the only one that there is
# TID 1002, 1003, 1004
OBSERVER_TYPE, PERSON, DEVICE = dcm(121005, "Observer Type"), dcm(121006, "Person"), dcm(121007, "Device")
PERSON_NAME = dcm(121008, "Person Observer Name")
DEVICE_UID, DEVICE_NAME = dcm(121012, "Device Observer UID"), dcm(121013, "Device Observer Name")
DEVICE_MAKER, DEVICE_MODEL = dcm(121014, "Device Observer Manufacturer"), dcm(121015, "Device Observer Model Name")
# TID 3601, 3001
DESCRIPTION = dcm(121065, "Procedure Description")
ROOM, EQUIPMENT = dcm(121121, "Room identification"), dcm(121122, "Equipment Identification")
STATUS = dcm(121123, "Patient Status or Event")
NOTE, TECH_NOTE = dcm(121174, "Procedure Note"), dcm(121171, "Tech Note")  # CID 3401
READY = dcm(122048, "Equipment ready")  # CID 3427
COMPLICATION = Code("116224001", SCT, "Complication of Procedure")
# TID 3010, CID 3430
COMMENT, ACTION_ID = dcm(121106, "Comment"), dcm(121124, "Procedure Action Item ID")
RECORDED = dcm(121125, "DateTime of Recording of Log Entry")
WHEN_QUALIFIER, ESTIMATED = dcm(121135, "Observation DateTime Qualifier"), dcm(121137, "DateTime Estimated")
# TID 3100, CID 3421
START, END = dcm(121130, "Start Procedure Action Item"), dcm(121131, "End Procedure Action Item")
SUSPEND, RESUME = dcm(121132, "Suspend Procedure Action Item"), dcm(121133, "Resume Procedure Action Item")
# TID 3101
IMAGE, SERIES = dcm(121138, "Image Acquired"), dcm(112002, "Series Instance UID")
MODALITY, FRAMES = dcm(121139, "Modality"), dcm(121140, "Number of Frames")
PRIMARY, SECONDARY = dcm(112011, "Positioner Primary Angle"), dcm(112012, "Positioner Secondary Angle")
MODALITIES = {
    "XA": "X-Ray Angiography",
    "RF": "Radiofluoroscopy",
    "DX": "Digital Radiography",
    "CR": "Computed Radiography",
}
# TID 3104, CID 3408, 3426
TAKEN, DISPOSED = dcm(122076, "Consumable taken from inventory"), dcm(122078, "Remaining consumable disposed")
MATERIAL, LOT = dcm(121145, "Description of Material"), dcm(121149, "Lot Identifier")
# TID 3106, CID 3409, 3410
DRUG_START, DRUG_END = dcm(122081, "Drug start"), dcm(122082, "Drug end")
INFUSATE_START, INFUSATE_END = dcm(122087, "Infusate start"), dcm(122088, "Infusate end")
DRUG, CONTRAST = dcm(122083, "Drug administered"), dcm(122086, "Contrast administered")
ROUTE = Code("410675002", SCT, "Route of administration")
VOLUME, DOSE = dcm(122091, "Volume administered"), dcm(122092, "Undiluted dose administered")
CONCENTRATION, RATE = dcm(122093, "Concentration"), dcm(122094, "Rate of administration")
DISCARDED = dcm(122096, "Volume unadministered or discarded")
GIVEN_BY = dcm(121152, "Person administering drug/contrast")
# TID 3107, CID 3422; the needle's measures of CID 6095
USED = Code("373061006", SCT, "Device applied to patient")
WITHDRAWN = Code("371875006", SCT, "Device withdrawn / removed")
NEEDLE = Code("79068005", SCT, "Needle")
GAUGE, LENGTH = dcm(111465, "Needle Gauge"), dcm(111467, "Needle Length")
# TID 3114
ASSESSED = dcm(121165, "Patient Assessment Performed")
PAIN = Code("72514-3", LN, "Pain severity - 0-10 verbal numeric rating")
FAILED = dcm(114006, "Measurement failure")  # CID 42
# TID 10004
DAP, KERMA = dcm(113722, "Dose Area Product Total"), dcm(113725, "Dose (RP) Total")
FLUORO_TIME = dcm(113730, "Total Fluoro Time")

EVENTS = {
    122001: "Patient called to procedure room",
    122002: "Patient admitted to procedure room",
    122004: "Patient informed consent given",
    122006: "Nil Per Os (NPO) status confirmed",
    122007: "Patient assisted to table",
    122008: "Patient prepped and draped",
    122009: "Patient connected to continuous monitoring",
    122021: "Patient reports nausea",
    122022: "Patient reports discomfort",
    122024: "Patient reports no pain",
    122025: "Patient alert",
    122027: "Patient sedated",
    122032: "Patient disconnected from continuous monitoring",
    122033: "Hemostasis achieved",
    122036: "Patient given post-procedure instruction",
    122037: "Patient discharged from department",
}
"""Of CID 3402."""

_DRUGS = {
    "lidocaine": Code("82573000", SCT, "Lidocaine"),
    "atropine": Code("73949004", SCT, "Atropine"),
    "adrenaline": Code("387362001", SCT, "Epinephrine"),
    "antihistamine": Code("6425004", SCT, "Antihistamine"),
    "iohexol": Code("109218004", SCT, "Iohexol"),
    "iopamidol": Code("109219007", SCT, "Iopamidol"),
    "water": Code("11713004", SCT, "Water"),
}
"""Those of CID 10 and 12."""
_ROUTES = {
    "intravenous": Code("47625008", SCT, "Intravenous route"),
    "intramuscular": Code("78421000", SCT, "Intramuscular route"),
    "oral": Code("26643006", SCT, "Oral route"),
}
"""Those of CID 11."""


def event(value: int) -> Code:
    """Of CID 3402."""
    return dcm(value, EVENTS[value])


def drug(word: str, name: str | None = None) -> Code:
    """In the record's word; `name`: its label, where the word is `other`."""
    return _DRUGS.get(word) or own(word, name)


def route(word: str) -> Code:
    """In the record's word."""
    return _ROUTES.get(word) or own(word)


def of_reading(reading: Reading) -> Code:
    """Its MDC code, or the vendor's own id."""
    if isinstance(reading.code, int):
        return Code(f"{reading.code >> 16}:{reading.code & 0xFFFF}", MDC, line(reading.name))
    return own(reading.code, reading.name)
