"""What an MPPS message says of dose, as devices write it."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from esi_room.carm.dose import steps


def element(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    """Explicit VR little endian, short form."""
    return struct.pack("<HH2sH", *tag, vr, len(value)) + value


def message(*elements: bytes) -> Dataset:
    return read_dataset(io.BytesIO(b"".join(elements)), False, True)


TIME, PRODUCT, ENTRANCE = (0x0040, 0x0300), (0x0018, 0x115E), (0x0040, 0x8302)


def test_the_dose_of_a_step_in_its_units() -> None:
    report = steps.report(message(element(PRODUCT, b"DS", b"12.3"), element(TIME, b"US", b"\x24\0")))
    assert report is not None
    assert (report.dap_gy_m2, report.fluoro_time_s, report.scope) == (0.000123, 36.0, "step")
    assert (report.air_kerma_rp_gy, report.events, report.unreadable) == (None, (), ())


@pytest.mark.parametrize(
    "elements",
    [(), (element(PRODUCT, b"DS", b""), element(TIME, b"US", b"")), (element(ENTRANCE, b"DS", b"1.5 "),)],
)
def test_a_step_that_says_nothing_of_dose(elements: Any) -> None:
    assert steps.report(message(*elements)) is None


@pytest.mark.parametrize(
    ("value", "vr", "dap_gy_m2"),
    [(b"12,3", b"DS", 0.000123), (b"12.3", b"LO", 0.000123), (b"12.3\\9 ", b"DS", 0.000123)],
)
def test_what_can_be_read_is_read(value: bytes, vr: bytes, dap_gy_m2: float) -> None:
    report = steps.report(message(element(PRODUCT, vr, value)))
    assert report is not None and (report.dap_gy_m2, report.unreadable) == (dap_gy_m2, ())


@pytest.mark.parametrize("broken", [element(PRODUCT, b"DS", b"Smith^John"), element(PRODUCT, b"DS", b"-3")])
def test_what_cannot_be_read_is_named_and_costs_itself_alone(broken: bytes) -> None:
    report = steps.report(message(broken, element(TIME, b"US", b"\x24\0")))
    assert report is not None
    assert (report.dap_gy_m2, report.fluoro_time_s) == (None, 36.0)
    assert report.unreadable == ("ImageAndFluoroscopyAreaDoseProduct: no number of this quantity",)


@pytest.mark.parametrize("value", [b"\x24", b"\x24\0\0"])
def test_a_binary_value_of_the_wrong_length_is_named(value: bytes) -> None:
    report = steps.report(message(element(TIME, b"US", value)))
    assert report is not None and report.unreadable == ("TotalTimeOfFluoroscopy: no number of this quantity",)


VR = st.sampled_from([b"DS", b"US", b"LO", b"UI", b"FD", b"FL", b"SH", b"IS", b"AT", b"DA"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([TIME, PRODUCT]), VR, st.binary(max_size=20)), max_size=2))
def test_no_value_makes_it_raise(values: list[Any]) -> None:
    steps.report(message(*(element(*value) for value in sorted(values))))
