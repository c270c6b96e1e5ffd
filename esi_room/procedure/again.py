"""A record followed again: whether what is said to follow in it does, and nothing is left out.

It needs nothing but the record: the rules that were in force, with their parameters, stand in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from esi_room.events import Entry, Payload, ProcedureRules, Severity
from esi_room.procedure.follower import Follower, is_derived
from esi_room.procedure.rules import Book, RuleData
from esi_room.procedure.taken import Taken


class Mismatch(NamedTuple):
    """`seq`: of the entry at which the record says something else than what follows from it."""

    seq: int
    what: str


def mismatches(entries: Iterable[Entry]) -> Iterator[Mismatch]:
    """Of one record, its entries in order. Nothing: everything derived is what follows, and stands where it must.

    A record that names no rules (one that never held a procedure) is taken as it is.
    """
    lines = list(entries)
    book = _book(lines)
    if book is None:
        return
    follower = Follower(lines[0].record, book)
    due: list[Payload] = []
    for entry in lines:
        taken = Taken.of_entry(entry)
        if taken is None:
            continue
        if is_derived(taken.data):
            due = due or follower.look(taken.received)
            if taken.data not in due:
                yield Mismatch(entry.seq, f"{entry.type} does not follow from what stands before it")
            due = [payload for payload in due if payload != taken.data]
        elif due:
            yield Mismatch(entry.seq, f"{due[0].TYPE} should stand before this")
            due = []
        follows = follower.take(taken)
        if follows and not due:
            due = follower.following()
    if due:
        yield Mismatch(lines[-1].seq, f"{due[0].TYPE} should stand behind this")


def _book(entries: list[Entry]) -> Book | None:
    """The rules in force, as the record has them: the first that it names."""
    for entry in entries:
        if entry.type == ProcedureRules.TYPE:
            return book_of(msgspec.json.decode(entry.data, type=ProcedureRules))
    return None


def book_of(said: ProcedureRules) -> Book:
    """The book that an entry names, without the texts."""
    rules = {}
    for rule, given in said.rules.items():
        severity: Severity = given["severity"]
        parameters = {key: value for key, value in given.items() if key not in ("severity", "source")}
        source = given.get("source", "")
        rules[rule] = RuleData(id=rule, text="", severity=severity, source=source, on=True, parameters=parameters)
    return Book(version=said.version, sha256=said.sha256, rules=rules)
