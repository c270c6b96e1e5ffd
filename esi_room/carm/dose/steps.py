"""What an MPPS message says of dose (PS3.3 table C.4-16, radiation dose module). Runs in the listener.

    TotalTimeOfFluoroscopy             (0040,0300)  s
    ImageAndFluoroscopyAreaDoseProduct (0018,115E)  dGy.cm2, of the whole step, fluoroscopy included

Both are of the step so far, and of the whole step in its last message. Entrance dose (0040,0302 and 0040,8302) is at
the surface of the patient, not air kerma at the reference point: not taken (TID 10004 knows no MPPS source of that).
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from esi_room.carm.dose import item
from esi_room.carm.dose.headers import DGY_CM2
from esi_room.carm.dose.units import number, times
from esi_room.carm.shapes import DoseReport


def report(dataset: Dataset) -> DoseReport | None:
    """The dose in `dataset`; None where it says none. Never raises for its content."""
    unreadable: list[str] = []
    dap_gy_m2 = _value(dataset, "ImageAndFluoroscopyAreaDoseProduct", DGY_CM2, unreadable)
    fluoro_time_s = _value(dataset, "TotalTimeOfFluoroscopy", 1.0, unreadable)
    if dap_gy_m2 is None and fluoro_time_s is None and not unreadable:
        return None
    return DoseReport(
        dap_gy_m2=dap_gy_m2,
        fluoro_time_s=fluoro_time_s,
        scope="step",
        unreadable=tuple(unreadable),
    )


def _value(dataset: Dataset, keyword: str, by: float, unreadable: list[str]) -> float | None:
    written = item.text(dataset, keyword)
    if not written:
        return None
    value = number(written)
    if value is None:
        unreadable.append(f"{keyword}: no number of this quantity")
    return None if value is None else times(value, by)
