"""A helper process of the daemon: `python -m <module> <descriptor>`, with a socketpair to talk over.

Not `multiprocessing`: no fork of a running event loop, no resource tracker, and the helper can be run by hand.
The helper has a session of its own, so that a Ctrl-C in the daemon's terminal reaches the daemon alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from esi_room.carm import wire

_PACKAGES = str(Path(__file__).parents[2])
# One thread a decoder is enough, and each reserves address space that the helper's memory limit counts.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Child:
    """The daemon's end."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer

    @classmethod
    async def start(cls, module: str) -> Child:
        """OSError where no process can be started."""
        ours, theirs = socket.socketpair()
        try:
            path = os.pathsep.join(filter(None, (_PACKAGES, os.environ.get("PYTHONPATH"))))
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", module, str(theirs.fileno())),  # -P: nothing is imported from where we were started
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | _ENVIRONMENT | {"PYTHONPATH": path},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:  # cancelled: nobody would ever end it
            ours.close()
            await _killed(process)
            raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, message: wire.Message) -> None:
        """Never blocks; what a dead helper does not read is dropped."""
        if not self._writer.is_closing():
            self._writer.write(wire.pack(message))

    async def read(self, kind: Any) -> Any:
        """The next message. EOFError when the helper has ended, ValueError if it talks nonsense."""
        return await wire.read(self._reader, kind)

    async def end(self) -> int:
        """Kill it if it has not ended yet; its exit code (negative: the signal)."""
        self._writer.close()
        return await _killed(self._process)

    async def ended(self, patience_s: float) -> int | None:
        """Its exit code if it ends by itself within this time."""
        try:
            return await asyncio.wait_for(self._process.wait(), patience_s)
        except TimeoutError:
            return None


class Answering:
    """Answers what a helper process asks, each question in a task of its own: `answer` may take as long as a disk."""

    def __init__(self, answer: Callable[[wire.Asking], Awaitable[wire.Answer]]) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, child: Child, question: wire.Asking) -> None:
        """The answer goes to `child`."""
        task = asyncio.create_task(self._told(child, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finished(self) -> None:
        """Returns when everything that was asked is answered."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _told(self, child: Child, question: wire.Asking) -> None:
        child.send(await self._answer(question))


async def _killed(process: asyncio.subprocess.Process) -> int:
    """Its exit code, once it has ended; whoever is cancelled meanwhile is so afterwards: it ends at once."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    ending, cancelled = asyncio.ensure_future(process.wait()), False
    while not ending.done():
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return ending.result()
