"""The pty behaves as a serial line does: pace, loss, baud rate, unplugging."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from simulators.clock import ScenarioClock
from simulators.faults import Faults
from simulators.truth import TruthLog
from simulators.wire import CHUNK_MAX_BYTES, SerialEnd


@pytest.fixture
def port(tmp_path: Path) -> Iterator[SerialEnd]:
    made = SerialEnd(tmp_path / "port", baud=19200, seed=3)
    yield made
    made.close()


@pytest.fixture
def client(port: SerialEnd) -> Iterator[serial.Serial]:
    with serial.Serial(str(port.path), 19200, timeout=0) as opened:
        yield opened


async def drain(client: serial.Serial) -> bytes:
    await asyncio.sleep(0.02)
    return bytes(client.read(100_000))


async def test_octets_leave_at_the_baud_rate_in_small_chunks(port: SerialEnd, client: serial.Serial) -> None:
    octets = bytes(range(256)) * 2
    started_s = time.monotonic()
    sending = asyncio.create_task(port.send(octets))
    chunks = []
    while not sending.done():
        await asyncio.sleep(0.001)
        chunks.append(client.read(4096))
    took_s = time.monotonic() - started_s
    sent = await sending
    assert b"".join(chunks) + await drain(client) == octets
    assert sent.delivered
    assert 10 * len(octets) / 19200 * 0.98 <= took_s < 10 * len(octets) / 19200 + 0.3
    assert sum(map(bool, chunks)) >= len(octets) / CHUNK_MAX_BYTES / 2


async def test_the_wrong_baud_rate_gives_garbage_both_ways(port: SerialEnd, client: serial.Serial) -> None:
    client.baudrate = 9600
    sent = await port.send(b"hello, monitor" * 4)
    garbage = await drain(client)
    assert not sent.delivered
    assert len(garbage) == 56
    assert b"hell" not in garbage
    reading = asyncio.create_task(port.read())
    client.write(b"lost")
    await asyncio.sleep(0.05)
    client.baudrate = 19200
    client.write(b"heard")
    assert await asyncio.wait_for(reading, 2) == b"heard"
    assert (await port.send(b"clear")).delivered


async def test_unplugging_kills_the_client_and_replugging_gives_another_port(
    port: SerialEnd, client: serial.Serial
) -> None:
    old = port.path.readlink()
    port.unplug()
    assert not port.plugged and not port.path.is_symlink()
    with pytest.raises(serial.SerialException):
        client.read(1)
    with pytest.raises(serial.SerialException):
        client.write(b"x")
    client.close()
    assert not (await port.send(b"into the void")).delivered
    port.replug()
    assert port.path.readlink() != old
    with serial.Serial(str(port.path), 19200, timeout=0) as again:
        assert (await port.send(b"back")).delivered
        assert await drain(again) == b"back"


async def test_reading_goes_on_through_unplugging(port: SerialEnd) -> None:
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0.03)
    port.unplug()
    port.replug()
    with serial.Serial(str(port.path), 19200) as client:
        client.write(b"still here")
        assert await asyncio.wait_for(reading, 2) == b"still here"


async def test_what_nobody_listens_to_is_lost(port: SerialEnd) -> None:
    sent = await port.send(b"nobody there")
    assert not sent.delivered and port.lost_bytes == 12 and not port.listening
    handle = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)  # as a program that flushes nothing
    try:
        assert port.listening
        with pytest.raises(BlockingIOError):
            os.read(handle, 100)
    finally:
        os.close(handle)


async def test_a_client_can_close_and_come_back(port: SerialEnd) -> None:
    for word in (b"first", b"second"):
        with serial.Serial(str(port.path), 19200, timeout=0) as client:
            assert (await port.send(word)).delivered
            assert await drain(client) == word
        await asyncio.sleep(0.03)


async def test_a_client_that_does_not_read_loses_octets_and_holds_nothing_up(tmp_path: Path) -> None:
    port = SerialEnd(tmp_path / "fast", baud=230400)
    with serial.Serial(str(port.path), 230400, timeout=0) as client:
        sent = await asyncio.wait_for(port.send(bytes(26_000)), 5)
        assert not sent.delivered
        assert port.lost_bytes > 0
        taken = 0
        while chunk := await drain(client):
            taken += len(chunk)
        assert taken + port.lost_bytes == 26_000
    port.close()


async def test_flow_control_characters_are_data(port: SerialEnd, client: serial.Serial) -> None:
    await port.send(b"a\x11b\x13c\x00\r\n\x03\x04\x1a")
    assert await drain(client) == b"a\x11b\x13c\x00\r\n\x03\x04\x1a"


def test_a_stale_symlink_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "stale").symlink_to("/dev/pts/99999")
    SerialEnd(tmp_path / "stale", baud=9600).close()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        SerialEnd(tmp_path / "file", baud=9600)
    assert (tmp_path / "file").read_text() == "mine"


FRAMES = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=20)


@given(FRAMES, st.integers(0, 2**32))
def test_a_seed_gives_the_same_faults(frames: list[bytes], seed: int) -> None:
    faults = Faults(2, 3, 4, 5, 20, 0)
    runs = [[faults.spoil(frame, rng) for frame in frames] for rng in (Random(seed), Random(seed))]
    assert runs[0] == runs[1]


@given(FRAMES, st.integers(0, 2**32))
def test_a_line_without_faults_changes_nothing(frames: list[bytes], seed: int) -> None:
    rng = Random(seed)
    assert [Faults().spoil(frame, rng) for frame in frames] == [(frame, []) for frame in frames]


@pytest.mark.parametrize(
    ("faults", "name"),
    [
        (Faults(noise_one_in_frames=1), "noise"),
        (Faults(break_one_in_frames=1), "break"),
        (Faults(flow_one_in_frames=1), "flow"),
        (Faults(truncate_one_in_frames=1), "truncated"),
        (Faults(flip_one_in_bytes=1), "flipped"),
    ],
)
def test_each_fault_says_what_it_did(faults: Faults, name: str) -> None:
    frame = b"\x7e" + bytes(40) + b"\x7e"
    spoilt, damage = faults.spoil(frame, Random(1))
    assert damage == [name]
    assert spoilt != frame
    assert (frame in spoilt) == (name in ("noise", "break", "flow"))


def test_faults_from_a_command_line() -> None:
    assert Faults.parse("noise=20, flip=2000,bad_checksum=7") == Faults(
        noise_one_in_frames=20, flip_one_in_bytes=2000, bad_checksum_one_in_frames=7
    )
    assert Faults.parse("") == Faults()
    for wrong in ("nois=3", "noise", "noise=-1", "noise=x"):
        with pytest.raises(ValueError, match="name=N"):
            Faults.parse(wrong)


def test_the_truth_log_keeps_every_line_at_once(tmp_path: Path) -> None:
    truth = TruthLog(tmp_path / "truth.jsonl")
    truth.note("pump-1", "stalled", t_s=12.3456, infused_ml=1.5)
    line = (tmp_path / "truth.jsonl").read_text()
    assert '"device": "pump-1", "what": "stalled", "infused_ml": 1.5' in line and '"t_s": 12.346' in line
    assert truth.of("pump-1", "stalled")[0]["mono_ns"] <= time.monotonic_ns()
    assert truth.of("pump-2", "stalled") == []
    truth.close()


async def test_scenario_time_runs_at_its_speed() -> None:
    clock = ScenarioClock(100)
    started_s = time.monotonic()
    await clock.sleep(5)
    assert 0.04 < time.monotonic() - started_s < 0.5
    assert clock.now_s() >= 5
    await clock.sleep_until(1)
    with pytest.raises(ValueError, match="speed"):
        ScenarioClock(0)
