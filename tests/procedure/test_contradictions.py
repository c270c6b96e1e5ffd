"""What cannot be said because of what was said before; and that what is unwise, late or missing can."""

from __future__ import annotations

from typing import Any

import pytest
from procedure_rig import DEXAMETHASONE, LIDOCAINE, SALINE, Case, form

from esi_room.events import FORMS
from esi_room.procedure.contradictions import why_not


def refused(case: Case, name: str, **fields: Any) -> str | None:
    return why_not(form(name, **fields), case.facts)


def correction(case: Case, seq: int, fields: dict[str, Any] | None = None, *, withdrawn: bool = False) -> str | None:
    asked = FORMS["correction"](actor="Dr. A", seq=seq, reason="slip", fields=fields or {}, withdrawn=withdrawn)
    return why_not(asked, case.facts)


# --- corrections ---------------------------------------------------------------------------------------------------


def test_a_correction_of_what_is_there() -> None:
    case = Case()
    said = case.says(40, "pain", occasion="baseline", score=7)
    assert correction(case, said, {"score": 6}) is None
    assert correction(case, said, withdrawn=True) is None


@pytest.mark.parametrize("seq", [0, 1, 99])
def test_a_correction_of_what_is_no_form(seq: int) -> None:
    case = Case()  # entry 1 is procedure.started
    words = f"entry {seq} is no form of this record, or was withdrawn: name the seq of what is to be corrected"
    assert correction(case, seq, {"score": 6}) == words


def test_a_correction_of_what_was_withdrawn() -> None:
    case = Case()
    said = case.says(40, "pain")
    case.withdraws(50, said)
    assert "was withdrawn" in (correction(case, said, {"score": 6}) or "")
    assert "was withdrawn" in (correction(case, said, withdrawn=True) or "")


def test_a_correction_of_a_correction_names_what_that_corrects() -> None:
    case = Case()
    said = case.says(40, "pain", score=7)
    first = case.corrects(50, said, score=6)
    assert (
        correction(case, first, {"score": 5}) == f"entry {first} is a correction itself: name what it corrects, {said}"
    )
    assert correction(case, said, {"score": 5}) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"score": 11}, "a number from 0 to 10"),
        ({"score": "7"}, "score does not fit: a number"),
        ({"score": None}, "score is missing"),
        ({"scor": 7}, "scor cannot be corrected: its fields are occasion, score, scale, relief_pct"),
        ({"actor": "Dr. B"}, "actor cannot be corrected"),
        ({"occasion": "baseline", "relief_pct": 50}, "relief_pct is asked for afterwards"),
    ],
)
def test_a_correction_that_makes_a_form_that_does_not_hold(fields: dict[str, Any], words: str) -> None:
    case = Case()
    said = case.says(700, "pain")
    assert words in (correction(case, said, fields) or "")


def test_a_correction_that_gives_a_syringe_the_name_of_another() -> None:
    case = Case()
    first = case.says(100, "drawn_up", syringe="A")
    second = case.says(110, "drawn_up", syringe="B")
    assert "syringe A was drawn up already (entry 2)" in (correction(case, second, {"syringe": "A"}) or "")
    assert correction(case, second, {"syringe": "C"}) is None
    assert correction(case, first, {"components": [DEXAMETHASONE]}) is None


# --- syringes ------------------------------------------------------------------------------------------------------


def test_a_syringe_is_drawn_up_once() -> None:
    case = Case()
    said = case.says(100, "drawn_up", syringe="A")
    assert refused(case, "drawn_up", syringe="A") == (
        f"syringe A was drawn up already (entry {said}): correct that, or give this one another name"
    )
    assert refused(case, "drawn_up", syringe="B") is None
    case.withdraws(110, said)
    assert refused(case, "drawn_up", syringe="A") is None


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("drug_discarded", {}),
        ("drug_given", {"component": LIDOCAINE}),
        ("hand_injection", {}),
    ],
)
def test_out_of_a_syringe_that_nobody_drew_up(name: str, fields: dict[str, Any]) -> None:
    case = Case()
    assert refused(case, name, syringe="B", **fields) == "there is no syringe B: none was drawn up"
    case.says(100, "drawn_up", syringe="A")
    case.says(110, "drawn_up", syringe="C", components=[SALINE])
    assert refused(case, name, syringe="B", **fields) == "there is no syringe B: there are A, C"
    assert refused(case, name, syringe="C", **fields) is None


