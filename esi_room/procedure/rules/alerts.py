"""From what the rules say of the facts to alerts: raised once, cleared when the cause ends.

A deviation that comes again after it was cleared is another alert: its id ends in ~2, ~3 …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esi_room.events import AlertCleared, AlertRaised
from esi_room.procedure.facts import Facts
from esi_room.procedure.rules.book import Book
from esi_room.procedure.rules.table import RULES
from esi_room.procedure.rules.verdict import NOTHING, Finding, Verdict

Kept = dict[str, tuple[int, Verdict]]
"""What a rule said last, and of which of the facts' changes: most entries are vitals, and concern three rules."""


def what_follows(facts: Facts, book: Book, kept: Kept | None = None) -> Iterator[AlertRaised]:
    """The alerts that are due by the facts: new deviations, and the end of others. `kept`: of the same record and book,
    to be given again."""
    present = dict(_findings(facts, book.in_force, {} if kept is None else kept))
    for alert, fact in list(facts.alerts.items()):
        if fact.data.rule in RULES and _name(alert) not in present:
            yield AlertCleared(
                alert=alert,
                rule=fact.data.rule,
                severity=fact.data.severity,
                text=fact.data.text,
                facts=fact.data.facts,
                actor=None,
                reason="its cause ended" if fact.data.rule in book.in_force else "the rule is not in force any more",
            )
    standing = {_name(alert) for alert in facts.alerts}
    for name, (rule, finding) in present.items():
        if name not in standing:
            data = book.rules[rule]
            yield AlertRaised(
                alert=_next_id(name, facts),
                rule=rule,
                severity=finding.severity or data.severity,
                text=finding.text,
                facts=tuple(dict.fromkeys(finding.facts)),
                actor=None,
                reason=None,
                source_text=data.source,
            )


def not_assessable(facts: Facts, book: Book) -> dict[str, str]:
    """Rules that are on and could not be judged, or not in all of it, and why."""
    verdicts = ((rule, RULES[rule].judge(facts, given)) for rule, given in book.in_force.items())
    return {rule: verdict.lacking for rule, verdict in verdicts if verdict.lacking is not None}


def _findings(
    facts: Facts, in_force: Mapping[str, Mapping[str, Any]], kept: Kept
) -> Iterator[tuple[str, tuple[str, Finding]]]:
    for rule, given in in_force.items():
        if facts.started is None and not RULES[rule].between_cases:
            continue
        changes, verdict = kept.get(rule, (-1, NOTHING))
        if RULES[rule].watches or changes != facts.changes:
            verdict = RULES[rule].judge(facts, given)
            kept[rule] = (facts.changes, verdict)
        for finding in verdict.findings:
            yield (f"{rule}-{finding.key}" if finding.key else rule), (rule, finding)


def _name(alert: str) -> str:
    """The id without the number that a repetition gave it."""
    name, dash, number = alert.rpartition("~")
    return name if dash and number.isdigit() else alert


def _next_id(name: str, facts: Facts) -> str:
    before = sum(_name(alert) == name for alert in facts.raised)
    return f"{name}~{before + 1}" if before else name
