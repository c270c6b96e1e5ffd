"""What is known of every moment of a case: the data that the page's script reads.

    case, curves … -> {"begin": …, "phases": […], "vitals": […], …}   ->   <script type="application/json">

Rules:
- Whole: from it alone the script says what was known at a moment, without a gap filled and nothing between two values.
- `t`, `times`, `begin`, `end` are milliseconds from `origin`, the record's first entry, by the room's clock; `times`
  are differences, each from the one before: a long record has many.
- What a device said at once stands in one block: the times once, then a column a reading. `status`: from which row on
  it is what, where that is not `ok`.
- How long a value may be taken for the present is what a display goes by (`outputs.acts`): `life`, and not beyond the
  moment at which its device was no longer heard (`silent`).
- Markup cannot be in it: `<`, `>` and `&` are escaped as JSON escapes, so that no note ends the element it stands in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.page.album import Album
from esi_room.audit.export.page.axis import LEFT, RIGHT, WIDTH, Axis
from esi_room.audit.export.page.corrected import corrections
from esi_room.audit.export.page.markup import Html
from esi_room.audit.export.page.measured import NS_PER_MS, Since, measured, steps
from esi_room.audit.export.page.words import actor, counts_now, fields, form_name, words
from esi_room.carm.time_axis.timeline import Timeline
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
    RecordRecovered,
)

EVERYONE = "*"
"""Of `silent`: whoever it is."""


def moments(case: Case, axis: Axis, album: Album) -> dict[str, Any]:
    """As above."""
    since = Since(axis.begin_ns // NS_PER_MS)
    images = case.images()
    return {
        "record": case.record,
        "zone": case.zone.key,
        "origin": since.origin_ms,
        "end": since.ms(axis.end_ns),
        "axis": {"left": LEFT, "right": WIDTH - RIGHT, "width": WIDTH},
        "phases": _phases(case, since),
        **measured(case, since),
        "silent": _silent(case, since),
        "images": [_image(n, each, why) for n, (each, why) in enumerate(zip(images, album.reasons, strict=True), 1)],
        "pictures": album.data,
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


def _phases(case: Case, since: Since) -> list[dict[str, Any]]:
    return [
        {"t": since.ms(fact.time_ns), "phase": fact.data.phase, "by": fact.data.origin} for fact in case.facts.phases
    ]


# --- devices --------------------------------------------------------------------------------------------


def _silent(case: Case, since: Since) -> dict[str, Any]:
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


def _image(number: int, said: Said, why: str | None) -> dict[str, Any]:
    """`reason`: why it has no picture."""
    image = cast("CarmImage", said.data)
    angles = (image.primary_angle_deg, image.secondary_angle_deg)
    found: dict[str, Any] = {"number": number, "sha256": image.sha256, "frames": image.frames or 1}
    found |= {} if None in angles else {"angles": angles}
    found |= {} if why is None else {"reason": why}
    return found | ({"late": True} if said.place == "late" else {})


def _frames(case: Case, since: Since) -> dict[str, Any]:
    """Every frame by the moment at which it began: the one that began last is on. `frame` null: one picture, of an
    object that does not tell when each of its frames was taken."""
    images = case.images()
    number = {(each.entry.record, each.entry.seq): n for n, each in enumerate(images)}
    timeline = Timeline((each.entry, each.data) for each in images if isinstance(each.data, CarmImage))
    found = timeline.between(0, 1 << 63)
    return {
        "times": steps(since.ms(frame.wall_ns) for frame in found),
        "image": [number[frame.entry.record, frame.entry.seq] for frame in found],
        "frame": [frame.number for frame in found],
    }


def _dose(case: Case, since: Since) -> list[dict[str, Any]]:
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


def _deliveries(case: Case, since: Since) -> list[dict[str, Any]]:
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


def _said(case: Case, since: Since) -> Iterator[dict[str, Any]]:
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


def _alerts(case: Case, since: Since) -> list[dict[str, Any]]:
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


def _alarms(case: Case, since: Since) -> list[dict[str, Any]]:
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
