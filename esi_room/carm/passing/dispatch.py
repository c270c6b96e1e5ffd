"""Everything that the room calls by itself: passing on, storage commitment both ways. Put together here.

The order at the start: the journals' commitment entries, waybills, then the tasks: nobody is asked for what was asked
already.
"""

from __future__ import annotations

import asyncio

from esi_room.carm.index import Index
from esi_room.carm.passing.commitments import Asker, Commitments
from esi_room.carm.passing.forwarding import Courier
from esi_room.carm.passing.outgoing import Outgoing
from esi_room.carm.passing.pledges import Pledges
from esi_room.carm.settings import CarmSettings, Destination
from esi_room.carm.wire import Answer, Asking, CommitmentAsked, CommitmentReported
from esi_room.clock import Clock
from esi_room.events import CarmCommitment, CarmImage, Entry
from esi_room.record.journal import Journal


class Dispatch:
    """`run` it in a task; `outgoing` is there for whoever else has something to ask of the caller's process."""

    def __init__(self, settings: CarmSettings, journal: Journal, clock: Clock) -> None:
        self._ready = asyncio.Event()
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
            self._ready.set()
            group.create_task(self.pledges.run(index))
            group.create_task(self.commitments.run(index))
            for courier in self.couriers:
                group.create_task(courier.run())

    def remember(self, entry: Entry, said: CarmCommitment) -> None:
        """An entry of the room's journals, oldest first; before `run`."""
        self.pledges.remember(said)
        self.commitments.remember(said, entry.received)

    async def asked(self, message: CommitmentAsked) -> Answer:
        """A peer asks the room to commit itself."""
        await self._ready.wait()
        return await self.pledges.asked(message)

    async def reported(self, message: CommitmentReported) -> Answer:
        """A destination answers the room."""
        await self._ready.wait()
        return await self.commitments.reported(message)

    def say_again(self) -> None:
        """Every destination's state once more, for a record just opened."""
        for courier in self.couriers:
            courier.say_again()

    def _passed(self, destination: Destination, image: CarmImage) -> None:
        self.commitments.passed(destination, image)

    async def _answer(self, question: Asking) -> Answer:
        if isinstance(question, CommitmentReported):
            return await self.reported(question)
        raise TypeError(f"the caller asks {type(question).__name__}")
