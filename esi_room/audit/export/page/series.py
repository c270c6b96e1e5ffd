"""Curves: readings as lines. No line is drawn over a time in which nothing good was known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from esi_room.audit.export.case import Case
from esi_room.audit.export.page.axis import Axis
from esi_room.audit.export.page.markup import Html, element, joined
from esi_room.clock import NS, parse_rfc3339
from esi_room.events import PumpStatus, Reading, VitalsNumeric
from esi_room.outputs.acts import STALE_AFTER_S

_COLUMN_PX = 1.0


class Point(NamedTuple):
    """A reading: `value` is None where the device holds it bad. It lives for `lives_ns`."""

    wall_ns: int
    value: float | None
    lives_ns: int


Curves = dict[tuple[str, str], list[Point]]
"""By name and source, in the order of time."""


def curves(case: Case) -> Curves:
    """Every reading of the case."""
    found: Curves = {}
    for said in case.said():
        if isinstance(said.data, VitalsNumeric):
            wall_ns = parse_rfc3339(said.entry.time)
            for each in said.data.readings:
                point = _point(wall_ns, each, said.data.stale_after_s)
                found.setdefault((each.name, said.entry.source), []).append(point)
    return {key: sorted(points, key=lambda point: point.wall_ns) for key, points in sorted(found.items())}


def volumes(case: Case) -> Curves:
    """What each pump's counter said."""
    found: Curves = {}
    for said in case.said():
        if isinstance(said.data, PumpStatus) and said.place == "journal":
            own_s = said.data.stale_after_s
            lives_ns = round((STALE_AFTER_S if own_s is None else own_s) * NS)
            point = Point(parse_rfc3339(said.entry.time), said.data.delivered_ml, lives_ns)
            found.setdefault(("delivered_ml", said.entry.source), []).append(point)
    return {key: sorted(points, key=lambda point: point.wall_ns) for key, points in sorted(found.items())}


def _point(wall_ns: int, reading: Reading, stale_after_s: float | None) -> Point:
    good = reading.value is not None and reading.status in ("ok", "questionable")
    own_s = stale_after_s if reading.stale_after_s is None else reading.stale_after_s
    lives_s = STALE_AFTER_S if own_s is None else own_s
    return Point(wall_ns, float(reading.value) if good and reading.value is not None else None, round(lives_s * NS))


def runs(points: Iterable[Point]) -> Iterator[list[tuple[int, float]]]:
    """The stretches over which one good value follows the other before that went stale."""
    run: list[tuple[int, float]] = []
    until_ns = 0
    for point in points:
        if run and (point.value is None or point.wall_ns > until_ns):
            yield run
            run = []
        if point.value is not None:
            run.append((point.wall_ns, point.value))
            until_ns = point.wall_ns + point.lives_ns
    if run:
        yield run


class Scale(NamedTuple):
    """Values on `height` pixels, the highest on top."""

    low: float
    high: float
    height: float

    def y(self, value: float) -> float:
        """Where it is."""
        return self.height - (value - self.low) / (self.high - self.low) * self.height


def scale(values: Iterable[float], height: float, *, at_least: float = 10.0, at_most: float | None = None) -> Scale:
    """Over all of them, with some air; up to `at_most`, where there can be no more."""
    known = list(values)
    low, high = min(known), max(known)
    spare = max(0.0, at_least - (high - low)) / 2
    if at_most is not None and high <= at_most:
        return Scale(min(low, at_most - at_least), at_most, height)
    return Scale(low - spare, high + spare, height)


def line(axis: Axis, to: Scale, points: list[Point], colour: str) -> Html:
    """The curve, and a mark at the bottom wherever the device held its value bad."""
    parts = [_run(axis, to, run, colour) for run in runs(points)]
    bad = {round(axis.x(point.wall_ns)) for point in points if point.value is None}
    parts += [element("line", x1=x, x2=x, y1=to.height - 3, y2=to.height + 2, class_="bad") for x in sorted(bad)]
    return joined(parts)


def _run(axis: Axis, to: Scale, run: list[tuple[int, float]], colour: str) -> Html:
    places = list(thinned([(axis.x(wall_ns), value) for wall_ns, value in run]))
    if len(places) == 1:
        return element("circle", cx=places[0][0], cy=to.y(places[0][1]), r=2.2, fill=colour)
    path = " ".join(f"{x:.1f},{to.y(value):.1f}" for x, value in places)
    return element("polyline", points=path, stroke=colour, class_="curve")


def thinned(places: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """At most four of them a pixel column, the lowest and the highest among these: no dip is smoothed away."""
    column: list[tuple[float, float]] = []
    for place in [*places, (float("inf"), 0.0)]:
        if column and place[0] - column[0][0] >= _COLUMN_PX:
            by_value = sorted(column, key=lambda each: each[1])
            yield from sorted({column[0], by_value[0], by_value[-1], column[-1]})
            column = []
        column.append(place)
