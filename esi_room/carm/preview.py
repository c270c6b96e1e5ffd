"""The preview's process: `python -m esi_room.carm.preview <descriptor>`. A Part 10 file in, a JPEG out.

The display pipeline of PS3.4 N.2: stored values -> modality LUT or rescale -> VOI LUT or window -> presentation LUT
shape -> 8 bit. The last frame of a run is shown: last image hold.

It reads files that anybody sent. So: one frame is decoded, never a run; sizes are looked at before anything is
allocated; memory is limited (RLIMIT_AS); and an alarm ends the process if a decoder does not come back.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from esi_room.carm.wire import Pipe, Show, Shown

JPEG_BYTES = 512 << 10  # contract: `image/last` is at most this long
LONGEST_SIDE = 1024
# 64 megapixels: the largest plate detectors have 20. One frame, as float64 and in colour, is 1.5 GiB.
MAX_PIXELS = 64 << 20
DECODE_S = 10
MEMORY_BYTES = 3 << 30
_QUALITIES = (90, 75, 50, 25)
_LOW_PRIORITY = 19

# The display pipeline's inputs. Enhanced objects keep them in functional groups, for all frames or each.
_DISPLAY = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "BitsStored",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "PresentationLUTShape",
)
_MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


class NoPicture(Exception):
    """The object cannot be shown; says why in words for the display."""


def jpeg_of(path: Path) -> bytes:
    """The last frame of the object at `path`, at most LONGEST_SIDE and JPEG_BYTES. NoPicture where none can be made."""
    header = dcmread(path, stop_before_pixels=True, force=True)
    frame = _last_frame(path, header)
    grey = frame.ndim == 2
    image = Image.fromarray(_displayed(frame, header) if grey else _eight_bit_colour(frame, header))
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    for quality in _QUALITIES:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        if out.tell() <= JPEG_BYTES:
            return out.getvalue()
    raise NoPicture("it does not fit into a preview")


def _last_frame(path: Path, header: Dataset) -> NDArray[Any]:
    pixels = int(header.get("Rows") or 0) * int(header.get("Columns") or 0)
    if not 0 < pixels * int(header.get("SamplesPerPixel") or 1) <= MAX_PIXELS:
        raise NoPicture(f"its size ({header.get('Rows')} x {header.get('Columns')}) cannot be shown")
    syntax = UID(header.file_meta.TransferSyntaxUID)
    # One frame out of a deflated data set means inflating all of it; RLIMIT_AS bounds that.
    source = dcmread(path) if syntax == DeflatedExplicitVRLittleEndian else path
    try:
        return pixel_array(source, index=int(header.get("NumberOfFrames") or 1) - 1)
    except (NotImplementedError, RuntimeError) as error:
        raise NoPicture(f"no decoder here reads {syntax.name}") from error


def _displayed(frame: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """Grey values as a screen shows them."""
    inputs = _display_inputs(header)
    values: NDArray[Any] = frame
    # X-ray angiography with log pixels: its modality LUT leads back to intensities and is not for display
    # (PS3.3 C.8.7.1.1.2).
    if header.get("PixelIntensityRelationship") != "LOG":
        values = apply_modality_lut(values, inputs)
    windowed = any(inputs.get(keyword) not in (None, "") for keyword in ("WindowCenter", "VOILUTSequence"))
    low, high = _range(values, inputs)
    if windowed:
        shown = apply_voi_lut(values, inputs)
        low, high = _voi_range(shown, inputs, low, high)
        values = shown
    scaled = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
    inverse = (
        inputs.get("PhotometricInterpretation") == "MONOCHROME1" or inputs.get("PresentationLUTShape") == "INVERSE"
    )
    return (255 * (1 - scaled if inverse else scaled) + 0.5).astype(np.uint8)


def _range(values: NDArray[Any], inputs: Dataset) -> tuple[float, float]:
    """Black and white where the header names no window: 8 bits as they are, else what the frame uses."""
    if int(inputs.get("BitsStored") or 16) <= 8 and values.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1)


def _voi_range(shown: NDArray[Any], inputs: Dataset, low: float, high: float) -> tuple[float, float]:
    """What `apply_voi_lut` maps black and white to."""
    if inputs.get("VOILUTSequence"):
        bits = int(inputs.VOILUTSequence[0].LUTDescriptor[2])
        return 0.0, float(2**bits - 1)
    # pydicom scales a window to the range of the stored values after rescaling (PS3.3 C.11.2.1.2).
    bits, slope = int(inputs.BitsStored), float(inputs.get("RescaleSlope") or 1)
    intercept = float(inputs.get("RescaleIntercept") or 0)
    signed = int(inputs.get("PixelRepresentation") or 0) == 1
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    first, second = (end * slope + intercept for end in ends)
    if "ModalityLUTSequence" in inputs:
        return float(shown.min()), max(float(shown.max()), float(shown.min()) + 1)
    return min(first, second), max(first, second)


def _display_inputs(header: Dataset) -> Dataset:
    """What the pipeline needs, from wherever the object keeps it."""
    inputs = Dataset()
    inputs.file_meta = header.file_meta  # tells the byte order of look-up tables
    places = [header]
    for groups, which in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", -1)):
        sequence = header.get(groups)
        if sequence:
            places += [sequence[which].get(macro)[0] for macro in _MACROS if sequence[which].get(macro)]
    for place in places:
        for keyword in _DISPLAY:
            if keyword in place:
                inputs[keyword] = place[keyword]
    return inputs


def _eight_bit_colour(frame: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    bits = int(header.get("BitsStored") or 8)
    colour = frame[..., :3]
    return colour.astype(np.uint8) if bits <= 8 else (colour >> (bits - 8)).astype(np.uint8)


def shown(path: Path) -> Shown:
    """`jpeg_of`, or why not, for the display."""
    try:
        return Shown(jpeg=jpeg_of(path), reason=None)
    except NoPicture as reason:
        return Shown(jpeg=None, reason=str(reason))
    except Exception as error:  # noqa: BLE001 - decoders raise whatever the octets make them; that is the answer
        return Shown(jpeg=None, reason=f"it cannot be decoded: {type(error).__name__}")


def main() -> None:
    """Show what the daemon asks for, until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.nice(_LOW_PRIORITY)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    pipe = Pipe(int(sys.argv[1]))
    while True:
        try:
            show: Show = pipe.receive(Show)
        except EOFError:
            return
        signal.alarm(DECODE_S)  # nobody catches it: native code that hangs ends with the process
        answer = shown(Path(show.path))
        signal.alarm(0)
        pipe.send(answer)


if __name__ == "__main__":
    main()
