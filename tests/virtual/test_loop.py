"""Time that passes only when nobody has anything to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from virtual import loop
from virtual.loop import StandstillError, VirtualLoop
from virtual.world import world

START = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def run(work: Callable[[], Coroutine[Any, Any, Any]], seed: int = 1) -> Any:
    with world(START, seed) as clock, asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(work())


def test_a_day_passes_at_once_on_every_clock() -> None:
    async def work() -> tuple[float, float, float]:
        began_s, loop_s = time.monotonic(), asyncio.get_running_loop().time()
        await asyncio.sleep(86_400)
        return time.time(), time.monotonic() - began_s, asyncio.get_running_loop().time() - loop_s

    really_s = time.monotonic()
    assert run(work) == (START.timestamp() + 86_400, 86_400, 86_400)
    assert time.monotonic() - really_s < 60
    assert time.time() < START.timestamp(), "the real clocks are back"


def test_time_stands_still_while_code_runs() -> None:
    async def work() -> int:
        before_ns = time.time_ns()
        for _ in range(1000):
            await asyncio.sleep(0)
        return time.time_ns() - before_ns

    assert run(work) == 0


def test_what_is_due_first_happens_first() -> None:
    happened = []

    async def after(seconds: float) -> None:
        await asyncio.sleep(seconds)
        happened.append((seconds, time.monotonic_ns() % 1_000_000_000))

    async def work() -> None:
        await asyncio.gather(*(after(seconds) for seconds in (0.3, 0.1, 0.2)))

    run(work)
    assert happened == [(0.1, 100_000_000), (0.2, 200_000_000), (0.3, 300_000_000)]


def test_a_time_out_comes_when_it_is_due() -> None:
    async def work() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.Event().wait()
        return time.time() - START.timestamp()

    assert run(work) == 2.5


def test_what_would_block_a_thread_is_done_at_once_or_awaited() -> None:
    async def slow(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return f"after {seconds:g} s"

    def fails() -> None:
        raise OSError("no")

    async def work() -> tuple[int, str]:
        with pytest.raises(OSError, match="no"):
            await asyncio.to_thread(fails)
        return await asyncio.to_thread(sum, (1, 2)), await asyncio.to_thread(slow, 7)

    assert run(work) == (3, "after 7 s")


def test_what_can_never_go_on_raises_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    async def deadlock() -> None:
        await asyncio.Event().wait()

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(StandstillError, match="everybody waits"):
        run(deadlock)
    monkeypatch.setattr(loop, "MAX_TURNS_AT_ONE_TIME", 100)
    with pytest.raises(StandstillError, match="no time passes"):
        run(spin)


def test_nobody_blocks_the_loop_or_reaches_outside() -> None:
    async def block() -> None:
        time.sleep(1)

    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(AssertionError, match=r"time\.sleep"):
        run(block)
    with pytest.raises(NotImplementedError):
        run(connect)
