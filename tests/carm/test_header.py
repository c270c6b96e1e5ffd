"""Attributes from headers: classic and enhanced, honest and broken."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from esi_room.carm.listener import header

UIDS = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.12.1", "SOPInstanceUID": "1.2.3.4"}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def dataset(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in (UIDS | attributes).items():
        setattr(made, keyword, value)
    return made


def read(tmp_path: Path, made: Dataset | bytes, syntax: str = ExplicitVRLittleEndian) -> dict:
    octets = made if isinstance(made, bytes) else encode(made, syntax == ImplicitVRLittleEndian, True)
    path = tmp_path / "object"
    path.write_bytes(b"meta" + octets)
    found = header.read(path, 4, syntax)
    return found.attributes | {"uid": found.sop_instance_uid}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_classic_fluoroscopy_frame(tmp_path, syntax):
    made = dataset(
        Modality="XA",
        Rows=1024,
        Columns=1000,
        KVP="68.5",
        XRayTubeCurrent="12",
        ExposureTime="8",
        PositionerPrimaryAngle="-20.5",
        PositionerSecondaryAngle="15",
        AcquisitionDate="20261123",
        AcquisitionTime="093000.125",
        ImageAndFluoroscopyAreaDoseProduct="0.0123",
        EntranceDoseInmGy="1.5",
        Manufacturer="Acme",
        StationName="ROOM1",
        PatientName="Doe^Jane",
    )
    found = read(tmp_path, made, syntax)
    assert (found["rows"], found["columns"], found["frames"]) == (1024, 1000, None)
    assert (found["kvp"], found["tube_current_ma"], found["exposure_time_ms"]) == (68.5, 12.0, 8.0)
    assert (found["primary_angle_deg"], found["secondary_angle_deg"]) == (-20.5, 15.0)
    assert found["acquired"] == "2026-11-23T09:30:00.125"
    assert found["dose"] == {"ImageAndFluoroscopyAreaDoseProduct": 0.0123, "EntranceDoseInmGy": 1.5}
    assert found["unreadable"] is None
    assert "Doe" not in repr(found)


def test_units_of_micro_are_converted(tmp_path):
    found = read(tmp_path, dataset(XRayTubeCurrentInuA="1500", ExposureTimeInuS="2500"))
    assert (found["tube_current_ma"], found["exposure_time_ms"]) == (1.5, 2.5)


@pytest.mark.parametrize(
    ("attributes", "times"),
    [
        ({"NumberOfFrames": 3, "FrameTime": "33.3"}, (0.0, 33.3, 66.6)),
        ({"NumberOfFrames": 3, "FrameTimeVector": ["0", "33", "40"]}, (0.0, 33.0, 73.0)),
        ({"NumberOfFrames": 3, "FrameTimeVector": ["0", "33"]}, ()),
        ({"NumberOfFrames": 3}, ()),
        ({"NumberOfFrames": 2000000000, "FrameTime": "1"}, ()),
        ({"NumberOfFrames": -1, "FrameTime": "1"}, ()),
        ({"FrameTime": "33"}, ()),
    ],
)
def test_frame_times(tmp_path, attributes, times):
    assert read(tmp_path, dataset(**attributes))["frame_times_ms"] == times


def item(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def test_an_enhanced_run_holds_its_attributes_in_functional_groups(tmp_path):
    frames = [
        item(FrameContentSequence=[item(FrameAcquisitionDateTime=f"20261123093000.{ms:03d}000+0100")])
        for ms in (0, 66, 133)
    ]
    frames[0].FrameAcquisitionSequence = [item(KVP="70", XRayTubeCurrentInmA=9.5)]
    made = dataset(
        NumberOfFrames=3,
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[
            item(PositionerPositionSequence=[item(PositionerPrimaryAngle=30.0, PositionerSecondaryAngle=-5.0)])
        ],
    )
    found = read(tmp_path, made)
    assert found["frame_times_ms"] == (0.0, 66.0, 133.0)
    assert (found["kvp"], found["tube_current_ma"]) == (70.0, 9.5)
    assert (found["primary_angle_deg"], found["secondary_angle_deg"]) == (30.0, -5.0)
    assert found["acquired"] == "2026-11-23T09:30:00.000000+01:00"


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


UID_OCTETS = element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.12.1") + element(8, 0x18, b"UI", b"1.2.3.4\0")


def test_a_value_of_the_wrong_type_costs_itself_alone(tmp_path):
    octets = UID_OCTETS + element(0x18, 0x60, b"DS", b"high") + element(0x28, 0x10, b"US", b"\x10\x00")
    found = read(tmp_path, octets)
    assert found["kvp"] is None and found["rows"] == 16 and found["uid"] == "1.2.3.4"
    assert found["unreadable"] == "not readable: KVP"


def test_infinity_and_nan_are_no_numbers(tmp_path):
    found = read(tmp_path, UID_OCTETS + element(0x18, 0x60, b"DS", b"inf ") + element(0x18, 0x1510, b"DS", b"nan "))
    assert found["kvp"] is None and found["primary_angle_deg"] is None


def test_a_deflated_bomb_is_not_inflated(tmp_path):
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = squeeze.compress(UID_OCTETS + element(0x28, 0x10, b"US", b"\x10\x00"))
    bomb += squeeze.compress(struct.pack("<HH2sHI", 0x7FDF, 0x10, b"OB", 0, 1 << 28))
    for _ in range(64):
        bomb += squeeze.compress(bytes(4 << 20))
    bomb += squeeze.flush()
    found = read(tmp_path, bomb, DeflatedExplicitVRLittleEndian)
    assert found["rows"] == 16


def test_deeply_nested_sequences_cost_the_header_alone(tmp_path):
    nest = b"".join(
        struct.pack("<HH2sHI", 0x40, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        for _ in range(20000)
    )
    assert "does not parse" in read(tmp_path, UID_OCTETS + nest)["unreadable"]


@settings(max_examples=150, deadline=None)
@given(octets=st.binary(max_size=400), known=st.booleans())
def test_no_octets_make_it_raise(tmp_path_factory, octets, known):
    folder = tmp_path_factory.mktemp("fuzz")
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        read(folder, UID_OCTETS + octets if known else octets, syntax)


@settings(max_examples=60, deadline=None)
@given(kept=st.integers(min_value=0, max_value=700), syntax=st.sampled_from([0, 1]), pixels=st.booleans())
def test_what_is_in_memory_says_the_same_as_the_file(tmp_path_factory, kept, syntax, pixels):
    made = dataset(
        Modality="XA",
        SeriesNumber="7 ",
        InstanceNumber="12",
        KVP="68.5",
        StationName="ROOM~1",
        Manufacturer="Acme\\Other",
        PatientName="Doe^Jane",
        AcquisitionDateTime="20261123093000.125+0100",
        WindowCenterWidthExplanation="w" * 300,
    )
    if pixels:
        made.BitsAllocated, made.PixelData = 8, bytes(100)
    uid = [ExplicitVRLittleEndian, ImplicitVRLittleEndian][syntax]
    octets = encode(made, uid == ImplicitVRLittleEndian, True)
    path = tmp_path_factory.mktemp("object") / "object"
    path.write_bytes(b"meta" + octets)
    assert header.read(path, 4, uid, octets[:kept]) == header.read(path, 4, uid)
    found = header.read(path, 4, uid, octets).attributes
    assert (found["series_number"], found["instance_number"], found["kvp"]) == (7, 12, 68.5)
    assert (found["station"], found["manufacturer"]) == ("ROOM~1", "Acme")


def test_a_short_header_is_not_read_from_the_file(tmp_path):
    made = dataset(Rows=4, BitsAllocated=8, PixelData=bytes(16))
    found = header.read(tmp_path / "nowhere", 4, ExplicitVRLittleEndian, encode(made, False, True))
    assert found.attributes["rows"] == 4 and found.attributes["unreadable"] is None


@pytest.mark.parametrize(("said", "found"), [("12.0", 12), ("", None), ("1\\2", 1), ("x", None)])
def test_a_whole_number_is_what_the_device_wrote(tmp_path, said, found):
    octets = encode(dataset(), False, True) + struct.pack("<HH2sH", 0x20, 0x13, b"IS", len(said) + len(said) % 2)
    octets += said.encode().ljust(len(said) + len(said) % 2)
    assert read(tmp_path, octets)["instance_number"] == found
