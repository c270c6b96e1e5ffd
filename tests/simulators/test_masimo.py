"""The Masimo oximeter, against lines of a real Rad-8."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulators.monitors import oximeter
from simulators.monitors.masimo_ascii1 import MasimoAscii1, rad8_line, radical7_line
from simulators.monitors.oximeter import Probe

LINE = re.compile(
    rb"\d\d/\d\d/\d\d \d\d:\d\d:\d\d SN=\d{10} SPO2=(\d{3}|---)% BPM=(\d{3}|---) PI=(\d\d\.\d\d|--\.--)% "
    rb"SPCO=--\.-% SPMET=--\.-% DESAT=-- PIDELTA=\+-- ALARM=([0-9A-F]{4}) EXC=([0-9A-F]{6})"
)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An oximeter that prints ten lines a second and finds a pulse in no time."""
    monkeypatch.setattr(MasimoAscii1, "EVERY_S", 0.2)
    monkeypatch.setattr(oximeter, "HOLD_S", 0.5)
    monkeypatch.setattr(oximeter, "SEARCH_S", 0.5)


def real_line(vectors: Path, name: str) -> str:
    lines = (vectors / "masimo_ascii1" / "frames.jsonl").read_text().splitlines()
    return next(str(frame["ascii"]) for frame in map(json.loads, lines) if frame["id"] == name)


def test_a_rad8_line_is_character_for_character_a_real_one(vectors: Path) -> None:
    made = rad8_line(datetime(2018, 2, 24, 4, 48, 53, tzinfo=UTC), Probe(97, 80, 4.96))
    assert made + "\r\n" == real_line(vectors, "rad8_real_0")


def test_a_radical7_line_differs_from_the_sample_in_its_values_only(vectors: Path) -> None:
    made = radical7_line(datetime(2016, 3, 17, 19, 19, 36, tzinfo=UTC), Probe(98, 123, 0.55, low_perfusion=True))
    sample = real_line(vectors, "rad7_color").rstrip()
    assert re.sub("[0-9A-F]", "0", made) == re.sub("[0-9A-F]", "0", sample)
    assert "SPO2=098% BPM=123 PI=00.55 SPCO" in made and "EXC=0000C04 " in made


async def test_a_line_a_second_with_the_patients_values(bench: Any) -> None:
    bench.start(MasimoAscii1, clock_offset_s=-7200.0)
    client = bench.open(9600)
    started_s = time.monotonic()
    octets = await bench.read(client, lambda octets: octets.count(b"\r\n") >= 3)
    assert 1.9 < time.monotonic() - started_s < 3
    for line in octets.split(b"\r\n")[:3]:
        match = LINE.fullmatch(line)
        assert match is not None
        assert abs(int(match[1]) - bench.patient.at(0).spo2_pct) <= 2 and match[5] == b"000800"
        stamp = datetime.strptime(line[:17].decode(), "%m/%d/%y %H:%M:%S").replace(tzinfo=UTC)
        assert abs(stamp.timestamp() - time.time() + 7200) < 6
    said = bench.truth.of("device-1", "sent")
    assert [line["text"].encode() for line in said[:3]] == octets.split(b"\r\n")[:3]
    assert all(line["valid"] and line["delivered"] for line in said[:3])


async def test_after_the_finger_has_gone_the_old_values_stay_marked_then_go(bench: Any, hasty: None) -> None:
    device = bench.start(MasimoAscii1)
    client = bench.open(9600)
    await bench.read(client, LINE.search)
    await device.do("finger_off")
    await bench.read(client, lambda octets: re.search(rb"SPO2=0\d\d% .* EXC=000820", octets))
    await bench.read(client, lambda octets: re.search(rb"SPO2=---% BPM=--- PI=--.--% .* EXC=000820", octets))
    await device.do("finger_on")
    await bench.read(client, lambda octets: re.search(rb"SPO2=---% .* EXC=000808", octets))
    await bench.read(client, lambda octets: re.search(rb"SPO2=0\d\d% .* EXC=000800", octets))
    assert not [line for line in bench.truth.of("device-1", "sent") if line["valid"] and line["finger_off"]]


async def test_low_perfusion_and_search_are_said(bench: Any, hasty: None) -> None:
    device = bench.start(MasimoAscii1)
    client = bench.open(9600)
    await device.do("low_perfusion")
    await bench.read(client, lambda octets: re.search(rb"PI=00.15% .* EXC=000C04", octets))
    await device.do("low_perfusion", on=False)
    await device.do("search", duration_s=1)
    await bench.read(client, lambda octets: re.search(rb"SPO2=0\d\d% .* EXC=000808", octets))
    await bench.read(client, lambda octets: re.search(rb"EXC=000800\r\n$", octets))


@pytest.mark.parametrize(
    ("probe", "alarm"),
    [
        (Probe(89, 80, 2.0), "0012"),
        (Probe(97, 44, 2.0), "0018"),
        (Probe(88, 150, 2.0), "0016"),
        (Probe(97, 80, 2.0), "0000"),
    ],
)
def test_limits_raise_alarms(probe: Probe, alarm: str) -> None:
    now = datetime.now(UTC)
    assert f"ALARM={alarm} " in rad8_line(now, probe)
    assert "ALARM=0000 " in rad8_line(now, probe._replace(finger_off=True))


async def test_a_line_cut_by_a_power_cut_and_a_new_start(bench: Any) -> None:
    device = bench.start(MasimoAscii1)
    client = bench.open(9600)
    await bench.read(client, lambda octets: len(octets) > 20)
    await device.do("power_off")
    await device.do("power_off")
    assert bench.truth.lines[-2]["damage"] == ["cut off"] and not bench.truth.lines[-2]["delivered"]
    client.reset_input_buffer()
    await device.do("power_on")
    await bench.read(client, LINE.match)


async def test_it_answers_nothing_and_logs_what_it_was_told(bench: Any) -> None:
    bench.start(MasimoAscii1)
    client = bench.open(9600)
    client.write(b"hello\r")
    await bench.until(lambda: bench.truth.of("device-1", "received"))
    assert bench.truth.of("device-1", "received")[0]["octets"] == "68 65 6c 6c 6f 0d"


async def test_an_unknown_model_is_refused(bench: Any) -> None:
    with pytest.raises(ValueError, match="rad8 or radical7"):
        bench.start(MasimoAscii1, model="rad9")
