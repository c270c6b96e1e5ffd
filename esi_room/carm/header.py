"""The attributes of an object that a display or an auditor needs, from the header in front of the pixels.

Rules of this file:
- Said by the device or absent: nothing is derived but units (uA to mA, us to ms) and sums of a frame time vector.
- Each attribute on its own: one that has the wrong type, or no value, costs itself alone and is named in `unreadable`.
- Nothing of the patient is read.
- Bounded: HEADER_BYTES of the object are looked at, large values are skipped, a deflated data set is inflated no
  further than that.

Enhanced objects (XA, XRF) hold most of this in functional groups: those shared by all frames first, then those of the
first frame (PS3.3 C.7.6.16, C.8.19.6).
"""

from __future__ import annotations

import io
import math
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from pydicom import config as pydicom_config
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

# Per-frame functional groups are 1 to 2 KiB a frame; a run of 5,000 frames still fits.
HEADER_BYTES = 16 << 20
# Longer values than this (overlays, ICC profiles, private blobs) are none of ours.
VALUE_BYTES = 1 << 20
# Frame times go into a journal line: 10,000 are 80 KB. At 30 frames/s that is a run of 5 min.
MAX_FRAMES_TIMED = 10_000
MAX_TEXT = 64
_PIXELS = 0x7FE00001  # (7FE0,0001) extended offset table: the first element that comes with pixels

T = TypeVar("T")

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
_TAGS: list[BaseTag | int] = [tag for k in (*_PLAIN, *DOSE_KEYWORDS, *_GROUPS) if (tag := tag_for_keyword(k))]
_FRAME_TIME_VECTOR = 0x00181065

_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,6})?")
_DATE_TIME = re.compile(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?")

pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE  # what a device wrote is not ours to judge


class Header(Struct, frozen=True):
    """`attributes`: the fields of `CarmImage` that come from the header."""

    sop_class_uid: str | None
    sop_instance_uid: str | None
    attributes: dict[str, Any]


class _Window(io.BufferedReader):
    """A file that ends at `end`."""

    def __init__(self, path: Path, end: int) -> None:
        super().__init__(io.FileIO(path))
        self._end = end

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._end - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def read(path: Path, meta_bytes: int, transfer_syntax_uid: str) -> Header:
    """Header of the Part 10 file at `path`, whose data set begins at `meta_bytes`. Never raises for its content."""
    try:
        dataset = _parse(path, meta_bytes, UID(transfer_syntax_uid))
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever it stumbles over; the object is kept
        return _described(Dataset(), f"the data set does not parse: {type(error).__name__}")
    empty = None if dataset.get("SOPInstanceUID") else "the data set does not parse: it has no SOP instance UID"
    return _described(dataset, empty)


def _parse(path: Path, meta_bytes: int, syntax: UID) -> Dataset:
    with _Window(path, meta_bytes + HEADER_BYTES) as file:
        file.seek(meta_bytes)
        source: Any = file
        if syntax == DeflatedExplicitVRLittleEndian:
            source = io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), HEADER_BYTES))
        return read_dataset(
            source,
            syntax.is_implicit_VR if not syntax.is_private else False,
            syntax.is_little_endian if not syntax.is_private else True,
            stop_when=lambda tag, _vr, _length: tag >= _PIXELS,
            defer_size=VALUE_BYTES,
            specific_tags=_TAGS,
        )


def _described(dataset: Dataset, unreadable: str | None) -> Header:
    look = _Look(dataset)
    frames = look.whole("NumberOfFrames")
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
        "frame_times_ms": _frame_times_ms(look, frames),
        "acquired": _acquired(look),
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
    if look.unreadable:
        unreadable = unreadable or "not readable: " + ", ".join(sorted(look.unreadable))
    return Header(sop_class, sop_instance, attributes | {"unreadable": unreadable})


