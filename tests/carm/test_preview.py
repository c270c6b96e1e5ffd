"""Previews: grey values as a screen would show them, and words where there is no picture."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
    generate_uid,
)

from esi_room.carm.listener.contexts import transfer_syntaxes
from esi_room.carm.picture.grey import displayed
from esi_room.carm.picture.preview import JPEG_BYTES, LONGEST_SIDE, jpeg_of, shown
from esi_room.carm.picture.previewer import Previewer

# JPEG baseline, extended, lossless, JPEG-LS, JPEG 2000, HTJ2K, RLE: what an open decoder here reads.
DECODED = {
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    "1.2.840.10008.1.2.5",
}
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


def encapsulated(folder: Path, syntax: str, frames: list[bytes], **attributes) -> Path:
    """Encoded frames, 8 bits and 2 x 2 unless told otherwise, as a Part 10 file."""
    path = written(folder, np.zeros((2, 2), np.uint8), **attributes)
    image = dcmread(path)
    image.file_meta.TransferSyntaxUID = syntax
    image.PixelData = encapsulate(frames)
    image["PixelData"].is_undefined_length = True
    image.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return path


def local(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom does not ship {name}")
    return Path(str(path))


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
    ],
)
def test_what_cannot_be_shown_is_said_in_words(tmp_path, attributes):
    made = shown(written(tmp_path, halves(1, 2), **attributes))
    assert made.jpeg is None and made.reason


@pytest.mark.parametrize("uid", [uid for uid in transfer_syntaxes() if UID(uid).is_encapsulated and uid not in DECODED])
def test_what_no_decoder_reads_is_named(tmp_path, uid):
    made = shown(encapsulated(tmp_path, uid, [b"\0\0\1\xb3"]))
    assert made.jpeg is None and made.reason == f"no decoder here reads {UID(uid).name}"


def test_a_report_has_no_size():
    assert "size" in str(shown(local("test-SR.dcm")).reason)


# --- the display pipeline against the standard's own words ---------------------------------------------------------


def by_the_standard(value: float, center: float, width: float, function: str) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, with an output from 0 to 255."""
    if function == "SIGMOID":
        return 255 / (1 + math.exp(-4 * (value - center) / width))
    half = (width - 1) / 2 if function == "LINEAR" else width / 2
    middle = center - 0.5 if function == "LINEAR" else center
    if value <= middle - half:
        return 0
    if value > middle + half:
        return 255
    return ((value - middle) / (2 * half) + 0.5) * 255


def header(**attributes) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 15, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def table(values: np.ndarray, first: int = 0, bits: int = 8) -> Dataset:
    made = Dataset()
    made.add_new("LUTDescriptor", "US", [values.size % 65536, first, bits])
    made.add_new("LUTData", "OW", values.astype(np.uint16).tobytes())
    return made


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (100.5, 1), (100, 2), (2047.5, 300.25), (-50, 1000)])
def test_windows(function, center, width):
    frame = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    made = displayed(frame, header(WindowCenter=center, WindowWidth=width, VOILUTFunction=function), 0)
    expected = [by_the_standard(value, center, width, function) for value in range(4096)]
    assert np.abs(made.ravel() - np.asarray(expected)).max() <= 0.51


RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"WindowCenter": 5, "WindowWidth": 0},
        {"WindowCenter": 5, "WindowWidth": -7},
        {"WindowCenter": 5, "WindowWidth": 0.5},
        {"WindowCenter": None, "WindowWidth": None},
        {"VOILUTSequence": [table(np.zeros(0))]},
    ],
)
def test_without_a_window_of_use_the_range_is_that_of_the_pixels(attributes):
    assert (displayed(RAMP + 1000, header(**attributes), 0) == RAMP).all()


def test_the_first_of_several_windows_counts():
    made = displayed(RAMP, header(WindowCenter=[128, 5], WindowWidth=[256, 5]), 0)
    assert (made == RAMP).all()


