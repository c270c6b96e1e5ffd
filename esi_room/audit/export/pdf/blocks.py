"""The page's head and tables on paper: its HTML as what reportlab lays out.

It knows the elements that the page's sections are made of. Their words are those of the page; what is struck out there
is struck out here.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape, quoteattr

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import CondPageBreak, Flowable, Image, LongTable, Paragraph, Spacer, Table

from esi_room.audit.export.page.markup import Html
from esi_room.audit.export.pdf.figure import jpeg_of
from esi_room.audit.export.pdf.styles import colours
from esi_room.audit.export.pdf.typeface import BOLD, PLAIN, shown

_SIZE, _LEADING = 8.0, 10.4
_H1, _H2 = 15.0, 11.0
_GALLERY = 7
_WITH_HEADING_PT = 74.0  # a heading, the head of a table and two of its rows
_NO_XML = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127, 65534, 65535, *range(55296, 57344)), " ")
_PAPER, _GOOD, _BAD = "#ffffff", "#e9f5ec", "#fdeceb"


def parsed(markup: Html) -> Element:
    """Our own markup: every text in it is escaped, and there is no document type in it."""
    return fromstring(f"<div>{markup.translate(_NO_XML)}</div>")  # noqa: S314


def style(size: float = _SIZE, *, bold: bool = False, colour: str = "ink", **more: Any) -> ParagraphStyle:
    """Of a paragraph."""
    font = BOLD if bold else PLAIN
    ink = HexColor(colours().get(colour, colour))
    leading = size * _LEADING / _SIZE
    return ParagraphStyle("", fontName=font, fontSize=size, leading=leading, textColor=ink, splitLongWords=1, **more)


def flowables(at: Element, width: float) -> Iterator[Flowable]:
    """What an element of the page is, on so much width."""
    name, kind = at.tag, at.get("class", "")
    if name == "table":
        yield _table(at, width)
    elif name in ("h1", "h2"):
        yield CondPageBreak(_WITH_HEADING_PT)
        yield heading(at, _H1 if name == "h1" else _H2)
    elif name == "dl":
        yield _pairs(at, width)
    elif kind.startswith("verdict"):
        yield _verdict(at, width, broken="broken" in kind)
    elif kind == "gallery":
        yield _gallery(at, width)
    elif name == "p":
        yield Paragraph(inline(at), style(colour="soft" if kind == "none" else "ink"))
    else:
        for child in at:
            yield from flowables(child, width)


def heading(at: Element, size: float) -> Paragraph:
    """With an outline entry."""
    made = Paragraph(inline(at), style(size, bold=True, spaceBefore=2 if size > _H2 else 12, spaceAfter=3))
    made.outline = "".join(at.itertext())
    return made


def inline(at: Element) -> str:
    """As reportlab's own markup."""
    inside = escape(shown(at.text or "")) + "".join(inline(child) + escape(shown(child.tail or "")) for child in at)
    kind = at.get("class", "")
    if at.tag == "del":
        return f'<font color="{colours()["broken"]}"><strike>{inside}</strike></font>'
    if at.tag == "ins":
        return f'<font backcolor="{_GOOD}">{inside}</font>'
    if at.tag in ("b", "th"):
        return f"<b>{inside}</b>"
    if kind in ("high", "critical"):
        return f'<font color="{colours()["broken"]}"><b>{inside}</b></font>'
    if kind in ("why", "hash", "late"):
        return f'<font color="{colours()["soft"]}">{inside}</font>'
    return inside


def targets(at: Element) -> set[str]:
    """What can be linked to."""
    return {each.attrib["id"] for each in at.iter() if "id" in each.attrib}


def _anchor(at: Element) -> str:
    return f"<a name={quoteattr(at.attrib['id'])}/>" if "id" in at.attrib else ""


