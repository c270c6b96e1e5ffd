"""What the C-arm writes about an image: DICOM data sets as a mobile C-arm with an image intensifier writes them.

Rules of this file:
- X-Ray Radiofluoroscopic for a stored fluoroscopy frame, X-Ray Angiographic for a run, Secondary Capture for a
  screen kept as it is (DICOM PS3.3 A.16, A.14, A.8). Types 1 and 2 of their modules are all present.
- Dates and times are those of the C-arm's own clock and carry no offset from UTC: nobody synchronised it.
- Positioner angles are the C-arm's own, 0 with the tube below the table: it cannot know how the patient lies.
- Dose in the units of the standard: (0018,115E) in dGy.cm2 and (0040,8302) in mGy are of this image and the
  fluoroscopy since the one before; (0040,0300), retired but still written, is the study's fluoroscopy in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
    generate_uid,
)

from simulators.carm.phantom import BITS_STORED, WHITE, Technique, View, pixel_spacing_mm
from simulators.carm.solids import FIELD_MM, SOURCE_TO_CENTRE_MM, SOURCE_TO_DETECTOR_MM

Kind = Literal["xrf", "xa", "sc"]
SOP_CLASSES: dict[str, UID] = {
    "xrf": XRayRadiofluoroscopicImageStorage,
    "xa": XRayAngiographicImageStorage,
    "sc": SecondaryCaptureImageStorage,
}
TRANSFER_SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg_ls": JPEGLSLossless,
}
# The greys a person looks at: from dense bone to thin soft tissue, of 4096.
WINDOW_CENTER, WINDOW_WIDTH = 1950, 3400


class Identity(NamedTuple):
    """The patient as typed at the C-arm. `birth_date`: YYYYMMDD."""

    name: str
    patient_id: str
    birth_date: str = ""
    sex: str = ""
    weight_kg: float | None = None


class Study(NamedTuple):
    """What stays the same through a case. `began` by the C-arm's clock."""

    uid: str
    fluoro_series_uid: str
    run_series_uid: str
    study_id: str
    description: str
    began: datetime

    @classmethod
    def begin(cls, began: datetime, description: str) -> Study:
        """A new study with UIDs of its own."""
        study, fluoro, run = (str(generate_uid(prefix=None)) for _ in range(3))
        return cls(study, fluoro, run, began.strftime("%m%d%H%M"), description, began)


class Exposure(NamedTuple):
    """One stored image or run and how it was made.

    `frame_times_ms`: when each frame began, from the first. `dap_dgy_cm2`, `air_kerma_mgy`: since the image
    before. `fluoro_total_s`, `exposures_total`: of the study so far.
    """

    kind: Kind
    number: int
    taken: datetime
    view: View
    technique: Technique
    pulse_ms: float
    frame_times_ms: Sequence[float]
    dap_dgy_cm2: float
    air_kerma_mgy: float
    fluoro_total_s: float
    exposures_total: int
    comment: str


class Style(NamedTuple):
    """What an installer can set about the images sent."""

    transfer_syntax: str = "explicit"
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = "MONOCHROME2"
    frame_time_vector: bool = False
    institution: str = "Day Surgery, Procedure Room 1"


def image(exposure: Exposure, frames: NDArray[np.uint16], identity: Identity, study: Study, style: Style) -> Dataset:
    """The whole object, encoded as `style` says. `frames`: (n, rows, columns), 12 bits, bone dark."""
    dataset = Dataset()
    _patient_and_study(dataset, identity, study)
    _series_and_equipment(dataset, exposure, study, style)
    _acquisition(dataset, exposure)
    if exposure.kind != "sc":
        _geometry(dataset, exposure, rows=frames.shape[1])
    if exposure.kind == "xa" and len(frames) > 1:
        _frame_times(dataset, exposure, style)
    _pixels(dataset, frames, style)
    _file_meta(dataset, style)
    return dataset


def _patient_and_study(dataset: Dataset, identity: Identity, study: Study) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = identity.name
    dataset.PatientID = identity.patient_id
    dataset.PatientBirthDate = identity.birth_date
    dataset.PatientSex = identity.sex
    if identity.weight_kg is not None:
        dataset.PatientWeight = f"{identity.weight_kg:g}"
    dataset.StudyInstanceUID = study.uid
    dataset.StudyDate, dataset.StudyTime = _date(study.began), _time(study.began)
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = study.study_id
    dataset.AccessionNumber = ""
    dataset.StudyDescription = study.description


def _series_and_equipment(dataset: Dataset, exposure: Exposure, study: Study, style: Style) -> None:
    run = exposure.kind == "xa"
    dataset.Modality = "XA" if run else "RF"
    dataset.SeriesInstanceUID = study.run_series_uid if run else study.fluoro_series_uid
    dataset.SeriesNumber = 2 if run else 1
    dataset.SeriesDescription = "Cine" if run else "Fluoro"
    dataset.PatientOrientation = ""
    dataset.Laterality = ""
    dataset.BodyPartExamined = "LSPINE"
    dataset.PatientPosition = "HFP"
    dataset.Manufacturer = "GE OEC Medical Systems"
    dataset.ManufacturerModelName = "OEC 9900 Elite"
    dataset.InstitutionName = style.institution
    dataset.StationName = "OEC-SIM-1"
    dataset.DeviceSerialNumber = "SIM-0001"
    dataset.SoftwareVersions = "simulator"
    if exposure.kind == "sc":
        dataset.ConversionType = "DI"


def _acquisition(dataset: Dataset, exposure: Exposure) -> None:
    dataset.SOPClassUID = SOP_CLASSES[exposure.kind]
    dataset.SOPInstanceUID = generate_uid(prefix=None)
    dataset.ImageType = ["DERIVED", "SECONDARY"] if exposure.kind == "sc" else ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    dataset.InstanceNumber = exposure.number
    dataset.AcquisitionNumber = exposure.number
    for group in ("InstanceCreation", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{group}Date", _date(exposure.taken))
        setattr(dataset, f"{group}Time", _time(exposure.taken))
    dataset.ImageComments = exposure.comment
    frames = len(exposure.frame_times_ms)
    dataset.KVP = f"{exposure.technique.kv:g}"
    dataset.XRayTubeCurrent = round(exposure.technique.ma)
    dataset.XRayTubeCurrentInuA = f"{exposure.technique.ma * 1000:g}"
    dataset.ExposureTime = max(1, round(exposure.pulse_ms * frames))
    dataset.AveragePulseWidth = f"{exposure.pulse_ms:g}"
    dataset.RadiationSetting = "GR" if exposure.kind == "xa" else "SC"
    dataset.RadiationMode = "PULSED"
    dataset.ImageAndFluoroscopyAreaDoseProduct = f"{exposure.dap_dgy_cm2:.5g}"
    dataset.EntranceDoseInmGy = f"{exposure.air_kerma_mgy:.5g}"
    dataset.TotalTimeOfFluoroscopy = round(exposure.fluoro_total_s)
    dataset.TotalNumberOfExposures = exposure.exposures_total


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


def _file_meta(dataset: Dataset, style: Style) -> None:
    wanted = TRANSFER_SYNTAXES[style.transfer_syntax]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if wanted.is_compressed else wanted
    if wanted.is_compressed:
        dataset.compress(wanted, generate_instance_uid=False)


def _date(moment: datetime) -> str:
    return moment.strftime("%Y%m%d")


def _time(moment: datetime) -> str:
    return moment.strftime("%H%M%S.%f")