def test_a_voi_lut_with_values_outside_of_it_and_more_bits():
    voi = table(np.linspace(0, 4095, 100), first=50, bits=12)
    made = displayed(RAMP, header(VOILUTSequence=[voi]), 0).ravel()
    assert (made[:51] == 0).all() and (made[149:] == 255).all() and made[100] == round(255 * 50 / 99)


def test_a_table_of_one_octet_a_value():
    voi = table(RAMP[::-1].ravel())
    voi.LUTData = bytes(range(255, -1, -1))
    assert (displayed(RAMP, header(VOILUTSequence=[voi]), 0) == 255 - RAMP).all()


@pytest.mark.parametrize(
    ("sop_class", "applied"),
    [
        (SecondaryCaptureImageStorage, True),
        (XRayAngiographicImageStorage, False),
        (XRayRadiofluoroscopicImageStorage, False),
    ],
)
def test_the_modality_lut_of_xa_and_xrf_is_not_for_display_as_dcm2pnm_has_it(tmp_path, peers, sop_class, applied):
    attributes = {
        "SOPClassUID": sop_class,
        "PixelIntensityRelationship": "LOG",
        "ModalityLUTSequence": [table(np.arange(255, -1, -1))],
        "WindowCenter": "128",
        "WindowWidth": "256",
    }
    attributes["ModalityLUTSequence"][0].ModalityLUTType = "US"
    path = written(tmp_path, RAMP.astype(np.uint8), **attributes)
    made = displayed(RAMP, dcmread(path), 0)
    assert (made == (255 - RAMP if applied else RAMP)).all()
    assert np.abs(made.astype(int) - by_dcmtk(peers, path, "--use-window", "1")).max() <= 1


@pytest.mark.parametrize("signed", [False, True])
def test_garbage_in_unused_high_bits_is_not_shown(signed):
    values = np.arange(-128, 128) if signed else np.arange(256)
    frame = (values & 0xFFF) | 0xA000
    clean = header(BitsStored=12, HighBit=11, PixelRepresentation=int(signed))
    assert (displayed(frame.astype(np.int16 if signed else np.uint16).reshape(16, 16), clean, 0) == RAMP).all()
    shifted = header(BitsStored=8, HighBit=15)
    assert (displayed((RAMP << 8) | 0x55, shifted, 0) == RAMP).all()


def test_float_pixels_and_what_is_no_number(tmp_path):
    frame = np.linspace(-1, 1, 256).reshape(16, 16)
    frame[0, 0] = np.nan
    made = displayed(frame, header(), 0)
    assert made[0, 1] == 0 and made[15, 15] == 255 and made[0, 0] in (127, 128)
    pixels = Dataset()
    path = written(tmp_path, halves(0, 0))
    pixels = dcmread(path)
    del pixels.PixelData, pixels.BitsStored, pixels.HighBit, pixels.PixelRepresentation
    pixels.BitsAllocated = 32
    pixels.FloatPixelData = np.repeat([[0.25, 0.75]], 32, axis=0).repeat(32, axis=1).astype("<f4").tobytes()
    pixels.save_as(path)
    assert sides(path) == pytest.approx((0, 255), abs=3)


def test_each_frame_of_an_enhanced_run_has_its_own_window_and_can_be_asked_for(tmp_path):
    groups = []
    for center in ("1000.5", "3000.5"):
        voi, group = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, "4001"
        group.FrameVOILUTSequence = [voi]
        groups.append(group)
    path = written(tmp_path, np.stack([halves(1000, 3000)] * 2), PerFrameFunctionalGroupsSequence=groups)
    middles = [Image.open(io.BytesIO(jpeg_of(path, frame))).convert("L").getpixel((5, 5)) for frame in (1, 2)]
    assert middles == pytest.approx([128, 0], abs=3)
    assert shown(path, 3).reason == "it has no frame 3, it has 2"
    assert shown(path, 0).jpeg == shown(path).jpeg == shown(path, 2).jpeg


# --- dcmtk's renderer as the other opinion -------------------------------------------------------------------------


