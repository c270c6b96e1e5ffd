"""Keeps the caller's process alive and asks it. Runs in the daemon.

Rules of this file:
- The process is started when something is first asked of it, and again when it has died.
- What it was doing when it died is asked again of its successor, MAX_LIVES times; then whoever asked is told, and
  asks again with patience: a request that takes the process with it must not keep it from all else.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import structlog
from msgspec.structs import replace

from esi_room.carm.child import Answering, Child
from esi_room.carm.settings import CarmSettings
from esi_room.carm.wire import Answer, Asking, Call, Done, FromCaller, Reply, Request

MODULE = "esi_room.carm.caller"
MAX_LIVES = 3
FIRST_PATIENCE_S, LAST_PATIENCE_S = 0.2, 10.0

log = structlog.get_logger()


class _Pending:
    """A request that has no reply yet. `lives`: processes that were asked and died."""

    def __init__(self, request: Request) -> None:
        self.request, self.lives = request, 0
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()


class Outgoing:
    """The caller's process. `answer` is asked what the process asks."""

    def __init__(self, settings: CarmSettings, answer: Callable[[Asking], Awaitable[Answer]]) -> None:
        self._settings, self._answering = settings, Answering(answer)
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._wanted = asyncio.Event()
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the caller, while there is one."""
        return None if self._child is None else self._child.pid

    async def ask(self, request: Request) -> Reply:
        """Have it done; the `id` is given here (write 0). Waits as long as it takes, `run` must be running."""
        number = next(self._numbers)
        pending = self._pending[number] = _Pending(replace(request, id=number))
        self._wanted.set()
        if self._child is not None:
            self._child.send(pending.request)
        try:
            return await pending.reply
        finally:
            del self._pending[number]

    async def run(self) -> None:
        """Until cancelled."""
        await self._wanted.wait()
        patience_s = FIRST_PATIENCE_S
        while True:
            reason, worked = await self._one_life()
            log.error("caller_lost", reason=reason)
            patience_s = FIRST_PATIENCE_S if worked else min(2 * patience_s, LAST_PATIENCE_S)
            await asyncio.sleep(patience_s)

    async def _one_life(self) -> tuple[str, bool]:
        """Of the process: why it ended, and whether it did anything before."""
        try:
            child = await Child.start(MODULE)
        except OSError as error:
            return f"the caller cannot be started: {error.strerror or error}", False
        worked = False
        try:
            child.send(Call(settings=self._settings))
            for pending in self._pending.values():
                child.send(pending.request)
            self._child = child
            while True:
                message: FromCaller = await child.read(FromCaller)
                if isinstance(message, Reply):
                    worked = True
                    self._reply(message)
                else:
                    self._answering.start(child, message)
        except (EOFError, ValueError) as error:
            self._bury()
            return f"the caller's process ended {error}".strip(), worked
        finally:
            self._child = None
            await child.end()
            await self._answering.finished()

    def _reply(self, reply: Reply) -> None:
        pending = self._pending.get(reply.id)
        if pending is not None and not pending.reply.done():
            pending.reply.set_result(reply)

    def _bury(self) -> None:
        for number, pending in list(self._pending.items()):
            pending.lives += 1
            if pending.lives >= MAX_LIVES:
                self._reply(Done(id=number, outcome="unavailable", comment="the caller's process died of it"))
