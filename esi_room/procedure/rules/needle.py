"""Where the needle is: contrast before the injectate, uptake, levels, views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from esi_room.clock import NS
from esi_room.events import CarmImage
from esi_room.events.clinical import ApproachTaken, Aspiration, Contrast, Needle, PriorImaging, ViewKept
from esi_room.events.clinical.words import Level, Region, region_of
from esi_room.procedure.facts import Facts
from esi_room.procedure.rules.verdict import (
    NOTHING,
    Finding,
    Params,
    Verdict,
    contrast_given,
    course_at,
    courses,
    found,
    injections,
    position,
    undecided,
)
from esi_room.procedure.taken import Fact

LIVE = frozenset({"live_fluoroscopy", "dsa"})
_REGION: dict[Region, str] = {
    "cervical": "cervical or thoracic",
    "thoracic": "cervical or thoracic",
    "lumbar": "lumbar or sacral",
    "sacral": "lumbar or sacral",
}
"""As the procedure codes count them (CPT 64479 and 62320, 64483 and 62322): L5/S1 and S1 are one region."""
NO_INJECTION = "no injection is recorded"


def live_contrast(facts: Facts, _: Params) -> Verdict:
    """R3."""
    if all(going.approach is None for going in courses(facts)):
        return Verdict(lacking="the approach is not recorded")
    findings: dict[str, Finding] = {}
    for start in injections(facts):
        going = course_at(facts, start.time_ns)
        if going is None or going.approach != "transforaminal":
            continue
        place = position(facts, start)
        here = [fact for fact in facts.said(Contrast) if fact.data.given and place.holds(fact)]
        if not any(fact.data.imaging in LIVE for fact in here):
            seen = "contrast was not watched live" if here else "no contrast is recorded at this needle position"
            key = f"position-{place.number}"
            seqs = (going.seq, start.seq, *(fact.seq for fact in here[:1]))
            findings.setdefault(key, Finding(key, f"The injectate began, and {seen}.", seqs))
    through = any(going.approach == "transforaminal" for going in courses(facts))
    return found(*findings.values(), lacking=None if injections(facts) or not through else NO_INJECTION)


def uptake(facts: Facts, _: Params) -> Verdict:
    """R9."""
    findings: dict[str, Finding] = {}
    for start in injections(facts):
        place = position(facts, start)
        warnings = [(fact.seq, what) for fact, what in _warnings(facts) if place.holds(fact)]
        if warnings:
            key, seqs = f"position-{place.number}", (*(seq for seq, _ in warnings), start.seq)
            text = f"Injectate at a needle position where {warnings[0][1]} was seen, with no repositioning in between."
            findings.setdefault(key, Finding(key, text, seqs))
    known = bool(facts.said(Aspiration)) or bool(facts.said(Contrast))
    lacking = None if known else "neither aspiration nor contrast is recorded"
    return found(*findings.values(), lacking=lacking if injections(facts) else NO_INJECTION)


def _warnings(facts: Facts) -> list[tuple[Fact[Any], str]]:
    """What speaks against injecting, in order."""
    seen: list[tuple[Fact[Any], str]] = [
        (fact, {"blood": "blood", "csf": "CSF"}[fact.data.result])
        for fact in facts.said(Aspiration)
        if fact.data.result != "negative"
    ]
    seen += [(fact, f"{fact.data.uptake[0]} uptake") for fact in facts.said(Contrast) if fact.data.uptake]
    return sorted(seen, key=lambda each: (each[0].time_ns, each[0].seq))


def cervical_interlaminar(facts: Facts, p: Params) -> Verdict:
    """R6."""
    mine = [going for going in courses(facts) if going.is_("cervical", "interlaminar")]
    if not mine:
        return undecided(facts, "cervical", "interlaminar")
    level = imaging = lacking = None
    above = [(each, going.seq) for going in mine for each in going.levels if _is_above(each, p["levels"])]
    if above:
        text = f"Cervical interlaminar at {above[0][0]}: not above {p['levels'][0]}."
        level = Finding("level", text, (above[0][1],))
    guided = facts.entered("guidance")
    reviewed = [fact for fact in facts.said(PriorImaging) if fact.data.reviewed]
    if guided is None and not reviewed:
        lacking = "guidance was never entered, and no prior imaging is recorded"
    elif guided is not None and not any(fact.time_ns <= guided.time_ns for fact in reviewed):
        text = "Cervical interlaminar, and no prior imaging was reviewed before guidance began."
        imaging = Finding("imaging", text, (mine[0].seq, guided.seq))
    return found(level, imaging, lacking=lacking)


def _is_above(level: Level, allowed: Sequence[str]) -> bool:
    return region_of(level) == "cervical" and level not in allowed


def views(facts: Facts, p: Params) -> Verdict:
    """R7: judged when the needle's work is done."""
    done = facts.entered("recovery") or facts.ended
    if done is None:
        return NOTHING
    kept = facts.said(ViewKept)
    if not (facts.images or kept or facts.said(Needle) or injections(facts)):
        return Verdict(lacking="no image, no view and no needle is recorded")
    few = without = None
    count = max(len({fact.data.projection for fact in kept}), _count_views(facts.images, p["angle_deg"]))
    if count < p["views"]:
        seqs = (*(image.seq for image in facts.images[-3:]), done.seq)
        few = Finding("views", f"{count} of {p['views']} views were kept.", seqs)
    given = [fact for fact, _ in contrast_given(facts)]
    if given and not any(fact.data.contrast for fact in kept):
        since_ns = given[0].time_ns - round(p["contrast_before_s"] * NS)
        if not any(image.time_ns >= since_ns for image in facts.images):
            without = Finding("contrast", "No view with contrast was kept.", (given[0].seq, done.seq))
    return found(few, without)


def _count_views(images: list[Fact[CarmImage]], apart_deg: float) -> int:
    """How many directions there are, as far as the headers say them."""
    known: list[tuple[float, float]] = []
    for image in images:
        primary, secondary = image.data.primary_angle_deg, image.data.secondary_angle_deg
        if primary is None:
            continue
        angle = (primary, secondary or 0.0)
        if all(max(_apart_deg(angle[0], a), _apart_deg(angle[1], b)) >= apart_deg for a, b in known):
            known.append(angle)
    return len(known)


def _apart_deg(one_deg: float, other_deg: float) -> float:
    """From the other side it is the same view, mirrored."""
    return abs((one_deg - other_deg + 90.0) % 180.0 - 90.0)


def how_many(facts: Facts, p: Params) -> Verdict:
    """R13."""
    taken = facts.said(ApproachTaken)
    if not taken:
        return Verdict(lacking="approach and level are not recorded")
    findings = []
    for approach in dict.fromkeys(fact.data.approach for fact in taken):
        mine = [fact for fact in taken if fact.data.approach == approach]
        levels = {level for fact in mine for level in fact.data.levels}
        most = p["transforaminal_levels"] if approach == "transforaminal" else p["other_levels"]
        if len(levels) > most:
            text = f"{len(levels)} levels {approach}, where {most} is the most."
            findings.append(Finding(approach, text, tuple(fact.seq for fact in mine)))
    regions = {_REGION[region_of(level)] for fact in taken for level in fact.data.levels}
    if len(regions) > p["regions"]:
        text = f"{len(regions)} regions in one session: {', '.join(sorted(regions))}."
        findings.append(Finding("regions", text, tuple(fact.seq for fact in taken)))
    return found(*findings)
