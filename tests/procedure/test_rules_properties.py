"""The rules: what holds for any record whatever."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from any_payload import corrections, of_type, payloads, records
from hypothesis import given, settings
from hypothesis import strategies as st

from esi_room.events import BY_TYPE, AlertRaised, Payload, ProcedureStarted
from esi_room.events.clinical import ALL, Clinical, Correction
from esi_room.procedure import completeness, contradictions, rules
from esi_room.procedure.corrections import corrected
from esi_room.procedure.facts import Facts
from esi_room.procedure.taken import Taken

BOOK = rules.load()
STARTED = ProcedureStarted(procedure=None, origin="staff")


def folded(entries: list[Taken], kept: rules.Kept | None = None) -> tuple[Facts, list[AlertRaised]]:
    """The facts, and every alert in order: each is taken in right behind what it follows from."""
    facts, alerts, seq = Facts("r"), list[AlertRaised](), 0
    for entry in entries:
        facts.take(entry._replace(seq=seq))
        due = list(rules.what_follows(facts, BOOK, kept))
        for at, alert in enumerate(due, seq + 1):
            assert all(0 <= fact <= seq for fact in alert.facts), (alert, seq)
            assert len(set(alert.facts)) == len(alert.facts), alert
            facts.take(Taken(at, entry.time_ns, entry.received, "room", alert))
        assert not list(rules.what_follows(facts, BOOK, kept)), "it does not come to rest"
        alerts, seq = alerts + due, seq + len(due) + 1
    return facts, alerts


@given(records())
@settings(max_examples=150, deadline=None)
def test_any_record_can_be_judged(entries: list[Taken]) -> None:
    facts, alerts = folded(entries)
    assert all(alert.text and alert.rule in rules.RULES for alert in alerts)
    assert all(rules.not_assessable(facts, BOOK).values())
    assert completeness.report(facts, BOOK).lacks is not None


@given(records())
@settings(max_examples=50, deadline=None)
def test_the_same_record_gives_the_same_alerts(entries: list[Taken]) -> None:
    first, again = folded(entries), folded(entries)
    assert first[1] == again[1]
    assert (first[0].now_ns, first[0].raised.keys()) == (again[0].now_ns, again[0].raised.keys())
    assert first[1] == folded(entries, {})[1], "what is kept of a verdict is not what it would be now"


@given(records(), payloads().filter(lambda payload: isinstance(payload, Clinical)))
@settings(max_examples=50, deadline=None)
def test_any_form_is_taken_or_refused_with_words(entries: list[Taken], form: Payload) -> None:
    facts, _ = folded(entries)
    assert isinstance(form, Clinical)
    refused = contradictions.why_not(form, facts)
    assert refused is None or refused


@given(st.one_of(*(of_type(form) for form in ALL)), corrections())
@settings(max_examples=200, deadline=None)
def test_a_correction_gives_a_form_that_holds_or_words(said: Clinical, correction: Correction) -> None:
    made = corrected(said, correction.fields)
    if isinstance(made, str):
        assert made
    else:
        assert (type(made), made.actor) == (type(said), said.actor)
        assert not list(made.problems())


@pytest.mark.parametrize("kind", BY_TYPE.values(), ids=list(BY_TYPE))
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_what_is_read_back_is_what_was_written(kind: type[Payload], data: Any) -> None:
    payload = data.draw(of_type(kind))
    assert msgspec.json.decode(msgspec.json.encode(payload), type=kind) == payload