class _Look:
    """Values of one data set. `unreadable` collects the keywords of those that are there and make no sense."""

    def __init__(self, dataset: Dataset) -> None:
        self.unreadable: set[str] = set()
        self._dataset = dataset
        self.per_frame = self._items(dataset, "PerFrameFunctionalGroupsSequence")
        shared = self._items(dataset, "SharedFunctionalGroupsSequence")
        self._places = [dataset, *self._inside(shared[:1]), *self._inside(self.per_frame[:1])]

    def value(self, keyword: str, convert: Callable[[Any], T], places: list[Dataset] | None = None) -> T | None:
        """The first value of `keyword` that converts; None where nobody says."""
        for place in self._places if places is None else places:
            try:
                raw = place.get(keyword)
                raw = raw[0] if isinstance(raw, list) or _several(raw) else raw
                if raw is not None and str(raw) != "":
                    return convert(raw)
            except Exception:  # noqa: BLE001 - pydicom converts here, and raises whatever a device's octets cause
                self.unreadable.add(keyword)
        return None

    def text(self, keyword: str) -> str | None:
        return self.value(keyword, lambda raw: str(raw).strip("\0 ")[:MAX_TEXT] or None)

    def whole(self, keyword: str) -> int | None:
        return self.value(keyword, int)

    def number(self, keyword: str) -> float | None:
        return self.value(keyword, _finite)

    def first(self, *candidates: tuple[str, float]) -> float | None:
        """Of several keywords (with the factor to our unit) the first that the header has."""
        for keyword, factor in candidates:
            value = self.number(keyword)
            if value is not None:
                return value if factor == 1 else value * factor
        return None

    def plain(self, keyword: str) -> float | str | None:
        """A number where it is one, else text."""
        return self.value(keyword, lambda raw: str(raw)[:MAX_TEXT] if isinstance(raw, str) else _finite(raw))

    def vector(self, keyword: str) -> list[float]:
        """All values of `keyword` at the top level."""
        try:
            raw = self._dataset.get(keyword)
            return [_finite(each) for each in (raw if _several(raw) else [] if raw is None else [raw])]
        except Exception:  # noqa: BLE001 - see `value`
            self.unreadable.add(keyword)
            return []

    def increment_pointer(self) -> int | None:
        return self.value("FrameIncrementPointer", int)

    def _items(self, dataset: Dataset, keyword: str) -> list[Dataset]:
        try:
            return list(dataset.get(keyword) or [])
        except Exception:  # noqa: BLE001 - see `value`
            self.unreadable.add(keyword)
            return []

    def _inside(self, groups: list[Dataset]) -> Iterator[Dataset]:
        """The items of a functional group's macros: `group.FrameContentSequence[0]` and the like."""
        for group in groups:
            try:
                sequences = [element.value for element in group if element.VR == "SQ"]
            except Exception:  # noqa: BLE001 - see `value`
                self.unreadable.add("functional groups")
                continue
            yield from (sequence[0] for sequence in sequences if sequence)


def _several(raw: Any) -> bool:
    return raw is not None and not isinstance(raw, str | bytes | float | int) and hasattr(raw, "__getitem__")


def _finite(raw: Any) -> float:
    value = float(raw)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def _frame_times_ms(look: _Look, frames: int | None) -> tuple[float, ...]:
    """Offsets from the first frame: by frame time vector (PS3.3 C.7.6.5.1.2: increments, the first one 0), frame time,
    or the acquisition times of the per-frame functional groups; () where none of them fits."""
    if frames is None or not 1 < frames <= MAX_FRAMES_TIMED:
        return ()
    if look.per_frame:
        return _per_frame_ms(look, frames)
    increments_ms = look.vector("FrameTimeVector")
    if len(increments_ms) == frames and look.increment_pointer() in (None, _FRAME_TIME_VECTOR):
        return tuple(round(at_ms, 3) for at_ms in accumulate([0.0, *increments_ms[1:]]))
    step_ms = look.number("FrameTime")
    if step_ms is None or step_ms < 0:
        return ()
    return tuple(round(index * step_ms, 3) for index in range(frames))


def _per_frame_ms(look: _Look, frames: int) -> tuple[float, ...]:
    at_ms: list[float] = []
    for group in look.per_frame:
        content = list(look._inside([group]))
        moment = look.value("FrameReferenceDateTime", _milliseconds, content)
        if moment is None:
            moment = look.value("FrameAcquisitionDateTime", _milliseconds, content)
        if moment is None:
            return ()
        at_ms.append(moment)
    return tuple(round(each - at_ms[0], 3) for each in at_ms) if len(at_ms) == frames else ()


def _milliseconds(raw: Any) -> float:
    """A DICOM date-time as milliseconds on some common axis (its zone is the same for all frames of an object)."""
    matched = _DATE_TIME.fullmatch(str(raw).strip())
    if matched is None or matched[2] is None:
        raise ValueError("no date and time")
    day, clock = matched[1], matched[2].ljust(6, "0")
    days = _day_number(int(day[:4]), int(day[4:6]), int(day[6:8]))
    return ((days * 24 + int(clock[:2])) * 60 + int(clock[2:4])) * 60_000 + float(clock[4:]) * 1000


def _day_number(year: int, month: int, day: int) -> int:
    """Days since some day long ago, proleptic Gregorian."""
    year -= month <= 2
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day


def _acquired(look: _Look) -> str | None:
    """When it was taken, as the header says it: acquisition, else content, else the first frame."""
    zone = look.text("TimezoneOffsetFromUTC")
    moment = look.value("AcquisitionDateTime", lambda raw: _iso(str(raw), zone))
    if moment:
        return str(moment)
    for kind in ("Acquisition", "Content"):
        date, clock = look.text(f"{kind}Date"), look.text(f"{kind}Time")
        if date and clock:
            return _iso_from(date, clock, zone)
    moment = look.value("FrameAcquisitionDateTime", lambda raw: _iso(str(raw), zone))
    return str(moment) if moment else None


def _iso(date_time: str, zone: str | None) -> str | None:
    matched = _DATE_TIME.fullmatch(date_time.strip())
    if matched is None or matched[2] is None:
        raise ValueError("no date and time")
    return _iso_from(matched[1], matched[2], matched[3] or zone)


def _iso_from(date: str, clock: str, zone: str | None) -> str | None:
    day, time = _DATE.fullmatch(date), _TIME.fullmatch(clock)
    if day is None or time is None:
        return None
    offset = f"{zone[:3]}:{zone[3:]}" if zone and re.fullmatch(r"[+-]\d{4}", zone) else ""
    return f"{day[1]}-{day[2]}-{day[3]}T{time[1]}:{time[2] or '00'}:{time[3] or '00'}{time[4] or ''}{offset}"
