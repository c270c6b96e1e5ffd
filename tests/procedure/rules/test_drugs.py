"""R4 and R5 particulate steroids, R8 contrast and allergy, R11 lidocaine, R12 sedation."""

from __future__ import annotations

from typing import Any

import pytest
from procedure_rig import DEXAMETHASONE, IOHEXOL, LIDOCAINE, SALINE, TRIAMCINOLONE, Case

from esi_room.events import Plan
from esi_room.procedure import rules

CERVICAL = {"approach": "transforaminal", "side": "right", "levels": ["C5/6"]}
LUMBAR = {"approach": "transforaminal", "side": "left", "levels": ["L5/S1"]}
BETAMETHASONE = {"drug": "betamethasone", "volume_ml": 1, "concentration": 4, "concentration_unit": "mg/mL"}

# --- R4: no particulate steroid with a cervical transforaminal injection -------------------------------------


def cervical(*components: dict[str, Any], plan: Plan | None = None) -> tuple[Case, int]:
    case = Case("R4", plan=plan)
    return case, case.says(100, "drawn_up", components=list(components))


@pytest.mark.parametrize("drug", ["methylprednisolone", "triamcinolone", "betamethasone"])
def test_r4_a_suspension(drug: str) -> None:
    case, drawn = cervical({"drug": drug, "volume_ml": 1}, SALINE)
    taken = case.says(220, "approach", **CERVICAL)
    case.is_raised("R4", "critical", (taken, drawn), f"{drug} is particulate", "cervical transforaminal")


@pytest.mark.parametrize("component", [DEXAMETHASONE, {**BETAMETHASONE, "particulate": False}])
def test_r4_a_solution(component: dict[str, Any]) -> None:
    case, _ = cervical(component, SALINE)
    case.says(220, "approach", **CERVICAL)
    assert (case.alerts, case.lacking) == ({}, {})


@pytest.mark.parametrize(
    "elsewhere",
    [LUMBAR, {"approach": "interlaminar", "side": "right", "levels": ["C7/T1"]}, {**CERVICAL, "levels": ["T1/2"]}],
    ids=["lumbar", "interlaminar", "thoracic"],
)
def test_r4_elsewhere_it_may_be(elsewhere: dict[str, Any]) -> None:
    case, _ = cervical(TRIAMCINOLONE)
    case.says(220, "approach", **elsewhere)
    assert (case.alerts, case.lacking) == ({}, {})


def test_r4_it_speaks_as_soon_as_the_syringe_is_filled_by_the_order_or_the_time_out() -> None:
    plan = Plan(approach="transforaminal", side="right", levels=("C5/6",))
    case, drawn = cervical(TRIAMCINOLONE, plan=plan)
    case.is_raised("R4", "critical", (1, drawn))
    case, drawn = cervical(TRIAMCINOLONE)
    aloud = case.says(150, "time_out", **CERVICAL)
    case.is_raised("R4", "critical", (aloud, drawn))


def test_r4_the_syringe_is_thrown_away_whole_and_another_filled() -> None:
    case, _ = cervical(TRIAMCINOLONE, SALINE)
    case.says(220, "approach", **CERVICAL)
    case.says(230, "drug_discarded", volume_ml=4.5)
    assert list(case.alerts) == ["R4"], "half a millilitre is left of it"
    case.says(240, "drug_discarded", volume_ml=0.5)
    case.says(250, "drawn_up", syringe="B", components=[DEXAMETHASONE])
    assert case.history == ["+R4", "-R4"]
    case.says(260, "drawn_up", syringe="C", components=[BETAMETHASONE])
    case.is_raised("R4~2", "critical", (3, case.seq - 1), "betamethasone")


@pytest.mark.parametrize(("discarded_ml", "raised"), [(4.79, True), (4.8, False), (5.2, False)])
def test_r4_thrown_away_whole_as_far_as_its_scale_can_show(discarded_ml: float, raised: bool) -> None:
    case, _ = cervical(TRIAMCINOLONE, SALINE)
    case.says(220, "approach", **CERVICAL)
    case.says(230, "drug_discarded", volume_ml=discarded_ml)
    assert bool(case.alerts) == raised


