"""Nellcor ASCII: the real captures whole, and what a line must not pass for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esi_room.drivers.contract import Identified, Said
from esi_room.drivers.nellcor_ascii import DOUBTED, INVALID, OFF, STATUS
from esi_room.events import DeviceAlarm, VitalsNumeric

EXPECTED = Path(__file__).parent.parent / "vectors" / "nellcor_n560" / "expected_cosmopusher.json"


def data(spo2: str = " 97 ", bpm: str = " 66 ", pa: str = " 49", status: str = "") -> bytes:
    return f"29-Dec-17 07:18:43   {spo2}    {bpm}    {pa}    {status}".rstrip().encode() + b"\r\n"


@pytest.mark.parametrize("step", [1, 5, 100_000])
def test_the_capture_says_what_its_lines_say(make: Any, capture: Any, step: int) -> None:
    fed = make("nellcor_ascii")
    stream = capture("nellcor_n560", "capture_n560_cosmopusher.crlf.bin")
    for at in range(0, len(stream), step):
        fed(stream[at : at + step])
    assert fed.rejects == ["not text"], "the garbage before the first line, and nothing else"
    lines = [line for line in json.loads(EXPECTED.read_text()) if "time" in line]
    said = [out for out in fed.outputs if isinstance(out, Said) and isinstance(out.data, VitalsNumeric)]
    assert len(said) == len(lines) == 76
    for out, line in zip(said, lines, strict=True):
        _check(out, line)


def _check(said: Said, line: dict[str, Any]) -> None:
    assert said.device_time == line["time"]
    assert said.data.conditions == tuple(STATUS[code] for code in line["status"])  # type: ignore[attr-defined]
    worthless = (OFF | INVALID) & set(line["status"])
    for reading, key in zip(said.data.readings, ("spo2", "bpm", "pa"), strict=True):  # type: ignore[attr-defined]
        assert reading.value == (None if worthless else line[key])
        assert ("limit_violated" in reading.flags) == line.get(f"{key}_limit", False)
        if not worthless:
            assert reading.status == ("questionable" if DOUBTED & set(line["status"]) else "ok")


def test_the_second_capture_is_read_whole(make: Any, capture: Any) -> None:
    fed = make("nellcor_ascii")
    fed(capture("nellcor_n560", "capture_n560_hansmuc.txt"))
    assert [d.readings[0].value for d in fed.said(VitalsNumeric)] == [100] * 5
    assert fed.rejects == []
    assert Identified("Nellcor N-560, version 1.61.00") in fed.outputs


@pytest.mark.parametrize("number", range(4))
def test_every_line_says_what_the_vectors_expect(make: Any, vectors: Any, number: int) -> None:
    frame = vectors("nellcor_ascii")[number]
    fed, expected = make("nellcor_ascii"), frame["expected"]
    fed(frame["octets"])
    if expected.get("ignored"):
        assert fed.outputs == []
    elif "version" in expected:
        assert fed.outputs == [Identified(f"Nellcor N-560, version {expected['version']}")]
        fed(data())
        fields = fed.said(VitalsNumeric)[0].fields
        assert fields["spo2_low_limit_pct"] == expected["spo2_low"]
        assert fields["pulse_rate_high_limit_bpm"] == expected["pr_high"]
    else:
        values = [reading.value for reading in fed.said(VitalsNumeric)[0].readings]
        assert values == [expected["spo2"], expected["bpm"], expected["pa"]]


def test_during_pulse_search_the_old_numbers_are_not_valid(make: Any) -> None:
    fed = make("nellcor_ascii")
    fed(data(" 96 ", " 63 ", "---", "PS"))
    assert {(r.value, r.status) for r in fed.said(VitalsNumeric)[0].readings} == {(None, "invalid")}


@pytest.mark.parametrize(
    ("pa", "status", "flags"),
    [(" 49", "XX", ("status_xx",)), ("---", "", ("no_pulse_amplitude",)), (" 49", "MO", ("interference",))],
)
def test_what_may_be_a_garbled_code_makes_the_numbers_doubtful(
    make: Any, pa: str, status: str, flags: tuple[str, ...]
) -> None:
    fed = make("nellcor_ascii")
    fed(data(pa=pa, status=status))
    spo2 = fed.said(VitalsNumeric)[0].readings[0]
    assert (spo2.value, spo2.status, spo2.flags) == (97, "questionable", flags)


def test_the_header_goes_with_the_next_data_line_only(make: Any, capture: Any) -> None:
    fed = make("nellcor_ascii")
    fed(b"                             NEONATE         25SAT-S \r\n")
    fed(b"     SPO2 RESP MODE: FAST\r\n" + data() + data())
    first, second = fed.said(VitalsNumeric)
    assert first.fields == {"patient_mode": "NEONATE", "sat_seconds": 25, "response_mode": "FAST"}
    assert second.fields == {}


def test_an_n595_may_start_without_naming_itself(make: Any) -> None:
    fed = make("nellcor_ascii")
    fed(b"VERSION 3.1.0 INFO CRC:1234 SEC:5678\r\n")
    assert fed.outputs == [Identified("Nellcor, version 3.1.0")]


def test_codes_are_told_when_they_begin_and_end(make: Any) -> None:
    fed = make("nellcor_ascii")
    for status in ("", "SD", "SD          AS", ""):
        fed(data(status=status))
    assert [(a.code, a.active) for a in fed.said(DeviceAlarm)] == [
        ("SD", True),
        ("AS", True),
        ("SD", False),
        ("AS", False),
    ]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (data()[3:], "unknown line"),
        (data(" 9x "), "data line of another layout"),
        (data("9 7 "), "data line of another layout"),
        (data("197 "), "out of range"),
        (data()[:30] + b"\r\n", "data line of another layout"),
        (data().replace(b"Dec", b"Dez"), "data line of another layout"),
        (b"02/24/18 04:48:53 SN=0000145838 SPO2=097%\r\n", "data line of another layout"),
        (data(status="M"), "data line of another layout"),
        (b"\xff" + data(), "not text"),
    ],
)
def test_a_line_that_does_not_fit_says_nothing(make: Any, octets: bytes, reason: str) -> None:
    fed = make("nellcor_ascii")
    fed(octets)
    assert fed.outputs == []
    assert fed.rejects == [reason]


def test_an_impossible_date_costs_the_date_only(make: Any) -> None:
    fed = make("nellcor_ascii")
    fed(data().replace(b"29-Dec", b"31-Feb"))
    assert fed.outputs[0].device_wall_s is None
    assert fed.outputs[0].data.readings[0].value == 97
