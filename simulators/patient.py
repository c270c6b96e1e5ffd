"""One patient, to whom every device of the room is connected.

Rules:
- `at` is a pure function of the seed, the script so far and the time: two runs of a scenario measure the same
  patient, and a device that asks twice hears the same.
- Variability is a sum of slow waves with seeded phases (drift, Mayer waves, respiratory sinus arrhythmia): no
  state, so no dependence on who asks when.
- What happens (sedation, pain, a vasovagal reaction …) is in `effects.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from simulators import effects

APNEA_RESP_RATE = 2.0  # breaths a minute below which nothing is called a breath
LOWEST_SPO2_PCT = 55.0
AIR_PRESSURE_MMHG = 760.0
MAYER_PERIOD_S = 10.0
DRIFT_PERIODS_S = (47.0, 131.0, 389.0)


class Vitals(NamedTuple):
    """The patient at one moment. `etco2_mmhg` is that of the last breath; `resp_rate` 0 is an apnoea."""

    heart_rate: float
    spo2_pct: float
    pulse_rate: float
    systolic_mmhg: float
    diastolic_mmhg: float
    mean_mmhg: float
    resp_rate: float
    etco2_mmhg: float
    fico2_mmhg: float
    temp_c: float
    perfusion_index_pct: float

    @property
    def breathing(self) -> bool:
        """Whether there is any breath."""
        return self.resp_rate > 0

    def ecg_uv(self, beat: float) -> float:
        """Lead II in microvolts at `beat` heart beats since some beat's start."""
        phase = beat % 1.0
        return sum(height * math.exp(-(((phase - at) / width) ** 2)) for at, width, height in ECG_WAVES)

    def pleth_pct(self, beat: float) -> float:
        """Pleth in percent of the light at `beat` beats; its height follows the perfusion index."""
        phase = (beat - 0.25) % 1.0  # the pulse arrives at the finger a quarter of a beat after the QRS
        pulse = math.exp(-(((phase - 0.2) / 0.12) ** 2)) + 0.4 * math.exp(-(((phase - 0.5) / 0.14) ** 2))
        return self.perfusion_index_pct * (pulse - 0.35)

    def co2_mmhg(self, breath: float) -> float:
        """CO2 at the mouth at `breath` breaths since the start of an inspiration; 0 during an apnoea."""
        phase = breath % 1.0
        if not self.breathing or phase < CO2_EXPIRATION:
            return self.fico2_mmhg
        expired = (phase - CO2_EXPIRATION) / (1 - CO2_EXPIRATION)
        plateau = 0.88 + 0.12 * expired
        return self.fico2_mmhg + (self.etco2_mmhg - self.fico2_mmhg) * plateau * effects.smooth(expired / 0.15)

    def chest_pct(self, breath: float) -> float:
        """The chest's rise in percent, by impedance, at `breath` breaths."""
        return 50 * (1 - math.cos(2 * math.pi * breath)) if self.breathing else 0.0


# P, Q, R, S, T: where in the beat, how wide (both in beats), how high in microvolts.
ECG_WAVES = (
    (0.12, 0.03, 110),
    (0.235, 0.008, -90),
    (0.25, 0.011, 1100),
    (0.27, 0.01, -220),
    (0.5, 0.06, 260),
)
CO2_EXPIRATION = 0.45  # the fraction of a breath that is inspiration


