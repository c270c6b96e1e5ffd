"""Which alert levels the dose of a record exceeds (rule R16). Each is raised once a record, under its own id.

The levels are the room's own. For scale, of interlaminar injections: 18 to 23 s and 226 to 350 cGy.cm2, transforaminal
36 s on average.
"""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.carm.settings import DoseLevels
from esi_room.events import AlertRaised, DoseTotal

RULE = "R16"
PREFIX = "carm-dose-"
_QUANTITIES = (
    # field, what people call it, their unit, how many of it an SI unit is
    ("fluoro_time_s", "Fluoroscopy time", "s", 1.0),
    ("dap_gy_m2", "Dose area product", "cGy.cm2", 1e6),
    ("air_kerma_rp_gy", "Air kerma at the reference point", "mGy", 1e3),
)


def exceeded(levels: DoseLevels, total: DoseTotal, raised: set[str], fact: int) -> Iterator[AlertRaised]:
    """An alert for each level that `total` is above, without those in `raised` (ids). `fact`: the entry it rests on."""
    for field, name, unit, scale in _QUANTITIES:
        level, value = getattr(levels, field), getattr(total, field)
        alert = PREFIX + field
        if level is None or value is None or value <= level or alert in raised:
            continue
        yield AlertRaised(
            alert=alert,
            rule=RULE,
            severity="medium",
            text=f"{name} {value * scale:.4g} {unit} is above the room's alert level of {level * scale:.4g} {unit}",
            facts=(fact,),
            actor=None,
            reason=total.provenance.get(field),
        )
