"""Where everything lies in the displayed-values subrecords, as tables. Nothing here does anything.

Sources: GE "DRI Specification" 8005313, 12th ed., for the basic class and the start of ext1; the structure of
ext1 to ext3 from public headers written after it (datex.h of icu_devices, MIT). A quantity becomes a reading
only where its scale is certain (stated in the specification, or two public programs agree); all others are kept
as the raw number that was sent, under the vendor's own name (`raw`). The status bits of ECG, NIBP and CO2 are the
specification's; those of the other groups were found in one public program only, and make words, never values.
"""

from __future__ import annotations

from typing import NamedTuple

from esi_room.nomenclature import (
    HEART_RATE,
    IMPEDANCE_RESPIRATORY_RATE,
    NIBP_DIASTOLIC,
    NIBP_MEAN,
    NIBP_PULSE_RATE,
    NIBP_SYSTOLIC,
    PULSE_RATE,
    SPO2,
    Parameter,
    vendor,
)

BASIC, EXT1, EXT2, EXT3 = range(4)
CLASS_BITS = {"basic": 0, "ext1": 2, "ext2": 4, "ext3": 8}  # request mask; bit 0 would mean "no basic"

GROUP_HEADER_BYTES = 6  # u32 status, u16 label


class Field(NamedTuple):
    """One i16. `divisor` 0: the scale is not certain, the raw number is kept under `key`."""

    key: str
    parameter: Parameter | None = None
    divisor: int = 0


NO_BITS: dict[int, str] = {}


class Group(NamedTuple):
    """A group at `at` of the 270-byte body. `bits`: its status bits as words (0 and 1 mean the same in all)."""

    name: str
    at: int
    fields: tuple[Field, ...]
    bits: dict[int, str] = NO_BITS
    own_header: bool = True
    """False: no status and label of its own; the group before it in the table lends its status."""

    @property
    def size_bytes(self) -> int:
        return GROUP_HEADER_BYTES * self.own_header + 2 * len(self.fields)


def _own(group: str, key: str, name: str, unit: str, divisor: int) -> Field:
    return Field(key, vendor(f"ge_dri:{group}.{key}", name, unit), divisor)


def _pressure(n: int, at: int) -> Group:
    name = f"p{n}"
    fields = (
        _own(name, "sys", f"{name}_systolic_mmhg", "mm[Hg]", 100),
        _own(name, "dia", f"{name}_diastolic_mmhg", "mm[Hg]", 100),
        _own(name, "mean", f"{name}_mean_mmhg", "mm[Hg]", 100),
        _own(name, "hr", f"{name}_pulse_rate_bpm", "/min", 1),
    )
    return Group(name, at, fields, {2: f"{name}_zeroing"})


def _temperature(n: int, at: int) -> Group:
    return Group(f"t{n}", at, (_own(f"t{n}", "temp", f"temperature_{n}_cel", "Cel", 100),))


def _gas(name: str, at: int, word: str) -> Group:
    fields = (
        _own(name, "et", f"et{word}_pct", "%", 100),
        _own(name, "fi", f"fi{word}_pct", "%", 100),
    )
    return Group(name, at, fields, {2: f"{name}_calibrating", 3: f"{name}_measurement_off"})


def _raw(*keys: str) -> tuple[Field, ...]:
    return tuple(Field(key) for key in keys)


EEG_CHANNEL = ("ampl", "sef", "mf", "delta_proc", "theta_proc", "alpha_proc", "beta_proc", "bsr")


ECG_BITS = {2: "asystole", 7: "ecg_noise", 8: "ecg_artifact", 9: "ecg_learning", 10: "ecg_pacer"}
ECG_BITS |= {11: "ecg_lead_1_off", 12: "ecg_lead_2_off", 13: "ecg_lead_3_off"}
CO2_BITS = {2: "apnea", 3: "co2_calibrating", 4: "co2_zeroing", 5: "co2_occlusion", 6: "co2_air_leak"}
CO2_BITS |= {7: "apnea_by_impedance", 8: "apnea_alarm_off", 9: "co2_wet"}
FLOW_BITS = {2: "flow_disconnection", 3: "flow_calibrating", 4: "flow_zeroing", 5: "flow_obstruction"}
FLOW_BITS |= {6: "flow_leak", 7: "flow_measurement_off"}
NMT_BITS = {6: "nmt_supramax_found", 7: "nmt_calibrated"}
EEG_BITS = {2: "eeg_measuring", 7: "eeg_headbox_off", 8: "eeg_ssep_cable_off"}
EEG_BITS |= {8 + n: f"eeg_{n}_leads_off" for n in range(1, 5)}
EEG_BITS |= {12 + n: f"eeg_{n}_artifact" for n in range(1, 5)}
EEG_BITS |= {16 + n: f"eeg_{n}_noise" for n in range(1, 5)}
EEG_BITS |= {21: "eeg_ep_ssep", 22: "eeg_bipolar"}
TONO_BITS = {2: "tono_leak", 3: "tono_volume_dropped", 4: "tono_technical_failure"}
TONO_BITS |= {5: "tono_unable_to_fill", 6: "tono_over_limit"}

