"""Stored grey values to what a screen shows: the grayscale display pipeline of PS3.4 N.2, in 8 bits. Pure.

    stored values -> modality LUT or rescale -> VOI LUT or window -> presentation LUT shape

Rules of this file:
- Unused high bits are cut off: overlays and garbage live there (PS3.5 8.1.1).
- The modality LUT of XA and XRF images leads from log values back to beam intensity, for subtraction; it is no part
  of their display (PS3.3 A.14.3 asks for it where the pixels are LOG; PS3.17 FFF.2.3.1.3.4; dcmtk leaves it out too).
- The first VOI LUT counts, else the first window. One that makes no sense (width 0, a table without values) is as good
  as none: then the values that the frame has fill the range from black to white.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage

Floats = NDArray[np.float64]
_MAX_LUT_ENTRIES = 1 << 16  # LUT Descriptor's first value is 16 bits wide, 0 stands for 2^16 (PS3.3 C.11.1.1)
_MAX_EXPONENT = 700.0  # e^709 is the largest double

# The pipeline's inputs, and the functional groups in which enhanced objects keep them, for all frames or each.
_INPUTS = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
)
_MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_NO_MODALITY_LUT = (XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage)


class _Table(NamedTuple):
    """A look-up table: what `first` and less is mapped to, and what follows. `bits`: of its values."""

    first: int
    values: Floats
    bits: int


def displayed(frame: NDArray[Any], header: Dataset, index: int) -> NDArray[np.uint8]:
    """`frame` (rows, columns), which is number `index` (from 0) of the object with this `header`, as a screen shows
    it: 0 black to 255 white."""
    inputs = _inputs(header, index)
    values, whole = _modality(_stored(frame, header), header, inputs)
    shown = _voi(values, inputs)
    if shown is None:
        shown = _stretched(values, whole)
    inverse = (
        header.get("PhotometricInterpretation") == "MONOCHROME1" or inputs.get("PresentationLUTShape") == "INVERSE"
    )
    result: NDArray[np.uint8] = (255 * (1 - shown if inverse else shown) + 0.5).astype(np.uint8)
    return result


def _inputs(header: Dataset, index: int) -> Dataset:
    """What the pipeline needs, from wherever the object keeps it."""
    inputs, places = Dataset(), [header]
    inputs.file_meta = header.file_meta
    for keyword, which in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", index)):
        groups = header.get(keyword) or ()
        if which < len(groups):
            places += [groups[which].get(macro)[0] for macro in _MACROS if groups[which].get(macro)]
    for place in places:
        for keyword in _INPUTS:
            if place.get(keyword) is not None:
                setattr(inputs, keyword, place[keyword].value)
    return inputs


def _stored(frame: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """The stored values alone: `BitsStored` bits that end at `HighBit`, with their sign."""
    stored = int(header.get("BitsStored") or 0)
    if frame.dtype.kind not in "iu" or not 0 < stored < 8 * frame.dtype.itemsize:
        return frame
    high = header.get("HighBit")
    shift = 0 if high is None else max(0, int(high) + 1 - stored)
    values = (frame.astype(np.int64) >> shift) & ((1 << stored) - 1)
    if int(header.get("PixelRepresentation") or 0) == 1:
        values = np.where(values >> (stored - 1), values - (1 << stored), values)
    return values


def _modality(stored: NDArray[Any], header: Dataset, inputs: Dataset) -> tuple[Floats, tuple[float, float] | None]:
    """Output of the modality LUT; and the values for black and white where pixels are shown as they are (8 bits)."""
    values = np.nan_to_num(stored.astype(np.float64))
    if header.get("SOPClassUID") not in _NO_MODALITY_LUT:
        table = _table(inputs, "ModalityLUTSequence")
        if table is not None:
            return _looked_up(values, table), (0.0, float(2**table.bits - 1))
        slope, intercept = _number(inputs, "RescaleSlope", 1.0), _number(inputs, "RescaleIntercept", 0.0)
        if (slope, intercept) != (1.0, 0.0):
            return values * slope + intercept, None
    bits = int(header.get("BitsStored") or 16)
    return values, (0.0, float(2**bits - 1)) if bits <= 8 and values.min(initial=0) >= 0 else None


def _voi(values: Floats, inputs: Dataset) -> Floats | None:
    """Between 0 (black) and 1 (white); None without a VOI LUT or window of use."""
    table = _table(inputs, "VOILUTSequence")
    if table is not None:
        return _clipped(_looked_up(values, table) / (2**table.bits - 1))
    center, width = _number(inputs, "WindowCenter", np.nan), _number(inputs, "WindowWidth", np.nan)
    function = str(inputs.get("VOILUTFunction") or "LINEAR").strip().upper()
    if not np.isfinite(center + width) or width < (1 if function == "LINEAR" else np.finfo(np.float64).tiny):
        return None
    return _windowed(values, center, width, function)


def _windowed(values: Floats, center: float, width: float, function: str) -> Floats:
    if function == "SIGMOID":  # PS3.3 C.11.2.1.3.1
        exponent = np.clip(-4 * (values - center) / width, -_MAX_EXPONENT, _MAX_EXPONENT)
        result: Floats = 1 / (1 + np.exp(exponent))
        return result
    if function == "LINEAR_EXACT":  # C.11.2.1.3.2
        return _clipped((values - center) / width + 0.5)
    if width == 1:  # C.11.2.1.2.1: a threshold
        return (values > center - 0.5).astype(np.float64)
    return _clipped((values - (center - 0.5)) / (width - 1) + 0.5)


def _clipped(values: Floats) -> Floats:
    result: Floats = np.clip(values, 0, 1)
    return result


def _stretched(values: Floats, whole: tuple[float, float] | None) -> Floats:
    low, high = whole or (float(values.min()), float(values.max()))
    return _clipped((values - low) / (high - low if high > low else 1.0))


def _number(inputs: Dataset, keyword: str, default: float) -> float:
    """The first value of `keyword`; `default` where there is none."""
    value = inputs.get(keyword)
    first = value[0] if hasattr(value, "__len__") and not isinstance(value, str) and len(value) else value
    try:
        return default if first is None else float(first)
    except (TypeError, ValueError):
        return default


def _table(inputs: Dataset, keyword: str) -> _Table | None:
    """The first look-up table of a sequence; None without one, or without values."""
    sequence = inputs.get(keyword)
    if not sequence:
        return None
    entries, first, bits = (int(each) for each in sequence[0].LUTDescriptor)
    entries, data = entries or _MAX_LUT_ENTRIES, sequence[0].LUTData
    if isinstance(data, bytes):
        # Words; but a table of 8 bits may have one octet a value (PS3.3 C.11.1.1).
        words = ">u2" if inputs.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<u2"
        data = np.frombuffer(data, "u1" if bits <= 8 and len(data) < 2 * entries else words)
    values = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    if not values.size or not 1 <= bits <= 16:
        return None
    return _Table(first, values, bits)


def _looked_up(values: Floats, table: _Table) -> Floats:
    at = np.clip(np.rint(values) - table.first, 0, table.values.size - 1).astype(np.int64)
    found: Floats = table.values[at]
    return found
