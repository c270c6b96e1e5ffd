"""R3 contrast under live fluoroscopy, R6 cervical interlaminar, R7 views, R9 uptake, R13 levels and regions; what
begins an injectate, and what a new position of the needle."""

from __future__ import annotations

from typing import Any

import pytest
from procedure_rig import DEXAMETHASONE, IOHEXOL, LIDOCAINE, SALINE, T0_NS, Case

from esi_room.clock import NS, rfc3339
from esi_room.events import Plan

THROUGH = {"approach": "transforaminal", "side": "left", "levels": ["L5/S1"]}
NOT_GIVEN: dict[str, Any] = {"given": False, "imaging": None, "spread": [], "component": None}


def foramen(rule: str) -> Case:
    """A transforaminal injection at L5/S1, as far as the needle in its place."""
    case = Case(rule)
    case.says(220, "approach", **THROUGH)
    case.says(252, "needle", kind="quincke")
    return case


def seen(case: Case, at_s: float, uptake: str, action: str) -> int:
    return case.says(at_s, "contrast", uptake=[uptake], spread=[], action=action)


# --- R3: contrast seen live before the injectate --------------------------------------------------------------


@pytest.mark.parametrize("imaging", ["live_fluoroscopy", "dsa"])
def test_r3_seen_live(imaging: str) -> None:
    case = foramen("R3")
    case.says(460, "contrast", imaging=imaging)
    case.pump_starts(480)
    case.pump_starts(500)  # after a pause
    assert (case.alerts, case.lacking) == ({}, {})


def test_r3_seen_on_single_images_only() -> None:
    case = foramen("R3")
    contrast = case.says(460, "contrast", imaging="static")
    start = case.pump_starts(480)
    case.is_raised("R3-position-1", "high", (2, start, contrast), "not watched live")
    case.corrects(490, contrast, imaging="dsa")
    case.corrects(495, contrast, imaging="static")
    assert case.history == ["+R3-position-1", "-R3-position-1", "+R3-position-1~2"]


def test_r3_none_at_all() -> None:
    case = foramen("R3")
    start = case.pump_starts(480)
    case.is_raised("R3-position-1", "high", (2, start), "no contrast is recorded at this needle position")


def test_r3_written_down_late() -> None:
    case = foramen("R3")
    case.pump_starts(480)
    case.says(490, "contrast")
    assert list(case.alerts) == ["R3-position-1"], "after the injectate is too late"
    case.says(495, "contrast", happened_s=480)
    assert case.alerts == {}, "at the very moment was in time"


def test_r3_no_needle_is_recorded_at_all() -> None:
    case = Case("R3", plan=Plan(approach="transforaminal", side="left", levels=("L5/S1",)))
    start = case.pump_starts(480)
    case.is_raised("R3-position-0", "high", (1, start))
    case.says(490, "contrast", happened_s=460)
    assert case.alerts == {}


@pytest.mark.parametrize("moved", ["repositioned", "placed"])
def test_r3_at_each_position_of_the_needle(moved: str) -> None:
    case = foramen("R3")
    case.says(300, "contrast")
    case.pump_starts(320)
    case.says(400, "needle", action=moved)
    start = case.pump_starts(480)
    case.is_raised("R3-position-2", "high", (2, start), "at this needle position")
    case.says(490, "contrast", happened_s=450)
    assert case.alerts == {}


def test_r3_uptake_answered_by_moving_begins_a_new_position() -> None:
    case = foramen("R3")
    seen(case, 300, "vascular", "repositioned")
    case.pump_starts(480)
    assert list(case.alerts) == ["R3-position-2"], "nobody has seen where it goes from there"
    case.says(490, "contrast", happened_s=460)
    assert case.alerts == {}


