"""A stretch of time on the axis, with its words."""

from __future__ import annotations

from esi_room.audit.export.page.axis import LEFT, WIDTH, Axis
from esi_room.audit.export.page.markup import Html, element, local
from esi_room.clock import rfc3339

ROW_PX = 17.0
LETTER_PX = 6.4


def bar(axis: Axis, begin_ns: int, end_ns: int, y: float, words: str, title: str, kind: str) -> Html:
    """A stretch of time, with words in it where they fit, else where there is most room; whole in its title in any
    case."""
    x, width = axis.span(begin_ns, end_ns)
    left_px, right_px = x - LEFT - 8, WIDTH - x - width - 8
    inside = len(words) * LETTER_PX < width or width - 8 > max(left_px, right_px)
    at_end = not inside and len(words) * LETTER_PX > right_px and left_px > right_px
    place = {"x": x + 4} if inside else {"x": x - 4, "text_anchor": "end"} if at_end else {"x": x + width + 4}
    words = _cut(words, width if inside else left_px if at_end else right_px)
    moments = f"{local(begin_ns, axis.zone):%H:%M:%S} to {local(end_ns, axis.zone):%H:%M:%S}"
    return element(
        "g",
        element("title", f"{title}\n{moments}\n{rfc3339(begin_ns)} to {rfc3339(end_ns)} (UTC)"),
        element("rect", x=x, y=y, width=width, height=ROW_PX - 2, class_=kind),
        element("text", words, y=y + 11, class_="inside" if inside else "beside", **place),
    )


def _cut(words: str, room_px: float) -> str:
    """As much as there is room for; the whole is in the title, and in the tables."""
    letters = max(0, int(room_px / LETTER_PX))
    return words if len(words) <= letters else words[: max(0, letters - 1)] + "…"
