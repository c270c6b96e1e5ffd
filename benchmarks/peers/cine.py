"""A C-arm that sends one run after the other, as fast as they are taken: dcmtk's storescu with files of 50 MiB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

FRAMES, EDGE = 200, 512  # 50 MiB of 8 bit
RUNS = 4  # files; the sender goes round, and makes a new object of a file every time


def command(folder: Path, port: int) -> list[str]:
    """Makes the files in `folder`; what sends them for ever."""
    folder.mkdir()
    noise = np.random.default_rng(1)
    for number in range(RUNS):
        pixels = noise.integers(0, 256, FRAMES * EDGE * EDGE, dtype=np.uint8)
        _run(pixels.tobytes()).save_as(folder / f"{number}.dcm", enforce_file_format=True)
    sender = ["storescu", "-xe", "+sd", "+II", "--repeat", "100000", "-aet", "STORESCU", "-aec", "ESI_ROOM"]
    return [*sender, "127.0.0.1", str(port), str(folder)]


def _run(pixels: bytes) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = XRayAngiographicImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.PatientID, image.PatientName, image.Modality = "BENCH", "Bench^Mark", "XA"
    image.NumberOfFrames, image.FrameTime = FRAMES, 33.3
    image.Rows = image.Columns = EDGE
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.PixelData = pixels
    return image
