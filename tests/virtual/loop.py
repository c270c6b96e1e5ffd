"""Time that goes on only when nobody has anything to do.

Rules:
- The clocks stand still while code runs. When nothing is ready they jump to the next timer: a minute in which nothing
  happens costs nothing.
- What would block in a thread runs at once, in its turn. Where that would have waited for somebody, it is a coroutine
  function instead, and is awaited: `asyncio.to_thread(wait)`.
- There is no selector: whoever reaches for a socket, a pipe or a process is told that it is not implemented.
- A loop in which nothing is left to happen, or in which no time passes any more, raises; it never hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

NS = 1_000_000_000
FIRST_MONO_NS = 1000 * NS  # a machine that has been up for a quarter of an hour
# A busy instant (a record opens, ten thousand lines are sent) takes some thousand turns of the loop.
MAX_TURNS_AT_ONE_TIME = 500_000


class StandstillError(RuntimeError):
    """Time cannot go on."""


class VirtualClock:
    """Wall clock and monotonic clock, in step."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"{start} has no time zone")
        self.start_ns = round(start.timestamp()) * NS
        self.passed_ns = 0

    def advance(self, seconds: float) -> None:
        """Both go on by this."""
        self.passed_ns += round(seconds * NS)

    def readers(self) -> dict[str, Callable[[], float]]:
        """What stands in for the functions of these names in `time`."""
        return {
            "time": lambda: (self.start_ns + self.passed_ns) / NS,
            "time_ns": lambda: self.start_ns + self.passed_ns,
            "monotonic": lambda: (FIRST_MONO_NS + self.passed_ns) / NS,
            "monotonic_ns": lambda: FIRST_MONO_NS + self.passed_ns,
        }


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop on a `VirtualClock`."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._virtual = clock
        self._selector = self  # what the base class asks once a turn
        self._turns = 0

    def time(self) -> float:
        return (FIRST_MONO_NS + self._virtual.passed_ns) / NS

    def select(self, timeout_s: float | None) -> list[Any]:
        """Nobody outside has anything to say: go on to the next timer."""
        if timeout_s is None:
            raise StandstillError("nothing is left to happen: everybody waits for somebody else")
        if timeout_s > 0:
            self._virtual.advance(timeout_s)
            self._turns = 0
        self._turns += 1
        if self._turns > MAX_TURNS_AT_ONE_TIME:
            raise StandstillError(f"no time passes: {self._turns} turns of the loop at {self.time():.6f} s")
        return []

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            result = func(*args)
        except Exception as error:
            self.call_soon(_settle, future, None, error)
            return future
        if asyncio.iscoroutine(result):
            return self.create_task(result)
        self.call_soon(_settle, future, result, None)
        return future

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)  # there is one thread

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return  # whoever waited was cancelled
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
