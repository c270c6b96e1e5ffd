"""X-Ray Radiation Dose SR (PS3.3 A.35.8): what was irradiated, written after PS3.16 TID 10001.

    CONTAINER (113701, DCM, X-Ray Radiation Dose Report)                            TID 10001
      HAS CONCEPT MOD  Procedure reported = Projection X-Ray, Has Intent
      HAS OBS CONTEXT  Observer Type = Device and who it is                         TID 1002, 1004
      HAS OBS CONTEXT  Scope of Accumulation = Study, its UID
      CONTAINS CONTAINER Accumulated X-Ray Dose Data                                TID 10002, 10004, 10007
      CONTAINS CONTAINER Irradiation Event X-Ray Data, one an event                 TID 10003, A, B, C
      CONTAINS CODE    Source of Dose Information

Rules of this file:
- Anatomy, intents and event types are coded in SRT, as C-arms that are in use write them; the current standard has
  SNOMED CT identifiers for the same concepts (PS3.16 section 8.1.1).
- The units are those the templates ask for: Gy.m2, Gy, s, mm, deg, kV, mA, ms.
- An event that the totals hold is in the report, and none other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, XRayRadiationDoseSRStorage

from simulators.carm.case import Case, Event, Identity, Kept, Totals, new_uid
from simulators.carm.headers import (
    dicom_date,
    dicom_time,
    equipment,
    file_meta,
    patient_and_study,
    performed_step,
    reference,
)
from simulators.carm.solids import SOURCE_TO_CENTRE_MM, SOURCE_TO_DETECTOR_MM

GY_M2_PER_DGY_CM2 = 1e-5
GY_PER_MGY = 1e-3
_DEVICE_UID = new_uid()  # of this C-arm, for as long as the simulator runs
_REFERENCE_POINT_MM = 150.0  # from the isocentre towards the source: (113860, DCM)


class Code(NamedTuple):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """As an item of a code sequence (PS3.3 8.8)."""
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = self
        return item


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


GY_M2, GY = Code("Gy.m2", "UCUM", "Gy.m2"), Code("Gy", "UCUM", "Gy")
_S, _MS, _MM = Code("s", "UCUM", "s"), Code("ms", "UCUM", "ms"), Code("mm", "UCUM", "mm")
_DEG, _KV, _MA = Code("deg", "UCUM", "deg"), Code("kV", "UCUM", "kV"), Code("mA", "UCUM", "mA")
_ONE, _PER_S = Code("1", "UCUM", "no units"), Code("{pulse}/s", "UCUM", "pulse/s")
_PLANE = (_dcm("113764", "Acquisition Plane"), _dcm("113622", "Single Plane"))
_POINT = (_dcm("113780", "Reference Point Definition"), _dcm("113860", "15cm from Isocenter toward Source"))
_FLUOROSCOPY, _RECORDED = Code("P5-06000", "SRT", "Fluoroscopy"), _dcm("113611", "Stationary Acquisition")


def report(case: Case, identity: Identity, events: list[Event], now: datetime) -> Dataset:
    """A report of `events`, with an SOP Instance UID of its own."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = XRayRadiationDoseSRStorage, new_uid()
    patient_and_study(dataset, identity, case)
    equipment(dataset)
    dataset.Modality = "SR"
    dataset.SeriesInstanceUID, dataset.SeriesNumber = case.study.dose_series_uid, 9
    dataset.SeriesDescription = "Radiation Dose Information"
    dataset.ReferencedPerformedProcedureStepSequence = Items([])
    performed_step(dataset, case)
    dataset.InstanceNumber = case.reports + 1
    dataset.ContentDate, dataset.ContentTime = dicom_date(now), dicom_time(now)
    dataset.CompletionFlag = "COMPLETE"  # of a dose report always, even where another will follow
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = Items([])
    images = _images(case, events)
    if images:
        dataset.CurrentRequestedProcedureEvidenceSequence = Items([_evidence(case, images)])
    _root(dataset, case, events, images)
    file_meta(dataset, ExplicitVRLittleEndian)
    return dataset


def item(relationship: str, value_type: str, name: Code, *children: Dataset) -> Dataset:
    """A content item without its value (PS3.3 C.17.3)."""
    made = Dataset()
    made.RelationshipType, made.ValueType = relationship, value_type
    made.ConceptNameCodeSequence = Items([name.item()])
    if children:
        made.ContentSequence = Items(children)
    return made


