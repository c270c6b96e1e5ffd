"""Content items of a structured report (PS3.3 C.17.3), as data sets."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import format_number_as_ds

from esi_room.audit.export.sr.codes import FAILED, VALUE_BYTES, Code, line, own, ucum
from esi_room.clock import rfc3339

OBS, ACQ, HAS, MOD, CONTAINS = "HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS PROPERTIES", "HAS CONCEPT MOD", "CONTAINS"
_NAMESPACE = uuid.UUID("8f0f0f3c-5e39-5d0b-9d0c-3f5b0c1f6a61")  # a constant: the same in every document
_NAME_LETTERS = 64
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), " ")


def uid(name: str) -> UID:
    """`2.25.` and a UUID that follows from the name."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")


def uid_of(octets: bytes) -> UID:
    """Of these octets: others have another."""
    return uid(hashlib.sha256(octets).hexdigest())


def dt(wall_ns: int) -> str:
    """Value representation DT, in UTC, which the document says once (0008,0201): dcmtk 3.6.7 refuses `+0000` here."""
    text = rfc3339(wall_ns)
    return f"{text[:4]}{text[5:7]}{text[8:10]}{text[11:13]}{text[14:16]}{text[17:26]}"


def coded(code: Code) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    setattr(item, "CodeValue" if len(code.value.encode()) <= VALUE_BYTES else "LongCodeValue", code.value)
    item.CodingSchemeDesignator, item.CodeMeaning = code.scheme, code.meaning
    return item


def _item(relation: str, value_type: str, name: Code, children: Iterable[Dataset]) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, value_type
    item.ConceptNameCodeSequence = [coded(name)]
    inner = list(children)
    if inner:
        item.ContentSequence = inner
    return item


def text(relation: str, name: Code, words: str, *children: Dataset) -> Dataset:
    """TEXT: any length, any character but controls."""
    item = _item(relation, "TEXT", name, children)
    item.TextValue = words.translate(_CONTROL).strip() or "-"
    return item


def code(relation: str, name: Code, value: Code, *children: Dataset) -> Dataset:
    """CODE."""
    item = _item(relation, "CODE", name, children)
    item.ConceptCodeSequence = [coded(value)]
    return item


def num(relation: str, name: Code, value: float | None, unit: str, *children: Dataset) -> Dataset:
    """NUM; a value that is not known has a qualifier in its place."""
    item = _item(relation, "NUM", name, children)
    if value is None:
        item.MeasuredValueSequence = []
        item.NumericValueQualifierCodeSequence = [coded(FAILED)]
        return item
    measured = Dataset()
    measured.NumericValue = format_number_as_ds(float(value))
    measured.MeasurementUnitsCodeSequence = [coded(ucum(unit) if unit else own("unit_not_said"))]
    item.MeasuredValueSequence = [measured]
    return item


def pname(relation: str, name: Code, person: str) -> Dataset:
    """PNAME: what somebody was called, as one component; a name is not taken apart by guessing."""
    item = _item(relation, "PNAME", name, ())
    item.PersonName = line(person.replace("^", " ").replace("=", " ")) or "-"
    return item


def moment(relation: str, name: Code, wall_ns: int) -> Dataset:
    """DATETIME."""
    item = _item(relation, "DATETIME", name, ())
    item.DateTime = dt(wall_ns)
    return item


def uidref(relation: str, name: Code, value: str) -> Dataset:
    """UIDREF."""
    item = _item(relation, "UIDREF", name, ())
    item.UID = value
    return item


def image(relation: str, name: Code, sop_class_uid: str, sop_instance_uid: str, *children: Dataset) -> Dataset:
    """IMAGE."""
    item = _item(relation, "IMAGE", name, children)
    item.ReferencedSOPSequence = [reference(sop_class_uid, sop_instance_uid)]
    return item


def reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """To an object."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item