def test_r3_judges_each_injection_by_the_approach_that_it_was_given_through() -> None:
    case = Case("R3")
    case.says(220, "approach")
    case.says(252, "needle")
    case.pump_starts(300)
    case.says(400, "approach", **THROUGH)
    assert case.alerts == {}, "the first was interlaminar"
    case.says(410, "needle")
    start = case.pump_starts(480)
    case.is_raised("R3-position-2", "high", (5, start))
    case.says(600, "approach")
    assert list(case.alerts) == ["R3-position-2"], "and the second remains transforaminal"


def test_r3_an_approach_written_down_after_the_injection_counts_for_it() -> None:
    case = Case("R3", plan=None)
    case.says(252, "needle")
    start = case.pump_starts(480)
    assert case.lacking == {"R3": "the approach is not recorded"}
    taken = case.says(500, "approach", **THROUGH)
    case.is_raised("R3-position-1", "high", (taken, start))


def test_r3_two_levels_two_needles_contrast_through_both() -> None:
    case = Case("R3")
    case.says(220, "approach", approach="transforaminal", side="left", levels=["L4/5", "L5/S1"])
    for at_s, level in ((252, "L4/5"), (260, "L5/S1")):
        case.says(at_s, "needle", level=level, side="left")
    case.says(300, "contrast")
    case.says(310, "contrast")
    case.says(480, "hand_injection", drug="dexamethasone")
    case.says(490, "hand_injection", state="end", volume_ml=1.5)
    case.says(500, "hand_injection", drug="dexamethasone")
    assert case.alerts == {}


def test_r3_elsewhere_it_does_not_apply() -> None:
    case = Case("R3")
    case.says(220, "approach")
    case.pump_starts(480)
    assert (case.alerts, case.lacking) == ({}, {})


def test_r3_what_it_lacks() -> None:
    assert Case("R3", plan=None).lacking == {"R3": "the approach is not recorded"}
    assert Case("R3", plan=Plan(levels=("L5/S1",))).lacking == {"R3": "the approach is not recorded"}
    assert foramen("R3").lacking == {"R3": "no injection is recorded"}


# --- what begins an injectate ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "begins"),
    [
        ("hand_injection", {}, True),
        ("hand_injection", {"drug": "dexamethasone"}, True),
        ("hand_injection", {"syringe": "S"}, True),
        ("hand_injection", {"syringe": "unknown"}, True),
        ("hand_injection", {"drug": "iohexol"}, False),
        ("hand_injection", {"syringe": "C"}, False),
        ("hand_injection", {"drug": "sodium_chloride"}, False),
        ("hand_injection", {"drug": "lidocaine", "route": "skin"}, False),
        ("drug_given", {"route": "epidural", "component": DEXAMETHASONE}, True),
        ("drug_given", {"route": "epidural", "component": LIDOCAINE}, True),
        ("drug_given", {"route": "epidural", "component": IOHEXOL}, False),
        ("drug_given", {"route": "epidural", "component": SALINE}, False),
        ("drug_given", {"route": "skin", "component": LIDOCAINE}, False),
    ],
)
def test_what_begins_an_injectate(name: str, fields: dict[str, Any], begins: bool) -> None:
    case = foramen("R3")
    case.says(300, "drawn_up", syringe="S", components=[DEXAMETHASONE, SALINE])
    case.says(310, "drawn_up", syringe="C", components=[IOHEXOL, SALINE])
    case.says(480, name, **fields)
    assert bool(case.alerts) == begins


@pytest.mark.parametrize(
    ("components", "begins"),
    [
        ([DEXAMETHASONE, SALINE], True),
        ([{"drug": "other", "name": "hyaluronidase", "volume_ml": 1}], True),
        ([IOHEXOL], False),
        ([{"drug": "propofol", "volume_ml": 20}], False),
        ([{"drug": "fentanyl", "volume_ml": 2}], True),
    ],
)
def test_a_pump_begins_an_injectate_unless_it_holds_something_else(components: list[Any], begins: bool) -> None:
    case = foramen("R3")
    case.says(300, "drawn_up", syringe="X", pump="pump-1", components=components)
    case.says(310, "drawn_up", syringe="Y", pump="pump-2", components=[IOHEXOL])
    case.pump_starts(480)
    assert bool(case.alerts) == begins


