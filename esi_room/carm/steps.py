"""Performed procedure steps (MPPS, PS3.4 annex F): their states, their entries, and what they make of the procedure.

                 N-CREATE            N-SET               N-SET
    (no step) ------------> IN PROGRESS ----> COMPLETED or DISCONTINUED
                              |     ^
                              +-----+ N-SET

    the order that it names is chosen
    -> IN PROGRESS: a procedure record is open (see `cases`)
    -> the data set as it came lies in `private/<sha256>.mpps`, durable
    -> entry `carm.mpps`, durable (the journal's COMMIT POINT)
    -> COMPLETED or DISCONTINUED: the procedure is ended, where it is the step's to end
    -> only then 0000

A C-arm says that it is done while its last objects and its dose report are still on their way. Where the final message
names objects that the room does not hold yet, the procedure is ended when they have come, or after GRACE_S: what comes
within that time is in the record that it belongs to.

Steps and their states are rebuilt from the journals at every start. A step is its SOP instance UID: it survives a
restart and a change of the record. What ends between its last entry and the end of its procedure is ended at the next
start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, NamedTuple

import structlog
from msgspec.structs import replace

from esi_room.carm.cases import Cases, Orders
from esi_room.carm.identity import Verdict, compared, identity_of, patient_of
from esi_room.carm.keeper import SOURCE
from esi_room.carm.patients import Patients
from esi_room.carm.shapes import Step
from esi_room.carm.wire import Answer, StepChanged, StepCreated
from esi_room.commands import Order
from esi_room.errors import RecordError
from esi_room.events import CarmMpps, Entry, Event
from esi_room.record.disk import Disk
from esi_room.record.entry import sha256
from esi_room.record.journal import Journal, Receipt

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
STATUSES = (IN_PROGRESS, COMPLETED, DISCONTINUED)

SUCCESS = 0x0000
INVALID_VALUE = 0x0106
PROCESSING_FAILURE = 0x0110
DUPLICATE_INSTANCE = 0x0111
NO_SUCH_INSTANCE = 0x0112
MISSING_ATTRIBUTE = 0x0120
RESOURCE_LIMITATION = 0x0213
NO_LONGER_UPDATED = 0xA710  # Error ID, PS3.4 F.7.2.2.4

# A dose report follows its step within seconds; a run over a slow network within a minute. Then they are late.
GRACE_S = 60.0
_LOOK_S = 0.2

# Of the images that a step names and the room does not hold; 1,000 UIDs are 64 KB.
MAX_MISSING = 1000

log = structlog.get_logger()


class Refusal(NamedTuple):
    """Why a message is not carried out. `comment`: at most 64 characters, for the C-arm's log."""

    status: int
    comment: str
    error_id: int | None = None


class Known(NamedTuple):
    """A step: its status, the record that it began in, and what its N-CREATE names: an N-SET names neither order nor
    study (table F.7.2-1)."""

    status: str
    record: str
    order: str | None
    study_uid: str | None


def why_not_create(step: Step, known: Known | None) -> Refusal | None:
    """PS3.4 F.7.2.1.3."""
    if known is not None:
        return Refusal(DUPLICATE_INSTANCE, "this step exists already")
    if step.status is None:
        return Refusal(MISSING_ATTRIBUTE, "a step needs a status")
    if step.status != IN_PROGRESS:
        return Refusal(INVALID_VALUE, "a step begins IN PROGRESS")
    return None


def why_not_change(step: Step, known: Known | None) -> Refusal | None:
    """PS3.4 F.7.2.2.3. A message without a status leaves it as it is."""
    if known is None:
        return Refusal(NO_SUCH_INSTANCE, "no such step")
    if known.status != IN_PROGRESS:
        comment = "Performed Procedure Step Object may no longer be updated"
        return Refusal(PROCESSING_FAILURE, comment, NO_LONGER_UPDATED)
    if step.status is not None and step.status not in STATUSES:
        return Refusal(INVALID_VALUE, "no status of a step")
    return None


