"""The lanes of the drawing: what each of them shows of the case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.page.axis import LEFT, WIDTH, Axis, Lane
from esi_room.audit.export.page.bars import ROW_PX, bar
from esi_room.audit.export.page.corrected import Corrected, corrections
from esi_room.audit.export.page.markup import Html, element, joined
from esi_room.audit.export.page.pictures import Thumbnail
from esi_room.audit.export.page.series import Curves, Scale
from esi_room.audit.export.page.trends import delivered, trends
from esi_room.audit.export.page.words import form_name
from esi_room.clock import parse_rfc3339
from esi_room.events import (
    AlertCleared,
    AlertRaised,
    CarmDose,
    CarmImage,
    Clinical,
    ClockStep,
    Delivery,
    DeviceGap,
    RecordRecovered,
)
from esi_room.events.clinical import Correction

_THUMB_PX = 46.0
_THUMB_ROWS = 3


def lanes(case: Case, axis: Axis, curves: Curves, pictures: dict[str, Thumbnail]) -> Iterator[Lane]:
    """From top to bottom; those with nothing to show are left out, but for the gaps and alerts: none is a statement."""
    yield _phases(case, axis)
    yield from trends(axis, curves)
    yield from _deliveries(case, axis)
    yield from delivered(case, axis)
    yield from _images(case, axis, pictures)
    yield from _dose(case, axis)
    yield _alerts(case, axis)
    yield _gaps(case, axis)
    yield _corrections(case, axis)
    yield _forms(case, axis)
    yield _legend()


def _phases(case: Case, axis: Axis) -> Lane:
    facts, bars = case.facts.phases, list[Html]()
    for n, fact in enumerate(facts):
        end_ns = facts[n + 1].time_ns if n + 1 < len(facts) else axis.end_ns
        title = f"{fact.data.phase}, by {fact.data.origin}" + (f": {fact.data.reason}" if fact.data.reason else "")
        bars.append(bar(axis, fact.time_ns, end_ns, 0, fact.data.phase, title, f"phase p{n % 2}"))
    return Lane("Phases", ROW_PX, joined(bars))


def _deliveries(case: Case, axis: Axis) -> Iterator[Lane]:
    rows = list[Html]()
    for n, fact in enumerate(case.facts.deliveries):
        delivery = fact.data
        volume = "volume unknown" if delivery.delivered_ml is None else f"{delivery.delivered_ml:g} mL"
        words = f"{' + '.join(delivery.drugs) or 'drug not said'}, {volume}"
        title = f"delivery {delivery.number} by {delivery.origin}: {words}; ended by {delivery.ended_by}"
        begin_ns, end_ns = parse_rfc3339(delivery.started_at), parse_rfc3339(delivery.ended_at)
        rows.append(bar(axis, begin_ns, end_ns, n * ROW_PX, words, title, "delivery"))
        rows += [_pause(axis, delivery, n, each.from_, each.to, each.reason) for each in delivery.interruptions]
    if rows:
        yield Lane("Delivery", len(case.facts.deliveries) * ROW_PX, joined(rows))


def _pause(axis: Axis, delivery: Delivery, row: int, begin: str, end: str, reason: str) -> Html:
    title = f"delivery {delivery.number}: {reason}"
    return bar(axis, parse_rfc3339(begin), parse_rfc3339(end), row * ROW_PX, "", title, "pause")


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
        if picture is not None and picture.source is not None:
            mark.append(element("image", href=picture.source, x=left, y=y, width=side, height=side))
        mark.append(element("text", str(number), x=left + 4, y=y + 12, class_="number"))
    return element("a", *mark, href=f"#image-{number}", data_t=_ms(_began_ns(said)))


def _began_ns(said: Said) -> int:
    """When the first frame of an image was taken."""
    first_ms = said.data.first_frame_ms if isinstance(said.data, CarmImage) else None
    return parse_rfc3339(said.entry.time) + round((first_ms or 0.0) * 1_000_000)


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
    """A stretch of time in a row of its kind: an alert, a gap, a correction. `entry`: what it links to."""

    begin_ns: int
    end_ns: int
    words: str
    title: str
    kind: str
    entry: int | None = None


def _rows(axis: Axis, label: str, rows: dict[str, list[_Stretch]]) -> Lane:
    """A row each, however often it came: a long record has few. A statement where there is none."""
    none = element("text", "none", x=LEFT + 4, y=12, class_="beside")
    drawn = []
    for n, stretches in enumerate(rows.values()):
        times = f" ({len(stretches)} times)" if len(stretches) > 1 else ""
        for each in stretches:
            words = f"{each.words}{times}" if each is stretches[-1] else ""
            stretch = bar(axis, each.begin_ns, each.end_ns, n * ROW_PX, words, each.title, each.kind)
            drawn.append(stretch if each.entry is None else _linked(stretch, each.entry, each.end_ns))
    return Lane(label, max(1, len(rows)) * ROW_PX, joined(drawn) if drawn else none)


def _linked(mark: Html, entry: int, wall_ns: int) -> Html:
    """To the row of its entry; with the page's script, to its moment."""
    return element("a", mark, href=f"#entry-{entry}", data_t=_ms(wall_ns))


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
    """Where a device was not heard, the room did not record, or its clock was set: nothing was filled in. One row a
    device, and one for the room."""
    rows = dict[str, list[_Stretch]]()
    for said in case.events:
        gap = _missing(said) if said.place == "journal" else None
        if gap is not None:
            begin, end, words = gap
            stretch = _Stretch(parse_rfc3339(begin), parse_rfc3339(end), words, words, "gap")
            rows.setdefault(said.entry.source, []).append(stretch)
    return _rows(axis, "Gaps", rows)


