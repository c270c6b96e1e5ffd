"""What the C-arm writes about an image: DICOM data sets as a mobile C-arm with an image intensifier writes them.

Rules of this file:
- X-Ray Radiofluoroscopic for a stored fluoroscopy frame, X-Ray Angiographic for a run, Secondary Capture for a
  screen kept as it is (DICOM PS3.3 A.16, A.14, A.8). Types 1 and 2 of their modules are all present.
- Dates and times are those of the C-arm's own clock and carry no offset from UTC: nobody synchronised it.
- Positioner angles are the C-arm's own, 0 with the tube below the table: it cannot know how the patient lies.
- Dose in the units of the standard: (0018,115E) in dGy.cm2 and (0040,8302) in mGy are of this image and the
  fluoroscopy since the one before, whose irradiation events it names; (0040,0300), retired but still written, is
  the study's fluoroscopy in seconds, without recorded runs.
- Who came from a worklist is said so: accession number, request attributes (PS3.3 C.7.3.1, table 10-9), and the
  performed procedure step the image belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    EnhancedXAImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from simulators.carm import enhanced
from simulators.carm.case import Case, Event, Identity, Totals, new_uid
from simulators.carm.encoders import TRANSFER_SYNTAXES, compress
from simulators.carm.phantom import BITS_STORED, WHITE, Technique, View, pixel_spacing_mm
from simulators.carm.solids import FIELD_MM, SOURCE_TO_CENTRE_MM, SOURCE_TO_DETECTOR_MM

Kind = Literal["xrf", "xa", "sc", "enhanced_xa"]
SOP_CLASSES: dict[str, UID] = {
    "xrf": XRayRadiofluoroscopicImageStorage,
    "xa": XRayAngiographicImageStorage,
    "sc": SecondaryCaptureImageStorage,
    "enhanced_xa": EnhancedXAImageStorage,
}
PERFORMED_STEP_CLASS = "1.2.840.10008.3.1.2.3.3"  # Modality Performed Procedure Step, PS3.4 F.7
STATION = "OEC-SIM-1"
# The greys a person looks at: from dense bone to thin soft tissue, of 4096.
WINDOW_CENTER, WINDOW_WIDTH = 1950, 3400


class Exposure(NamedTuple):
    """One stored image or run and how it was made.

    `frame_times_ms`: when each frame began, from the first. `events`: since the image before; `fluoro_total_s`,
    `exposures_total`: of the case so far.
    """

    kind: Kind
    number: int
    taken: datetime
    view: View
    technique: Technique
    pulse_ms: float
    frame_times_ms: Sequence[float]
    events: Sequence[Event]
    fluoro_total_s: float
    exposures_total: int
    comment: str


class Style(NamedTuple):
    """What an installer can set about the images sent."""

    transfer_syntax: str = "explicit"
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = "MONOCHROME2"
    frame_time_vector: bool = False


def image(exposure: Exposure, frames: NDArray[np.uint16], identity: Identity, case: Case, style: Style) -> Dataset:
    """The whole object, encoded as `style` says. `frames`: (n, rows, columns), 12 bits, bone dark.

    `identity`: who the image says it is of, which is not always whom the case says.
    """
    dataset = Dataset()
    patient_and_study(dataset, identity, case)
    equipment(dataset)
    _series(dataset, exposure, case)
    _acquisition(dataset, exposure)
    if exposure.kind != "sc":
        _geometry(dataset, exposure, rows=frames.shape[1])
    if exposure.kind == "xa" and len(frames) > 1:
        _frame_times(dataset, exposure, style)
    _pixels(dataset, frames, style)
    if exposure.kind == "enhanced_xa":
        enhanced.complete(dataset, exposure.taken, exposure.frame_times_ms, exposure.pulse_ms, exposure.events[-1:])
    file_meta(dataset, ExplicitVRLittleEndian)
    _encode(dataset, TRANSFER_SYNTAXES[style.transfer_syntax])
    return dataset


def patient_and_study(dataset: Dataset, identity: Identity, case: Case) -> None:
    """Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1), of whatever the C-arm makes."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = identity.name
    dataset.PatientID = identity.patient_id
    dataset.PatientBirthDate = identity.birth_date
    dataset.PatientSex = identity.sex
    if identity.weight_kg is not None:
        dataset.PatientWeight = f"{identity.weight_kg:g}"
    study = case.study
    dataset.StudyInstanceUID = study.uid
    dataset.StudyDate, dataset.StudyTime = dicom_date(study.began), dicom_time(study.began)
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = study.study_id
    dataset.AccessionNumber = study.accession
    dataset.StudyDescription = study.description