class Steps:
    """The steps of a room.

    `holds`: whether the room has the object of a SOP instance UID. `on_step` is told of each entry and in which
    record its step began, and returns the last entry that must be durable.
    """

    def __init__(
        self,
        journal: Journal,
        holds: Callable[[str], bool],
        patients: Patients,
        *,
        cases: Cases | None = None,
        orders: Orders | None = None,
        on_step: Callable[[Step, Receipt, str], Receipt] = lambda _step, receipt, _record: receipt,
    ) -> None:
        self._journal, self._holds, self._patients = journal, holds, patients
        self._cases, self._orders, self._on_step = cases, orders, on_step
        self._known: dict[str, Known] = {}
        self._one_at_a_time = asyncio.Lock()
        self._disk = Disk()
        self._waiting: set[asyncio.Task[None]] = set()

    def remember(self, entry: Entry, said: CarmMpps) -> None:
        """An entry of the room's journals, oldest first: the steps are kept in the order of their last entries."""
        before = self._known.pop(said.sop_instance_uid, None)
        began = before.record if before else entry.record
        self._known[said.sop_instance_uid] = Known(said.status, began, said.order, said.study_uid)

    async def resume(self) -> None:
        """After a start of the daemon, once all entries are remembered: end the procedure that was about to end."""
        last = [known for known in self._known.values() if known.record == self._journal.record][-1:]
        if last:
            await self._end_case(last[0], None)

    async def create(self, message: StepCreated) -> Answer:
        """N-CREATE."""
        async with self._one_at_a_time:
            refusal = why_not_create(message.step, self._known.get(message.step.sop_instance_uid))
            return await self._carried_out(message, "create", refusal)

    async def change(self, message: StepChanged) -> Answer:
        """N-SET."""
        async with self._one_at_a_time:
            refusal = why_not_change(message.step, self._known.get(message.step.sop_instance_uid))
            return await self._carried_out(message, "set", refusal)

    async def _carried_out(
        self, message: StepCreated | StepChanged, kind: Literal["create", "set"], refusal: Refusal | None
    ) -> Answer:
        if refusal is None and self._journal.problem is not None:
            refusal = Refusal(RESOURCE_LIMITATION, self._journal.problem)
        if refusal is None:
            try:
                await self._carry_out(message, kind)
            except OSError as error:
                refusal = Refusal(RESOURCE_LIMITATION, f"cannot write: {error.strerror or error}")
            except RecordError as error:
                refusal = Refusal(RESOURCE_LIMITATION, str(error))
        if refusal is None:
            return Answer(id=message.id, status=SUCCESS)
        return Answer(id=message.id, status=refusal.status, comment=refusal.comment, error_id=refusal.error_id)

    async def _carry_out(self, message: StepCreated | StepChanged, kind: Literal["create", "set"]) -> None:
        if kind == "create":
            await self._end_forgotten(message.step)
        order = await self._order(message.step)
        if kind == "create":
            await self._begin_case(message.step, order)
        receipt, known = await self._keep(message, kind, order)
        await receipt.durable()
        if known.status != IN_PROGRESS:
            await self._end(known, message.step)

    async def _end(self, ended: Known, step: Step) -> None:
        """The step is over: so is its procedure, now or when its last objects have come."""
        awaited = [image.sop_instance_uid for image in step.images if not self._holds(image.sop_instance_uid)]
        if not awaited:
            await self._end_case(ended, step.discontinuation_reason)
            return
        waiting = asyncio.create_task(self._end_later(ended, awaited, step.discontinuation_reason))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)

    async def stop(self) -> None:
        """The daemon ends: what waits to be ended is ended at the next start."""
        for waiting in self._waiting:
            waiting.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _keep(
        self, message: StepCreated | StepChanged, kind: Literal["create", "set"], order: Order | None
    ) -> tuple[Receipt, Known]:
        """Append the entry; what was appended last for it, and the step as it is now."""
        step, digest = message.step, sha256(message.dataset)
        record = await self._keep_dataset(digest, message.dataset)
        # No await from here to the append: the record is still the one that holds the data set.
        known = self._after(step, record, order)
        verdict = self._patients.judge(step.patient, record, order)
        payload = self._entry(message, kind, digest, known, verdict)
        device_time = step.started if kind == "create" else step.ended
        event = Event(source=SOURCE, data=payload, received=message.at, device_time=device_time)
        receipt = self._journal.append(event)
        self._known[step.sop_instance_uid] = known
        self._patients.alert(payload, receipt)
        of_study = () if known.study_uid is None else (known.study_uid,)
        return self._on_step(replace(step, study_uids=of_study), receipt, known.record), known

    def _after(self, step: Step, record: str, order: Order | None) -> Known:
        """What is known of the step once the message is kept in `record`."""
        status = step.status or IN_PROGRESS
        before = self._known.get(step.sop_instance_uid)
        if before is not None:
            return before._replace(status=status)
        named = order.id if order is not None else next(iter(step.orders), None)
        return Known(status, record, named, next(iter(step.study_uids), None))

    def _entry(
        self,
        message: StepCreated | StepChanged,
        kind: Literal["create", "set"],
        digest: str,
        known: Known,
        verdict: Verdict,
    ) -> CarmMpps:
        step = message.step
        missing = [image.sop_instance_uid for image in step.images if not self._holds(image.sop_instance_uid)]
        cut = () if len(missing) <= MAX_MISSING else (f"{len(missing)} images are missing",)
        return CarmMpps(
            sop_instance_uid=step.sop_instance_uid,
            status=known.status,
            message=kind,
            peer=message.peer,
            sha256=digest,
            started=step.started,
            ended=step.ended,
            procedure=step.description,
            order=known.order,
            study_uid=known.study_uid,
            images=len(step.images),
            missing=tuple(missing[:MAX_MISSING]),
            identity=verdict.verdict,
            identity_differs=verdict.differs,
            discontinuation_reason=step.discontinuation_reason,
            problems=step.problems + cut,
        )

    async def _keep_dataset(self, digest: str, octets: bytes) -> str:
        """`private/<digest>.mpps` of the open record, durable; the record's id, which is still the open one."""
        while True:
            record, folder = self._journal.record, self._journal.directory / "private"
            await asyncio.to_thread(self._disk.make_directory, folder)
            await asyncio.to_thread(self._disk.write_file, folder / f"{digest}.mpps", octets)
            if self._journal.record == record:
                return record

    # --- orders and procedures ----------------------------------------------------------------------------

    async def _order(self, step: Step) -> Order | None:
        """The order that the step names, which is thereby the one carried out."""
        if self._orders is None:
            return None
        find = self._orders.find
        found = [find(each) for each in step.orders]
        found += [find(study_uid=each) for each in step.study_uids]
        found += [find(accession=each) for each in step.accessions]
        order = next((each for each in found if each is not None), None)
        if order is not None:
            await self._patients.choose(order, "mpps")
        return order

    async def _end_forgotten(self, step: Step) -> None:
        """A step of another patient begins in a procedure that the C-arm opened, never ended, and nobody of the staff
        touched: that procedure is over, and this patient's images are not to go into its record."""
        if self._cases is None or self._journal.kind != "procedure":
            return
        known = self._cases.identity(self._journal.record)
        if known is not None and compared(step.patient, patient_of(known)).verdict == "mismatch":
            await self._cases.finish(SOURCE, outcome="discontinued", reason="the step of another patient began")

    async def _begin_case(self, step: Step, order: Order | None) -> None:
        if self._cases is not None:
            await self._cases.begin(
                SOURCE,
                procedure=(order.procedure if order is not None else None) or step.description,
                identity=order.identity if order is not None else identity_of(step.patient),
            )

    async def _end_later(self, ended: Known, awaited: list[str], reason: str | None) -> None:
        """End the case when the objects that the step named have come, or have not within the time for it."""
        for _ in range(round(GRACE_S / _LOOK_S)):
            if all(self._holds(uid) for uid in awaited) or self._journal.record != ended.record:
                break
            await asyncio.sleep(_LOOK_S)
        async with self._one_at_a_time:
            await self._end_case(ended, reason)

    async def _end_case(self, ended: Known, reason: str | None) -> None:
        """End the procedure if `ended` was the last step in progress of those that began in the open record."""
        here = [known.status for known in self._known.values() if known.record == self._journal.record]
        if self._cases is None or ended.record != self._journal.record or IN_PROGRESS in here:
            return
        outcome: Literal["completed", "discontinued"] = "completed" if ended.status == COMPLETED else "discontinued"
        try:
            await self._cases.finish(SOURCE, outcome=outcome, reason=reason)
        except (RecordError, OSError) as error:  # the step is kept; the next start ends the procedure
            log.warning("procedure_not_ended", reason=str(error))
