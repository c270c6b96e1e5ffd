"""A station with a real line (a pty or TCP) at one end and a record at the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esi_room.clock import SystemClock
from esi_room.errors import LinkError
from esi_room.events import DeviceGap, DeviceRejected, DeviceState, VitalsNumeric
from esi_room.line import LineSettings
from esi_room.record.journal import Identity, Journal
from esi_room.station import Station, station

LINE = LineSettings(baud=9600)
QUICK = (0.01, 0.04)


class Device:
    """A device on a pty behind a `by-id` link; replugging gives it another pty."""

    def __init__(self, by_id: Path) -> None:
        self.port = by_id
        self.master = self._slave = -1

    def plug(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port.symlink_to(os.ttyname(self._slave))

    def send(self, octets: bytes) -> None:
        os.write(self.master, octets)

    def unplug(self) -> None:
        if self.master >= 0:
            self.port.unlink()
            os.close(self._slave)
            os.close(self.master)
            self.master = -1

    def received(self) -> bytes:
        os.set_blocking(self.master, False)
        try:
            return os.read(self.master, 4096)
        except BlockingIOError:
            return b""


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    plugged = Device(tmp_path / "usb-FTDI_A1")
    plugged.plug()
    yield plugged
    plugged.unplug()


@pytest.fixture
async def start(journal: Any, device: Device) -> AsyncIterator[Callable[..., Station]]:
    """`start(driver, **options)`: a running station on the device's port."""
    running: list[asyncio.Task[None]] = []

    def run(driver: Any, **options: Any) -> Station:
        given = {"port": str(device.port), "line": LINE, "journal": journal, "clock": SystemClock()} | options
        made = Station("monitor-1", driver, **({"retry_s": QUICK, "reject_interval_s": 0.2} | given))
        running.append(asyncio.create_task(made.run()))
        return made

    yield run
    await stop(*running)


async def stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, asyncio.CancelledError)


