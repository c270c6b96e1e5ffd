"""Dose reports as real C-arms write them: what can be read is read, what cannot is named, nothing raises."""

from __future__ import annotations

import threading
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedSRStorage,
    EnhancedXRayRadiationDoseSRStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from esi_room.carm.dose import reports
from esi_room.clock import SystemClock


def said(dataset: Dataset) -> Any:
    return reports.report(dataset, SystemClock())


def whole(rdsr: Any) -> Dataset:
    return rdsr.document(
        rdsr.scope("113016", "1.2.3"), rdsr.totals(), rdsr.event("1.1"), rdsr.event("1.2", kind=rdsr.ACQUISITION)
    )


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big endian", "deflated"])
def test_a_report_of_a_step(rdsr: Any, read: Any, syntax: str) -> None:
    octets = rdsr.octets(whole(rdsr), implicit=syntax == "implicit", little=syntax != "big endian")
    if syntax == "implicit":
        report = read(octets, ImplicitVRLittleEndian)
    elif syntax == "big endian":
        report = read(octets, ExplicitVRBigEndian)
    elif syntax == "deflated":
        squeezed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        report = read(squeezed.compress(octets) + squeezed.flush(), DeflatedExplicitVRLittleEndian)
    else:
        report = read(octets)
    assert (report.dap_gy_m2, report.air_kerma_rp_gy, report.fluoro_time_s) == (3e-6, 3e-4, 6.0)
    assert (report.scope, report.scope_uid, report.unreadable) == ("step", "1.2.3", ())
    first, second = report.events
    assert (first.uid, first.kind, first.at) == ("1.1", "fluoroscopy", "2026-11-23T09:30:00.123")
    assert (first.dap_gy_m2, first.air_kerma_rp_gy, first.duration_s) == (1e-6, 1e-4, 2.0)
    assert (second.uid, second.kind) == ("1.2", "acquisition")


@pytest.mark.parametrize(
    ("code", "scope"), [("113014", "study"), ("113016", "step"), ("113852", "event"), ("113970", "cumulative")]
)
def test_the_scope(rdsr: Any, code: str, scope: str) -> None:
    report = said(rdsr.document(rdsr.scope(code, "1.9"), rdsr.totals()))
    assert (report.scope, report.scope_uid) == (scope, "1.9")


@pytest.mark.parametrize(
    ("value", "unit"), [("12.5", "dGy.cm2"), ("125", "cGycm2"), ("125", "µGym2"), ("1250", "mGy*cm2")]
)
def test_units_as_devices_write_them(rdsr: Any, read: Any, value: str, unit: str) -> None:
    report = rdsr.document(rdsr.container("113702", rdsr.num("113722", value, unit)), SpecificCharacterSet="ISO_IR 100")
    assert said(report).dap_gy_m2 == 0.000125
    if unit.isascii():
        assert read(rdsr.octets(report)).dap_gy_m2 == 0.000125


def _comma(rdsr: Any, octets: bytes) -> bytes:
    """The value 1.25 in `octets` with a decimal comma: pydicom would not write it."""
    assert octets.count(b"1.25") == 1
    return octets.replace(b"1.25", b"1,25")


@pytest.mark.parametrize("implicit", [False, True])
def test_a_decimal_comma(rdsr: Any, read: Any, implicit: bool) -> None:
    document = rdsr.document(rdsr.container("113702", rdsr.num("113722", "1.25", "Gy.m2")))
    syntax = ImplicitVRLittleEndian if implicit else rdsr.ExplicitVRLittleEndian
    report = read(_comma(rdsr, rdsr.octets(document, implicit=implicit)), syntax)
    assert (report.dap_gy_m2, report.unreadable) == (1.25, ())


def _in_text(rdsr: Any, text: str, unit: str | None = None) -> Dataset:
    item = rdsr.content("TEXT", "113722", TextValue=text)
    if unit is not None:
        item.MeasurementUnitsCodeSequence = [rdsr.coded(unit, "UCUM")]
    return item


