"""Retention: what `[retention]` lets go is taken away by the daemon, at its start and then once in LOOK_S.

Rules:
- What would go is decided in one place, for the daemon and for whoever looks before (`esi-room records --retention`).
- Everything that takes long is done in a thread, in small steps; the event loop commits the entries alone.
- An amendment and a removal do not meet: `quiet` is held from the last look at what the record is needed for until
  `removed.jsonl` says that it is gone.
- What cannot be removed is said once, in the log and in `status`; the next one goes, and it is tried again at the next
  look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from esi_room.carm.passing.archived import Archives
from esi_room.clock import NS, Clock, Synchronisation
from esi_room.config import RoomConfig
from esi_room.errors import RecordError
from esi_room.events import Event, RecordRemoved, RecordShed
from esi_room.outputs.outbox import unpublished
from esi_room.outputs.publisher import CURSOR
from esi_room.procedure.amended import facts_of
from esi_room.procedure.follow_ups import awaited, contacts
from esi_room.record import recovery, removing
from esi_room.record.disk import Disk
from esi_room.record.holdings import Holding, Holdings, Survey, unfinished
from esi_room.record.journal import Journal, Receipt
from esi_room.record.reader import records
from esi_room.record.removed import Removal, parsed
from esi_room.record.retention import Plan, Policy, Step, Waits, What, in_words, plan
from esi_room.record.scan import lines
from esi_room.room.settings import carm_settings

LOOK_S = 3600.0
BROKEN_S = 86_400.0  # a record that did not hold is not read again before: somebody has to look at it first

log = structlog.get_logger()

Synchronised = Callable[[], Synchronisation]


def policy_of(configuration: RoomConfig) -> Policy:
    """What `[retention]` says."""
    said = configuration.retention
    return Policy(keep_days=said.keep_days, keep_images_days=said.keep_images_days, max_bytes=said.max_bytes)


def needs_of(configuration: RoomConfig, root: Path, today: Callable[[], date]) -> Waits:
    """Why a record under `root` waits: who still needs it. Reads journals: call it in a thread."""
    destinations = () if configuration.carm is None else carm_settings(configuration.carm).destinations
    archives = Archives(root, destinations, configuration.retention.only_archived)

    def waits(record: str, what: What) -> str | None:
        why = archives.why_waits(record)
        if why is not None or what == "images":
            return why
        why = archives.speaks_of_older(record)
        if why is not None:
            return why
        if unpublished(root / CURSOR, record):
            return "not all of its lines were published: the broker was away"
        procedure = recovery.kind(root, record) == "procedure"
        return awaited(contacts(facts_of(root, record), today())) if procedure else None

    return waits


def today_in(zone: ZoneInfo, clock: Clock) -> date:
    """The room's day."""
    return datetime.fromtimestamp(clock.now().wall_ns / NS, UTC).astimezone(zone).date()


def look(root: Path, policy: Policy, waits: Waits, now_ns: int) -> Plan:
    """What would go now, by a clock that is believed. Nothing is touched."""
    return plan(Survey(root).take().there, policy, now_ns, waits)


