"""The desk: carries out what the staff say, one command after the other, each as entries of the record. A device that
knows when a procedure begins and ends (the C-arm, by MPPS) is heard here too.

Rules:
- Nothing is half-applied: a command is checked whole before its first entry is appended.
- A command is answered once its last entry is durable.
- Two consoles at once are served in the order they came; the second is told what the first has changed.
- The patient's identity goes into a file of its own; no entry, log line or file name holds any of it.
- A device opens a procedure record where none is under way, and joins the one that is. The staff's `start` takes over
  what a device has opened.
- One that a device began is ended by that device's last word, as long as nobody of the staff has done anything in it.
  Once somebody has, it is the staff's to end: recovery goes on long after the last image.
- One that nobody has ended, and in which nothing was done or seen for long, the room closes, and says so.
- Patient and procedure of a `start` are what the command says, else what the order that it names says, else what is
  known of the procedure that it takes over; where it takes over none, what the order chosen last says. That the
  command's patient is another one is an alert, and no refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from esi_room.clock import Clock
from esi_room.commands import Acknowledge, Command, End, EnterPhase, Identity, Note, Order, Override, Say, Start
from esi_room.errors import CommandRefused
from esi_room.events import (
    AlertAcknowledged,
    AlertRaised,
    Clinical,
    Event,
    OperatorCommand,
    Payload,
    Plan,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureStarted,
)
from esi_room.procedure import contradictions, phases
from esi_room.procedure import identity as identities
from esi_room.procedure.discretion import TELLS_WHO, giving_away
from esi_room.procedure.facts import STAFF, Facts
from esi_room.procedure.moments import happened_ns
from esi_room.procedure.observer import Observer
from esi_room.record.disk import Disk
from esi_room.record.journal import Journal, Receipt

IDLE_LOOK_S = 30.0
_ANOTHER = "another case is under way, or none"


class Orders(Protocol):
    """The worklist, as far as the desk needs it."""

    @property
    def chosen(self) -> Order | None:
        """The order that is expected to be carried out next."""

    def find(self, order_id: str) -> Order | None:
        """The order of this id, if it is on the worklist."""

    async def choose(self, order: Order, origin: Literal["staff"]) -> None:
        """`order` is the one that is carried out: by the procedure under way, or else by the next."""


class Known(msgspec.Struct, frozen=True):
    """What is known of a procedure when the staff start it. `expected`: who the order, or the device that opened it,
    said the patient is."""

    procedure: str | None
    identity: Identity | None
    order: Order | None
    expected: tuple[Identity, ...]
    plan: Plan | None = None


def _nothing_differs(_said: Identity, _expected: Identity) -> tuple[str, ...]:
    return ()


class Desk:
    """Carries out the staff's commands on a room's journal.

    `differs`: keywords of the attributes in which two identities differ.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        observer: Observer,
        *,
        differs: Callable[[Identity, Identity], tuple[str, ...]] = _nothing_differs,
    ) -> None:
        self._journal, self._clock, self._observer, self._differs = journal, clock, observer, differs
        self._orders: Orders | None = None
        self._identity: tuple[str, Identity | None] = ("", None)  # a record and its patient
        self._on_identity: Callable[[bytes | None], None] = lambda _: None
        self._one_at_a_time = asyncio.Lock()
        self._disk = Disk()

    def tell_identity(self, listener: Callable[[bytes | None], None]) -> None:
        """From now on `listener` gets the patient of the open record as JSON, or None where there is none."""
        self._on_identity = listener
        self._publish_identity()

    def use_worklist(self, orders: Orders) -> None:
        """From now on a `start` may name an order."""
        self._orders = orders

    def identity(self, record: str) -> Identity | None:
        """The patient of a record, where one is known. In memory for comparison alone: to go into no entry or log."""
        known, identity = self._identity
        return identity if known == record else identities.read(self._journal.root, record)

    @property
    def under_way(self) -> bool:
        """Whether a procedure is."""
        return self._facts.started is not None

    @property
    def _facts(self) -> Facts:
        return self._observer.facts

    async def resume(self) -> None:
        """After a start of the daemon: take up the open record where it stands, and finish an end cut short."""
        async with self._one_at_a_time:
            await self._observer.resume()
            if self._journal.kind == "procedure" and self._facts.ended is not None:
                await self._close_case()
            self._publish_identity()

    # --- the staff ----------------------------------------------------------------------------------------

    async def start(self, command: Start) -> Receipt:
        """A procedure begins: seal the standby record, open a procedure record; or take over what a device opened."""
        async with self._one_at_a_time:
            if self._facts.claimed:
                raise CommandRefused(f"a procedure is under way (record {self._journal.record}): end it first")
            known = self._known(command)
            if known.order is not None and self._orders is not None:
                await self._orders.choose(known.order, STAFF)
            digest = await self._open_record(known.identity)
            started = ProcedureStarted(
                procedure=known.procedure,
                origin=STAFF,
                actor=command.actor,
                identity_sha256=digest,
                plan=known.plan,
            )
            receipt = await self._write(command, started)
            self._compare(known, receipt.seq)
            self._publish_identity()
            return receipt

    async def enter(self, command: EnterPhase) -> Receipt:
        """The procedure enters a phase."""
        async with self._one_at_a_time:
            self._must_be_open(command.record)
            self._must_be_in_procedure()
            present = self._facts.phases[-1].data if self._facts.phases else None
            hinted = present is not None and present.origin != STAFF
            problem = phases.why_not(self._facts.phase, command.phase, command.reason, hinted=hinted)
            if problem is not None:
                raise CommandRefused(problem)
            entered = ProcedurePhase(
                phase=command.phase,
                previous=self._facts.phase,
                origin=STAFF,
                reason=command.reason,
                actor=command.actor,
            )
            return await self._write(command, entered)

    async def say(self, command: Say) -> Receipt:
        """A form is filled in; a note may go into whichever record is open, every other form into a procedure's."""
        async with self._one_at_a_time:
            self._must_be_open(command.record, "say it with `amend` if it is sealed")
            if not isinstance(command, Note):
                self._must_be_in_procedure()
            form, moment_ns = command.form(), happened_ns(command.at, self._clock.now())
            problems = [*form.problems()]
            problems += filter(None, [contradictions.why_not(form, self._facts)] if not problems else [])
            problems += self._giving_away(form)
            if problems:
                raise CommandRefused("; ".join(problems))
            return await self._write(command, form, moment_ns)

    async def acknowledge(self, command: Acknowledge) -> Receipt:
        """Somebody has seen an alert."""
        return await self._answer_alert(command, overridden=False)

    async def override(self, command: Override) -> Receipt:
        """Somebody goes on in spite of an alert."""
        return await self._answer_alert(command, overridden=True)

    async def _answer_alert(self, command: Acknowledge | Override, *, overridden: bool) -> Receipt:
        async with self._one_at_a_time:
            self._must_be_open(command.record)
            standing = self._facts.alerts
            if command.alert not in standing:
                there = f"there are {', '.join(standing)}" if standing else "there is none"
                raise CommandRefused(f"there is no alert {command.alert!r}, or its cause has ended: {there}")
            raised = standing[command.alert]
            answered = AlertAcknowledged(
                alert=command.alert,
                rule=raised.data.rule,
                severity=raised.data.severity,
                text=raised.data.text,
                facts=(raised.seq,),
                actor=command.actor,
                reason=command.reason,
                overridden=overridden,
            )
            return await self._write(command, answered)

    async def end(self, command: End) -> Receipt:
        """The procedure is over: seal its record, open a standby record."""
        async with self._one_at_a_time:
            self._must_be_open(command.record)
            self._must_be_in_procedure()
            ended = ProcedureEnded(outcome=command.outcome, origin=STAFF, reason=command.reason, actor=command.actor)
            receipt = await self._write(command, ended)
            await self._close_case()
            self._publish_identity()
            return receipt

    # --- a device -----------------------------------------------------------------------------------------

    async def begin(self, origin: str, *, procedure: str | None, identity: Identity | None) -> bool:
        """The device `origin` has begun a procedure: open its record; False where one is under way already. Durable
        when this returns."""
        async with self._one_at_a_time:
            if self.under_way:
                return False
            digest = await self._open_record(identity)
            await self._commit(ProcedureStarted(procedure=procedure, origin=origin, identity_sha256=digest))
            self._publish_identity()
            return True

    async def finish(
        self, origin: str, *, outcome: Literal["completed", "discontinued"], reason: str | None = None
    ) -> bool:
        """The device `origin` has ended the procedure: seal its record; False where it is not the device's to end."""
        async with self._one_at_a_time:
            if not self.under_way or self._facts.opened_by != origin or self._facts.attended:
                return False
            await self._commit(ProcedureEnded(outcome=outcome, origin=origin, reason=reason))
            await self._close_case()
            self._publish_identity()
            return True

    # --- nobody -------------------------------------------------------------------------------------------

    async def close_forgotten(self, idle_s: float) -> None:
        """For ever: close the procedure in which nothing was done or seen for `idle_s`."""
        while True:
            await asyncio.sleep(min(IDLE_LOOK_S, idle_s))
            async with self._one_at_a_time:
                if self.under_way and self._facts.idle_s(self._clock.now()) > idle_s:
                    reason = f"nobody ended it, and nothing was done or seen for {idle_s / 60:g} minutes"
                    await self._commit(ProcedureEnded(outcome="unknown", origin="room", reason=reason))
                    await self._close_case()
                    self._publish_identity()

    # --- inside -------------------------------------------------------------------------------------------

    def _known(self, command: Start) -> Known:
        """Procedure, patient and order of a `start`; see the rules above. CommandRefused for an unknown order."""
        order = self._named(command.order) if command.order is not None else self._expected_order()
        expected = [self.identity(self._journal.record)] if self.under_way else []
        expected += [order.identity] if order is not None else []
        if command.order is None and command.identity is not None and order is not None:
            # Chosen at the C-arm, and not the patient whom the staff name: it is not what is carried out.
            order = None if self._differs(command.identity, order.identity) else order
        return Known(
            procedure=command.procedure or (order.procedure if order else None) or self._facts.procedure,
            identity=command.identity or (order.identity if order else None),
            order=order,
            expected=tuple(each for each in expected if each is not None),
            plan=command.plan or (order.plan if order else None),
        )

    def _expected_order(self) -> Order | None:
        return self._orders.chosen if self._orders is not None and not self.under_way else None

    def _named(self, order_id: str) -> Order:
        order = self._orders.find(order_id) if self._orders is not None else None
        if order is None:
            raise CommandRefused(f"there is no order {order_id!r} on the worklist: place it first, or leave it out")
        return order

    async def _open_record(self, identity: Identity | None) -> str | None:
        """A procedure record is open, with this patient, if any, in its file; the digest of that file, if there is
        one."""
        if self._journal.kind != "procedure":
            await self._journal.switch("procedure", "a procedure begins")
        root, record = self._journal.root, self._journal.record
        if identity is not None:
            return await asyncio.to_thread(identities.keep, self._disk, root, record, identity)
        if self.under_way:
            return identities.digest(root, record)
        identities.path(root, record).unlink(missing_ok=True)  # left by a start that a crash cut short
        return None

    async def _close_case(self) -> None:
        await self._journal.switch("standby", "the procedure ended")

    def _must_be_open(self, record: str | None, instead: str = _ANOTHER) -> None:
        if record is not None and record != self._journal.record:
            raise CommandRefused(f"record {record} is not open: {instead}")

    def _must_be_in_procedure(self) -> None:
        if not self.under_way:
            raise CommandRefused("no procedure is under way: send `start` first")

    def _giving_away(self, form: Clinical) -> list[str]:
        patient = self.identity(self._journal.record)
        telling = [] if patient is None else giving_away(patient, msgspec.to_builtins(form))
        return [f"{', '.join(telling)} {TELLS_WHO}"] if telling else []

    async def _write(self, command: Command, payload: Payload, happened_ns: int | None = None) -> Receipt:
        """The command and, as the very next entry, what it says: an id with its effect never acts twice."""
        now = self._clock.now()
        asked = OperatorCommand(id=command.id, name=command.NAME, actor=command.actor, client=command.client)
        self._journal.append(Event(source="room", data=asked, received=now))
        said = Event(source="room", data=payload, received=now, happened_wall_ns=happened_ns)
        return await self._journal.commit(said)

    async def _commit(self, payload: Payload) -> None:
        await self._journal.commit(Event(source="room", data=payload, received=self._clock.now()))

    def _compare(self, known: Known, seq: int) -> None:
        """The staff's choice counts; that it differs from what was expected is an alert."""
        if known.identity is None:
            return
        differing = sorted({word for each in known.expected for word in self._differs(known.identity, each)})
        if differing:
            alert = AlertRaised(
                alert=f"procedure-identity-{self._journal.record}",
                rule="procedure.identity_mismatch",
                severity="critical",
                text=f"The patient of this procedure is not the one expected: {', '.join(differing)} differ.",
                facts=(seq,),
                actor=None,
                reason=None,
            )
            self._journal.append(Event(source="room", data=alert, received=self._clock.now()))

    def _publish_identity(self) -> None:
        record = self._journal.record
        identity = identities.read(self._journal.root, record)
        self._identity = record, identity
        known = None if identity is None else {"record": record, **msgspec.to_builtins(identity)}
        self._on_identity(None if known is None else msgspec.json.encode(known))
