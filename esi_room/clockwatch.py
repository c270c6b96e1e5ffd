"""Watches the host's clock: a step of the wall clock, or a change of its synchronisation, is an entry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from esi_room.clock import NS, Clock, Synchronisation, synchronisation
from esi_room.errors import RecordError
from esi_room.events import ClockStep, ClockSync, Event, Payload
from esi_room.record.journal import Journal

LOOK_EVERY_S = 5.0
STEP_S = 0.25  # slewing moves a clock by at most 0.5 ms a second (adjtime) to 100 ms a second (chrony): no step

log = structlog.get_logger()


class ClockWatch:
    """Compares the two clocks with each other, and the kernel's word of synchronisation with its last."""

    def __init__(
        self, journal: Journal, clock: Clock, *, ask_kernel: Callable[[], Synchronisation] = synchronisation
    ) -> None:
        self._journal, self._clock, self._ask_kernel = journal, clock, ask_kernel
        self._offset_ns = self._offset()
        self._synchronised = ask_kernel().synchronised

    async def run(self) -> None:
        """Look every LOOK_EVERY_S, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Compare once."""
        offset_ns = self._offset()
        step_s = (offset_ns - self._offset_ns) / NS
        self._offset_ns = offset_ns
        if abs(step_s) >= STEP_S:
            log.warning("clock_step", step_s=round(step_s, 6))
            self._say(ClockStep(step_s=round(step_s, 6)))
        state = self._ask_kernel()
        if state.synchronised != self._synchronised:
            self._synchronised = state.synchronised
            log.info("clock_sync", synchronised=state.synchronised)
            self._say(ClockSync(synchronised=state.synchronised, max_error_s=state.max_error_s))

    def _offset(self) -> int:
        now = self._clock.now()
        return now.wall_ns - now.mono_ns

    def _say(self, payload: Payload) -> None:
        try:
            self._journal.append(Event(source="room", data=payload, received=self._clock.now()))
        except RecordError:
            log.error("clock_entry_lost", type=payload.TYPE)
