"""The preview's process: `python -m esi_room.carm.picture.preview <descriptor>`. A Part 10 file in, a JPEG out.

The frame asked for, else the last one of a run: last image hold. Grey values go through `grey`.

It reads files that anybody sent. So: one frame is decoded, never a run; sizes are looked at before anything is
allocated; a deflated data set is inflated up to a bound; memory is limited (RLIMIT_AS); and an alarm ends the process
if a decoder does not come back.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.pixels.decoders.base import JPEGExtended12BitDecoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGExtended12Bit

from esi_room.carm.picture import jpeg12
from esi_room.carm.picture.grey import displayed
from esi_room.carm.wire import Pipe, Show, Shown

JPEG_BYTES = 512 << 10  # contract: `image/last` is at most this long
LONGEST_SIDE = 1024
# 64 megapixels: the largest plate detectors have 20.
MAX_PIXELS = 64 << 20
# A deflated run has to be inflated up to the frame that is shown: 200 frames of 1 MiB.
INFLATED_BYTES = 256 << 20
DECODE_S = 10
MEMORY_BYTES = 3 << 30
_QUALITIES = (90, 75, 50, 25)
_LOW_PRIORITY = 19
_CHUNK_BYTES = 1 << 20
_BYTE_BITS = 8
# Longer values (private blobs, overlays) stay in the file.
_VALUE_BYTES = 1 << 20
# Preamble and prefix, then the group length's own element (PS3.10 7.1).
_BEFORE_META_BYTES = 128 + 4 + 12

JPEGExtended12BitDecoder.add_plugin(jpeg12.PLUGIN, (jpeg12.__name__, "decode_frame"))


class NoPicture(Exception):
    """The object cannot be shown; says why in words for the display."""


class _Opened(NamedTuple):
    """An object's attributes, and where its pixels are: the file, or what was inflated of it."""

    header: Dataset
    source: Path | Dataset


def jpeg_of(path: Path, frame: int | None = None) -> bytes:
    """Frame `frame` (from 1; None: the last) of the object at `path`, at most LONGEST_SIDE and JPEG_BYTES. NoPicture
    where none can be made."""
    opened = _opened(path)
    header = opened.header
    index = _index(header, frame)
    pixels = _reduced(_decoded(opened, index))
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        shown = _eight_bits(apply_color_lut(pixels, header), _palette_bits(header))
    elif pixels.ndim == 2:
        shown = displayed(pixels, header, index)
    else:
        shown = _eight_bits(pixels[..., :3], int(header.get("BitsStored") or 8))
    return _jpeg(Image.fromarray(shown))


def _jpeg(image: Image.Image) -> bytes:
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    for quality in _QUALITIES:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        if out.tell() <= JPEG_BYTES:
            return out.getvalue()
    raise NoPicture("it does not fit into a preview")


def _opened(path: Path) -> _Opened:
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return _Opened(dcmread(path, stop_before_pixels=True, defer_size=_VALUE_BYTES), path)
    dataset = read_dataset(
        io.BytesIO(_inflated(path, _BEFORE_META_BYTES + meta.FileMetaInformationGroupLength)), False, True
    )
    dataset.set_original_encoding(False, True)
    dataset.file_meta = meta
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return _Opened(dataset, dataset)


def _inflated(path: Path, begin: int) -> bytes:
    """The data set of a deflated object."""
    inflate, out = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    with path.open("rb") as file:
        file.seek(begin)
        while not inflate.eof and (chunk := inflate.unconsumed_tail or file.read(_CHUNK_BYTES)):
            out += inflate.decompress(chunk, _CHUNK_BYTES)
            if len(out) > INFLATED_BYTES:
                raise NoPicture(f"it inflates to more than {INFLATED_BYTES >> 20} MiB")
    return bytes(out)


def _index(header: Dataset, frame: int | None) -> int:
    """Which frame, from 0."""
    frames = int(header.get("NumberOfFrames") or 1)
    if not 1 <= (frame or frames) <= frames:
        raise NoPicture(f"it has no frame {frame}, it has {frames}")
    return (frame or frames) - 1


def _decoded(opened: _Opened, index: int) -> NDArray[Any]:
    header = opened.header
    pixels = int(header.get("Rows") or 0) * int(header.get("Columns") or 0)
    if not 0 < pixels * int(header.get("SamplesPerPixel") or 1) <= MAX_PIXELS:
        raise NoPicture(f"its size ({header.get('Rows')} x {header.get('Columns')}) cannot be shown")
    syntax = UID(header.file_meta.TransferSyntaxUID)
    twelve = syntax == JPEGExtended12Bit and int(header.get("BitsStored") or 8) > _BYTE_BITS
    try:
        return pixel_array(opened.source, index=index, decoding_plugin=jpeg12.PLUGIN if twelve else "")
    except (NotImplementedError, RuntimeError) as error:
        raise NoPicture(f"no decoder here reads {syntax.name}") from error


def _reduced(pixels: NDArray[Any]) -> NDArray[Any]:
    """Every other pixel or fewer of what is far larger than the preview: the pipeline computes in 64 bits."""
    step = max(1, max(pixels.shape[:2]) // (2 * LONGEST_SIDE))
    return pixels[::step, ::step]


def _eight_bits(colour: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    return (colour >> (bits - _BYTE_BITS) if bits > _BYTE_BITS else colour).astype(np.uint8)


def _palette_bits(header: Dataset) -> int:
    """Of one value in a palette (PS3.3 C.7.6.3.1.5: 8 or 16)."""
    return int(header.RedPaletteColorLookupTableDescriptor[2])


def shown(path: Path, frame: int | None = None) -> Shown:
    """`jpeg_of`, or why not, for the display."""
    try:
        return Shown(jpeg=jpeg_of(path, frame), reason=None)
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
            signal.alarm(DECODE_S)  # nobody catches it: native code that hangs ends with the process
            answer = shown(Path(show.path), show.frame)
            signal.alarm(0)
            pipe.send(answer)
        except (EOFError, ConnectionError):  # the daemon is gone, perhaps while this was at work for it
            return


if __name__ == "__main__":
    main()