def test_the_syringe_that_was_in_the_pump_then() -> None:
    case = foramen("R3")
    case.says(300, "drawn_up", syringe="C", pump="pump-1", components=[IOHEXOL])
    case.pump_starts(310)
    case.says(400, "drawn_up", syringe="A", pump="pump-1", components=[DEXAMETHASONE])
    assert case.alerts == {}
    start = case.pump_starts(480)
    assert case.alerts["R3-position-1"].facts == (2, start)


@pytest.mark.parametrize("state", ["withdrawing", "purging", "paused", None])
def test_a_pump_that_does_not_infuse_begins_nothing(state: str | None) -> None:
    case = foramen("R3")
    case.pump_starts(480, state=state)
    case.pump_tells(482)
    assert case.alerts == {}


def test_a_pump_that_was_connected_while_it_ran_began_an_injectate_then() -> None:
    case = foramen("R3")
    late = case.delivered(560, 4.0, None, started_at=rfc3339(T0_NS + 480 * NS), remarks=("connected_late",))
    case.is_raised("R3-position-1", "high", (2, late), "no contrast is recorded")
    case.says(570, "contrast", happened_s=481)
    assert list(case.alerts) == ["R3-position-1"]
    case.says(580, "contrast", happened_s=479)
    assert case.alerts == {}
    case.delivered(600, 4.0, None)
    assert case.alerts == {}, "the start of any other is an entry of its own"


# --- R9: uptake, then injectate at that position ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "word"),
    [
        ("aspiration", {"result": "blood"}, "blood"),
        ("aspiration", {"result": "csf"}, "CSF"),
        ("contrast", {"uptake": ["vascular"], "spread": [], "action": "none"}, "vascular uptake"),
        ("contrast", {"uptake": ["intrathecal"], "spread": [], "action": "abandoned"}, "intrathecal uptake"),
    ],
)
@pytest.mark.parametrize("by", ["pump", "hand"])
def test_r9_injected_where_it_must_not_be(name: str, fields: dict[str, Any], word: str, by: str) -> None:
    case = foramen("R9")
    warning = case.says(410, name, **fields)
    assert case.alerts == {}
    start = case.pump_starts(480) if by == "pump" else case.says(480, "hand_injection")
    case.is_raised("R9-position-1", "critical", (warning, start), word, "no repositioning")


def test_r9_moved_in_between() -> None:
    case = foramen("R9")
    seen(case, 410, "vascular", "none")
    case.says(420, "needle", action="repositioned")
    case.pump_starts(480)
    assert (case.alerts, case.lacking) == ({}, {})


def test_r9_moved_by_what_the_form_says_was_done() -> None:
    case = foramen("R9")
    seen(case, 410, "vascular", "repositioned")
    case.pump_starts(480)
    assert case.alerts == {}


def test_r9_blood_and_then_none_at_the_same_position() -> None:
    case = foramen("R9")
    blood = case.says(410, "aspiration", result="blood")
    case.says(420, "aspiration")
    start = case.pump_starts(480)
    case.is_raised("R9-position-1", "critical", (blood, start))


def test_r9_seen_after_the_injection_and_before_it_goes_on() -> None:
    case = foramen("R9")
    case.says(410, "aspiration")
    case.pump_starts(480)
    blood = case.says(500, "aspiration", result="blood")
    assert case.alerts == {}
    start = case.pump_starts(520)
    case.is_raised("R9-position-1", "critical", (blood, start))


def test_r9_of_several_warnings_all_are_facts_and_the_first_is_named() -> None:
    case = foramen("R9")
    blood = case.says(410, "aspiration", result="blood")
    both = case.says(420, "contrast", uptake=["intrathecal", "vascular"], spread=[], action="none")
    start = case.pump_starts(480)
    case.is_raised("R9-position-1", "critical", (blood, both, start), "where blood was seen")
    case.withdraws(490, blood)
    assert list(case.alerts) == ["R9-position-1"]
    case = foramen("R9")
    seen = case.says(420, "contrast", uptake=["intrathecal", "vascular"], spread=[], action="none")
    case.is_raised("R9-position-1", "critical", (seen, case.pump_starts(480)), "intrathecal uptake")


