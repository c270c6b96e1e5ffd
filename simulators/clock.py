"""Scenario time.

The patient, what a pump delivers and the scripts run on scenario time, which `speed` makes faster than the
clock on the wall. Everything a line can show (cadence, baud pacing, time-outs, a device's own clock) stays in
real seconds, because a real device's would.
"""

from __future__ import annotations

import asyncio
import time


class ScenarioClock:
    """Scenario seconds since the start; `speed` scenario seconds pass in one real second."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed = speed
        self._start_s = time.monotonic()

    def restart(self) -> None:
        """Scenario second 0 is now."""
        self._start_s = time.monotonic()

    def now_s(self) -> float:
        """Scenario seconds since the start."""
        return (time.monotonic() - self._start_s) * self.speed

    async def sleep(self, scenario_s: float) -> None:
        """Sleep for that many scenario seconds."""
        await self.sleep_until(self.now_s() + scenario_s)

    async def sleep_until(self, scenario_s: float) -> None:
        """Sleep until that scenario second; at once if it has passed."""
        await asyncio.sleep(max(0.0, scenario_s - self.now_s()) / self.speed)
