"""R1 time-out, R2 what is recorded before preparation ends, R14 side and level."""

from __future__ import annotations

from typing import Any

import pytest
from procedure_rig import Case

from esi_room.events import InstanceRef, Plan

# --- R1: time-out before the first image --------------------------------------------------------------------


def test_r1_the_first_image_before_any_time_out() -> None:
    case = Case("R1")
    first = case.image(206)
    case.is_raised("R1", "high", (first,), "no time-out is recorded")


def test_r1_a_time_out_before_the_first_image() -> None:
    case = Case("R1")
    case.says(150, "time_out")
    case.image(206)
    case.image(260)
    assert case.alerts == {}


@pytest.mark.parametrize(("happened_s", "raised"), [(206, []), (206.000001, ["R1"])])
def test_r1_at_the_very_moment_of_the_image_is_in_time(happened_s: float, raised: list[str]) -> None:
    case = Case("R1")
    case.image(206)
    case.says(214, "time_out", happened_s=happened_s)
    assert list(case.alerts) == raised


def test_r1_a_late_time_out_stays_a_deviation() -> None:
    case = Case("R1")
    first = case.image(206)
    late = case.says(214, "time_out")
    assert case.history == ["+R1"]
    case = Case("R1")
    case.says(200, "note")
    late = case.says(214, "time_out")
    first = case.image(230, happened_s=206)  # the C-arm sent it late
    case.is_raised("R1", "high", (first, late), "came after it")


def test_r1_what_was_written_down_late_clears_it() -> None:
    case = Case("R1")
    case.image(206)
    case.says(214, "time_out", happened_s=150)
    assert case.history == ["+R1", "-R1"]


def test_r1_withdrawn_corrected_and_raised_again() -> None:
    case = Case("R1")
    said = case.says(150, "time_out")
    first = case.image(206)
    case.withdraws(210, said)
    case.is_raised("R1", "high", (first,), "no time-out")
    again = case.says(220, "time_out", happened_s=190)
    assert case.history == ["+R1", "-R1"]
    case.corrects(230, again, identity=False)
    case.is_raised("R1~2", "high", (first, again), "did not agree on identity and procedure")
    case.corrects(240, again, identity=True)
    assert case.history == ["+R1", "-R1", "+R1~2", "-R1~2"]


@pytest.mark.parametrize("unsure", ["identity", "procedure"])
def test_r1_a_time_out_that_does_not_agree_is_none(unsure: str) -> None:
    case = Case("R1")
    said = case.says(150, "time_out", **{unsure: False})
    first = case.image(206)
    case.is_raised("R1", "high", (first, said), "did not agree")


def test_r1_the_earliest_image_counts_not_the_first_to_arrive() -> None:
    case = Case("R1")
    case.says(150, "time_out")
    case.image(206)
    assert case.alerts == {}
    first = case.image(300, happened_s=120)
    assert case.alerts["R1"].facts[0] == first


@pytest.mark.parametrize(
    "fields",
    [
        {"rows": None},
        {"duplicate_of": InstanceRef(record="r", seq=3)},
        {"taken_in": "20251231T000000Z-0000"},
        {"identity": "mismatch"},
    ],
    ids=["no pixels", "sent again", "of another procedure", "of another patient"],
)
def test_r1_what_is_no_image_of_this_procedure_is_none(fields: dict[str, Any]) -> None:
    case = Case("R1")
    case.image(206, **fields)
    assert case.alerts == {}
    assert case.lacking == {"R1": "no image was received"}


# --- R2: consent, allergies, anticoagulants before preparation ends -----------------------------------------

DUE = {"consent": "consent", "allergies": "allergies", "anticoagulants": "the decision on anticoagulants"}


def prepared(*without: str) -> Case:
    case = Case("R2")
    case.goes_on_until("preparation")
    for name in DUE:
        if name not in without:
            case.says(None, name)
    return case


def test_r2_all_recorded() -> None:
    case = prepared()
    assert case.lacking == {"R2": "the phase after preparation was never entered"}
    case.enters(200, "guidance")
    assert (case.alerts, case.lacking) == ({}, {})


