"""What is drawn up and given: steroid, contrast, lidocaine, sedation."""

from __future__ import annotations

from esi_room.events.clinical import (
    Allergies,
    Assessment,
    Component,
    Contrast,
    DrugGiven,
    EarlierInjections,
    Sedation,
)
from esi_room.events.clinical.words import STEROIDS, Region
from esi_room.procedure.facts import Facts
from esi_room.procedure.rules.verdict import (
    NOTHING,
    Finding,
    Params,
    Verdict,
    components,
    contrast_given,
    courses,
    delivered_ml,
    drugs_drawn,
    found,
    injections,
    undecided,
)

DEEP = frozenset({"moderate", "deep", "general_anaesthesia"})
"""Of the ASA continuum: moderate and deeper."""
NO_STEROID = Verdict(lacking="no steroid is recorded")
SLACK = 1e-9  # of a dose: what decimals are off by in binary is far less


def cervical_particulate(facts: Facts, _: Params) -> Verdict:
    """R4."""
    where = _through_a_foramen(facts, "cervical")
    if where is None:
        return undecided(facts, "cervical", "transforaminal")
    steroids = _steroids(facts)
    if not steroids:
        return NO_STEROID
    particulate = next(((drug, seq) for drug, seq in steroids if drug.is_particulate), None)
    if particulate is None:
        return NOTHING
    drug, seq = particulate
    return found(Finding("", f"{drug.drug} is particulate, for a cervical transforaminal injection.", (where, seq)))


def first_lumbar(facts: Facts, _: Params) -> Verdict:
    """R5."""
    where = _through_a_foramen(facts, "lumbar")
    if where is None:
        return undecided(facts, "lumbar", "transforaminal")
    steroids = _steroids(facts)
    if not steroids:
        return NO_STEROID
    particulate = next(((drug, seq) for drug, seq in steroids if drug.is_particulate), None)
    earlier = facts.last(EarlierInjections)
    if particulate is None or (earlier is not None and earlier.data.were_any):
        return NOTHING
    if earlier is None:
        return Verdict(lacking="it is not recorded whether there were injections before")
    drug, seq = particulate
    text = f"{drug.drug} is particulate, for a first lumbar transforaminal injection."
    return found(Finding("", text, (where, seq, earlier.seq)))


def _through_a_foramen(facts: Facts, region: Region) -> int | None:
    """The entry that says transforaminal in that region."""
    return next((going.seq for going in courses(facts) if going.is_(region, "transforaminal")), None)


def _steroids(facts: Facts) -> list[tuple[Component, int]]:
    return [(part, seq) for part, seq in drugs_drawn(facts) if part.drug in STEROIDS]


def contrast_allergy(facts: Facts, p: Params) -> Verdict:
    """R8."""
    given = contrast_given(facts)
    allergic = [fact for fact in facts.said(Allergies) if any(a.substance == "contrast" for a in fact.data.known)]
    iodinated = [fact for fact, agents in given if agents != {"gadolinium_chelate"}]
    critical = reason = None
    if allergic and iodinated:
        seqs = (allergic[-1].seq, iodinated[0].seq)
        critical = Finding("given", "Contrast was given to a patient with a known allergy to it.", seqs)
    starts = injections(facts)
    if starts and not given and not any(fact.data.reason for fact in facts.said(Contrast)):
        text = "The injection began without contrast, and no reason is recorded."
        reason = Finding("reason", text, (starts[0].seq,), p["reason_severity"])
    lacking = None if facts.said(Allergies) else "allergies are not recorded"
    return found(critical, reason, lacking=lacking)


def lidocaine(facts: Facts, p: Params) -> Verdict:
    """R11."""
    doses = _lidocaine_mg(facts)
    if not doses:
        return NOTHING
    unknown = any(mg is None for _, mg in doses)
    lacking = "lidocaine was given, and its concentration or volume is not recorded" if unknown else None
    weight = next((f for f in reversed(facts.said(Assessment)) if f.data.weight_kg is not None), None)
    if weight is None or weight.data.weight_kg is None:
        return Verdict(lacking="lidocaine was given, and the patient's weight is not recorded")
    total_mg = sum(mg or 0.0 for _, mg in doses)
    per_kg = total_mg / weight.data.weight_kg
    if per_kg <= p["max_mg_per_kg"] * (1 + SLACK):
        return Verdict(lacking=lacking)
    seqs = (weight.seq, *(seq for seq, mg in doses if mg is not None))
    text = f"{total_mg:.4g} mg of lidocaine is {per_kg:.3g} mg/kg, more than {p['max_mg_per_kg']:g} mg/kg."
    return found(Finding("", text, seqs), lacking=lacking)


def _lidocaine_mg(facts: Facts) -> list[tuple[int, float | None]]:
    """Each dose and the entry that says it; None where it cannot be known."""
    doses: list[tuple[int, float | None]] = [
        (given.seq, given.data.component.dose_mg)
        for given in facts.said(DrugGiven)
        if given.data.component.drug == "lidocaine"
    ]
    for delivery in facts.deliveries:
        parts = components(facts, delivery.data.syringe)
        if not parts and "lidocaine" in delivery.data.drugs:
            doses.append((delivery.seq, None))
        whole_ml = sum(part.volume_ml for part in parts)
        for part in parts:
            if part.drug == "lidocaine":
                ml, mg = delivered_ml(facts, delivery.data), part.dose_mg
                doses.append((delivery.seq, None if ml is None or mg is None else mg * min(1.0, ml / whole_ml)))
    return doses


def sedation(facts: Facts, _: Params) -> Verdict:
    """R12."""
    going = courses(facts)
    deep = [fact for fact in facts.said(Sedation) if fact.data.level in DEEP]
    if not deep:
        return NOTHING if facts.said(Sedation) else Verdict(lacking="sedation is not recorded")
    where = next((each.seq for each in going if "cervical" in each.regions), None)
    if where is None:
        return NOTHING if going and all(each.levels for each in going) else Verdict(lacking="the level is not recorded")
    text = f"{deep[0].data.level.replace('_', ' ').capitalize()} sedation in a cervical procedure."
    return found(Finding("", text, (where, deep[0].seq)))
