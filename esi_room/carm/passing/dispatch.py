"""Everything that the room calls by itself: passing on, storage commitment both ways. Put together here.

The order at the start: waybills, then the journals' commitment entries, then the tasks: nobody is asked for what was
asked already.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from esi_room.carm.index import Index
from esi_room.carm.passing.commitments import Asker, Commitments
from esi_room.carm.passing.forwarding import Courier
from esi_room.carm.passing.outgoing import Outgoing
from esi_room.carm.passing.pledges import Pledges
from esi_room.carm.scan import entries
from esi_room.carm.settings import CarmSettings, Destination
from esi_room.carm.wire import Answer, Asking, CommitmentAsked, CommitmentReported
from esi_room.clock import Clock
from esi_room.events import CarmCommitment, CarmImage, Entry
from esi_room.record.journal import Journal
from esi_room.record.reader import records


class Dispatch:
    """`run` it in a task; `outgoing` is there for whoever else has something to ask of the caller's process."""

    def __init__(self, settings: CarmSettings, journal: Journal, clock: Clock) -> None:
        self._journal, self._ready = journal, asyncio.Event()
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
            for entry, said in await asyncio.to_thread(self._said):
                self.pledges.remember(said)
                self.commitments.remember(said, entry.received)
            self._ready.set()
            group.create_task(self.pledges.run(index))
            group.create_task(self.commitments.run(index))
            for courier in self.couriers:
                group.create_task(courier.run())

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

    def _said(self) -> list[tuple[Entry, CarmCommitment]]:
        """Every commitment entry of the room, oldest first."""
        root = self._journal.root
        said = []
        for entry in (entry for record in records(root) for entry in entries(root, record, CarmCommitment)):
            with contextlib.suppress(msgspec.MsgspecError):  # `verify`'s business
                said.append((entry, msgspec.json.decode(entry.data, type=CarmCommitment)))
        return said

    def _passed(self, destination: Destination, image: CarmImage) -> None:
        self.commitments.passed(destination, image)

    async def _answer(self, question: Asking) -> Answer:
        if isinstance(question, CommitmentReported):
            return await self.reported(question)
        raise TypeError(f"the caller asks {type(question).__name__}")
