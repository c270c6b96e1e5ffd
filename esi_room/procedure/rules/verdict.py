"""What a rule says of the facts, and what several rules ask of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from esi_room.clock import parse_rfc3339
from esi_room.events import Delivery, Payload, Severity
from esi_room.events.clinical import (
    ApproachTaken,
    Component,
    Contrast,
    DrawnUp,
    DrugDiscarded,
    DrugGiven,
    HandInjection,
    Needle,
    TimeOut,
)
from esi_room.events.clinical.words import CONTRAST_AGENTS, NO_INJECTATE, Approach, Level, Region, Side, region_of
from esi_room.procedure.balance import TOLERANCE_ML
from esi_room.procedure.facts import Facts
from esi_room.procedure.taken import Fact

Params = Mapping[str, Any]
F = TypeVar("F", bound=Payload)


class Finding(NamedTuple):
    """A deviation. `key` tells it from others of the same rule; `facts`: the seqs that led to it."""

    key: str
    text: str
    facts: tuple[int, ...]
    severity: Severity | None = None
    """Where it is not the rule's own."""


class Verdict(NamedTuple):
    """`lacking`: why the rule cannot be judged, or not in all of it; it counts at the end."""

    findings: tuple[Finding, ...] = ()
    lacking: str | None = None


NOTHING = Verdict()


def found(*findings: Finding | None, lacking: str | None = None) -> Verdict:
    """Those that are."""
    return Verdict(tuple(finding for finding in findings if finding is not None), lacking)


def at_that_time(said: Sequence[Fact[F]], moment_ns: int) -> Fact[F] | None:
    """What was in force then: the last that happened by that moment, else the first after it (written down late)."""
    by_then = [fact for fact in said if fact.time_ns <= moment_ns]
    return by_then[-1] if by_then else next(iter(said), None)


# --- where it goes ----------------------------------------------------------------------------------------


class Course(NamedTuple):
    """Where it goes. `seq`: of the entry that says so."""

    approach: Approach | None
    side: Side | None
    levels: tuple[Level, ...]
    seq: int

    @property
    def regions(self) -> set[Region]:
        """Of the levels."""
        return {region_of(level) for level in self.levels}

    def is_(self, region: Region, approach: Approach) -> bool:
        """Whether it is such a one."""
        return self.approach == approach and region in self.regions

    def may_be(self, region: Region, approach: Approach) -> bool:
        """Whether it is such a one, as far as it is said."""
        return self.approach in (None, approach) and (not self.levels or region in self.regions)


def courses(facts: Facts) -> list[Course]:
    """Everywhere it went: as taken, else as read aloud last, else as ordered; empty where nothing says it."""
    taken: Sequence[Fact[ApproachTaken] | Fact[TimeOut]] = facts.said(ApproachTaken) or facts.said(TimeOut)[-1:]
    return [_course(fact) for fact in taken] or _ordered(facts)


def course(facts: Facts) -> Course | None:
    """The present one."""
    return next(reversed(courses(facts)), None)


def course_at(facts: Facts, moment_ns: int) -> Course | None:
    """The one at that moment."""
    taken: Fact[ApproachTaken] | Fact[TimeOut] | None = at_that_time(facts.said(ApproachTaken), moment_ns)
    taken = taken or at_that_time(facts.said(TimeOut), moment_ns)
    return _course(taken) if taken else next(iter(_ordered(facts)), None)


def undecided(facts: Facts, region: Region, approach: Approach) -> Verdict:
    """What a rule for such ones says where there is none: it does not apply, unless nobody has said enough."""
    going = courses(facts)
    if going and not any(each.may_be(region, approach) for each in going):
        return NOTHING
    return Verdict(lacking="approach and level are not recorded")


def _course(said: Fact[ApproachTaken] | Fact[TimeOut]) -> Course:
    return Course(said.data.approach, said.data.side, said.data.levels, said.seq)


def _ordered(facts: Facts) -> list[Course]:
    plan = facts.plan
    if facts.planned is None or (plan.approach is None and not plan.levels):
        return []
    return [Course(plan.approach, plan.side, plan.levels, facts.planned.seq)]


# --- what goes in -----------------------------------------------------------------------------------------


def injections(facts: Facts) -> list[Fact[Any]]:
    """Every beginning of an injectate, in order: a pump starts, a hand begins, a drug is given epidurally. What nobody
    has named counts."""
    starts: list[Fact[Any]] = [fact for fact in facts.pump_starts if is_injectate(in_pump(facts, fact))]
    starts += [
        _begun(fact)
        for fact in facts.deliveries
        if "connected_late" in fact.data.remarks and is_injectate({*fact.data.drugs})
    ]
    starts += [
        fact
        for fact in facts.said(HandInjection)
        if fact.data.state == "begin" and fact.data.route == "epidural" and is_injectate(in_hand(facts, fact.data))
    ]
    starts += [
        fact
        for fact in facts.said(DrugGiven)
        if fact.data.route == "epidural" and is_injectate({fact.data.component.drug})
    ]
    return sorted(starts, key=_when)


