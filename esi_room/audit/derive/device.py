"""One device of a record derived again: every difference, with the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.audit.derive.comparing import Pair, differing
from esi_room.audit.derive.deriving import Deriving
from esi_room.audit.derive.wires import Piece, Wire
from esi_room.audit.entries import entries
from esi_room.clock import NS, parse_rfc3339
from esi_room.drivers.contract import Driver
from esi_room.events import (
    DeviceAlarm,
    DeviceRejected,
    DeviceState,
    Entry,
    ProcedureRules,
    PumpAlarm,
    PumpCompleted,
    PumpStarted,
    PumpStatus,
    PumpStopped,
    RecordRecovered,
    RecordSealed,
    VitalsNumeric,
    VitalsWaveform,
)
from esi_room.record.wire import COALESCE_S

_SAID = (DeviceAlarm, PumpAlarm, PumpCompleted, PumpStarted, PumpStatus, PumpStopped, VitalsNumeric, VitalsWaveform)
SAID = frozenset(payload.TYPE for payload in _SAID)
"""The types of what a driver says."""


class Difference(NamedTuple):
    """`seq` of the entry, `line` of the wire file; `recorded` and `derived` as JSON, `octets` as they came."""

    device: str
    what: str
    seq: int | None = None
    line: int | None = None
    recorded: str | None = None
    derived: str | None = None
    octets: bytes = b""


class Known(NamedTuple):
    """What the journal says beside the readings. `unsaid`: spans of time (from, to) at whose end the daemon was killed,
    or which is not over: what was on its way to the record then was never acknowledged. `ruled`: it names rules, so
    that something follows from its entries."""

    drivers: Mapping[str, frozenset[str]]
    identities: Mapping[str, frozenset[str]]
    sources: frozenset[str]
    unsaid: tuple[tuple[int, int], ...]
    ruled: bool


def known(record: Path) -> Known:
    """From one reading of the journal."""
    drivers: dict[str, set[str]] = {}
    identities: dict[str, set[str]] = {}
    sources: set[str] = set()
    unsaid: list[tuple[int, int]] = []
    ruled, last = False, None
    for _, entry in entries(record):
        if entry.type in SAID:
            sources.add(entry.source)
        elif entry.type == DeviceState.TYPE:
            with suppress(ValueError):  # only in a record that does not hold
                said = msgspec.json.decode(entry.data, type=DeviceState)
                drivers.setdefault(entry.source, set()).update(filter(None, [said.driver]))
                identities.setdefault(entry.source, set()).update(filter(None, [said.identity]))
        elif entry.type == RecordRecovered.TYPE and last is not None:
            unsaid.append((_wall_ns(last), _wall_ns(entry)))
        ruled = ruled or entry.type == ProcedureRules.TYPE
        last = entry
    if last is not None and last.type != RecordSealed.TYPE:
        unsaid.append((_wall_ns(last), 1 << 63))
    return Known(_frozen(drivers), _frozen(identities), frozenset(sources), tuple(unsaid), ruled)


class Checked(NamedTuple):
    """How far it went: entries that the device has in the record, lines of its wire file, and notes in words."""

    entries: int
    lines: int
    notes: tuple[str, ...]


class DeviceCheck:
    """`differences` first, then `checked`."""

    def __init__(self, wire: Wire, make: Callable[[], Driver], facts: Known) -> None:
        self._wire, self._facts = wire, facts
        self._deriving = Deriving(wire.device, make)
        self._entries = self._unsaid = 0

    def differences(self) -> Iterator[Difference]:
        """In the order of the record; then those of the whole."""
        for pair in differing(self._deriving.events(self._wire.pieces()), self._recorded()):
            if pair.recorded is None and self._never_acknowledged(pair):
                self._unsaid += 1
            else:
                yield self._difference(pair)
        yield from self._identities()
        if self._wire.whole:
            yield from self._rejects()

    @property
    def checked(self) -> Checked:
        """What was compared."""
        notes = []
        if not self._wire.whole:
            notes.append("its line was opened in a record that is not here: what the driver knew from then is missing")
        if self._unsaid:
            notes.append(f"{self._unsaid} thing(s) said when the daemon was killed or still writes: not acknowledged")
        return Checked(self._entries, self._deriving.pieces, tuple(notes))

    def _recorded(self) -> Iterator[Entry]:
        for _, entry in entries(self._wire.record):
            if entry.source == self._wire.device and entry.type in SAID:
                self._entries += 1
                yield entry

    def _never_acknowledged(self, pair: Pair) -> bool:
        at_ns = 0 if pair.derived is None else pair.derived.event.received.wall_ns
        slack_ns = round(COALESCE_S * NS)
        return any(begin - slack_ns <= at_ns <= end for begin, end in self._facts.unsaid)

    def _difference(self, pair: Pair) -> Difference:
        derived, recorded = pair
        device = self._wire.device
        if recorded is None and derived is not None:
            what = "the bytes say something that is not recorded"
            return Difference(device, what, None, derived.number, None, _text(derived.event.data), derived.octets)
        if derived is None and recorded is not None:
            piece = self._piece_of(recorded)
            line, octets = (None, b"") if piece is None else (piece.number, piece.octets)
            return Difference(
                device, "recorded, and no bytes say it", recorded.seq, line, _line(recorded), None, octets
            )
        assert derived is not None and recorded is not None  # noqa: S101 - one of them is there
        what = "recorded otherwise than the bytes say"
        said = _line(recorded), _text(derived.event.data)
        if said[0] == said[1]:
            what = "recorded with another time than the bytes have"
        return Difference(device, what, recorded.seq, derived.number, *said, derived.octets)

    def _piece_of(self, recorded: Entry) -> Piece | None:
        """The last that came before the entry says it did."""
        found = None
        for piece in self._wire.pieces():
            if piece.own and piece.direction == "rx" and piece.stamp.mono_ns <= recorded.mono_ns:
                found = piece
        return found

    def _identities(self) -> Iterator[Difference]:
        recorded = self._facts.identities.get(self._wire.device, frozenset())
        for identity in sorted(recorded - self._deriving.identities) if self._wire.whole else ():
            yield Difference(self._wire.device, "no bytes say this identity of the device", recorded=identity)

    def _rejects(self) -> Iterator[Difference]:
        """Octets that were not understood: as many as were recorded, and for the same reasons."""
        counted, reasons = 0, set[str]()
        for entry in self._rejected_entries():
            with suppress(ValueError):
                said = msgspec.json.decode(entry.data, type=DeviceRejected)
                counted, reasons = counted + said.bytes, reasons | set(said.counts)
        derived = self._deriving.rejected
        if reasons <= set(derived) and counted <= derived.total() <= counted + self._uncounted():
            return
        recorded = f"{counted} octets: {', '.join(sorted(reasons)) or 'none'}"
        found = f"{derived.total()} octets: {', '.join(sorted(derived)) or 'none'}"
        yield Difference(self._wire.device, "rejected otherwise", recorded=recorded, derived=found)

    def _uncounted(self) -> int:
        """How many of them may not be written yet, or were not when the daemon was killed."""
        if self._facts.unsaid:
            return self._deriving.rejected.total()
        return self._deriving.uncounted

    def _rejected_entries(self) -> Iterator[Entry]:
        began = self._wire.began()
        for record in (*self._wire.before, self._wire.record):
            since_ns = began.stamp.mono_ns if began is not None and record == self._wire.before[0] else None
            for _, entry in entries(record):
                own = entry.source == self._wire.device and entry.type == DeviceRejected.TYPE
                if own and (since_ns is None or entry.mono_ns >= since_ns):
                    yield entry


def _wall_ns(entry: Entry) -> int:
    return parse_rfc3339(entry.received)


def _frozen(found: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    return {key: frozenset(values) for key, values in found.items()}


def _line(entry: Entry) -> str:
    return f"{entry.type} {bytes(entry.data).decode(errors='replace')}"


def _text(data: object) -> str:
    return f"{getattr(data, 'TYPE', '')} {msgspec.json.encode(data).decode()}"
