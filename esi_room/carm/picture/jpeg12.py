"""JPEG Extended with 12 bits a sample (PS3.5 A.4.1, process 4), by GDCM: a decoder plugin for pydicom.

pydicom keeps its own GDCM plugin from these, as older GDCMs read them wrong; this one (>= 3.0) gives the same values as
dcmtk's dcmj2pnm, which a test holds it to.
"""

from __future__ import annotations

from typing import Any

import gdcm as _gdcm

gdcm: Any = _gdcm  # made by SWIG: it has no types
PLUGIN = "gdcm, 12 bit"
DECODER_DEPENDENCIES = {"1.2.840.10008.1.2.4.51": ("gdcm>=3.0",)}
_PIXEL_DATA = (0x7FE0, 0x0010)


def is_available(uid: str) -> bool:
    """Whether this decodes the transfer syntax `uid`."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(frame: bytes, runner: Any) -> bytes:
    """The samples of an encoded frame, 16 bits each. `runner`: pydicom's DecodeRunner, which knows its attributes."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(*_PIXEL_DATA))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str.__str__(runner.transfer_syntax))))
    bits = runner.bits_stored
    layout = (runner.samples_per_pixel, runner.bits_allocated, bits, bits - 1, runner.pixel_representation)
    image.SetPixelFormat(gdcm.PixelFormat(*layout))
    samples: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")  # GDCM's binding returns char* as text
    return samples
