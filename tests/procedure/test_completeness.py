"""What a record lacks at its end: nothing where all is said; each item where it is not; what does not apply is not
lacking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from procedure_rig import DEXAMETHASONE, IOHEXOL, LIDOCAINE, PHASES, SALINE, TRIAMCINOLONE, Case

from esi_room.events import Phase, Plan, ProcedureCompleteness, ProcedureEnded, ProcedureStarted
from esi_room.procedure.completeness import ITEMS, report

ASSESSED: dict[str, Any] = {
    "weight_kg": 72,
    "pregnant": "not_applicable",
    "infection": "no",
    "diabetes": "no",
    "nil_by_mouth_h": 6,
    "escort": "yes",
    "earlier_vasovagal": "no",
}
BY_FORM: dict[str, list[str]] = {
    "indication": ["evaluation.indication"],
    "prior_imaging": ["evaluation.prior_imaging"],
    "earlier_injections": ["evaluation.earlier_injections"],
    "allergies": ["evaluation.allergies"],
    "anticoagulants": ["evaluation.anticoagulants"],
    "consent": ["evaluation.consent"],
    "sign_in": ["preparation.sign_in", "preparation.site_marked"],
    "positioning": ["preparation.positioning"],
    "monitoring": ["preparation.monitoring"],
    "iv_access": ["preparation.iv_access"],
    "sedation": ["preparation.sedation"],
    "time_out": ["preparation.time_out"],
    "drug_given": ["preparation.skin_anaesthetic"],
    "approach": ["guidance.approach"],
    "needle": ["guidance.needle"],
    "loss_of_resistance": ["guidance.loss_of_resistance"],
    "aspiration": ["guidance.aspiration"],
    "contrast": ["guidance.contrast"],
    "drawn_up": ["injection.drugs", "injection.steroid"],
    "closure": ["injection.closure"],
    "sign_out": ["recovery.sign_out"],
    "motor_sensory": ["recovery.motor_sensory"],
    "padss": ["recovery.padss"],
    "instructions": ["recovery.instructions"],
    "discharge": ["recovery.discharge"],
    "follow_up_plan": ["follow_up.plan"],
    "sign_off": ["sign_off"],
}
BEFORE = ("indication", "prior_imaging", "earlier_injections", "allergies", "anticoagulants", "consent")
PREPARED = ("sign_in", "positioning", "monitoring", "iv_access", "sedation", "drawn_up", "time_out")
GUIDED = ("approach", "drug_given", "needle", "loss_of_resistance", "aspiration", "contrast")
AFTER = ("closure", "sign_out", "motor_sensory", "padss", "instructions", "follow_up_plan", "discharge", "sign_off")

Say = Callable[..., None]


class Nominal(Case):
    """An interlaminar injection in which all is said, `without` some of it (forms, or items), or said otherwise."""

    def __init__(self, *without: str, plan: Plan | None = None, **otherwise: dict[str, Any]) -> None:
        super().__init__(started=False)
        self.without, self.otherwise = without, otherwise
        plan = plan or Plan(approach="interlaminar", side="left", levels=("L4/5",))
        digest = None if "identity" in without else "0" * 64
        started = ProcedureStarted(
            procedure=None, origin="staff", identity_sha256=digest, plan=None if "plan" in without else plan
        )
        self.take(0, started)
        self.evaluate()
        self.inject()
        self.enter("recovery")
        self.may("pain", occasion="after", relief_pct=70)
        for name in AFTER:
            self.may(name)
        self.ends(900)

    def evaluate(self) -> None:
        self.enter("evaluation")
        for name in BEFORE:
            self.may(name)
        self.may("assessment", **ASSESSED)
        self.may("pain", "baseline", occasion="baseline")

    def inject(self) -> None:
        self.enter("preparation")
        for name in PREPARED:
            self.may(name, **({"site_marked": True} if name == "sign_in" else {}))
        self.enter("guidance")
        for name in GUIDED:
            self.may(name)
        if "images" not in self.without:
            self.image(None)
        if "dose" not in self.without:
            self.dose(None, fluoro_time_s=20, dap_gy_m2=0.0002, air_kerma_rp_gy=0.005)
        for projection in ("ap", "lateral"):
            self.may("view", projection=projection, contrast=True)
        self.enter("injection")
        if "start" not in self.without:
            self.pump_starts(None)
        self.may("injection_pressure")
        if "delivery" not in self.without:
            self.delivered(None, 4.0)
        self.may("drug_discarded")

    def enter(self, phase: Phase) -> None:
        signs = {"heart_rate_bpm": 70.0, "spo2_pct": 98.0, "nibp_systolic_mmhg": 130.0, "respiratory_rate_bpm": 14.0}
        self.vitals(PHASES[phase], **{name: value for name, value in signs.items() if name not in self.without})
        if phase not in self.without:
            self.enters(PHASES[phase], phase)

    def may(self, name: str, key: str | None = None, **fields: Any) -> None:
        if (key or name) not in self.without:
            self.says(None, name, **(fields | self.otherwise.get(key or name, {})))

    @property
    def report(self) -> ProcedureCompleteness:
        return report(self.facts, self.book)

    @property
    def lacks(self) -> list[str]:
        return [lack.item for lack in self.report.lacks]


def test_nothing_is_lacking_where_all_is_said() -> None:
    said = Nominal().report
    assert (said.lacks, said.complete) == ((), True)
    assert (said.deviations, said.not_assessable) == ((), {})
    (syringe,) = said.syringes
    assert (syringe.syringe, syringe.drawn_up_ml, syringe.delivered_ml, syringe.discarded_ml) == ("A", 5.0, 4.0, 1.0)
    assert (syringe.difference_ml, syringe.text) == (0.0, None)


def test_an_empty_record_lacks_everything_that_every_procedure_has() -> None:
    lacks = [lack.item for lack in report(Case(plan=None).facts, Case().book).lacks]
    asked_for_sometimes = {
        "evaluation.glucose",
        "recovery.relief",
        "recovery.vitals",
        "vitals.etco2",
        "guidance.loss_of_resistance",
        "guidance.dose",
        "injection.drugs",
        "injection.steroid",
        "injection.label",
        "recovery.pain_scale",
    }
    assert {item.code for item in ITEMS} - set(lacks) == asked_for_sometimes
    assert lacks[-5:] == [f"{phase}.phase" for phase in PHASES]


@pytest.mark.parametrize("name", BY_FORM)
def test_a_form_that_nobody_filled_in(name: str) -> None:
    case = Nominal(name, *(["drug_discarded"] if name == "drawn_up" else []))
    assert case.lacks == BY_FORM[name]
    assert not case.report.complete


@pytest.mark.parametrize(("name", "item"), [("identity", "evaluation.identity"), ("plan", "evaluation.plan")])
def test_who_and_what_was_ordered(name: str, item: str) -> None:
    assert Nominal(name).lacks == [item]


@pytest.mark.parametrize(
    "plan", [Plan(side="left"), Plan(approach="interlaminar", side="left"), Plan(levels=("L4/5",))]
)
def test_half_an_order(plan: Plan) -> None:
    assert Nominal(plan=plan).lacks == ["evaluation.plan"]


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("weight_kg", "weight"),
        ("pregnant", "pregnancy"),
        ("infection", "infection"),
        ("diabetes", "diabetes"),
        ("nil_by_mouth_h", "nil_by_mouth"),
        ("escort", "escort"),
        ("earlier_vasovagal", "vasovagal"),
    ],
)
def test_a_question_that_nobody_asked(field: str, item: str) -> None:
    assert Nominal(assessment={field: None}).lacks == [f"evaluation.{item}"]


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("heart_rate_bpm", "heart_rate"),
        ("spo2_pct", "spo2"),
        ("nibp_systolic_mmhg", "nibp"),
        ("respiratory_rate_bpm", "respiratory_rate"),
    ],
)
def test_a_vital_sign_that_nothing_told(name: str, item: str) -> None:
    said = Nominal(name).report
    assert [(lack.item, lack.phase) for lack in said.lacks] == [(f"vitals.{item}", None)]
    assert ("R10" in said.not_assessable) == (item != "respiratory_rate")


def test_vital_signs_go_on_in_recovery() -> None:
    case = Nominal("recovery")
    case.enters(None, "recovery")
    assert case.lacks == ["recovery.vitals"]
    case.vitals(None, "oximeter-1", pulse_rate_bpm=70)
    assert case.lacks == [], "what came in at the same moment counts"


def test_who_is_sedated_has_an_etco2() -> None:
    case = Nominal(sedation={"level": "moderate"})
    assert case.lacks == ["vitals.etco2"]
    case.vitals(None, etco2_pct=5.0)
    assert case.lacks == []


def test_who_has_diabetes_has_a_glucose() -> None:
    assert Nominal(assessment={"diabetes": "yes"}).lacks == ["evaluation.glucose"]
    assert Nominal(assessment={"diabetes": "yes", "glucose_mg_dl": 120}).lacks == []


def test_whether_the_site_is_marked_is_said_at_sign_in_or_time_out() -> None:
    assert Nominal(sign_in={"site_marked": None}).lacks == ["preparation.site_marked"]
    assert Nominal(sign_in={"site_marked": None}, time_out={"site_marked": False}).lacks == []


def test_relief_afterwards() -> None:
    assert Nominal(pain={"relief_pct": None}).lacks == ["recovery.relief"]


def test_the_skin_is_made_numb_by_a_drug_given_or_by_hand() -> None:
    case = Nominal("drug_given")
    case.says(None, "hand_injection", route="skin", drug="sodium_chloride")
    assert case.lacks == ["preparation.skin_anaesthetic"]
    case.says(None, "hand_injection", route="skin", drug="lidocaine")
    assert case.lacks == []


def test_contrast_by_hand_is_no_delivery_of_the_injectate() -> None:
    case = Nominal("delivery", "drug_discarded")
    case.delivered(None, 2.0, None, origin="hand", device=None, drugs=("iohexol",))
    assert case.lacks == ["injection.delivery"]


def test_pain_before_and_after_on_one_scale() -> None:
    assert Nominal("baseline").lacks == ["evaluation.pain"]
    assert Nominal("pain").lacks == ["recovery.pain"]
    assert Nominal(pain={"scale": "VAS"}).lacks == ["recovery.pain_scale"]


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_that_was_forgotten_is_named(phase: Phase) -> None:
    (lack,) = (lack for lack in Nominal(phase).report.lacks if lack.item.endswith(".phase"))
    assert (lack.item, lack.phase, lack.text) == (f"{phase}.phase", phase, f"the phase {phase} was never entered")


def test_images_and_dose() -> None:
    assert Nominal("dose").lacks == ["guidance.dose"]
    assert Nominal("images", "dose").lacks == ["guidance.images"], "of no image there is no dose"


def test_what_does_not_apply_is_not_lacking() -> None:
    through = {"approach": "transforaminal"}
    plan = Plan(approach="transforaminal", side="left", levels=("L4/5",))
    assert Nominal("loss_of_resistance", plan=plan, approach=through, time_out=through).lacks == []
    given_up = Nominal("drawn_up", "drug_discarded", "start", "delivery")
    assert given_up.lacks == ["injection.delivery"], "nothing was injected, so nothing had to be drawn up"


@pytest.mark.parametrize(
    ("component", "lacks"),
    [
        ({**DEXAMETHASONE, "lot": None}, ["injection.label"]),
        ({"drug": "dexamethasone", "volume_ml": 1, "lot": "D"}, ["injection.label"]),
        ({"drug": "dexamethasone", "volume_ml": 1, "lot": "D", "dose": 10, "dose_unit": "mg"}, []),
        ({**LIDOCAINE, "volume_ml": 1}, ["injection.steroid"]),
    ],
)
def test_the_steroid_its_dose_and_its_lot(component: dict[str, Any], lacks: list[str]) -> None:
    assert Nominal(drawn_up={"components": [component, SALINE]}).lacks == lacks


def test_a_steroid_thrown_away_whole_is_no_steroid_given() -> None:
    case = Nominal("drug_discarded", "delivery", drawn_up={"components": [TRIAMCINOLONE, SALINE]})
    case.says(None, "drug_discarded", volume_ml=5)
    assert case.lacks == ["injection.steroid", "injection.delivery"]


def test_given_up_before_the_injection_nothing_of_it_is_lacking() -> None:
    case = Nominal("drawn_up", "drug_discarded", "start", "delivery", "injection")
    assert case.lacks == ["injection.delivery", "injection.phase"]
    case.take(None, ProcedureEnded(outcome="discontinued", origin="staff"))
    assert case.lacks == []


def test_a_needle_told_without_its_size() -> None:
    assert Nominal(needle={"gauge_g": None}).lacks == ["guidance.needle"]


def test_a_drug_given_epidurally_is_a_delivery() -> None:
    case = Nominal("delivery", "start", "drawn_up", "drug_discarded")
    case.says(None, "drug_given", route="epidural", component=DEXAMETHASONE)
    assert case.lacks == ["injection.drugs"]


def test_deviations_are_all_that_were_raised() -> None:
    case = Nominal("time_out")
    case.says(None, "time_out", happened_s=100)
    assert case.report.deviations == ("R1",)
    assert case.report.complete, "it was written down late, and nothing is lacking now"


def test_what_was_withdrawn_is_lacking() -> None:
    case = Nominal("padss")
    case.withdraws(None, case.says(None, "padss"))
    assert case.lacks == ["recovery.padss"]


def test_items_have_codes_of_their_own_in_the_order_of_the_phases() -> None:
    codes = [item.code for item in ITEMS]
    assert len(set(codes)) == len(codes)
    assert {item.phase for item in ITEMS} == {*PHASES, "follow_up", None}
    phases = [item.phase for item in ITEMS if item.phase]
    assert phases == sorted(phases, key=[*PHASES, "follow_up"].index)
    assert all(item.text and not item.text.endswith(".") for item in ITEMS)


# --- syringes ------------------------------------------------------------------------------------------------------


def test_what_is_not_accounted_for_is_named_and_the_record_not_complete() -> None:
    said = Nominal("drug_discarded").report
    (syringe,) = said.syringes
    assert syringe.difference_ml == 1.0
    assert "1 mL not accounted for" in (syringe.text or "")
    assert (said.lacks, said.complete) == ((), False)


def test_two_syringes_pump_and_hand_and_given() -> None:
    case = Case()
    case.says(None, "drawn_up", syringe="A", pump="pump-1")
    case.says(None, "drawn_up", syringe="B", components=[LIDOCAINE])
    case.says(None, "drawn_up", syringe="C", components=[IOHEXOL])
    case.delivered(None, 3.0, "A")
    case.delivered(None, 2.0, "A", origin="hand", device=None)
    case.says(None, "drug_given", syringe="B", component={**LIDOCAINE, "volume_ml": 1.5})
    case.says(None, "drug_discarded", syringe="B", volume_ml=0.5)
    case.delivered(None, None, "C")
    told = {each.syringe: each for each in report(case.facts, case.book).syringes}
    assert list(told) == ["A", "B", "C"]
    assert (told["A"].delivered_ml, told["A"].difference_ml, told["A"].text) == (5.0, 0.0, None)
    assert (told["B"].given_ml, told["B"].discarded_ml, told["B"].text) == (1.5, 0.5, None)
    assert told["C"].difference_ml is None
    assert "cannot be balanced" in (told["C"].text or "")


def test_by_hand_the_end_mark_counts_as_it_was_corrected() -> None:
    case = Case()
    case.says(None, "drawn_up", syringe="A")
    end = case.says(None, "hand_injection", state="end", syringe="A", volume_ml=0.5)
    case.delivered(None, 0.5, "A", origin="hand", device=None)
    case.corrects(None, end, volume_ml=5)
    (told,) = report(case.facts, case.book).syringes
    assert (told.delivered_ml, told.text) == (5.0, None)


def test_a_syringe_that_nobody_drew_up() -> None:
    case = Case()
    case.delivered(None, 3.0, "Z")
    case.delivered(None, 3.0, None)
    (told,) = report(case.facts, case.book).syringes
    assert (told.syringe, told.drawn_up_ml, told.difference_ml) == ("Z", None, None)
    assert "nothing says that it was drawn up" in (told.text or "")
