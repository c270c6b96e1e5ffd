"""What a record lacks, by phase: every field that the record of this procedure should hold, as a table.

Rules:
- An item is a code (`evaluation.consent`), the words for it, and a pure function that looks for it in the facts.
- Something that does not apply (loss of resistance in a transforaminal injection) is not lacking.
- It judges presence alone: what is unwise in it is the rules' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from esi_room.events import Clinical, Lack, Phase, ProcedureCompleteness, SyringeBalance
from esi_room.events import clinical as c
from esi_room.events.clinical.words import LOCAL_ANAESTHETICS, STEROIDS
from esi_room.procedure.balance import Difference, balance
from esi_room.procedure.facts import Facts
from esi_room.procedure.phases import ORDER
from esi_room.procedure.rules import Book, not_assessable
from esi_room.procedure.rules.drugs import DEEP
from esi_room.procedure.rules.verdict import course, delivered_ml, drugs_drawn, in_hand, injections, is_injectate
from esi_room.procedure.rules.watch import ETCO2, HEART_RATES, NIBP, SPO2
from esi_room.procedure.taken import Fact

Looks = Callable[[Facts], bool]
RESPIRATORY_RATES = ("respiratory_rate_bpm", "impedance_respiratory_rate_bpm")
DECIMALS = 3  # of a millilitre: what a sum of decimals is off by is far less


class Item(NamedTuple):
    """What should be there. `applies`: whether it is asked for in this case at all."""

    code: str
    text: str
    there: Looks
    applies: Looks = lambda _: True

    @property
    def phase(self) -> Phase | None:
        """Of the code; None for what belongs to all."""
        first = self.code.partition(".")[0]
        return first if first in ORDER else None


def report(facts: Facts, book: Book) -> ProcedureCompleteness:
    """At the end of the procedure."""
    lacks, unjudged = tuple(lacking(facts)), not_assessable(facts, book)
    syringes = tuple(balances(facts))
    whole = not lacks and not any(syringe.text for syringe in syringes)
    return ProcedureCompleteness(
        lacks=lacks,
        not_assessable=unjudged,
        syringes=syringes,
        deviations=tuple(facts.raised),
        complete=whole,
    )


def lacking(facts: Facts) -> Iterator[Lack]:
    """Everything that should be there and is not: what the phases ask for, then the phases never entered."""
    for item in ITEMS:
        if item.applies(facts) and not item.there(facts):
            yield Lack(item=item.code, phase=item.phase, text=item.text)
    entered = {fact.data.phase for fact in facts.phases}
    for phase in ORDER[:-1]:  # the follow-up comes after the record is sealed
        if phase not in entered and not (phase == "injection" and _given_up(facts)):
            yield Lack(item=f"{phase}.phase", phase=phase, text=f"the phase {phase} was never entered")


def balances(facts: Facts) -> list[SyringeBalance]:
    """Of every syringe: what was drawn up, and where it went."""
    of_syringes = [
        (fact.data.syringe, delivered_ml(facts, fact.data)) for fact in facts.deliveries if fact.data.syringe
    ]
    drawn = _sums((fact.data.syringe, fact.data.volume_ml) for fact in facts.said(c.DrawnUp))
    went = (
        _sums(iter(of_syringes)),
        _sums((fact.data.syringe, fact.data.component.volume_ml) for fact in facts.said(c.DrugGiven)),
        _sums((fact.data.syringe, fact.data.volume_ml) for fact in facts.said(c.DrugDiscarded)),
    )
    unknown = {syringe for syringe, volume_ml in of_syringes if volume_ml is None}
    differences = {each.syringe: each for each in balance(drawn, *went, unknown=unknown)}
    syringes = sorted({*drawn, *unknown}.union(*went))
    return [_balance(syringe, drawn.get(syringe), went, differences.get(syringe)) for syringe in syringes]


def _balance(
    syringe: str, drawn_ml: float | None, went: Sequence[dict[str, float]], difference: Difference | None
) -> SyringeBalance:
    delivered_ml, given_ml, discarded_ml = (round(part.get(syringe, 0.0), DECIMALS) for part in went)
    left_ml = None if drawn_ml is None else round(drawn_ml - delivered_ml - given_ml - discarded_ml, DECIMALS)
    return SyringeBalance(
        syringe=syringe,
        drawn_up_ml=None if drawn_ml is None else round(drawn_ml, DECIMALS),
        delivered_ml=delivered_ml,
        given_ml=given_ml,
        discarded_ml=discarded_ml,
        difference_ml=left_ml if difference is None else difference.difference_ml,
        text=None if difference is None else difference.text,
    )


def _sums(parts: Iterator[tuple[str | None, float | None]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for syringe, volume_ml in parts:
        if syringe is not None:
            sums[syringe] = sums.get(syringe, 0.0) + (volume_ml or 0.0)
    return sums


# --- what is looked for -----------------------------------------------------------------------------------


def _said(form: type[Clinical]) -> Looks:
    return lambda facts: bool(facts.said(form))


def _assessed(field: str) -> Looks:
    return lambda facts: any(getattr(fact.data, field) is not None for fact in facts.said(c.Assessment))


def _pain(occasion: str) -> Looks:
    return lambda facts: any(fact.data.occasion == occasion for fact in facts.said(c.Pain))


def _same_scale(facts: Facts) -> bool:
    return len({fact.data.scale for fact in facts.said(c.Pain)}) == 1


def _vital(*names: str) -> Looks:
    return lambda facts: facts.last_vital(*names) is not None


def _vitals_in_recovery(facts: Facts) -> bool:
    since, last = facts.entered("recovery"), facts.last_vital(*HEART_RATES, SPO2, NIBP)
    return since is not None and last is not None and last.at_s >= since.at_s


def _sedated(facts: Facts) -> bool:
    return any(fact.data.level in DEEP for fact in facts.said(c.Sedation))


def _diabetic(facts: Facts) -> bool:
    return any(fact.data.diabetes == "yes" for fact in facts.said(c.Assessment))


def _site_told(facts: Facts) -> bool:
    said: list[Fact[c.SignIn] | Fact[c.TimeOut]] = [*facts.said(c.SignIn), *facts.said(c.TimeOut)]
    return any(fact.data.site_marked is not None for fact in said)


def _planned(facts: Facts) -> bool:
    return facts.plan.approach is not None and facts.plan.side is not None and bool(facts.plan.levels)


def _steroid(facts: Facts) -> bool:
    return any(part.drug in STEROIDS for part, _ in drugs_drawn(facts))


def _labelled(facts: Facts) -> bool:
    """Every steroid has its dose and lot."""
    return all(part.dose_mg is not None and part.lot for part, _ in drugs_drawn(facts) if part.drug in STEROIDS)


def _skin_anaesthetic(facts: Facts) -> bool:
    given: list[set[str]] = [{f.data.component.drug} for f in facts.said(c.DrugGiven) if f.data.route == "skin"]
    given += [in_hand(facts, f.data) for f in facts.said(c.HandInjection) if f.data.route == "skin"]
    return any(drugs & LOCAL_ANAESTHETICS for drugs in given)


def _needle_told(facts: Facts) -> bool:
    return any(f.data.kind and f.data.gauge_g and f.data.length_mm for f in facts.said(c.Needle))


def _uses_resistance(facts: Facts) -> bool:
    going = course(facts)
    return going is not None and going.approach == "interlaminar"


def _given_up(facts: Facts) -> bool:
    """It was broken off before anything was injected: what belongs to the injection is not lacking."""
    return facts.ended is not None and facts.ended.data.outcome == "discontinued" and not _injected(facts)


def _injected(facts: Facts) -> bool:
    return bool(injections(facts))


def _delivered(facts: Facts) -> bool:
    given: list[set[str]] = [{f.data.component.drug} for f in facts.said(c.DrugGiven) if f.data.route == "epidural"]
    given += [{*fact.data.drugs} for fact in facts.deliveries]
    return any(is_injectate(drugs) for drugs in given)


ITEMS: tuple[Item, ...] = (
    Item(
        "evaluation.identity",
        "who the patient is",
        lambda f: f.started is not None and f.started.data.identity_sha256 is not None,
    ),
    Item("evaluation.plan", "approach, side and level as ordered", _planned),
    Item("evaluation.indication", "indication", _said(c.Indication)),
    Item("evaluation.prior_imaging", "prior imaging reviewed", _said(c.PriorImaging)),
    Item("evaluation.pain", "pain score before, with its scale", _pain("baseline")),
    Item("evaluation.earlier_injections", "earlier injections", _said(c.EarlierInjections)),
    Item("evaluation.allergies", "allergies", _said(c.Allergies)),
    Item("evaluation.anticoagulants", "anticoagulants and the decision on them", _said(c.Anticoagulants)),
    Item("evaluation.weight", "weight", _assessed("weight_kg")),
    Item("evaluation.pregnancy", "pregnancy", _assessed("pregnant")),
    Item("evaluation.infection", "infection", _assessed("infection")),
    Item("evaluation.diabetes", "diabetes", _assessed("diabetes")),
    Item("evaluation.glucose", "glucose of a patient with diabetes", _assessed("glucose_mg_dl"), _diabetic),
    Item("evaluation.nil_by_mouth", "nil by mouth", _assessed("nil_by_mouth_h")),
    Item("evaluation.escort", "escort", _assessed("escort")),
    Item("evaluation.vasovagal", "earlier vasovagal reaction", _assessed("earlier_vasovagal")),
    Item("evaluation.consent", "consent", _said(c.Consent)),
    Item("preparation.sign_in", "sign-in", _said(c.SignIn)),
    Item("preparation.site_marked", "whether the site is marked", _site_told),
    Item("preparation.positioning", "position, skin preparation, asepsis", _said(c.Positioning)),
    Item("preparation.monitoring", "monitoring connected", _said(c.Monitoring)),
    Item("preparation.iv_access", "IV access, or that there is none", _said(c.IvAccess)),
    Item("preparation.sedation", "sedation, or that there is none", _said(c.Sedation)),
    Item("preparation.time_out", "time-out", _said(c.TimeOut)),
    Item("preparation.skin_anaesthetic", "local anaesthetic of the skin", _skin_anaesthetic),
    Item("guidance.approach", "approach, side and level as taken", _said(c.ApproachTaken)),
    Item("guidance.needle", "needle: type, gauge, length", _needle_told),
    Item("guidance.loss_of_resistance", "loss of resistance", _said(c.LossOfResistance), _uses_resistance),
    Item("guidance.aspiration", "aspiration", _said(c.Aspiration)),
    Item("guidance.contrast", "contrast and its spread, or why none", _said(c.Contrast)),
    Item("guidance.images", "images", lambda f: bool(f.images)),
    Item("guidance.dose", "dose of radiation", lambda f: f.dose is not None, lambda f: bool(f.images)),
    Item("injection.drugs", "what was drawn up", _said(c.DrawnUp), _injected),
    Item("injection.steroid", "steroid", _steroid, _injected),
    Item("injection.label", "dose and lot of the steroid", _labelled, _steroid),
    Item("injection.delivery", "delivery: volume and time", _delivered, lambda f: not _given_up(f)),
    Item("injection.closure", "needle out, haemostasis, dressing", _said(c.Closure)),
    Item("recovery.vitals", "vital signs in recovery", _vitals_in_recovery, _vital(*HEART_RATES, SPO2, NIBP)),
    Item("recovery.sign_out", "sign-out", _said(c.SignOut)),
    Item("recovery.motor_sensory", "motor and sensory check", _said(c.MotorSensory)),
    Item("recovery.pain", "pain score afterwards", _pain("after")),
    Item(
        "recovery.pain_scale",
        "the same pain scale before and afterwards",
        _same_scale,
        lambda f: _pain("baseline")(f) and _pain("after")(f),
    ),
    Item(
        "recovery.relief",
        "relief in %",
        lambda f: any(fact.data.relief_pct is not None for fact in f.said(c.Pain)),
        _pain("after"),
    ),
    Item("recovery.padss", "PADSS", _said(c.Padss)),
    Item("recovery.instructions", "instructions", _said(c.Instructions)),
    Item("recovery.discharge", "discharge", _said(c.Discharge)),
    Item("follow_up.plan", "when the patient will be asked", _said(c.FollowUpPlan)),
    Item("vitals.heart_rate", "heart rate", _vital(*HEART_RATES)),
    Item("vitals.spo2", "SpO2", _vital(SPO2)),
    Item("vitals.nibp", "blood pressure", _vital(NIBP)),
    Item("vitals.respiratory_rate", "respiratory rate", _vital(*RESPIRATORY_RATES)),
    Item("vitals.etco2", "EtCO2 of a patient who is sedated", _vital(*ETCO2), _sedated),
    Item("sign_off", "signature", _said(c.SignOff)),
)