def _beside(rdsr: Any) -> Dataset:
    """The number in the item itself, not in the sequence."""
    item = rdsr.content("NUM", "113722", MeasurementUnitsCodeSequence=[rdsr.coded("Gy.m2", "UCUM")])
    item.NumericValue = "2"
    return item


def _floating(rdsr: Any) -> Dataset:
    item = rdsr.num("113722", None, "Gy.m2")
    item.MeasuredValueSequence[0].FloatingPointValue = 2.0
    return item


def _misspelt(rdsr: Any) -> Dataset:
    item = rdsr.num("113722", "2", "Gy.m2")
    item.ConceptNameCodeSequence[0].CodeMeaning = "Dose Aera Produckt Totl"
    item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeMeaning = "mGy.cm2"
    return item


def _long_code(rdsr: Any) -> Dataset:
    item = rdsr.num("113722", "2", "Gy.m2")
    coded = item.ConceptNameCodeSequence[0]
    del coded.CodeValue
    coded.LongCodeValue = "113722"
    return item


READABLE = {
    "as it should be": lambda r: r.num("113722", "2", "Gy.m2"),
    "in text, unit too": lambda r: _in_text(r, "2 Gy.m2"),
    "in text, unit coded": lambda r: _in_text(r, "2,0", "Gy.m2"),
    "beside its sequence": _beside,
    "as floating point": _floating,
    "misspelt meanings": _misspelt,
    "in Long Code Value": _long_code,
    "without a scheme": lambda r: r.num("113722", "2", "Gy.m2", scheme=""),
    "several values": lambda r: r.num("113722", ["2", "3"], "Gy.m2"),
    "nested too deep": lambda r: r.container("121111", r.container("121112", r.num("113722", "2", "Gy.m2"))),
    "outside its container": lambda r: r.num("113722", "2", "Gy.m2"),
}


@pytest.mark.parametrize("way", READABLE)
def test_what_can_be_read_is_read(rdsr: Any, read: Any, way: str) -> None:
    item = READABLE[way](rdsr)
    inside = [item] if way == "outside its container" else [rdsr.container("113702", item)]
    document = rdsr.document(*inside, rdsr.num("113730", "4", "s"))
    for report in (said(document), read(rdsr.octets(document))):
        assert (report.dap_gy_m2, report.fluoro_time_s, report.unreadable) == (2.0, 4.0, ())


def _empty_with_qualifier(rdsr: Any) -> Dataset:
    qualifier = [rdsr.coded("114006", "DCM", "Measurement failure")]
    return rdsr.content("NUM", "113722", MeasuredValueSequence=[], NumericValueQualifierCodeSequence=qualifier)


UNREADABLE = {
    "empty, with qualifier": (_empty_with_qualifier, "no value, qualifier 114006"),
    "no value at all": (lambda r: r.content("NUM", "113722"), "no value"),
    "an empty number": (lambda r: r.num("113722", "", "Gy.m2"), "no value"),
    "no unit": (lambda r: r.num("113722", "2", None), "no unit"),
    "another unit": (lambda r: r.num("113722", "2", "Gy"), "no unit of Gy.m2: Gy"),
    "an unknown unit": (lambda r: r.num("113722", "2", "R.cm2"), "no unit of Gy.m2: R.cm2"),
    "megagray": (lambda r: r.num("113722", "2", "MGy.cm2"), "no unit of Gy.m2: MGy.cm2"),
    "negative": (lambda r: r.num("113722", "-2", "Gy.m2"), "no number of this quantity"),
    "words": (lambda r: _in_text(r, "see Smith^John"), "no number of this quantity"),
}


@pytest.mark.parametrize("way", UNREADABLE)
def test_what_cannot_be_read_is_named_and_costs_itself_alone(rdsr: Any, read: Any, way: str) -> None:
    build, problem = UNREADABLE[way]
    document = rdsr.document(rdsr.container("113702", build(rdsr), rdsr.num("113730", "4", "s")))
    for report in (said(document), read(rdsr.octets(document))):
        assert (report.dap_gy_m2, report.fluoro_time_s) == (None, 4.0)
        assert report.unreadable == (f"Dose Area Product Total (113722): {problem}",)


