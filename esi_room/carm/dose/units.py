"""Units of dose as real devices write them: to Gy.m2, Gy and s.

Rules of this file:
- A unit is a symbol, not its meaning: `Gy.m2`, `dGy.cm2`, `uGym2`, `cGy*cm^2`, `mGy cm²` and `dGy.cm.cm` are read;
  words that nobody defined are not.
- UCUM has two forms: case sensitive (`mGy`) and, all in capitals, case insensitive (`MGY`, milligray as well:
  UCUM section 3). `MGy` would be megagray and is refused, as is everything that could mean two things.
- What is no unit of the quantity asked for is None, never a guess: a dose off by a factor of ten is worse than none.
"""

from __future__ import annotations

import re
from typing import Literal

Dimension = Literal["Gy.m2", "Gy", "s"]

# Powers of ten, so that 1 dGy.cm2 is exactly 1e-05 Gy.m2.
_PREFIX = {"": 0, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9}
_AREA = {"m": 0, "dm": -2, "cm": -4, "mm": -6}
_GRAY = re.compile(r"(?P<prefix>[dcmun]?)gy(?:(?P<side>[dcm]?m)(?:2|(?P=side)))?")
_TURNED = re.compile(r"(?P<area>[dcm]?m2)(?P<gray>[dcmun]?gy)")
_TIME_S = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
}
_MEGA = re.compile(r"M(?:[Gg][Yy]|m)")
_SEPARATORS = re.compile(r"[\s.*·•×⋅_^-]")
_SPELT = str.maketrans({"µ": "u", "μ": "u", "²": "2"})
# Of no unit that devices use has any procedure had so many; sums and products of less stay finite.
LARGEST = 1e12
# What binary multiplication adds behind the 12th digit is ours, not the device's.
_DIGITS = 12
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")


def factor(unit: str, dimension: Dimension) -> float | None:
    """What a value in `unit` is multiplied by to be in `dimension`; None for what is no such unit."""
    symbol = _symbol(unit)
    if symbol is None:
        return None
    if dimension == "s":
        return _TIME_S.get(symbol)
    turned = _TURNED.fullmatch(symbol)
    matched = _GRAY.fullmatch(turned["gray"] + turned["area"] if turned else symbol)
    if matched is None or (matched["side"] is None) != (dimension == "Gy"):
        return None
    power = _PREFIX[matched["prefix"]] + (_AREA[matched["side"]] if matched["side"] else 0)
    return float(f"1e{power}")


def _symbol(unit: str) -> str | None:
    """Without separators, in small letters; None where a capital M among small letters says mega, which no dose is."""
    plain = _SEPARATORS.sub("", unit.strip("\0 ").translate(_SPELT))
    return None if _MEGA.search(plain) and not plain.isupper() else plain.lower()


def number(text: str) -> float | None:
    """A number as a device writes it, a decimal comma as well (PS3.5 section 6.2 has only the point).

    None for what is none, is negative or LARGEST and more: no dose and no time is.
    """
    plain = text.strip("\0 ")
    if _NUMBER.fullmatch(plain) is None:
        return None
    value = float(plain.replace(",", "."))
    return value if 0 <= value < LARGEST else None


def quantity(text: str) -> tuple[float, str] | None:
    """A number and its unit written into one text: `12,3 mGy`; the unit is "" where there is none."""
    matched = _NUMBER.match(text.strip("\0 "))
    value = number(matched[0]) if matched else None
    return None if matched is None or value is None else (value, text.strip("\0 ")[matched.end() :].strip())


def times(value: float, by: float) -> float:
    """The product, to as many digits as a device gives."""
    return float(f"{value * by:.{_DIGITS}g}")
