"""`csv`: two tidy tables (RFC 4180, UTF-8, with a heading), as pandas, R or a spreadsheet read them.

    <record>.readings.csv   one row a reading of a monitor or a pump
    <record>.events.csv     one row for everything else: forms, phases, images, dose, deliveries, alerts, gaps …

Rules:
- A value that a device marked bad is an empty field with its `status`, never a number; a quantity that a pump does not
  state has no row.
- `time` is when it happened, `received` when it came, both RFC 3339 UTC by the room's clock.
- `data` is the entry's own JSON, octet for octet. A form that was corrected stays as it was said; `corrected_by` names
  the entries that correct it.
- `broken` is empty where the record verifies, and says on every row why where it does not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.files import named, written
from esi_room.events import PumpStatus, VitalsNumeric, VitalsWaveform

READINGS = (
    "record", "seq", "time", "received", "source", "type", "code", "name", "value", "unit", "status", "broken",
)  # fmt: skip
EVENTS = (
    "record", "seq", "time", "received", "source", "type", "place", "actor", "corrected_by", "data", "broken",
)  # fmt: skip
_PUMP_UNITS = {"rate_ml_h": "mL/h", "delivered_ml": "mL", "target_ml": "mL", "pressure_mmhg": "mm[Hg]"}

Row = tuple[Any, ...]


def export(case: Case, to: Path) -> list[Path]:
    """Both tables."""
    made = []
    for suffix, heading, rows in (("readings.csv", READINGS, _readings), ("events.csv", EVENTS, _events)):
        path = named(case, to, suffix)
        with written(path) as file:
            _write(file, heading, _rows(case, rows))
        made.append(path)
    return made


def _write(file: BinaryIO, heading: Row, rows: Iterable[Row]) -> None:
    with io.TextIOWrapper(file, "utf-8", newline="", write_through=True) as text:
        table = csv.writer(text)
        table.writerow(heading)
        table.writerows(rows)


def _rows(case: Case, rows: Callable[[Case, Said], Iterator[Row]]) -> Iterator[Row]:
    for said in case.said():
        entry = said.entry
        first = (entry.record, entry.seq, entry.time, entry.received, entry.source, entry.type)
        for row in rows(case, said):
            yield (*first, *row, case.broken or "")


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
    corrections = case.corrections.get(said.entry.seq, ()) if said.place != "late" else ()
    corrected_by = " ".join(str(each.entry.seq) for each in corrections)
    yield (
        said.place,
        getattr(said.data, "actor", None) or "",
        corrected_by,
        bytes(said.entry.data).decode(errors="replace"),
    )
