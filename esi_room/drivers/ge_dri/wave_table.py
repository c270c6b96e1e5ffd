"""The waveforms: type, parameter, samples per second, scale. A table; sources as in `tables`."""

from __future__ import annotations

from typing import NamedTuple

from esi_room.nomenclature import PLETH, Parameter, vendor


class Wave(NamedTuple):
    """A waveform. `divisor` 0: the scale is not certain, samples are as sent."""

    type: int
    parameter: Parameter
    rate_hz: int
    divisor: int


def _wave(type_: int, name: str, unit: str, rate_hz: int, divisor: int) -> Wave:
    return Wave(type_, vendor(f"ge_dri:wave.{type_}", name, unit), rate_hz, divisor)


WAVES = {
    **{f"ECG{n}": _wave(n, f"ecg_{n}_uv", "uV", 300, 1) for n in (1, 2, 3)},
    **{
        f"INVP{n}": _wave(type_, f"p{n}_mmhg", "mm[Hg]", 100, 100)
        for n, type_ in ((1, 4), (2, 5), (3, 6), (4, 7), (5, 16), (6, 17), (7, 36), (8, 37))
    },
    "PLETH": Wave(8, PLETH, 100, 100),
    "PLETH2": _wave(38, "pleth_second_pct", "%", 100, 100),
    "CO2": _wave(9, "co2_pct", "%", 25, 100),
    "N2O": _wave(11, "n2o_pct", "%", 25, 100),
    "AA": _wave(12, "aa_pct", "%", 25, 100),
    "AWP": _wave(13, "airway_pressure_cmh2o", "cm[H2O]", 25, 10),
    "RESP": _wave(15, "impedance_respiration_ohm", "Ohm", 25, 100),
    **{f"EEG{n}": _wave(17 + n, f"eeg_{n}_uv", "uV", 100, 10) for n in (1, 2, 3, 4)},
    "O2": _wave(10, "o2_raw", "{raw}", 25, 0),
    "FLOW": _wave(14, "airway_flow_raw", "{raw}", 25, 0),
    "VOL": _wave(23, "airway_volume_raw", "{raw}", 25, 0),
    "ENT_100": _wave(32, "entropy_eeg_raw", "{raw}", 100, 0),
    "EEG_BIS": _wave(35, "bis_eeg_raw", "{raw}", 300, 0),
}
WAVE_BITS = {0: "gap", 2: "pacer", 3: "lead_off"}
SAMPLES_PER_S_CAP = 600  # of all waveforms together; the monitor drops what is over it, and does not say so
