"""The one time axis, and the lanes on it: inline SVG, no script."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from esi_room.audit.export.page.markup import Html, element, joined, local
from esi_room.clock import NS, rfc3339

WIDTH = 1200.0
LEFT = 164.0
"""The labels stand left of it, and the limits of a scale just there."""
RIGHT = 16.0
_GAP = 10.0
_HEAD = 26.0
_STEPS_S = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_MOST_TICKS = 14


class Axis(NamedTuple):
    """From the first moment of the case to its last."""

    begin_ns: int
    end_ns: int
    zone: ZoneInfo

    def x(self, wall_ns: int) -> float:
        """Where a moment is; what was before or after stands at the edge."""
        share = (wall_ns - self.begin_ns) / max(1, self.end_ns - self.begin_ns)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> list[int]:
        """Round moments, not too many."""
        length_s = (self.end_ns - self.begin_ns) / NS
        step_ns = next((each for each in _STEPS_S if length_s / each <= _MOST_TICKS), _STEPS_S[-1]) * NS
        first = -(-self.begin_ns // step_ns) * step_ns
        return list(range(first, self.end_ns + 1, step_ns))

    def span(self, begin_ns: int, end_ns: int) -> tuple[float, float]:
        """Left edge and width, wide enough to be seen."""
        left = self.x(begin_ns)
        return left, max(2.0, self.x(end_ns) - left)


class Lane(NamedTuple):
    """A strip of the drawing, `height` high, with its own drawing in it from y = 0 on."""

    label: str
    height: float
    body: Html
    note: str = ""


def drawing(axis: Axis, lanes: Iterable[Lane]) -> Html:
    """The lanes below each other on one axis."""
    y, parts = _HEAD, list[Html]()
    for lane in lanes:
        parts.append(_lane(lane, y))
        y += lane.height + _GAP
    ticks = axis.ticks()
    clock = "%H:%M:%S" if any(each % (60 * NS) for each in ticks) else "%H:%M"
    grid = joined(_tick(axis, each, y, clock) for each in ticks)
    words = "The case on one time axis: phases, vitals, deliveries, images, dose, alerts, gaps and what was said"
    return element(
        "svg",
        *(element("title", words), grid, *parts),
        viewBox=f"0 0 {WIDTH:g} {y:g}",
        xmlns="http://www.w3.org/2000/svg",
        role="group",
        class_="timeline",
    )


def _lane(lane: Lane, y: float) -> Html:
    label = element("text", lane.label, x=0, y=13, class_="label")
    note = element("text", lane.note, x=0, y=27, class_="note")
    line = element("line", x1=0, x2=WIDTH, y1=lane.height + _GAP / 2, y2=lane.height + _GAP / 2, class_="rule")
    return element("g", label, note, lane.body, line, transform=f"translate(0 {y:g})")


def _tick(axis: Axis, wall_ns: int, bottom: float, clock: str) -> Html:
    words, x = local(wall_ns, axis.zone).strftime(clock), axis.x(wall_ns)
    return element(
        "g",
        element("title", f"{rfc3339(wall_ns)} (UTC)"),
        element("line", x1=x, x2=x, y1=18, y2=bottom, class_="grid"),
        element("text", words, x=x, y=12, class_="tick"),
    )
