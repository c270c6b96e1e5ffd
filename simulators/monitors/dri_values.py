"""Displayed values of a GE monitor: the state of its modules, put into the fields of the basic class.

A value that is not measured goes out as invalid and its group as inactive. The heart rate comes from the selected
source: with the leads off the monitor takes the pulse oximeter's, and says so in the status. ST analysis is off.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from simulators.monitors import dri_records as dri
from simulators.monitors.bedside import Bedside
from simulators.patient import AIR_PRESSURE_MMHG, Vitals

MEASURES = dri.EXISTS | dri.ACTIVE
SOURCE_BIT, FROM_ECG, FROM_PLETH = 3, 1, 6
LEADS_OFF = 1 << 11 | 1 << 12 | 1 << 13
ECG_LABEL = 2 << 8 | 7 << 4 | 3  # channel 1 lead II, channel 2 V, channel 3 lead III
CUFF_LABELS = {"manual": 0, "auto": 1 << 3, "stat": 1 << 4}
CUFF_MEASURING, CUFF_OLD = 1 << 5, 1 << 8
CO2_APNEA, CO2_OCCLUSION = 1 << 2, 1 << 5
CO2_RATE_BY_CO2 = 1
SKIN = 7
ARRHYTHMIA_BRADY, ARRHYTHMIA_TACHY, ARRHYTHMIA_OFF = 1 << 27, 1 << 28, 1 << 30


class Displayed(NamedTuple):
    """The groups of the basic class, the shown heart rate, and the same for the truth log."""

    groups: dict[str, dri.Group]
    heart_rate: int | None
    ecg_on: bool
    said: dict[str, Any]


def displayed(vitals: Vitals, bedside: Bedside, t_s: float) -> Displayed:
    """What the monitor shows at scenario second `t_s`."""
    groups = {
        "ecg": _ecg(vitals, bedside),
        "nibp": _nibp(bedside, t_s),
        "t1": dri.Group(MEASURES, SKIN, [_hundredths(vitals.temp_c)]),
        "spo2": _spo2(vitals, bedside),
        "co2": _co2(vitals, bedside, t_s),
    }
    heart_rate = groups["ecg"].values[0]
    said = {
        "heart_rate": heart_rate,
        "spo2_pct": _over_hundred(groups["spo2"].values[0]),
        "pulse_rate": groups["spo2"].values[1],
        "systolic_mmhg": _over_hundred(groups["nibp"].values[0]),
        "diastolic_mmhg": _over_hundred(groups["nibp"].values[1]),
        "mean_mmhg": _over_hundred(groups["nibp"].values[2]),
        "nibp_measuring": bedside.cuff.measuring,
        "nibp_old": bedside.cuff.is_old(t_s),
        "etco2_pct": _over_hundred(groups["co2"].values[0]),
        "resp_rate": groups["co2"].values[2],
        "apnea": bool(groups["co2"].status & CO2_APNEA),
        "temp_c": _over_hundred(groups["t1"].values[0]),
    }
    return Displayed(groups, heart_rate, bedside.ecg_on, said)


def subrecords(values: Displayed, classes: int, unix_s: int) -> list[tuple[int, bytes]]:
    """The classes that were asked for (bit 0: not the basic one; bits 1 to 3: extensions)."""
    bodies: dict[int, bytes] = {}
    if not classes & 1:
        bodies[dri.BASIC] = dri.basic_body(values.groups)
    if classes & 2:
        bodies[dri.EXT1] = dri.arrhythmia_body(values.heart_rate, _arrhythmias(values))
    for bit, extension in ((4, dri.EXT2), (8, dri.EXT3)):
        if classes & bit:
            bodies[extension] = bytes(dri.BODY_BYTES)
    return [(dri.DISPLAYED, dri.class_subrecord(unix_s, body, number)) for number, body in bodies.items()]


def wave_measures(bedside: Bedside, channel: str) -> bool:
    """Whether the module behind a waveform has a signal."""
    return {"ecg": bedside.ecg_on, "resp": bedside.ecg_on, "pleth": bedside.spo2_on}.get(channel, bedside.co2_measures)


def _ecg(vitals: Vitals, bedside: Bedside) -> dri.Group:
    if bedside.ecg_on:
        status = MEASURES | FROM_ECG << SOURCE_BIT
        return dri.Group(status, ECG_LABEL, [round(vitals.heart_rate), None, None, None, round(vitals.resp_rate)])
    if bedside.spo2_on:
        status = MEASURES | FROM_PLETH << SOURCE_BIT | LEADS_OFF
        return dri.Group(status, ECG_LABEL, [round(vitals.pulse_rate), None, None, None, None])
    return dri.Group(dri.EXISTS | LEADS_OFF, ECG_LABEL, [None] * 5)


def _nibp(bedside: Bedside, t_s: float) -> dri.Group:
    cuff = bedside.cuff
    label = CUFF_LABELS[cuff.mode]
    if cuff.measuring or cuff.reading is None:
        return dri.Group(MEASURES, label | (CUFF_MEASURING if cuff.measuring else 0), [None] * 4)
    label |= CUFF_OLD if cuff.is_old(t_s) else 0
    pressures = cuff.reading[:3]
    return dri.Group(MEASURES, label, [*(_hundredths(value) for value in pressures), cuff.reading.pulse_rate])


def _spo2(vitals: Vitals, bedside: Bedside) -> dri.Group:
    if not bedside.spo2_on:
        return dri.Group(dri.EXISTS, 0, [None] * 4)
    saturation, amplitude = _hundredths(round(vitals.spo2_pct)), _hundredths(vitals.perfusion_index_pct)
    return dri.Group(MEASURES, 1, [saturation, round(vitals.pulse_rate), amplitude, None])


def _co2(vitals: Vitals, bedside: Bedside, t_s: float) -> dri.Group:
    pressure = round(AIR_PRESSURE_MMHG * 10)
    if not bedside.co2_measures:
        blocked = CO2_OCCLUSION if bedside.co2_on else 0
        return dri.Group(dri.EXISTS | blocked, 0, [None, None, None, pressure])
    if bedside.apnea(t_s):
        return dri.Group(MEASURES | CO2_APNEA, CO2_RATE_BY_CO2, [None, None, 0, pressure])
    end_tidal = _hundredths(100 * vitals.etco2_mmhg / AIR_PRESSURE_MMHG)
    inspired = _hundredths(100 * vitals.fico2_mmhg / AIR_PRESSURE_MMHG)
    return dri.Group(MEASURES, CO2_RATE_BY_CO2, [end_tidal, inspired, bedside.resp_rate(t_s), pressure])


def _arrhythmias(values: Displayed) -> int:
    if not values.ecg_on or values.heart_rate is None:
        return ARRHYTHMIA_OFF
    if values.heart_rate < 50:
        return ARRHYTHMIA_BRADY
    return ARRHYTHMIA_TACHY if values.heart_rate > 130 else 0


def _hundredths(value: float) -> int:
    return round(value * 100)


def _over_hundred(value: int | None) -> float | None:
    return None if value is None else value / 100