def test_words_of_a_device_never_reach_the_entry(rdsr: Any) -> None:
    item = rdsr.num("113722", "2", "Smith^John")
    scope = rdsr.choice("113705", "Smith^John", "DCM")
    when = rdsr.content("DATETIME", "111526", DateTime="Smith^John")
    kind = rdsr.choice("113721", "Smith^John", "99VENDOR")
    event = rdsr.container("113706", when, rdsr.uidref("113769", "Smith^John"), kind)
    report = said(rdsr.document(scope, rdsr.container("113702", item), event))
    assert len(report.unreadable) == 6
    assert "Smith" not in repr(report)


def test_an_empty_report_is_a_report_that_says_nothing(rdsr: Any, read: Any) -> None:
    for document in (rdsr.document(), rdsr.document(rdsr.container("113702"), rdsr.container("113706"))):
        report = read(rdsr.octets(document))
        assert (report.dap_gy_m2, report.fluoro_time_s) == (None, None)
        assert "the report names no dose" in report.unreadable


def test_a_code_value_under_another_scheme_is_another_code(rdsr: Any) -> None:
    document = rdsr.document(rdsr.num("113722", "2", "Gy.m2", scheme="99VENDOR"), rdsr.num("113730", "2", "s"))
    assert said(document).dap_gy_m2 is None


def test_the_private_report_of_a_mobile_c_arm(rdsr: Any) -> None:
    scheme = "99SMS_RADSUM"
    items = (rdsr.num("C-202", "36", "s", scheme=scheme), rdsr.num("C-204", "3.5", "Gy.cm2", scheme=scheme))
    report = said(rdsr.document(*items, root="C-10", scheme=scheme, SOPClassUID=EnhancedSRStorage))
    assert (report.fluoro_time_s, report.dap_gy_m2, report.unreadable) == (36.0, 3.5e-4, ())


def test_dose_under_codes_that_only_their_maker_knows_is_named(rdsr: Any) -> None:
    item = rdsr.num("DAP-1", "3.5", "Gy.cm2", scheme="99VENDOR")
    report = said(rdsr.document(item, root="DOSE", scheme="99VENDOR", SOPClassUID=EnhancedSRStorage))
    assert (report.dap_gy_m2, report.unreadable) == (None, ("dose under a code of the device's own: not read",))


def test_a_report_of_something_else_is_none(rdsr: Any) -> None:
    assert said(rdsr.document(rdsr.num("121211", "2", "cm"), root="126000", SOPClassUID=ComprehensiveSRStorage)) is None


def test_a_comprehensive_report_that_carries_dose(rdsr: Any) -> None:
    report = said(rdsr.document(rdsr.totals(), root="126000", SOPClassUID=ComprehensiveSRStorage))
    assert report.dap_gy_m2 == 3e-6


def test_an_enhanced_report(rdsr: Any) -> None:
    source = rdsr.content("TEXT", "113832", TextValue="A")
    summary = rdsr.event("1.1")
    summary.ConceptNameCodeSequence = [rdsr.coded("130501")]
    accumulated = rdsr.container("130500", source, rdsr.num("113722", "2", "Gy.m2"), rdsr.num("113730", "9", "s"))
    report = said(rdsr.document(accumulated, summary, SOPClassUID=EnhancedXRayRadiationDoseSRStorage))
    assert (report.dap_gy_m2, report.fluoro_time_s, report.events[0].uid) == (2.0, 9.0, "1.1")


def test_a_total_that_is_missing_is_the_sum_of_its_parts(rdsr: Any) -> None:
    parts = [rdsr.num("113726", "2", "Gy.m2"), rdsr.num("113727", "3", "Gy.m2")]
    assert said(rdsr.document(rdsr.container("113702", *parts))).dap_gy_m2 == 5.0
    assert said(rdsr.document(rdsr.container("113702", *parts[:1]))).dap_gy_m2 is None


