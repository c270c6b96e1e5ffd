"""Units: every spelling that devices use, and none that could mean something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.carm.dose.units import factor, number, quantity, times

PRODUCTS = {
    1.0: "Gy.m2 Gym2 Gy*m2 Gy·m² gy.m2 GY.M2 Gym^2 m2.Gy Gy.m.m",
    1e-1: "dGy.m2",
    1e-4: "Gy.cm2 Gycm2 Gy*cm2 Gy-cm2 Gy·cm² Gycm^2 cm2.Gy Gy.cm.cm",
    1e-5: "dGy.cm2 dGycm2 dGy*cm2 dGy.cm^2 dGy·cm² dgy.cm2 DGY.CM2 dGy*cm*cm dGy_cm2",
    1e-6: "cGy.cm2 cGycm2 cGy*cm2 CGY.CM2 uGy.m2 µGy.m2 μGym2 uGym2 µGy·m²",
    1e-7: "mGy.cm2 mGycm2 mGy*cm2 MGY.CM2 mGy·cm²",
    1e-10: "uGy.cm2 mGy.mm2 µGycm2".replace(" mGy.mm2", ""),
    1e-9: "mGy.mm2",
}


@pytest.mark.parametrize(("unit", "expected"), [(unit, by) for by, units in PRODUCTS.items() for unit in units.split()])
def test_products(unit: str, expected: float) -> None:
    assert factor(unit, "Gy.m2") == expected
    assert factor(f" {unit} \0", "Gy.m2") == expected
    assert factor(unit, "Gy") is None and factor(unit, "s") is None


@pytest.mark.parametrize(("unit", "expected"), [("Gy", 1), ("GY", 1), ("dGy", 0.1), ("cGy", 1e-2), ("mGy", 1e-3)])
def test_kerma(unit: str, expected: float) -> None:
    assert factor(unit, "Gy") == expected
    assert factor(unit, "Gy.m2") is None


@pytest.mark.parametrize(("unit", "expected"), [("s", 1), ("Sec", 1), ("ms", 1e-3), ("MIN", 60), ("h", 3600)])
def test_times(unit: str, expected: float) -> None:
    assert factor(unit, "s") == expected


@pytest.mark.parametrize(
    "unit",
    [
        "",
        "1",
        "MGy.cm2",
        "Gy.Mm2",
        "Gy/m2",
        "Gy.cm",
        "Gy.cm3",
        "R.cm2",
        "Sv.m2",
        "Gy.m.cm",
        "no units",
        "cm2",
        "Gym",
        "m",
    ],
)
def test_what_is_no_unit_of_ours_is_none(unit: str) -> None:
    assert factor(unit, "Gy.m2") is None
    assert factor(unit, "s") is None


@pytest.mark.parametrize(
    ("written", "value"),
    [("1.5", 1.5), ("1,5", 1.5), (" 0,00012 ", 0.00012), (".5", 0.5), ("1e-5", 1e-5), ("1,5E-5", 1.5e-5), ("0", 0.0)],
)
def test_numbers(written: str, value: float) -> None:
    assert number(written) == value


@pytest.mark.parametrize(
    "written", ["", "-1", "nan", "inf", "1e999", "1e12", "1.234,5", "1,234.5", "1 2", "0x10", "1_0", "twelve"]
)
def test_what_is_no_dose_is_none(written: str) -> None:
    assert number(written) is None


def test_a_number_with_its_unit_in_one_text() -> None:
    assert quantity("12,3 mGy") == (12.3, "mGy")
    assert quantity("12.3") == (12.3, "")
    assert quantity("about 12 mGy") is None


def test_the_conversion_adds_no_digits() -> None:
    assert times(12.3, 1e-5) == 0.000123


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    for dimension in ("Gy.m2", "Gy", "s"):
        factor(text, dimension)  # type: ignore[arg-type]
    number(text)
    quantity(text)
