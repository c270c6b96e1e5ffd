"""What every simulated serial device has: a cable, a mains switch, a clock of its own, and a script to obey.

Rules:
- A device is a `_session` that starts when power comes and is cancelled when it goes: what a session keeps in its
  own variables is what the device forgets at a power cut.
- Pulling the cable leaves the device running; the port on the host disappears.
- Whatever is sent, received or done is in the truth log under the device's name, which is that of its port.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar

from simulators.clock import ScenarioClock
from simulators.faults import one_in
from simulators.patient import Patient
from simulators.truth import TruthLog
from simulators.wire import SerialEnd

Action = Callable[..., Awaitable[None]]
FLAT_BATTERY = datetime(1970, 1, 1, tzinfo=UTC)  # what a clock chip says after its battery died


class SerialDevice:
    """A device on `port`. Settings that all have:

    `clock_offset_s`: how far its clock is ahead of UTC at the start (a time zone, a wrong setting); `drift_ppm`:
    how much faster it runs; `bad_date_message`: the number, from 1, of the one message stamped 1970-01-01.
    """

    BAUD: ClassVar[int]
    BITS_PER_BYTE: ClassVar[int] = 10

    def __init__(
        self,
        port: SerialEnd,
        patient: Patient,
        clock: ScenarioClock,
        truth: TruthLog,
        *,
        seed: int,
        clock_offset_s: float = 0.0,
        drift_ppm: float = 0.0,
        bad_date_message: int | None = None,
    ) -> None:
        self.port = port
        self.name = port.path.name
        self.patient = patient
        self.clock = clock
        self.truth = truth
        self.rng = Random(seed)
        self._offset_s = clock_offset_s
        self._drift_ppm = drift_ppm
        self._bad_date_message = bad_date_message
        self._started_wall_s = time.time()
        self._stamped = 0
        self._power = asyncio.Event()
        self._power.set()
        self._session_task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Be this device until cancelled; then the port is closed. Raises whatever a session fails with."""
        try:
            while True:
                await self._power.wait()
                self._session_task = asyncio.create_task(self._session(), name=f"{self.name} session")
                await asyncio.wait([self._session_task])
                if not self._session_task.cancelled():
                    await self._session_task  # a device never ends by itself: this raises what went wrong
        finally:
            await self._end_session()
            self.port.close()

    async def do(self, action: str, /, **params: Any) -> None:
        """Do what a script or a hand on the device asks. ValueError names what can be done, or what is wrong."""
        method = self.ACTIONS.get(action)
        if method is None:
            raise ValueError(f"{self.name} cannot {action!r}; one of {', '.join(sorted(self.ACTIONS))}")
        try:
            inspect.signature(method).bind(self, **params)
        except TypeError as error:
            raise ValueError(f"{self.name} {action}: {error}") from error
        await method(self, **params)

    @property
    def powered(self) -> bool:
        """Whether the mains switch is on."""
        return self._power.is_set()

    async def unplug(self) -> None:
        """Pull the cable out of the host."""
        self.port.unplug()
        self.note("unplugged")

    async def replug(self) -> None:
        """Put the cable back: another pts under the same name."""
        self.port.replug()
        self.note("replugged")

    async def power_off(self) -> None:
        """Cut the power, in the middle of a frame if need be."""
        if self._power.is_set():
            self._power.clear()
            await self._end_session()
            self.note("powered_off")

    async def power_on(self) -> None:
        """Give it power again; it starts as after a power cut."""
        if not self._power.is_set():
            self.port.discard_input()  # nobody heard what came while it was off
            self.note("powered_on")
            self._power.set()

    async def _session(self) -> None:
        """The device from power-on to power-off."""
        raise NotImplementedError

    async def _end_session(self) -> None:
        if self._session_task is not None:
            self._session_task.cancel()
            await asyncio.wait([self._session_task])

    def note(self, what: str, **fields: Any) -> None:
        """Write to the truth log."""
        self.truth.note(self.name, what, t_s=self.clock.now_s(), **fields)

    async def send(self, octets: bytes, **said: Any) -> None:
        """Send a frame that says `said`, and log it together with what the line did to it."""
        delivered, damage, first_mono_ns = False, ["cut off"], time.monotonic_ns()
        try:
            damage, delivered, first_mono_ns = await self.port.send(octets)
        finally:
            self.note("sent", **said, damage=damage, delivered=delivered, first_mono_ns=first_mono_ns)

    def spoils_checksum(self) -> bool:
        """Whether the next frame is to leave with a wrong checksum."""
        return one_in(self.port.faults.bad_checksum_one_in_frames, self.port.rng)

    def device_now(self) -> datetime:
        """What the device's own clock says, for stamping one message."""
        self._stamped += 1
        if self._stamped == self._bad_date_message:
            return FLAT_BATTERY
        return self.device_time(time.time())

    def device_time(self, wall_s: float) -> datetime:
        """What the device's own clock said, or says, when it is `wall_s` Unix seconds."""
        drift_s = (wall_s - self._started_wall_s) * self._drift_ppm / 1e6
        return datetime.fromtimestamp(wall_s + self._offset_s + drift_s, UTC)

    ACTIONS: ClassVar[Mapping[str, Action]] = {
        "unplug": unplug,
        "replug": replug,
        "power_off": power_off,
        "power_on": power_on,
    }