def test_two_planes_add_up_and_one_told_twice_does_not(rdsr: Any) -> None:
    planes = [rdsr.totals(plane="113620"), rdsr.totals(plane="113621", kerma=5e-4), rdsr.totals(plane="113620")]
    report = said(rdsr.document(*planes))
    assert (report.dap_gy_m2, report.fluoro_time_s, report.air_kerma_rp_gy) == (6e-6, 12.0, 5e-4)


def test_an_event_told_twice_is_there_once(rdsr: Any) -> None:
    assert len(said(rdsr.document(rdsr.event("1.1"), rdsr.event("1.1"), rdsr.event("1.2"))).events) == 2


@pytest.mark.parametrize("undefined", [False, True])
def test_deep_nesting_neither_hangs_nor_crashes(rdsr: Any, read: Any, undefined: bool) -> None:
    """In a thread with the stack that the listener gives its threads."""
    octets = rdsr.octets(rdsr.container("121111", rdsr.num("113722", "2", "Gy.m2")))
    for _ in range(3000):
        if undefined:
            item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + octets + b"\xfe\xff\x0d\xe0\0\0\0\0"
            head, tail = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0"
        else:
            item = b"\xfe\xff\x00\xe0" + len(octets).to_bytes(4, "little") + octets
            head, tail = b"\x40\x00\x30\xa7SQ\0\0" + len(item).to_bytes(4, "little"), b""
        octets = head + item + tail
    answers: list[Any] = []
    before = threading.stack_size(2 << 20)
    try:
        thread = threading.Thread(target=lambda: answers.append(read(octets)))
        thread.start()
        thread.join(20)
    finally:
        threading.stack_size(before)
    assert len(answers) == 1


def test_a_nesting_within_reason_is_read_and_below_it_named(rdsr: Any) -> None:
    inner = rdsr.totals()
    for _ in range(20):
        inner = rdsr.container("121111", inner)
    assert said(rdsr.document(inner)).dap_gy_m2 == 3e-6
    for _ in range(20):
        inner = rdsr.container("121111", inner)
    report = said(rdsr.document(inner))
    assert report.dap_gy_m2 is None
    assert "items are nested too deeply: not read below" in report.unreadable


def test_a_huge_report_is_bounded_and_said_so(rdsr: Any, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    octets = rdsr.octets(whole(rdsr))
    monkeypatch.setattr(reports, "REPORT_BYTES", len(octets) - 1)
    assert read(octets).unreadable == ("the report is larger than 0 MiB: not read",)
    bomb = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    squeezed = bomb.compress(bytes(1 << 24)) + bomb.flush()
    assert "larger" in read(squeezed, DeflatedExplicitVRLittleEndian).unreadable[0]
    monkeypatch.setattr(reports, "MAX_ITEMS", 5)
    assert "the report is too long: read in part" in said(whole(rdsr)).unreadable
    monkeypatch.setattr(reports, "MAX_EVENTS", 1)
    monkeypatch.setattr(reports, "MAX_ITEMS", 1000)
    assert len(said(whole(rdsr)).events) == 1


def test_a_thousand_problems_are_not_a_thousand_lines(rdsr: Any) -> None:
    wrong = [rdsr.num("113722", "2", f"{number}Gy") for number in range(1000)]
    unreadable = said(rdsr.document(rdsr.container("113702", *wrong))).unreadable
    assert (len(unreadable), unreadable[-1]) == (reports.MAX_UNREADABLE + 1, "and more")


OCTETS = st.binary(max_size=400)
HURT = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hurt=HURT, cut=st.floats(0, 1), implicit=st.booleans())
def test_no_damage_makes_it_raise(rdsr: Any, read: Any, hurt: Any, cut: float, implicit: bool) -> None:
    octets = bytearray(rdsr.octets(whole(rdsr), implicit=implicit))
    for place, value in hurt:
        octets[int(place * len(octets))] = value
    read(bytes(octets[: int(len(octets) * cut)]), ImplicitVRLittleEndian if implicit else rdsr.ExplicitVRLittleEndian)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=OCTETS, syntax=st.sampled_from([ImplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.3", "not a uid"]))
def test_no_octets_make_it_raise(read: Any, octets: bytes, syntax: str) -> None:
    read(octets, syntax)
