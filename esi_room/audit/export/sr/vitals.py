"""The log's entries, of what monitors measure (PS3.16 TID 3114): one for each device and each five minutes.

A log is read by people, and a record may have a hundred thousand readings. So it has the last of each name in every
five minutes (the longest that the ASA's standard leaves between two), at the moment of the last of them, each with the
entry that it is of. All of them are in the record, and in `csv` and `parquet`.
"""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.sr import codes as c
from esi_room.audit.export.sr import items as i
from esi_room.audit.export.sr.entry import ENTRY, Logged, logged, qualifiers, when
from esi_room.clock import NS
from esi_room.events import Reading, VitalsNumeric

EVERY_NS = 300 * NS
_WORDS = "the last reading of each name in five minutes; all are in the record"


def vitals(case: Case) -> Iterator[Logged]:
    """In no order."""
    last = dict[tuple[str, int], dict[str, tuple[Said, Reading]]]()
    for said in case.said():
        if isinstance(said.data, VitalsNumeric):
            window = last.setdefault((said.entry.source, when(said) // EVERY_NS), {})
            for reading in said.data.readings:
                window[reading.name] = said, reading
    for window in last.values():
        said = max((said for said, _ in window.values()), key=when)
        measured = [
            i.num(i.HAS, c.of_reading(reading), _value(reading), reading.unit, i.text(i.HAS, ENTRY, _entry(of)))
            for of, reading in window.values()
        ]
        item = i.code(i.CONTAINS, c.STATUS, c.ASSESSED, *measured, *qualifiers(case, said, _WORDS))
        yield logged(when(said), item)


def _value(reading: Reading) -> float | None:
    return reading.value if reading.status in ("ok", "questionable") else None


def _entry(said: Said) -> str:
    return f"{said.entry.record}#{said.entry.seq}"
