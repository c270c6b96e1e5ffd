"""Everything that the room calls by itself: passing on, storage commitment both ways. Put together here.

The order at the start: waybills, then the journals' commitment entries, then the tasks: nobody is asked for what was
asked already.
"""

from __future__ import annotations

import asyncio

from esi_room.carm.commitments import Asker, Commitments
from esi_room.carm.forwarding import Courier
from esi_room.carm.index import Index
from esi_room.carm.outgoing import Outgoing
from esi_room.carm.pledges import Pledges
from esi_room.carm.scan import entries
from esi_room.carm.settings import CarmSettings, Destination
from esi_room.carm.wire import Answer, Asking, CommitmentReported
from esi_room.clock import Clock
from esi_room.events import CarmCommitment, CarmImage, Entry
from esi_room.record.journal import Journal
from esi_room.record.reader import records


class Dispatch:
    """`run` it in a task; `outgoing` is there for whoever else has something to ask of the caller's process."""

    def __init__(self, settings: CarmSettings, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self.outgoing = Outgoing(settings, self._answer)
        self.pledges = Pledges(settings, journal, clock, self.outgoing)
        self.couriers = [
            Courier(each, journal, clock, self.outgoing, self._passed)
            for each in settings.destinations
            if each.images or each.mpps
        ]
        self.commitments = Commitments(
            Asker(courier.destination, courier, journal, clock, self.outgoing)
            for courier in self.couriers
            if courier.destination.commitment
        )

    async def run(self, index: Index) -> None:
        """Until cancelled. `index`: of all records, kept up to date by whoever gave it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outgoing.run())
            for courier in self.couriers:
                await courier.begin()
            for entry in await asyncio.to_thread(self._said):
                self.pledges.remember(entry)
                self.commitments.remember(entry)
            group.create_task(self.pledges.run(index))
            group.create_task(self.commitments.run(index))
            for courier in self.couriers:
                group.create_task(courier.run())

    def say_again(self) -> None:
        """Every destination's state once more, for a record just opened."""
        for courier in self.couriers:
            courier.say_again()

    def _said(self) -> list[Entry]:
        root = self._journal.root
        return [entry for record in records(root) for entry in entries(root, record, CarmCommitment)]

    def _passed(self, destination: Destination, image: CarmImage) -> None:
        self.commitments.passed(destination, image)

    async def _answer(self, question: Asking) -> Answer:
        if isinstance(question, CommitmentReported):
            return await self.commitments.reported(question)
        raise TypeError(f"the caller asks {type(question).__name__}")
