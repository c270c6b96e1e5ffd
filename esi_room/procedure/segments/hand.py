"""Injections by hand: two marks of the staff are one delivery."""

from __future__ import annotations

from esi_room.events.clinical import Correction, HandInjection
from esi_room.procedure.segments.book import Book
from esi_room.procedure.segments.draft import Draft, EndedBy, Moment
from esi_room.procedure.segments.meter import Meter


class Hands:
    """Those under way, by syringe. An end belongs to the beginning with the same syringe; where one of the two names
    none, to the only one that is under way."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._open: dict[str | None, Draft] = {}

    def mark(self, at: Moment, mark: HandInjection) -> None:
        """A beginning or an end. An end without a beginning is no delivery; a beginning on a beginning ends the first,
        and nobody has said how much that was."""
        if mark.state == "begin":
            self._end(mark.syringe, "mark", at, None)
            draft = Draft("hand", None, at, Meter(0.0), syringe=mark.syringe, drug=mark.drug)
            self._open[mark.syringe] = self._book.begin(draft)
            return
        syringe = self._meant(mark)
        if syringe in self._open:
            draft = self._open[syringe]
            draft.syringe, draft.drug = draft.syringe or mark.syringe, draft.drug or mark.drug
        self._end(syringe, "mark", at, mark.volume_ml)

    def correct(self, correction: Correction) -> None:
        """A beginning that should not have been said began nothing."""
        for syringe, draft in list(self._open.items()):
            if correction.withdrawn and draft.start.seq == correction.seq:
                self._book.drop(self._open.pop(syringe))

    def close(self, at: Moment) -> None:
        """The procedure ends: nobody said how much was injected."""
        for syringe in list(self._open):
            self._end(syringe, "procedure_ended", at, None)

    def _meant(self, end: HandInjection) -> str | None:
        if len(self._open) != 1:
            return end.syringe
        (only,) = self._open
        return only if None in (only, end.syringe) else end.syringe

    def _end(self, syringe: str | None, by: EndedBy, at: Moment, volume_ml: float | None) -> None:
        draft = self._open.pop(syringe, None)
        if draft is not None:
            draft.meter.read(volume_ml)
            self._book.end(draft, by, at)