def _missing(said: Said) -> tuple[str, str, str] | None:
    """From, to, why."""
    data, time = said.data, said.entry.time
    if isinstance(data, DeviceGap):
        return data.from_, data.to, f"{said.entry.source}: {data.reason}"
    if isinstance(data, RecordRecovered):
        return data.last_received or time, time, f"the room did not record: {data.reason}"
    if isinstance(data, ClockStep):
        return time, time, f"the room's clock was set by {data.step_s:+.6g} s"
    return None


def _corrections(case: Case, axis: Axis) -> Lane:
    """From when it was said to when it was corrected; one row a form."""
    rows, after = dict[str, list[_Stretch]](), 0
    for each in corrections(case):
        if each.by.place == "journal":
            rows.setdefault(each.name, []).append(_correction(each))
        else:
            after += 1
    lane = _rows(axis, "Corrections", rows)
    return lane._replace(note=f"{after} after the seal", height=max(lane.height, 28)) if after else lane


def _correction(each: Corrected) -> _Stretch:
    time_ns = parse_rfc3339(each.by.entry.time)
    begin_ns = time_ns if each.form is None else parse_rfc3339(each.form.entry.time)
    words = f"{each.name}: was {each.was}; is now {each.now}"
    title = f"{words}\nby {each.correction.actor}: {each.correction.reason}"
    return _Stretch(min(begin_ns, time_ns), time_ns, words, title, "correction", each.seq)


def _forms(case: Case, axis: Axis) -> Lane:
    """A mark each; those that correct are slanted, those that were corrected are hollow."""
    marks = list[Html]()
    for said in case.events:
        if not isinstance(said.data, Clinical) or said.place != "journal":
            continue
        corrects = isinstance(said.data, Correction)
        kind = "corrects" if corrects else "corrected" if said.entry.seq in case.corrections else "form"
        time_ns = parse_rfc3339(said.entry.time)
        title = element("title", f"{form_name(said)}, by {said.data.actor}\n{said.entry.time} (UTC)")
        entry = said.data.seq if isinstance(said.data, Correction) else said.entry.seq
        marks.append(_linked(joined([title, _mark(axis.x(time_ns) - 2, kind)]), entry, time_ns))
    return Lane("Said by staff", ROW_PX, joined(marks))


def _mark(x: float, kind: str) -> Html:
    """Told apart by form, too: in print there may be no colour."""
    if kind == "bad":
        return element("line", x1=x + 2, x2=x + 2, y1=3, y2=12, class_=kind)
    if kind == "corrects":
        return element("polygon", points=f"{x + 1:.1f},1 {x + 6:.1f},1 {x + 3:.1f},14 {x - 2:.1f},14", class_=kind)
    return element("rect", x=x, y=1, width=4, height=13, class_=kind)


_LEGEND = (
    ("form", "a form", 74),
    ("corrected", "a form that was corrected", 178),
    ("corrects", "its correction", 110),
    ("bad", "a value that the device held bad", 212),
    ("gap", "nothing was recorded of the device", 226),
)


def _legend() -> Lane:
    """What the marks mean, and what a break in a line does."""
    marks, x = list[Html](), LEFT
    for kind, words, width in _LEGEND:
        marks += [_mark(x, kind), element("text", words, x=x + 9, y=12, class_="note")]
        x += width
    words = "a line breaks off: no good value"
    return Lane("Marks", ROW_PX, joined([*marks, element("text", words, x=x, y=12, class_="note")]))


def _ms(wall_ns: int) -> int:
    """As the page's script counts."""
    return wall_ns // 1_000_000
