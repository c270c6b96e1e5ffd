"""What an MPPS data set says, however badly it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from esi_room.carm.listener.steps import parsed, read


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