def test_r9_each_position_has_its_own_alert() -> None:
    case = foramen("R9")
    case.says(410, "aspiration", result="blood")
    case.pump_starts(480)
    case.says(500, "needle", action="repositioned")
    case.says(510, "aspiration", result="csf")
    case.pump_starts(520)
    assert list(case.alerts) == ["R9-position-1", "R9-position-2"]


def test_r9_cleared_by_what_should_have_been_said_and_raised_again() -> None:
    case = foramen("R9")
    blood = case.says(410, "aspiration", result="blood")
    case.pump_starts(480)
    case.corrects(490, blood, result="negative")
    case.corrects(495, blood, result="csf")
    moved = case.says(500, "needle", action="repositioned", happened_s=450)
    case.withdraws(510, moved)
    assert case.history == [
        "+R9-position-1",
        "-R9-position-1",
        "+R9-position-1~2",
        "-R9-position-1~2",
        "+R9-position-1~3",
    ]


# --- two needles: levels and sides that are said tell them apart ----------------------------------------------


def two_needles(rule: str, *, by: str) -> tuple[Case, dict[str, Any], dict[str, Any]]:
    """Both in place; the first, and the second."""
    case = Case(rule)
    said = {"level": ("L4/5", "L5/S1"), "side": ("left", "right")}
    case.says(220, "approach", approach="transforaminal", side="both", levels=["L4/5", "L5/S1"])
    first, second = ({by: each} for each in said[by])
    case.says(252, "needle", **first)
    case.says(260, "needle", **second)
    return case, first, second


@pytest.mark.parametrize("by", ["level", "side"])
def test_blood_at_one_needle_speaks_against_that_one(by: str) -> None:
    case, first, second = two_needles("R9", by=by)
    blood = case.says(300, "aspiration", result="blood", **first)
    case.says(310, "aspiration", **second)
    case.says(480, "hand_injection", **second)
    assert case.alerts == {}
    case.says(500, "hand_injection", state="end", volume_ml=1.5)
    start = case.says(510, "hand_injection", **first)
    case.is_raised("R9-position-1", "critical", (blood, start))


def test_blood_before_the_second_needle_was_placed_still_speaks_against_the_first() -> None:
    case = Case("R9")
    case.says(252, "needle", side="left")
    blood = case.says(255, "aspiration", result="blood")
    case.says(260, "needle", side="right")
    case.says(480, "hand_injection", side="right")
    assert case.alerts == {}
    start = case.says(490, "hand_injection", side="left")
    case.is_raised("R9-position-1", "critical", (blood, start))


def test_where_nobody_says_which_blood_speaks_against_both() -> None:
    case, first, second = two_needles("R9", by="level")
    case.says(300, "aspiration", result="blood")
    case.says(480, "hand_injection", **second)
    case.says(490, "hand_injection", **first)
    assert list(case.alerts) == ["R9-position-2", "R9-position-1"]


def test_moving_one_needle_does_not_clear_the_other() -> None:
    case, first, second = two_needles("R9", by="side")
    case.says(300, "aspiration", result="csf", **first)
    case.says(310, "needle", action="repositioned", **second)
    case.says(480, "hand_injection", **first)
    assert list(case.alerts) == ["R9-position-1"]
    case.says(485, "needle", action="repositioned", happened_s=320, **first)
    assert case.alerts == {}


@pytest.mark.parametrize("by", ["level", "side"])
def test_contrast_is_seen_through_each_needle(by: str) -> None:
    case, first, second = two_needles("R3", by=by)
    case.says(300, "contrast", **first)
    case.says(480, "hand_injection", **first)
    assert case.alerts == {}
    start = case.says(490, "hand_injection", **second)
    case.is_raised("R3-position-2", "high", (2, start))
    case.says(495, "contrast", happened_s=310)
    assert case.alerts == {}, "it may have been that one"


