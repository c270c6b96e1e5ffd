"""What was drawn up into each syringe, and where it went: drawn up = delivered + given + discarded, or what differs.

Pure arithmetic over volumes by syringe. Of a syringe that nobody drew up, or with a delivery of unknown volume, there
is no difference in numbers: then the words say why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

TOLERANCE_ML = 0.2
"""What a 10 mL syringe cannot show: its scale may be wrong by 1.5 % of 10 mL and 1 % of what is expelled up to half of
it, 0.19 mL at 4 mL (ISO 7886-1, Table 1); it is commonly divided into 0.2 mL."""

_DECIMALS = 3  # of the words; what a sum of decimals is off by is far less

Volumes = Mapping[str, float]


class Difference(NamedTuple):
    """`difference_ml`: drawn up minus where it went; null where one of them is not known. `text`: in words."""

    syringe: str
    difference_ml: float | None
    text: str


def balance(
    drawn_up: Volumes, delivered: Volumes, given: Volumes, discarded: Volumes, *, unknown: Collection[str] = ()
) -> list[Difference]:
    """Every syringe that is not balanced within TOLERANCE_ML. Volumes in mL; `unknown`: syringes with a delivery whose
    volume is not known, beside what `delivered` holds."""
    went = {"delivered": delivered, "given": given, "discarded": discarded}
    syringes = sorted({*drawn_up, *delivered, *given, *discarded, *unknown})
    found = (_difference(each, drawn_up.get(each), went, unknown=each in unknown) for each in syringes)
    return [difference for difference in found if difference is not None]


def _difference(
    syringe: str, drawn_up_ml: float | None, went: Mapping[str, Volumes], *, unknown: bool
) -> Difference | None:
    gone_ml = {word: volumes.get(syringe, 0.0) for word, volumes in went.items()}
    account = ", ".join(f"{word} {_ml(volume_ml)}" for word, volume_ml in gone_ml.items())
    if unknown:
        account += ", and a delivery whose volume is not known"
    if drawn_up_ml is None:
        return Difference(syringe, None, f"syringe {syringe}: {account}; nothing says that it was drawn up")
    account = f"syringe {syringe}: drawn up {_ml(drawn_up_ml)}, {account}"
    if unknown:
        return Difference(syringe, None, f"{account}: cannot be balanced")
    difference_ml = round(drawn_up_ml - sum(gone_ml.values()), _DECIMALS)
    if abs(difference_ml) <= TOLERANCE_ML:
        return None
    word = "not accounted for" if difference_ml > 0 else "more than was drawn up"
    return Difference(syringe, difference_ml, f"{account}: {_ml(abs(difference_ml))} {word}")


def _ml(volume_ml: float) -> str:
    return f"{round(volume_ml, _DECIMALS):g} mL"
