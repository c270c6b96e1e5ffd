"""The Nellcor oximeter, against a capture of a real N-560."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulators.monitors import oximeter
from simulators.monitors.nellcor_ascii import LINES_PER_HEADER, NellcorAscii, data_line, header
from simulators.monitors.oximeter import Probe

LINE = re.compile(
    rb"(\d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d)   ([\d -]{3})([* ])    ([\d -]{3})([* ])    ([\d -]{3})    (.{17})"
)


@pytest.fixture
def capture(vectors: Path) -> list[str]:
    octets = (vectors / "nellcor_n560" / "capture_n560_cosmopusher.crlf.bin").read_bytes()
    return octets.decode(errors="replace").split("\r\n")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An oximeter that prints ten lines a second and finds a pulse in no time."""
    monkeypatch.setattr(NellcorAscii, "EVERY_S", 0.1)
    monkeypatch.setattr(oximeter, "JITTER_S", 0.0)
    monkeypatch.setattr(oximeter, "HOLD_S", 0.3)
    monkeypatch.setattr(oximeter, "SEARCH_S", 0.3)


def test_a_data_line_has_the_columns_of_the_capture(capture: list[str]) -> None:
    now = datetime(2017, 12, 29, 7, 18, 43, tzinfo=UTC)
    assert data_line(now, Probe(99, 66, 1.0)) == capture[1]
    real = next(line for line in capture if line.startswith("29-Dec-17 07:19:07"))
    made = data_line(now.replace(minute=19, second=7), Probe(77, 70, 8 / 12))
    assert made[:44] == real[:44] and made[44:46] == "SL" and len(made) == len(real)


def test_a_sensor_off_line_has_no_values_and_a_search_keeps_them(capture: list[str]) -> None:
    now = datetime(2017, 12, 29, 7, 19, 29, tzinfo=UTC)
    real = next(line for line in capture if line.startswith("29-Dec-17 07:19:29"))
    made = data_line(now, Probe(None, None, None, finger_off=True))
    assert made[:44] == real[:44] and made[44:46] == "SO"
    real = next(line for line in capture if " PS" in line and line[21:24].strip("- "))
    made = data_line(now, Probe(int(real[21:24]), int(real[29:32]), 1.0, searching=True))
    assert made[18:46] == real[18:44] + "PS"


def test_the_header_has_the_columns_of_the_capture(capture: list[str]) -> None:
    real = capture[capture.index("TIME                 %SpO2   BPM     PA     Status") - 2 :][:3]
    made = header().decode().split("\r\n")[:3]
    assert made[1:] == real[1:]
    assert re.sub(r"\d+", "0", made[0]) == re.sub(r"\d+", "0", real[0])


async def test_garbage_first_then_pages_of_22_lines(bench: Any, hasty: None) -> None:
    bench.start(NellcorAscii, seed=2)
    client = bench.open(9600)
    octets = await bench.read(client, lambda octets: octets.count(b"\r\n") >= 1 + 3 + LINES_PER_HEADER + 3 + 2)
    lines = octets.split(b"\r\n")
    assert LINE.search(lines[0]) is None and any(octet > 0x7F for octet in lines[0])
    kinds = ["D" if LINE.fullmatch(line) else line[:4].decode().strip() for line in lines[1:-1]]
    assert kinds[:3] == ["N-56", "", "TIME"]
    assert kinds[3 : 3 + LINES_PER_HEADER] == ["D"] * LINES_PER_HEADER
    assert kinds[3 + LINES_PER_HEADER :][:5] == ["N-56", "", "TIME", "D", "D"]


async def test_what_happens_at_the_finger(bench: Any, hasty: None) -> None:
    device = bench.start(NellcorAscii)
    client = bench.open(9600)
    await bench.read(client, LINE.search)
    await device.do("finger_off")
    await bench.read(client, lambda octets: re.search(rb"   9\d .*    ---    SO", octets))
    await bench.read(client, lambda octets: re.search(rb"   ---     ---     ---    SO", octets))
    await device.do("finger_on")
    await bench.read(client, lambda octets: re.search(rb"   ---     ---     ---    PS", octets))
    await bench.read(client, lambda octets: re.search(rb"   9\d .*     \d\d     {17}\r\n", octets))
    await device.do("low_perfusion")
    await bench.read(client, lambda octets: re.search(rb"   9\d .*    ---    LP", octets))
    await device.do("power_off")
    await device.do("low_perfusion", on=False)
    client.reset_input_buffer()
    await device.do("power_on")
    assert await bench.read(client, lambda octets: b"VERSION" in octets)


async def test_limits_are_starred(bench: Any, hasty: None) -> None:
    bench.patient.do("desaturation", 0)
    bench.start(NellcorAscii, speed=100)
    client = bench.open(9600)
    octets = await bench.read(client, lambda octets: re.search(rb"8\d\*.*SL", octets))
    said = bench.truth.of("device-1", "sent")
    assert any(line["spo2_pct"] < 90 for line in said) and b"VERSION" in octets
