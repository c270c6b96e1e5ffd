"""The lanes of the drawing: what each of them shows of the case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.page.axis import LEFT, WIDTH, Axis, Lane
from esi_room.audit.export.page.markup import Html, element, joined, jpeg_uri, local
from esi_room.audit.export.page.pictures import Thumbnail
from esi_room.audit.export.page.series import Curves, Scale, line, scale
from esi_room.clock import parse_rfc3339, rfc3339
from esi_room.events import AlertCleared, AlertRaised, CarmDose, CarmImage, Clinical, Delivery, DeviceGap
from esi_room.events.clinical import Correction

_TREND_PX = 58.0
_ROW_PX = 16.0
_THUMB_PX = 62.0
_THUMB_ROWS = 3
_LETTER_PX = 5.9
_TRENDS = (
    ("SpO₂ %", ("spo2_pct",)),
    ("Heart, pulse /min", ("heart_rate_bpm", "pulse_rate_bpm")),
    ("Respiration /min", ("respiratory_rate_bpm",)),
    ("EtCO₂ mmHg", ("etco2_mmhg",)),
)
_COLOURS = ("#1667b7", "#b3261e", "#2e7d32", "#7b4fa3")
_SYSTOLIC, _DIASTOLIC = "nibp_systolic_mmhg", "nibp_diastolic_mmhg"


def lanes(case: Case, axis: Axis, curves: Curves, pictures: dict[str, Thumbnail]) -> Iterator[Lane]:
    """From top to bottom; those with nothing to show are left out, but for the gaps and alerts: none is a statement."""
    yield _phases(case, axis)
    for label, names in _TRENDS:
        yield from _trend(axis, label, {key: points for key, points in curves.items() if key[0] in names})
    yield from _pressures(axis, curves)
    yield from _deliveries(case, axis)
    yield from _images(case, axis, pictures)
    yield from _dose(case, axis)
    yield _alerts(case, axis)
    yield _gaps(case, axis)
    yield _forms(case, axis)
    yield _legend()


def _bar(axis: Axis, begin_ns: int, end_ns: int, y: float, words: str, title: str, kind: str) -> Html:
    """A stretch of time, with words in it where they fit, else behind it, and in its title in any case."""
    x, width = axis.span(begin_ns, end_ns)
    inside = len(words) * _LETTER_PX < width
    left_px, right_px = x - LEFT - 8, WIDTH - x - width - 8
    at_end = not inside and len(words) * _LETTER_PX > right_px and left_px > right_px
    place = {"x": x + 4} if inside else {"x": x - 4, "text_anchor": "end"} if at_end else {"x": x + width + 4}
    words = words if inside else _cut(words, left_px if at_end else right_px)
    moments = f"{local(begin_ns, axis.zone):%H:%M:%S} to {local(end_ns, axis.zone):%H:%M:%S}"
    return element(
        "g",
        element("title", f"{title}\n{moments}\n{rfc3339(begin_ns)} to {rfc3339(end_ns)} (UTC)"),
        element("rect", x=x, y=y, width=width, height=_ROW_PX - 2, class_=kind),
        element("text", words, y=y + 11, class_="inside" if inside else "beside", **place),
    )


def _cut(words: str, room_px: float) -> str:
    """As much as there is room for; the whole is in the title, and in the tables."""
    letters = max(0, int(room_px / _LETTER_PX))
    return words if len(words) <= letters else words[: max(0, letters - 1)] + "…"


def _phases(case: Case, axis: Axis) -> Lane:
    facts, bars = case.facts.phases, list[Html]()
    for n, fact in enumerate(facts):
        end_ns = facts[n + 1].time_ns if n + 1 < len(facts) else axis.end_ns
        title = f"{fact.data.phase}, by {fact.data.origin}" + (f": {fact.data.reason}" if fact.data.reason else "")
        bars.append(_bar(axis, fact.time_ns, end_ns, 0, fact.data.phase, title, f"phase p{n % 2}"))
    return Lane("Phases", _ROW_PX, joined(bars))


def _trend(axis: Axis, label: str, found: Curves) -> Iterator[Lane]:
    values = [point.value for points in found.values() for point in points if point.value is not None]
    if not values:
        return
    to = scale(values, _TREND_PX, at_most=100.0 if label.endswith("%") else None)
    drawn = [line(axis, to, points, _COLOURS[n % 4]) for n, points in enumerate(found.values())]
    several = len(found) > 1
    keys = [
        element("text", _named(key), x=0, y=28 + 13 * n, fill=_COLOURS[n % 4] if several else None, class_="note")
        for n, key in enumerate(found)
    ]
    yield Lane(label, _TREND_PX, joined([*keys, _limits(to), *drawn]))


def _named(key: tuple[str, str]) -> str:
    name, source = key
    return f"{name.split('_')[0]} {source}"


def _limits(to: Scale) -> Html:
    marks = ((to.high, 6.0), (to.low, to.height))
    return joined(element("text", f"{value:.3g}", x=LEFT - 6, y=y, class_="limit") for value, y in marks)


def _pressures(axis: Axis, curves: Curves) -> Iterator[Lane]:
    """A cuff measures now and then: a bar from diastolic to systolic each, and no line between them."""
    found = {
        (source, point.wall_ns): [point.value]
        for (name, source), points in curves.items()
        for point in points
        if name == _SYSTOLIC and point.value is not None
    }
    for (name, source), points in curves.items():
        for point in points:
            if name == _DIASTOLIC and point.value is not None and (source, point.wall_ns) in found:
                found[source, point.wall_ns].append(point.value)
    values = [value for pair in found.values() for value in pair if value is not None]
    if values:
        to = scale(values, _TREND_PX)
        bars = [
            _cuff(axis, to, wall_ns, max(known), min(known))
            for (_, wall_ns), pair in found.items()
            if (known := [value for value in pair if value is not None])
        ]
        yield Lane("Cuff mmHg", _TREND_PX, joined([_limits(to), *bars]))


def _cuff(axis: Axis, to: Scale, wall_ns: int, high: float, low: float) -> Html:
    x, words = axis.x(wall_ns), f"{high:g}/{low:g}"
    fits = x + 4 + len(words) * _LETTER_PX < WIDTH
    place = {"x": x + 4} if fits else {"x": x - 4, "text_anchor": "end"}
    return element(
        "g",
        element("title", f"{words} mmHg\n{rfc3339(wall_ns)} (UTC)"),
        element("line", x1=x, x2=x, y1=to.y(high), y2=to.y(low), class_="cuff"),
        element("text", words, y=(to.y(high) + to.y(low)) / 2 + 3, class_="beside", **place),
    )


def _deliveries(case: Case, axis: Axis) -> Iterator[Lane]:
    rows = list[Html]()
    for n, fact in enumerate(case.facts.deliveries):
        delivery = fact.data
        volume = "volume unknown" if delivery.delivered_ml is None else f"{delivery.delivered_ml:g} mL"
        words = f"{' + '.join(delivery.drugs) or 'drug not said'}, {volume}"
        title = f"delivery {delivery.number} by {delivery.origin}: {words}; ended by {delivery.ended_by}"
        begin_ns, end_ns = parse_rfc3339(delivery.started_at), parse_rfc3339(delivery.ended_at)
        rows.append(_bar(axis, begin_ns, end_ns, n * _ROW_PX, words, title, "delivery"))
        rows += [_pause(axis, delivery, n, each.from_, each.to, each.reason) for each in delivery.interruptions]
    if rows:
        yield Lane("Delivery", len(case.facts.deliveries) * _ROW_PX, joined(rows))


def _pause(axis: Axis, delivery: Delivery, row: int, begin: str, end: str, reason: str) -> Html:
    title = f"delivery {delivery.number}: {reason}"
    return _bar(axis, parse_rfc3339(begin), parse_rfc3339(end), row * _ROW_PX, "", title, "pause")


def _images(case: Case, axis: Axis, pictures: dict[str, Thumbnail]) -> Iterator[Lane]:
    """Each at its moment; where they stand too close, in rows below each other, and then as a mark alone."""
    ends, drawn = list[float](), list[Html]()
    images = case.images()
    for number, said in enumerate(images, 1):
        x = axis.x(parse_rfc3339(said.entry.time))
        left = min(max(x - _THUMB_PX / 2, 0), WIDTH - _THUMB_PX)
        row = next((n for n, end in enumerate(ends) if end <= left), len(ends))
        if row < _THUMB_ROWS:
            ends[row : row + 1] = [left + _THUMB_PX + 2]
        drawn.append(_picture(said, number, pictures, x, left, row))
    if images:
        rows = max(1, len(ends))
        late = sum(said.place == "late" for said in images)
        note = f"{len(images)}" + (f", {late} came late" if late else "")
        yield Lane("Images", 8 + rows * (_THUMB_PX + 3), joined(drawn), note)


def _picture(said: Said, number: int, pictures: dict[str, Thumbnail], x: float, left: float, row: int) -> Html:
    image = said.data
    picture = pictures.get(image.sha256) if isinstance(image, CarmImage) else None
    late = ", came late" if said.place == "late" else ""
    mark = [
        element("title", f"image {number}{late}\n{said.entry.time} (UTC)"),
        element("line", x1=x, x2=x, y1=0, y2=7, class_="image"),
    ]
    y, side = 8 + row * (_THUMB_PX + 3), _THUMB_PX
    if row < _THUMB_ROWS:
        mark.append(element("rect", x=left, y=y, width=side, height=side, class_="frame"))
        if picture is not None and picture.jpeg is not None:
            mark.append(element("image", href=jpeg_uri(picture.jpeg), x=left, y=y, width=side, height=side))
        mark.append(element("text", str(number), x=left + 4, y=y + 12, class_="number"))
    return element("a", *mark, href=f"#image-{number}")


def _dose(case: Case, axis: Axis) -> Iterator[Lane]:
    """The total as it was known at each moment, in steps."""
    known = [
        (parse_rfc3339(said.entry.time), said.data.total.dap_gy_m2)
        for said in case.events
        if isinstance(said.data, CarmDose) and said.data.taken_in is None and said.data.total.dap_gy_m2 is not None
    ]
    if not known:
        return
    to = Scale(0.0, max(value for _, value in known if value is not None) or 1.0, 34.0)
    path, before = list[str](), 0.0
    for wall_ns, value in [*known, (axis.end_ns, known[-1][1])]:
        x = axis.x(wall_ns)
        path += [f"{x:.1f},{to.y(before):.1f}", f"{x:.1f},{to.y(value or 0.0):.1f}"]
        before = value or 0.0
    total = element("text", f"{to.high * 1e6:.4g}", x=LEFT - 6, y=8, class_="limit")
    steps = element("polyline", points=" ".join(path), stroke="#8a6d00", class_="curve")
    yield Lane("Dose (DAP)", 36, joined([total, steps]), "total, µGy·m²")


class _Stretch(NamedTuple):
    """A stretch of time in a row of its kind: an alert, a gap."""

    begin_ns: int
    end_ns: int
    words: str
    title: str
    kind: str


def _rows(axis: Axis, label: str, rows: dict[str, list[_Stretch]]) -> Lane:
    """A row each, however often it came: a long record has few. A statement where there is none."""
    none = element("text", "none", x=LEFT + 4, y=12, class_="beside")
    drawn = []
    for n, stretches in enumerate(rows.values()):
        times = f" ({len(stretches)} times)" if len(stretches) > 1 else ""
        for each in stretches:
            words = f"{each.words}{times}" if each is stretches[-1] else ""
            drawn.append(_bar(axis, each.begin_ns, each.end_ns, n * _ROW_PX, words, each.title, each.kind))
    return Lane(label, max(1, len(rows)) * _ROW_PX, joined(drawn) if drawn else none)


def _alerts(case: Case, axis: Axis) -> Lane:
    """From when each was raised to when it was cleared; one row an alert."""
    rows = dict[str, list[_Stretch]]()
    for said in case.events:
        alert = said.data
        if not isinstance(alert, AlertRaised) or said.place != "journal":
            continue
        wall_ns, row = parse_rfc3339(said.entry.time), rows.setdefault(alert.alert, [])
        if type(alert) is AlertRaised:
            words = f"{alert.rule}: {alert.text}"
            title = f"{alert.severity}: {words}"
            row.append(_Stretch(wall_ns, max(wall_ns, axis.end_ns), words, title, f"alert {alert.severity}"))
        elif isinstance(alert, AlertCleared) and row:
            row[-1] = row[-1]._replace(end_ns=max(row[-1].begin_ns, min(wall_ns, row[-1].end_ns)))
    return _rows(axis, "Alerts", {alert: row for alert, row in rows.items() if row})


def _gaps(case: Case, axis: Axis) -> Lane:
    """One row a device."""
    rows = dict[str, list[_Stretch]]()
    for said in case.events:
        if isinstance(said.data, DeviceGap):
            words = f"{said.entry.source}: {said.data.reason}"
            stretch = _Stretch(parse_rfc3339(said.data.from_), parse_rfc3339(said.data.to), words, words, "gap")
            rows.setdefault(said.entry.source, []).append(stretch)
    return _rows(axis, "Gaps", rows)


def _forms(case: Case, axis: Axis) -> Lane:
    """A mark each; those that correct and those that were corrected stand out."""
    marks = list[Html]()
    for said in case.events:
        if not isinstance(said.data, Clinical) or said.place != "journal":
            continue
        corrects = isinstance(said.data, Correction)
        kind = "corrects" if corrects else "corrected" if said.entry.seq in case.corrections else "form"
        x = axis.x(parse_rfc3339(said.entry.time))
        title = element("title", f"{said.entry.type}, by {said.data.actor}\n{said.entry.time} (UTC)")
        place = f"#entry-{said.data.seq if isinstance(said.data, Correction) else said.entry.seq}"
        marks.append(element("a", title, element("rect", x=x - 2, y=1, width=4, height=13, class_=kind), href=place))
    return Lane("Said by staff", _ROW_PX, joined(marks))


_LEGEND = (
    ("form", "a form", 74),
    ("corrected", "a form that was corrected", 168),
    ("corrects", "its correction", 104),
    ("bad", "a value that the device held bad", 202),
    ("gap", "nothing was recorded of the device", 218),
)


def _legend() -> Lane:
    """What the marks mean, and what a break in a line does."""
    marks, x = list[Html](), LEFT
    for kind, words, width in _LEGEND:
        if kind == "bad":
            marks.append(element("line", x1=x + 2, x2=x + 2, y1=3, y2=12, class_="bad"))
        else:
            marks.append(element("rect", x=x, y=1, width=4, height=13, class_=kind))
        marks.append(element("text", words, x=x + 9, y=12, class_="note"))
        x += width
    words = "where a line breaks off, no good value was known"
    return Lane("Marks", _ROW_PX, joined([*marks, element("text", words, x=x, y=12, class_="note")]))
