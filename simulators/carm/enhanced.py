"""What makes an XA image an Enhanced XA image (PS3.3 A.47, C.7.6.16): attributes of frames in functional groups.

Rules of this file:
- Each frame says itself when it was acquired; there is no Frame Time and no Frame Time Vector.
- What is the same for all frames is in the shared groups; what belongs to a frame is in the frame's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from simulators.carm.case import Event

# At the top level of a single-frame object, and in a functional group, or nowhere, of an enhanced one.
_MOVED = (
    "ExposureTime", "ImagerPixelSpacing", "PatientOrientation", "PixelIntensityRelationship", "PositionerMotion",
    "PositionerPrimaryAngle", "PositionerSecondaryAngle", "WindowCenter", "WindowWidth", "XRayTubeCurrent",
    "XRayTubeCurrentInuA", "IrradiationEventUID",
)  # fmt: skip


def complete(
    dataset: Dataset, taken: datetime, times_ms: Sequence[float], pulse_ms: float, events: Sequence[Event]
) -> None:
    """Turn an XA image into an enhanced one, in place. `times_ms`: when each frame began after `taken`."""
    current_ma = float(dataset.XRayTubeCurrentInuA) / 1000
    dataset.SharedFunctionalGroupsSequence = Items([_shared(dataset, events)])
    dataset.PerFrameFunctionalGroupsSequence = Items(
        [_own(taken + timedelta(milliseconds=ms), pulse_ms, number) for number, ms in enumerate(times_ms, start=1)]
    )
    for keyword in _MOVED:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.NumberOfFrames = len(times_ms)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "NONE"]
    dataset.AcquisitionDateTime = _moment(taken)
    dataset.AcquisitionContextSequence = Items([])
    dataset.PlaneIdentification = "MONOPLANE"
    dataset.PositionerType = "CARM"
    dataset.XRayReceptorType = "IMG_INTENSIFIER"
    dataset.CArmPositionerTabletopRelationship = "NO"
    dataset.ContentQualification = "PRODUCT"
    dataset.PresentationLUTShape = "IDENTITY" if dataset.PhotometricInterpretation == "MONOCHROME2" else "INVERSE"
    dataset.XRayTubeCurrentInmA = current_ma
    dataset.ExposureTimeInms = pulse_ms * len(times_ms)
    dataset.ExposureInmAs = current_ma * pulse_ms * len(times_ms) / 1000


def _shared(dataset: Dataset, events: Sequence[Event]) -> Dataset:
    """C.7.6.16.2.10, C.8.19.6: greys, pixel properties, where the C-arm stood, which irradiation event it was."""
    shared = Dataset()
    voi = Dataset()
    voi.WindowCenter, voi.WindowWidth = dataset.WindowCenter, dataset.WindowWidth
    shared.FrameVOILUTSequence = Items([voi])
    pixels = Dataset()
    pixels.FrameType = ["ORIGINAL", "PRIMARY", "", "NONE"]
    pixels.ImagerPixelSpacing = dataset.ImagerPixelSpacing
    pixels.PixelIntensityRelationship = "LOG"
    pixels.PixelIntensityRelationshipSign = 1
    pixels.GeometricalProperties = "UNIFORM"
    shared.FramePixelDataPropertiesSequence = Items([pixels])
    position = Dataset()
    position.PositionerPrimaryAngle = dataset.PositionerPrimaryAngle
    position.PositionerSecondaryAngle = dataset.PositionerSecondaryAngle
    shared.PositionerPositionSequence = Items([position])
    if events:
        irradiation = Dataset()
        irradiation.IrradiationEventUID = events[-1].uid
        shared.IrradiationEventIdentificationSequence = Items([irradiation])
    return shared


def _own(acquired: datetime, pulse_ms: float, number: int) -> Dataset:
    """Frame Content (C.7.6.16.2.2)."""
    content = Dataset()
    content.FrameAcquisitionNumber = number
    content.FrameReferenceDateTime = content.FrameAcquisitionDateTime = _moment(acquired)
    content.FrameAcquisitionDuration = pulse_ms
    own = Dataset()
    own.FrameContentSequence = Items([content])
    return own


def _moment(moment: datetime) -> str:
    """Value representation DT."""
    return moment.strftime("%Y%m%d%H%M%S.%f")
