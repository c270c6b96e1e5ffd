"""Serial lines in memory: a device's end in the place of a pty, and the `Link` that the daemon opens.

The same as on the real line, because it is the simulators' own code: the pace, the chunks, the faults. What a pty does
is done here: octets that nobody takes are lost, the client's baud rate counts, and a port that is pulled out is gone
for whoever has it open, until it was put back and is opened again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

from esi_room.clock import Clock, Stamp
from esi_room.errors import LinkError
from esi_room.line import LineSettings
from esi_room.links.link import in_words
from simulators.wire import SerialEnd


class Cables:
    """Every serial port of the room's host."""

    def __init__(self) -> None:
        self._ends: dict[str, DeviceEnd] = {}

    def device_end(self, path: Path, **settings: Any) -> DeviceEnd:
        """In the place of `simulators.wire.SerialEnd`."""
        made = self._ends[str(path)] = DeviceEnd(path, **settings)
        return made

    async def open(self, path: str, line: LineSettings, clock: Clock) -> HostEnd:
        """In the place of `esi_room.links.open_tty`."""
        end = self._ends.get(path)
        if end is None or not end.plugged:
            raise LinkError(f"{path} does not exist: is the adapter plugged in?")
        if end.listening:
            raise LinkError(f"{path} is busy: another program has it open")
        return HostEnd(end, line, clock)


class DeviceEnd(SerialEnd):
    """A device's end of the line."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.host: HostEnd | None = None
        """Who has the port open."""
        self._plugged = False
        self._inbox, self._came = bytearray(), asyncio.Event()
        super().__init__(path, **settings)

    @property
    def plugged(self) -> bool:
        return self._plugged

    @property
    def listening(self) -> bool:
        return self.host is not None

    @property
    def baud_matches(self) -> bool:
        return self.host is not None and self.host.line.baud == self.baud

    def replug(self) -> None:
        self._plugged = True

    def unplug(self) -> None:
        self._plugged = False
        self._inbox.clear()
        if self.host is not None:
            self.host.pull()
            self.host = None

    def close(self) -> None:
        self.unplug()

    async def read(self) -> bytes:
        while True:
            chunk = self._read_now()
            if chunk and self.baud_matches:
                return chunk
            self._came.clear()
            await self._came.wait()

    def take(self, octets: bytes) -> None:
        """The host sent these; the last of them has arrived when their time on the line is over."""
        asyncio.get_running_loop().call_later(len(octets) * self._byte_s, self._arrived, octets)

    def _arrived(self, octets: bytes) -> None:
        if self._plugged:
            self._inbox += octets
            self._came.set()

    def _read_now(self) -> bytes:
        octets = bytes(self._inbox)
        self._inbox.clear()
        return octets

    def _write_now(self, chunk: bytes) -> bool:
        if self.host is None:
            self.lost_bytes += len(chunk)
            return False
        understood = self.baud_matches
        self.host.put(chunk if understood else self.rng.randbytes(len(chunk)))
        return understood


class HostEnd:
    """The daemon's end: a `links.Link`."""

    def __init__(self, end: DeviceEnd, line: LineSettings, clock: Clock) -> None:
        self.line, self._end, self._clock = line, end, clock
        self._inbox: deque[tuple[bytes, Stamp]] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._gone: str | None = None
        self.description = f"{end.path} at {in_words(line)}"
        end.host = self

    def put(self, chunk: bytes) -> None:
        """The device sent these."""
        self._inbox.append((chunk, self._clock.now()))
        self._wake()

    def pull(self) -> None:
        """The adapter is out."""
        self._gone = f"{self._end.path} is gone: the adapter was unplugged or lost its power"
        self._wake()

    async def read(self) -> tuple[bytes, Stamp]:
        while not self._inbox:
            if self._gone is not None:
                raise LinkError(self._gone)
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._inbox.popleft()

    async def write(self, octets: bytes) -> None:
        if self._gone is not None:
            raise LinkError(self._gone)
        self._end.take(octets)

    async def close(self) -> None:
        if self._end.host is self:
            self._end.host = None
        self._gone = self._gone or f"{self._end.path} is closed"
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
