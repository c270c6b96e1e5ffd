"""What monitors and pumps said, as columns of figures: the largest part of what the page's script reads (`moments`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from esi_room.audit.export.case import Case
from esi_room.audit.export.page.words import is_main, label, unit
from esi_room.clock import parse_rfc3339
from esi_room.events import PumpStatus, Reading, VitalsNumeric
from esi_room.outputs.acts import STALE_AFTER_S

NS_PER_MS = 1_000_000
_PUMP_FIELDS = ("state", "rate_ml_h", "delivered_ml", "target_ml", "pressure_mmhg", "drug")


class Since:
    """Moments as milliseconds from the first one."""

    def __init__(self, origin_ms: int) -> None:
        self.origin_ms = origin_ms

    def ms(self, when: int | str) -> int:
        """Of a moment: nanoseconds since 1970, or RFC 3339."""
        wall_ns = parse_rfc3339(when) if isinstance(when, str) else when
        return wall_ns // NS_PER_MS - self.origin_ms


def steps(times: Iterable[int]) -> list[int]:
    """Each as its difference from the one before."""
    found, before = list[int](), 0
    for each in times:
        found.append(each - before)
        before = each
    return found


class _Block:
    """The messages of one device that have the same readings. A column is a value and a status a row."""

    def __init__(self, source: str, columns: list[dict[str, Any]]) -> None:
        self.source, self.columns, self.rows = source, columns, list[tuple[int, tuple[Any, ...]]]()

    def said(self) -> dict[str, Any]:
        """In the order of time."""
        self.rows.sort(key=lambda row: row[0])
        columns = [column | _column([row[1][n] for row in self.rows]) for n, column in enumerate(self.columns)]
        return {"source": self.source, "times": steps(row[0] for row in self.rows), "columns": columns}


def _column(cells: list[tuple[Any, str]]) -> dict[str, Any]:
    changes, before = list[tuple[int, str]](), "ok"
    for n, (_, now) in enumerate(cells):
        if now != before:
            changes.append((n, now))
        before = now
    found: dict[str, Any] = {"values": [value for value, _ in cells]}
    return found | {"status": changes} if changes else found


def measured(case: Case, since: Since) -> dict[str, Any]:
    """On one way through the record: `vitals`, `pumps`."""
    vitals, pumps = dict[Any, _Block](), dict[Any, _Block]()
    for said in case.said():
        data, source = said.data, said.entry.source
        if isinstance(data, VitalsNumeric):
            key = (source, data.stale_after_s, *((each.name, each.unit, each.stale_after_s) for each in data.readings))
            block = vitals.get(key)
            if block is None:
                block = vitals[key] = _Block(source, [_reading(each, data.stale_after_s) for each in data.readings])
            block.rows.append((since.ms(said.entry.time), tuple((each.value, each.status) for each in data.readings)))
        elif isinstance(data, PumpStatus):
            block = pumps.get((source, data.stale_after_s))
            if block is None:
                columns = [{"name": name, "life": _life_ms(data.stale_after_s)} for name in _PUMP_FIELDS]
                block = pumps[source, data.stale_after_s] = _Block(source, columns)
            block.rows.append((since.ms(said.entry.time), tuple((getattr(data, name), "ok") for name in _PUMP_FIELDS)))
    return {
        "vitals": [block.said() for block in vitals.values()],
        "pumps": [block.said() for block in pumps.values()],
    }


def _reading(reading: Reading, stale_after_s: float | None) -> dict[str, Any]:
    own_s = stale_after_s if reading.stale_after_s is None else reading.stale_after_s
    head = {"name": reading.name, "label": label(reading.name), "unit": unit(reading.unit), "life": _life_ms(own_s)}
    return head | ({"main": True} if is_main(reading.name) else {})


def _life_ms(stale_after_s: float | None) -> int:
    return round((STALE_AFTER_S if stale_after_s is None else stale_after_s) * 1000)
