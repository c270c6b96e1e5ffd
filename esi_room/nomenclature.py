"""What is measured: one row a parameter, the same for every device that measures it.

Rules of this file:
- A code is an IEEE 11073-10101 code (CF_CODE10: partition * 65536 + term) that stands in an IEEE, IHE or HL7
  text; those that do not stand in the project's clinical table name where they were read. A parameter
  without such a code is no row here: its driver keeps it under the vendor's own id with `vendor`.
- The last word of a name is the unit, as this project abbreviates it: `bpm` per minute, `pct`, `mmhg`, `cel`.
- Units are UCUM.
"""

from __future__ import annotations

from typing import NamedTuple

from esi_room.events import Reading, ReadingStatus


class Parameter(NamedTuple):
    """`code`: MDC code or vendor's id, `name`: snake_case with its unit last, `unit`: UCUM."""

    code: int | str
    name: str
    unit: str


HEART_RATE = Parameter(147842, "heart_rate_bpm", "/min")  # MDC_ECG_HEART_RATE
SPO2 = Parameter(150456, "spo2_pct", "%")  # MDC_PULS_OXIM_SAT_O2
PULSE_RATE = Parameter(149530, "pulse_rate_bpm", "/min")  # MDC_PULS_OXIM_PULS_RATE
PERFUSION_INDEX = Parameter(150448, "perfusion_index_pct", "%")  # MDC_PULS_OXIM_PERF_REL, IEEE 11073-10404
PLETH = Parameter(150452, "pleth_pct", "%")  # MDC_PULS_OXIM_PLETH, IEEE 11073-10404
NIBP_SYSTOLIC = Parameter(150021, "nibp_systolic_mmhg", "mm[Hg]")  # MDC_PRESS_BLD_NONINV_SYS
NIBP_DIASTOLIC = Parameter(150022, "nibp_diastolic_mmhg", "mm[Hg]")  # MDC_PRESS_BLD_NONINV_DIA
NIBP_MEAN = Parameter(150023, "nibp_mean_mmhg", "mm[Hg]")  # MDC_PRESS_BLD_NONINV_MEAN
NIBP_PULSE_RATE = Parameter(149546, "nibp_pulse_rate_bpm", "/min")  # MDC_PULS_RATE_NON_INV, IEEE 11073-10407
RESPIRATORY_RATE_BY_CO2 = Parameter(151594, "respiratory_rate_bpm", "/min")  # MDC_CO2_RESP_RATE
IMPEDANCE_RESPIRATORY_RATE = Parameter(151562, "impedance_respiratory_rate_bpm", "/min")  # MDC_RESP_RATE
ETCO2 = Parameter(151708, "etco2_mmhg", "mm[Hg]")  # MDC_CONC_AWAY_CO2_ET


def vendor(identifier: str, name: str, unit: str) -> Parameter:
    """A parameter that has no code of ours, under the vendor's id: `vendor("ge_dri:p1.sys", ...)`."""
    return Parameter(identifier, name, unit)


def reading(
    parameter: Parameter,
    value: float | None,
    status: ReadingStatus = "ok",
    flags: tuple[str, ...] = (),
    stale_after_s: float | None = None,
) -> Reading:
    """One value of `parameter`, in its unit; null whatever `value` is unless `status` lets one stand."""
    stands = status in {"ok", "questionable"}
    return Reading(
        code=parameter.code,
        name=parameter.name,
        value=value if stands else None,
        unit=parameter.unit,
        status=status,
        flags=flags,
        stale_after_s=stale_after_s,
    )