NUMBER_BITS = {
    "ecg": (3, 4, 5, 6),  # heart rate source
    "nmt": (2, 3, 4, 5),  # stimulus mode, pulse width
    "eeg": (3, 4, 5, 6),  # montage in use
}
"""Status bits that are parts of a number, no words."""

BASIC_GROUPS = (
    Group(
        "ecg",
        0,
        (
            Field("hr", HEART_RATE, 1),
            _own("ecg", "st1", "st_1_mm", "mm", 100),
            _own("ecg", "st2", "st_2_mm", "mm", 100),
            _own("ecg", "st3", "st_3_mm", "mm", 100),
            Field("imp_rr", IMPEDANCE_RESPIRATORY_RATE, 1),
        ),
        ECG_BITS,
    ),
    Group(
        "ecg_extra",
        226,
        (
            _own("ecg_extra", "hr_ecg", "ecg_heart_rate_bpm", "/min", 1),
            _own("ecg_extra", "hr_max", "heart_rate_max_bpm", "/min", 1),
            _own("ecg_extra", "hr_min", "heart_rate_min_bpm", "/min", 1),
        ),
        own_header=False,
    ),
    *(_pressure(n, at) for n, at in ((1, 16), (2, 30), (3, 44), (4, 58), (5, 240), (6, 254))),
    Group(
        "nibp",
        72,
        (
            Field("sys", NIBP_SYSTOLIC, 100),
            Field("dia", NIBP_DIASTOLIC, 100),
            Field("mean", NIBP_MEAN, 100),
            Field("hr", NIBP_PULSE_RATE, 1),
        ),
    ),
    *(_temperature(n, at) for n, at in ((1, 86), (2, 94), (3, 102), (4, 110))),
    Group(
        "spo2",
        118,
        (
            Field("SpO2", SPO2, 100),
            Field("pr", PULSE_RATE, 1),
            _own("spo2", "ir_amp", "spo2_ir_amplitude_pct", "%", 100),
            _own("spo2", "SvO2", "spo2_svo2_pct", "%", 100),
        ),
    ),
    Group(
        "co2",
        132,
        (
            _own("co2", "et", "etco2_pct", "%", 100),
            _own("co2", "fi", "fico2_pct", "%", 100),
            _own("co2", "rr", "respiratory_rate_bpm", "/min", 1),
            _own("co2", "amb_press", "ambient_pressure_mmhg", "mm[Hg]", 10),
        ),
        CO2_BITS,
    ),
    _gas("o2", 146, "o2"),
    _gas("n2o", 156, "n2o"),
    Group(
        "aa",
        166,
        (
            _own("aa", "et", "etaa_pct", "%", 100),
            _own("aa", "fi", "fiaa_pct", "%", 100),
            _own("aa", "mac_sum", "mac_sum", "1", 100),
        ),
        {2: "aa_calibrating", 3: "aa_measurement_off"},
    ),
    Group(
        "flow_vol",
        178,
        (
            _own("flow_vol", "rr", "spirometry_respiratory_rate_bpm", "/min", 1),
            _own("flow_vol", "ppeak", "peak_pressure_cmh2o", "cm[H2O]", 100),
            _own("flow_vol", "peep", "peep_cmh2o", "cm[H2O]", 100),
            _own("flow_vol", "pplat", "plateau_pressure_cmh2o", "cm[H2O]", 100),
            _own("flow_vol", "tv_insp", "inspired_tidal_volume_ml", "mL", 10),
            _own("flow_vol", "tv_exp", "expired_tidal_volume_ml", "mL", 10),
            _own("flow_vol", "compliance", "compliance_ml_cmh2o", "mL/cm[H2O]", 100),
            _own("flow_vol", "mv_exp", "expired_minute_volume_l_min", "L/min", 100),
        ),
        FLOW_BITS,
    ),
    Group(
        "co_wedge",
        200,
        (
            _own("co_wedge", "co", "cardiac_output_ml_min", "mL/min", 1),
            *_raw("blood_temp", "ref"),
            _own("co_wedge", "pcwp", "wedge_pressure_mmhg", "mm[Hg]", 100),
        ),
    ),
    Group("nmt", 214, _raw("t1", "tratio", "ptc"), NMT_BITS),
    Group("svo2", 232, _raw("svo2")),
)

