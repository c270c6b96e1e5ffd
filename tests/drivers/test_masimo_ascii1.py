"""Masimo ASCII 1: real lines, the bits, and lines that are not whole."""

from __future__ import annotations

from typing import Any

import pytest

from esi_room.drivers.contract import Identified, Said
from esi_room.events import DeviceAlarm, VitalsNumeric

LINE = (
    "02/24/18 04:48:53 SN=0000145838 SPO2={spo2}% BPM=080 PI=04.96% SPCO=--.-% SPMET=--.-% DESAT=--"
    " PIDELTA=+-- ALARM={alarm} EXC={exc}\r\n"
)


def line(spo2: str = "097", alarm: str = "0000", exc: str = "000800") -> bytes:
    return LINE.format(spo2=spo2, alarm=alarm, exc=exc).encode()


@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize("step", [1, 1000])
def test_every_line_says_what_the_vectors_expect(make: Any, vectors: Any, by_name: Any, number: int, step: int) -> None:
    frame = vectors("masimo_ascii1")[number]
    fed, expected = make("masimo_ascii1"), frame["expected"]
    for at in range(0, len(frame["octets"]), step):
        fed(frame["octets"][at : at + step])
    (data,) = fed.said(VitalsNumeric)
    readings = by_name(data)
    for key, name in (("SPO2", "spo2_pct"), ("BPM", "pulse_rate_bpm"), ("PI", "perfusion_index_pct")):
        if key in expected:
            assert readings[name].value == expected[key]
    if expected.get("SN"):
        assert fed.outputs[0] == Identified(f"Masimo, serial number {expected['SN']}")
    for word in expected.get("exc", ()):
        assert word.lower().replace(" ", "_") in data.conditions


def test_the_capture_is_read_whole(make: Any, capture: Any) -> None:
    fed = make("masimo_ascii1")
    fed(capture("masimo_ascii1", "rad8_real.txt"))
    assert [d.readings[1].value for d in fed.said(VitalsNumeric)] == [80, 81, 81, 81, 80, 80]
    assert fed.rejects == []
    said = [out for out in fed.outputs if isinstance(out, Said)]
    assert (said[0].device_time, said[0].device_wall_s) == ("02/24/18 04:48:53", 1519447733.0)


def test_trend_lines_are_no_live_values(make: Any, capture: Any) -> None:
    fed = make("masimo_ascii1")
    fed(capture("masimo_ascii1", "rad8_trend_manual.txt"))
    assert fed.outputs == []
    assert set(fed.rejects) == {"trend line"}


@pytest.mark.parametrize(
    ("exc", "value", "status", "flags"),
    [
        ("000800", 97, "ok", ()),
        ("000000", 97, "ok", ()),
        ("000821", None, "off", ("no_sensor", "sensor_off_patient")),
        ("000820", None, "off", ("sensor_off_patient",)),
        ("000802", None, "invalid", ("defective_sensor",)),
        ("000808", None, "invalid", ("pulse_search",)),
        ("000880", None, "invalid", ("unrecognised_sensor",)),
        ("000804", 97, "questionable", ("low_perfusion",)),
        ("000850", 97, "questionable", ("interference", "ambient_light")),
        ("0000C00", 97, "questionable", ("low_signal_iq",)),
    ],
)
def test_exc_decides_what_a_number_is_worth(
    make: Any, exc: str, value: int | None, status: str, flags: tuple[str, ...]
) -> None:
    fed = make("masimo_ascii1")
    fed(line(exc=exc))
    spo2 = fed.said(VitalsNumeric)[0].readings[0]
    assert (spo2.value, spo2.status, spo2.flags) == (value, status, flags)


def test_bits_are_told_when_they_begin_and_end(make: Any) -> None:
    fed = make("masimo_ascii1")
    for octets in (line(), line(exc="000820", alarm="0012"), line(exc="000820", alarm="0012"), line()):
        fed(octets)
    told = [(a.code, a.active, a.advisory) for a in fed.said(DeviceAlarm)]
    assert told == [
        ("EXC 020", True, False),
        ("ALARM 02", True, True),
        ("ALARM 10", True, True),
        ("EXC 020", False, False),
        ("ALARM 02", False, True),
        ("ALARM 10", False, True),
    ]


def test_unknown_bits_and_keys_are_kept(make: Any, by_name: Any) -> None:
    fed = make("masimo_ascii1")
    octets = line(exc="001800").replace(b"SPCO=--.-%", b"SPCO=04.2% SPHB=12.1 ORI=0.31")
    fed(octets)
    (data,) = fed.said(VitalsNumeric)
    assert data.conditions == ("set", "exc_bit_12")
    spco = by_name(data)["spco_pct"]
    assert (spco.code, spco.value) == ("masimo:SPCO", 4.2)
    assert data.fields == {"SPHB": "12.1", "ORI": "0.31"}, "no unit on the wire: no reading"


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (line()[20:], "unknown line"),
        (line()[:60] + b"\r\n", "incomplete line"),
        (line(spo2="0?7"), "unknown line"),
        (line(spo2="9-7"), "malformed value"),
        (line(spo2="197"), "out of range"),
        (line(exc="00G800"), "malformed value"),
        (line().replace(b"BPM", b"BPM=080 BPM"), "key twice"),
        (b"\xff\x00" + line(), "not text"),
        (b"\r\n", "unknown line"),
    ],
)
def test_a_line_that_is_not_whole_says_nothing(make: Any, octets: bytes, reason: str) -> None:
    fed = make("masimo_ascii1")
    fed(octets)
    assert fed.outputs == []
    assert fed.rejects == [reason]


def test_an_impossible_date_costs_the_date_only(make: Any) -> None:
    fed = make("masimo_ascii1")
    fed(line().replace(b"02/24/18", b"00/00/00"))
    said = fed.outputs[-1]
    assert (said.device_time, said.device_wall_s) == ("00/00/00 04:48:53", None)
