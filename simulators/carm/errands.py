"""What the C-arm has to tell the room besides images: performed procedure steps, requests for commitment.

Rules of this file:
- One after the other, in the order they came up: the end of a step is not told before its beginning.
- No answer: the same again, later each time. An answer ends an errand, whatever it says; so does a room that does not
  have the service. What came of it is in the truth log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from simulators.carm.jobs import LONGEST_RETRY_S
from simulators.carm.scu import NoAnswerError, NotOfferedError, PeerError

Work = Callable[[], Awaitable[Mapping[str, Any]]]


class Errands:
    """A queue of `Work`. `note(what, **fields)` is told each attempt: `ok`, and what the work returned or why not."""

    def __init__(self, note: Callable[..., None], *, first_retry_s: float) -> None:
        self._note, self._first_retry_s = note, first_retry_s
        self._waiting: asyncio.Queue[tuple[str, Work]] = asyncio.Queue()

    def put(self, name: str, work: Work) -> None:
        """Queue it under the `name` of its line in the truth log."""
        self._waiting.put_nowait((name, work))

    async def drain(self, limit_s: float) -> bool:
        """Wait until everything was answered, at most `limit_s` real seconds. Whether it was."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.join(), max(limit_s, 0))
            return True
        return False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            name, work = await self._waiting.get()
            await self._until_answered(name, work)
            self._waiting.task_done()

    async def _until_answered(self, name: str, work: Work) -> None:
        retry_s = self._first_retry_s
        while True:
            try:
                fields = await work()
            except NoAnswerError as error:
                self._note(name, ok=False, reason=str(error), retry_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)
            except PeerError as error:
                self._note(name, ok=False, reason=str(error), offered=not isinstance(error, NotOfferedError))
                return
            else:
                self._note(name, ok=True, **fields)
                return
