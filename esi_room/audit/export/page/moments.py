"""What is known of every moment of a case: the data that the page's script reads.

    case, curves … -> {"begin": …, "phases": […], "vitals": […], …}   ->   <script type="application/json">

Rules:
- Whole: from it alone the script says what was known at a moment, without a gap filled and nothing between two values.
- `t`, `times`, `begin`, `end` are milliseconds from the record's first entry, by the room's clock; `times` are differences, each
  from the one before: a long record has many.
- What a device said at once stands in one block: the times once, then a column a reading. `status`: from which row on
  it is what, where that is not `ok`.
- How long a value may be taken for the present is what a display goes by (`outputs.acts`): `life`, and not beyond the
  moment at which its device was no longer heard (`silent`).
- Markup cannot be in it: `<`, `>` and `&` are escaped as JSON escapes, so that no note ends the element it stands in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from esi_room.audit.export.case import Case
from esi_room.audit.export.page.axis import LEFT, RIGHT, WIDTH, Axis
from esi_room.audit.export.page.corrected import corrections
from esi_room.audit.export.page.markup import Html
from esi_room.audit.export.page.words import actor, counts_now, fields, form_name, is_main, label, unit, words
from esi_room.carm.time_axis.timeline import Timeline
from esi_room.clock import parse_rfc3339
from esi_room.events import (
    AlertAcknowledged,
    AlertCleared,
    AlertRaised,
    CarmDose,
    CarmImage,
    Clinical,
    DeviceAlarm,
    DeviceGap,
    DeviceState,
    PumpAlarm,
    PumpStatus,
    Reading,
    RecordRecovered,
    VitalsNumeric,
)
from esi_room.outputs.acts import STALE_AFTER_S

_NS_PER_MS = 1_000_000
_PUMP_FIELDS = ("state", "rate_ml_h", "delivered_ml", "target_ml", "pressure_mmhg", "drug")
EVERYONE = "*"
"""Of `silent`: whoever it is."""


def moments(case: Case, axis: Axis) -> dict[str, Any]:
    """As above."""
    since = _Since(axis.begin_ns // _NS_PER_MS)
    images = case.images()
    return {
        "record": case.record,
        "zone": case.zone.key,
        "origin": since.origin_ms,
        "end": since.ms(axis.end_ns),
        "axis": {"left": LEFT, "right": WIDTH - RIGHT, "width": WIDTH},
        "phases": _phases(case, since),
        **_measured(case, since),
        "silent": _silent(case, since),
        "images": [_image(n, each.entry.seq, each.data, each.place) for n, each in enumerate(images, 1)],
        "frames": _frames(case, since),
        "dose": _dose(case, since),
        "deliveries": _deliveries(case, since),
        "said": sorted(_said(case, since), key=lambda each: each["t"]),
        "alerts": _alerts(case, since),
        "alarms": _alarms(case, since),
    }


def data_element(found: dict[str, Any]) -> Html:
    """It, inside the page."""
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Html(f'<script type="application/json" id="moments">{text}</script>')


class _Since:
    """Moments as milliseconds from the first one."""

    def __init__(self, origin_ms: int) -> None:
        self.origin_ms = origin_ms

    def ms(self, when: int | str) -> int:
        wall_ns = parse_rfc3339(when) if isinstance(when, str) else when
        return wall_ns // _NS_PER_MS - self.origin_ms


def _steps(times: Iterable[int]) -> list[int]:
    """Each as its difference from the one before."""
    found, before = list[int](), 0
    for each in times:
        found.append(each - before)
        before = each
    return found


def _phases(case: Case, since: _Since) -> list[dict[str, Any]]:
    return [
        {"t": since.ms(fact.time_ns), "phase": fact.data.phase, "by": fact.data.origin} for fact in case.facts.phases
    ]


# --- monitors and pumps -----------------------------------------------------------------------------------


class _Block:
    """The messages of one device that have the same readings. A column is a value and a status a row."""

    def __init__(self, source: str, columns: list[dict[str, Any]]) -> None:
        self.source, self.columns, self.rows = source, columns, list[tuple[int, tuple[Any, ...]]]()

    def said(self) -> dict[str, Any]:
        """In the order of time."""
        self.rows.sort(key=lambda row: row[0])
        columns = [
            column | _column([row[1][n] for row in self.rows], status=self.source is not None)
            for n, column in enumerate(self.columns)
        ]
        return {"source": self.source, "times": _steps(row[0] for row in self.rows), "columns": columns}


def _column(cells: list[tuple[Any, str]], *, status: bool) -> dict[str, Any]:
    changes, before = list[tuple[int, str]](), "ok"
    for n, (_, now) in enumerate(cells):
        if now != before:
            changes.append((n, now))
        before = now
    found: dict[str, Any] = {"values": [value for value, _ in cells]}
    return found | {"status": changes} if changes else found


def _measured(case: Case, since: _Since) -> dict[str, Any]:
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


def _silent(case: Case, since: _Since) -> dict[str, Any]:
    """By device: `lost`, when it was no longer heard; `gaps`, from when to when nothing is known, and why."""
    found: dict[str, Any] = {}

    def of(source: str) -> dict[str, Any]:
        return found.setdefault(source, {"lost": [], "gaps": []})  # type: ignore[no-any-return]

    for said in case.events:
        if said.place != "journal":
            continue
        if isinstance(said.data, DeviceState) and said.data.state != "connected":
            of(said.entry.source)["lost"].append(since.ms(said.entry.time))
        elif isinstance(said.data, RecordRecovered):
            of(EVERYONE)["lost"].append(since.ms(said.entry.time))
        elif isinstance(said.data, DeviceGap):
            gap = (since.ms(said.data.from_), since.ms(said.data.to), said.data.reason)
            of(said.entry.source)["gaps"].append(gap)
    return found


# --- the C-arm --------------------------------------------------------------------------------------------


def _image(number: int, seq: int, image: Any, place: str) -> dict[str, Any]:
    angles = (image.primary_angle_deg, image.secondary_angle_deg)
    found: dict[str, Any] = {"number": number, "seq": seq, "frames": image.frames or 1, "modality": image.modality}
    found |= {} if None in angles else {"angles": angles}
    return found | ({"late": True} if place == "late" else {})


def _frames(case: Case, since: _Since) -> dict[str, Any]:
    """Every frame by the moment at which it began: the one that began last is on. `frame` null: one picture, of an
    object that does not tell when each of its frames was taken."""
    images = case.images()
    number = {(each.entry.record, each.entry.seq): n for n, each in enumerate(images)}
    timeline = Timeline((each.entry, each.data) for each in images if isinstance(each.data, CarmImage))
    found = timeline.between(0, 1 << 63)
    return {
        "times": _steps(since.ms(frame.wall_ns) for frame in found),
        "image": [number[frame.entry.record, frame.entry.seq] for frame in found],
        "frame": [frame.number for frame in found],
    }


def _dose(case: Case, since: _Since) -> list[dict[str, Any]]:
    """The total as it was known from each moment on."""
    found = [
        {
            "t": since.ms(said.entry.time),
            "dap_gy_m2": said.data.total.dap_gy_m2,
            "air_kerma_rp_gy": said.data.total.air_kerma_rp_gy,
            "fluoro_time_s": said.data.total.fluoro_time_s,
        }
        for said in case.events
        if isinstance(said.data, CarmDose) and said.data.taken_in is None and said.place == "journal"
    ]
    return sorted(found, key=lambda each: each["t"] or 0)


# --- people and rules -------------------------------------------------------------------------------------


def _deliveries(case: Case, since: _Since) -> list[dict[str, Any]]:
    return [
        {
            "begin": since.ms(fact.data.started_at),
            "end": since.ms(fact.data.ended_at),
            "number": fact.data.number,
            "by": fact.data.device or fact.data.origin,
            "drugs": " + ".join(fact.data.drugs),
            "delivered_ml": fact.data.delivered_ml,
            "programmed_ml": fact.data.programmed_ml,
        }
        for fact in case.facts.deliveries
    ]


def _said(case: Case, since: _Since) -> Iterator[dict[str, Any]]:
    """What the staff said; `now`: what counts instead, where that was corrected."""
    made = {each.by.entry.seq: each for each in corrections(case) if each.by.place == "journal"}
    for said in case.events:
        if not isinstance(said.data, Clinical) or said.place != "journal":
            continue
        found = {"t": since.ms(said.entry.time), "seq": said.entry.seq, "form": form_name(said), "by": actor(said)}
        correction = made.get(said.entry.seq)
        if correction is not None:
            what = {"of": correction.name, "was": correction.was, "now": correction.now}
            yield found | what | {"says": correction.correction.reason}
            continue
        now = counts_now(case, said)
        yield found | {"says": words(fields(said.data))} | ({} if now is None else {"now": now})


def _alerts(case: Case, since: _Since) -> list[dict[str, Any]]:
    """From when it was raised to when it was cleared; `acknowledged`: when, by whom, why."""
    found, active = list[dict[str, Any]](), dict[str, dict[str, Any]]()
    for said in case.events:
        if not isinstance(said.data, AlertRaised) or said.place != "journal":
            continue
        t, alert = since.ms(said.entry.time), said.data
        if isinstance(alert, AlertCleared):
            if (ended := active.pop(alert.alert, None)) is not None:
                ended["end"] = t
        elif isinstance(alert, AlertAcknowledged):
            if alert.alert in active:
                word = "overridden" if alert.overridden else "acknowledged"
                active[alert.alert]["seen"] = {"t": t, "how": word, "by": alert.actor, "why": alert.reason}
        elif alert.alert not in active:
            raised = {"t": t, "rule": alert.rule, "severity": alert.severity, "text": alert.text}
            found.append(raised)
            active[alert.alert] = raised
    return found


def _alarms(case: Case, since: _Since) -> list[dict[str, Any]]:
    """What the devices signalled themselves: until they withdrew it, or their line was lost."""
    found, active = list[dict[str, Any]](), dict[tuple[str, str], dict[str, Any]]()

    def over(t: int, *, source: str | None = None, code: str | None = None) -> None:
        for key in [each for each in active if source in (None, each[0]) and code in (None, each[1])]:
            active.pop(key)["end"] = t

    for said in case.events:
        data, source = said.data, said.entry.source
        if said.place != "journal" or not isinstance(data, DeviceAlarm | PumpAlarm | DeviceState | RecordRecovered):
            continue
        t = since.ms(said.entry.time)
        if isinstance(data, RecordRecovered):
            over(t)
        elif isinstance(data, DeviceState):
            if data.state not in ("connected", "stale"):
                over(t, source=source)
        elif not data.active:
            over(t, source=source, code=data.code)
        elif (source, data.code) not in active:
            active[source, data.code] = {"t": t, "source": source, "code": data.code, "text": data.text}
            found.append(active[source, data.code])
    return found