EXT1_GROUPS = (
    Group(
        "arrh_ecg",
        0,
        (
            _own("arrh_ecg", "hr", "arrhythmia_heart_rate_bpm", "/min", 1),
            _own("arrh_ecg", "rr_time", "rr_interval_ms", "ms", 1),
            *_raw("pvc"),
        ),
    ),
    Group(
        "ecg12",
        48,
        tuple(
            _own("ecg12", f"st{lead}", f"st_{lead.lower()}_mm", "mm", 100)
            for lead in ("I", "II", "III", "AVL", "AVR", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
        ),
    ),
    _pressure(7, 78),
    _pressure(8, 92),
    Group(
        "spo2_ch2",
        106,
        (
            _own("spo2_ch2", "SpO2", "spo2_second_pct", "%", 100),
            _own("spo2_ch2", "pr", "pulse_rate_second_bpm", "/min", 1),
            _own("spo2_ch2", "ir_amp", "spo2_second_ir_amplitude_pct", "%", 100),
            _own("spo2_ch2", "SvO2", "spo2_second_svo2_pct", "%", 100),
        ),
    ),
    _temperature(5, 120),
    _temperature(6, 128),
)

EXT2_GROUPS = (
    Group("nmt2", 0, _raw("count", "nmt_t1", "nmt_t2", "nmt_t3", "nmt_t4", "resv1", "resv2", "resv3", "resv4")),
    Group(
        "eeg",
        24,
        _raw("femg", *(f"eeg{n}.{key}" for n in range(1, 5) for key in EEG_CHANNEL)),
        EEG_BITS,
    ),
    Group(
        "eeg_bis",
        96,
        (_own("eeg_bis", "bis", "bis_index", "1", 1), *_raw("sqi_val", "emg_val", "sr_val", "reserved1")),
    ),
    Group(
        "ent",
        112,
        (
            _own("ent", "eeg_ent", "state_entropy", "1", 1),
            _own("ent", "emg_ent", "response_entropy", "1", 1),
            _own("ent", "bsr_ent", "burst_suppression_pct", "%", 1),
        ),
    ),
    Group("spi", 230, _raw("spiVal")),
)

EXT3_GROUPS = (
    Group("gasex", 0, _raw("vo2", "vco2", "ee", "rq")),
    Group(
        "flow_vol2",
        14,
        _raw(
            *("ipeep", "pmean", "raw", "mv_insp", "epeep", "mv_spont", "ie_ratio", "insp_time", "exp_time"),
            *("static_compliance", "static_pplat", "static_peepe", "static_peepi"),
        ),
    ),
    _gas("bal", 60, "balance_gas"),
    Group(
        "tono",
        70,
        _raw("prco2", "pr_et", "pr_pa", "pr_delay", "phi", "phi_delay", "amb_press", "cpma"),
        TONO_BITS,
    ),
    Group("aa2", 92, _raw("mac_age_sum")),
    Group("delp", 116, _raw("spv", "ppv")),
    Group("cpp", 126, _raw("value")),
    Group("cpp2", 134, _raw("value")),
    Group(
        "picco",
        142,
        _raw(
            *("cci", "cco", "cfi", "ci", "co", "cpi", "cpo", "dpmax", "elwi", "evlw", "gedi", "gedv", "gef"),
            *("itbi", "itbv", "ppv", "pvpi", "sv", "svi", "svr", "svri", "svv", "tblood", "tinj"),
        ),
    ),
)

GROUPS = {BASIC: BASIC_GROUPS, EXT1: EXT1_GROUPS, EXT2: EXT2_GROUPS, EXT3: EXT3_GROUPS}

UNKNOWN = {BASIC: ((268, 270),), EXT1: ((16, 48), (136, 270)), EXT2: ((124, 230), (238, 270))}
UNKNOWN |= {EXT3: ((46, 60), (100, 116), (196, 270))}
"""Octets of the body, from and to, that no group above explains: kept as hex where they hold anything."""
