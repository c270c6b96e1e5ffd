"""A GE CARESCAPE or S/5 monitor with the S/5 Computer Interface: 19200 8E1, silent until asked, then streaming.

What it does as the serial specification (GE M1017617) says:
- A request that is wrong or not supported is not answered. There is no acknowledgement of any kind.
- Displayed values: every `tx_ival` seconds from 5 up, -1 once (a second one within 5 s is ignored), 0 stops.
- Waveforms within 1 s, in blocks of 250 ms; what exceeds 600 samples a second is left out without a word.
- Alarms only from DRI level 10: once, or one at once and then one per change, at least 2 s apart.
- A reboot or a pulled cable ends every subscription.
Trends (record types 2 and 3) are not served: nothing in this room asks for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from simulators.device import Action, SerialDevice
from simulators.monitors import dri_records as dri
from simulators.monitors import dri_values
from simulators.monitors.bedside import COLOURS, Bedside, Cuff, CuffMode
from simulators.monitors.dri_subscription import Subscription
from simulators.monitors.waves import CHANNELS, Waves

SERVE_EVERY_S = 0.02  # how often the monitor looks what is due
WATCH_EVERY_S = 0.25
WAVE_BLOCK_S = 0.25
VALUES_JITTER_S = 0.05
ALARM_MIN_S = 2.0
SILENCE_2_MIN = 5


class GeDri(SerialDevice):
    """The monitor. `dri_level` as its software's; `strict_level`: it ignores requests of any other level, as some
    B650 do; `sends_aux`: whether it adds the auxiliary record with the time of the last cuff reading."""

    BAUD: ClassVar[int] = 19200
    BITS_PER_BYTE: ClassVar[int] = 11

    def __init__(
        self, *args: Any, dri_level: int = 10, strict_level: bool = False, sends_aux: bool = True, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._level = dri_level
        self._strict_level = strict_level
        self._sends_aux = sends_aux
        self._bedside = Bedside()
        self._subscription = Subscription()
        self._number = 0
        self._cuff_task: asyncio.Task[None] | None = None

    async def _session(self) -> None:
        t_s = self.clock.now_s()
        self._bedside.watch(self.patient.at(t_s), t_s)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._serve())
        finally:
            if self._cuff_task is not None:
                self._cuff_task.cancel()
                await asyncio.wait([self._cuff_task])
            self._forget()

    def _forget(self) -> None:
        """What a reboot takes: who listened, and what was measured. Sensors stay where they are."""
        self._subscription, self._number = Subscription(), 0
        self._bedside.cuff, self._bedside.silenced = Cuff(), False

    # --- what a hand or a script does -------------------------------------------------------------------

    async def unplug(self) -> None:
        """Pull the cable out; the monitor forgets who listened."""
        self._subscription = Subscription()
        await super().unplug()

    async def nibp_start(self, mode: CuffMode = "manual") -> None:
        """Start a blood pressure. Ignored while one is being measured or the power is off."""
        if mode not in dri_values.CUFF_LABELS:
            raise ValueError(f"mode {mode!r}: one of {', '.join(dri_values.CUFF_LABELS)}")
        if not self.powered or self._bedside.cuff.measuring:
            self.note("nibp_ignored")
            return
        self._bedside.cuff.measuring = True  # from the button on, not from when the task runs first
        self._cuff_task = asyncio.create_task(self._measure(mode), name=f"{self.name} cuff")

    async def _measure(self, mode: CuffMode) -> None:
        self.note("nibp_started", mode=mode)
        reading = await self._bedside.cuff.measure(self.patient, self.clock, self.rng, mode)
        self.note("nibp_completed", **reading._asdict())

    async def ecg_lead_off(self) -> None:
        """All ECG leads come off."""
        self._bedside.ecg_on = False
        self.note("ecg_lead_off")

    async def ecg_lead_on(self) -> None:
        """The ECG leads are back."""
        self._bedside.ecg_on = True
        self.note("ecg_lead_on")

    async def spo2_off(self) -> None:
        """The finger probe comes off."""
        self._bedside.spo2_on = False
        self.note("spo2_off")

    async def spo2_on(self) -> None:
        """The finger probe is back."""
        self._bedside.spo2_on = True
        self.note("spo2_on")

    async def co2_off(self) -> None:
        """The gas module is switched off."""
        self._bedside.co2_on = False
        self.note("co2_off")

    async def co2_on(self) -> None:
        """The gas module is switched on, with a free sample line."""
        self._bedside.co2_on, self._bedside.co2_occluded = True, False
        self.note("co2_on")

    async def occlusion(self, on: bool = True) -> None:
        """The gas sample line is blocked, or free again with `on` false."""
        self._bedside.co2_occluded = on
        self.note("occlusion", on=on)

    async def alarm(self, text: str, colour: str = "yellow") -> None:
        """An alarm of its own; `colour` white, yellow or red."""
        if colour not in COLOURS:
            raise ValueError(f"colour {colour!r}: one of {', '.join(COLOURS)}")
        self._bedside.scripted[text] = COLOURS[colour]
        self.note("alarm", text=text, colour=colour)

    async def alarm_clear(self, text: str | None = None) -> None:
        """That alarm ends; with no `text` every alarm that `alarm` raised."""
        self._bedside.scripted = {
            other: colour for other, colour in self._bedside.scripted.items() if text not in (None, other)
        }
        self.note("alarm_clear", text=text)

    async def silence(self, on: bool = True) -> None:
        """Somebody silences the alarms for two minutes, or ends that with `on` false."""
        self._bedside.silenced = on
        self.note("silence", on=on)

    # --- requests ---------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        buffer = bytearray()
        while True:
            buffer += await self.port.read()
            for request in dri.read_requests(buffer):
                accepted = request is not None and self._subscription.accept(
                    request, self._level, strict=self._strict_level, rng=self.rng
                )
                said = {} if request is None else {**request._asdict(), "body": request.body.hex(" ")}
                self.note("received", accepted=accepted, **said)

    # --- what goes out ----------------------------------------------------------------------------------

    async def _serve(self) -> None:
        waves = Waves(self.rng)
        watched_s = 0.0
        while True:
            now_s = time.monotonic()
            if now_s - watched_s >= WATCH_EVERY_S:
                watched_s = now_s
                self._watch(now_s)
            if self._subscription.alarms_due_s is not None and now_s >= self._subscription.alarms_due_s:
                await self._send_alarms()
            if self._subscription.values_due_s is not None and now_s >= self._subscription.values_due_s:
                await self._send_values(now_s)
            if self._subscription.waves and now_s >= self._subscription.waves_due_s:
                await self._send_waves(waves)
            await asyncio.sleep(SERVE_EVERY_S)

    def _watch(self, now_s: float) -> None:
        """Look at the patient; where an alarm changed and somebody follows them, say so when it is time."""
        t_s = self.clock.now_s()
        vitals = self.patient.at(t_s)
        self._bedside.watch(vitals, t_s)
        asked = self._subscription
        if asked.alarms_differential and asked.alarms_due_s is None:
            changed = self._bedside.alarms(vitals, t_s) != asked.alarms_said
            if changed or self._bedside.silenced != asked.silence_said:
                asked.alarms_due_s = max(now_s, asked.alarms_sent_s + ALARM_MIN_S)

    async def _send_values(self, now_s: float) -> None:
        asked = self._subscription
        if asked.values_every_s:
            jitter_s = self.rng.uniform(-VALUES_JITTER_S, VALUES_JITTER_S)
            asked.values_due_s = now_s + asked.values_every_s + jitter_s
        else:
            asked.values_due_s = None
        t_s = self.clock.now_s()
        device_now = self.device_now()
        values = dri_values.displayed(self.patient.at(t_s), self._bedside, t_s)
        subrecords = dri_values.subrecords(values, asked.classes, round(device_now.timestamp()))
        if self._sends_aux:
            subrecords.append((dri.AUX, dri.aux_subrecord(self._cuff_device_time())))
        await self._send_record(dri.VALUES, subrecords, round(device_now.timestamp()), kind="values", **values.said)

    async def _send_waves(self, waves: Waves) -> None:
        asked = self._subscription
        asked.waves_due_s += WAVE_BLOCK_S
        status = dri.WAVE_GAP if asked.wave_gap else 0
        asked.wave_gap = False
        blocks = waves.block(self.patient.at(self.clock.now_s()), WAVE_BLOCK_S, asked.waves)
        subrecords = []
        for wave, samples in blocks.items():
            measured = dri_values.wave_measures(self._bedside, CHANNELS[wave].name)
            lead_off = 0 if measured else dri.WAVE_LEAD_OFF
            shown = samples if measured else [dri.INVALID] * len(samples)
            subrecords.append((wave, dri.wave_subrecord(shown, status=status | lead_off)))
        counts = {CHANNELS[wave].name: len(samples) for wave, samples in blocks.items()}
        unix_s = round(self.device_now().timestamp())
        await self._send_record(dri.WAVES, subrecords, unix_s, kind="waves", samples=counts, gap=bool(status))

    async def _send_alarms(self) -> None:
        asked, t_s = self._subscription, self.clock.now_s()
        alarms = self._bedside.alarms(self.patient.at(t_s), t_s)
        rows = [(alarm.text, alarm.colour, alarm not in asked.alarms_said) for alarm in alarms]
        silence = SILENCE_2_MIN if self._bedside.silenced else 0
        asked.alarms_said, asked.silence_said, asked.alarms_due_s = alarms, self._bedside.silenced, None
        asked.alarms_sent_s = time.monotonic()
        subrecord = (dri.ALARM_STATUS, dri.alarm_subrecord(rows, silence=silence))
        said = [{"text": alarm.text, "colour": alarm.colour} for alarm in alarms]
        unix_s = round(self.device_now().timestamp())
        await self._send_record(dri.ALARMS, [subrecord], unix_s, kind="alarms", alarms=said, silence=silence)

    async def _send_record(self, maintype: int, subrecords: list[tuple[int, bytes]], unix_s: int, **said: Any) -> None:
        self._number = (self._number + 1) & 0xFF
        octets = dri.record(maintype, subrecords, number=self._number, level=self._level, unix_s=unix_s)
        spoilt = self.spoils_checksum()
        await self.send(dri.frame(octets, spoil_checksum=spoilt), number=self._number, bad_checksum=spoilt, **said)

    def _cuff_device_time(self) -> int:
        """When the cuff was last read, by the monitor's own clock; 0 if never."""
        reading = self._bedside.cuff.reading
        return 0 if reading is None else round(self.device_time(reading.wall_s).timestamp())

    ACTIONS: ClassVar[Mapping[str, Action]] = {
        **SerialDevice.ACTIONS,
        "unplug": unplug,
        "nibp_start": nibp_start,
        "ecg_lead_off": ecg_lead_off,
        "ecg_lead_on": ecg_lead_on,
        "spo2_off": spo2_off,
        "spo2_on": spo2_on,
        "co2_off": co2_off,
        "co2_on": co2_on,
        "occlusion": occlusion,
        "alarm": alarm,
        "alarm_clear": alarm_clear,
        "silence": silence,
    }
