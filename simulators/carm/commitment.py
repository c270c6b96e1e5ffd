"""Storage commitment (PS3.4 J): before the C-arm sheds its images it wants the room to stand for them.

Rules of this file:
- Asked once everything is stored (N-ACTION); the room reports on an association that it opens itself (N-EVENT-REPORT),
  on which it keeps the role of the SCP by role selection (PS3.7 D.3.3.4).
- What the room does not commit to is stored again and asked for again, a few times.
- A report for a transaction that is not, or no longer, awaited is answered with success and told in the truth log.
- On a loopback room the port is open on the loopback interface alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from simulators.carm.case import new_uid
from simulators.carm.headers import reference
from simulators.carm.jobs import JobQueue
from simulators.carm.scu import Job, Scu, expect_success

REPORT_LIMIT_S = 30.0  # a room that has not reported by then is asked no more; real C-arms wait for hours
ROUNDS = 3
_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_REQUEST, _ALL_COMMITTED = 1, 1  # Action Type ID, Event Type ID (PS3.4 J.3.2, J.3.3)


class Report(NamedTuple):
    """What the room said: SOP Instance UIDs, and the Failure Reason of each it does not commit to."""

    committed: tuple[str, ...]
    failed: Mapping[str, int]


class Commitment:
    """Asks for everything stored through `queue`, listening on `port` (0: a free one, see `port`)."""

    def __init__(
        self, scu: Scu, queue: JobQueue, note: Callable[..., None], port: int, *, report_limit_s: float = REPORT_LIMIT_S
    ) -> None:
        self._scu, self._queue, self._note = scu, queue, note
        self._report_limit_s = report_limit_s
        self._awaited: dict[str, asyncio.Future[Report]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refuse = 0
        entity = AE(scu.calling)
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        entity.add_supported_context(Verification)
        address = "127.0.0.1" if _is_loopback(scu.host) else ""
        handlers = [(evt.EVT_N_EVENT_REPORT, self._reported)]
        self._server = entity.start_server((address, port), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
        self.port: int = self._server.server_address[1] if self._server else port

    def refuse(self, reports: int) -> None:
        """Answer the next so many reports with a failure: the room has to come again."""
        self._refuse = reports

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    async def ask(self, jobs: Iterable[Job]) -> dict[str, Any]:
        """Ask for `jobs` until all are committed to, at most `ROUNDS` times; what to tell of it. PeerError."""
        self._loop = asyncio.get_running_loop()
        await self._queue.sent()
        refused = {job.uid for job in self._queue.set_aside}
        missing = {job.uid: job for job in jobs if job.uid not in refused}
        for round_number in range(1, ROUNDS + 1):
            await self._queue.sent()
            report = await self._round(list(missing.values()))
            if report is None:
                return {"committed": False, "reason": f"no report within {self._report_limit_s:g} s"}
            for uid in report.committed:
                missing.pop(uid, None)
            if not missing:
                return {"committed": True, "rounds": round_number}
            if round_number < ROUNDS:
                self._send_again(missing, report)
        return {"committed": False, "reason": "not committed to", "sop_instance_uids": sorted(missing)}

    def _send_again(self, missing: Mapping[str, Job], report: Report) -> None:
        for uid, job in missing.items():
            self._note("sent_again", sop_instance_uid=uid, failure_reason=report.failed.get(uid))
            self._queue.put(job)

    async def _round(self, jobs: list[Job]) -> Report | None:
        transaction_uid = new_uid()
        future: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._awaited[transaction_uid] = future
        try:
            await asyncio.to_thread(self._request, transaction_uid, jobs)
            self._note("n_action", ok=True, transaction_uid=transaction_uid, instances=len(jobs))
            return await asyncio.wait_for(future, self._report_limit_s)
        except TimeoutError:
            return None
        finally:
            del self._awaited[transaction_uid]

    def _request(self, transaction_uid: str, jobs: list[Job]) -> None:
        asked = Dataset()
        asked.TransactionUID = transaction_uid
        asked.ReferencedSOPSequence = Items([reference(str(job.dataset.SOPClassUID), job.uid) for job in jobs])
        with self._scu.calling_for(StorageCommitmentPushModel) as association:
            status, _ = association.send_n_action(
                asked, _REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
            expect_success(status)

    def _reported(self, event: evt.Event) -> tuple[int, None]:
        """N-EVENT-REPORT, in a thread of the listener."""
        told = event.event_information
        failed = {str(i.ReferencedSOPInstanceUID): int(i.FailureReason) for i in told.get("FailedSOPSequence", [])}
        committed = tuple(str(i.ReferencedSOPInstanceUID) for i in told.get("ReferencedSOPSequence", []))
        transaction_uid = str(told.get("TransactionUID", ""))
        refused = self._refuse > 0
        self._refuse -= refused
        if self._loop is not None:
            report = Report(committed, failed)
            self._loop.call_soon_threadsafe(self._take, transaction_uid, report, event.event_type, refused)
        return _PROCESSING_FAILURE if refused else _SUCCESS, None

    def _take(self, transaction_uid: str, report: Report, event_type: int | None, refused: bool) -> None:
        future = None if refused else self._awaited.get(transaction_uid)
        awaited = future is not None and not future.done()
        self._note(
            "n_event_report",
            transaction_uid=transaction_uid,
            awaited=awaited,
            refused=refused,
            all_committed=event_type == _ALL_COMMITTED,
            committed=len(report.committed),
            failed=dict(report.failed),
        )
        if future is not None and awaited:
            future.set_result(report)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
