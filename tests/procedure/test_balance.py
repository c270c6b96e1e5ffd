"""What was drawn up is accounted for, or the difference has a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.procedure.balance import TOLERANCE_ML, balance


def test_a_syringe_that_went_where_it_should_has_no_difference():
    assert balance({"A": 10.0, "B": 3.0}, {"A": 4.1, "B": 3.0}, {"A": 0.9}, {"A": 5.0}) == []


@pytest.mark.parametrize(
    ("drawn_up", "delivered", "given_", "discarded", "difference_ml", "words"),
    [
        (
            {"A": 10.0}, {"A": 3.0}, {"A": 1.0}, {"A": 5.0}, 1.0,
            "syringe A: drawn up 10 mL, delivered 3 mL, given 1 mL, discarded 5 mL: 1 mL not accounted for",
        ),
        (
            {"A": 3.0}, {"A": 2.5}, {}, {"A": 1.125}, -0.625,
            "syringe A: drawn up 3 mL, delivered 2.5 mL, given 0 mL, discarded 1.125 mL: 0.625 mL more than was drawn "
            "up",
        ),
        (
            {"A": 5.0}, {}, {}, {}, 5.0,
            "syringe A: drawn up 5 mL, delivered 0 mL, given 0 mL, discarded 0 mL: 5 mL not accounted for",
        ),
        (
            {}, {"A": 2.0}, {}, {}, None,
            "syringe A: delivered 2 mL, given 0 mL, discarded 0 mL; nothing says that it was drawn up",
        ),
    ],
)  # fmt: skip
def test_what_differs_is_named_in_words_and_numbers(drawn_up, delivered, given_, discarded, difference_ml, words):
    (difference,) = balance(drawn_up, delivered, given_, discarded)
    assert difference == ("A", difference_ml, words)


def test_a_delivery_of_unknown_volume_is_no_difference_in_numbers():
    (difference,) = balance({"A": 5.0}, {"A": 2.0}, {}, {}, unknown={"A"})
    assert difference.difference_ml is None
    assert difference.text == (
        "syringe A: drawn up 5 mL, delivered 2 mL, given 0 mL, discarded 0 mL, and a delivery whose volume is not "
        "known: cannot be balanced"
    )
    (nowhere,) = balance({}, {}, {}, {}, unknown={"B"})
    assert nowhere.text.endswith("a delivery whose volume is not known; nothing says that it was drawn up")


@pytest.mark.parametrize(("drawn_ml", "named"), [(5.0, False), (5.2, False), (4.8, False), (5.21, True), (4.79, True)])
def test_what_the_scale_of_a_syringe_cannot_show_is_no_difference(drawn_ml, named):
    assert bool(balance({"A": drawn_ml}, {"A": 5.0}, {}, {})) is named


def test_each_syringe_is_for_itself():
    found = balance({"A": 5.0, "B": 5.0}, {"A": 4.0, "B": 6.0}, {}, {})
    assert [(each.syringe, each.difference_ml) for each in found] == [("A", 1.0), ("B", -1.0)]


VOLUME = st.decimals(min_value=0, max_value=100, places=3).map(float)
VOLUMES = st.dictionaries(st.sampled_from("ABC"), VOLUME)


@given(VOLUMES, VOLUMES, VOLUMES, VOLUMES)
def test_a_difference_is_there_exactly_where_the_sums_differ(drawn_up, delivered, given_, discarded):
    found = {each.syringe: each for each in balance(drawn_up, delivered, given_, discarded)}
    for syringe in {*drawn_up, *delivered, *given_, *discarded}:
        gone_ml = sum(volumes.get(syringe, 0.0) for volumes in (delivered, given_, discarded))
        if syringe not in drawn_up:
            assert found[syringe].difference_ml is None
        elif abs(round(drawn_up[syringe] - gone_ml, 3)) > TOLERANCE_ML:
            assert found[syringe].difference_ml == pytest.approx(drawn_up[syringe] - gone_ml, abs=1e-3)
        else:
            assert syringe not in found
