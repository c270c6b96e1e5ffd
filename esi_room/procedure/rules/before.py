"""What is due before: time-out, consent and the like, side and level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from esi_room.events.clinical import Allergies, Anticoagulants, ApproachTaken, Consent, HandInjection, Needle, TimeOut
from esi_room.events.clinical.words import Side
from esi_room.procedure.facts import Facts
from esi_room.procedure.rules.verdict import NOTHING, Finding, Params, Verdict, at_that_time, found, injections
from esi_room.procedure.taken import Fact


def time_out(facts: Facts, _: Params) -> Verdict:
    """R1."""
    if not facts.images:
        return Verdict(lacking="no image was received")
    first = min(facts.images, key=lambda image: (image.time_ns, image.seq))
    whole = [fact for fact in facts.said(TimeOut) if fact.data.identity and fact.data.procedure]
    if any(fact.time_ns <= first.time_ns for fact in whole):
        return NOTHING
    said = whole or facts.said(TimeOut)
    late = "the time-out came after it" if whole else "the time-out did not agree on identity and procedure"
    text = f"The first image was taken, and {late if said else 'no time-out is recorded'}."
    return found(Finding("", text, (first.seq, *(fact.seq for fact in said[:1]))))


def recorded_in_time(facts: Facts, _: Params) -> Verdict:
    """R2."""
    left = facts.entered("guidance")
    if left is None:
        return Verdict(lacking="the phase after preparation was never entered")
    consent = facts.last(Consent, by_ns=left.time_ns)
    in_time = {
        "consent": consent is not None and consent.data.given,
        "allergies": facts.last(Allergies, by_ns=left.time_ns) is not None,
        "the decision on anticoagulants": facts.last(Anticoagulants, by_ns=left.time_ns) is not None,
    }
    missing = [what for what, there in in_time.items() if not there]
    if not missing:
        return NOTHING
    return found(Finding("", f"Not recorded when preparation ended: {', '.join(missing)}.", (left.seq,)))


def side_and_level(facts: Facts, _: Params) -> Verdict:
    """R14."""
    read, ordered, needles = facts.said(TimeOut), _ordered(facts), list(_needles(facts))
    if not read and ordered is None:
        return Verdict(lacking="neither the order nor a time-out says side and level")
    lacking = None if ordered else "the order says neither side nor level"
    if injections(facts) and not any(needle.side or needle.levels for needle in needles):
        lacking = "where the needle went is not recorded"
    aloud = _read_otherwise(ordered, _place(read[-1], "time-out")) if ordered and read else None
    elsewhere = (_elsewhere(needle, read, ordered) for needle in needles)
    return found(aloud, next(filter(None, elsewhere), None), lacking=lacking)


class _Place(NamedTuple):
    """Where, and the entry that says so."""

    seq: int
    time_ns: int
    side: Side | None
    levels: frozenset[str]
    said: str


def _place(fact: Fact[TimeOut] | Fact[ApproachTaken], said: str) -> _Place:
    return _Place(fact.seq, fact.time_ns, fact.data.side, frozenset(fact.data.levels), said)


def _ordered(facts: Facts) -> _Place | None:
    plan, said = facts.plan, facts.planned
    if said is None or (plan.side is None and not plan.levels):
        return None
    return _Place(said.seq, said.time_ns, plan.side, frozenset(plan.levels), "order")


def _needles(facts: Facts) -> Iterator[_Place]:
    for taken in facts.said(ApproachTaken):
        yield _place(taken, "approach")
    moved: list[Fact[Needle] | Fact[HandInjection]] = [
        *(fact for fact in facts.said(Needle) if fact.data.action != "removed"),
        *(fact for fact in facts.said(HandInjection) if fact.data.state == "begin" and fact.data.route == "epidural"),
    ]
    for needle in moved:
        levels = frozenset({needle.data.level} if needle.data.level else ())
        yield _Place(needle.seq, needle.time_ns, needle.data.side, levels, "needle")


def _read_otherwise(ordered: _Place, read: _Place) -> Finding | None:
    """The last time-out is not what was ordered."""
    words = [f"side {read.side}, not {ordered.side}"] if ordered.side and read.side != ordered.side else []
    if ordered.levels and read.levels != ordered.levels:
        words.append(_levels(read, ordered))
    text = f"The time-out differs from the order: {', '.join(words)}."
    return Finding("time_out", text, (ordered.seq, read.seq)) if words else None


def _elsewhere(needle: _Place, read: Sequence[Fact[TimeOut]], ordered: _Place | None) -> Finding | None:
    """A needle that is not where it was agreed to be then. One in the midline is on neither side."""
    then = at_that_time(read, needle.time_ns)
    agreed = _place(then, "time-out") if then else ordered
    if agreed is None:
        return None
    wrong = agreed.side in ("left", "right") and needle.side not in (None, "midline", agreed.side)
    words = [f"side {needle.side}, not {agreed.side}"] if wrong else []
    if agreed.levels and not needle.levels <= agreed.levels:
        words.append(_levels(needle, agreed))
    text = f"The needle differs from the {agreed.said}: {', '.join(words)}."
    return Finding("injection", text, (agreed.seq, needle.seq)) if words else None


def _levels(other: _Place, agreed: _Place) -> str:
    return f"level {' '.join(sorted(other.levels))}, not {' '.join(sorted(agreed.levels))}"
