"""What the bits and labels of a displayed-values group say, in words. Tables only.

Sources as in `tables`. The ECG label counts from the top, as the specification has it: bits 8-11 are channel 1.
"""

from __future__ import annotations

from typing import NamedTuple

ARRHYTHMIA_AT = 12  # u32 in the ext1 body
ARRHYTHMIA_BITS = {
    **dict(enumerate(("arrh_asystole", "arrh_vf", "arrh_rapid_vt", "arrh_vt"))),
    **{4: "arrh_extreme_brady", 5: "arrh_extreme_tachy", 6: "arrh_pvc_run", 7: "arrh_long_rr"},
    **{14: "arrh_frequent_pvc", 20: "arrh_noisy_ecg", 27: "arrh_brady", 28: "arrh_tachy"},
    30: "arrh_analysis_off",
}

HR_SOURCES: tuple[str, ...] = (
    "none",
    "ecg",
    "invp1",
    "invp2",
    "invp3",
    "invp4",
    "pleth",
    "invp5",
    "invp6",
    "mortara_ecg",
)
HR_SOURCES += ("invp7", "invp8", "pleth2")
ECG_SOURCES = {"ecg", "mortara_ecg"}
RR_SOURCES = ("none", "co2", "impedance")
ECG_LEADS = (None, "I", "II", "III", "aVR", "aVL", "aVF", "V")
TEMPERATURE_SITES: tuple[str | None, ...] = (
    None,
    "eso",
    "naso",
    "tymp",
    "rect",
    "blad",
    "axil",
    "skin",
    "airw",
    "room",
    "myo",
)
TEMPERATURE_SITES += ("t1", "t2", "t3", "t4", "core", "surf", "t5", "t6")
PRESSURE_SITES: tuple[str | None, ...] = (None, "art", "cvp", "pa", "rap", "rvp", "lap", "icp", "abp")
PRESSURE_SITES += ("p1", "p2", "p3", "p4", "p5", "p6")
AGENTS = ("unknown", "none", "hal", "enf", "iso", "des", "sev")
SO2_KINDS = ("so2", "sao2", "svo2", "not_used")


class Label(NamedTuple):
    """A group's label as a flag `<prefix>_<word>` on the reading `key`, or on all of the group's (`key` None)."""

    key: str | None
    prefix: str
    words: tuple[str | None, ...]
    mask: int = 0xFFFF


LABELS = {
    "co2": Label("rr", "source", RR_SOURCES, 0x7),
    "aa": Label(None, "agent", AGENTS),
    "spo2": Label("SvO2", "kind", SO2_KINDS, 0x3),
    "spo2_ch2": Label("SvO2", "kind", SO2_KINDS, 0x3),
    **{f"p{n}": Label(None, "site", PRESSURE_SITES) for n in range(1, 9)},
    **{f"t{n}": Label(None, "site", TEMPERATURE_SITES) for n in range(1, 7)},
}
CUFFS = ("not_defined", "infant", "reserved", "adult")

NIBP_MEASURING, NIBP_OLD = 1 << 5, 1 << 8  # of the nibp label
NIBP_BITS = {3: "nibp_auto", 4: "nibp_stat", 5: "nibp_measuring", 6: "nibp_stasis", 7: "nibp_calibrating"}
NIBP_BITS |= {8: "nibp_older_than_60_s"}
CO_BITS = {0: "co_older_than_60_s", 1: "pcwp_older_than_60_s"}  # of the co_wedge label

ALARMING = {"asystole", "ecg_noise", "ecg_lead_1_off", "ecg_lead_2_off", "ecg_lead_3_off"}
ALARMING |= {"apnea", "apnea_by_impedance", "co2_occlusion", "co2_air_leak"}
ALARMING |= {"flow_disconnection", "flow_obstruction", "flow_leak"}
ALARMING |= {word for bit, word in ARRHYTHMIA_BITS.items() if bit != 30}
"""Conditions that are also told as `device.alarm` when they begin and end."""

SMALLEST_VALUE = -32000
SPECIAL_VALUES = {
    -32767: "invalid",
    -32766: "not_updated",
    -32765: "discontinuity",
    -32764: "under_range",
    -32763: "over_range",
    -32762: "not_calibrated",
}
