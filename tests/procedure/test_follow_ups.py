"""Which follow-ups are due, late, done or were never planned."""

from __future__ import annotations

from datetime import date

import pytest

from esi_room.clock import Stamp
from esi_room.events import Payload, ProcedureEnded, ProcedureStarted
from esi_room.events.clinical import Correction, FollowUp, FollowUpPlan
from esi_room.procedure.facts import Facts
from esi_room.procedure.follow_ups import contacts
from esi_room.procedure.taken import Taken

STARTED = ProcedureStarted(procedure="L4/5", origin="staff")
ENDED = ProcedureEnded(outcome="completed", origin="staff")
ON = date(2026, 12, 7)


def plan(due: str, contact: str = "phone") -> FollowUpPlan:
    return FollowUpPlan(due=due, contact=contact, actor="A")


def made(day: str, *, reached: bool = True) -> FollowUp:
    return FollowUp(date=day, contact="visit", reached=reached, actor="A")


def states(*said: Payload) -> list[str]:
    facts = Facts("20261123T093000Z-1f2e")
    for seq, payload in enumerate(said):
        facts.take(Taken(seq, seq, Stamp(seq, seq), "room", payload))
    return [contact.words for contact in contacts(facts, ON)]


@pytest.mark.parametrize(
    ("due", "state"),
    [
        ("2026-12-08", "to come"),
        ("2026-12-07", "due"),
        ("2026-12-06", "late by 1 day"),
        ("2026-11-30", "late by 7 days"),
    ],
)
def test_a_plan_comes_due(due, state):
    assert states(STARTED, plan(due), ENDED) == [state]
    assert states(STARTED, plan(due)) == [state]
    assert states(STARTED, plan(due), ENDED, made("2026-12-05")) == ["done on 2026-12-05"]


def test_each_follow_up_settles_the_earliest_plan_that_is_open():
    plans = plan("2026-12-21", "visit"), plan("2026-11-30")
    assert states(STARTED, *plans) == ["late by 7 days", "to come"]
    assert states(STARTED, *plans, made("2026-12-01")) == ["done on 2026-12-01", "to come"]
    assert states(STARTED, *plans, made("2026-12-05"), made("2026-12-01")) == [
        "done on 2026-12-01",
        "done on 2026-12-05",
    ]


def test_an_attempt_that_reached_nobody_settles_nothing_and_is_told():
    tried = made("2026-12-01", reached=False)
    assert states(STARTED, plan("2026-11-30"), tried) == ["late by 7 days, not reached once"]
    assert states(STARTED, plan("2026-11-30"), tried, tried) == ["late by 7 days, not reached 2 times"]
    assert states(STARTED, plan("2026-11-30"), tried, made("2026-12-02")) == ["done on 2026-12-02"]
    assert states(STARTED, ENDED, tried) == ["not planned, not reached once"]


def test_corrections_count_and_what_was_withdrawn_does_not():
    corrected = Correction(seq=1, reason="typed wrongly", fields={"due": "2026-12-07"}, actor="A")
    withdrawn = Correction(seq=1, reason="another patient", withdrawn=True, actor="A")
    assert states(STARTED, plan("2026-11-30"), ENDED, corrected) == ["due"]
    assert states(STARTED, plan("2026-11-30"), ENDED, withdrawn) == ["not planned"]
    done = Correction(seq=3, reason="another patient", withdrawn=True, actor="A")
    assert states(STARTED, plan("2026-11-30"), ENDED, made("2026-12-01"), done) == ["late by 7 days"]


def test_a_procedure_without_a_plan_is_named_once_it_is_over():
    assert states() == []
    assert states(STARTED) == []
    assert states(STARTED, ENDED) == ["not planned"]
    assert states(STARTED, ENDED, made("2026-12-01")) == ["done on 2026-12-01"]