async def until(true: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


# --- states -----------------------------------------------------------------------------------------------


async def test_from_opening_to_the_first_frame(start: Any, device: Device, journal: Any, make_driver: Any) -> None:
    made = start(make_driver())
    await until(lambda: made.state == "negotiating")
    assert "at 9600 8N1; not heard yet" in made.reason
    device.send(b"V97\n")
    await until(journal.values)
    assert journal.states() == ["connecting", "negotiating", "connected"]
    assert journal.of(DeviceState)[-1].driver == "lines"
    assert journal.of(DeviceState)[-1].port == str(device.port)
    assert journal.values() == [97]
    assert made.last_frame is not None
    assert (made.counters.good_frames, made.counters.received_bytes, made.refused_entries) == (1, 4, 0)
    assert journal.of(DeviceGap) == []
    assert journal.wire_lines == [("open", b""), ("rx", b"V97\n")]


async def test_silence_then_new_values_with_the_gap_said(
    start: Any, device: Device, journal: Any, make_driver: Any
) -> None:
    made = start(make_driver(max_silence_s=0.2))
    await until(lambda: made.state == "negotiating")
    device.send(b"V97\n")
    await until(lambda: made.state == "stale")
    assert "no bytes for 0.2 s: device off, cable unplugged" in made.reason
    await asyncio.sleep(0.3)
    assert journal.states() == ["connecting", "negotiating", "connected", "stale"]  # once, not at every look
    device.send(b"V96\n")
    await until(lambda: made.state == "connected")
    first, second = [event.received for event in journal.events if isinstance(event.data, VitalsNumeric)]
    (gap,) = [event for event in journal.events if isinstance(event.data, DeviceGap)]
    assert gap.data.reason == "silence"
    assert gap.received == second
    assert second.mono_ns - first.mono_ns >= 200_000_000
    assert journal.values() == [97, 96]
    kinds = [type(event.data).__name__ for event in journal.events[-3:]]
    assert kinds == ["DeviceGap", "DeviceState", "VitalsNumeric"]
    assert made.reason.startswith("good frames again after 0.")


async def test_a_device_that_never_speaks_has_a_state_and_no_gap(
    start: Any, device: Device, journal: Any, make_driver: Any
) -> None:
    made = start(make_driver(max_silence_s=0.1))
    await until(lambda: len(journal.states()) == 3)
    assert made.state == "negotiating"
    assert "no bytes for" in made.reason
    device.send(b"V97\n")
    await until(journal.values)
    assert journal.of(DeviceGap) == []


@pytest.mark.parametrize(
    ("junk", "words"),
    [
        (b"BP 120/80 HR 72\r", "readable text, so the line settings are right: another device"),
        (bytes(b | 0x80 for b in b"BP 120/80 HR 72"), "wrong parity or data bits"),
        (bytes(range(0x80, 0xC0)) + b"\x00\xff", "wrong baud/parity, or another device"),
    ],
    ids=["text", "text with parity bits", "binary"],
)
async def test_junk_alone_never_connects_and_is_described(
    start: Any, device: Device, journal: Any, make_driver: Any, junk: bytes, words: str
) -> None:
    made = start(make_driver(max_silence_s=0.2))
    await until(lambda: made.state == "negotiating")
    for _ in range(30):
        device.send(junk)
        await asyncio.sleep(0.01)
    assert "connected" not in journal.states()
    assert "bytes arrive but none make a frame" in made.reason
    assert words in made.reason
    assert len(journal.states()) == 3
    assert journal.rejected()["no frame"] > 0
    assert len(journal.of(DeviceRejected)) <= 3  # 30 chunks, one entry at once and one each 0.2 s
    assert journal.of(DeviceRejected)[0].excerpt.startswith(junk[:8].hex())


async def test_intact_frames_that_the_driver_refuses_do_not_connect(
    start: Any, device: Device, journal: Any, make_driver: Any
) -> None:
    made = start(make_driver(max_silence_s=0.1))
    await until(lambda: made.state == "negotiating")
    for _ in range(20):
        device.send(b"R\n")
        await asyncio.sleep(0.01)
    assert "connected" not in journal.states()
    await until(lambda: journal.rejected().get("not understood", 0) >= 15)


# --- the line goes and comes ------------------------------------------------------------------------------


async def test_replugged_behind_the_same_name(start: Any, device: Device, journal: Any, make_driver: Any) -> None:
    made = start(make_driver())
    await until(lambda: made.state == "negotiating")
    device.send(b"I N-560 1\nV97\nV9")
    await until(lambda: journal.values() == [97])
    device.unplug()
    await until(lambda: made.counters.failed_attempts >= 5)
    assert made.state == "lost"
    assert journal.rejected() == {"line closed inside a frame": 1, "no frame": 1}  # "V" and "9"
    device.plug()
    await until(lambda: made.state == "negotiating")
    device.send(b"V96\nI N-560 2\n")
    await until(lambda: "another device" in made.reason)
    outage = journal.states()[4:]
    assert outage == ["lost", "negotiating", "connected", "connected"]  # the last one for its identity
    lost, again, _, identity = journal.of(DeviceState)[4:]
    assert "unplugged" in lost.reason
    assert "failed attempts in" in again.reason
    assert identity.reason == "another device than before, which was N-560 1"
    assert identity.identity == "N-560 2"
    (gap,) = journal.of(DeviceGap)
    assert gap.reason.startswith("link lost: ")
    assert journal.values() == [97, 96]
    assert [what for what, _ in journal.wire_lines if what in ("open", "close")] == ["open", "close", "open"]


async def test_a_port_absent_at_the_start_says_so_once(
    start: Any, device: Device, journal: Any, make_driver: Any
) -> None:
    device.unplug()
    made = start(make_driver())
    await until(lambda: made.counters.failed_attempts >= 6)
    assert journal.states() == ["connecting", "lost"]
    assert "does not exist" in made.reason
    device.plug()
    await until(lambda: made.state == "negotiating")
    device.send(b"V97\n")
    await until(journal.values)
    assert journal.of(DeviceGap) == []


async def test_another_diagnosis_in_an_outage_is_said_once(start: Any, journal: Any, make_driver: Any) -> None:
    answers = iter(["absent", "absent", "forbidden", "absent", "forbidden", "busy"])

    async def refuse(*_: object, **__: object) -> Any:
        raise LinkError(next(answers, "busy"))

    made = start(make_driver(), open_link=refuse)
    await until(lambda: made.counters.failed_attempts >= 9)
    assert journal.reasons()[1:] == ["absent", "forbidden", "busy"]


async def test_a_server_that_hangs_up_at_once_is_one_outage(start: Any, journal: Any, make_driver: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        made = start(make_driver(), port=f"socket://127.0.0.1:{server.getsockname()[1]}")
        opened = 0
        while opened < 6:
            await asyncio.sleep(0.005)
            with contextlib.suppress(BlockingIOError):
                server.accept()[0].close()
                opened += 1
        await until(lambda: made.counters.opened >= 6)
    assert journal.states() == ["connecting", "negotiating", "lost"]


async def test_a_flapping_server_that_settles_is_said_open(
    start: Any, journal: Any, make_driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station, "SETTLE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = start(make_driver(), port=f"socket://127.0.0.1:{server.getsockname()[1]}")
        for _ in range(3):
            (await asyncio.to_thread(server.accept))[0].close()
        peer, _ = await asyncio.to_thread(server.accept)
        with peer:
            await until(lambda: made.state == "negotiating")
            assert "3 failed attempts" in made.reason
            peer.sendall(b"V97\n")
            await until(journal.values)
    assert journal.states() == ["connecting", "negotiating", "lost", "negotiating", "connected"]


# --- asking -----------------------------------------------------------------------------------------------


async def test_what_the_driver_asks_is_sent_and_told(
    start: Any, device: Device, journal: Any, make_driver: Any
) -> None:
    driver = make_driver(tick_s=0.05, poll_at_open=True)
    start(driver)
    await until(lambda: len([c for c in driver.calls if c[0] == "tick"]) >= 2)
    await until(lambda: device.received().startswith(b"POLL\r"))
    assert driver.calls[:2] == ["open", ("sent", b"POLL\r")]
    assert driver.calls[2][0] == "tick"
    assert driver.calls[3] == ("sent", b"POLL\r")
    assert journal.wire_lines[:2] == [("open", b""), ("tx", b"POLL\r")]


async def test_what_the_nameplate_does_not_list_is_never_sent(
    start: Any, device: Device, journal: Any, make_driver: Any
) -> None:
    driver = make_driver()
    made = start(driver)
    await until(lambda: made.state == "negotiating")
    device.send(b"!\n?\n")
    await until(lambda: made.counters.sent_bytes)
    assert device.received() == b"POLL\r"
    assert driver.calls == ["open", ("sent", b"POLL\r")]
    await until(lambda: journal.rejected() == {"request not listed by the driver": 1})


async def test_listen_only_sends_nothing(start: Any, device: Device, journal: Any, make_driver: Any) -> None:
    driver = make_driver(tick_s=0.02, poll_at_open=True)
    made = start(driver, listen_only=True)
    await until(lambda: made.state == "negotiating")
    assert "listening only" in made.reason
    device.send(b"?\nV97\n")
    await until(journal.values)
    await until(lambda: len(driver.calls) > 4)
    assert device.received() == b""
    assert ("sent", b"POLL\r") not in driver.calls
    assert "tx" not in [what for what, _ in journal.wire_lines]


# --- what goes wrong --------------------------------------------------------------------------------------


async def test_a_driver_that_fails_goes_on(start: Any, device: Device, journal: Any, make_driver: Any) -> None:
    made = start(make_driver())
    await until(lambda: made.state == "negotiating")
    device.send(b"E\n#V97\nE\n")
    await until(journal.values)
    assert made.state == "connected"
    await until(lambda: journal.rejected() == {"driver error": 3})


async def test_a_record_that_is_full_leaves_a_gap_and_the_state(
    start: Any, device: Device, journal: Any, make_driver: Any
) -> None:
    made = start(make_driver())
    await until(lambda: made.state == "negotiating")
    device.send(b"V1\n")
    await until(journal.values)
    journal.full = True
    device.send(b"V2\nV3\nI N-560\n")
    await until(lambda: made.refused_entries == 3)
    journal.full = False
    device.send(b"V4\n")
    await until(lambda: journal.values() == [1, 4])
    gap, state, _ = journal.events[-3:]
    assert gap.data.reason == "the record could not be written: 3 entries lost"
    assert gap.data.from_ < gap.data.to
    assert (state.data.state, state.data.identity) == ("connected", "N-560")
    device.send(b"V5\n")
    await until(lambda: journal.values() == [1, 4, 5])
    assert len(journal.of(DeviceGap)) == 1


async def test_stopping_closes_the_line_and_writes_what_was_counted(
    device: Device, journal: Any, make_driver: Any
) -> None:
    made = Station("m", make_driver(), port=str(device.port), line=LINE, journal=journal, clock=SystemClock())
    running = asyncio.create_task(made.run())
    await until(lambda: made.state == "negotiating")
    device.send(b"x")
    await until(lambda: journal.of(DeviceRejected))
    device.send(b"yz")
    await until(lambda: made.counters.received_bytes == 3)
    await stop(running)
    assert journal.rejected() == {"no frame": 2}
    assert sum(entry.bytes for entry in journal.of(DeviceRejected)) == 3
    assert journal.wire_lines[-1] == ("close", b"")


async def test_into_a_real_record(device: Device, make_driver: Any, tmp_path: Path) -> None:
    clock = SystemClock()
    async with Journal.open(tmp_path / "data", clock, Identity(room="esi-1")) as record:
        made = Station("m", make_driver(), port=str(device.port), line=LINE, journal=record, clock=clock)
        running = asyncio.create_task(made.run())
        await until(lambda: made.state == "negotiating")
        device.send(b"V97\n")
        await until(lambda: made.last_frame)
        await stop(running)
        directory = record.directory
    text = (directory / "journal.jsonl").read_text()
    assert '"type":"vitals.numeric"' in text
    assert '"state":"connected"' in text
    assert '"dir":"rx"' in (directory / "wire" / "m.jsonl").read_text()
