"""Delivery segments: from a pump's start to its stop or completion, or between two marks of a hand, one delivery.

    entries -> fold.Segments -> pump.Pump (one a pump), hand.Hands -> draft.Draft (one a delivery) -> Delivery
               book.Book: what all of them share: vitals, images, syringes, those that have ended

A pure fold: no clock, no I/O; the same entries give the same deliveries.

Rules:
- A delivery begins with `pump.started`, or with the first status that says `infusing` of a pump of which nothing was
  known before (`connected_late`: what went before is not in it). Withdrawing and purging are none.
- It ends when the pump says `stopped` or completed. Where a driver first shows `stopped` and then says which of the two
  it was, the first is the time, the second the word.
- `paused` and `alarm` are interruptions if the same delivery goes on. If it does not (the pump then says `stopped`, is
  programmed anew, its counter falls, it lost its power; recovery is entered, the procedure ends), they were its end.
- The volume is what the counter counted from the start to the end. A counter that falls on the way began again at
  zero: both parts are added up, and it is said. A counter that is not known at the start or at the end gives null.
- A line that is lost makes the time in between an interruption of what we know. If the counter comes back where this
  delivery can have brought it, it is the same delivery. If not, the delivery ended when the pump was last heard.
- What cannot be known (for how long it ran, while nobody could see it stop) is null, and so is what follows from it.
- A delivery is finished SETTLE_S after its end: by then a vital sign has followed. At once where another begins or the
  procedure ends.
"""

from esi_room.procedure.segments.book import SETTLE_S, VITALS_BEFORE_S
from esi_room.procedure.segments.fold import HAND, Segments

__all__ = ["HAND", "SETTLE_S", "VITALS_BEFORE_S", "Segments"]
