"""Takes in what tools left in the spool: every use of the record becomes an entry of the open record.

    <data>/audit/<id>.json -> entry `audit.event`, durable -> what it says was erased is gone -> the file goes

Rules:
- It is written once. A crash behind the commit leaves the file; the next start finds its id in the record, and only
  finishes what is left to do: what was to be erased is erased then.
- A file that is no word of a use costs one entry (a security alert, PS3.15 A.5.3.11), and is taken away unread.
- What cannot be taken away is not looked at again until the next start; the log says so once.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

import structlog

from esi_room.clock import Clock, rfc3339
from esi_room.errors import RecordError
from esi_room.events import AuditEvent, Event
from esi_room.events.audit import (
    APPLICATION_ACTIVITY,
    MEANINGS,
    PATIENT_RECORD,
    SECURITY_ALERT,
    Activity,
    EventCode,
    Outcome,
)
from esi_room.record import erasing, spool
from esi_room.record.disk import Disk
from esi_room.record.journal import Journal
from esi_room.record.reader import records
from esi_room.record.scan import payloads
from esi_room.record.spool import Use

LOOK_S = 1.0
MOST_AT_ONCE = 100  # a spool that somebody filled is worked off by so many a look: nothing else waits for it
ERASURE = (PATIENT_RECORD, "D", 0)

log = structlog.get_logger()


class _Found(NamedTuple):
    """A file of the spool: what it says, or why it says nothing."""

    path: Path
    use: Use | None
    why_not: str = ""


class Uses:
    """The daemon's task."""

    def __init__(self, journal: Journal, clock: Clock, *, disk: Disk | None = None) -> None:
        self._journal, self._clock, self._disk = journal, clock, disk or Disk()
        self._folder = spool.folder(journal.root)
        self._began_ns = clock.now().wall_ns
        self._crashed: set[str] | None = None  # names that were there at the start: a crash may have left them
        self._written: set[str] = set()  # names of files that are in the record, and still there
        self._stuck: set[str] = set()  # ... and do not go
        self._told: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except (OSError, RecordError) as error:
                log.warning("uses_not_taken_in", reason=str(error))
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Take in what is there. OSError, RecordError: it stays there for the next look."""
        try:
            names = [name for name in os.listdir(self._folder) if name not in self._stuck]  # noqa: PTH208 - once a second
        except FileNotFoundError:
            names = []
            await asyncio.to_thread(self._disk.make_directory, self._folder)
        self._crashed = set(names) if self._crashed is None else self._crashed
        whole = sorted(name for name in names if not name.endswith(".new"))[:MOST_AT_ONCE]
        if not whole:
            return
        found = await asyncio.to_thread(lambda: [self._read(name) for name in whole])
        known = await asyncio.to_thread(self._recorded, found)
        for each in found:
            if each.path.name not in self._written and (each.use is None or each.use.said.id not in known):
                self._journal.append(self._event(each))
                self._written.add(each.path.name)
        await self._journal.settled()  # THE COMMIT POINT
        await asyncio.to_thread(self._finish, found)

    def _read(self, name: str) -> _Found:
        try:
            use = spool.read(self._folder / name)
            self._check(use.said)
            return _Found(self._folder / name, use)
        except (ValueError, OSError) as error:
            return _Found(self._folder / name, None, str(error))

    def _check(self, said: AuditEvent) -> None:
        """ValueError: it would erase what is not to be erased."""
        if said.erased and (said.event, said.action, said.outcome) != ERASURE:
            raise ValueError("files are erased by a deletion of a patient record alone")
        for problem in (erasing.why_not(name, self._journal.record) for name in said.erased):
            if problem is not None:
                raise ValueError(problem)

    def _recorded(self, found: list[_Found]) -> set[str]:
        """Ids that the record has already: what is older than this process can be there, and what a crash left."""
        uses = [(each.path.name, each.use.wall_ns) for each in found if each.use is not None]
        old = [ns for name, ns in uses if ns <= self._began_ns or name in (self._crashed or ())]
        if not old:
            return set()
        root = self._journal.root
        return {said.id for record in _open_since(root, min(old)) for _, said in payloads(root, record, AuditEvent)}

    def _event(self, found: _Found) -> Event:
        now = self._clock.now()
        if found.use is not None:
            return Event(source="room", data=found.use.said, received=now, happened_wall_ns=found.use.wall_ns)
        name = re.sub(r"[^A-Za-z0-9._-]", "?", found.path.name)[:80]
        what = f"{spool.FOLDER}/{name} is no word of a use of the record, and was not taken in: {found.why_not}"
        return Event(source="room", data=_of_the_daemon(SECURITY_ALERT, what, outcome=4), received=now)

    def _finish(self, found: list[_Found]) -> None:
        """In a thread: what is recorded need not stay in the spool."""
        for each in found:
            try:
                if each.use is not None:
                    erasing.erase(self._disk, self._journal.root, each.use.said.erased)
                each.path.unlink(missing_ok=True)
            except OSError as error:
                self._tell(each, error)
            else:
                self._written.discard(each.path.name)
        self._disk.sync_directory(self._folder)

    def _tell(self, found: _Found, error: OSError) -> None:
        """It stays there. An erasure is tried again at every look."""
        name = found.path.name
        if name not in self._told:
            log.warning("use_stays_in_spool", file=str(found.path), reason=error.strerror or str(error))
        self._told.add(name)
        if found.use is None or not found.use.said.erased:
            self._stuck.add(name)


def started(software: str) -> AuditEvent:
    """The daemon begins to observe."""
    return _of_the_daemon(APPLICATION_ACTIVITY, f"the daemon started, esi_room {software}", event_type="110120")


def stopped() -> AuditEvent:
    """The daemon ends in order: after a crash there is no such entry."""
    return _of_the_daemon(APPLICATION_ACTIVITY, "the daemon was stopped", event_type="110121")


def _of_the_daemon(
    event: EventCode, what: str, *, outcome: Outcome = 0, event_type: Activity | None = None
) -> AuditEvent:
    return AuditEvent(
        id=secrets.token_hex(16),
        event=event,
        meaning=MEANINGS[event],
        event_type=event_type,
        action="E",
        outcome=outcome,
        actor="esi_room",
        user=spool.user(),
        what=what,
        records=(),
    )


def _open_since(root: Path, wall_ns: int) -> list[str]:
    """The records that were open at that time or later, by the second with which their ids begin; and whatever the
    clock says the last two: a crash that left something was in one of them."""
    ids, second = records(root), rfc3339(wall_ns).replace("-", "").replace(":", "")[:15]
    opened_by_then = sum(record[:15] <= second for record in ids)
    return ids[max(0, min(opened_by_then - 1, len(ids) - 2)) :]
