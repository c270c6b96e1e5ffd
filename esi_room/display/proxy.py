"""`/mqtt`: MQTT of the pages over WebSocket, brought to the broker's own port.

Rules:
- Bytes go both ways as they come; what a page may read and write is the broker's to say.
- A slow page slows its own connection down, and nobody else's.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import WSMsgType, web

SUBPROTOCOLS = ("mqtt",)
CONNECT_S = 5.0  # for the broker to take a connection
CHUNK_BYTES = 64 << 10
MESSAGE_BYTES = 128 << 10  # a command is at most 64 KiB

log = structlog.get_logger()


async def proxy(request: web.Request, broker: tuple[str, int]) -> web.StreamResponse:
    """One page's connection, until either side ends it."""
    ws = web.WebSocketResponse(protocols=SUBPROTOCOLS, max_msg_size=MESSAGE_BYTES, compress=False)
    await ws.prepare(request)
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(*broker)
    except (OSError, TimeoutError) as error:
        log.info("display_broker_away", reason=str(error))
        await ws.close(code=1013, message=b"the broker is away")
        return ws
    up = asyncio.create_task(_up(ws, writer))
    down = asyncio.create_task(_down(reader, ws))
    await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
    for task in (up, down):
        task.cancel()
    await asyncio.gather(up, down, return_exceptions=True)
    writer.close()
    await ws.close()
    return ws


async def _up(ws: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    async for message in ws:
        if message.type is not WSMsgType.BINARY:
            return
        writer.write(message.data)
        await writer.drain()


async def _down(reader: asyncio.StreamReader, ws: web.WebSocketResponse) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        await ws.send_bytes(chunk)