def num(name: Code, value: float, unit: Code) -> Dataset:
    """A NUM item (PS3.3 C.18.1)."""
    made, measured = item("CONTAINS", "NUM", name), Dataset()
    measured.NumericValue = f"{value:.6g}"
    measured.MeasurementUnitsCodeSequence = Items([unit.item()])
    made.MeasuredValueSequence = Items([measured])
    return made


def code(relationship: str, name: Code, value: Code, *children: Dataset) -> Dataset:
    """A CODE item."""
    made = item(relationship, "CODE", name, *children)
    made.ConceptCodeSequence = Items([value.item()])
    return made


def text(relationship: str, name: Code, value: str) -> Dataset:
    """A TEXT item."""
    made = item(relationship, "TEXT", name)
    made.TextValue = value
    return made


def container(name: Code, *children: Dataset) -> Dataset:
    """A CONTAINER item."""
    made = item("CONTAINS", "CONTAINER", name, *children)
    made.ContinuityOfContent = "SEPARATE"
    return made


def _uidref(relationship: str, name: Code, uid: str) -> Dataset:
    made = item(relationship, "UIDREF", name)
    made.UID = uid
    return made


def _root(dataset: Dataset, case: Case, events: list[Event], images: dict[str, Kept]) -> None:
    """TID 10001, rows 1 to 18."""
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = Items([_dcm("113701", "X-Ray Radiation Dose Report").item()])
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "10001"
    dataset.ContentTemplateSequence = Items([template])
    intent = code("HAS CONCEPT MOD", Code("G-C0E8", "SRT", "Has Intent"), Code("R-41531", "SRT", "Therapeutic Intent"))
    study = _uidref("HAS PROPERTIES", _dcm("110180", "Study Instance UID"), case.study.uid)
    procedure = (_dcm("121058", "Procedure reported"), _dcm("113704", "Projection X-Ray"))
    dataset.ContentSequence = Items(
        [
            code("HAS CONCEPT MOD", *procedure, intent),
            *_observer(dataset),
            code("HAS OBS CONTEXT", _dcm("113705", "Scope of Accumulation"), _dcm("113014", "Study"), study),
            _accumulated(events),
            *(_event(event, images.get(event.uid)) for event in events),
            code("CONTAINS", _dcm("113854", "Source of Dose Information"), _dcm("113856", "Automated Data Collection")),
        ]
    )


def _observer(dataset: Dataset) -> Iterator[Dataset]:
    """TID 1002 with TID 1004: the C-arm itself."""
    yield code("HAS OBS CONTEXT", _dcm("121005", "Observer Type"), _dcm("121007", "Device"))
    yield _uidref("HAS OBS CONTEXT", _dcm("121012", "Device Observer UID"), _DEVICE_UID)
    yield text("HAS OBS CONTEXT", _dcm("121014", "Device Observer Manufacturer"), dataset.Manufacturer)
    yield text("HAS OBS CONTEXT", _dcm("121015", "Device Observer Model Name"), dataset.ManufacturerModelName)
    yield text("HAS OBS CONTEXT", _dcm("121016", "Device Observer Serial Number"), dataset.DeviceSerialNumber)


def _accumulated(events: list[Event]) -> Dataset:
    """TID 10002 with TID 10004 and TID 10007."""
    totals = Totals.of(events)
    frames = sum(event.recorded * round(event.duration_s * event.pulses_per_s) for event in events)
    return container(
        _dcm("113702", "Accumulated X-Ray Dose Data"),
        code("HAS CONCEPT MOD", *_PLANE),
        num(_dcm("113722", "Dose Area Product Total"), totals.dap_dgy_cm2 * GY_M2_PER_DGY_CM2, GY_M2),
        num(_dcm("113725", "Dose (RP) Total"), totals.air_kerma_mgy * GY_PER_MGY, GY),
        num(_dcm("113726", "Fluoro Dose Area Product Total"), totals.fluoro_dgy_cm2 * GY_M2_PER_DGY_CM2, GY_M2),
        num(_dcm("113728", "Fluoro Dose (RP) Total"), totals.fluoro_mgy * GY_PER_MGY, GY),
        num(_dcm("113730", "Total Fluoro Time"), totals.fluoro_s, _S),
        num(_dcm("113727", "Acquisition Dose Area Product Total"), totals.recorded_dgy_cm2 * GY_M2_PER_DGY_CM2, GY_M2),
        num(_dcm("113729", "Acquisition Dose (RP) Total"), totals.recorded_mgy * GY_PER_MGY, GY),
        num(_dcm("113855", "Total Acquisition Time"), totals.recorded_s, _S),
        num(_dcm("113731", "Total Number of Radiographic Frames"), frames, _ONE),
        code("CONTAINS", *_POINT),
    )


