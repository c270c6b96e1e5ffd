"""`socket://host:port`: a device server that passes plain bytes (ser2net `raw`, Moxa "TCP server").

asyncio streams, not pyserial's `socket://`: that one blocks, so it would need a thread, polls where the loop is
woken, and sets no keepalive; and there is no serial line to set from here anyway.
"""

from __future__ import annotations

import asyncio
import contextlib

from esi_room.clock import Clock, Stamp
from esi_room.errors import LinkError
from esi_room.links.link import CHUNK_BYTES, WRITE_TIMEOUT_S
from esi_room.links.network import CONNECT_TIMEOUT_S, keep_alive, why_unreachable


async def open_tcp(host: str, port: int, clock: Clock) -> TcpLink:
    """Connect. LinkError if nobody answers."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        raise LinkError(why_unreachable(error, host, port)) from error
    keep_alive(writer.get_extra_info("socket"))
    return TcpLink(reader, writer, f"{host}:{port}", clock)


class TcpLink:
    """A connection to a device server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str, clock: Clock) -> None:
        self._reader, self._writer, self._peer, self._clock = reader, writer, peer, clock
        self.description = f"TCP {peer}"

    async def read(self) -> tuple[bytes, Stamp]:
        try:
            octets = await self._reader.read(CHUNK_BYTES)
        except OSError as error:
            raise self._lost(error) from error
        stamp = self._clock.now()
        if not octets:
            raise LinkError(f"{self._peer} closed the connection")
        return octets, stamp

    async def write(self, octets: bytes) -> None:
        try:
            self._writer.write(octets)
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._writer.drain()
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:  # ours, not the kernel's
                raise LinkError(f"{self._peer} takes no more bytes: its serial side is blocked") from error
            raise self._lost(error) from error

    async def close(self) -> None:
        # abort, not close: close waits until what was written is sent, to a peer that may be gone.
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _lost(self, error: OSError) -> LinkError:
        return LinkError(f"the connection to {self._peer} is lost: {error.strerror or error}")
