"""The broker, as the server of the pages reaches it: one connection a page.

Rules:
- Plain MQTT over TCP, TLS or WebSocket, as the room's own connection; its certificate is always checked.
- An outage is one line in the log at its start and one at its end, however many pages try again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import aiohttp
import structlog

from esi_room.errors import BrokerError
from esi_room.outputs import tls
from esi_room.outputs.access import Login, read_logins
from esi_room.outputs.client import BrokerSettings, parse_url

CONNECT_S = 5.0  # for the broker to take a connection
CLOSE_S = 2.0
CHUNK_BYTES = 64 << 10

log = structlog.get_logger()


class Line(Protocol):
    """A connection to the broker: MQTT's bytes, in pieces of any size."""

    async def receive(self) -> bytes:
        """What came; empty at its end."""

    async def send(self, octets: bytes) -> None:
        """As fast as the broker takes it."""


class Upstream:
    """Where the broker is, and who each role is to it."""

    def __init__(self, settings: BrokerSettings, logins: Path | None) -> None:
        self._settings, self._logins, self._away = settings, logins, False
        self._context: ssl.SSLContext | None = None
        self._address = parse_url(settings.url)
        if self._address.tls:
            self._context = tls.context(settings.ca_file, settings.cert_file, settings.key_file)
            self._context.sslsocket_class = ssl.SSLSocket

    def login(self, role: str) -> Login | None:
        """How `role` logs in; None where the broker knows no roles. BrokerError where it knows roles, but not this.

        Read anew each time: the daemon makes the embedded broker's, perhaps after this server has started."""
        if self._logins is None:
            return None
        try:
            logins = read_logins(self._logins)
        except BrokerError as error:
            raise self._lost(str(error)) from error
        if role not in logins:
            raise self._lost(f"{self._logins} has no line for the role {role}")
        return logins[role]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Line]:
        """A connection for the time of the `with`. BrokerError where there is none."""
        opening = self._websocket() if self._address.websocket else self._tcp()
        try:
            async with asyncio.timeout(CONNECT_S):
                line = await opening.__aenter__()
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            raise self._lost(tls.with_remedy(str(error) or "it does not answer")) from error
        if self._away:
            log.info("display_broker_back", url=self._settings.url)
            self._away = False
        try:
            yield line
        finally:
            with suppress(OSError, TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(CLOSE_S):
                    await opening.__aexit__(None, None, None)

    def _lost(self, words: str) -> BrokerError:
        if not self._away:
            log.warning("display_broker_away", url=self._settings.url, reason=words)
        self._away = True
        return BrokerError(words)

    @asynccontextmanager
    async def _tcp(self) -> AsyncIterator[Line]:
        host, port = self._address.host, self._address.port
        reader, writer = await asyncio.open_connection(host, port, ssl=self._context)
        try:
            yield _Tcp(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    @asynccontextmanager
    async def _websocket(self) -> AsyncIterator[Line]:
        where = self._address
        host = f"[{where.host}]" if ":" in where.host else where.host
        url = f"{'wss' if where.tls else 'ws'}://{host}:{where.port}{where.path}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=("mqtt",), ssl=self._context or True, max_msg_size=0) as ws,
        ):
            yield _WebSocket(ws)


class _Tcp:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def receive(self) -> bytes:
        return await self._reader.read(CHUNK_BYTES)

    async def send(self, octets: bytes) -> None:
        self._writer.write(octets)
        await self._writer.drain()


class _WebSocket:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws

    async def receive(self) -> bytes:
        message = await self._ws.receive()
        return message.data if message.type is aiohttp.WSMsgType.BINARY else b""

    async def send(self, octets: bytes) -> None:
        await self._ws.send_bytes(octets)