def test_uptake_at_one_needle_that_is_moved_begins_a_position_of_that_one() -> None:
    case, first, second = two_needles("R3", by="side")
    case.says(300, "contrast", **second)
    case.says(310, "contrast", uptake=["vascular"], spread=[], action="repositioned", **first)
    case.says(480, "hand_injection", **second)
    assert case.alerts == {}
    case.says(490, "hand_injection", **first)
    assert list(case.alerts) == ["R3-position-3"]


def test_r9_contrast_alone_may_follow() -> None:
    case = foramen("R9")
    seen(case, 410, "vascular", "none")
    case.says(420, "hand_injection", drug="iohexol")
    assert case.alerts == {}


def test_r9_what_it_lacks() -> None:
    case = foramen("R9")
    assert case.lacking == {"R9": "no injection is recorded"}
    case.pump_starts(480)
    assert case.lacking == {"R9": "neither aspiration nor contrast is recorded"}
    case.says(490, "aspiration", happened_s=470)
    assert case.lacking == {}


# --- R6: cervical interlaminar at C7/T1, not above C6/7 --------------------------------------------------------


def neck(level: str, **more: Any) -> Case:
    case = Case("R6", **more)
    case.says(32, "prior_imaging")
    case.enters(200, "guidance")
    case.says(220, "approach", side="right", levels=[level])
    return case


@pytest.mark.parametrize("level", ["C6/7", "C7/T1"])
def test_r6_low_enough(level: str) -> None:
    case = neck(level)
    assert (case.alerts, case.lacking) == ({}, {})


@pytest.mark.parametrize("level", ["C2/3", "C3/4", "C4/5", "C5/6"])
def test_r6_above(level: str) -> None:
    case = neck(level)
    taken = case.seq - 1
    case.is_raised("R6-level", "high", (taken,), level, "not above C6/7")
    case.corrects(230, taken, levels=["C7/T1"])
    case.corrects(240, taken, levels=[level])
    assert case.history == ["+R6-level", "-R6-level", "+R6-level~2"]


def test_r6_the_levels_are_a_parameter() -> None:
    assert neck("C5/6", levels=["C5/6", "C6/7", "C7/T1"]).alerts == {}
    case = neck("C6/7", levels=["C7/T1"])
    assert "not above C7/T1" in case.alerts["R6-level"].text


def test_r6_leaving_the_neck_does_not_undo_it() -> None:
    case = neck("C5/6")
    case.says(400, "approach", levels=["C7/T1", "T1/2"])
    assert list(case.alerts) == ["R6-level"]
    assert "C5/6" in case.alerts["R6-level"].text


def test_r6_of_several_levels_the_first_is_named() -> None:
    case = Case("R6", plan=None)
    case.enters(200, "guidance")
    first = case.says(220, "approach", levels=["C7/T1"])
    case.is_raised("R6-imaging", "high", (first, 1 + 1))
    case.says(230, "prior_imaging", happened_s=32)
    two = case.says(240, "approach", levels=["C4/5", "C3/4"])
    case.is_raised("R6-level", "high", (two,), "at C4/5")
    case.says(250, "approach", levels=["C5/6"])
    assert case.history == ["+R6-imaging", "-R6-imaging", "+R6-level"]


def test_r6_a_thoracic_level_beside_is_not_above() -> None:
    case = Case("R6")
    case.says(32, "prior_imaging")
    case.says(220, "approach", levels=["C7/T1", "T1/2"])
    assert case.alerts == {}


@pytest.mark.parametrize("happened_s", [None, 200.5])
def test_r6_no_imaging_reviewed_before_guidance(happened_s: float | None) -> None:
    case = Case("R6", plan=Plan(approach="interlaminar", levels=("C7/T1",)))
    case.says(32, "prior_imaging", reviewed=False)
    guided = case.enters(200, "guidance")
    case.is_raised("R6-imaging", "high", (1, guided), "no prior imaging was reviewed")
    case.says(210, "prior_imaging", happened_s=happened_s)
    assert list(case.alerts) == ["R6-imaging"]
    case.says(220, "prior_imaging", happened_s=200)
    assert case.alerts == {}


