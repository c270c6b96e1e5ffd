"""From findings to alerts: raised once, cleared, raised again under another id; rules that are off."""

from __future__ import annotations

import json

import msgspec
import pytest
from procedure_rig import Case, only

from esi_room.events import AlertAcknowledged, AlertCleared, AlertRaised
from esi_room.procedure import rules
from esi_room.procedure.rules.table import RULES


def broken() -> Case:
    """R1, with the whole book on."""
    case = Case()
    case.image(206)
    return case


def test_an_alert_says_where_its_rule_comes_from() -> None:
    said = broken().alerts["R1"]
    assert said.source_text == "Universal Protocol; WHO/FPM checklist"
    assert (said.actor, said.reason, said.overridden) == (None, None, False)


def test_it_is_raised_once_whatever_else_happens() -> None:
    case = broken()
    for at_s in range(210, 240):
        case.image(at_s)
        case.says(at_s, "note")
    assert case.history.count("+R1") == 1


def test_what_is_cleared_is_what_was_raised() -> None:
    case = Case("R1")
    case.image(206)
    case.says(214, "time_out", happened_s=150)
    raised, cleared = case.told
    assert type(cleared) is AlertCleared
    assert cleared.reason == "its cause ended"
    for field in ("alert", "rule", "severity", "text", "facts"):
        assert getattr(cleared, field) == getattr(raised, field)


def test_seen_or_overridden_it_stands_and_is_not_raised_again() -> None:
    case = broken()
    said = case.alerts["R1"]
    seen = AlertAcknowledged(
        **(msgspec.structs.asdict(said) | {"actor": "Dr. A", "reason": "emergency", "overridden": True})
    )
    case.take(220, seen)
    case.image(230)
    assert case.history == ["+R1"]
    assert case.facts.acknowledged == {"R1"}
    case.says(240, "time_out", happened_s=150)
    assert case.history == ["+R1", "-R1"]


def test_the_number_of_a_repetition_counts_all_before_it() -> None:
    case = Case("R14")
    for _ in range(12):
        wrong = case.says(None, "needle", side="right")
        case.withdraws(None, wrong)
    raised = [each for each in case.history if each.startswith("+")]
    assert raised[0] == "+R14-injection"
    assert raised[1:] == [f"+R14-injection~{n}" for n in range(2, 13)]


def test_alerts_of_others_are_left_alone() -> None:
    case = Case()
    other = AlertRaised(
        alert="carm-identity~2",
        rule="carm.identity_mismatch",
        severity="critical",
        text="Another patient.",
        facts=(1,),
        actor=None,
        reason=None,
    )
    case.take(100, other)
    case.wait(200)
    assert (list(case.alerts), case.history) == (["carm-identity~2"], [])


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_off_says_nothing_and_lacks_nothing(rule: str) -> None:
    off = only(*(each for each in RULES if each != rule))
    case = Case()
    case.book = off
    assert (rule in off.off, rule in off.in_force) == (True, False)
    case.image(206)
    case.pump_starts(480)
    case.enters(500, "recovery")
    assert not any(alert.rule == rule for alert in case.alerts.values())
    assert rule not in case.lacking


def test_a_rule_that_is_switched_off_while_its_alert_stands() -> None:
    """The daemon was started again under other rules."""
    case = broken()
    (alert,) = (alert for alert in rules.what_follows(case.facts, only("R2")) if alert.rule == "R1")
    assert (type(alert), alert.reason) == (AlertCleared, "the rule is not in force any more")


def test_a_severity_of_the_file_is_the_alerts() -> None:
    case = Case("R1")
    changed = {rule: msgspec.structs.replace(data, severity="low") for rule, data in case.book.rules.items()}
    case.book = msgspec.structs.replace(case.book, rules=changed)
    first = case.image(206)
    case.is_raised("R1", "low", (first,))


def test_nothing_is_judged_before_a_procedure_begins_but_dose() -> None:
    case = Case(started=False)
    case.image(206)
    case.pump_starts(300)
    assert case.alerts == {}
    assert [rule for rule, data in RULES.items() if data.between_cases] == ["R16"]


def test_of_an_empty_procedure_every_rule_says_what_it_lacks_or_does_not_apply() -> None:
    """Nothing was done: there are no views to keep yet, and no lidocaine to sum."""
    lacking = Case(plan=None).lacking
    assert set(RULES) - set(lacking) == {"R7", "R11"}
    assert all(words == words.strip() and not words.endswith(".") for words in lacking.values())


def test_every_alert_is_json() -> None:
    case = broken()
    assert json.loads(msgspec.json.encode(case.alerts["R1"]))["rule"] == "R1"
