"""The page's drawing on paper: its SVG, drawn with the style sheet's rules (`styles`), as large as there is room.

It knows the elements that the drawing is made of, and no others: a test holds it to that.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Any
from xml.etree.ElementTree import Element

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Flowable

from esi_room.audit.export.pdf.styles import style_of
from esi_room.audit.export.pdf.typeface import BOLD, PLAIN, shown

LEAST_PT = 260.0  # lower, the drawing goes to a page of its own
_MOST_STRETCH = 1.35
_MARK_PX = 5.0  # a mark, no stretch of time
SVG = "{http://www.w3.org/2000/svg}"
_BOLD_WEIGHT = 600
_DATA = "data:image/jpeg;base64,"
_MOVED = re.compile(r"translate\(([\d.-]+)[ ,]+([\d.-]+)\)")


class Figure(Flowable):  # type: ignore[misc]
    """`targets`: what is elsewhere in the report, to link to."""

    def __init__(self, svg: Element, targets: Collection[str]) -> None:
        super().__init__()
        self._svg, self._targets = svg, targets
        self._width, self._height = map(float, svg.attrib["viewBox"].split()[2:])
        self._scale = self._stretch = 1.0

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """All of it, in what is left of the page; stretched along the axis of time where there is width left."""
        self._scale = min(width / self._width, max(height - 1, LEAST_PT) / self._height)
        self._stretch = min(_MOST_STRETCH, width / (self._width * self._scale))
        return self._width * self._scale * self._stretch, self._height * self._scale

    def draw(self) -> None:
        canvas = self.canv
        canvas.saveState()
        canvas.scale(self._scale, self._scale)
        pen = _Pen(canvas, self._height, self._stretch, self._targets)
        for child in self._svg:
            pen.draw(child, 0.0, 0.0)
        canvas.restoreState()


class _Pen:
    """SVG counts down from the top, PDF up from the bottom. What is stretched are places, not letters and pictures."""

    def __init__(self, canvas: Any, height: float, stretch: float, targets: Collection[str]) -> None:
        self._canvas, self._height, self._stretch, self._targets = canvas, height, stretch, targets
        self._box: list[tuple[float, float, float, float]] | None = None

    def draw(self, at: Element, dx: float, dy: float) -> None:
        name = at.tag.removeprefix(SVG)
        moved = _MOVED.fullmatch(at.get("transform", ""))
        if moved:
            dx, dy = dx + float(moved[1]), dy + float(moved[2])
        if name == "a":
            self._link(at, dx, dy)
        elif name == "g":
            for child in at:
                self.draw(child, dx, dy)
        elif name != "title":
            style = style_of(name, at.get("class", "")) | dict(at.attrib)
            SHAPES[name](self, at, style, dx, dy)

    def _link(self, at: Element, dx: float, dy: float) -> None:
        self._box = []
        for child in at:
            self.draw(child, dx, dy)
        target, boxes = at.get("href", "").removeprefix("#"), self._box
        self._box = None
        if target in self._targets and boxes:
            left, bottom, right, top = zip(*boxes, strict=True)
            area = (min(left), min(bottom), max(right), max(top))
            self._canvas.linkRect("", target, area, relative=1, thickness=0)

    def _marked(self, left: float, bottom: float, right: float, top: float) -> None:
        if self._box is not None:
            self._box.append((left, bottom, right, top))

    def _x(self, x: float) -> float:
        return x * self._stretch

    def _y(self, y: float) -> float:
        return self._height - y

    def _ink(self, style: dict[str, str]) -> tuple[bool, bool]:
        """Set colours and width; whether to stroke and to fill. SVG fills black where nothing is said."""
        canvas, fill, stroke = self._canvas, style.get("fill", "#000000"), style.get("stroke")
        if stroke:
            canvas.setStrokeColor(_colour(stroke))
        canvas.setLineWidth(_px(style.get("stroke-width", "1")))
        if fill != "none":
            canvas.setFillColor(_colour(fill), alpha=float(style.get("fill-opacity", "1")))
        return bool(stroke), fill != "none"

    def rect(self, at: Element, style: dict[str, str], dx: float, dy: float) -> None:
        x, y, width, height = (float(at.get(key, "0")) for key in ("x", "y", "width", "height"))
        stroke, fill = self._ink(style)
        keeps = width == height or width <= _MARK_PX
        left, bottom = self._x(x + dx + width / 2) - width / 2, self._y(y + dy + height)
        if not keeps:
            left, width = self._x(x + dx), self._x(width)
        self._canvas.rect(left, bottom, width, height, stroke=stroke, fill=fill)
        self._marked(left, bottom, left + width, bottom + height)

    def line(self, at: Element, style: dict[str, str], dx: float, dy: float) -> None:
        x1, y1, x2, y2 = (float(at.get(key, "0")) for key in ("x1", "y1", "x2", "y2"))
        self._ink(style)
        left, right = self._x(x1 + dx), self._x(x2 + dx)
        self._canvas.line(left, self._y(y1 + dy), right, self._y(y2 + dy))
        self._marked(left - 2, self._y(y2 + dy), right + 2, self._y(y1 + dy))

    def circle(self, at: Element, style: dict[str, str], dx: float, dy: float) -> None:
        stroke, fill = self._ink(style)
        x, y, radius = (float(at.get(key, "0")) for key in ("cx", "cy", "r"))
        self._canvas.circle(self._x(x + dx), self._y(y + dy), radius, stroke=stroke, fill=fill)

    def path(self, at: Element, style: dict[str, str], dx: float, dy: float) -> None:
        """`polyline` and `polygon`."""
        stroke, fill = self._ink(style)
        places = [tuple(map(float, each.split(","))) for each in at.get("points", "").split()]
        path = self._canvas.beginPath()
        for n, (x, y) in enumerate(places):
            (path.lineTo if n else path.moveTo)(self._x(x + dx), self._y(y + dy))
        closed = at.tag.endswith("polygon")
        if closed:
            path.close()
        self._canvas.setLineJoin(1)
        self._canvas.drawPath(path, stroke=stroke, fill=fill and closed)

    def text(self, at: Element, style: dict[str, str], dx: float, dy: float) -> None:
        words = shown(at.text or "")
        font = BOLD if float(style.get("font-weight", "400")) >= _BOLD_WEIGHT else PLAIN
        size = _px(style.get("font-size", "12px"))
        before = {"middle": 0.5, "end": 1.0}.get(style.get("text-anchor", ""), 0.0)
        x = self._x(float(at.get("x", "0")) + dx) - before * stringWidth(words, font, size)
        y = self._y(float(at.get("y", "0")) + dy)
        outlined, _ = self._ink(style)
        self._canvas.setFont(font, size)
        if outlined:  # as `paint-order: stroke`: the outline first, the letters on it
            self._canvas.drawString(x, y, words, mode=1)
        self._canvas.drawString(x, y, words, mode=0)

    def image(self, at: Element, _: dict[str, str], dx: float, dy: float) -> None:
        x, y, width, height = (float(at.get(key, "0")) for key in ("x", "y", "width", "height"))
        jpeg = jpeg_of(at.get("href", ""))
        if jpeg is not None:
            place = (self._x(x + dx + width / 2) - width / 2, self._y(y + dy + height), width, height)
            self._canvas.drawImage(ImageReader(io.BytesIO(jpeg)), *place, preserveAspectRatio=True)


SHAPES: dict[str, Callable[[_Pen, Element, dict[str, str], float, float], None]] = {
    "rect": _Pen.rect,
    "line": _Pen.line,
    "circle": _Pen.circle,
    "polyline": _Pen.path,
    "polygon": _Pen.path,
    "text": _Pen.text,
    "image": _Pen.image,
}
"""What the drawing is made of, besides groups, links and titles."""


def jpeg_of(uri: str) -> bytes | None:
    """What a data URI holds."""
    return base64.b64decode(uri.removeprefix(_DATA)) if uri.startswith(_DATA) else None


@cache
def _colour(hexadecimal: str) -> Color:
    """A long record has ten thousand marks, and a few colours."""
    return HexColor(hexadecimal)


def _px(length: str) -> float:
    return float(length.removesuffix("px"))
