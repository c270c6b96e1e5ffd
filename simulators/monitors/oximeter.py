"""What a stand-alone pulse oximeter's probe sees, whatever protocol prints it.

    on ──finger_off──▶ held ──HOLD_S──▶ off ──finger_on──▶ searching ──SEARCH_S──▶ on
    on ──search──▶ searching (the last values stay on the display) ──▶ on

Oximeters keep the last values for some seconds after the finger has gone, with a status that says so: a program
that reads the values and not the status records a pulse that nobody has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from simulators.device import Action, SerialDevice
from simulators.patient import Vitals

HOLD_S = 4.0
SEARCH_S = 6.0
JITTER_S = 0.02
LOW_PERFUSION_PCT = 0.15
SPO2_LOW_LIMIT_PCT = 90
PULSE_LIMITS = (50, 140)


class Probe(NamedTuple):
    """What the oximeter shows now. `spo2_pct` and `pulse_rate` may be old: see the flags. None is no value."""

    spo2_pct: int | None
    pulse_rate: int | None
    perfusion_index_pct: float | None
    finger_off: bool = False
    searching: bool = False
    low_perfusion: bool = False

    @property
    def valid(self) -> bool:
        """Whether the values are the patient's, now."""
        return not (self.finger_off or self.searching) and self.spo2_pct is not None


class Oximeter(SerialDevice):
    """A finger probe on the patient, and what can happen to it."""

    BAUD: ClassVar[int] = 9600
    EVERY_S: ClassVar[float]
    """Real seconds from one line to the next."""

    _off_since_s: float | None = None
    _searching_until_s: float = 0.0
    _low_perfusion: bool = False
    _shown: Vitals | None = None

    def print_out(self, probe: Probe) -> bytes:
        """What the oximeter prints this time, CR LF included."""
        raise NotImplementedError

    async def finger_off(self) -> None:
        """The probe comes off the finger."""
        self._off_since_s = time.monotonic()
        self.note("finger_off")

    async def finger_on(self) -> None:
        """The probe goes back on; the oximeter has to find the pulse first."""
        self._off_since_s, self._shown = None, None
        self._searching_until_s = time.monotonic() + SEARCH_S
        self.note("finger_on")

    async def search(self, duration_s: float = SEARCH_S) -> None:
        """The pulse is lost for that many real seconds; the last values stay on the display."""
        self._searching_until_s = time.monotonic() + duration_s
        self.note("search", duration_s=duration_s)

    async def low_perfusion(self, on: bool = True) -> None:
        """A cold hand, or a warm one again with `on` false."""
        self._low_perfusion = on
        self.note("low_perfusion", on=on)

    def probe(self) -> Probe:
        """What the oximeter shows now."""
        now_s = time.monotonic()
        if self._off_since_s is not None:
            held = now_s - self._off_since_s < HOLD_S
            return self._values(self._shown if held else None)._replace(finger_off=True)
        if now_s < self._searching_until_s:
            return self._values(self._shown)._replace(searching=True)
        self._shown = self.patient.at(self.clock.now_s())
        return self._values(self._shown)

    def _values(self, shown: Vitals | None) -> Probe:
        if shown is None:
            return Probe(None, None, None)
        perfusion = LOW_PERFUSION_PCT if self._low_perfusion else shown.perfusion_index_pct
        return Probe(
            round(shown.spo2_pct), round(shown.pulse_rate), round(perfusion, 2), low_perfusion=self._low_perfusion
        )

    async def _session(self) -> None:
        """Power-on: whatever was shown is gone; the pulse was found while the device booted."""
        self._shown = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._print())
            tasks.create_task(self._listen())

    async def _print(self) -> None:
        due_s = time.monotonic()
        while True:
            probe = self.probe()
            octets = self.print_out(probe)
            await self.send(octets, text=octets.decode(errors="replace").rstrip(), valid=probe.valid, **probe._asdict())
            due_s += self.EVERY_S
            await asyncio.sleep(due_s - time.monotonic() + self.rng.uniform(-JITTER_S, JITTER_S))

    async def _listen(self) -> None:
        """It understands nothing, but a host that talks to it makes a mistake worth logging."""
        while True:
            self.note("received", octets=(await self.port.read()).hex(" "))

    ACTIONS: ClassVar[Mapping[str, Action]] = {
        **SerialDevice.ACTIONS,
        "finger_off": finger_off,
        "finger_on": finger_on,
        "search": search,
        "low_perfusion": low_perfusion,
    }
