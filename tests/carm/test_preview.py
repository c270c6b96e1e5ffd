"""Previews: grey values as a screen would show them, and words where there is no picture."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from esi_room.carm.preview import JPEG_BYTES, LONGEST_SIDE, jpeg_of, shown
from esi_room.carm.previewer import Previewer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def written(path: Path, pixels: np.ndarray, **attributes) -> Path:
    """Pixels (frames, rows, columns) as a Part 10 file."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    image.BitsAllocated, image.BitsStored, image.HighBit = bits, bits, bits - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        image.NumberOfFrames = pixels.shape[0]
    image.Rows, image.Columns = pixels.shape[-2:]
    image.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    path = path / "image.dcm"
    image.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return path


def grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg_of(path))).convert("L")).astype(int)


def halves(left: int, right: int, dtype=np.uint16) -> np.ndarray:
    pixels = np.full((32, 64), left, dtype)
    pixels[:, 32:] = right
    return pixels


def sides(path: Path) -> tuple[int, int]:
    shown_grey = grey(path)
    return round(shown_grey[:, :24].mean()), round(shown_grey[:, 40:].mean())


CASES = {
    "8 bit as it is": (halves(50, 200, np.uint8), {}, (50, 200)),
    "16 bit without window": (halves(1000, 3000), {}, (0, 255)),
    "monochrome 1": (halves(50, 200, np.uint8), {"PhotometricInterpretation": "MONOCHROME1"}, (205, 55)),
    "inverse": (halves(50, 200, np.uint8), {"PresentationLUTShape": "INVERSE"}, (205, 55)),
    "window": (halves(1000, 3000), {"WindowCenter": "2000.5", "WindowWidth": "4001"}, (64, 191)),
    "window, outside": (halves(0, 65535), {"WindowCenter": "2000", "WindowWidth": "100"}, (0, 255)),
    "rescaled": (
        halves(100, 300),
        {"RescaleSlope": "10", "RescaleIntercept": "-1000", "WindowCenter": "1000.5", "WindowWidth": "4001"},
        (64, 191),
    ),
    "signed": (halves(-1000, 1000, np.int16), {"WindowCenter": "0.5", "WindowWidth": "4001"}, (64, 191)),
    "the last frame": (
        np.stack([halves(10, 10, np.uint8), halves(90, 90, np.uint8), halves(50, 200, np.uint8)]),
        {},
        (50, 200),
    ),
}


@pytest.mark.parametrize(("pixels", "attributes", "expected"), CASES.values(), ids=CASES)
def test_grey_values(tmp_path, pixels, attributes, expected):
    assert sides(written(tmp_path, pixels, **attributes)) == pytest.approx(expected, abs=3)


def test_a_voi_lut(tmp_path):
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [256, 0, 8])
    table.add_new("LUTData", "OW", np.arange(255, -1, -1, dtype=np.uint16).tobytes())
    path = written(tmp_path, halves(50, 200, np.uint8), VOILUTSequence=[table])
    assert sides(path) == pytest.approx((205, 55), abs=3)


def test_an_enhanced_window_is_found_in_the_functional_groups(tmp_path):
    voi, group = Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth = "2000.5", "4001"
    group.FrameVOILUTSequence = [voi]
    path = written(tmp_path, halves(1000, 3000), SharedFunctionalGroupsSequence=[group])
    assert sides(path) == pytest.approx((64, 191), abs=3)


def test_a_large_noisy_image_is_scaled_and_fits(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (1500, 3000), dtype=np.uint8)
    octets = jpeg_of(written(tmp_path, noise))
    assert len(octets) <= JPEG_BYTES
    assert max(Image.open(io.BytesIO(octets)).size) == LONGEST_SIDE


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm",
     "SC_rgb_rle_2frame.dcm", "examples_palette.dcm", "examples_ybr_color.dcm", "image_dfl.dcm"],
)  # fmt: skip
def test_every_common_encoding_makes_a_picture(name):
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom does not ship {name}")
    made = shown(Path(str(path)))
    assert made.jpeg is not None, made.reason
    assert np.asarray(Image.open(io.BytesIO(made.jpeg))).std() > 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 2_000_000_000},
        {"PixelData": b"\0\0"},
        {"BitsAllocated": 7},
        {"WindowCenter": "2000", "WindowWidth": "0"},
    ],
)
def test_what_cannot_be_shown_is_said_in_words(tmp_path, attributes):
    made = shown(written(tmp_path, halves(1, 2), **attributes))
    assert made.jpeg is None and made.reason


@pytest.mark.parametrize(
    ("name", "reason"), [("JPGExtended.dcm", "no decoder here reads JPEG Extended"), ("test-SR.dcm", "size")]
)
def test_what_no_decoder_reads_is_named(name, reason):
    made = shown(Path(str(get_testdata_file(name, download=False))))
    assert made.jpeg is None and reason in str(made.reason)


async def test_a_decoder_that_dies_costs_one_picture_and_the_newest_image_wins(tmp_path):
    seen = []
    previewer = Previewer(seen.append)
    running = asyncio.create_task(previewer.run())
    (tmp_path / "good").mkdir()
    good = written(tmp_path / "good", halves(50, 200, np.uint8))
    async with asyncio.timeout(20):
        while previewer._child is None:
            await asyncio.sleep(0.01)
        previewer._child._process.kill()
        previewer.show("0", "1.2.0", good)
        while not seen:
            await asyncio.sleep(0.01)
        assert seen[0].jpeg is None and "crashed" in seen[0].reason
        for number in range(1, 30):
            previewer.show(str(number), f"1.2.{number}", good)
        while seen[-1].sha256 != "29":
            await asyncio.sleep(0.01)
    assert len(seen) < 10 and seen[-1].jpeg
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
