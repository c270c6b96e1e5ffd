"""Running several coroutines that stand and fall together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_first(*work: Coroutine[Any, Any, None]) -> None:
    """Run all of `work` until the first of them ends; the others are cancelled and awaited.

    Unlike a TaskGroup it also ends when one simply returns, and raises that one's own exception, so that a caller
    can say `except BrokerError`.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