def test_a_drug_out_of_no_syringe_is_nobodys_contradiction() -> None:
    assert refused(Case(), "drug_given", component=LIDOCAINE) is None
    assert refused(Case(), "hand_injection") is None


# --- injections by hand --------------------------------------------------------------------------------------------


def test_two_marks_make_an_injection() -> None:
    case = Case()
    assert "no injection by hand is under way" in (refused(case, "hand_injection", state="end", volume_ml=3) or "")
    begun = case.says(480, "hand_injection")
    assert f"under way since entry {begun}" in (refused(case, "hand_injection") or "")
    assert refused(case, "hand_injection", state="end", volume_ml=3) is None
    case.says(540, "hand_injection", state="end", volume_ml=3)
    assert refused(case, "hand_injection") is None
    assert refused(case, "hand_injection", state="end", volume_ml=3) is not None


def test_it_ends_with_the_syringe_it_began_with() -> None:
    case = Case()
    case.says(100, "drawn_up", syringe="A")
    case.says(110, "drawn_up", syringe="B")
    begun = case.says(480, "hand_injection", syringe="A")
    said = refused(case, "hand_injection", state="end", syringe="B", volume_ml=3)
    assert said == f"the injection since entry {begun} is from syringe A, not B"
    assert refused(case, "hand_injection", state="end", syringe="A", volume_ml=3) is None
    assert refused(case, "hand_injection", state="end", volume_ml=3) is None, "there is but one that it can be"


def test_marks_of_an_injection_that_was_forgotten_before_another() -> None:
    """The second was marked as it happened, the first is written down afterwards."""
    case = Case()
    case.says(600, "hand_injection")
    case.says(660, "hand_injection", state="end", volume_ml=1.5)
    case.says(700, "hand_injection", happened_s=480)
    assert refused(case, "hand_injection", state="end", volume_ml=1.5) is None


def test_a_beginning_that_was_withdrawn_is_not_under_way() -> None:
    case = Case()
    begun = case.says(480, "hand_injection")
    case.withdraws(490, begun)
    assert refused(case, "hand_injection") is None
    assert refused(case, "hand_injection", state="end", volume_ml=3) is not None


# --- needles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["repositioned", "removed"])
def test_a_needle_that_is_not_in_place(action: str) -> None:
    case = Case()
    words = f"no needle is in place that could be {action}: say first that one was placed"
    assert refused(case, "needle", action=action) == words
    case.says(252, "needle")
    assert refused(case, "needle", action=action) is None
    case.says(600, "needle", action="removed")
    assert refused(case, "needle", action=action) == words


def test_two_needles_are_placed_moved_and_taken_out_one_by_one() -> None:
    case = Case()
    for at_s, level in ((252, "L4/5"), (260, "L5/S1")):
        case.says(at_s, "needle", level=level)
    case.says(600, "needle", action="removed", level="L4/5")
    assert refused(case, "needle", action="repositioned", level="L5/S1") is None
    assert refused(case, "needle", action="removed", level="L5/S1") is None
    case.says(610, "needle", action="removed", level="L5/S1")
    assert refused(case, "needle", action="removed") is not None


# --- no contradictions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"correction", "follow_up"}))
def test_what_is_unwise_late_or_missing_is_no_contradiction(name: str) -> None:
    """Of an empty record everything may be said, but what comes out of nothing."""
    refusal = refused(Case(), name)
    assert (refusal is not None) == (name == "drug_discarded"), refusal


@pytest.mark.parametrize(
    "name", ["time_out", "consent", "pain", "discharge", "approach", "sedation", "contrast", "padss"]
)
def test_it_may_be_said_again(name: str) -> None:
    case = Case()
    case.says(100, name)
    assert refused(case, name) is None
