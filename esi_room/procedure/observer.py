"""The observer: shows every entry to the follower as it gets its place, and appends what follows from it.

Rules:
- It is called by the journal, in the same turn of the event loop: nothing can come between an entry and what follows.
- After a restart the open record is read again through the same code, and what is missing of it is appended.
- It never stops anything: where the record does not take an entry, the log says so and the next look tries again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

import msgspec
import structlog

from esi_room.clock import Clock, Stamp
from esi_room.errors import RecordError
from esi_room.events import Entry, Event, Payload, RecordOpened
from esi_room.procedure import rules
from esi_room.procedure.facts import Facts
from esi_room.procedure.follower import Follower
from esi_room.procedure.taken import Taken
from esi_room.record.journal import Journal, Receipt
from esi_room.record.reader import journal_path

TICK_S = 1.0
SOURCE = "room"
_UNREAD = re.compile(rb'"type":"(?:vitals\.waveform|device\.rejected)"')

log = structlog.get_logger()


class Observer:
    """Watches one room's journal. `resume` first; then `facts` are those of the open record, at any time."""

    def __init__(self, journal: Journal, clock: Clock, book: rules.Book) -> None:
        self._journal, self._clock, self._book = journal, clock, book
        self._follower = Follower(journal.record, book)
        self._following = False

    @property
    def facts(self) -> Facts:
        """Of the open record."""
        return self._follower.facts

    async def resume(self) -> None:
        """After a start of the daemon: take up the open record where it stands, and say what is missing of it."""
        for taken in await asyncio.to_thread(list, _read(self._journal)):
            self._follower.take(taken)
        self._follower.forget_hint()
        self._journal.at_append(self._heard)
        self.look()

    async def run(self) -> None:
        """Look at the time while a procedure is under way, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            if self.facts.started is not None:
                self.look()

    def look(self) -> None:
        """Time has passed."""
        now = self._clock.now()
        self._append(self._follower.look(now), now)
        self._follow()

    def _heard(self, event: Event, receipt: Receipt) -> None:
        if isinstance(event.data, RecordOpened):
            self._follower = Follower(receipt.record, self._book)
        if self._follower.take(Taken.of_event(receipt.seq, event)):
            self._follow()

    def _follow(self) -> None:
        """Append what follows, and what follows from that in turn."""
        while not self._following and (following := self._follower.following()):
            if not self._append(following, self._clock.now()):
                return

    def _append(self, payloads: Iterable[Payload], now: Stamp) -> bool:
        """Whether the record took them."""
        self._following = True
        try:
            for payload in payloads:
                self._journal.append(Event(source=SOURCE, data=payload, received=now))
        except RecordError as error:
            log.error("procedure_entry_lost", reason=str(error))
            return False
        finally:
            self._following = False
        return True


def _read(journal: Journal) -> Iterable[Taken]:
    """The open record, as its journal has it on disk."""
    path = journal_path(journal.root, journal.record)
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if _UNREAD.search(line):
                continue
            try:
                taken = Taken.of_entry(msgspec.json.decode(line, type=Entry))
            except msgspec.MsgspecError:
                continue
            if taken is not None:
                yield taken