def test_r4_corrected() -> None:
    case, drawn = cervical(TRIAMCINOLONE)
    taken = case.says(220, "approach", **CERVICAL)
    case.corrects(230, drawn, components=[{**TRIAMCINOLONE, "drug": "dexamethasone"}])
    case.corrects(240, drawn, components=[TRIAMCINOLONE])
    case.corrects(250, taken, levels=["L4/5"])
    assert case.history == ["+R4", "-R4", "+R4~2", "-R4~2"]


def test_r4_going_on_at_another_level_does_not_undo_it() -> None:
    case, drawn = cervical(TRIAMCINOLONE)
    taken = case.says(220, "approach", **CERVICAL)
    case.says(500, "approach", approach="interlaminar", side="right", levels=["C7/T1"])
    case.is_raised("R4", "critical", (taken, drawn))


def test_r4_given_epidurally_without_a_syringe() -> None:
    case = Case("R4")
    taken = case.says(220, "approach", **CERVICAL)
    given = case.says(480, "drug_given", route="epidural", component=TRIAMCINOLONE)
    case.is_raised("R4", "critical", (taken, given))
    case = Case("R4")
    case.says(220, "approach", **CERVICAL)
    case.says(480, "drug_given", route="intramuscular", component=TRIAMCINOLONE)
    assert case.alerts == {}


def test_r4_what_it_lacks() -> None:
    case = Case("R4", plan=None)
    assert case.lacking == {"R4": "approach and level are not recorded"}
    case = Case("R4", plan=Plan(approach="transforaminal"))
    case.says(100, "drawn_up", components=[TRIAMCINOLONE])
    assert case.lacking == {"R4": "approach and level are not recorded"}, "a level is what it needs"
    case = Case("R4", plan=Plan(approach="caudal"))
    assert case.lacking == {}
    case = Case("R4")
    case.says(220, "approach", **CERVICAL)
    assert case.lacking == {"R4": "no steroid is recorded"}


# --- R5: the first lumbar transforaminal injection with a solution --------------------------------------------


def lumbar(component: dict[str, Any], **earlier: Any) -> tuple[Case, tuple[int, int, int]]:
    case = Case("R5")
    asked = case.says(36, "earlier_injections", **earlier) if earlier else 0
    drawn = case.says(100, "drawn_up", components=[component])
    return case, (case.says(220, "approach", **LUMBAR), drawn, asked)


def test_r5_a_suspension_first() -> None:
    case, facts = lumbar(TRIAMCINOLONE, ever=False)
    case.is_raised("R5", "medium", facts, "triamcinolone is particulate", "first lumbar")
    case.corrects(230, facts[2], ever=True, last_date="2024-05-01")
    assert case.history == ["+R5", "-R5"]
    case.corrects(240, facts[2], ever=False, last_date=None)
    assert case.history[-1] == "+R5~2"


@pytest.mark.parametrize(
    "earlier",
    [
        {"sessions_12_months": 1, "ever": None},
        {"ever": True},
        {"ever": None, "last_date": "2019-05-01"},
        {"ever": None, "relief_pct": 60},
        {"ever": None, "last_levels": ["L4/5"]},
    ],
)
def test_r5_it_is_not_the_first(earlier: dict[str, Any]) -> None:
    case, _ = lumbar(TRIAMCINOLONE, **earlier)
    assert (case.alerts, case.lacking) == ({}, {})


def test_r5_a_solution_first() -> None:
    case, _ = lumbar(DEXAMETHASONE, ever=False)
    assert (case.alerts, case.lacking) == ({}, {})
    case, _ = lumbar(DEXAMETHASONE)
    assert case.lacking == {}, "whether it was the first does not matter then"


def test_r5_what_it_lacks() -> None:
    case, _ = lumbar(TRIAMCINOLONE)
    assert case.lacking == {"R5": "it is not recorded whether there were injections before"}
    assert Case("R5", plan=None).lacking == {"R5": "approach and level are not recorded"}
    assert Case("R5", plan=Plan(approach="transforaminal", levels=("L5/S1",))).lacking == {
        "R5": "no steroid is recorded"
    }
    assert Case("R5").lacking == {}, "interlaminar: it does not apply"


# --- R8: contrast allergy; contrast left out without a reason -------------------------------------------------

ALLERGIC = {"none": False, "known": [{"substance": "contrast", "reaction": "severe"}]}


