"""Storage commitment that a peer asks of the room (PS3.4 annex J): the room stands for what is durable, and says so.

    N-ACTION -> entry `asked`, durable -> 0000
    -> every instance: known, of that class, its file there with the digest that its entry names
    -> entry `reported`, durable -> N-EVENT-REPORT on a new association, the room as SCP
    -> the peer took it: entry `delivered`

What of this is open is in the journals: a restart goes on where it was. A report is delivered at any time later, with
patience; for that the room must know where the peer listens (`port` in its rule), and without it refuses to be asked.

Reasons for failing (PS3.3 C.14.1.1): 0112 no such object, 0119 of another class, 0110 the file is not what it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import Iterable
from pathlib import Path

import structlog

from esi_room.carm.index import Held, Index
from esi_room.carm.passing.outgoing import Outgoing
from esi_room.carm.settings import CarmSettings, PeerRule
from esi_room.carm.shapes import Called, InstanceFailed, InstanceName
from esi_room.carm.wire import Answer, CommitmentAsked, Done, ReportCommitment
from esi_room.clock import Clock
from esi_room.errors import RecordError
from esi_room.events import CarmAssociation, CarmCommitment, Event, Payload
from esi_room.record.journal import Journal
from esi_room.record.reader import directory

SOURCE = "carm"
SUCCESS, PROCESSING_FAILURE, INVALID_ARGUMENT, OUT_OF_RESOURCES = 0x0000, 0x0110, 0x0115, 0x0213
FIRST_PATIENCE_S, LAST_PATIENCE_S = 2.0, 600.0

_FAILED, _UNKNOWN, _OTHER_CLASS = (
    "0110 its file is not what it was",
    "0112 no such object",
    "0119 it is of another class",
)

log = structlog.get_logger()


class Pledge:
    """One transaction of one peer. `report`: its outcome, once it is known."""

    def __init__(self, peer: str, transaction_uid: str, instances: dict[str, str]) -> None:
        self.peer, self.transaction_uid, self.instances = peer, transaction_uid, instances
        self.report: CarmCommitment | None = None
        self.delivered = False
        self.task: asyncio.Task[None] | None = None


class Pledges:
    """What the room is asked to stand for, by whom, and how far that is."""

    def __init__(self, settings: CarmSettings, journal: Journal, clock: Clock, outgoing: Outgoing) -> None:
        self._rules = settings.peers
        self._journal, self._clock, self._outgoing = journal, clock, outgoing
        self._index = Index()
        self._pledges: dict[tuple[str, str], Pledge] = {}
        self._one_at_a_time = asyncio.Lock()  # digests are read in the background: vitals need the disk, too
        self._group: asyncio.TaskGroup | None = None
        self._told: set[str] = set()

    def remember(self, said: CarmCommitment) -> None:
        """An entry of the room's journals, oldest first."""
        if said.by != "room":
            return
        key = (said.peer, said.transaction_uid)
        if said.state == "asked":
            self._pledges[key] = Pledge(said.peer, said.transaction_uid, said.instances)
        elif key in self._pledges:
            pledge = self._pledges[key]
            pledge.report = pledge.report or said
            pledge.delivered = said.state == "delivered"

    async def run(self, index: Index) -> None:
        """Until cancelled."""
        self._index = index
        async with asyncio.TaskGroup() as self._group:
            for pledge in self._pledges.values():
                self._go_on(pledge)
            await asyncio.Event().wait()

    async def asked(self, message: CommitmentAsked) -> Answer:
        """A peer asks. What it is answered, and its report later, follow from a durable entry."""
        if self._where(message.peer) is None:
            self._say_no_port(message)
            comment = "the room does not know the port for its report"
            return Answer(id=message.id, status=PROCESSING_FAILURE, comment=comment)
        instances = {each.sop_instance_uid: each.sop_class_uid for each in message.instances}
        pledge = self._pledges.get((message.peer, message.transaction_uid))
        if pledge is not None and pledge.instances != instances:
            return Answer(id=message.id, status=INVALID_ARGUMENT, comment="this Transaction UID is in use")
        if pledge is None:
            pledge = Pledge(message.peer, message.transaction_uid, instances)
            entry = self._entry(pledge, "asked", instances=instances)
            try:
                await self._journal.commit(Event(source=SOURCE, data=entry, received=message.at))
            except RecordError as error:
                return Answer(id=message.id, status=OUT_OF_RESOURCES, comment=str(error))
            self._pledges[(message.peer, message.transaction_uid)] = pledge
        pledge.delivered = False  # asked again: our answer was lost, or the report was
        self._go_on(pledge)
        return Answer(id=message.id, status=SUCCESS)

    def _go_on(self, pledge: Pledge) -> None:
        under_way = pledge.task is not None and not pledge.task.done()
        if self._group is not None and not pledge.delivered and not under_way:
            pledge.task = self._group.create_task(self._fulfil(pledge))

    async def _fulfil(self, pledge: Pledge) -> None:
        try:
            if pledge.report is None:
                report = await self._checked(pledge)
                await self._journal.commit(Event(source=SOURCE, data=report, received=self._clock.now()))
                pledge.report = report
            await self._deliver(pledge, pledge.report)
            delivered = self._entry(pledge, "delivered")
            await self._journal.commit(Event(source=SOURCE, data=delivered, received=self._clock.now()))
            pledge.delivered = True
        except RecordError as error:  # the next start goes on here
            log.error("commitment_not_recorded", reason=str(error))

    # --- what the room has --------------------------------------------------------------------------------

    async def _checked(self, pledge: Pledge) -> CarmCommitment:
        failed = {}
        for uid, sop_class in pledge.instances.items():
            places = self._index.find(uid)
            if not any(_there(self._journal.root, place) for place in places):  # removed by `[retention]`, perhaps
                failed[uid] = _UNKNOWN
            elif any(place.sop_class_uid != sop_class for place in places):
                failed[uid] = _OTHER_CLASS
            else:
                async with self._one_at_a_time:
                    if not await asyncio.to_thread(_whole, self._journal.root, places):
                        failed[uid] = _FAILED
        committed = tuple(uid for uid in pledge.instances if uid not in failed)
        return self._entry(pledge, "reported", committed=committed, failed=failed)

    # --- its report ---------------------------------------------------------------------------------------

    async def _deliver(self, pledge: Pledge, report: CarmCommitment) -> None:
        patience_s, said = FIRST_PATIENCE_S, False
        while True:
            trouble = await self._told_peer(pledge, report)
            if trouble is None:
                return
            if not said:
                log.warning("commitment_report_not_delivered", peer=pledge.peer, reason=trouble)
                reason = f"the storage commitment report cannot be delivered: {trouble}"
                self._say(CarmAssociation(outcome="failed", peer=pledge.peer, called=None, reason=reason))
            said = True
            await asyncio.sleep(patience_s)
            patience_s = min(2 * patience_s, LAST_PATIENCE_S)

    async def _told_peer(self, pledge: Pledge, report: CarmCommitment) -> str | None:
        """None, or why the peer could not be told."""
        to = self._where(pledge.peer)
        if to is None:
            return "the peer has no `port` in the configuration"
        names = pledge.instances
        request = ReportCommitment(
            id=0,
            to=to,
            transaction_uid=pledge.transaction_uid,
            committed=tuple(InstanceName(names[uid], uid) for uid in report.committed),
            failed=tuple(InstanceFailed(names[uid], uid, int(why[:4], 16)) for uid, why in report.failed.items()),
        )
        reply = await self._outgoing.ask(request)
        if isinstance(reply, Done):
            return None if reply.outcome == "done" else reply.comment
        return "the caller's process answers something else"

    def _where(self, peer: str) -> Called | None:
        """Where `peer` (AE title @ address) listens, if its rule says."""
        title, _, address = peer.rpartition(" @ ")
        rule = _rule(self._rules, title, address)
        if rule is None or rule.port is None:
            return None
        return Called(title, address, rule.port, rule.tls)

    # --- what is said -------------------------------------------------------------------------------------

    def _entry(self, pledge: Pledge, state: str, **what: object) -> CarmCommitment:
        return CarmCommitment(
            by="room",
            peer=pledge.peer,
            transaction_uid=pledge.transaction_uid,
            state=state,  # type: ignore[arg-type]
            **what,  # type: ignore[arg-type]
        )

    def _say_no_port(self, message: CommitmentAsked) -> None:
        """Once a peer: a C-arm asks after every case."""
        if message.peer not in self._told:
            self._told.add(message.peer)
            reason = f"storage commitment: give `port`, where {message.ae_title} listens, in its [[carm.peer]]"
            self._say(CarmAssociation(outcome="failed", peer=message.peer, called=None, reason=reason))

    def _say(self, payload: Payload) -> None:
        try:
            self._journal.append(Event(source=SOURCE, data=payload, received=self._clock.now()))
        except RecordError as error:
            log.error("commitment_entry_lost", type=payload.TYPE, reason=str(error))


def _rule(rules: Iterable[PeerRule], title: str, address: str) -> PeerRule | None:
    """The first rule that lets this peer in; one that names a port is preferred."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    fits = [r for r in rules if r.ae_title.strip() == title and parsed in ipaddress.ip_network(r.address)]
    return next((rule for rule in fits if rule.port is not None), fits[0] if fits else None)


def _whole(root: Path, places: list[Held]) -> bool:
    """Whether every content that the room has under this UID lies in some record as it came. Reads it: in a thread."""
    digests = {place.sha256 for place in places}
    return all(any(_intact(root, place) for place in places if place.sha256 == digest) for digest in digests)


def _there(root: Path, place: Held) -> bool:
    return _file(root, place).exists()


def _file(root: Path, place: Held) -> Path:
    return directory(root, place.record) / "frames" / f"{place.sha256}.dcm"


def _intact(root: Path, place: Held) -> bool:
    try:
        with _file(root, place).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == place.sha256
    except OSError:
        return False
