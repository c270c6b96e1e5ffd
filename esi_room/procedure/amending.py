"""Amending: the command `amend` says something of a record that is sealed already.

Rules:
- The form is checked whole before anything is written, as it would be in an open record.
- The amendment is durable beside its record first. Then the room's open record says so: the command and, as the very
  next entry, `record.amended`, which publishes it and puts it under the room's chain.
- The same id again finds what is there and completes what is missing: it is made once, and announced once. What a crash
  cut short between the two is announced at the next start.
- No name of a patient goes into an amendment: what gives the record's patient away is refused.
"""

from __future__ import annotations

import asyncio
import difflib
from typing import NamedTuple

import msgspec
import structlog

from esi_room.clock import Clock, Stamp
from esi_room.commands import Amend
from esi_room.errors import BrokenRecord, CommandRefused, RecordError
from esi_room.events import FORMS, Clinical, Event, OperatorCommand
from esi_room.procedure import contradictions
from esi_room.procedure import identity as identities
from esi_room.procedure.amended import facts_of
from esi_room.procedure.discretion import TELLS_WHO, giving_away
from esi_room.procedure.moments import happened_ns
from esi_room.record.amendments import Amendment, Amendments, Announced
from esi_room.record.disk import Disk
from esi_room.record.journal import Journal, Receipt

log = structlog.get_logger()


class _Made(NamedTuple):
    """An amendment that is durable, and where the room says so already."""

    amendment: Amendment
    announced: Announced | None


class Amending:
    """Carries out `amend` on a room's sealed records."""

    def __init__(self, journal: Journal, clock: Clock, *, disk: Disk | None = None) -> None:
        self._journal, self._clock = journal, clock
        self._amendments = Amendments(journal.root, disk or Disk())
        self.quiet = asyncio.Lock()
        """While it is held, nothing is amended."""

    async def resume(self) -> None:
        """After a start of the daemon: announce what a crash left durable and unannounced."""
        async with self.quiet:
            try:
                left = await asyncio.to_thread(self._amendments.unannounced)
            except OSError as error:
                log.error("amendments_unreadable", reason=error.strerror or str(error))
                return
            for amendment in left:
                await self._announce(amendment)

    async def amend(self, command: Amend) -> Receipt:
        """Amend the record that `command` names; the receipt of the entry that announces it."""
        said = form_of(command)
        async with self.quiet:
            try:
                made = await asyncio.to_thread(self._make, command, said, self._clock.now())
            except BrokenRecord as error:
                raise CommandRefused(str(error)) from error
            except OSError as error:
                raise RecordError(f"the amendment was not made: {error.strerror or error}") from error
            if made.announced is None:
                return await self._announce(made.amendment)
            await self._journal.settled()
            return Receipt(self._journal, 0, made.announced.record, made.announced.seq)

    def _make(self, command: Amend, said: Clinical, now: Stamp) -> _Made:
        """In a thread: the amendment is durable when this returns, whether it was before or not."""
        found = self._amendments.find(command.record, command.id)
        if found is not None:
            return _Made(found, self._amendments.announced(found))
        happened = happened_ns(command.at, now)
        problem = self._why_not(command, said)
        if problem is not None:
            raise CommandRefused(problem)
        asked = OperatorCommand(id=command.id, name=command.NAME, actor=command.actor, client=command.client)
        amendment = self._amendments.add(
            command.record,
            Event(source="room", data=asked, received=now),
            Event(source="room", data=said, received=now, happened_wall_ns=happened),
        )
        return _Made(amendment, None)

    def _why_not(self, command: Amend, said: Clinical) -> str | None:
        """What only the record can tell; None if nothing speaks against it."""
        root, record = self._journal.root, command.record
        if record >= self._journal.committed.record:
            return f"record {record} is being sealed: send it again in a moment"
        patient = identities.read(root, record)
        telling = [] if patient is None else giving_away(patient, command.fields)
        if telling:
            return f"{', '.join(telling)} {TELLS_WHO}"
        return contradictions.why_not(said, facts_of(root, record))

    async def _announce(self, amendment: Amendment) -> Receipt:
        now = self._clock.now()
        self._journal.append(Event(source="room", data=amendment.asked, received=now))
        return await self._journal.commit(Event(source="room", data=amendment.announcement, received=now))


def form_of(command: Amend) -> Clinical:
    """What is said, typed and checked. CommandRefused: everything that is wrong with it."""
    form = FORMS.get(command.form)
    if form is None:
        raise CommandRefused(f"there is no form {command.form[:64]!r}: {_near(command.form, tuple(FORMS))}")
    own = tuple(name for name in form.__struct_fields__ if name != "actor")
    unknown = [name for name in command.fields if name not in own]
    problems = [f"{name[:64]!r} is no field of {command.form}: {_near(name, own)}" for name in unknown]
    if not problems:
        try:
            said = msgspec.convert({**command.fields, "actor": command.actor}, form)
            problems = list(said.problems())
        except msgspec.ValidationError as error:
            problems = [str(error)]
    if problems:
        raise CommandRefused(f"{command.form}: {'; '.join(problems)}")
    return said


def _near(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