def test_r6_elsewhere_it_does_not_apply() -> None:
    for fields in ({}, {"approach": "transforaminal", "levels": ["C4/5"]}, {"levels": ["T1/2"]}):
        case = Case("R6")
        case.says(220, "approach", **fields)
        case.enters(200, "guidance")
        assert (case.alerts, case.lacking) == ({}, {})


def test_r6_what_it_lacks() -> None:
    unsaid = {"R6": "approach and level are not recorded"}
    assert Case("R6", plan=None).lacking == unsaid
    assert Case("R6", plan=Plan(approach="interlaminar")).lacking == unsaid
    assert Case("R6", plan=Plan(levels=("C5/6",))).lacking == unsaid
    case = Case("R6", plan=Plan(approach="interlaminar", levels=("C7/T1",)))
    assert case.lacking == {"R6": "guidance was never entered, and no prior imaging is recorded"}


# --- R7: two views, one of them with contrast --------------------------------------------------------------------


def test_r7_two_views_by_the_forms() -> None:
    case = Case("R7")
    case.says(300, "view", projection="ap")
    case.says(301, "view", projection="lateral")
    case.enters(630, "recovery")
    assert (case.alerts, case.lacking) == ({}, {})


@pytest.mark.parametrize(
    ("angles", "enough"),
    [
        ([(0, 0), (90, 0)], True),
        ([(0, 0), (25, 0)], True),
        ([(0, 0), (24.9, 0)], False),
        ([(0, 0), (0, 25)], True),
        ([(0, 0), (10, 24)], False),
        ([(0, 0), (0, 0), (0, 0)], False),
        ([(0, 0), (180, 0)], False),  # from behind: the same view, mirrored
        ([(-90, 0), (90, 0)], False),
        ([(0, 0), (None, None), (-30, None)], True),
        ([(None, None), (None, 40)], False),
    ],
)
def test_r7_views_by_the_angles_of_the_images(angles: list[tuple[float | None, float | None]], enough: bool) -> None:
    case = Case("R7")
    for primary, secondary in angles:
        case.image(None, primary_angle_deg=primary, secondary_angle_deg=secondary)
    case.enters(630, "recovery")
    assert (not case.alerts) == enough


def test_r7_one_view_only() -> None:
    case = Case("R7")
    images = [case.image(at_s) for at_s in (206, 260, 300, 310)]
    case.says(320, "view", projection="ap")
    assert case.alerts == {}, "there is time for another"
    done = case.enters(630, "recovery")
    case.is_raised("R7-views", "medium", (*images[1:], done), "1 of 2 views")
    case.says(640, "view", projection="lateral", happened_s=400)
    assert case.history == ["+R7-views", "-R7-views"]
    case.withdraws(650, case.seq - 1)
    assert case.history[-1] == "+R7-views~2"


def test_r7_how_many_and_how_far_apart_are_parameters() -> None:
    case = Case("R7", views=3, angle_deg=10.0)
    for primary in (0, 10, 19):
        case.image(None, primary_angle_deg=primary)
    case.ends(700)
    assert "2 of 3 views" in case.alerts["R7-views"].text


@pytest.mark.parametrize(("taken_s", "enough"), [(339.9, False), (340, True), (470, True)])
def test_r7_an_image_from_shortly_before_the_contrast_form_on_shows_it(taken_s: float, enough: bool) -> None:
    case = Case("R7")
    case.image(taken_s)
    given = case.says(460 if taken_s < 460 else 480, "contrast", happened_s=460)
    case.says(None, "view", projection="ap")
    case.says(None, "view", projection="lateral")
    done = case.enters(630, "recovery")
    if enough:
        assert case.alerts == {}
    else:
        case.is_raised("R7-contrast", "medium", (given, done), "No view with contrast")


