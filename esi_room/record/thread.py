"""The thread in which the journal waits for the disk.

Not an executor: what that does around a call (two futures, two locks, a turn of the loop) takes as long as a third of
an fdatasync, and everybody who commits waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_Call = tuple[asyncio.Future[None], Callable[..., None], tuple[Any, ...]]


class DiskThread:
    """One function at a time, for one event loop. It starts with the first; a process that ends without `shutdown` does
    not wait for it."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[..., None], *arguments: Any) -> None:
        """`function(*arguments)` in the thread; raises what that raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
            self._thread.start()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.put((future, function, arguments))
        await future

    def shutdown(self) -> None:
        """Return when the thread has ended, and with it what it was at."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function, arguments = call
            error: BaseException | None = None
            try:
                function(*arguments)
            except BaseException as raised:  # noqa: BLE001 - it is raised where it was called
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                future.get_loop().call_soon_threadsafe(_settle, future, error)


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return  # whoever waited was cancelled
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
