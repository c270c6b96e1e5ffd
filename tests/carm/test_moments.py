"""When frames were taken: each way of saying it, and what is no way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from esi_room.carm.listener.look import Look
from esi_room.carm.listener.moments import MAX_FRAMES_TIMED, acquired, first_frame_ms, frame_times_ms

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

FRAME_TIME, VECTOR, ANGLES = 0x00181063, 0x00181065, 0x00181520


def item(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def times(**attributes) -> tuple[float, ...]:
    return frame_times_ms(Look(item(**attributes)), 3)


def enhanced(keyword: str, *moments: str | None, **attributes) -> Dataset:
    frames = [item(FrameContentSequence=[item(**({keyword: each} if each else {}))]) for each in moments]
    return item(NumberOfFrames=len(moments), PerFrameFunctionalGroupsSequence=frames, **attributes)


BOTH = {"FrameTime": "100", "FrameTimeVector": ["0", "30", "50"]}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (BOTH, (0, 30, 80)),
        (BOTH | {"FrameIncrementPointer": VECTOR}, (0, 30, 80)),
        (BOTH | {"FrameIncrementPointer": FRAME_TIME}, (0, 100, 200)),
        (BOTH | {"FrameIncrementPointer": [VECTOR, ANGLES]}, (0, 30, 80)),
        ({"FrameTime": "100", "FrameIncrementPointer": VECTOR}, (0, 100, 200)),
        ({"FrameTime": "100", "FrameTimeVector": ["0", "30"], "FrameIncrementPointer": VECTOR}, (0, 100, 200)),
        ({"FrameTimeVector": ["17", "30", "50"]}, (0, 30, 80)),
        ({"FrameTimeVector": ["0", "30", "-50"]}, ()),
        ({"FrameTime": "0"}, ()),
        ({"FrameTime": "-33"}, ()),
        ({"CineRate": "15", "RecommendedDisplayFrameRate": "15"}, ()),
        ({"FrameTimeVector": ["0", "nan", "50"], "FrameTime": "40"}, (0, 40, 80)),
    ],
)
def test_classic_runs(attributes, expected):
    assert times(**attributes) == expected


@given(count=st.integers(-5, 3 * MAX_FRAMES_TIMED))
def test_times_are_bounded(count):
    assert len(frame_times_ms(Look(item(FrameTime="1")), count)) in (0, count)
    assert len(frame_times_ms(Look(item(FrameTime="1")), count)) <= MAX_FRAMES_TIMED


def test_enhanced_frames_have_times_of_their_own():
    for keyword in ("FrameReferenceDateTime", "FrameAcquisitionDateTime"):
        made = enhanced(keyword, "20261123235959.900", "20261124000000.000", "20261124000000.250")
        assert frame_times_ms(Look(made), 3) == (0, 100, 350)


def test_enhanced_frames_of_which_one_has_no_time_have_none_but_frame_time_counts():
    assert frame_times_ms(Look(enhanced("FrameReferenceDateTime", "20261123093000", None)), 2) == ()
    made = enhanced("FrameReferenceDateTime", "20261123093000", None, FrameTime="40")
    assert frame_times_ms(Look(made), 2) == (0, 40)


def test_the_reference_of_some_frames_and_the_acquisition_of_others_are_not_mixed():
    made = enhanced("FrameAcquisitionDateTime", "20261123093000.0", "20261123093000.1")
    content = made.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]
    content.FrameReferenceDateTime = "20261123093000.05"
    assert frame_times_ms(Look(made), 2) == (0, 100)


DATES = {"AcquisitionDate": "20261123", "ContentDate": "20261123"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({**DATES, "ContentTime": "093000", "FrameDelay": "250"}, 250),
        ({**DATES, "AcquisitionTime": "093000", "ContentTime": "093001.5", "FrameDelay": "250"}, 1750),
        ({**DATES, "AcquisitionTime": "093000.5", "ContentTime": "093000.5", "FrameDelay": "0"}, 0),
        ({**DATES, "AcquisitionTime": "093000", "FrameDelay": "250"}, None),  # it counts from the content time
        ({**DATES, "AcquisitionTime": "093000", "ContentTime": "093001"}, None),
        ({**DATES, "AcquisitionTime": "093000", "ContentTime": "080000", "FrameDelay": "0"}, None),
        ({**DATES, "AcquisitionTime": "093000", "ContentTime": "235959", "FrameDelay": "0"}, None),
        (
            {**DATES, "AcquisitionTime": "093000", "ContentTime": "093000", "FrameDelay": "5"}
            | {"TimezoneOffsetFromUTC": "-0500"},
            5,
        ),
        ({"FrameDelay": "5"}, None),
    ],
)
def test_the_first_frame(attributes, expected):
    look = Look(item(**attributes))
    assert first_frame_ms(look, acquired(look)) == expected


def test_the_first_frame_of_an_enhanced_run():
    made = enhanced("FrameReferenceDateTime", "20261123093000.125+0100", AcquisitionDateTime="20261123093000.1+0100")
    look = Look(made)
    assert acquired(look) == "2026-11-23T09:30:00.1+01:00"
    assert first_frame_ms(look, acquired(look)) == 25


def test_a_broken_acquisition_time_leaves_the_content_time():
    look = Look(item(**DATES, AcquisitionTime="half past", ContentTime="0930"))
    assert acquired(look) == "2026-11-23T09:30:00"
