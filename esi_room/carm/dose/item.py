"""One content item of a structured report (PS3.3 C.17.3), as a device wrote it.

Rules of this file:
- Codes by CodeValue and, where it is there, by scheme; never by CodeMeaning, which devices misspell and translate.
- A value is looked for where it belongs, then where devices put it instead: a number in Text Value, in Numeric Value
  without its sequence, with a decimal comma.
- Octets are read as they lie (`get_item`): pydicom's own conversion raises for what it does not expect.
- Nothing raises: what cannot be read is None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from esi_room.carm.dose.units import Dimension, factor, number, quantity, times

DCM = "DCM"
# Code Value is SH, 16 characters; Long Code Value and URN Code Value go beyond, but no code of ours does.
MAX_TEXT = 64
_DATE_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(?:(\d\d)(\.\d{1,6})?)?([+-]\d{4})?")
_BINARY = {"FD", "FL", "US", "UL", "SS", "SL", "UV", "SV"}
# Nobody's name: what a device wrote goes into the record only if it can be no identity.
_SYMBOL = re.compile(r"[GYRSVDCMUNgyrsvdcmunµ0-9.*^/²_-]{1,16}")
# Stands for octets that do not convert: there, and no number, no UID, no date.
_NONSENSE = "?"


class Code(NamedTuple):
    """A coded concept: "" where the device gives no scheme."""

    value: str
    scheme: str

    def is_dcm(self, value: str) -> bool:
        """Whether it is this code of PS3.16 annex D; a code without a scheme is taken for one."""
        return self.value == value and self.scheme in ("", DCM)


class Number(NamedTuple):
    """`value` in SI, or None and why."""

    value: float | None
    problem: str | None = None


def raw(dataset: Dataset, keyword: str) -> Any:
    """The value as it lies in the data set, octets where pydicom has not converted it yet; None where it is not."""
    try:
        element: Any = dataset.get_item(keyword)
        if isinstance(element, RawDataElement) and (element.VR or dictionary_VR(keyword)) in _BINARY:
            return dataset[keyword].value
    except Exception:  # noqa: BLE001 - pydicom converts here, and raises whatever a device's octets cause
        return _NONSENSE
    return None if element is None else element.value


def text(dataset: Dataset, keyword: str) -> str:
    """As text without padding, the first of several values; "" where there is none."""
    value = raw(dataset, keyword)
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").split("\\")[0]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if len(value) else None
    return "" if value is None else str(value)[:MAX_TEXT].strip("\0 ")


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is no sequence."""
    try:
        return (
            [item for item in dataset[keyword].value or () if isinstance(item, Dataset)] if keyword in dataset else []
        )
    except Exception:  # noqa: BLE001 - see `raw`
        return []


def code(dataset: Dataset, keyword: str) -> Code | None:
    """The coded concept in the sequence `keyword`, which may hold it in one of three attributes (PS3.3 8.8)."""
    for item in items(dataset, keyword)[:1]:
        for attribute in ("CodeValue", "LongCodeValue", "URNCodeValue"):
            if value := text(item, attribute):
                return Code(value, text(item, "CodingSchemeDesignator"))
    return None


def measured(item: Dataset, dimension: Dimension) -> Number:
    """The number of a NUM item, in `dimension`."""
    places = [*items(item, "MeasuredValueSequence")[:1], item]
    written = next(filter(None, (_written(place) for place in places)), None)
    if written is None:
        return Number(None, _why_empty(item))
    value, unit = written
    unit = _unit(places) or unit
    if value is None:
        return Number(None, "no number of this quantity")
    if not unit:
        return Number(None, "no unit")
    by = factor(unit, dimension)
    return Number(None, f"no unit of {dimension}: {_shown(unit)}") if by is None else Number(times(value, by))


def is_dose(item: Dataset) -> bool:
    """Whether the unit beside a number is one of dose."""
    unit = _unit([*items(item, "MeasuredValueSequence")[:1], item])
    return factor(unit, "Gy.m2") is not None or factor(unit, "Gy") is not None


def _unit(places: list[Dataset]) -> str:
    coded = (code(place, "MeasurementUnitsCodeSequence") for place in places)
    return next((unit.value for unit in coded if unit is not None), "")


def _written(place: Dataset) -> tuple[float | None, str] | None:
    """A number and the unit beside it ("" where that is elsewhere); None where nothing is written here."""
    for keyword in ("NumericValue", "FloatingPointValue"):
        if plain := text(place, keyword):
            return number(plain), ""
    if plain := text(place, "TextValue"):
        return quantity(plain) or (None, "")
    return None


def _why_empty(item: Dataset) -> str:
    qualifier = code(item, "NumericValueQualifierCodeSequence")
    return "no value" if qualifier is None else f"no value, qualifier {_shown(qualifier.value)}"


def _shown(symbol: str) -> str:
    """A device's symbol in words of ours: only where it is made of what units and codes are made of."""
    return symbol if _SYMBOL.fullmatch(symbol) else "of another kind"


def own_code(code: Code) -> str | None:
    """A code of the device's own, as long as it can be nothing but a code."""
    return code.value if re.fullmatch(r"[A-Z]{0,3}[0-9.-]{1,13}", code.value) else None


def moment(item: Dataset) -> str | None:
    """The date and time of a DATETIME item (or of one whose text holds it), ISO 8601."""
    for keyword in ("DateTime", "TextValue"):
        matched = _DATE_TIME.fullmatch(text(item, keyword))
        if matched is not None:
            year, month, day, hour, minute, second, fraction, zone = matched.groups(default="")
            offset = f"{zone[:3]}:{zone[3:]}" if zone else ""
            return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{fraction}{offset}"
    return None


def uid(item: Dataset) -> str | None:
    """The UID of a UIDREF item (or of one whose text holds it)."""
    found = text(item, "UID") or text(item, "TextValue")
    return found if re.fullmatch(r"[0-9.]{1,64}", found) else None
