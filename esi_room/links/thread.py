"""One blocking call in a thread of its own.

Not the loop's default executor: that is shared, and a few device servers that do not answer would fill it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """What `call` returns or raises. If nobody waits any more when it returns, `undo` gets the result: a port
    that opens after its daemon was stopped is closed again."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="link")
    running = executor.submit(call)
    executor.shutdown(wait=False)
    try:
        return await asyncio.wrap_future(running)
    except asyncio.CancelledError:
        if undo is not None:
            running.add_done_callback(lambda done: _undo(done, undo))
        raise


def _undo(done: Future[T], undo: Callable[[T], object]) -> None:
    if not done.cancelled() and done.exception() is None:
        undo(done.result())