@pytest.mark.parametrize("name", DUE)
def test_r2_one_is_missing(name: str) -> None:
    case = prepared(name)
    left = case.enters(200, "guidance")
    case.is_raised("R2", "high", (left,), f"when preparation ended: {DUE[name]}.")
    case.says(205, name)
    assert list(case.alerts) == ["R2"], "afterwards is too late"
    case.says(210, name, happened_s=200)
    assert case.history == ["+R2", "-R2"], "at the very moment was in time, and is only written down late"


def test_r2_all_are_missing() -> None:
    case = prepared(*DUE)
    left = case.enters(200, "guidance")
    case.is_raised("R2", "high", (left,), "consent, allergies, the decision on anticoagulants")


def test_r2_a_consent_that_is_refused_or_taken_back_is_none() -> None:
    case = prepared("consent")
    case.says(90, "consent", given=False)
    case.enters(200, "guidance")
    assert list(case.alerts) == ["R2"]
    case = prepared()
    case.says(90, "consent", given=False)  # the patient has thought about it
    case.enters(200, "guidance")
    assert list(case.alerts) == ["R2"]
    case.says(210, "consent", happened_s=150)
    assert case.history == ["+R2", "-R2"]


def test_r2_withdrawn_and_said_again() -> None:
    case = prepared("allergies")
    said = case.says(100, "allergies")
    case.enters(200, "guidance")
    case.withdraws(210, said)
    again = case.says(220, "allergies", happened_s=100)
    case.withdraws(230, again)
    assert case.history == ["+R2", "-R2", "+R2~2"]


def test_r2_skipping_guidance_ends_preparation_too() -> None:
    case = prepared("consent")
    left = case.enters(200, "injection")
    case.is_raised("R2", "high", (left,))


def test_r2_going_back_does_not_end_preparation_anew() -> None:
    case = prepared()
    case.enters(200, "guidance")
    case.enters(210, "preparation", reason="drape slipped")
    case.enters(220, "guidance")
    assert case.alerts == {}


def test_r2_a_devices_hint_ends_preparation_as_well() -> None:
    case = prepared("consent")
    left = case.enters(200, "guidance", origin="carm", fact=1)
    case.is_raised("R2", "high", (left,))


# --- R14: side and level of order, time-out and injection agree ---------------------------------------------


def test_r14_all_agree() -> None:
    case = Case("R14")
    case.says(150, "time_out")
    case.says(220, "approach")
    case.says(252, "needle", level="L4/5", side="left")
    case.pump_starts(280)
    case.says(300, "needle", action="removed", level="L4/5", side="right")  # it cannot go wrong any more
    assert (case.alerts, case.lacking) == ({}, {})


def test_r14_the_time_out_is_not_the_order() -> None:
    case = Case("R14")
    said = case.says(150, "time_out", side="right", levels=["L5/S1"])
    case.is_raised("R14-time_out", "critical", (1, said), "side right, not left", "level L5/S1, not L4/5")
    case.says(180, "time_out")
    assert case.history == ["+R14-time_out", "-R14-time_out"], "read again, and rightly"
    case.says(190, "time_out", levels=["L4/5", "L5/S1"])
    case.is_raised("R14-time_out~2", "critical", (1, case.seq - 1), "L4/5 L5/S1, not L4/5")


@pytest.mark.parametrize("form", ["approach", "needle"])
def test_r14_the_needle_is_not_where_the_time_out_says(form: str) -> None:
    where: dict[str, Any] = {"levels": ["L4/5"]} if form == "approach" else {"level": "L4/5"}
    case = Case("R14")
    agreed = case.says(150, "time_out")
    wrong = case.says(220, form, side="right", **where)
    case.is_raised("R14-injection", "critical", (agreed, wrong), "differs from the time-out", "side right, not left")
    case.corrects(230, wrong, side="left")
    assert case.history == ["+R14-injection", "-R14-injection"]


