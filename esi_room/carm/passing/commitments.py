"""Storage commitment that the room asks of a destination (PS3.4 annex J): only what it stands for may ever be shed.

    passed on -> some time of quiet, or a batch is full -> entry `asked`, durable -> N-ACTION
    -> the destination's N-EVENT-REPORT, whenever it comes -> entry `reported`, durable -> 0000

Rules of this file:
- A destination stands for an object when an entry in the record says that it said so; never by our own reckoning.
- What it does not commit to is sent again and asked for again, MAX_ASKS times in all; then that is said.
- No answer within ANSWER_S: asked again, as a new transaction. A late answer to an old one counts all the same.
- What is open is rebuilt from the journals and the waybills at the start.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from itertools import islice

import structlog
from msgspec import Struct

from esi_room.carm.index import Index
from esi_room.carm.passing.forwarding import Courier, called
from esi_room.carm.passing.outgoing import Outgoing
from esi_room.carm.settings import Destination
from esi_room.carm.shapes import InstanceName
from esi_room.carm.wire import Answer, CommitmentReported, Done, RequestCommitment
from esi_room.clock import NS, Clock, parse_rfc3339
from esi_room.errors import RecordError
from esi_room.events import CarmCommitment, CarmForward, CarmImage, Event, InstanceRef, Payload
from esi_room.record.journal import Journal

SUCCESS, INVALID_ARGUMENT, OUT_OF_RESOURCES = 0x0000, 0x0115, 0x0213
# A run and its dose report arrive within seconds of each other, and are asked for together.
QUIET_S = 10.0
# 140 octets each in the request and in its entry; some archives answer a transaction as a whole or not at all.
BATCH_OBJECTS = 200
# Archives commit when their nightly job has written the second copy.
ANSWER_S = 12 * 3600.0
# Between a failure and sending again.
FAILED_PAUSE_S = 60.0
MAX_ASKS = 5
FIRST_PATIENCE_S, LAST_PATIENCE_S = 2.0, 600.0
_LOOK_S = 60.0
_REFUSED = "the request is refused: "

log = structlog.get_logger()


class Open(Struct):
    """A transaction. `instances`: SOP instance UID -> SOP class UID. `over`: not waited for any more."""

    instances: dict[str, str]
    asked_wall_ns: int
    over: bool = False
    reported: bool = False


class Asker:
    """One destination's transactions."""

    def __init__(self, destination: Destination, courier: Courier, journal: Journal, clock: Clock, outgoing: Outgoing):
        self.destination, self._courier = destination, courier
        self._journal, self._clock, self._outgoing = journal, clock, outgoing
        self._index = Index()
        self._transactions: dict[str, Open] = {}
        self._asks: dict[str, int] = {}  # by SOP instance UID
        self._latest: dict[str, str] = {}  # SOP instance UID -> the transaction it was last asked for in
        self._committed: set[str] = set()
        self._waiting: dict[str, str] = {}  # SOP instance UID -> SOP class UID
        self._failed: list[tuple[int, dict[str, str]]] = []  # when (monotonic), and what is to be sent again
        self._changed = asyncio.Event()

    def stands(self, sop_instance_uid: str) -> bool:
        """Whether the destination said that it stands for this object."""
        return sop_instance_uid in self._committed

    # --- what is to be asked ------------------------------------------------------------------------------

    def remember(self, said: CarmCommitment, received: str) -> None:
        """An entry about this destination in the room's journals, oldest first."""
        if said.state == "asked":
            self._opened(said.transaction_uid, Open(said.instances, parse_rfc3339(received)))
        elif said.transaction_uid in self._transactions:
            self._close(said)

    def resume(self, index: Index) -> None:
        """After all entries: what was passed on and never asked for waits; what failed is sent again."""
        self._index = index
        way = self._courier.waybill
        for uid, places in index:
            if way is None or uid in self._asks or not any(way.passed(p.record, p.seq) for p in places):
                continue
            self._waiting[uid] = places[-1].sop_class_uid

    def passed(self, image: CarmImage) -> None:
        """The destination was sent this object."""
        if image.sop_instance_uid not in self._committed:
            self._waiting[image.sop_instance_uid] = image.sop_class_uid
            self._changed.set()

    def _opened(self, uid: str, transaction: Open) -> None:
        self._transactions[uid] = transaction
        for each in transaction.instances:
            self._asks[each] = self._asks.get(each, 0) + 1
            self._latest[each] = uid
            self._waiting.pop(each, None)
            for _, failed in self._failed:
                failed.pop(each, None)

    def _close(self, said: CarmCommitment) -> None:
        """Its outcome is in the record."""
        transaction = self._transactions[said.transaction_uid]
        transaction.over = transaction.reported = True
        self._committed.update(said.committed)
        for uid in said.committed:
            self._waiting.pop(uid, None)
        again = {}
        for uid in said.failed.keys() & transaction.instances.keys() - self._committed:
            if said.failed[uid].startswith(_REFUSED):
                self._asks.pop(uid, None)  # never asked: the next start asks it, perhaps mended
            elif self._asks.get(uid, 0) < MAX_ASKS:
                again[uid] = transaction.instances[uid]
        if again:
            self._failed.append((self._clock.now().mono_ns + round(FAILED_PAUSE_S * NS), again))

    # --- asking -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._quiet()
                self._give_up_waiting()
                await self._send_again()
                while self._waiting:
                    await self._ask(dict(islice(self._waiting.items(), BATCH_OBJECTS)))
            except RecordError as error:
                log.error("commitment_not_recorded", destination=self.destination.id, reason=str(error))
                await asyncio.sleep(_LOOK_S)

    async def _quiet(self) -> None:
        """Returns when nothing came for QUIET_S, or a batch is full, or it is time to look at what is overdue."""
        while len(self._waiting) < BATCH_OBJECTS:
            self._changed.clear()
            try:
                patience_s = QUIET_S if self._waiting else min(_LOOK_S, FAILED_PAUSE_S)
                await asyncio.wait_for(self._changed.wait(), patience_s)
            except TimeoutError:
                return

    def _give_up_waiting(self) -> None:
        """What was not answered in time is asked for again."""
        now = self._clock.now().wall_ns
        for uid, transaction in self._transactions.items():
            if not transaction.over and now - transaction.asked_wall_ns > ANSWER_S * NS:
                transaction.over = True
                for each, sop_class in transaction.instances.items():
                    if self._latest[each] == uid and each not in self._committed:
                        self._waiting[each] = sop_class

    async def _send_again(self) -> None:
        now_ns = self._clock.now().mono_ns
        due = [failed for at_ns, failed in self._failed if at_ns <= now_ns]
        self._failed = [(at_ns, failed) for at_ns, failed in self._failed if at_ns > now_ns]
        for uid, sop_class in (item for failed in due for item in failed.items()):
            places = self._index.find(uid)
            if places and await self._courier.pass_again(places[-1].ref):
                self._waiting[uid] = sop_class
            else:
                self._say_never(uid, "not committed to, and it cannot be sent again")

    async def _ask(self, batch: dict[str, str]) -> None:
        uid = f"2.25.{uuid.uuid4().int}"
        now = self._clock.now()
        await self._journal.commit(self._event(self._payload(uid, "asked", instances=batch)))
        self._opened(uid, Open(batch, now.wall_ns))
        names = tuple(InstanceName(sop_class, each) for each, sop_class in batch.items())
        request = RequestCommitment(id=0, to=called(self.destination), transaction_uid=uid, instances=names)
        refusal = await self._told(request)
        if refusal is not None:
            await self._outcome(uid, (), dict.fromkeys(batch, refusal))

    async def _told(self, request: RequestCommitment) -> str | None:
        """None, or why the destination does not take such requests."""
        patience_s = FIRST_PATIENCE_S
        while True:
            reply = await self._outgoing.ask(request)
            if isinstance(reply, Done) and reply.outcome == "done":
                return None
            if isinstance(reply, Done) and reply.outcome == "refused":
                return _REFUSED + reply.comment
            await asyncio.sleep(patience_s)
            patience_s = min(2 * patience_s, LAST_PATIENCE_S)

    # --- its answer ---------------------------------------------------------------------------------------

    async def reported(self, message: CommitmentReported) -> Answer | None:
        """The destination answers; None where this transaction is none of its."""
        transaction = self._transactions.get(message.transaction_uid)
        if transaction is None:
            return None
        if transaction.reported:
            return Answer(id=message.id, status=SUCCESS)  # said before: our answer to it was lost
        committed = {each.sop_instance_uid for each in message.committed} & transaction.instances.keys()
        why = {each.sop_instance_uid: f"{each.reason:04X}" for each in message.failed}
        failed = {u: why.get(u, "not mentioned") for u in transaction.instances if u not in committed}
        try:
            await self._outcome(message.transaction_uid, tuple(sorted(committed)), failed)
        except RecordError as error:
            return Answer(id=message.id, status=OUT_OF_RESOURCES, comment=str(error))
        return Answer(id=message.id, status=SUCCESS)

    async def _outcome(self, uid: str, committed: tuple[str, ...], failed: dict[str, str]) -> None:
        said = self._payload(uid, "reported", committed=committed, failed=failed)
        await self._journal.commit(self._event(said))
        self._close(said)
        for each, why in failed.items():
            if self._asks.get(each, 0) >= MAX_ASKS and each not in self._committed:
                self._say_never(each, f"asked {MAX_ASKS} times, and not committed to: {why}")

    def _say_never(self, sop_instance_uid: str, reason: str) -> None:
        places = self._index.find(sop_instance_uid)
        if places:
            entry = CarmForward(
                destination=self.destination.id,
                sop_instance_uid=sop_instance_uid,
                status="not committed",
                reason=reason,
                fact=InstanceRef(places[-1].record, places[-1].seq),
            )
            self._journal.append(self._event(entry))

    def _payload(self, uid: str, state: str, **what: object) -> CarmCommitment:
        return CarmCommitment(
            by="destination",
            peer=self.destination.id,
            transaction_uid=uid,
            state=state,  # type: ignore[arg-type]
            **what,  # type: ignore[arg-type]
        )

    def _event(self, payload: Payload) -> Event:
        return Event(source=self.destination.id, data=payload, received=self._clock.now())


class Commitments:
    """All destinations that are asked."""

    def __init__(self, askers: Iterable[Asker]) -> None:
        self._askers = {asker.destination.id: asker for asker in askers}

    def stands(self, sop_instance_uid: str) -> frozenset[str]:
        """Ids of the destinations that have committed themselves to this object."""
        return frozenset(each for each, asker in self._askers.items() if asker.stands(sop_instance_uid))

    def passed(self, destination: Destination, image: CarmImage) -> None:
        """The destination was sent this object."""
        if destination.id in self._askers:
            self._askers[destination.id].passed(image)

    def remember(self, said: CarmCommitment, received: str) -> None:
        """An entry of the room's journals, oldest first."""
        if said.by == "destination" and said.peer in self._askers:
            self._askers[said.peer].remember(said, received)

    async def run(self, index: Index) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for asker in self._askers.values():
                asker.resume(index)
                group.create_task(asker.run())

    async def reported(self, message: CommitmentReported) -> Answer:
        """A destination's N-EVENT-REPORT: the status for it."""
        for asker in self._askers.values():
            answer = await asker.reported(message)
            if answer is not None:
                return answer
        return Answer(id=message.id, status=INVALID_ARGUMENT, comment="the room never asked for this transaction")
