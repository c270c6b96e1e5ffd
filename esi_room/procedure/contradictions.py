"""Why a form cannot be said now: what it says contradicts what was said before. Pure functions.

That something is unwise, late or missing is no contradiction: the rules say that, and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from esi_room.events import Clinical
from esi_room.events.clinical import Correction, DrawnUp, DrugDiscarded, DrugGiven, HandInjection, Needle
from esi_room.procedure.corrections import corrected
from esi_room.procedure.facts import Facts


def why_not(form: Clinical, facts: Facts) -> str | None:
    """In words that say what to do; None if nothing speaks against it."""
    check = _CHECKS.get(type(form))
    return None if check is None else check(form, facts)


def _correction(form: Correction, facts: Facts) -> str | None:
    said = facts.form(form.seq)
    if said is None:
        return f"entry {form.seq} is no form of this record, or was withdrawn: name the seq of what is to be corrected"
    if isinstance(said.data, Correction):
        return f"entry {form.seq} is a correction itself: name what it corrects, {said.data.seq}"
    if form.withdrawn:
        return None
    merged = corrected(said.data, form.fields)
    if isinstance(merged, DrawnUp):
        return _drawn_up(merged, facts, form.seq)
    return merged if isinstance(merged, str) else None


def _syringes(facts: Facts) -> dict[str, int]:
    return {fact.data.syringe: fact.seq for fact in facts.said(DrawnUp)}


def _drawn_up(form: DrawnUp, facts: Facts, correcting: int | None = None) -> str | None:
    seq = _syringes(facts).get(form.syringe)
    if seq in (None, correcting):
        return None
    return f"syringe {form.syringe} was drawn up already (entry {seq}): correct that, or give this one another name"


def _emptied(form: DrugDiscarded | DrugGiven, facts: Facts) -> str | None:
    return None if form.syringe is None else _unknown(form.syringe, facts)


def _unknown(syringe: str, facts: Facts) -> str | None:
    known = _syringes(facts)
    if syringe in known:
        return None
    names = f"there are {', '.join(known)}" if known else "none was drawn up"
    return f"there is no syringe {syringe}: {names}"


def _hand(form: HandInjection, facts: Facts) -> str | None:
    last = max(facts.said(HandInjection), key=lambda fact: fact.seq, default=None)  # as they are said, not as it was
    begun = last if last is not None and last.data.state == "begin" else None
    if form.state == "begin" and begun is not None:
        return f"an injection by hand is under way since entry {begun.seq}: end it first"
    if form.state == "end" and begun is None:
        return "no injection by hand is under way: say begin first (with `at`, if it was before now)"
    if begun is not None and None not in (begun.data.syringe, form.syringe) and begun.data.syringe != form.syringe:
        return f"the injection since entry {begun.seq} is from syringe {begun.data.syringe}, not {form.syringe}"
    return None if form.syringe is None else _unknown(form.syringe, facts)


def _needle(form: Needle, facts: Facts) -> str | None:
    actions = [fact.data.action for fact in facts.said(Needle)]
    if form.action == "placed" or actions.count("placed") > actions.count("removed"):
        return None
    return f"no needle is in place that could be {form.action}: say first that one was placed"


_CHECKS: dict[type[Clinical], Callable[[Any, Facts], str | None]] = {
    Correction: _correction,
    DrawnUp: _drawn_up,
    DrugDiscarded: _emptied,
    DrugGiven: _emptied,
    HandInjection: _hand,
    Needle: _needle,
}