def equipment(dataset: Dataset) -> None:
    """(Enhanced) General Equipment (PS3.3 C.7.5.1, C.7.5.2)."""
    dataset.Manufacturer = "GE OEC Medical Systems"
    dataset.ManufacturerModelName = "OEC 9900 Elite"
    dataset.InstitutionName = "Day Surgery, Procedure Room 1"
    dataset.StationName = STATION
    dataset.DeviceSerialNumber = "SIM-0001"
    dataset.SoftwareVersions = "simulator"


def performed_step(dataset: Dataset, case: Case) -> None:
    """Which performed procedure step, and which request, a series belongs to (PS3.3 C.7.3.1)."""
    if case.step_uid and case.step_began:
        dataset.ReferencedPerformedProcedureStepSequence = Items([reference(PERFORMED_STEP_CLASS, case.step_uid)])
        dataset.PerformedProcedureStepID = case.step_id
        dataset.PerformedProcedureStepStartDate = dicom_date(case.step_began)
        dataset.PerformedProcedureStepStartTime = dicom_time(case.step_began)
        dataset.PerformedProcedureStepDescription = case.study.description
    if case.scheduled:
        request = Dataset()
        request.RequestedProcedureID = case.scheduled.requested_procedure_id
        request.RequestedProcedureDescription = case.scheduled.requested_description
        request.ScheduledProcedureStepID = case.scheduled.step_id
        request.ScheduledProcedureStepDescription = case.scheduled.step_description
        request.AccessionNumber = case.study.accession
        request.StudyInstanceUID = case.study.uid
        dataset.RequestAttributesSequence = Items([request])


def reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """An item that names an instance (PS3.3 table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item


def _series(dataset: Dataset, exposure: Exposure, case: Case) -> None:
    run = exposure.kind in ("xa", "enhanced_xa")
    dataset.Modality = "XA" if run else "RF"
    dataset.SeriesInstanceUID = case.study.run_series_uid if run else case.study.fluoro_series_uid
    dataset.SeriesNumber = 2 if run else 1
    dataset.SeriesDescription = "Cine" if run else "Fluoro"
    dataset.PatientOrientation = ""
    dataset.Laterality = ""
    dataset.BodyPartExamined = "LSPINE"
    dataset.PatientPosition = "HFP"
    if exposure.kind == "sc":
        dataset.ConversionType = "DI"
    performed_step(dataset, case)


def _acquisition(dataset: Dataset, exposure: Exposure) -> None:
    dataset.SOPClassUID = SOP_CLASSES[exposure.kind]
    dataset.SOPInstanceUID = new_uid()
    dataset.ImageType = ["DERIVED", "SECONDARY"] if exposure.kind == "sc" else ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    dataset.InstanceNumber = exposure.number
    dataset.AcquisitionNumber = exposure.number
    for group in ("InstanceCreation", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{group}Date", dicom_date(exposure.taken))
        setattr(dataset, f"{group}Time", dicom_time(exposure.taken))
    dataset.ImageComments = exposure.comment
    frames = len(exposure.frame_times_ms)
    dataset.KVP = f"{exposure.technique.kv:g}"
    dataset.XRayTubeCurrent = round(exposure.technique.ma)
    dataset.XRayTubeCurrentInuA = f"{exposure.technique.ma * 1000:g}"
    dataset.ExposureTime = max(1, round(exposure.pulse_ms * frames))
    dataset.AveragePulseWidth = f"{exposure.pulse_ms:g}"
    dataset.RadiationSetting = "GR" if exposure.kind in ("xa", "enhanced_xa") else "SC"
    dataset.RadiationMode = "PULSED"
    _dose(dataset, exposure)


def _dose(dataset: Dataset, exposure: Exposure) -> None:
    since_last = Totals.of(list(exposure.events))
    dataset.ImageAndFluoroscopyAreaDoseProduct = f"{since_last.dap_dgy_cm2:.5g}"
    dataset.EntranceDoseInmGy = f"{since_last.air_kerma_mgy:.5g}"
    dataset.TotalTimeOfFluoroscopy = round(exposure.fluoro_total_s)
    dataset.TotalNumberOfExposures = exposure.exposures_total
    if exposure.events:
        dataset.IrradiationEventUID = [event.uid for event in exposure.events]


def _geometry(dataset: Dataset, exposure: Exposure, rows: int) -> None:
    dataset.DistanceSourceToDetector = f"{SOURCE_TO_DETECTOR_MM:g}"
    dataset.DistanceSourceToPatient = f"{SOURCE_TO_CENTRE_MM:g}"
    dataset.EstimatedRadiographicMagnificationFactor = f"{SOURCE_TO_DETECTOR_MM / SOURCE_TO_CENTRE_MM:.4g}"
    dataset.ImagerPixelSpacing = [f"{pixel_spacing_mm(rows):.6g}"] * 2
    dataset.IntensifierSize = f"{FIELD_MM:g}"
    dataset.FieldOfViewShape = "ROUND"
    dataset.FieldOfViewDimensions = round(FIELD_MM)
    dataset.PositionerMotion = "STATIC"
    dataset.PositionerPrimaryAngle = f"{exposure.view.primary_deg:g}"
    dataset.PositionerSecondaryAngle = f"{exposure.view.secondary_deg:g}"
    dataset.CollimatorShape = "CIRCULAR" if exposure.technique.collimator == "ROUND" else "RECTANGULAR"
    radius = round(exposure.technique.iris * rows / 2)
    middle = (rows + 1) // 2
    if exposure.technique.collimator == "ROUND":
        dataset.CenterOfCircularCollimator = [middle, middle]
        dataset.RadiusOfCircularCollimator = radius
    else:
        dataset.CollimatorLeftVerticalEdge = dataset.CollimatorUpperHorizontalEdge = middle - radius
        dataset.CollimatorRightVerticalEdge = dataset.CollimatorLowerHorizontalEdge = middle + radius
    dataset.Grid = "FIXED"
    dataset.FilterType = "NONE"


def _frame_times(dataset: Dataset, exposure: Exposure, style: Style) -> None:
    times = exposure.frame_times_ms
    steps = [0.0, *(b - a for a, b in pairwise(times))]
    mean_ms = times[-1] / (len(times) - 1)
    if style.frame_time_vector:
        dataset.FrameTimeVector = [f"{step:.6g}" for step in steps]
        dataset.FrameIncrementPointer = 0x00181065
    else:
        dataset.FrameTime = f"{mean_ms:.6g}"
        dataset.FrameIncrementPointer = 0x00181063
    dataset.CineRate = round(1000 / mean_ms)
    dataset.RecommendedDisplayFrameRate = round(1000 / mean_ms)
    dataset.FrameDelay = "0"
    dataset.StartTrim, dataset.StopTrim = 1, len(times)


def _pixels(dataset: Dataset, frames: NDArray[np.uint16], style: Style) -> None:
    pixels = frames if style.photometric == "MONOCHROME2" else (WHITE - frames).astype(np.uint16)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = style.photometric
    if len(frames) > 1:
        dataset.NumberOfFrames = len(frames)
    dataset.Rows, dataset.Columns = frames.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, BITS_STORED, BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "DISP"
    centre = WINDOW_CENTER if style.photometric == "MONOCHROME2" else WHITE - WINDOW_CENTER
    dataset.WindowCenter, dataset.WindowWidth = f"{centre}", f"{WINDOW_WIDTH}"
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def file_meta(dataset: Dataset, syntax: UID) -> None:
    """File meta information (PS3.10 7.1): pydicom and pynetdicom take the transfer syntax from there."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax


def _encode(dataset: Dataset, wanted: UID) -> None:
    if wanted.is_encapsulated:
        compress(dataset, wanted)
    else:
        dataset.file_meta.TransferSyntaxUID = wanted


def dicom_date(moment: datetime) -> str:
    """Value representation DA."""
    return moment.strftime("%Y%m%d")


def dicom_time(moment: datetime) -> str:
    """Value representation TM."""
    return moment.strftime("%H%M%S.%f")