def _table(at: Element, width: float) -> LongTable:
    head, *body = at.iter("tr")
    cells = [[Paragraph(inline(cell), style(bold=True, colour="soft")) for cell in head]]
    for row in body:
        words = [inline(cell) for cell in row]
        words[0] = _anchor(row) + words[0]
        cells.append([Paragraph(each, style()) for each in words])
    rule, ink = HexColor(colours()["rule"]), HexColor(colours()["ink"])
    look: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.7, ink),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, rule),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 7),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]
    widths = _widths([[list(cell.itertext()) for cell in row] for row in (head, *body)], width)
    return LongTable(cells, colWidths=widths, repeatRows=1, style=look, splitInRow=1, hAlign="LEFT")


def _widths(rows: list[list[list[str]]], width: float) -> list[float]:
    """Each as wide as its longest text; where that is too much, the widest of them share what the others leave."""
    wanted = [max(_length("".join(cell)) + 9 for cell in column) for column in zip(*rows, strict=True)]
    left, columns = width, len(wanted)
    found = list(wanted)
    for n in sorted(range(columns), key=lambda n: wanted[n]):
        found[n] = min(wanted[n], left / columns)
        left, columns = left - found[n], columns - 1
    return found


def _length(words: str) -> float:
    return float(stringWidth(shown(words), BOLD, _SIZE))


def _pairs(at: Element, width: float) -> Table:
    """Four pairs a row."""
    pairs = [[f'<font color="{colours()["soft"]}">{inline(each[0])}</font>', inline(each[1])] for each in at]
    cells = [Paragraph(each, style(8.5)) for pair in pairs for each in pair]
    cells += [""] * (-len(cells) % 8)
    rows = [cells[n : n + 8] for n in range(0, len(cells), 8)]
    label, share = 44.0, width / 4
    look: list[tuple[Any, ...]] = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("TOPPADDING", (0, 0), (-1, -1), 0.5)]
    look += [("BOTTOMPADDING", (0, 0), (-1, -1), 0.5), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return Table(rows, colWidths=[label, share - label] * 4, style=look, hAlign="LEFT")


def _verdict(at: Element, width: float, *, broken: bool) -> Table:
    """A box with a broad edge."""
    edge, ground = HexColor(colours()["broken" if broken else "holds"]), HexColor(_BAD if broken else _GOOD)
    lines = [inline(child) + escape(shown(child.tail or "")) for child in at if child.tag == "b"]
    lines += [f"• {inline(each)}" for each in at.iter("li")]
    lines += [inline(child) for child in at if child.get("class") == "hash"]
    inside = [Paragraph(each, style(9 if not n else 7.5)) for n, each in enumerate(lines)]
    look = [
        ("BACKGROUND", (0, 0), (-1, -1), ground),
        ("LINEBEFORE", (0, 0), (0, -1), 5, edge, "butt"),
        ("LEFTPADDING", (0, 0), (-1, -1), 10),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ]
    return Table([[inside]], colWidths=[width], style=look, hAlign="LEFT", splitInRow=1)


def _gallery(at: Element, width: float) -> Table:
    side = width / _GALLERY - 8
    cells: list[Any] = [list(_card(article, side)) for article in at]
    cells += [""] * (-len(cells) % _GALLERY)
    rows = [cells[n : n + _GALLERY] for n in range(0, len(cells), _GALLERY)]
    look: list[tuple[Any, ...]] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    look += [("RIGHTPADDING", (0, 0), (-1, -1), 8), ("BOTTOMPADDING", (0, 0), (-1, -1), 6)]
    return Table(rows, colWidths=[width / _GALLERY] * _GALLERY, style=look, hAlign="LEFT")


def _card(article: Element, side: float) -> Iterable[Flowable]:
    yield Paragraph(_anchor(article) or " ", style(1))
    for each in article:
        jpeg = jpeg_of(each.get("src", "")) if each.tag == "img" else None
        if jpeg is not None:
            yield Image(io.BytesIO(jpeg), width=side, height=side, kind="proportional")
            yield Spacer(1, 3)
        elif each.get("class") == "absent":
            absent = style(7, colour="#cfd6dc", backColor=HexColor("#111111"), borderPadding=4, spaceAfter=6)
            yield Paragraph(inline(each), absent)
        elif "".join(each.itertext()).strip():
            yield Paragraph(inline(each), style(5.5 if each.get("class") == "hash" else 7))
    yield Spacer(1, 2)
