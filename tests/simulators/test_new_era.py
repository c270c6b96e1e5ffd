"""The New Era pump: its state machine over a real serial client, and its mechanics."""

from __future__ import annotations

import asyncio
import binascii
import itertools
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.pumps import new_era_commands
from simulators.pumps.new_era import NewEra
from simulators.pumps.new_era_commands import number
from simulators.pumps.new_era_wire import Receiver, basic_frame, safe_frame
from simulators.pumps.syringe import Syringe


def safe(text: bytes, *, spoil: int = 0) -> bytes:
    """A safe packet, with a checksum that is not the simulator's."""
    check = binascii.crc_hqx(text, 0) ^ spoil
    return bytes((2, len(text) + 4)) + text + check.to_bytes(2, "big") + b"\x03"


class Host:
    """One command, one reply."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.client = bench.open(19200)

    async def ask(self, command: str) -> str:
        """The reply to a basic command, without its frame and the address 00."""
        self.client.write(command.encode() + b"\r")
        octets = await self.bench.read(self.client, lambda octets: octets.endswith(b"\x03"), within_s=2)
        assert octets[:3] == b"\x0200"
        return str(octets[3:-1].decode())

    async def ask_safe(self, text: bytes, **how: int) -> str:
        """The reply to a safe packet."""
        self.client.write(safe(text, **how))
        return await self.packet()

    async def packet(self, within_s: float = 3.0) -> str:
        """The next safe packet, checked."""
        whole = lambda octets: len(octets) > 1 and len(octets) > octets[1]  # noqa: E731
        octets = await self.bench.read(self.client, whole, within_s=within_s)
        assert octets == safe(octets[2:-3])
        return str(octets[4:-3].decode())


@pytest.fixture
async def host(bench: Any) -> Host:
    bench.start(NewEra, speed=60)
    return Host(bench)


@pytest.fixture
def no_collisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_era_commands, "PHASE_START_S", 0.0)


# --- the vectors --------------------------------------------------------------------------------------------------


def test_frames_are_byte_for_byte_the_vectors(vectors: Path) -> None:
    lines = (vectors / "new_era" / "frames.jsonl").read_text().splitlines()
    checked = 0
    for frame in map(json.loads, lines):
        octets = bytes.fromhex(frame["hex"])
        if frame["dir"] == "device" and frame["checksum_ok"] and octets.endswith(b"\x03"):
            safe_mode = frame["id"].startswith("safe_")
            text = (octets[2:-3] if safe_mode else octets[1:-1]).decode()
            assert (safe_frame(text) if safe_mode else basic_frame(text)) == octets
            checked += 1
        if frame["dir"] == "host":
            packets = Receiver().feed(octets, 0.0)
            assert len(packets) == 1 and packets[0].intact
            checked += 1
    assert checked > 35


# --- basic mode ---------------------------------------------------------------------------------------------------


async def test_the_first_reply_after_power_on_is_the_alarm_and_executes_nothing(host: Host) -> None:
    assert await host.ask("RUN") == "A?R"
    assert await host.ask("") == "S"


async def test_everything_documented_can_be_asked(host: Host) -> None:
    await host.ask("")
    answers = {
        "": "S",
        "VER": "SNE1000V3.923",
        "ver": "SNE1000V3.923",
        " v e r ": "SNE1000V3.923",
        "0VER": "SNE1000V3.923",
        "DIA": "S19.05",
        "RAT": "S5.000MM",
        "VOL": "S0.000ML",
        "DIR": "SINF",
        "DIS": "SI0.000W0.000ML",
        "PHN": "S01",
        "FUN": "SRAT",
        "AL": "S0",
        "TRG": "SFT",
        "SAF": "S0",
        "*ADR": "S00",
    }
    for command, answer in answers.items():
        assert await host.ask(command) == answer, command
    said = host.bench.truth.of("device-1", "received")
    assert [line["command"] for line in said[2:4]] == ["VER", "VER"]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("XYZ", "S?"),
        ("XY", "S?"),
        ("VER1", "S?"),
        ("DIA 0.05", "S?OOR"),
        ("DIA 50.1", "S?OOR"),
        ("RAT 999 MM", "S?OOR"),
        ("RAT 0.0001 MM", "S?OOR"),
        ("RAT 12345", "S?OOR"),
        ("RAT fast", "S?"),
        ("VOL 1.2.3", "S?"),
        ("PHN 42", "S?OOR"),
        ("SAF 256", "S?OOR"),
        ("CLD", "S?"),
        ("STP", "S?NA"),
        ("AL 2", "S?OOR"),
        ("AL x", "S?"),
        ("AL 1", "S"),
        ("TRG XX", "S?"),
        ("TRG LE", "S"),
        ("PHN 2", "S"),
        ("FUN PAS", "S?NA"),
        ("FUN RAT", "S"),
        ("DIR UP", "S?"),
        ("VOL ML", "S"),
        ("VOL 1.2345", "S?OOR"),
        ("CLD WDR", "S"),
        ("RUN 42", "S?OOR"),
        ("RUN 1", "I"),
    ],
)
async def test_each_command_takes_what_is_documented_and_names_what_is_wrong(
    host: Host, command: str, answer: str
) -> None:
    await host.ask("")
    assert await host.ask(command) == answer


async def test_it_can_be_programmed_and_driven_and_every_command_is_logged(host: Host, no_collisions: None) -> None:
    await host.ask("")
    for command in ("DIA 14.0", "VOL 500", "RAT 9.9 UM", "DIR INF"):
        assert await host.ask(command) == "S"
    assert await host.ask("VOL") == "S500.0UL"
    assert await host.ask("RAT") == "S9.900UM"  # at 60 times real time a fast run would end before the last command
    assert await host.ask("RUN") == "I"
    for busy in ("RUN", "PUR", "DIA 20", "VOL 5", "DIR WDR", "RAT 3 MM", "CLD INF", "PHN 2"):
        assert await host.ask(busy) == "I?NA", busy
    assert await host.ask("RAT 2") == "I"
    assert await host.ask("STP") == "P"
    assert await host.ask("STP") == "S"
    assert await host.ask("CLD INF") == "S"
    assert await host.ask("DIS") == "SI0.000W0.000UL"
    assert await host.ask("*RESET") == "S"
    assert await host.ask("DIA") == "S19.05"
    said = host.bench.truth.of("device-1", "received")
    assert [line["outcome"] for line in said if line["command"] == "RUN"] == ["executed", "?NA"]


async def test_a_volume_ends_by_itself_and_exactly(host: Host, bench: Any) -> None:
    pump = bench.devices[-1]
    await host.ask("")
    await pump.do("program", rate_ml_min=6, volume_ml=1.5, diameter_mm=20.0, direction="infuse")
    await pump.do("start")
    assert (await host.ask(""))[0] == "I"
    await bench.until(lambda: bench.truth.of("device-1", "completed"))
    assert await host.ask("DIS") == "SI1.500W0.000ML"
    started, completed = (bench.truth.of("device-1", what)[0] for what in ("infusing", "completed"))
    assert completed["infused_ml"] == 1.5
    assert completed["at_s"] - started["t_s"] == pytest.approx(15, abs=1)


async def test_a_pause_keeps_the_volume_and_a_second_stop_ends_the_run(host: Host, bench: Any) -> None:
    pump = bench.devices[-1]
    await host.ask("")
    await pump.do("program", rate_ml_min=6, volume_ml=2)
    await pump.do("start")
    await asyncio.sleep(0.1)
    await pump.do("stop")
    paused = await host.ask("DIS")
    await asyncio.sleep(0.1)
    assert paused[0] == "P" and await host.ask("DIS") == paused
    await pump.do("start")
    await bench.until(lambda: bench.truth.of("device-1", "completed"))
    assert await host.ask("DIS") == "SI2.000W0.000ML"
    await pump.do("start")
    await pump.do("stop")
    await pump.do("stop")
    assert await host.ask("") == "S"


async def test_an_occlusion_stalls_the_motor_and_the_alarm_takes_one_command(host: Host, bench: Any) -> None:
    pump = bench.devices[-1]
    await host.ask("")
    await pump.do("program", rate_ml_min=6, volume_ml=5)
    await pump.do("start")
    await pump.do("occlude", ramp_s=10)
    await bench.until(lambda: bench.truth.of("device-1", "stalled"))
    assert await host.ask("DIS") == "A?S"
    stalled = await host.ask("DIS")
    assert re.fullmatch(r"PI[01]\.\d{3}W0\.000ML", stalled)
    await asyncio.sleep(0.1)
    assert await host.ask("DIS") == stalled, "nothing moves after a stall"
    truth = bench.truth.of("device-1", "stalled")[0]
    assert truth["pressure_mmhg"] == 1800 and truth["infused_ml"] == pytest.approx(1.0, abs=0.15)
    await pump.do("clear_occlusion")
    await pump.do("start")
    await bench.until(lambda: bench.truth.of("device-1", "completed"))
    assert await host.ask("DIS") == "SI5.000W0.000ML"


async def test_withdrawing_and_purging_show_in_the_prompt(host: Host, bench: Any) -> None:
    pump = bench.devices[-1]
    await host.ask("")
    await pump.do("program", rate_ml_min=6, direction="withdraw")
    await pump.do("start")
    await asyncio.sleep(0.06)
    assert await host.ask("") == "W"
    await pump.do("stop")
    await pump.do("stop")
    assert re.fullmatch(r"SI0.000W0\.[1-9]\d\dML", await host.ask("DIS"))
    await pump.do("purge")
    assert await host.ask("") == "X"
    await pump.do("stop")
    assert await host.ask("") == "S"


async def test_a_power_cut_resets_the_counters_and_keeps_the_program(host: Host, bench: Any) -> None:
    pump = bench.devices[-1]
    await host.ask("")
    await pump.do("program", rate_ml_h=120, volume_ml=3)
    await pump.do("start")
    await asyncio.sleep(0.1)
    await pump.do("power_off")
    host.client.write(b"DIS\r")
    await asyncio.sleep(0.1)
    assert host.client.read(100) == b""
    with pytest.raises(ValueError, match="off"):
        await pump.do("start")
    await pump.do("power_on")
    assert await host.ask("DIS") == "A?R"
    assert await host.ask("DIS") == "SI0.000W0.000ML"
    assert await host.ask("RAT") == "S120.0MH"


async def test_a_pulled_cable_does_not_stop_the_motor(host: Host, bench: Any) -> None:
    pump = bench.devices[-1]
    await host.ask("")
    await pump.do("program", rate_ml_min=6, volume_ml=1)
    await pump.do("start")
    await pump.do("unplug")
    host.client.close()
    await bench.until(lambda: bench.truth.of("device-1", "completed"))
    await pump.do("replug")
    assert await Host(bench).ask("DIS") == "SI1.000W0.000ML", "no alarm: it was never without power"


async def test_while_it_works_on_a_command_it_hears_nothing(host: Host, bench: Any) -> None:
    await host.ask("")
    host.client.write(b"VER\rDIS\r")
    await asyncio.sleep(0.2)
    assert host.client.read(100) == b"\x0200SNE1000V3.923\x03"
    lost = bench.truth.of("device-1", "received_while_busy")
    assert lost and lost[0]["command"] == "DIS"


async def test_a_command_that_meets_a_starting_phase_is_ignored(host: Host, bench: Any) -> None:
    await host.ask("")
    await bench.devices[-1].do("start")
    assert await host.ask("RAT 3") == "I?IGN"
    assert await host.ask("") == "I"


async def test_another_address_is_not_answered(bench: Any) -> None:
    bench.start(NewEra, address=7)
    host = Host(bench)
    host.client.write(b"VER\r")
    await asyncio.sleep(0.1)
    assert host.client.read(100) == b""
    host.client.write(b"7VER\r")
    assert await bench.read(host.client, lambda octets: octets.endswith(b"\x03")) == b"\x0207A?R\x03"
    host.client.write(b"*ADR\r")
    assert await bench.read(host.client, lambda octets: octets.endswith(b"\x03")) == b"\x0207S07\x03"


# --- safe mode ----------------------------------------------------------------------------------------------------


async def test_safe_mode_left_on_speaks_first_and_hears_safe_packets_only(bench: Any) -> None:
    pump = bench.start(NewEra, safe_timeout_s=30)
    await pump.do("power_off")
    host = Host(bench)
    await pump.do("power_on")
    assert await host.packet() == "A?R", "unasked, at power-on"
    host.client.write(b"VER\r")
    await asyncio.sleep(0.1)
    assert host.client.read(100) == b""
    assert await host.ask_safe(b"VER") == "A?R", "still not cleared"
    assert await host.ask_safe(b"VER") == "SNE1000V3.923"
    host.client.write(safe(b"SAF0"))
    assert await bench.read(host.client, lambda octets: octets.endswith(b"\x03")) == b"\x0200S\x03"
    assert await host.ask("VER") == "SNE1000V3.923"


async def test_a_bad_checksum_is_named(bench: Any) -> None:
    bench.start(NewEra, safe_timeout_s=30)
    host = Host(bench)
    assert await host.packet() == "A?R"
    assert await host.ask_safe(b"VER", spoil=1) == "S?COM"
    assert await host.ask_safe(b"VER") == "A?R"


async def test_silence_in_safe_mode_stops_the_pump_with_an_alarm(host: Host, bench: Any) -> None:
    await host.ask("")
    await bench.devices[-1].do("program", rate_ml_min=1)
    host.client.write(b"SAF 1\r")
    assert await host.packet() == "S"
    assert await host.ask_safe(b"RUN") == "I"
    started_s = time.monotonic()
    assert await host.packet() == "A?T"
    assert 0.9 < time.monotonic() - started_s < 1.5
    assert await host.ask_safe(b"") == "A?T"
    assert await host.ask_safe(b"") == "P"


async def test_octets_half_a_second_apart_are_no_packet(host: Host) -> None:
    await host.ask("")
    packet = safe(b"VER")
    host.client.write(packet[:4])
    await asyncio.sleep(0.6)
    host.client.write(packet[4:])
    await asyncio.sleep(0.1)
    assert host.client.read(100) == b""
    host.client.write(b"\r")  # ends what the second half left in the buffer
    await asyncio.sleep(0.1)
    host.client.reset_input_buffer()
    host.client.write(packet)
    assert await host.bench.read(host.client, lambda o: o.endswith(b"\x03")) == b"\x0200SNE1000V3.923\x03"


# --- mechanics and script -------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=60), st.floats(0.5, 20), st.floats(0.1, 3))
def test_what_is_delivered_does_not_depend_on_who_looks(
    looks_s: list[float], rate_ml_min: float, target_ml: float
) -> None:
    often, once = (Syringe(rate_ml_min=rate_ml_min, target_ml=target_ml) for _ in range(2))
    for syringe in (often, once):
        syringe.start(0.0)
    now_s = 0.0
    for look_s in looks_s:
        now_s += look_s
        often.advance(now_s)
    once.advance(now_s)
    assert math.isclose(often.infused_ml, once.infused_ml, rel_tol=1e-6)
    assert once.infused_ml <= target_ml * 1.000001
    assert [what for what, _ in often.happened] == [what for what, _ in once.happened]


def test_the_pressure_rises_smoothly_to_the_stall() -> None:
    syringe = Syringe(rate_ml_min=6, occlusion_ramp_s=8)
    syringe.start(0)
    pressures = []
    for tenth in range(100):
        syringe.advance(tenth / 10)
        pressures.append(syringe.pressure_mmhg)
    assert pressures == sorted(pressures) and max(pressures) == 1800
    assert max(after - before for before, after in itertools.pairwise(pressures)) < 30
    assert syringe.happened[0].at_s == pytest.approx(8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (500, "500.0"),
        (14.43, "14.43"),
        (3, "3.000"),
        (0.974, "0.974"),
        (9.9996, "10.00"),
        (1234, "1234"),
        (999.96, "1000"),
    ],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text


async def test_a_keypad_refuses_what_the_pump_cannot_do(bench: Any) -> None:
    pump = bench.start(NewEra)
    with pytest.raises(ValueError, match="refuses RAT"):
        await pump.do("program", rate_ml_min=500)
    with pytest.raises(ValueError, match="infuse or withdraw"):
        await pump.do("program", direction="sideways")
    with pytest.raises(ValueError, match="refuses STP"):
        await pump.do("stop")
    with pytest.raises(ValueError, match="ramp_s"):
        await pump.do("occlude", ramp_s=0)
