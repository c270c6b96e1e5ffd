"""What a record says with its amendments: its forms and phases, those said after it was sealed included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from esi_room.events import Entry
from esi_room.procedure.facts import Facts
from esi_room.procedure.taken import Taken
from esi_room.record.amendments import read_amendments
from esi_room.record.reader import journal_path
from esi_room.record.verify_lines import lines, opened

_MARKS = (b'"type":"clinical.', b'"type":"procedure.')


def facts_of(root: Path, record: str) -> Facts:
    """The staff's words and the phases, corrected; none of the devices' entries is looked at. OSError."""
    facts = Facts(record)
    for octets in _lines(root, record):
        taken = _taken(octets) if any(mark in octets for mark in _MARKS) else None
        if taken is not None:
            facts.take(taken)
    return facts


def _lines(root: Path, record: str) -> Iterator[bytes]:
    with opened(journal_path(root, record)) as file:
        yield from lines(file)
    yield from (line.octets for line in read_amendments(root, record))


def _taken(octets: bytes) -> Taken | None:
    try:
        return Taken.of_entry(msgspec.json.decode(octets, type=Entry))
    except ValueError:  # `verify` names it
        return None