class Patient:
    """A patient at rest who is 78 kg heavy unless told otherwise; `do` is what happens to them."""

    def __init__(
        self,
        seed: int,
        *,
        weight_kg: float = 78.0,
        heart_rate: float = 74.0,
        systolic_mmhg: float = 132.0,
        diastolic_mmhg: float = 78.0,
        resp_rate: float = 14.0,
        spo2_pct: float = 97.4,
        etco2_mmhg: float = 37.0,
        temp_c: float = 36.6,
    ) -> None:
        rng = Random(seed)
        self.weight_kg = weight_kg
        self._rest = {
            "heart_rate": heart_rate,
            "systolic": systolic_mmhg,
            "diastolic": diastolic_mmhg,
            "resp_rate": resp_rate,
            "spo2": spo2_pct,
            "etco2": etco2_mmhg,
            "temp": temp_c,
            "perfusion_index": rng.uniform(2.5, 5.5),
        }
        self._phases = {name: [rng.uniform(0, 2 * math.pi) for _ in DRIFT_PERIODS_S] for name in self._rest}
        self._mayer_phase = rng.uniform(0, 2 * math.pi)
        self._effects: list[effects.Effect] = []

    @classmethod
    def actions(cls) -> Sequence[str]:
        """What `do` knows."""
        return (*effects.COURSES, "recover")

    def do(
        self,
        action: str,
        at_s: float,
        *,
        strength: float = 1.0,
        duration_s: float | None = None,
        kind: str | None = None,
    ) -> None:
        """Something happens to the patient at scenario second `at_s`.

        `strength` 1 is the usual course; `duration_s` is how long it stays at its height; `kind` says where a
        pain comes from (needle, pressure, paraesthesia). `recover` ends everything within a minute. Raises
        ValueError for what cannot happen.
        """
        if action == "recover":
            for effect in self._effects:
                effect.recovers_at_s = min(at_s, effect.recovers_at_s or at_s)
            return
        if action not in effects.COURSES:
            raise ValueError(f"patient cannot {action!r}; one of {', '.join(self.actions())}")
        if kind is not None:
            strength *= _pain_strength(action, kind)
        self._effects += effects.effects_of(action, at_s, strength=strength, duration_s=duration_s)

    def at(self, t_s: float) -> Vitals:
        """The patient at scenario second `t_s`."""
        breathing = max(0.0, 1 + self._added("breathing", t_s))
        resp_rate = breathing * self._value("resp_rate", t_s, swing=0.6)
        heart_rate = max(25.0, self._value("heart_rate", t_s, swing=1.6) + self._arrhythmia(t_s, breathing))
        systolic = max(50.0, self._value("systolic", t_s, swing=2.5))
        diastolic = min(max(25.0, self._value("diastolic", t_s, swing=1.8)), systolic - 12)
        return Vitals(
            heart_rate=heart_rate,
            spo2_pct=min(100.0, max(LOWEST_SPO2_PCT, self._value("spo2", t_s, swing=0.35))),
            pulse_rate=heart_rate,
            systolic_mmhg=systolic,
            diastolic_mmhg=diastolic,
            mean_mmhg=diastolic + (systolic - diastolic) / 3,
            resp_rate=0.0 if resp_rate < APNEA_RESP_RATE else resp_rate,
            etco2_mmhg=max(10.0, self._value("etco2", t_s, swing=0.7)),
            fico2_mmhg=0.0,
            temp_c=self._value("temp", t_s, swing=0.03),
            perfusion_index_pct=self._perfusion_index(t_s),
        )

    def _value(self, name: str, t_s: float, *, swing: float) -> float:
        """The quantity at rest, with its slow waves of about `swing` each way, and with what happened."""
        waves = zip(self._phases[name], DRIFT_PERIODS_S, strict=True)
        drift = sum(math.sin(2 * math.pi * t_s / period_s + phase) for phase, period_s in waves)
        return self._rest[name] + swing * drift / 2 + self._added(name, t_s)

    def _added(self, name: str, t_s: float) -> float:
        return sum(
            effect.course.adds[name] * effect.level(t_s) for effect in self._effects if name in effect.course.adds
        )

    def _arrhythmia(self, t_s: float, breathing: float) -> float:
        """Respiratory sinus arrhythmia and Mayer waves."""
        breath = math.sin(2 * math.pi * t_s * self._rest["resp_rate"] / 60)
        mayer = math.sin(2 * math.pi * t_s / MAYER_PERIOD_S + self._mayer_phase)
        return 1.8 * breathing * breath + 1.1 * mayer

    def _perfusion_index(self, t_s: float) -> float:
        left = max(0.05, 1 + self._added("perfusion", t_s))
        return max(0.05, left * self._value("perfusion_index", t_s, swing=0.5))


def _pain_strength(action: str, kind: str) -> float:
    if action != "pain" or kind not in effects.PAIN_STRENGTHS:
        raise ValueError(f"kind {kind!r} of {action}: only a pain has one, of {', '.join(effects.PAIN_STRENGTHS)}")
    return effects.PAIN_STRENGTHS[kind]