def test_r8_contrast_in_spite_of_an_allergy() -> None:
    case = Case("R8")
    told = case.says(54, "allergies", **ALLERGIC)
    given = case.says(460, "contrast")
    case.is_raised("R8-given", "critical", (told, given), "known allergy")
    case.corrects(470, told, known=[{"substance": "iodine"}])
    assert case.history == ["+R8-given", "-R8-given"], "iodine on the skin is no contrast"


@pytest.mark.parametrize("how", ["drug given", "hand", "hand, by syringe", "pump"])
def test_r8_however_the_contrast_is_written_down(how: str) -> None:
    case = Case("R8")
    told = case.says(54, "allergies", **ALLERGIC)
    case.says(100, "drawn_up", syringe="C", pump="pump-1", components=[IOHEXOL])
    assert case.alerts == {}, "it is not in the patient yet"
    match how:
        case "drug given":
            given = case.says(460, "drug_given", route="epidural", component=IOHEXOL)
        case "hand":
            given = case.says(460, "hand_injection", drug="iohexol")
        case "hand, by syringe":
            given = case.says(460, "hand_injection", syringe="C")
        case _:
            given = case.pump_starts(460)
    case.is_raised("R8-given", "critical", (told, given))


def test_r8_gadolinium_for_who_does_not_tolerate_iodinated_contrast() -> None:
    case = Case("R8")
    case.says(54, "allergies", **ALLERGIC)
    gadolinium = {"drug": "gadolinium_chelate", "volume_ml": 2, "concentration": 0.5, "concentration_unit": "mmol/mL"}
    case.says(460, "contrast", component=gadolinium)
    case.pump_starts(480)
    assert case.alerts == {}
    case.says(490, "contrast")
    assert list(case.alerts) == ["R8-given"]


def test_r8_an_allergy_that_is_told_of_too_late_is_an_alert_all_the_same() -> None:
    case = Case("R8")
    case.says(54, "allergies")
    given = case.says(460, "contrast")
    told = case.says(470, "allergies", **ALLERGIC)
    case.is_raised("R8-given", "critical", (told, given))


def test_r8_of_several_the_last_word_on_allergies_and_the_first_contrast() -> None:
    case = Case("R8")
    case.says(54, "allergies", **ALLERGIC)
    told = case.says(60, "allergies", **ALLERGIC)
    first = case.says(460, "contrast")
    case.is_raised("R8-given", "critical", (told, first))
    case.says(470, "contrast")
    case.says(480, "allergies", **ALLERGIC)
    assert case.history == ["+R8-given"]
    said = rules.RULES["R8"].judge(case.facts, case.book.in_force["R8"]).findings
    assert said[0].facts == (case.seq, first)


@pytest.mark.parametrize("injection", ["pump", "hand", "given"])
def test_r8_no_contrast_and_no_reason(injection: str) -> None:
    case = Case("R8")
    case.says(54, "allergies")
    match injection:
        case "pump":
            start = case.pump_starts(480)
        case "hand":
            start = case.says(480, "hand_injection")
        case _:
            start = case.says(480, "drug_given", route="epidural", component=DEXAMETHASONE)
    case.is_raised("R8-reason", "low", (start,), "without contrast", "no reason")
    case.says(490, "contrast", given=False, imaging=None, spread=[], component=None, reason="allergy")
    assert case.history == ["+R8-reason", "-R8-reason"]


def test_r8_left_out_without_saying_why() -> None:
    case = Case("R8")
    case.says(54, "allergies")
    left_out = case.says(460, "contrast", given=False, imaging=None, spread=[], component=None)
    start = case.pump_starts(480)
    case.is_raised("R8-reason", "low", (start,))
    case.corrects(490, left_out, reason="renal failure")
    assert case.alerts == {}


def test_r8_contrast_written_down_late_or_in_another_way_needs_no_reason() -> None:
    case = Case("R8")
    case.says(54, "allergies")
    case.pump_starts(480)
    case.says(490, "contrast")
    assert case.history == ["+R8-reason", "-R8-reason"]
    case = Case("R8")
    case.says(54, "allergies")
    case.says(460, "hand_injection", drug="iohexol")
    case.pump_starts(480)
    assert case.alerts == {}


def test_r8_its_own_severity_where_the_reason_is_missing() -> None:
    case = Case("R8", reason_severity="medium")
    start = case.pump_starts(480)
    case.is_raised("R8-reason", "medium", (start,))
    assert case.lacking == {"R8": "allergies are not recorded"}


# --- R11: lidocaine, all routes ---------------------------------------------------------------------------------


