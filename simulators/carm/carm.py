"""The C-arm on the network, as its makers configure one: worklist, performed procedure step, store, commitment, dose.

Rules of this file:
- `do` returns when the deed at the console is done; what the room is told of it goes out behind it, in order: objects
  through one queue, performed procedure steps and commitment each through another.
- With nothing configured it only stores images. A service that the room does not have is told in the truth log.
- A case begins with the choice from the worklist, with `begin_case`, or with the first exposure; `end_case` closes it
  with what was configured: dose report, end of the performed procedure step, request for commitment.
- Everything that can go wrong is asked for by name: see `faults`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Literal

from pydicom.dataset import Dataset

from simulators.carm import dose_faults, dose_report, mpps, worklist
from simulators.carm.case import Case, Identity, Kept, Study, new_uid
from simulators.carm.commitment import Commitment
from simulators.carm.dose_faults import Fault
from simulators.carm.encoders import TRANSFER_SYNTAXES
from simulators.carm.errands import Errands
from simulators.carm.fluoroscope import Action, Fluoroscope
from simulators.carm.jobs import FIRST_RETRY_S, JobQueue
from simulators.carm.scu import Job, NotOfferedError, PeerError, Scu
from simulators.clock import ScenarioClock
from simulators.truth import TruthLog

DoseReports = Literal["none", "end", "cumulative", "continued"]


class CArm(Fluoroscope):
    """An OEC 9900 that calls a room at `to` (host, port).

    `mpps`: it tells of performed procedure steps. `commitment_port`: it asks for storage commitment, and listens there
    (0: on a free port, see `commitment_port`). `dose_report`: at the end of a case, or after each run as well;
    `dose_report_fault` spoils every one of them. Further settings are those of `Fluoroscope`.
    """

    def __init__(
        self,
        to: tuple[str, int],
        identity: Identity,
        clock: ScenarioClock,
        truth: TruthLog,
        *,
        ae_title: str = "OEC_9900",
        called_ae_title: str = "ESI_ROOM",
        retry_s: float = FIRST_RETRY_S,
        mpps: bool = False,
        commitment_port: int | None = None,
        dose_report: DoseReports = "none",
        dose_report_fault: Fault | None = None,
        **exposure: Any,
    ) -> None:
        super().__init__(identity, clock, truth, **exposure)
        syntax = TRANSFER_SYNTAXES[self._style.transfer_syntax]
        self._scu = Scu(*to, calling=ae_title, called=called_ae_title, syntax=syntax)
        self.queue = JobQueue(self._scu, self.note, first_retry_s=retry_s)
        self._steps = Errands(self.note, first_retry_s=retry_s)
        self._promises = Errands(self.note, first_retry_s=retry_s)
        self._tells_steps, self._reports, self._report_fault = mpps, dose_report, dose_report_fault
        self._commitment = (
            Commitment(self._scu, self.queue, self.note, commitment_port) if commitment_port is not None else None
        )
        self._sent_of_case: list[Job] = []
        self._last: Job | None = None

    @property
    def commitment_port(self) -> int | None:
        """Where it listens for storage commitment reports."""
        return self._commitment.port if self._commitment else None

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for queue in (self.queue, self._steps, self._promises):
                    tasks.create_task(queue.run())
        finally:
            self._scu.hang_up()
            if self._commitment is not None:
                self._commitment.close()

    async def drain(self, limit_s: float) -> bool:
        """Wait until the room was told everything, at most `limit_s` real seconds. Whether it stored every object."""
        until_s = time.monotonic() + limit_s
        stored = await self.queue.drain(limit_s)
        told = [await errands.drain(until_s - time.monotonic()) for errands in (self._steps, self._promises)]
        if not all(told):
            self.note("untold", steps=told[0], commitment=told[1])
        return stored

    async def worklist(self, order: str | None = None, *, mine: bool = False) -> None:
        """Choose the patient from the room's worklist: the line with that Scheduled Procedure Step ID, or the first.

        Looks again for a while where the room does not answer, or has not got it yet: as one presses "refresh".
        `mine`: ask only for what is scheduled on this AE title, today by the C-arm's clock.
        """
        if self._open is not None and self._open.events:
            raise ValueError(f"{self.name}: the case before is still open; end_case first")
        asked = worklist.query(self._scu.calling, self.device_now()) if mine else worklist.query()
        try:
            chosen = await worklist.look_up(self._scu, asked, order, self.note)
        except NotOfferedError as error:
            self.note("c_find", ok=False, reason=str(error))
            return
        if chosen is None:
            raise ValueError(f"{self.name}: the worklist has no {order or 'line'}")
        self._open = Case(chosen.identity, Study.begin(self.device_now(), self._procedure, chosen), chosen)
        self._sent_of_case = []

    async def begin_case(self) -> None:
        """Begin at the console, before any exposure: the performed procedure step starts now."""
        self._begin_step(self._case())

    async def end_case(
        self,
        *,
        outcome: Literal["completed", "discontinued"] = "completed",
        mpps: Literal["once", "never", "twice"] = "once",
    ) -> None:
        """Close the case: send what was held and the dose report, end the procedure step, ask for commitment."""
        case = self._open
        if case is None:
            raise ValueError(f"{self.name}: no case is open")
        self.queue.release()
        if self._reports != "none":
            self._report(case, self._report_fault)
        self._end_step(case, outcome, {"once": 1, "never": 0, "twice": 2}[mpps])
        if self._commitment is not None and self._sent_of_case:
            jobs, commitment = self._sent_of_case, self._commitment
            self._promises.put("commitment", lambda: commitment.ask(jobs))
        self.note("case_ended", outcome=outcome, images=sum(kept.image for kept in case.kept), events=len(case.events))
        self._open, self._sent_of_case = None, []

    async def dose_report(self, *, fault: Fault | None = None, since_last: bool = False) -> None:
        """Send a dose report now, of everything so far or of what came since the last one."""
        self._report(self._case(), fault, since_last=since_last)

    async def refuse_reports(self, *, reports: int = 1) -> None:
        """The next so many reports of storage commitment are answered with a failure: the room has to come again."""
        if self._commitment is None:
            raise ValueError(f"{self.name} has no commitment_port")
        self._commitment.refuse(reports)
        self.note("refuse_reports_armed", reports=reports)

    async def hold_images(self) -> None:
        """Objects wait on the C-arm's disk from now on."""
        self.queue.hold()
        self.note("images_held")

    async def send_images(self) -> None:
        """Send what was held."""
        self.queue.release()
        self.note("images_released", waiting=len(self.queue))

    async def echo(self) -> None:
        """Ask whether the room is there (C-ECHO)."""
        await self._echo(None)

    async def wrong_ae(self, calling: str = "STRANGER") -> None:
        """Knock under an AE title that the room does not know."""
        await self._echo(calling)

    async def abort_mid_object(self) -> None:
        """The next object's association breaks in the middle of it; the object is sent again after that."""
        self.queue.abort_next()
        self.note("abort_mid_object_armed")

    async def resend(self) -> None:
        """Send the last object once more: same UID, same content."""
        self._queue(self._last_object())

    async def same_uid_other_content(self) -> None:
        """Send another object under the last object's UID."""
        dataset = deepcopy(self._last_object().dataset)
        dataset.ImageComments = f"{dataset.get('ImageComments', '')} (changed)"
        self._queue(Job.of(dataset))

    def _begin_exposure(self) -> None:
        if self._tells_steps:
            self._begin_step(self._case())

    def _begin_step(self, case: Case) -> None:
        """Once a case, and before everything else of it."""
        if case.step_uid:
            return
        uid, began = new_uid(), self.device_now()
        case.step_uid, case.step_began = uid, began
        step = mpps.created(case, self._scu.calling, began)
        self._tell_step("n_create", uid, step)

    def _end_step(self, case: Case, outcome: str, times: int) -> None:
        if not case.step_uid:
            return
        status: mpps.Status = "COMPLETED" if outcome == "completed" else "DISCONTINUED"
        for _ in range(times):
            self._tell_step("n_set", case.step_uid, mpps.ended(case, status, self.device_now()))

    def _tell_step(self, what: Literal["n_create", "n_set"], uid: str, step: Dataset) -> None:
        send = {"n_create": mpps.send_created, "n_set": mpps.send_ended}[what]

        async def work() -> Mapping[str, Any]:
            await asyncio.to_thread(send, self._scu, uid, step)
            return {"sop_instance_uid": uid, "status": step.PerformedProcedureStepStatus}

        self._steps.put(what, work)

    def _keep(self, dataset: Dataset, event_uids: tuple[str, ...]) -> None:
        self._queue_new(dataset, image=True, event_uids=event_uids)
        case = self._case()
        if case.events[-1].recorded and self._reports in ("cumulative", "continued"):
            self._report(case, self._report_fault)

    def _report(self, case: Case, fault: Fault | None, *, since_last: bool = False) -> None:
        since_last = since_last or self._reports == "continued"
        events = case.events[case.reported :] if since_last else case.events
        identity = self._identity_of_next(case)
        dataset = dose_report.report(case, identity, events, self.device_now())
        if fault is not None:
            dose_faults.spoil(dataset, fault)
        case.reported, case.reports = len(case.events), case.reports + 1
        uid = str(dataset.SOPInstanceUID)
        self.note("dose_report", sop_instance_uid=uid, events=len(events), fault=fault, since_last=since_last)
        self._queue_new(dataset, image=False)
        if fault == "twice":
            self._queue(self._last_object())

    def _queue_new(self, dataset: Dataset, *, image: bool, event_uids: tuple[str, ...] = ()) -> None:
        kept = Kept(
            str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), str(dataset.SeriesInstanceUID), image, event_uids
        )
        self._case().kept.append(kept)
        job = Job.of(dataset)
        self._sent_of_case.append(job)
        self._queue(job)

    def _queue(self, job: Job) -> None:
        self._last = job
        self.note("queued", sop_instance_uid=job.uid, dataset_sha256=job.sha256, waiting=len(self.queue) + 1)
        self.queue.put(job)

    def _last_object(self) -> Job:
        if self._last is None:
            raise ValueError(f"{self.name} has taken no image yet")
        return self._last

    async def _echo(self, calling: str | None) -> None:
        try:
            await asyncio.to_thread(self._scu.echo, calling=calling)
        except PeerError as error:
            self.note("c_echo", ok=False, reason=str(error), calling=calling or self._scu.calling)
        else:
            self.note("c_echo", ok=True, calling=calling or self._scu.calling)

    ACTIONS: ClassVar[Mapping[str, Action]] = {
        **Fluoroscope.ACTIONS,
        "worklist": worklist,
        "begin_case": begin_case,
        "end_case": end_case,
        "dose_report": dose_report,
        "refuse_reports": refuse_reports,
        "hold_images": hold_images,
        "send_images": send_images,
        "echo": echo,
        "wrong_ae": wrong_ae,
        "abort_mid_object": abort_mid_object,
        "resend": resend,
        "same_uid_other_content": same_uid_other_content,
    }
