"""The performed procedure step: what the C-arm tells of a case while and after it is done (PS3.4 F.7.2).

Rules of this file:
- N-CREATE has every attribute that table F.7.2-1 asks for at creation; what N-SET may not change it does not repeat.
- At its end the step names every series, image and report, and the dose (PS3.3 C.4.14, C.4.15, C.4.16).
- Dose area product in dGy.cm2 and dose in mGy, as these attributes have them; sums of the same events as everywhere.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom.sop_class import ModalityPerformedProcedureStep  # type: ignore[attr-defined]

from simulators.carm.case import Case, Event, Kept, Totals
from simulators.carm.headers import STATION, dicom_date, dicom_time, reference
from simulators.carm.scu import Scu, expect_success

_DUPLICATE = 0x0111  # it has it from an attempt whose answer was lost
Status = Literal["COMPLETED", "DISCONTINUED"]


def created(case: Case, ae_title: str, began: datetime) -> Dataset:
    """The attribute list of N-CREATE: IN PROGRESS."""
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 192"
    step.ScheduledStepAttributesSequence = Items([_scheduled(case)])
    step.PatientName, step.PatientID = case.identity.name, case.identity.patient_id
    step.PatientBirthDate, step.PatientSex = case.identity.birth_date, case.identity.sex
    step.ReferencedPatientSequence = Items([])
    step.PerformedProcedureStepID = case.step_id
    step.PerformedStationAETitle = ae_title
    step.PerformedStationName = STATION
    step.PerformedLocation = ""
    step.PerformedProcedureStepStartDate = dicom_date(began)
    step.PerformedProcedureStepStartTime = dicom_time(began)
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.PerformedProcedureStepDescription = case.study.description
    step.PerformedProcedureTypeDescription = ""
    step.ProcedureCodeSequence = Items([])
    step.PerformedProcedureStepEndDate = step.PerformedProcedureStepEndTime = ""
    step.Modality = "RF"
    step.StudyID = case.study.study_id
    step.PerformedProtocolCodeSequence = Items([])
    step.PerformedSeriesSequence = Items([])
    return step


def ended(case: Case, status: Status, now: datetime) -> Dataset:
    """The modification list of N-SET: COMPLETED or DISCONTINUED."""
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 192"
    step.PerformedProcedureStepStatus = status
    step.PerformedProcedureStepEndDate = dicom_date(now)
    step.PerformedProcedureStepEndTime = dicom_time(now)
    if status == "DISCONTINUED":
        # CID 9300: (110513, DCM, "Discontinued for unspecified reason")
        reason = Dataset()
        reason.CodeValue, reason.CodingSchemeDesignator = "110513", "DCM"
        reason.CodeMeaning = "Discontinued for unspecified reason"
        step.PerformedProcedureStepDiscontinuationReasonCodeSequence = Items([reason])
    uids = dict.fromkeys(kept.series_uid for kept in case.kept)
    step.PerformedSeriesSequence = Items([_series(uid, [k for k in case.kept if k.series_uid == uid]) for uid in uids])
    _dose(step, case)
    return step


def send_created(scu: Scu, uid: str, step: Dataset) -> None:
    """N-CREATE. PeerError unless the room said that it has the step. Blocks."""
    with scu.calling_for(ModalityPerformedProcedureStep) as association:
        status, _ = association.send_n_create(step, ModalityPerformedProcedureStep, uid)
        if getattr(status, "Status", None) != _DUPLICATE:
            expect_success(status)


def send_ended(scu: Scu, uid: str, step: Dataset) -> None:
    """N-SET. PeerError unless the room said 0x0000. Blocks."""
    with scu.calling_for(ModalityPerformedProcedureStep) as association:
        status, _ = association.send_n_set(step, ModalityPerformedProcedureStep, uid)
        expect_success(status)


def _scheduled(case: Case) -> Dataset:
    """Without a worklist all but the Study Instance UID is empty: an unscheduled step (PS3.4 F.7.2.1)."""
    item = Dataset()
    item.StudyInstanceUID = case.study.uid
    item.ReferencedStudySequence = Items([])
    item.AccessionNumber = case.study.accession
    scheduled = case.scheduled
    item.RequestedProcedureID = scheduled.requested_procedure_id if scheduled else ""
    item.RequestedProcedureDescription = scheduled.requested_description if scheduled else ""
    item.ScheduledProcedureStepID = scheduled.step_id if scheduled else ""
    item.ScheduledProcedureStepDescription = scheduled.step_description if scheduled else ""
    item.ScheduledProtocolCodeSequence = Items([])
    return item


def _series(uid: str, objects: list[Kept]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.SeriesDescription = ""
    item.PerformingPhysicianName = item.OperatorsName = ""
    item.ProtocolName = "Spine"
    item.RetrieveAETitle = ""
    item.ReferencedImageSequence = Items([_named(kept) for kept in objects if kept.image])
    item.ReferencedNonImageCompositeSOPInstanceSequence = Items([_named(kept) for kept in objects if not kept.image])
    return item


def _named(kept: Kept) -> Dataset:
    return reference(kept.sop_class_uid, kept.sop_instance_uid)


def _dose(step: Dataset, case: Case) -> None:
    """Radiation Dose module, PS3.3 C.4.16."""
    totals = Totals.of(case.events)
    step.TotalTimeOfFluoroscopy = round(totals.fluoro_s)
    step.TotalNumberOfExposures = sum(kept.image for kept in case.kept)
    step.ImageAndFluoroscopyAreaDoseProduct = f"{totals.dap_dgy_cm2:.6g}"
    step.EntranceDoseInmGy = f"{totals.air_kerma_mgy:.6g}"
    step.ExposureDoseSequence = Items([_exposure(event) for event in case.events])


def _exposure(event: Event) -> Dataset:
    item = Dataset()
    item.RadiationMode = "PULSED"
    item.KVP = f"{event.technique.kv:g}"
    item.XRayTubeCurrentInuA = f"{event.technique.ma * 1000:g}"
    item.ExposureTime = round(event.duration_s * event.pulses_per_s * event.pulse_ms)
    return item
