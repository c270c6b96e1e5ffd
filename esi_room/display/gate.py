"""How many connections the server takes, before it reads a byte of them.

Rules:
- All together they are bounded, or whoever opens thousands takes the file descriptors from the rest; and those of one
  address, so that it shuts out itself and nobody else.
- What is too much is closed without an answer, and said in the log at most once a minute.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from esi_room.clock import NS, Clock

CONNECTIONS_MAX = 600  # a process may have 1024 files open, as Linux comes; each page has one more to the broker
PER_ADDRESS_MAX = 200  # a browser opens six and a WebSocket
HANDSHAKE_S = 10.0  # for TLS
QUIET_S = 60.0

log = structlog.get_logger()


class Gate:
    """In front of one server."""

    def __init__(self, server: web.Server, clock: Clock) -> None:
        self._server, self._clock, self._said_s = server, clock, float("-inf")

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection, for `create_server`."""
        return _Knock(self)

    def let_in(self, transport: asyncio.Transport) -> None:
        """Hand the connection to the server, or end it."""
        host = _host(transport)
        taken = [_host(each.transport) for each in self._server.connections if each.transport is not None]
        if len(taken) >= CONNECTIONS_MAX or taken.count(host) >= PER_ADDRESS_MAX:
            self._say(host, len(taken))
            transport.abort()
            return
        handler = self._server()
        transport.set_protocol(handler)
        handler.connection_made(transport)

    def _say(self, host: str, taken: int) -> None:
        now_s = self._clock.now().mono_ns / NS
        if now_s - self._said_s > QUIET_S:
            self._said_s = now_s
            log.warning("display_too_many_connections", address=host, connections=taken)


class _Knock(asyncio.Protocol):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._gate.let_in(transport)


def _host(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


@asynccontextmanager
async def listening(gate: Gate, host: str, port: int, context: ssl.SSLContext | None) -> AsyncIterator[None]:
    """For the time of the `with`. OSError where the address cannot be had."""
    server = await asyncio.get_running_loop().create_server(
        gate, host, port, ssl=context, ssl_handshake_timeout=None if context is None else HANDSHAKE_S
    )
    try:
        yield
    finally:
        server.close()
