"""`csv`: two tidy tables (RFC 4180, UTF-8, with a heading), as pandas, R or a spreadsheet read them.

    <record>.readings.csv   one row a reading of a monitor or a pump
    <record>.events.csv     one row for everything else: forms, phases, images, dose, deliveries, alerts, gaps …;
                            and for who used the record (`place` is then `use`)

Rules:
- A value that a device marked bad is an empty field with its `status`, never a number; a quantity that a pump does not
  state has no row.
- `time` is when it happened, `received` when it came, both RFC 3339 UTC by the room's clock.
- `data` is the entry's own JSON, octet for octet. A form that was corrected stays as it was said; `corrected_by` names
  the entries that correct it.
- `broken` is empty where the record verifies, and says on every row why where it does not.
- The record is read once, for both. `parquet` writes the same rows.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.files import named, written
from esi_room.events import PumpStatus, VitalsNumeric, VitalsWaveform
from esi_room.procedure.taken import Taken

READINGS = (
    "record", "seq", "time", "received", "source", "type", "code", "name", "value", "unit", "status", "broken",
)  # fmt: skip
EVENTS = (
    "record", "seq", "time", "received", "source", "type", "place", "actor", "corrected_by", "data", "broken",
)  # fmt: skip
_PUMP_UNITS = {"rate_ml_h": "mL/h", "delivered_ml": "mL", "target_ml": "mL", "pressure_mmhg": "mm[Hg]"}

Row = tuple[Any, ...]


class Table(NamedTuple):
    """One of the two: its name, its columns, and the rows that an entry has in it (what stands between the columns
    that all rows have)."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[Case, Said], Iterator[Row]]


def export(case: Case, to: Path) -> list[Path]:
    """Both tables."""
    paths = [named(case, to, f"{table.name}.csv") for table in TABLES]
    with ExitStack() as stack:
        writers = {}
        for table, path in zip(TABLES, paths, strict=True):
            file = stack.enter_context(written(path))
            text = stack.enter_context(io.TextIOWrapper(file, "utf-8", newline="", write_through=True))
            writers[table.name] = csv.writer(text)
            writers[table.name].writerow(table.columns)
        for table, row in rows(case):
            writers[table.name].writerow(row)
    return paths


def rows(case: Case) -> Iterator[tuple[Table, Row]]:
    """Every row of both tables, in the order of the entries."""
    for said in itertools.chain(case.said(), _uses(case)):
        entry = said.entry
        first = (entry.record, entry.seq, entry.time, entry.received, entry.source, entry.type)
        for table in TABLES:
            for row in table.rows(case, said):
                yield table, (*first, *row, case.broken or "")


def _uses(case: Case) -> Iterator[Said]:
    """Who used it, of later records: what its own journal has is there."""
    for used in case.uses:
        if used.entry is not None and used.entry.record != case.record:
            yield Said("use", used.entry, Taken.of_entry(used.entry))


def _readings(_: Case, said: Said) -> Iterator[Row]:
    match said.data:
        case VitalsNumeric(readings=readings):
            for each in readings:
                yield each.code, each.name, each.value, each.unit, each.status
        case PumpStatus() as pump:
            for name, unit in _PUMP_UNITS.items():
                value = getattr(pump, name)
                if value is not None:
                    yield "", name, value, unit, "ok"


def _events(case: Case, said: Said) -> Iterator[Row]:
    if isinstance(said.data, VitalsNumeric | VitalsWaveform):
        return
    corrections = case.corrections.get(said.entry.seq, ()) if said.place in ("journal", "amendment") else ()
    corrected_by = " ".join(str(each.entry.seq) for each in corrections)
    yield (
        said.place,
        getattr(said.data, "actor", None) or "",
        corrected_by,
        bytes(said.entry.data).decode(errors="replace"),
    )


TABLES = (Table("readings", READINGS, _readings), Table("events", EVENTS, _events))
