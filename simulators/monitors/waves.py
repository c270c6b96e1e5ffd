"""Waveforms of the patient, sampled as a monitor's modules sample them.

They run on real time: a heart at 72 beats a minute makes 72 complexes a minute on the line at any speed of the
scenario. Beats and breaths are counted through, so that a changing rate bends the curve and never breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from simulators.patient import AIR_PRESSURE_MMHG, Vitals

ECG_NOISE_UV = 12.0


class Channel(NamedTuple):
    """`sample(vitals, beat, breath)` gives a value as on the wire."""

    name: str
    rate_hz: int
    sample: Callable[[Vitals, float, float], float]


# By waveform type: ECG lead II in uV; pleth in 1/100 %; CO2 in 1/100 %; chest by impedance, no unit.
CHANNELS: Mapping[int, Channel] = {
    1: Channel("ecg", 300, lambda vitals, beat, _: vitals.ecg_uv(beat)),
    8: Channel("pleth", 100, lambda vitals, beat, _: 100 * vitals.pleth_pct(beat)),
    9: Channel("co2", 25, lambda vitals, _, breath: 1e4 * vitals.co2_mmhg(breath) / AIR_PRESSURE_MMHG),
    15: Channel("resp", 25, lambda vitals, _, breath: vitals.chest_pct(breath)),
}


class Waves:
    """Where the heart and the chest are in their cycles."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._beat = rng.random()
        self._breath = rng.random()

    def block(self, vitals: Vitals, duration_s: float, types: tuple[int, ...]) -> dict[int, list[int]]:
        """The next `duration_s` of each waveform type, as on the wire."""
        samples = {wave: self._samples(CHANNELS[wave], vitals, duration_s) for wave in types}
        self._beat += vitals.heart_rate / 60 * duration_s
        self._breath += vitals.resp_rate / 60 * duration_s
        return samples

    def _samples(self, channel: Channel, vitals: Vitals, duration_s: float) -> list[int]:
        noise = ECG_NOISE_UV if channel.name == "ecg" else 0.0
        values = []
        for index in range(round(duration_s * channel.rate_hz)):
            minutes = index / channel.rate_hz / 60
            beat, breath = self._beat + vitals.heart_rate * minutes, self._breath + vitals.resp_rate * minutes
            values.append(round(channel.sample(vitals, beat, breath) + self._rng.gauss(0, noise)))
        return values