def test_r7_it_is_the_first_contrast_that_must_be_seen() -> None:
    case = Case("R7")
    given = case.says(300, "contrast")
    case.says(600, "contrast")
    case.says(None, "view", projection="ap")
    case.says(None, "view", projection="lateral")
    done = case.enters(630, "recovery")
    case.is_raised("R7-contrast", "medium", (given, done))
    case.image(640, happened_s=200)
    assert case.alerts == {}


def test_r7_a_view_kept_with_contrast_needs_no_image() -> None:
    case = Case("R7")
    case.says(460, "contrast")
    case.says(None, "view", projection="ap", contrast=True)
    case.says(None, "view", projection="lateral")
    case.ends(700)
    assert case.alerts == {}


def test_r7_no_contrast_no_view_of_it() -> None:
    case = Case("R7")
    case.says(460, "contrast", **NOT_GIVEN, reason="allergy")
    case.says(None, "view", projection="ap")
    case.says(None, "view", projection="lateral")
    case.ends(700)
    assert case.alerts == {}


def test_r7_a_procedure_given_up_before_the_needle_is_no_deviation() -> None:
    case = Case("R7")
    case.ends(100)
    assert case.alerts == {}
    assert case.lacking == {"R7": "no image, no view and no needle is recorded"}


# --- R13: levels and regions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ([("transforaminal", ["L4/5", "L5/S1"])], []),
        ([("transforaminal", ["L5/S1", "S1"])], []),  # the fifth and the first sacral root: the commonest pair
        ([("transforaminal", ["L4/5"]), ("transforaminal", ["L4/5"])], []),  # both sides of one level
        ([("transforaminal", ["L3/4", "L4/5", "L5/S1"])], ["R13-transforaminal"]),
        ([("transforaminal", ["L4/5"]), ("transforaminal", ["L5/S1", "L3/4"])], ["R13-transforaminal"]),
        ([("interlaminar", ["L4/5"])], []),
        ([("interlaminar", ["L4/5"]), ("interlaminar", ["L3/4"])], ["R13-interlaminar"]),
        ([("caudal", ["sacral_hiatus"])], []),
        ([("caudal", ["sacral_hiatus"]), ("interlaminar", ["L4/5"])], []),
        ([("interlaminar", ["C7/T1"]), ("caudal", ["sacral_hiatus"])], ["R13-regions"]),
        ([("interlaminar", ["C7/T1"]), ("transforaminal", ["T1/2"])], []),
        ([("transforaminal", ["T12/L1", "L1/2"])], ["R13-regions"]),
    ],
)
def test_r13(said: list[tuple[str, list[str]]], raised: list[str]) -> None:
    case = Case("R13")
    seqs = [case.says(None, "approach", approach=how, levels=levels) for how, levels in said]
    assert list(case.alerts) == raised
    for alert in raised:
        case.is_raised(alert, "info", tuple(seqs))
        case.withdraws(None, seqs[-1])
        assert case.alerts == {}


def test_r13_says_how_many_and_where() -> None:
    case = Case("R13", transforaminal_levels=1, regions=1)
    case.says(None, "approach", **{**THROUGH, "levels": ["C7/T1", "L5/S1"]})
    assert case.alerts["R13-transforaminal"].text == "2 levels transforaminal, where 1 is the most."
    text = "2 regions in one session: cervical or thoracic, lumbar or sacral."
    assert case.alerts["R13-regions"].text == text


def test_r13_parameters_and_what_it_lacks() -> None:
    case = Case("R13", transforaminal_levels=3, other_levels=2, regions=2)
    case.says(None, "approach", **{**THROUGH, "levels": ["L3/4", "L4/5", "L5/S1"]})
    case.says(None, "approach", levels=["C6/7", "C7/T1"])
    assert case.alerts == {}
    assert Case("R13").lacking == {"R13": "approach and level are not recorded"}
