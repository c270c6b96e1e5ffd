"""Follow-ups: which were planned, which are due or late, which are done. Pure functions over what a record says.

Rules:
- A plan is one contact; a record may hold several. Corrected ones count as corrected, withdrawn ones do not.
- A follow-up in which the patient was reached settles the earliest plan that is still open, before its day or after it.
  An attempt that reached nobody settles none.
- A procedure that is under way has its follow-up planned at its end: it is not yet one without a plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import zip_longest
from typing import Literal, NamedTuple

from esi_room.events.clinical import FollowUp, FollowUpPlan
from esi_room.procedure.facts import Facts

PATIENCE_DAYS = 30  # nobody asks any more after that; the record need not be kept for it

State = Literal["to come", "due", "late", "done", "not planned"]


class Contact(NamedTuple):
    """A follow-up of one procedure. `planned_for` and `contact`: by its plan; None where there was none."""

    record: str
    procedure: str | None
    planned_for: str | None
    contact: str | None
    state: State
    late_days: int = 0
    done_on: str | None = None
    attempts: int = 0
    """How often the patient was not reached."""

    @property
    def words(self) -> str:
        """Its state, as a person reads it."""
        if self.state == "done":
            return f"done on {self.done_on}"
        days = f"{self.late_days} day{'' if self.late_days == 1 else 's'}"
        tried = f", not reached {self.attempts} times" if self.attempts > 1 else ", not reached once"
        return (f"late by {days}" if self.state == "late" else self.state) + (tried if self.attempts else "")


def contacts(facts: Facts, on: date) -> list[Contact]:
    """The follow-ups of a procedure as of a day, by the day they were planned for; none for what is no procedure."""
    if facts.started is None:
        return []
    said = [fact.data for fact in facts.said(FollowUp)]
    plans = sorted((fact.data for fact in facts.said(FollowUpPlan)), key=lambda plan: plan.due)
    made = sorted((one for one in said if one.reached), key=lambda one: one.date)
    if not plans and not made:
        return [] if facts.ended is None else [_contact(facts, None, None, on, len(said))]
    found = [_contact(facts, plan, done, on, 0) for plan, done in zip_longest(plans, made)]
    first_open = next((n for n, one in enumerate(found) if one.state != "done"), None)
    if first_open is not None:
        found[first_open] = found[first_open]._replace(attempts=len(said) - len(made))
    return found


def _contact(facts: Facts, plan: FollowUpPlan | None, done: FollowUp | None, on: date, attempts: int) -> Contact:
    state, late_days = _state(plan, done, on)
    return Contact(
        record=facts.record,
        procedure=facts.procedure,
        planned_for=None if plan is None else plan.due,
        contact=plan.contact if plan is not None else done.contact if done is not None else None,
        state=state,
        late_days=late_days,
        done_on=None if done is None else done.date,
        attempts=attempts,
    )


def _state(plan: FollowUpPlan | None, done: FollowUp | None, on: date) -> tuple[State, int]:
    if done is not None:
        return "done", 0
    if plan is None:
        return "not planned", 0
    days = (on - date.fromisoformat(plan.due)).days
    return ("to come" if days < 0 else "late" if days else "due"), max(0, days)


def awaited(found: Iterable[Contact]) -> str | None:
    """Which of a record's follow-ups somebody will still want to enter; None: none."""
    for each in found:
        if each.state in ("to come", "due") or (each.state == "late" and each.late_days <= PATIENCE_DAYS):
            return f"the follow-up planned for {each.planned_for} is not entered"
    return None
