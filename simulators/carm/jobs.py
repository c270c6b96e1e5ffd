"""The C-arm's job queue: what was stored on its disk and has yet to reach the room.

Rules:
- In order, one at a time. An object leaves the queue on 0x0000 and on nothing else; only one whose kind the room
  does not take at all is set aside, so that it does not hold up the others.
- After a failure the same object is tried again, later each time up to a limit; what came after it waits.
- Waiting is in real seconds: it is the network's time, not the patient's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from pynetdicom.association import Association

from simulators.carm.scu import Job, NoAnswerError, NotOfferedError, PeerError, Scu, cut

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 15.0
_IDLE_S = 2.0  # an association with nothing to send is released after this long
_MESSAGE_IDS = 65_535


class JobQueue:
    """Sends through `scu`; tells `note(what, **fields)` of each attempt."""

    def __init__(self, scu: Scu, note: Callable[..., None], *, first_retry_s: float = FIRST_RETRY_S) -> None:
        self._scu, self._note, self._first_retry_s = scu, note, first_retry_s
        self._jobs: deque[Job] = deque()
        self.set_aside: list[Job] = []
        """What the room does not take at all."""
        self._held = False
        self._changed = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._association: Association | None = None
        self._message_id = 0
        self._abort_next = False
        self._sending = False

    def put(self, job: Job) -> None:
        """Queue an object."""
        self._jobs.append(job)
        self._emptied.clear()
        self._changed.set()

    def hold(self) -> None:
        """Send nothing until `release`; what is on its way goes on."""
        self._held = True

    def release(self) -> None:
        """Send what was held, and go on."""
        self._held = False
        self._changed.set()

    def abort_next(self) -> None:
        """Break the association in the middle of the next object, once."""
        self._abort_next = True

    def __len__(self) -> int:
        return len(self._jobs)

    async def drain(self, limit_s: float) -> bool:
        """Wait until everything was sent, at most `limit_s` real seconds. Whether every image is stored."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._emptied.wait(), limit_s)
        return not self._jobs and not any(job.is_image for job in self.set_aside)

    async def sent(self) -> None:
        """Wait until everything was sent."""
        await self._emptied.wait()

    async def run(self) -> None:
        """Send until cancelled. Then the association is released, or aborted if an object is on its way."""
        retry_s = self._first_retry_s
        try:
            while True:
                await self._something_to_send()
                job = self._jobs[0]
                try:
                    fields = await self._send(job)
                except NotOfferedError as error:
                    self._sending = False
                    self.set_aside.append(job)
                    self._done(job, stored=False, reason=str(error), set_aside=True)
                    continue
                except PeerError as error:
                    self._sending = False
                    self._attempt(job, stored=False, reason=str(error), retry_s=retry_s)
                    await self._hang_up()
                    await asyncio.sleep(retry_s)
                    retry_s = min(retry_s * 2, LONGEST_RETRY_S)
                    continue
                retry_s = self._first_retry_s
                self._done(job, stored=True, **fields)
        finally:
            if self._sending and self._association is not None:
                cut(self._association)
            await self._hang_up()

    async def _something_to_send(self) -> None:
        while self._held or not self._jobs:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), _IDLE_S if self._association else None)
            except TimeoutError:
                await self._hang_up()

    async def _send(self, job: Job) -> dict[str, Any]:
        if self._association is None or not self._association.is_established:
            self._association = await asyncio.to_thread(self._scu.storage)
        self._message_id = self._message_id % _MESSAGE_IDS + 1
        if self._abort_next:
            self._abort_next = False
            await asyncio.to_thread(self._scu.store_half, self._association, job, self._message_id)
            raise NoAnswerError("aborted in the middle of the object")
        began_ns = time.monotonic_ns()
        self._sending = True
        await asyncio.to_thread(self._scu.store, self._association, job, self._message_id)
        self._sending = False
        return {"took_ms": round((time.monotonic_ns() - began_ns) / 1e6, 1)}

    async def _hang_up(self) -> None:
        association, self._association = self._association, None
        if association is not None and association.is_established:
            await asyncio.to_thread(association.release)

    def _done(self, job: Job, **fields: Any) -> None:
        self._jobs.popleft()
        self._attempt(job, **fields)
        if not self._jobs:
            self._emptied.set()

    def _attempt(self, job: Job, **fields: Any) -> None:
        self._note(
            "c_store",
            sop_instance_uid=job.uid,
            sop_class_uid=str(job.dataset.SOPClassUID),
            dataset_sha256=job.sha256,
            dataset_bytes=len(job.octets),
            **fields,
        )
