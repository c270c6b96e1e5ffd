"""The lanes of figures: vital signs, cuff pressures, what pumps delivered."""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.audit.export.case import Case
from esi_room.audit.export.page.axis import LEFT, WIDTH, Axis, Lane
from esi_room.audit.export.page.bars import LETTER_PX
from esi_room.audit.export.page.markup import Html, element, joined
from esi_room.audit.export.page.series import Curves, Scale, line, scale, volumes
from esi_room.clock import rfc3339

_TREND_PX = 50.0
_VOLUME_PX = 36.0
_SIGNS = (
    ("SpO₂ %", ("spo2_pct",)),
    ("Heart, pulse /min", ("heart_rate_bpm", "pulse_rate_bpm")),
    ("Respiration /min", ("respiratory_rate_bpm",)),
    ("EtCO₂ mmHg", ("etco2_mmhg",)),
)
_COLOURS = ("#1667b7", "#b3261e", "#2e7d32", "#7b4fa3")
_SYSTOLIC, _DIASTOLIC = "nibp_systolic_mmhg", "nibp_diastolic_mmhg"


def trends(axis: Axis, curves: Curves) -> Iterator[Lane]:
    """Of what was measured; those that were not have no lane."""
    for label, names in _SIGNS:
        yield from _trend(axis, label, {key: points for key, points in curves.items() if key[0] in names})
    yield from _pressures(axis, curves)


def delivered(case: Case, axis: Axis) -> Iterator[Lane]:
    """By the pumps' own counters."""
    found = volumes(case)
    values = [point.value for points in found.values() for point in points if point.value is not None]
    if values and max(values) > 0:
        to = Scale(0.0, max(values), _VOLUME_PX)
        drawn = [line(axis, to, points, _COLOURS[(2 + n) % 4]) for n, points in enumerate(found.values())]
        yield Lane("Pump mL", _VOLUME_PX, joined([*_keys(found), _limits(to), *drawn]))


def _trend(axis: Axis, label: str, found: Curves) -> Iterator[Lane]:
    values = [point.value for points in found.values() for point in points if point.value is not None]
    if not values:
        return
    to = scale(values, _TREND_PX, at_most=100.0 if label.endswith("%") else None)
    drawn = [line(axis, to, points, _COLOURS[n % 4]) for n, points in enumerate(found.values())]
    yield Lane(label, _TREND_PX, joined([*_keys(found), _limits(to), *drawn]))


def _keys(found: Curves) -> Iterator[Html]:
    """Which curve is whose: by colour and by the place where it begins."""
    several = len(found) > 1
    for n, key in enumerate(found):
        fill = _COLOURS[n % 4] if several else None
        yield element("text", _named(key), x=0, y=26 + 12 * n, fill=fill, class_="note")


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
        cuffs = sorted((wall_ns, [each for each in pair if each is not None]) for (_, wall_ns), pair in found.items())
        places = [float(LEFT), *(axis.x(wall_ns) for wall_ns, _ in cuffs), WIDTH]
        bars = [_cuff(to, *cuff, places[n : n + 3]) for n, cuff in enumerate(cuffs)]
        yield Lane("Cuff mmHg", _TREND_PX, joined([_limits(to), *bars]))


def _cuff(to: Scale, wall_ns: int, known: list[float], places: list[float]) -> Html:
    """With its numbers beside it, where there is room between the bars before and behind it (`places`: where these
    three are). They are in its title in any case."""
    before_px, x, behind_px = places
    high, low = max(known), min(known)
    words = f"{high:g}/{low:g}"
    length_px = 4 + len(words) * LETTER_PX
    parts = [
        element("title", f"{words} mmHg\n{rfc3339(wall_ns)} (UTC)"),
        element("line", x1=x, x2=x, y1=to.y(high), y2=to.y(low), class_="cuff"),
    ]
    y = (to.y(high) + to.y(low)) / 2 + 3
    if x + length_px < behind_px:
        parts.append(element("text", words, x=x + 4, y=y, class_="beside"))
    elif x - length_px > before_px:
        parts.append(element("text", words, x=x - 4, y=y, class_="beside", text_anchor="end"))
    return element("g", *parts)