def contrast_given(facts: Facts) -> list[tuple[Fact[Any], set[str]]]:
    """Every time contrast was given, however it is written down, in order; and the agents."""
    given: list[tuple[Fact[Any], set[str]]] = [
        (fact, {fact.data.component.drug} if fact.data.component else set())
        for fact in facts.said(Contrast)
        if fact.data.given
    ]
    given += _agents((fact, {fact.data.component.drug}) for fact in facts.said(DrugGiven))
    hands = [fact for fact in facts.said(HandInjection) if fact.data.state == "begin"]
    given += _agents((fact, in_hand(facts, fact.data)) for fact in hands)
    given += _agents((fact, in_pump(facts, fact)) for fact in facts.pump_starts)
    return sorted(given, key=lambda each: _when(each[0]))


def _agents(given: Iterable[tuple[Fact[Any], set[str]]]) -> Iterable[tuple[Fact[Any], set[str]]]:
    return ((fact, drugs & CONTRAST_AGENTS) for fact, drugs in given if drugs & CONTRAST_AGENTS)


def is_injectate(drugs: set[str]) -> bool:
    """Whether it is what the procedure is done for, or nobody has said what it is."""
    return not drugs or not drugs <= NO_INJECTATE


def _begun(late: Fact[Delivery]) -> Fact[Delivery]:
    """A delivery that was under way when the pump was connected: nobody has seen it start."""
    try:
        return late._replace(time_ns=parse_rfc3339(late.data.started_at))
    except ValueError:
        return late


def in_pump(facts: Facts, start: Fact[Any]) -> set[str]:
    """The drugs that were in the pump when it started; empty where nobody said it."""
    put_in = [fact for fact in facts.said(DrawnUp) if fact.data.pump == start.source]
    filled = at_that_time(put_in, start.time_ns)
    return {part.drug for part in filled.data.components} if filled else set()


def in_hand(facts: Facts, mark: HandInjection) -> set[str]:
    """The drugs of an injection by hand; empty where nobody said it."""
    return {mark.drug} if mark.drug else {part.drug for part in components(facts, mark.syringe)}


def components(facts: Facts, syringe: str | None) -> tuple[Component, ...]:
    """What was drawn up into a syringe last."""
    filled = [fact.data for fact in facts.said(DrawnUp) if fact.data.syringe == syringe]
    return filled[-1].components if filled else ()


def delivered_ml(facts: Facts, delivery: Delivery) -> float | None:
    """How much went in; by hand it is what the end mark says, as far as that was corrected since."""
    by_hand = delivery.origin == "hand" and delivery.facts
    end = facts.form(delivery.facts[-1]) if by_hand else None
    return end.data.volume_ml if end is not None and isinstance(end.data, HandInjection) else delivery.delivered_ml


def drugs_drawn(facts: Facts) -> Iterable[tuple[Component, int]]:
    """Every drug that was drawn up and not thrown away whole, or given for the epidural space, with the entry that says
    so."""
    for drawn in facts.said(DrawnUp):
        if not _thrown_away(facts, drawn.data):
            yield from ((component, drawn.seq) for component in drawn.data.components)
    for given in facts.said(DrugGiven):
        if given.data.route == "epidural":
            yield given.data.component, given.seq


def _thrown_away(facts: Facts, drawn: DrawnUp) -> bool:
    away = (fact.data for fact in facts.said(DrugDiscarded))
    away_ml = sum(discarded.volume_ml for discarded in away if discarded.syringe == drawn.syringe)
    return away_ml >= drawn.volume_ml - TOLERANCE_ML


# --- where the tip is -------------------------------------------------------------------------------------

MOVED = frozenset({"repositioned", "level_changed"})


class Position(NamedTuple):
    """A needle's: its number, since when it is there (time and seq; all 0 where nobody said so), and whose start of an
    injectate it is looked for."""

    number: int
    since_ns: int
    seq: int
    start: Fact[Any]

    def holds(self, fact: Fact[Any]) -> bool:
        """Whether that happened here, before the start."""
        return (
            (self.since_ns, self.seq) < _when(fact)
            and fact.time_ns <= self.start.time_ns
            and _may_be_one(fact, self.start)
        )


def position(facts: Facts, start: Fact[Any]) -> Position:
    """Of the needle through which that start goes: the one that was moved last, of those at its level and side where it
    says them. A position begins where a needle is placed or repositioned, and where uptake is answered by moving it."""
    moves: list[Fact[Any]] = [fact for fact in facts.said(Needle) if fact.data.action != "removed"]
    moves += [fact for fact in facts.said(Contrast) if fact.data.uptake and fact.data.action in MOVED]
    passed = [fact for fact in sorted(moves, key=_when) if fact.time_ns <= start.time_ns]
    mine = [(number, *_when(fact)) for number, fact in enumerate(passed, 1) if _may_be_one(fact, start)]
    return Position(*(mine[-1] if mine else (0, 0, 0)), start)


def _may_be_one(one: Fact[Any], other: Fact[Any]) -> bool:
    """Whether they may be of one needle: what is not said, or said of no one side, may be of any."""
    return all(
        not {None, "both", "midline"}.isdisjoint(said) or len(said) == 1
        for said in ({getattr(fact.data, field, None) for fact in (one, other)} for field in ("level", "side"))
    )


def _when(fact: Fact[Any]) -> tuple[int, int]:
    return fact.time_ns, fact.seq
