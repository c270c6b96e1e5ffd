"""The rules: which function judges each, and its parameters with what they are where the file does not say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from esi_room.procedure.facts import Facts
from esi_room.procedure.rules import before, drugs, needle, watch
from esi_room.procedure.rules.verdict import Params, Verdict


class Rule(NamedTuple):
    """One of them."""

    judge: Callable[[Facts, Params], Verdict]
    parameters: dict[str, Any] = {}  # noqa: RUF012 - never changed
    watches: bool = False
    """It looks at the time, or at what monitors and pumps say all the time."""
    between_cases: bool = False
    """Judged in a record without a procedure, too."""


RULES: dict[str, Rule] = {
    "R1": Rule(before.time_out),
    "R2": Rule(before.recorded_in_time),
    "R3": Rule(needle.live_contrast),
    "R4": Rule(drugs.cervical_particulate),
    "R5": Rule(drugs.first_lumbar),
    "R6": Rule(needle.cervical_interlaminar, {"levels": ["C6/7", "C7/T1"]}),
    "R7": Rule(needle.views, {"views": 2, "angle_deg": 25.0, "contrast_before_s": 120.0}),
    "R8": Rule(drugs.contrast_allergy, {"reason_severity": "low"}),
    "R9": Rule(needle.uptake),
    "R10": Rule(
        watch.monitoring,
        {"nibp_max_age_s": 300.0, "heart_rate_max_age_s": 300.0, "spo2_max_age_s": 30.0, "etco2_max_age_s": 60.0},
        watches=True,
    ),
    "R11": Rule(drugs.lidocaine, {"max_mg_per_kg": 4.5}),
    "R12": Rule(drugs.sedation),
    "R13": Rule(needle.how_many, {"transforaminal_levels": 2, "other_levels": 1, "regions": 1}),
    "R14": Rule(before.side_and_level),
    "R15": Rule(
        watch.vasovagal,
        {
            "fall_pct": 20.0,
            "low_bpm": 50.0,
            "present_s": 10.0,
            "before_from_s": 360.0,
            "before_to_s": 60.0,
            "systolic_fall_mmhg": 20.0,
            "systolic_before_s": 900.0,
            "within_s": 180.0,
        },
        watches=True,
    ),
    "R16": Rule(
        watch.dose, {"fluoro_time_s": 120.0, "dap_cgy_cm2": 1000.0, "air_kerma_mgy": 100.0}, between_cases=True
    ),
    "R17": Rule(watch.pressure, {"limit_mmhg": 775.0, "fall_pct": 50.0, "fall_s": 5.0}, watches=True),
    "R18": Rule(watch.discharge, {"padss": 9}),
}