class Retention:
    """The daemon's task. `quiet`: nobody amends while it is held. `tell`: what is wrong, for `status`."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        policy: Policy,
        waits: Waits,
        *,
        quiet: asyncio.Lock,
        tell: Callable[[str | None], None],
        synchronised: Synchronised,
        disk: Disk | None = None,
    ) -> None:
        self._journal, self._clock, self._policy, self._needed = journal, clock, policy, waits
        self._quiet, self._tell, self._disk = quiet, tell, disk or Disk()
        self._synchronised = synchronised
        self._survey = Survey(journal.root)
        self._gently = removing.Gently()
        self._broken: dict[str, tuple[str, int]] = {}  # why, and until when nobody looks again
        self._failed: dict[str, str] = {}
        self._problem: str | None = None

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            self._gently.stop()

    async def resume(self) -> None:
        """Before anybody can amend: mark what a crash left removed in words alone."""
        try:
            await asyncio.to_thread(self._mark_announced)
        except OSError as error:
            log.error("removal_not_marked", reason=str(error))

    async def look(self) -> None:
        """Finish what was begun, then take away what may go."""
        self._failed.clear()
        try:
            await self._finish(await asyncio.to_thread(self._survey.take))
            found = await self._carry_out()
            while found is None:  # something did not hold, and others go for it
                found = await self._carry_out()
            self._say_limits(found)
        except (OSError, RecordError) as error:
            self._failed[""] = f"retention cannot go on: {error}"
        except removing.Stopped:
            return
        self._say("; ".join(self._failed.values()) or None)

    # --- deciding -----------------------------------------------------------------------------------------

    def _plan(self, holdings: Holdings) -> Plan:
        now_ns = self._clock.now().wall_ns
        return plan(
            holdings.there, self._policy, now_ns, self._waits, synchronised=bool(self._synchronised().synchronised)
        )

    def _waits(self, record: str, what: What) -> str | None:
        why, until_ns = self._broken.get(record, ("", 0))
        if why and self._clock.now().mono_ns < until_ns:
            return why
        return self._needed(record, what)

    # --- doing --------------------------------------------------------------------------------------------

    def _mark_announced(self) -> None:
        root = self._journal.root
        for record in records(root)[-2:]:
            for octets, _ in lines(root, record, RecordRemoved):
                removal = parsed(octets)
                if removal is not None:
                    removing.mark(root, self._disk, removal)

    async def _finish(self, holdings: Holdings) -> None:
        """What entries say was taken away, and is still there."""
        root = self._journal.root
        for removal in holdings.removed:
            if await asyncio.to_thread(unfinished, root, removal.said.record):
                await self._try(removal.said.record, removing.take_away, removal)
        there = {each.record: each for each in holdings.there}
        for shed in holdings.shed:
            if shed.record in there and set(shed.images) & set(there[shed.record].images):
                await self._try(shed.record, removing.shed, shed)

    async def _carry_out(self) -> Plan | None:
        """The plan that was carried out; None where a record did not hold, and there is to be another."""
        holdings = await asyncio.to_thread(self._survey.take)
        found = await asyncio.to_thread(self._plan, holdings)
        there = {each.record: each for each in holdings.there}
        newest = holdings.removed[-1] if holdings.removed else None
        for step in found.steps:
            try:
                newest = await self._take(step, there[step.record], holdings, newest)
            except removing.NotToGo as why:
                log.error("record_not_removed", record=step.record, reason=str(why))
                until_ns = self._clock.now().mono_ns + round(BROKEN_S * NS)
                self._broken[step.record] = str(why), until_ns
                return None
        return found

    async def _take(self, step: Step, holding: Holding, holdings: Holdings, newest: Removal | None) -> Removal | None:
        """Say it, then do it; the newest removal. NotToGo."""
        root, record = self._journal.root, step.record
        report = await asyncio.to_thread(removing.examined, root, record, holdings, self._gently)
        async with self._quiet:
            if await asyncio.to_thread(self._needed, record, step.what) is not None:
                return newest  # somebody has amended it meanwhile
            if step.what == "images":
                shed = removing.to_shed(step, holding)
                await self._commit(shed)
            else:
                said = await asyncio.to_thread(removing.to_remove, root, step, holding, report, newest)
                newest = await asyncio.to_thread(self._read_back, await self._commit(said))
                await self._try(record, removing.mark, newest)
        if step.what == "images":
            await self._try(record, removing.shed, shed)
        elif newest is not None:
            await self._try(record, removing.take_away, newest)
        log.info(f"{step.what}_removed", record=record, rule=step.rule, freed_bytes=step.freed_bytes)
        return newest

    async def _commit(self, said: RecordShed | RecordRemoved) -> Receipt:
        return await self._journal.commit(Event(source="room", data=said, received=self._clock.now()))

    def _read_back(self, receipt: Receipt) -> Removal:
        """The octets of the entry, as they stand in the journal."""
        said = lines(self._journal.root, receipt.record, RecordRemoved)
        return next(each for octets, entry in said if entry.seq == receipt.seq and (each := parsed(octets)) is not None)

    async def _try(self, record: str, act: Callable[..., None], what: Removal | RecordShed) -> None:
        """A disk that does not let go of one record is no reason to keep the next."""
        try:
            await asyncio.to_thread(act, self._journal.root, self._disk, what, self._gently)
        except OSError as error:
            self._failed[record] = f"record {record} cannot be taken off the disk: {error.strerror or error}"

    # --- what is said -------------------------------------------------------------------------------------

    def _say_limits(self, found: Plan) -> None:
        if found.distrusted:
            self._failed["clock"] = "no record is removed for its age: the clock of this machine is not synchronised"
        if found.over_bytes:
            why = f"; {found.waiting[0].record} waits: {found.waiting[0].why}" if found.waiting else ""
            over = in_words(found.over_bytes)
            self._failed["quota"] = f"the records have {over} more than retention.max_bytes allows{why}"

    def _say(self, problem: str | None) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log.info("retention_works_again")
        else:
            log.error("retention_fails", reason=problem)
        self._tell(problem)
