"""A New Era NE-1000 syringe pump: 19200 8N1, answers one command with one reply. NOT FOR CLINICAL USE ON HUMANS
(its maker's words): bench, phantom and simulation.

What it does as the manual (#1200-01) says:
- A pending alarm (R power was cut, S motor stalled, T communication time-out) answers the next valid command and
  is cleared by that; the command is not executed.
- While it works on a command it hears nothing: what comes before the reply begins is lost.
- Safe mode, kept over a power cut: only safe packets are heard, silence beyond the time-out stops the pump with
  alarm T, and an alarm is also sent at once, unasked and without being cleared. After power-on the time-out waits
  for the first valid packet. In basic mode either framing is heard.
Not said there, chosen here: replies are framed by the mode in force after the command; a stalled run is paused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from simulators.device import Action, SerialDevice
from simulators.pumps.new_era_commands import UL_DIAMETER_MAX_MM, Panel, RefusalError, number
from simulators.pumps.new_era_wire import Packet, Receiver, basic_frame, safe_frame
from simulators.pumps.syringe import OCCLUSION_RAMP_S, Direction, Syringe

LATENCY_S = (0.004, 0.015)  # from the end of a command to the first octet of its reply
TICK_S = 0.02
RESET, STALL, TIMEOUT = "R", "S", "T"
DIRECTIONS: Mapping[str, Direction] = {"infuse": "INF", "withdraw": "WDR"}
STATE_NAMES = {"I": "infusing", "W": "withdrawing", "S": "stopped", "P": "paused", "X": "purging"}


class NewEra(SerialDevice):
    """The pump. `address` 0 to 99; `safe_timeout_s` above 0: somebody left it in safe mode."""

    BAUD: ClassVar[int] = 19200

    def __init__(self, *args: Any, address: int = 0, safe_timeout_s: int = 0, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._syringe = Syringe()
        self._panel = Panel(self._syringe, self.clock.now_s, address=address, timeout_s=safe_timeout_s)
        self._receiver = Receiver()
        self._alarm: str | None = None
        self._heard_s: float | None = None
        self._shown_state: str = "S"

    async def _session(self) -> None:
        """From power-on to power-off, which takes the counters and leaves the program."""
        self._receiver.clear()
        self._heard_s = None
        try:
            await self._raise(RESET)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._turn())
        finally:
            self._syringe.power_cut(self.clock.now_s())
            self._note_state()

    # --- what a hand or a script does -------------------------------------------------------------------

    async def program(
        self,
        *,
        rate_ml_min: float | None = None,
        rate_ml_h: float | None = None,
        volume_ml: float | None = None,
        diameter_mm: float | None = None,
        direction: str | None = None,
    ) -> None:
        """Set what is given, on the keypad. ValueError where the pump would not take it."""
        if direction is not None and direction not in DIRECTIONS:
            raise ValueError(f"direction {direction!r}: infuse or withdraw")
        settings = {
            "DIA": diameter_mm,
            "RAT": rate_ml_min if rate_ml_h is None else rate_ml_h,
            "VOL": None if volume_ml is None else volume_ml * (1 if self._in_millilitres(diameter_mm) else 1000),
            "DIR": None if direction is None else DIRECTIONS[direction],
        }
        for command, value in settings.items():
            unit = ("MM" if rate_ml_h is None else "MH") if command == "RAT" else ""
            if value is not None:
                self._press(f"{command}{value if isinstance(value, str) else number(value)}{unit}")
        syringe = self._syringe
        self.note(
            "programmed",
            rate_ml_min=syringe.rate_ml_min,
            target_ml=syringe.target_ml,
            diameter_mm=syringe.diameter_mm,
            direction=syringe.direction,
        )

    async def start(self) -> None:
        """Press Start: run, or go on after a pause."""
        self._press("RUN")

    async def stop(self) -> None:
        """Press Stop: pause; once more: stop."""
        self._press("STP")

    async def purge(self) -> None:
        """Hold the purge key: full speed until `stop`."""
        self._press("PUR")

    async def occlude(self, ramp_s: float = OCCLUSION_RAMP_S) -> None:
        """Block the line: the pressure rises while the motor turns, and stalls it after `ramp_s` scenario seconds."""
        if ramp_s <= 0:
            raise ValueError(f"ramp_s must be positive, not {ramp_s}")
        self._syringe.advance(self.clock.now_s())
        self._syringe.occlusion_ramp_s = ramp_s
        self.note("occluded", ramp_s=ramp_s)

    async def clear_occlusion(self) -> None:
        """Free the line."""
        self._syringe.advance(self.clock.now_s())
        self._syringe.occlusion_ramp_s = None
        self.note("occlusion_cleared")

    def _press(self, command: str) -> None:
        if not self.powered:
            raise ValueError(f"{self.name} is off")
        try:
            self._panel.phase_started_s = -1.0  # two hands cannot press at once
            self._panel.execute(command)
        except RefusalError as refusal:
            raise ValueError(f"{self.name} refuses {command} ({refusal.code or 'unknown'})") from refusal
        self._note_state()

    def _in_millilitres(self, diameter_mm: float | None) -> bool:
        if diameter_mm is None:
            return self._panel.volume_unit == "ML"
        return diameter_mm > UL_DIAMETER_MAX_MM

    # --- the motor and the watchdog ---------------------------------------------------------------------

    async def _turn(self) -> None:
        while True:
            await self._catch_up()
            await self._watch_the_line()
            await asyncio.sleep(TICK_S)

    async def _catch_up(self) -> None:
        """Let the motor turn until now, and tell what happened to it."""
        self._syringe.advance(self.clock.now_s())
        while self._syringe.happened:
            what, at_s = self._syringe.happened.pop(0)
            self._note_state(what, at_s=round(at_s, 3))
            if what == "stalled":
                await self._raise(STALL)

    async def _watch_the_line(self) -> None:
        timeout_s, heard_s = self._panel.timeout_s, self._heard_s
        if timeout_s and heard_s is not None and time.monotonic() - heard_s > timeout_s:
            self._heard_s = None  # starts again with the next valid packet
            if self._syringe.moving:
                self._syringe.stop(self.clock.now_s())
                self._note_state()
            await self._raise(TIMEOUT)

    async def _raise(self, alarm: str) -> None:
        self._alarm = alarm
        self.note("alarm", code=alarm)
        if self._panel.timeout_s:
            await self._reply(f"A?{alarm}", unasked=True)

    # --- commands and replies ---------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            packets = self._receiver.feed(await self.port.read(), time.monotonic())
            if packets:
                await self._catch_up()
                await self._answer(packets[0])
            for lost in packets[1:]:
                self.note("received_while_busy", command=lost.text)

    async def _answer(self, packet: Packet) -> None:
        """Answer one command. What else came with it, or comes until the reply begins, is lost."""
        self._receiver.clear()
        address, command = split_address(packet.text)
        if address not in (None, self._panel.address) or (self._panel.timeout_s and not packet.safe):
            self.note("received", command=command, safe=packet.safe, outcome="not heard")
            return
        status = self._execute(packet, command)
        await asyncio.sleep(self.rng.uniform(*LATENCY_S))
        if lost := self.port.discard_input():
            self.note("received_while_busy", octets=lost.hex(" "))
        await self._reply(status, unasked=False)

    def _execute(self, packet: Packet, command: str) -> str:
        """What the pump says to a command: its prompt or alarm, then data or what was wrong."""
        said = {"command": command, "safe": packet.safe}
        if not packet.intact:
            self.note("received", **said, outcome="COM")
            return self._syringe.state + "?COM"
        self._heard_s = time.monotonic()
        if self._alarm is not None:
            alarm, self._alarm = self._alarm, None
            self.note("received", **said, outcome=f"alarm {alarm}")
            return f"A?{alarm}"
        try:
            data, outcome = self._panel.execute(command), "executed"
        except RefusalError as refusal:
            data = outcome = f"?{refusal.code}"
        self.note("received", **said, outcome=outcome)
        self._note_state()
        return self._syringe.state + data

    async def _reply(self, text: str, *, unasked: bool) -> None:
        text = f"{self._panel.address:02}{text}"
        safe = bool(self._panel.timeout_s)
        spoilt = safe and self.spoils_checksum()
        octets = safe_frame(text, spoil_checksum=spoilt) if safe else basic_frame(text)
        await self.send(octets, text=text, safe=safe, unasked=unasked, bad_checksum=spoilt)

    def _note_state(self, what: str | None = None, **fields: Any) -> None:
        """Log a change of state, once; `what` where it has a name of its own."""
        syringe = self._syringe
        if syringe.state == self._shown_state and what is None:
            return
        self._shown_state = syringe.state
        self.note(
            what or STATE_NAMES[syringe.state],
            state=syringe.state,
            rate_ml_min=syringe.rate_ml_min,
            target_ml=syringe.target_ml,
            infused_ml=round(syringe.infused_ml, 4),
            withdrawn_ml=round(syringe.withdrawn_ml, 4),
            pressure_mmhg=round(syringe.pressure_mmhg),
            **fields,
        )

    ACTIONS: ClassVar[Mapping[str, Action]] = {
        **SerialDevice.ACTIONS,
        "program": program,
        "start": start,
        "stop": stop,
        "purge": purge,
        "occlude": occlude,
        "clear_occlusion": clear_occlusion,
    }


def split_address(text: str) -> tuple[int | None, str]:
    """The address before a command, None if there is none or the command overrides it."""
    command = text.lstrip("0123456789")
    digits = text[: len(text) - len(command)]
    if command.startswith("*"):
        return None, command
    return (int(digits) if digits else 0), command
