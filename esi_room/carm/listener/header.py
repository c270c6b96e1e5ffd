"""The attributes of an object that a display or an auditor needs, from the header in front of the pixels.

Rules of this file:
- Said by the device or absent: nothing is derived but units (uA to mA, us to ms) and sums of a frame time vector.
- Each attribute on its own: one that has the wrong type, or no value, costs itself alone and is named in `unreadable`.
- The patient is read for comparison alone (`Header.patient`), and is no part of `attributes`: no entry names anybody.
- Bounded: HEADER_BYTES of the object are looked at, large values are skipped, a deflated data set is inflated no
  further than that.
- Most headers are short: they are read from what the data set began with, while that is in memory. What does not reach
  the pixels there is read again, from the file.

Enhanced objects (XA, XRF) hold most of this in functional groups: those shared by all frames first, then those of the
first frame (PS3.3 C.7.6.16, C.8.19.6).
"""

from __future__ import annotations

import contextlib
import io
import zlib
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from esi_room.carm.listener import patient
from esi_room.carm.listener.look import Look
from esi_room.carm.listener.moments import acquired, first_frame_ms, frame_times_ms
from esi_room.carm.shapes import Patient

# Per-frame functional groups are 1 to 2 KiB a frame; a run of 5,000 frames still fits.
HEADER_BYTES = 16 << 20
# Longer values than this (overlays, ICC profiles, private blobs) are none of ours.
VALUE_BYTES = 1 << 20
_PIXELS = 0x7FE00001  # (7FE0,0001) extended offset table: the first element that comes with pixels


DOSE_KEYWORDS = (
    "ImageAndFluoroscopyAreaDoseProduct",  # dGy.cm2
    "AcquiredImageAreaDoseProduct",  # dGy.cm2
    "EntranceDose",  # dGy
    "EntranceDoseInmGy",
    "EntranceDoseDerivation",
    "OrganDose",  # dGy
    "TotalTimeOfFluoroscopy",  # s
    "TotalNumberOfExposures",
    "Exposure",  # mAs
    "ExposureInuAs",
    "ExposureInmAs",
    "RelativeXRayExposure",
    "ExposureIndex",
    "TargetExposureIndex",
    "DistanceSourceToPatient",  # mm
    "DistanceSourceToDetector",  # mm
    "DistanceSourceToEntrance",  # mm
    "HalfValueLayer",  # mm Al
    "XRayOutput",  # mGy/mAs
    "RadiationSetting",
    "RadiationMode",
    "AveragePulseWidth",  # ms
    "IrradiationEventUID",  # all images of one irradiation event carry the dose of that event
)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_PLAIN = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "InstanceNumber",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "FrameIncrementPointer",
    "FrameTime",
    "FrameDelay",
    "FrameTimeVector",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "KVP",
    "XRayTubeCurrentInmA",
    "XRayTubeCurrent",
    "XRayTubeCurrentInuA",
    "ExposureTimeInms",
    "ExposureTime",
    "ExposureTimeInuS",
    "PositionerPrimaryAngle",
    "PositionerSecondaryAngle",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
)
_WANTED: list[BaseTag | int] = [Tag(k) for k in (*_PLAIN, *DOSE_KEYWORDS, *_GROUPS, *patient.KEYWORDS)]

pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE  # what a device wrote is not ours to judge


class Header(Struct, frozen=True):
    """`attributes`: the fields of `CarmImage` that come from the header."""

    sop_class_uid: str | None
    sop_instance_uid: str | None
    attributes: dict[str, Any]
    patient: Patient


class _Window(io.BufferedReader):
    """A file that ends at `end`."""

    def __init__(self, path: Path, end: int) -> None:
        super().__init__(io.FileIO(path))
        self._end = end

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._end - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def read(path: Path, meta_bytes: int, transfer_syntax_uid: str, head: bytes = b"") -> Header:
    """Header of the Part 10 file at `path`, whose data set begins at `meta_bytes`, with `head` as far as that is at
    hand. Never raises for its content."""
    syntax = UID(transfer_syntax_uid)
    try:
        dataset = _short(head, syntax) or _long(path, meta_bytes, syntax)
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever it stumbles over; the object is kept
        return _described(Dataset(), f"the data set does not parse: {type(error).__name__}")
    empty = None if dataset.get("SOPInstanceUID") else "the data set does not parse: it has no SOP instance UID"
    return _described(dataset, empty)


def _short(head: bytes, syntax: UID) -> Dataset | None:
    """The header, if it is whole in `head`: the pixels begin there as well."""
    if not head or syntax == DeflatedExplicitVRLittleEndian:
        return None
    with contextlib.suppress(Exception):  # cut off anywhere: what pydicom makes of that says nothing of the object
        dataset, to_the_pixels = _parse(io.BytesIO(head), syntax)
        return dataset if to_the_pixels else None
    return None


def _long(path: Path, meta_bytes: int, syntax: UID) -> Dataset:
    """The header, from the file."""
    with _Window(path, meta_bytes + HEADER_BYTES) as file:
        file.seek(meta_bytes)
        source: Any = file
        if syntax == DeflatedExplicitVRLittleEndian:
            source = io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), HEADER_BYTES))
        return _parse(source, syntax)[0]


def _parse(source: Any, syntax: UID) -> tuple[Dataset, bool]:
    """All up to the pixels, and whether those were reached."""
    reached = False

    def pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal reached
        reached = int(tag) >= _PIXELS  # as numbers: pydicom's comparison costs more than all else per element
        return reached

    dataset = read_dataset(
        source,
        syntax.is_implicit_VR if not syntax.is_private else False,
        syntax.is_little_endian if not syntax.is_private else True,
        stop_when=pixels,
        defer_size=VALUE_BYTES,
        specific_tags=_WANTED,
    )
    return dataset, reached


def _described(dataset: Dataset, unreadable: str | None) -> Header:
    look = Look(dataset)
    frames = look.whole("NumberOfFrames")
    taken = acquired(look)
    current_ma = look.first(("XRayTubeCurrentInmA", 1), ("XRayTubeCurrent", 1), ("XRayTubeCurrentInuA", 1e-3))
    attributes = {
        "study_uid": look.text("StudyInstanceUID"),
        "series_uid": look.text("SeriesInstanceUID"),
        "modality": look.text("Modality"),
        "series_number": look.whole("SeriesNumber"),
        "instance_number": look.whole("InstanceNumber"),
        "rows": look.whole("Rows"),
        "columns": look.whole("Columns"),
        "frames": frames,
        "frame_times_ms": frame_times_ms(look, frames),
        "acquired": taken,
        "first_frame_ms": first_frame_ms(look, taken),
        "kvp": look.first(("KVP", 1)),
        "tube_current_ma": current_ma,
        "exposure_time_ms": look.first(("ExposureTimeInms", 1), ("ExposureTime", 1), ("ExposureTimeInuS", 1e-3)),
        "primary_angle_deg": look.first(("PositionerPrimaryAngle", 1)),
        "secondary_angle_deg": look.first(("PositionerSecondaryAngle", 1)),
        "manufacturer": look.text("Manufacturer"),
        "model": look.text("ManufacturerModelName"),
        "station": look.text("StationName"),
        "dose": {keyword: value for keyword in DOSE_KEYWORDS if (value := look.plain(keyword)) is not None},
    }
    sop_class, sop_instance = look.text("SOPClassUID"), look.text("SOPInstanceUID")
    who = patient.patient(look)
    if look.unreadable:
        unreadable = unreadable or "not readable: " + ", ".join(sorted(look.unreadable))
    return Header(sop_class, sop_instance, attributes | {"unreadable": unreadable}, who)
