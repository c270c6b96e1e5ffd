"""What the C-arm's side needs of the procedure and of the worklist: shapes, filled by others.

When a performed procedure step opens and closes a procedure:

    IN PROGRESS              opens a procedure record, with patient and procedure of the order that it names, else its
                             own; where a procedure is under way, it joins it. One that a step opened, nobody of the
                             staff touched, and which is another patient's, was forgotten: it is ended first
    COMPLETED, DISCONTINUED  of the last step in progress that began in this record: ends the procedure, if a step
                             opened it and nobody of the staff has done anything in it, once the objects that it
                             names have come; else it is an entry alone, because recovery goes on long after the
                             last image

`procedure.desk` holds the staff's half of these rules, and what survives a restart.
"""

from __future__ import annotations

from typing import Literal, Protocol

from esi_room.commands import Identity, Order


class Cases(Protocol):
    """The procedure (`procedure.desk.Desk`)."""

    def identity(self, record: str) -> Identity | None:
        """The patient of a record, where one is known; for comparison alone."""

    async def begin(self, origin: str, *, procedure: str | None, identity: Identity | None) -> bool:
        """Open a procedure record; False where a procedure is under way. RecordError, OSError where it cannot."""

    async def finish(
        self, origin: str, *, outcome: Literal["completed", "discontinued"], reason: str | None = None
    ) -> bool:
        """End the procedure; False where it is not `origin`'s to end. RecordError, OSError where it cannot."""


class Orders(Protocol):
    """The worklist (`orders.OrderBook`)."""

    @property
    def chosen(self) -> Order | None:
        """The order that is expected to be carried out next."""

    def find(
        self, order_id: str | None = None, *, accession: str | None = None, study_uid: str | None = None
    ) -> Order | None:
        """The order with this id, else of this study, else with this accession number."""

    async def choose(self, order: Order, origin: Literal["mpps", "image"]) -> None:
        """`order` is the one that is carried out; told in the record once."""