def _event(event: Event, image: Kept | None) -> Dataset:
    """TID 10003 with 10003A, B and C."""
    pulses = round(event.duration_s * event.pulses_per_s)
    made = container(
        _dcm("113706", "Irradiation Event X-Ray Data"),
        code("HAS CONCEPT MOD", *_PLANE),
        _uidref("CONTAINS", _dcm("113769", "Irradiation Event UID"), event.uid),
        _started(event),
        code("CONTAINS", _dcm("113721", "Irradiation Event Type"), _RECORDED if event.recorded else _FLUOROSCOPY),
        text("CONTAINS", _dcm("125203", "Acquisition Protocol"), "Spine"),
        code("CONTAINS", _dcm("123014", "Target Region"), Code("T-11503", "SRT", "Lumbar Spine")),
        num(_dcm("122130", "Dose Area Product"), event.dap_dgy_cm2 * GY_M2_PER_DGY_CM2, GY_M2),
        num(_dcm("113738", "Dose (RP)"), event.air_kerma_mgy * GY_PER_MGY, GY),
        code("CONTAINS", *_POINT),
        num(_dcm("112011", "Positioner Primary Angle"), event.view.primary_deg, _DEG),
        num(_dcm("112012", "Positioner Secondary Angle"), event.view.secondary_deg, _DEG),
        code("CONTAINS", _dcm("113732", "Fluoro Mode"), _dcm("113631", "Pulsed")),
        num(_dcm("113791", "Pulse Rate"), event.pulses_per_s, _PER_S),
        num(_dcm("113768", "Number of Pulses"), pulses, _ONE),
        num(_dcm("113793", "Pulse Width"), event.pulse_ms, _MS),
        num(_dcm("113742", "Irradiation Duration"), event.duration_s, _S),
        num(_dcm("113733", "KVP"), event.technique.kv, _KV),
        num(_dcm("113734", "X-Ray Tube Current"), event.technique.ma, _MA),
        num(_dcm("113824", "Exposure Time"), pulses * event.pulse_ms, _MS),
        num(_dcm("113750", "Distance Source to Detector"), SOURCE_TO_DETECTOR_MM, _MM),
        num(_dcm("113748", "Distance Source to Isocenter"), SOURCE_TO_CENTRE_MM, _MM),
        num(_dcm("113737", "Distance Source to Reference Point"), SOURCE_TO_CENTRE_MM - _REFERENCE_POINT_MM, _MM),
    )
    if image is not None:
        made.ContentSequence.append(_acquired_image(image))
    return made


def _started(event: Event) -> Dataset:
    made = item("CONTAINS", "DATETIME", _dcm("111526", "DateTime Started"))
    made.DateTime = dicom_date(event.started) + dicom_time(event.started)
    return made


def _acquired_image(image: Kept) -> Dataset:
    made = item("CONTAINS", "IMAGE", _dcm("113795", "Acquired Image"))
    made.ReferencedSOPSequence = Items([reference(image.sop_class_uid, image.sop_instance_uid)])
    return made


def _images(case: Case, events: list[Event]) -> dict[str, Kept]:
    """The image of each event that has one: a header may cover several events, the last of them made the image."""
    last = {kept.event_uids[-1]: kept for kept in case.kept if kept.image and kept.event_uids}
    return {event.uid: last[event.uid] for event in events if event.uid in last}


def _evidence(case: Case, images: dict[str, Kept]) -> Dataset:
    """Every instance that the content names (PS3.3 C.17.2.3)."""
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = case.study.uid, Items([])
    for uid in dict.fromkeys(kept.series_uid for kept in images.values()):
        series = Dataset()
        series.SeriesInstanceUID = uid
        named = [k for k in images.values() if k.series_uid == uid]
        series.ReferencedSOPSequence = Items([reference(k.sop_class_uid, k.sop_instance_uid) for k in named])
        study.ReferencedSeriesSequence.append(series)
    return study
