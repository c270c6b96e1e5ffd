"""What a bedside monitor's modules make of the patient: ECG, pulse oximetry, cuff, gas, temperature, alarms.

Rules:
- The cuff takes 30 to 40 scenario seconds, and never less real time than a host that asks every 5 s needs to see
  it: a real monitor shows each measurement several times while it runs, whatever the speed of the scenario.
- Limits and texts of the alarms are the monitor's own; a script may add others.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import Literal, NamedTuple

from simulators.clock import ScenarioClock
from simulators.patient import Patient, Vitals

CUFF_S = (30.0, 40.0)  # scenario seconds
CUFF_OLD_S = 60.0  # scenario seconds after which a reading is marked old
SEEN_S = 6.0  # real seconds that a state lasts at least, so that a host that asks every 5 s sees it
CUFF_ERROR_MMHG = 3.0
APNEA_S = 20.0  # scenario seconds without a breath
SPO2_LOW_PCT, SPO2_VERY_LOW_PCT, HEART_LOW, HEART_HIGH = 90, 85, 50, 130
WHITE, YELLOW, RED = 1, 2, 3
COLOURS = {"white": WHITE, "yellow": YELLOW, "red": RED}

CuffMode = Literal["manual", "auto", "stat"]


class CuffReading(NamedTuple):
    """One blood pressure; `at_s` scenario, `mono_s` real, `wall_s` Unix seconds."""

    systolic_mmhg: int
    diastolic_mmhg: int
    mean_mmhg: int
    pulse_rate: int
    at_s: float
    mono_s: float
    wall_s: float


@dataclass
class Cuff:
    """The cuff and the last reading."""

    mode: CuffMode = "manual"
    measuring: bool = False
    reading: CuffReading | None = None

    async def measure(self, patient: Patient, clock: ScenarioClock, rng: Random, mode: CuffMode) -> CuffReading:
        """Inflate, deflate, read. What stood there before is gone."""
        self.mode, self.measuring, self.reading = mode, True, None
        try:
            await asyncio.gather(clock.sleep(rng.uniform(*CUFF_S)), asyncio.sleep(SEEN_S))
            self.reading = self._read(patient.at(clock.now_s()), clock.now_s(), rng)
        finally:
            self.measuring = False
        return self.reading

    def is_old(self, now_s: float) -> bool:
        """Whether the reading is marked as old at that scenario second."""
        reading = self.reading
        if reading is None:
            return False
        return now_s - reading.at_s > CUFF_OLD_S and time.monotonic() - reading.mono_s > SEEN_S

    def _read(self, vitals: Vitals, at_s: float, rng: Random) -> CuffReading:
        systolic = round(vitals.systolic_mmhg + rng.gauss(0, CUFF_ERROR_MMHG))
        diastolic = min(round(vitals.diastolic_mmhg + rng.gauss(0, CUFF_ERROR_MMHG)), systolic - 10)
        mean = round(diastolic + (systolic - diastolic) * rng.uniform(0.31, 0.36))
        return CuffReading(systolic, diastolic, mean, round(vitals.pulse_rate), at_s, time.monotonic(), time.time())


class Alarm(NamedTuple):
    """`colour`: 1 white, 2 yellow, 3 red."""

    text: str
    colour: int


@dataclass
class Bedside:
    """The state of the modules and of the alarms."""

    ecg_on: bool = True
    spo2_on: bool = True
    co2_on: bool = True
    co2_occluded: bool = False
    silenced: bool = False
    cuff: Cuff = field(default_factory=Cuff)
    scripted: dict[str, int] = field(default_factory=dict)
    """Alarms that a script raised: text and colour."""
    _last_breath_s: float = 0.0
    _resp_rate: int = 0

    @property
    def co2_measures(self) -> bool:
        """Whether the gas module has a sample."""
        return self.co2_on and not self.co2_occluded

    def watch(self, vitals: Vitals, now_s: float) -> None:
        """Look at the patient; to be called several times a second."""
        if vitals.breathing or not self.co2_measures:
            self._last_breath_s = now_s
        if vitals.breathing:
            self._resp_rate = round(vitals.resp_rate)

    def apnea(self, now_s: float) -> bool:
        """Whether the gas module has seen no breath for too long."""
        return now_s - self._last_breath_s > APNEA_S

    def resp_rate(self, now_s: float) -> int:
        """Breaths a minute as shown: the last rate until the apnoea is declared."""
        return 0 if self.apnea(now_s) else self._resp_rate

    def alarms(self, vitals: Vitals, now_s: float) -> list[Alarm]:
        """The alarms in force, the gravest first, at most five."""
        found = [Alarm(text, colour) for text, colour in self.scripted.items()]
        if self.apnea(now_s):
            found.append(Alarm("APNEA", RED))
        if self.spo2_on and vitals.spo2_pct < SPO2_LOW_PCT:
            found.append(Alarm("SpO2 LOW", RED if vitals.spo2_pct < SPO2_VERY_LOW_PCT else YELLOW))
        if (self.ecg_on or self.spo2_on) and not HEART_LOW <= vitals.heart_rate <= HEART_HIGH:
            found.append(Alarm("HR LOW" if vitals.heart_rate < HEART_LOW else "HR HIGH", YELLOW))
        found += self._technical_alarms()
        return sorted(found, key=lambda alarm: -alarm.colour)[:5]

    def _technical_alarms(self) -> list[Alarm]:
        found = [] if self.ecg_on else [Alarm("ECG LEADS OFF", YELLOW)]
        if not self.spo2_on:
            found.append(Alarm("SpO2 PROBE OFF", YELLOW))
        if self.co2_on and self.co2_occluded:
            found.append(Alarm("SAMPLE LINE BLOCKED", WHITE))
        return found