def by_dcmtk(peers, path: Path, *options: str) -> np.ndarray:
    out = path.with_suffix(".pnm")
    subprocess.run([peers.need("dcmj2pnm"), *options, "--write-raw-pnm", path, out], check=True, capture_output=True)
    return np.asarray(Image.open(out)).astype(int)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CT_small.dcm", ["--min-max-window"]),
        ("MR_small.dcm", ["--use-window", "1"]),
        ("MR_small_bigendian.dcm", ["--use-window", "1"]),
        ("MR_small_RLE.dcm", ["--use-window", "1"]),
        ("JPGExtended.dcm", ["--min-max-window"]),
        ("JPEG-lossy.dcm", ["--min-max-window"]),
        ("examples_palette.dcm", []),
        ("examples_rgb_color.dcm", []),
        ("examples_ybr_color.dcm", ["--frame", "30"]),
        ("SC_rgb_rle.dcm", []),
        ("SC_rgb_jpeg_dcmtk.dcm", []),
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", []),
        ("SC_ybr_full_422_uncompressed.dcm", []),
    ],
)
def test_pictures_are_those_of_dcmtk(tmp_path, peers, name, options):
    path = tmp_path / "image.dcm"
    path.write_bytes(local(name).read_bytes())
    picture = Image.open(io.BytesIO(jpeg_of(path)))
    expected = by_dcmtk(peers, path, *options)
    made = np.asarray(picture.convert("L" if expected.ndim == 2 else "RGB")).astype(int)
    assert made.shape == expected.shape
    assert np.abs(made - expected).mean() < 4


ENCODERS = {
    "baseline": ("dcmcjpeg", "+eb"),
    "extended, 12 bit": ("dcmcjpeg", "+ee", "+q", "100"),
    "lossless": ("dcmcjpeg", "+el"),
    "lossless, first order": ("dcmcjpeg", "+e1"),
    "JPEG-LS": ("dcmcjpls", "+el"),
    "JPEG-LS near-lossless": ("dcmcjpls", "+en"),
    "RLE": ("dcmcrle",),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_what_dcmtk_encodes_looks_like_what_it_encoded(tmp_path, peers, encoder):
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint16) * 32
    plain = {"BitsStored": 12, "HighBit": 11, "WindowCenter": "2048", "WindowWidth": "4096"}
    path = written(tmp_path, np.minimum(ramp, 4095), **plain)
    expected, coded = grey(path), tmp_path / "coded.dcm"
    subprocess.run([peers.need(encoder[0]), *encoder[1:], path, coded], check=True, capture_output=True)
    if encoder[1:2] == ("+ee",):
        assert dcmread(coded).file_meta.TransferSyntaxUID == JPEGExtended12Bit
    if encoder[1:2] == ("+eb",):  # 8 bits are all that baseline has: dcmtk scales
        assert np.corrcoef(grey(coded).ravel(), expected.ravel())[0, 1] > 0.99
    else:
        assert np.abs(grey(coded) - expected).mean() < 2


@pytest.mark.parametrize("uid", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_htj2k_is_decoded_pixel_for_pixel(tmp_path, vectors, uid):
    """Streams of an encoder that no package here has; what they hold is in their README."""
    columns, rows = np.meshgrid(np.arange(64), np.arange(64))
    path = encapsulated(tmp_path, uid, [(vectors / "htj2k" / "ramp_8bit.j2c").read_bytes()], Rows=64, Columns=64)
    assert np.abs(grey(path) - (columns + rows)).max() <= 3  # a JPEG's own loss
    deep = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "Rows": 64, "Columns": 64}
    stream = (vectors / "htj2k" / "gradient_12bit.j2c").read_bytes()
    path = encapsulated(tmp_path, uid, [stream], **deep, WindowCenter="2048", WindowWidth="4096")
    expected = (16 * columns + 37 * rows) % 4096 / 4095 * 255
    assert np.abs(pixel_array(path) - (16 * columns + 37 * rows) % 4096).max() == 0
    assert np.abs(grey(path) - expected).mean() < 4


