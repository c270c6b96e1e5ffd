"""Radiation dose reports for tests, item by item, so that each can be made wrong in each way."""

from __future__ import annotations

import io
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, XRayRadiationDoseSRStorage, generate_uid

NAMES = {
    "113701": "X-Ray Radiation Dose Report",
    "113702": "Accumulated X-Ray Dose Data",
    "113706": "Irradiation Event X-Ray Data",
}
FLUORO = ("44491008", "SCT")
ACQUISITION = ("113611", "DCM")


def coded(value: str, scheme: str = "DCM", meaning: str | None = None) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    item.CodeMeaning = NAMES.get(value, "some words") if meaning is None else meaning
    return item


def content(kind: str, concept: str, *children: Dataset, scheme: str = "DCM", **attributes: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = [coded(concept, scheme)]
    if children:
        item.ContentSequence = list(children)
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def num(concept: str, value: Any, unit: str | None, *, scheme: str = "DCM") -> Dataset:
    measured = Dataset()
    measured.NumericValue = value
    if unit is not None:
        measured.MeasurementUnitsCodeSequence = [coded(unit, "UCUM")]
    return content("NUM", concept, scheme=scheme, MeasuredValueSequence=[measured])


def choice(concept: str, value: str, scheme: str, *children: Dataset) -> Dataset:
    return content("CODE", concept, *children, ConceptCodeSequence=[coded(value, scheme)])


def uidref(concept: str, uid: str) -> Dataset:
    return content("UIDREF", concept, UID=uid)


def container(concept: str, *children: Dataset) -> Dataset:
    return content("CONTAINER", concept, *children, ContinuityOfContent="SEPARATE")


def scope(code: str, uid: str | None = None) -> Dataset:
    return choice("113705", code, "DCM", *([] if uid is None else [uidref("121126", uid)]))


def event(uid: str, *, dap: Any = 1e-6, kerma: Any = 1e-4, seconds: Any = 2.0, kind: Any = FLUORO) -> Dataset:
    """An irradiation event (TID 10003), in the units of the standard."""
    return container(
        "113706",
        content("DATETIME", "111526", DateTime="20261123093000.123"),
        choice("113721", *kind),
        uidref("113769", uid),
        num("122130", dap, "Gy.m2"),
        num("113738", kerma, "Gy"),
        num("113742", seconds, "s"),
    )


def totals(*, dap: Any = 3e-6, kerma: Any = 3e-4, seconds: Any = 6.0, plane: str = "113622") -> Dataset:
    return container(
        "113702",
        choice("113764", plane, "DCM"),
        num("113722", dap, "Gy.m2"),
        num("113725", kerma, "Gy"),
        num("113730", seconds, "s"),
    )


def document(*children: Dataset, root: str = "113701", scheme: str = "DCM", **attributes: Any) -> Dataset:
    report = container(root, *children)
    report.ConceptNameCodeSequence = [coded(root, scheme)]
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID, report.SOPInstanceUID = XRayRadiationDoseSRStorage, generate_uid()
    report.StudyInstanceUID, report.SeriesInstanceUID = generate_uid(), generate_uid()
    report.Modality = "SR"
    report.PatientName, report.PatientID = "Nobody^Special", "PID-4711"
    for keyword, value in attributes.items():
        setattr(report, keyword, value)
    return report


def octets(dataset: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    """`dataset` as it comes over the line, without file meta."""
    out: Any = io.BytesIO()
    from pydicom.filebase import DicomFileLike

    file = DicomFileLike(out)
    file.is_implicit_VR, file.is_little_endian = implicit, little
    plain = Dataset()
    plain.update({element.tag: element for element in dataset if element.tag.group != 2})
    write_dataset(file, plain)
    return out.getvalue()
