"""`pdf`: the case report, `<record>.pdf`: the case on one page of timeline, then the tables. A4, landscape.

    sheet      the pages: what stands on top and at the bottom of each      figure     the page's drawing, on paper
    blocks     the page's head and tables, laid out                         styles     the page's style sheet, read
    typeface   letters, embedded                                            glance     the case in one line

Rules:
- It shows what `page` shows, in its words: lanes and sections are made there, and only drawn here.
- Whether the record verifies stands on top of every page.
- The same record gives the same octets: reportlab's invariant mode, and nothing of when or where.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from reportlab.platypus import Flowable, PageBreak, Paragraph, Spacer

from esi_room.audit.export.case import Case
from esi_room.audit.export.files import named, written
from esi_room.audit.export.page import axis_of
from esi_room.audit.export.page.axis import drawing
from esi_room.audit.export.page.lanes import lanes
from esi_room.audit.export.page.pictures import thumbnails
from esi_room.audit.export.page.sections import head, sections, verdict
from esi_room.audit.export.page.series import curves
from esi_room.audit.export.pdf.blocks import flowables, parsed, style, targets
from esi_room.audit.export.pdf.figure import SVG, Figure
from esi_room.audit.export.pdf.glance import glance
from esi_room.audit.export.pdf.sheet import INNER_PT, Sheet
from esi_room.audit.export.pdf.typeface import register


def export(case: Case, to: Path) -> list[Path]:
    """The report."""
    register()
    path = named(case, to, "pdf")
    with written(path) as file:
        sheet = Sheet(file, case)
        sheet.build(list(_story(case, INNER_PT)))
    return [path]


def _story(case: Case, width: float) -> Iterator[Flowable]:
    pictures, found = thumbnails(case, case.images()), curves(case)
    axis = axis_of(case)
    tables = [parsed(each) for each in sections(case, found, pictures)]
    linked = set().union(*map(targets, tables))
    yield from flowables(parsed(head(case)), width)
    yield Paragraph(glance(case), style(8.5, spaceBefore=3, spaceAfter=3))
    yield from flowables(parsed(verdict(case)), width)
    yield Spacer(1, 6)
    yield Figure(_svg(parsed(drawing(axis, lanes(case, axis, found, pictures)))), linked)
    yield PageBreak()
    for each in tables:
        yield from flowables(each, width)


def _svg(at: Element) -> Any:
    return at.find(f"{SVG}svg")
