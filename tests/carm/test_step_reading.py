"""What an MPPS data set says, however badly it is written."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from esi_room.carm.listener.steps import MAX_ITEMS, parsed, read


def test_a_name_is_decoded_by_the_data_sets_own_character_set(mpps):
    dataset = mpps.created(PatientName="Müller^Jörg")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    octets = mpps.encoded(dataset)
    back, problem = parsed(octets, ExplicitVRLittleEndian)
    assert problem is None
    assert read(back, "1.2.3", creating=True).patient.name == "Müller^Jörg"


def test_what_stands_before_broken_octets_is_read(mpps):
    octets = mpps.encoded(mpps.created())
    at = octets.index(b"\x40\x00\x70\x02")  # (0040,0270), behind status and start
    back, problem = parsed(octets[:at] + b"\x40\x00\x70\x02ZZ\xff\xff\xff\xff", ExplicitVRLittleEndian)
    step = read(back, "1.2.3", creating=True, problem=problem)
    assert (step.status, step.started) == ("IN PROGRESS", "2026-11-23T09:30:00")
    assert step.problems


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PerformedProcedureStepStartTime", "9 o'clock"),
        ("PerformedProcedureStepStartDate", "yesterday"),
        ("PerformedSeriesSequence", [Dataset()]),
        ("PerformedSeriesSequence", None),
        ("ScheduledStepAttributesSequence", [Dataset()]),
    ],
)
def test_what_makes_no_sense_costs_itself_alone(keyword, value, mpps):
    step = read(mpps.created(**{keyword: value}), "1.2.3", creating=True)
    assert (step.status, step.description, step.patient.id) == ("IN PROGRESS", "lumbar", "4711")
    assert step.images == ()


def test_a_sequence_that_is_none_is_named(mpps):
    dataset = mpps.created(ScheduledStepAttributesSequence=None)
    dataset.add_new("ScheduledStepAttributesSequence", "LO", "no sequence")
    step = read(dataset, "1.2.3", creating=True)
    assert any("ScheduledStepAttributesSequence" in problem for problem in step.problems)


@given(noise=st.binary(max_size=300), at=st.integers(0, 600))
def test_no_octets_make_the_reader_raise(mpps, noise, at):
    octets = mpps.encoded(mpps.created())
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        dataset, problem = parsed(octets[:at] + noise + octets[at:], syntax)
        assert read(dataset, "1.2.3", creating=True, problem=problem).sop_instance_uid == "1.2.3"


def test_a_step_of_many_images_is_read_as_far_as_a_limit():
    image = struct.pack("<HHI", 0xFFFE, 0xE000, 13) + struct.pack("<HH2sH", 0x0008, 0x1155, b"UI", 5) + b"1.2.3"
    images = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 6000 * len(image)) + 6000 * image
    series = struct.pack("<HHI", 0xFFFE, 0xE000, len(images)) + images
    octets = struct.pack("<HH2sHI", 0x0040, 0x0340, b"SQ", 0, len(series)) + series
    step = read(parsed(octets, ExplicitVRLittleEndian)[0], "1.2.3", creating=False)
    assert 4000 < len(step.images) <= MAX_ITEMS
    assert step.problems[-1] == f"only its first {MAX_ITEMS} items are read"


@pytest.mark.parametrize("levels", [100, 100_000])
def test_sequences_in_sequences_end_somewhere(levels):
    level = struct.pack("<HH2sHI", 0x0040, 0x0340, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    dataset, problem = parsed(levels * level, ExplicitVRLittleEndian)
    assert problem is not None
    assert read(dataset, "1.2.3", creating=False, problem=problem).images == ()