def test_r11_the_limit_itself_is_kept() -> None:
    """4.5 mg/kg of 60 kg: 270 mg. By 1 % in 9 mL thrice."""
    case = Case("R11")
    case.says(48, "assessment", weight_kg=60)
    for at_s in (225, 240, 260):
        case.says(at_s, "drug_given", component={**LIDOCAINE, "volume_ml": 9})
    assert (case.alerts, case.lacking) == ({}, {})
    case.says(270, "drug_given", component={**LIDOCAINE, "volume_ml": 0.1})
    case.is_raised("R11", "high", (2, 3, 4, 5, 6), "271 mg", "4.52 mg/kg", "more than 4.5 mg/kg")


@pytest.mark.parametrize("weight_kg", [41.0, 57.3, 61.0, 70.1, 83.9])
def test_r11_the_limit_itself_is_kept_whatever_binary_fractions_do(weight_kg: float) -> None:
    case = Case("R11")
    case.says(48, "assessment", weight_kg=weight_kg)
    component = {"drug": "lidocaine", "volume_ml": 10, "dose": 4.5 * weight_kg / 3, "dose_unit": "mg"}
    for _ in range(3):
        case.says(None, "drug_given", component=component)
    assert case.alerts == {}


def test_r11_all_routes_are_summed() -> None:
    """100 mg in the skin, 100 mg of a syringe half delivered, 100 mg by vein: 250 mg for 50 kg."""
    case = Case("R11")
    weight = case.says(48, "assessment", weight_kg=50)
    drawn = {"drug": "lidocaine", "volume_ml": 5, "concentration": 2, "concentration_unit": "%"}
    case.says(100, "drawn_up", components=[drawn, {**SALINE, "volume_ml": 5}])
    assert case.alerts == {}, "what is drawn up is not in the patient"
    skin = case.says(225, "drug_given", component=drawn)
    vein = case.says(
        230,
        "drug_given",
        route="intravenous",
        component={**drawn, "concentration": 20000, "concentration_unit": "ug/mL"},
    )
    delivered = case.delivered(540, 5.0)
    case.is_raised("R11", "high", (weight, skin, vein, delivered), "250 mg", "5 mg/kg")


def test_r11_no_more_leaves_a_syringe_than_was_in_it() -> None:
    case = Case("R11")
    case.says(48, "assessment", weight_kg=50)
    drawn = {"drug": "lidocaine", "volume_ml": 5, "concentration": 2, "concentration_unit": "%"}
    case.says(100, "drawn_up", components=[drawn])
    case.delivered(540, 50.0)
    assert case.alerts == {}


def test_r11_two_syringes() -> None:
    case = Case("R11")
    weight = case.says(48, "assessment", weight_kg=50)
    strong = {"drug": "lidocaine", "volume_ml": 5, "concentration": 4, "concentration_unit": "%"}
    case.says(100, "drawn_up", syringe="A", components=[strong])
    case.says(110, "drawn_up", syringe="B", components=[DEXAMETHASONE, strong])
    first = case.delivered(540, 2.5, "A")
    second = case.delivered(600, 6.0, "B")
    case.is_raised("R11", "high", (weight, first, second), "300 mg", "6 mg/kg")


def test_r11_by_hand_what_the_end_mark_says_counts_as_it_was_corrected() -> None:
    case = Case("R11")
    case.says(48, "assessment", weight_kg=50)
    strong = {"drug": "lidocaine", "volume_ml": 10, "concentration": 4, "concentration_unit": "%"}
    case.says(100, "drawn_up", components=[strong])
    begin = case.says(480, "hand_injection")
    end = case.says(540, "hand_injection", state="end", volume_ml=2.5)
    delivered = case.delivered(541, 2.5, origin="hand", device=None, facts=(begin, end))
    assert case.alerts == {}
    case.corrects(550, end, volume_ml=7.5)
    case.is_raised("R11", "high", (2, delivered), "300 mg")


def test_r11_a_correction_of_dose_or_weight() -> None:
    case = Case("R11")
    weight = case.says(48, "assessment", weight_kg=41)
    given = case.says(225, "drug_given", component={**LIDOCAINE, "volume_ml": 20})
    case.is_raised("R11", "high", (weight, given), "200 mg", "4.88 mg/kg")
    case.corrects(230, weight, weight_kg=71)
    case.corrects(240, weight, weight_kg=41)
    case.corrects(250, given, component={**LIDOCAINE, "volume_ml": 2})
    assert case.history == ["+R11", "-R11", "+R11~2", "-R11~2"]