def test_r14_the_injection_says_where_it_goes_itself() -> None:
    case = Case("R14")
    agreed = case.says(150, "time_out")
    case.says(470, "hand_injection", drug="lidocaine", route="skin", side="right")
    assert case.alerts == {}
    wrong = case.says(480, "hand_injection", side="right", level="L4/5")
    case.is_raised("R14-injection", "critical", (agreed, wrong), "side right, not left")


def test_r14_without_a_time_out_the_order_counts() -> None:
    case = Case("R14")
    wrong = case.says(252, "needle", level="L5/S1")
    case.is_raised("R14-injection", "critical", (1, wrong), "differs from the order", "level L5/S1, not L4/5")
    case.withdraws(260, wrong)
    assert case.alerts == {}


@pytest.mark.parametrize(
    ("agreed", "taken", "differs"),
    [
        ("left", "left", False),
        ("left", "right", True),
        ("right", "left", True),
        ("left", "both", True),
        ("both", "left", False),
        ("both", "right", False),
        ("both", "both", False),
        ("left", "midline", False),  # interlaminar, in the midline, for pain on the left: no wrong side
        ("midline", "left", False),  # caudal or paramedian
        ("left", None, False),
    ],
)
def test_r14_which_side_is_another(agreed: str, taken: str | None, differs: bool) -> None:
    case = Case("R14", plan=Plan(levels=("L4/5",)))
    case.says(150, "time_out", side=agreed)
    case.says(252, "needle", level="L4/5", side=taken)
    assert bool(case.alerts) == differs


def test_r14_one_of_two_levels_agreed_is_no_difference() -> None:
    plan = Plan(approach="transforaminal", side="both", levels=("L4/5", "L5/S1"))
    case = Case("R14", plan=plan)
    said = {"approach": "transforaminal", "side": "both", "levels": ["L5/S1", "L4/5"]}
    case.says(150, "time_out", **said)
    case.says(220, "approach", **said)
    for side in ("left", "right"):
        for level in ("L4/5", "L5/S1"):
            case.says(None, "needle", kind="quincke", level=level, side=side)
    assert case.alerts == {}
    agreed = 2
    third = case.says(400, "needle", kind="quincke", level="L3/4", side="left")
    case.is_raised("R14-injection", "critical", (agreed, third), "level L3/4, not L4/5 L5/S1")


def test_r14_each_needle_is_held_against_the_time_out_before_it() -> None:
    """The second of two injections has a time-out of its own; the first was right by the first."""
    case = Case("R14", plan=None)
    case.says(150, "time_out", levels=["L4/5"])
    case.says(252, "needle", level="L4/5", side="left")
    case.says(500, "time_out", levels=["L3/4"])
    case.says(520, "needle", level="L3/4", side="left")
    assert case.alerts == {}
    case.says(600, "needle", level="L4/5", side="left", happened_s=500)
    assert "R14-injection" in case.alerts, "at the very moment of the second"


def test_r14_a_late_time_out_counts_for_the_needle_before_it() -> None:
    case = Case("R14", plan=None)
    needle = case.says(252, "needle", level="L4/5", side="right")
    aloud = case.says(300, "time_out")
    case.is_raised("R14-injection", "critical", (aloud, needle))


def test_r14_what_it_lacks() -> None:
    case = Case("R14", plan=None)
    assert case.lacking == {"R14": "neither the order nor a time-out says side and level"}
    case.says(150, "time_out")
    assert case.lacking == {"R14": "the order says neither side nor level"}
    case = Case("R14")
    case.says(150, "time_out")
    case.says(252, "needle")
    case.pump_starts(480)
    assert case.lacking == {"R14": "where the needle went is not recorded"}
    assert case.alerts == {}


def test_r14_an_order_that_says_only_one_of_them() -> None:
    case = Case("R14", plan=Plan(side="left"))
    case.says(150, "time_out", levels=["L3/4"])
    assert case.alerts == {}
    case = Case("R14", plan=Plan(levels=("L4/5",)))
    case.says(150, "time_out", side="right")
    assert case.alerts == {}
    case.says(160, "time_out", levels=["L3/4"])
    assert list(case.alerts) == ["R14-time_out"]
