"""Pixels as a C-arm's installer can have them sent: uncompressed, or compressed without loss.

JPEG lossless, first-order prediction (PS3.5 A.4.2), is what XA systems usually send; pydicom has no encoder for it,
gdcm has.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import gdcm
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

TRANSFER_SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg_lossless": JPEGLosslessSV1,
    "jpeg_ls": JPEGLSLossless,
    "jpeg_2000": JPEG2000Lossless,
}


def compress(dataset: Dataset, syntax: UID) -> None:
    """Encode the pixels, in place. `dataset` has its file meta information, with explicit VR little endian."""
    if syntax == JPEGLosslessSV1:
        _jpeg_lossless(dataset)
    else:
        dataset.compress(syntax, generate_instance_uid=False)


def _jpeg_lossless(dataset: Dataset) -> None:
    """gdcm reads and writes files; only the pixels are taken from what it writes, for it adds attributes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.dcm"
        dataset.save_as(path, enforce_file_format=True)
        reader = gdcm.ImageReader()  # type: ignore[attr-defined]
        change = gdcm.ImageChangeTransferSyntax()  # type: ignore[attr-defined]
        writer = gdcm.ImageWriter()  # type: ignore[attr-defined]
        reader.SetFileName(str(path))
        done = reader.Read()
        syntax = gdcm.TransferSyntax  # type: ignore[attr-defined]
        change.SetTransferSyntax(syntax(syntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        done = done and change.Change()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not (done and writer.Write()):
            raise ValueError("gdcm could not compress the image")
        dataset.PixelData = dcmread(path).PixelData
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
