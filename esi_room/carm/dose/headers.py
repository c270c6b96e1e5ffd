"""What an image's header says of dose: from the DICOM keywords in its `carm.image` entry.

    ImageAndFluoroscopyAreaDoseProduct (0018,115E)  dGy.cm2: of this image and of the fluoroscopy before it that was
                                                    not stored (PS3.3 table C.8-27)
    AcquiredImageAreaDoseProduct       (0018,9473)  dGy.cm2: of this image alone (C.8.19.3); where 115E is missing
    TotalTimeOfFluoroscopy             (0040,0300)  s: of the procedure step so far, so it grows from image to image
    RadiationSetting                   (0018,1155)  SC: as for fluoroscopy, GR: for an image of diagnostic quality
    IrradiationEventUID                (0008,3010)  of which event it is: all images of one event carry the same
                                                    product, that of the event

Not taken: EntranceDose (0040,0302) and EntranceDoseInmGy (0040,8302) are at the surface of the patient, not air kerma
at the reference point. They stay in the image's entry.
"""

from __future__ import annotations

from typing import Any

from esi_room.carm.dose.units import factor, number, times
from esi_room.carm.shapes import DoseReport
from esi_room.events import CarmImage, IrradiationEvent

DGY_CM2 = factor("dGy.cm2", "Gy.m2") or 0.0
_PRODUCTS = ("ImageAndFluoroscopyAreaDoseProduct", "AcquiredImageAreaDoseProduct")
_KINDS = {"SC": "fluoroscopy", "GR": "acquisition"}


def report(image: CarmImage) -> DoseReport | None:
    """What `image` says; None where it says nothing that can be counted."""
    unreadable: list[str] = []
    products = [_value(image.dose, keyword, DGY_CM2, unreadable) for keyword in _PRODUCTS]
    dap_gy_m2 = next((product for product in products if product is not None), None)
    fluoro_time_s = _value(image.dose, "TotalTimeOfFluoroscopy", 1.0, unreadable)
    if dap_gy_m2 is None and fluoro_time_s is None and not unreadable:
        return None
    event = IrradiationEvent(
        uid=_text(image.dose, "IrradiationEventUID"),
        at=image.acquired,
        kind=_KINDS.get(_text(image.dose, "RadiationSetting") or ""),
        dap_gy_m2=dap_gy_m2,
    )
    return DoseReport(
        dap_gy_m2=dap_gy_m2,
        fluoro_time_s=fluoro_time_s,
        events=(event,) if dap_gy_m2 is not None else (),
        scope="image",
        unreadable=tuple(unreadable),
    )


def _value(dose: dict[str, Any], keyword: str, by: float, unreadable: list[str]) -> float | None:
    if keyword not in dose:
        return None
    value = number(str(dose[keyword]))
    if value is None:
        unreadable.append(f"{keyword}: no number of this quantity")
    return None if value is None else times(value, by)


def _text(dose: dict[str, Any], keyword: str) -> str | None:
    value = dose.get(keyword)
    return value if isinstance(value, str) and value else None
