"""The desk: carries out what the staff say, one command after the other, each as entries of the record.

Rules:
- Nothing is half-applied: a command is checked whole before its first entry is appended.
- A command is answered once its last entry is durable.
- Two consoles at once are served in the order they came; the second is told what the first has changed.
- The patient's identity goes into a file of its own; no entry, log line or file name holds any of it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import msgspec
import structlog

from esi_room.clock import Clock
from esi_room.commands import Command, End, EnterPhase, Identity, Note, Start
from esi_room.errors import CommandRefused
from esi_room.events import (
    ClinicalNote,
    Event,
    OperatorCommand,
    Payload,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureStarted,
)
from esi_room.procedure import phases
from esi_room.procedure.case import Case, case_of
from esi_room.record.disk import Disk
from esi_room.record.entry import sha256
from esi_room.record.journal import Journal, Receipt

log = structlog.get_logger()
IDENTITY = "identity.json"


class Desk:
    """Carries out the staff's commands on a room's journal."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self._case = Case()
        self._on_identity: Callable[[bytes | None], None] = lambda _: None
        self._one_at_a_time = asyncio.Lock()
        self._disk = Disk()

    def tell_identity(self, listener: Callable[[bytes | None], None]) -> None:
        """From now on `listener` gets the patient of the open record as JSON, or None where there is none."""
        self._on_identity = listener
        self._publish_identity()

    async def resume(self) -> None:
        """After a start of the daemon: take up the open record where it stands, and finish an end cut short."""
        async with self._one_at_a_time:
            self._case = case_of(self._journal.root, self._journal.record)
            if self._journal.kind == "procedure" and self._case.ended:
                await self._close_case()
            self._publish_identity()

    async def start(self, command: Start) -> Receipt:
        """A procedure begins: seal the standby record, open a procedure record."""
        async with self._one_at_a_time:
            if self._case.started:
                raise CommandRefused(f"a procedure is under way (record {self._journal.record}): end it first")
            if self._journal.kind != "procedure":
                await self._journal.switch("procedure", "a procedure begins")
            digest = await self._keep_identity(command.identity) if command.identity is not None else None
            started = ProcedureStarted(
                procedure=command.procedure, origin="staff", actor=command.actor, identity_sha256=digest
            )
            receipt = await self._write(command, started)
            self._case = Case(started=True)
            self._publish_identity()
            return receipt

    async def enter(self, command: EnterPhase) -> Receipt:
        """The procedure enters a phase."""
        async with self._one_at_a_time:
            self._must_be_in_procedure()
            problem = phases.why_not(self._case.phase, command.phase, command.reason)
            if problem is not None:
                raise CommandRefused(problem)
            entered = ProcedurePhase(
                phase=command.phase,
                previous=self._case.phase,
                origin="staff",
                reason=command.reason,
                actor=command.actor,
            )
            receipt = await self._write(command, entered)
            self._case = Case(started=True, phase=command.phase)
            return receipt

    async def note(self, command: Note) -> Receipt:
        """Free text, into whichever record is open."""
        async with self._one_at_a_time:
            return await self._write(command, ClinicalNote(text=command.text, actor=command.actor))

    async def end(self, command: End) -> Receipt:
        """The procedure is over: seal its record, open a standby record."""
        async with self._one_at_a_time:
            self._must_be_in_procedure()
            ended = ProcedureEnded(outcome=command.outcome, origin="staff", reason=command.reason, actor=command.actor)
            receipt = await self._write(command, ended)
            await self._close_case()
            self._publish_identity()
            return receipt

    async def _close_case(self) -> None:
        await self._journal.switch("standby", "the procedure ended")
        self._case = Case()

    def _must_be_in_procedure(self) -> None:
        if not self._case.started:
            raise CommandRefused("no procedure is under way: send `start` first")

    async def _write(self, command: Command, payload: Payload) -> Receipt:
        """The command and, as the very next entry, what it says: an id with its effect never acts twice."""
        now = self._clock.now()
        asked = OperatorCommand(id=command.id, name=command.NAME, actor=command.actor, client=command.client)
        self._journal.append(Event(source="room", data=asked, received=now))
        return await self._journal.commit(Event(source="room", data=payload, received=now))

    async def _keep_identity(self, identity: Identity) -> str:
        """Write `private/identity.json`; the digest that the journal may hold. The salt makes it unguessable."""
        salted = {"salt": secrets.token_hex(16), **msgspec.to_builtins(identity)}
        octets = msgspec.json.encode(salted) + b"\n"
        folder = self._journal.directory / "private"
        await asyncio.to_thread(self._disk.make_directory, folder)
        await asyncio.to_thread(self._disk.write_file, folder / IDENTITY, octets)
        return sha256(octets)

    def _publish_identity(self) -> None:
        path = self._journal.directory / "private" / IDENTITY
        try:
            identity = msgspec.json.decode(path.read_bytes(), type=dict[str, str | None])
        except FileNotFoundError:
            self._on_identity(None)
            return
        except (OSError, msgspec.MsgspecError):
            log.warning("identity_unreadable", record=self._journal.record)
            self._on_identity(None)
            return
        identity.pop("salt", None)
        self._on_identity(msgspec.json.encode({"record": self._journal.record, **identity}))
