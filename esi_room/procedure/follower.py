"""The follower: what follows from the entries of a procedure's record, as entries. Pure: no clock, no I/O.

    an entry -> Facts, Segments -> procedure.rules, hinted phases, deliveries, alerts, at the end procedure.completeness

Rules:
- What follows from an entry stands right behind it, one after the other; behind `operator.command` nothing is put in,
  for the next entry is its effect.
- Time passes with the entries alone, so that the same entries followed again give the same at the same `seq`. Between
  them somebody may look: what that finds becomes an entry with the time of the look, and what it does not find was not
  looked for.
"""

from __future__ import annotations

from collections.abc import Iterable

from esi_room.clock import Stamp
from esi_room.events import (
    AlertAcknowledged,
    AlertRaised,
    ConfigChanged,
    Delivery,
    DeviceRejected,
    OperatorCommand,
    Payload,
    ProcedureCompleteness,
    ProcedurePhase,
    ProcedureRules,
    RecordOpened,
    RecordRecovered,
    RecordSealed,
    VitalsWaveform,
)
from esi_room.procedure import completeness, phases, rules
from esi_room.procedure.facts import STAFF, Facts
from esi_room.procedure.rules.verdict import injections
from esi_room.procedure.segments import Segments
from esi_room.procedure.taken import Taken

_SILENT = (
    OperatorCommand,
    RecordOpened,
    RecordRecovered,
    RecordSealed,
    ConfigChanged,
    VitalsWaveform,
    DeviceRejected,
)
"""Nothing follows from these by themselves."""


class Follower:
    """Of one record, under one book of rules."""

    def __init__(self, record: str, book: rules.Book) -> None:
        self.facts, self.book = Facts(record), book
        self._segments = Segments()
        self._deliveries: dict[int, Delivery] = {}  # those that are due and not yet in the record
        self._hint: tuple[phases.Hint, str, int] | None = None
        self._kept: rules.Kept = {}

    def take(self, taken: Taken) -> bool:
        """The next entry; whether anything may follow from it."""
        self.facts.take(taken)
        if isinstance(taken.data, Delivery):
            self._deliveries.pop(taken.data.number, None)
        hint = phases.hint(taken.data)
        if hint is not None and self._means(hint, taken.seq):
            self._hint = (hint, taken.source, taken.seq)
        self._due(self._segments.take(taken.seq, taken.time_ns, taken.source, taken.data))
        return not isinstance(taken.data, _SILENT)

    def look(self, now: Stamp) -> list[Payload]:
        """What is due `now`, between two entries. It counts as happened once it is an entry, received `now`."""
        with self.facts.at(now):
            self._due(self._segments.due(now.wall_ns))
            return self.following()

    def forget_hint(self) -> None:
        """What a device hinted at before the daemon was started again, it has followed or nobody missed."""
        self._hint = None

    def following(self) -> list[Payload]:
        """What is due now, to be appended and taken. Then it is asked for again, until there is nothing."""
        if self.facts.completeness is not None:
            return []
        if self.facts.started is None:
            return self._alerts()
        return self._entries() or self._alerts() or self._at_the_end()

    def _entries(self) -> list[Payload]:
        """Rules in force, a phase, deliveries."""
        if self.facts.rules is None or self.facts.rules.data.sha256 != self.book.sha256:
            return [_under(self.book)]
        hinted = self._hinted()
        if hinted is not None:
            return [hinted]
        if self.facts.ended is not None:
            self._due(self._segments.close(self.facts.ended.time_ns))
        return list(self._deliveries.values())

    def _alerts(self) -> list[Payload]:
        return list(rules.what_follows(self.facts, self.book, self._kept))

    def _at_the_end(self) -> list[Payload]:
        return [] if self.facts.ended is None else [completeness.report(self.facts, self.book)]

    def _means(self, hint: phases.Hint, seq: int) -> bool:
        """A pump that gives something else, sedation or a flush, begins no injection."""
        return hint.phase != "injection" or any(start.seq == seq for start in injections(self.facts))

    def _due(self, finished: Iterable[Delivery]) -> None:
        self._deliveries |= {delivery.number: delivery for delivery in finished}

    def _hinted(self) -> ProcedurePhase | None:
        if self._hint is None:
            return None
        (hint, source, seq), self._hint = self._hint, None
        if self.facts.ended is not None or not phases.is_ahead(hint.phase, self.facts.phase):
            return None
        return ProcedurePhase(phase=hint.phase, previous=self.facts.phase, origin=source, reason=hint.reason, fact=seq)


def is_derived(payload: Payload) -> bool:
    """Whether an entry follows from others, and nobody said or sent it."""
    match payload:
        case AlertAcknowledged():
            return False
        case AlertRaised(rule=rule):
            return rule in rules.RULES
        case ProcedurePhase(origin=origin):
            return origin != STAFF
    return isinstance(payload, ProcedureRules | Delivery | ProcedureCompleteness)


def _under(book: rules.Book) -> ProcedureRules:
    return ProcedureRules(version=book.version, sha256=book.sha256, rules=book.in_force, off=book.off)
