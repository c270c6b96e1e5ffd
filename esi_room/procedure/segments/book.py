"""What all deliveries of a record share: vital signs, images, syringes; those under way, and those that have ended."""

from __future__ import annotations

from esi_room.clock import NS
from esi_room.events import CarmImage, Delivery
from esi_room.procedure.segments.draft import Around, Draft, EndedBy, Moment
from esi_room.procedure.segments.syringes import Syringes, drugs_of
from esi_room.procedure.segments.vitals import Vitals

SETTLE_S = 15.0  # monitors speak every 1 to 10 s, and a pump's driver says how it ended within 6
VITALS_BEFORE_S = 300.0  # an older value is none: ASA standard, at most 5 minutes apart
_SETTLE_NS = round(SETTLE_S * NS)


class Book:
    """Where drafts get what is around them, and become deliveries."""

    def __init__(self) -> None:
        self.vitals, self.syringes = Vitals(), Syringes()
        self.open: list[Draft] = []
        self._images: list[tuple[int, int]] = []
        self._ended: list[Draft] = []
        self._finished: list[Delivery] = []
        self._number = 0

    def image(self, at: Moment, image: CarmImage) -> None:
        """An image counts where it has pixels, is new, was taken in this procedure, and is of no other patient."""
        ours = image.duplicate_of is None and image.taken_in is None and image.identity != "mismatch"
        if image.rows is not None and ours:
            self._images.append((at.time_ns, at.seq))

    def begin(self, draft: Draft) -> Draft:
        """A delivery begins: those that have ended are finished."""
        self.finish_all()
        draft.before = self.vitals.last_before(draft.start.time_ns, round(VITALS_BEFORE_S * NS))
        self.open.append(draft)
        return draft

    def drop(self, draft: Draft) -> None:
        """It was none."""
        self.open.remove(draft)

    def end(self, draft: Draft, by: EndedBy, at: Moment, *, told: bool = True, closed: bool = True) -> None:
        """It has ended. It will be finished once it has settled."""
        draft.finish(by, at, told=told, closed=closed)
        self.open.remove(draft)
        self._ended.append(draft)

    def settle(self, now_ns: int) -> None:
        """It is `now_ns`. Where somebody has set the clock back behind an end, nobody can tell how long ago it was."""
        self._finish([draft for draft in self._ended if abs(now_ns - draft.span_ns[1]) >= _SETTLE_NS])

    def finish_all(self) -> None:
        """Those that have ended, without waiting."""
        self._finish(list(self._ended))

    def written(self, delivery: Delivery) -> None:
        """The record holds this one already (it is read again after a restart)."""
        self._ended = [draft for draft in self._ended if draft.start.seq != delivery.facts[0]]
        self._number = max(self._number, delivery.number)

    def take_out(self) -> list[Delivery]:
        """What was finished since the last time."""
        finished, self._finished = self._finished, []
        return finished

    def _finish(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            self._ended.remove(draft)
            self._number += 1
            self._finished.append(draft.delivery(self._number, self._around(draft)))

    def _around(self, draft: Draft) -> Around:
        from_ns, to_ns = draft.span_ns
        syringe, drugs = self._content(draft)
        return Around(
            syringe=syringe,
            drugs=drugs,
            images=tuple(sorted(seq for time_ns, seq in self._images if from_ns <= time_ns <= to_ns)),
            before=draft.before,
            after=self.vitals.first_after(to_ns, _SETTLE_NS),
        )

    def _content(self, draft: Draft) -> tuple[str | None, tuple[str, ...]]:
        """Syringe and drugs: as the hand's mark says, else as drawn up, else as the pump says."""
        from_ns, to_ns = draft.span_ns
        if draft.device is None:
            filled = self.syringes.labelled(draft.syringe, from_ns)
        else:
            filled = self.syringes.in_pump(draft.device, from_ns, to_ns)
        said = (draft.drug,) if draft.drug is not None else ()
        if filled is None:
            return draft.syringe, said
        return filled.syringe, said if said and draft.origin == "hand" else drugs_of(filled)