def test_r11_the_limit_is_a_parameter() -> None:
    case = Case("R11", max_mg_per_kg=7.0)
    case.says(48, "assessment", weight_kg=41)
    case.says(225, "drug_given", component={**LIDOCAINE, "volume_ml": 20})
    assert case.alerts == {}


def test_r11_what_it_lacks() -> None:
    case = Case("R11")
    assert case.lacking == {}, "no lidocaine, nothing to sum"
    given = case.says(225, "drug_given", component={**LIDOCAINE, "volume_ml": 20})
    assert case.lacking == {"R11": "lidocaine was given, and the patient's weight is not recorded"}
    case.says(230, "assessment", diabetes="no", weight_kg=None)
    case.says(240, "assessment", weight_kg=60)
    assert (case.alerts, case.lacking) == ({}, {})
    unknown = {"R11": "lidocaine was given, and its concentration or volume is not recorded"}
    case.says(250, "drug_given", component={"drug": "lidocaine", "volume_ml": 2})
    assert case.lacking == unknown
    case.corrects(260, given, component={**LIDOCAINE, "volume_ml": 30})
    assert list(case.alerts) == ["R11"], "what is known is too much already"
    assert case.lacking == unknown


@pytest.mark.parametrize(
    ("ml", "syringe", "drugs"),
    [(None, "A", ("lidocaine",)), (3.0, None, ("lidocaine",)), (3.0, "Z", ("lidocaine",))],
    ids=["unknown volume", "by hand, no syringe named", "a syringe nobody drew up"],
)
def test_r11_a_delivery_of_which_the_dose_cannot_be_known(
    ml: float | None, syringe: str | None, drugs: tuple[str, ...]
) -> None:
    case = Case("R11")
    case.says(48, "assessment", weight_kg=60)
    case.says(100, "drawn_up", syringe="A", components=[LIDOCAINE])
    case.delivered(540, ml, syringe, drugs=drugs)
    assert case.lacking == {"R11": "lidocaine was given, and its concentration or volume is not recorded"}


# --- R12: sedation in a cervical procedure ----------------------------------------------------------------------


@pytest.mark.parametrize("level", ["moderate", "deep", "general_anaesthesia"])
@pytest.mark.parametrize("approach", ["interlaminar", "transforaminal"])
def test_r12_deep_and_cervical(level: str, approach: str) -> None:
    case = Case("R12")
    sedated = case.says(96, "sedation", level=level)
    taken = case.says(220, "approach", approach=approach, side="right", levels=["C7/T1"])
    case.is_raised("R12", "medium", (taken, sedated), level.replace("_", " ").capitalize(), "cervical")
    case.corrects(230, sedated, level="minimal")
    assert case.history == ["+R12", "-R12"]


@pytest.mark.parametrize(
    ("level", "where"), [("minimal", "C7/T1"), ("none", "C5/6"), ("deep", "T1/2"), ("deep", "L4/5")]
)
def test_r12_light_or_elsewhere(level: str, where: str) -> None:
    case = Case("R12")
    case.says(96, "sedation", level=level)
    case.says(220, "approach", levels=[where])
    assert (case.alerts, case.lacking) == ({}, {})


def test_r12_deep_at_some_time_is_deep_and_the_first_time_is_named() -> None:
    case = Case("R12", plan=None)
    deep = case.says(96, "sedation", level="deep")
    case.says(200, "sedation", level="moderate")
    case.says(300, "sedation", level="minimal")
    taken = case.says(310, "approach", levels=["C7/T1"])
    case.is_raised("R12", "medium", (taken, deep), "Deep sedation")
    case = Case("R12", plan=Plan(levels=("C7/T1",)))
    deep = case.says(96, "sedation", level="deep")
    case.is_raised("R12", "medium", (1, deep))


def test_r12_what_it_lacks() -> None:
    assert Case("R12").lacking == {"R12": "sedation is not recorded"}
    for plan in (None, Plan(approach="interlaminar")):
        case = Case("R12", plan=plan)
        case.says(96, "sedation", level="deep")
        assert case.lacking == {"R12": "the level is not recorded"}
        assert case.alerts == {}