@pytest.mark.parametrize("little", [True, False])
def test_a_look_up_table_has_the_byte_order_of_its_object(tmp_path, little):
    attributes = {"VOILUTSequence": [table(np.arange(65535, -1, -257), bits=16)], "BitsStored": 16}
    made = dcmread(written(tmp_path, RAMP, **attributes))
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    if not little:
        made.PixelData = RAMP.astype(">u2").tobytes()
        lut = made.VOILUTSequence[0]
        lut.LUTData = np.frombuffer(lut.LUTData, "<u2").astype(">u2").tobytes()
    path = tmp_path / "ordered.dcm"
    dcmwrite(path, made, implicit_vr=False, little_endian=little, force_encoding=True)
    assert (displayed(RAMP, dcmread(path), 0) == 255 - RAMP).all()


# --- what is meant to break it ---------------------------------------------------------------------------------------


def deflated_bomb(folder: Path) -> Path:
    path = written(folder, halves(1, 2))
    head = path.read_bytes()
    begin = 144 + struct.unpack("<I", head[140:144])[0]
    squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    out = [
        squeeze.compress(head[begin : -12 - 4096]),
        squeeze.compress(struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 1 << 31)),
    ]
    out += [squeeze.compress(bytes(16 << 20)) for _ in range(20)]
    uid = DeflatedExplicitVRLittleEndian.encode()
    meta = dcmread(path).file_meta
    meta.TransferSyntaxUID = uid.decode()
    shell = Dataset()
    shell.file_meta = meta
    shell.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    shell_octets = path.read_bytes()
    begin = 144 + struct.unpack("<I", shell_octets[140:144])[0]
    path.write_bytes(shell_octets[:begin] + b"".join(out) + squeeze.flush())
    return path


def j2k_that_claims(folder: Path, side: int) -> Path:
    """A JPEG 2000 code stream whose SIZ marker says `side` x `side`; the object says 64 x 64."""
    size = struct.pack(">HHIIIIIIIIH", 41, 0, side, side, 0, 0, side, side, 0, 0, 1) + b"\x07\1\1"
    stream = b"\xff\x4f\xff\x51" + size + b"\xff\x52\0\x0c\0\0\0\1\0\0\4\4\0\1" + b"\xff\x5c\0\4\x40\x40"
    stream += b"\xff\x90\0\x0a\0\0\0\0\0\0\0\1\xff\x93" + bytes(64) + b"\xff\xd9"
    return encapsulated(folder, JPEG2000Lossless, [stream], Rows=64, Columns=64)


BOMBS = {
    "65535 x 65535": lambda folder: written(folder, halves(1, 2), Rows=65535, Columns=65535),
    "two thousand million frames": lambda folder: written(folder, halves(1, 2), NumberOfFrames=2_000_000_000),
    "deflated zeroes": deflated_bomb,
    "JPEG 2000 that claims 60000 x 60000": lambda folder: j2k_that_claims(folder, 60000),
    "RLE that claims 8000 x 8000": lambda folder: encapsulated(
        folder, RLELossless, [struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 500], Rows=8000, Columns=8000
    ),
    "RLE with a segment beyond the end": lambda folder: encapsulated(
        folder, RLELossless, [struct.pack("<16I", 15, *[0xFFFFFFF0] * 15)], Rows=64, Columns=64
    ),
}


async def test_bombs_cost_themselves_a_picture_and_the_next_image_is_shown(tmp_path):
    seen = []
    previewer = Previewer(seen.append)
    running = asyncio.create_task(previewer.run())
    try:
        async with asyncio.timeout(60):
            for number, make in enumerate(BOMBS.values()):
                (tmp_path / str(number)).mkdir()
                previewer.show(f"bomb {number}", "1.2", make(tmp_path / str(number)))
                while not seen or seen[-1].sha256 != f"bomb {number}":
                    await asyncio.sleep(0.01)
                assert seen[-1].jpeg is None and seen[-1].reason
            (tmp_path / "good").mkdir()
            previewer.show("good", "1.2", written(tmp_path / "good", halves(50, 200, np.uint8)))
            while seen[-1].sha256 != "good":
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert seen[-1].jpeg


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
