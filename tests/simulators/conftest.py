"""A bench: one simulated device on a pty, and a client on the other end that is really pyserial."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import serial

from simulators.clock import ScenarioClock
from simulators.device import SerialDevice
from simulators.faults import Faults
from simulators.patient import Patient
from simulators.truth import TruthLog
from simulators.wire import SerialEnd

POLL_S = 0.005


class Bench:
    """Starts devices and clients, and ends them with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth = TruthLog()
        self.patient = Patient(1)
        self.devices: list[Any] = []
        self._clients: list[serial.Serial] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(
        self,
        device: type[SerialDevice],
        *,
        speed: float = 1.0,
        seed: int = 1,
        faults: Faults | None = None,
        **settings: Any,
    ) -> Any:
        """A running device on the port `device-1`."""
        port = SerialEnd(
            self.folder / "device-1", baud=device.BAUD, bits_per_byte=device.BITS_PER_BYTE, seed=seed, faults=faults
        )
        made = device(port, self.patient, ScenarioClock(speed), self.truth, seed=seed, **settings)
        self.devices.append(made)
        self._tasks.append(asyncio.create_task(made.run()))
        return made

    def open(self, baud: int) -> serial.Serial:
        """A client on that port."""
        client = serial.Serial(str(self.folder / "device-1"), baud, timeout=0)
        self._clients.append(client)
        return client

    async def read(self, client: serial.Serial, enough: Callable[[bytes], Any], within_s: float = 8.0) -> bytes:
        """What the client receives until `enough` of it says so, or AssertionError after `within_s`."""
        octets = b""
        try:
            async with asyncio.timeout(within_s):
                while not enough(octets):
                    await asyncio.sleep(POLL_S)
                    octets += client.read(4096)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s, only {octets!r}") from None
        return octets

    async def until(self, condition: Callable[[], Any], within_s: float = 8.0) -> None:
        """Wait until something is so, or AssertionError after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s") from None

    async def end(self) -> None:
        """Close everything; a device that failed fails the test."""
        for client in self._clients:
            client.close()
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert [end for end in ends if not isinstance(end, asyncio.CancelledError)] == []


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench for one device."""
    made = Bench(tmp_path)
    yield made
    await made.end()
