"""`rfc2217://host:port`: a device server that sets its serial line as we say (ser2net `telnet(rfc2217)`).

pyserial's own client, whose calls block: opening, writing and closing run in a thread each time, reading in one
that lasts. The reader polls every POLL_S because pyserial, when its connection ends, wakes a waiting reader once
only and may do so while nobody waits.
"""

from __future__ import annotations

import asyncio
import socket
import threading

import serial
from serial import rfc2217

from esi_room.clock import Clock, Stamp
from esi_room.errors import LinkError
from esi_room.line import LineSettings
from esi_room.links.link import in_words
from esi_room.links.network import keep_alive, why_unreachable
from esi_room.links.pyserial import apply
from esi_room.links.thread import in_thread

POLL_S = 0.2


class _Port(rfc2217.Serial):
    """pyserial's client, which leaves its socket open if the peer closed first."""

    _socket: socket.socket | None

    def close(self) -> None:
        held = self._socket
        super().close()
        if held is not None:
            held.close()

    def keep_alive(self) -> None:
        """Notice a dead peer."""
        if self._socket is not None:
            keep_alive(self._socket)


async def open_rfc2217(host: str, port: int, line: LineSettings, clock: Clock) -> Rfc2217Link:
    """Connect and set the line. LinkError if nobody answers, or not in RFC 2217, or the settings are refused."""

    def connect() -> _Port:
        opened = _Port(timeout=POLL_S)
        apply(line, opened)
        opened.port = f"rfc2217://[{host}]:{port}" if ":" in host else f"rfc2217://{host}:{port}"
        opened.open()
        opened.keep_alive()
        return opened

    try:
        opened = await in_thread(connect, undo=lambda late: late.close())
    except (OSError, ValueError) as error:
        raise LinkError(_why(error, host, port, line)) from error
    return Rfc2217Link(opened, f"{host}:{port}", line, clock)


class Rfc2217Link:
    """A connection to a device server whose line is set."""

    def __init__(self, port: _Port, peer: str, line: LineSettings, clock: Clock) -> None:
        self._port, self._peer, self._clock = port, peer, clock
        self.description = f"RFC 2217 {peer} at {in_words(line)}"
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[tuple[bytes, Stamp] | LinkError] = asyncio.Queue()
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read_for_ever, name=f"link {peer}", daemon=True)
        self._reader.start()

    async def read(self) -> tuple[bytes, Stamp]:
        item = await self._inbox.get()
        if isinstance(item, LinkError):
            self._inbox.put_nowait(item)  # whoever asks again gets the same answer
            raise item
        return item

    async def write(self, octets: bytes) -> None:
        try:
            await in_thread(lambda: self._port.write(octets))
        except OSError as error:
            raise LinkError(f"the connection to {self._peer} is lost: {error}") from error

    async def close(self) -> None:
        self._closing.set()
        await in_thread(self._close)

    def _close(self) -> None:
        self._reader.join()
        self._port.close()

    def _read_for_ever(self) -> None:
        while not self._closing.is_set():
            try:
                octets = self._port.read(1)
                stamp = self._clock.now()
                octets += self._port.read(self._port.in_waiting)
            except OSError:
                self._deliver(LinkError(f"the connection to {self._peer} is lost"))
                return
            if octets:
                self._deliver((octets, stamp))

    def _deliver(self, item: tuple[bytes, Stamp] | LinkError) -> None:
        self._loop.call_soon_threadsafe(self._inbox.put_nowait, item)


def _why(error: Exception, host: str, port: int, line: LineSettings) -> str:
    cause = error.__context__
    if isinstance(error, serial.SerialException) and isinstance(cause, OSError):
        return why_unreachable(cause, host, port)
    if isinstance(error, ValueError) or "parameter change" in str(error):
        return f"{host}:{port} does not take the line settings {in_words(line)}: {error}"
    return f"{host}:{port} answers, but not in RFC 2217: switch that on there, or write socket://{host}:{port}"
