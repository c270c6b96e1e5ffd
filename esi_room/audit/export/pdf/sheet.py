"""The pages: A4 landscape, with the record and whether it verifies on top of each, and its number at the bottom.

The number of pages is known at the end alone: each page refers to a form that is written then.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from esi_room.audit.export.case import Case
from esi_room.audit.export.pdf.styles import colours
from esi_room.audit.export.pdf.typeface import BOLD, PLAIN, shown

_MARGIN_PT, _TOP_PT, _BOTTOM_PT = 30.0, 34.0, 26.0
_SIZE = 8.0
_LINE_LETTERS = 300  # more than fit
_TOTAL = "pages"
_WIDTH_PT, _HEIGHT_PT = landscape(A4)
INNER_PT = _WIDTH_PT - 2 * _MARGIN_PT
"""Between the margins."""


class _Counted(Canvas):  # type: ignore[misc]
    """Writes how many pages there are when all are there."""

    def save(self) -> None:
        total = self.getPageNumber() - (0 if self._code else 1)
        if self._code:
            self.showPage()
        self.beginForm(_TOTAL)
        self.setFont(PLAIN, _SIZE)
        self.setFillColor(HexColor(colours()["soft"]))
        self.drawString(0, 0, str(total))
        self.endForm()
        super().save()


class Sheet(BaseDocTemplate):  # type: ignore[misc]
    """A report on its way into `file`."""

    def __init__(self, file: BinaryIO, case: Case) -> None:
        broken = "" if case.broken is None else "BROKEN: "
        what = case.facts.procedure or "Record with no procedure"
        super().__init__(
            file, pagesize=(_WIDTH_PT, _HEIGHT_PT), invariant=1, pageCompression=1, lang="en",
            title=f"{broken}{case.record}", subject=f"{broken}{what}", author="esi_room", creator="esi_room",
        )  # fmt: skip
        self._case, self._what = case, what
        frame = Frame(
            _MARGIN_PT, _BOTTOM_PT, INNER_PT, _HEIGHT_PT - _TOP_PT - _BOTTOM_PT,
            leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
        )  # fmt: skip
        self.addPageTemplates(PageTemplate("all", [frame], onPage=self._around))

    def build(self, flowables: list[Flowable]) -> None:
        super().build(flowables, canvasmaker=_Counted)

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - reportlab calls it
        """A heading is in the outline."""
        words = getattr(flowable, "outline", None)
        if words:
            key = f"outline-{self.page}-{id(flowable) and words}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(shown(words), key, 0)

    def _around(self, canvas: Any, _: Any) -> None:
        canvas.saveState()
        top, bottom = _HEIGHT_PT - _TOP_PT + 12, _BOTTOM_PT - 12
        if self._case.broken is None:
            canvas.setFillColor(HexColor(colours()["holds"]))
            canvas.setFont(BOLD, _SIZE)
            canvas.drawString(_MARGIN_PT, top, shown(f"{self._case.record}: verifies"))
            canvas.setFillColor(HexColor(colours()["soft"]))
            canvas.setFont(PLAIN, _SIZE)
            words = f"Times: clock of the room, {self._case.zone.key}.  #12: entry 12 of the record."
            canvas.drawRightString(_WIDTH_PT - _MARGIN_PT, top, words)
        else:
            self._banner(canvas)
        canvas.setFillColor(HexColor(colours()["soft"]))
        canvas.setFont(PLAIN, _SIZE)
        canvas.drawString(_MARGIN_PT, bottom, _cut(self._what, INNER_PT - 100))
        words = f"page {canvas.getPageNumber()} of "
        right = _WIDTH_PT - _MARGIN_PT - 16
        canvas.drawRightString(right, bottom, words)
        canvas.translate(right, bottom)
        canvas.doForm(_TOTAL)
        canvas.restoreState()

    def _banner(self, canvas: Any) -> None:
        canvas.setFillColor(HexColor(colours()["broken"]))
        canvas.rect(_MARGIN_PT, _HEIGHT_PT - _TOP_PT + 6, INNER_PT, 18, stroke=0, fill=1)
        canvas.setFillColor(white)
        canvas.setFont(BOLD, _SIZE + 1)
        words = f"BROKEN: this record does not verify. {self._case.record}: {self._case.broken}"
        canvas.drawString(_MARGIN_PT + 6, _HEIGHT_PT - _TOP_PT + 11.5, _cut(words, INNER_PT - 12, BOLD, _SIZE + 1))


def _cut(words: str, width: float, font: str = PLAIN, size: float = _SIZE) -> str:
    """On one line."""
    flat = shown(words[:_LINE_LETTERS])
    while flat and stringWidth(flat, font, size) > width:
        flat = flat[:-2].rstrip("…") + "…"
    return flat
