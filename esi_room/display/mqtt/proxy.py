"""`/mqtt`: MQTT of the pages over WebSocket, brought to the broker's own port.

Rules:
- The first packet is written anew with the login of the session's role; so the broker decides what a page may read and
  write, and no password of the broker's reaches a browser. What follows passes octet for octet, if `door` lets it.
- A page that is slow slows its own connection, and is cut off before it costs memory.
- A page goes when its session ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from esi_room.display.mqtt import connect
from esi_room.display.mqtt.door import MAX_BYTES, Door
from esi_room.display.mqtt.packets import Kind, Malformed, Packet, Splitter
from esi_room.display.mqtt.upstream import Line, Upstream
from esi_room.display.sessions import OPEN, Session, Sessions
from esi_room.errors import BrokerError
from esi_room.outputs.tasks import until_first

SUBPROTOCOL = "mqtt"
FIRST_S = 10.0  # until the CONNECT is whole
SLOW_S = 30.0  # for a page to take what came; longer is a page that is gone
PING_S = 20.0  # a browser that is switched off is noticed by then and half as much again
CLOSE_S = 2.0
WATCH_S = 2.0  # a session that has ended ends its connections within this
PAGES_MAX = 256  # connections at once; a room has some ten displays
PAGES_PER_SESSION = 64
OPEN_AS = "console"  # where nobody logs in, pages may what the console may

log = structlog.get_logger()


class Proxy:
    """All connections of one server."""

    def __init__(self, upstream: Upstream, sessions: Sessions) -> None:
        self._upstream, self._sessions = upstream, sessions
        self._pages: dict[web.WebSocketResponse, Session] = {}

    async def handle(self, request: web.Request, session: Session) -> web.StreamResponse:
        """One page's connection, until either side ends it."""
        mine = sum(other is session for other in self._pages.values())
        if len(self._pages) >= PAGES_MAX or mine >= PAGES_PER_SESSION:
            log.warning("display_too_many_pages", pages=len(self._pages), of_this_session=mine)
            raise web.HTTPServiceUnavailable(text="Too many pages are open.")
        ws = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,), max_msg_size=MAX_BYTES, heartbeat=PING_S, timeout=CLOSE_S, compress=False
        )
        if ws.can_prepare(request).protocol != SUBPROTOCOL:
            raise web.HTTPBadRequest(text="This is MQTT over WebSocket (subprotocol mqtt) and nothing else.")
        await ws.prepare(request)
        self._pages[ws] = session
        code, words = WSCloseCode.OK, ""
        try:
            await self._serve(ws, session)
        except connect.Refused as error:
            await ws.send_bytes(error.answer)
            code, words = WSCloseCode.POLICY_VIOLATION, str(error)
        except Malformed as error:
            code, words = WSCloseCode.PROTOCOL_ERROR, str(error)
        except BrokerError as error:
            code, words = WSCloseCode.TRY_AGAIN_LATER, str(error)
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            code, words = WSCloseCode.TRY_AGAIN_LATER, str(error) or "too slow"
        finally:
            del self._pages[ws]
        if code in (WSCloseCode.POLICY_VIOLATION, WSCloseCode.PROTOCOL_ERROR):
            log.warning("display_page_refused", role=session.role, address=request.remote, reason=words)
        await ws.close(code=code, message=words.encode()[:120])
        return ws

    async def watch(self) -> None:
        """End the connections of sessions that have ended. Runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            for ws, session in list(self._pages.items()):
                if not self._sessions.holds(session):
                    await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"logged out")

    async def close(self) -> None:
        """The server ends."""
        pages = list(self._pages)
        await asyncio.gather(*(ws.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends") for ws in pages))

    async def _serve(self, ws: web.WebSocketResponse, session: Session) -> None:
        splitter = Splitter(connect.MAX_BYTES)
        packets = _packets(ws, splitter)
        async with asyncio.timeout(FIRST_S):
            first = await anext(packets, None)
        if first is None:
            return
        asked = connect.read(first, session.client)
        splitter.max_bytes = MAX_BYTES
        login = self._upstream.login(OPEN_AS if session.role == OPEN else session.role)
        async with self._upstream.connected() as line:
            await line.send(connect.write(asked, login))
            await until_first(self._up(packets, line, Door(asked), session), _down(line, ws))

    async def _up(self, packets: AsyncIterator[Packet], line: Line, door: Door, session: Session) -> None:
        async for packet in packets:
            door.check(packet)
            if packet.kind == Kind.PUBLISH:
                self._sessions.use(session)
            await line.send(packet.octets)


async def _down(line: Line, ws: web.WebSocketResponse) -> None:
    while octets := await line.receive():
        async with asyncio.timeout(SLOW_S):
            await ws.send_bytes(octets)
    raise BrokerError("the broker has ended the connection")


async def _packets(ws: web.WebSocketResponse, splitter: Splitter) -> AsyncIterator[Packet]:
    """What the page sends, until it goes."""
    async for message in ws:
        if message.type is not WSMsgType.BINARY:
            raise Malformed("MQTT travels in binary frames")
        for packet in splitter.feed(message.data):
            yield packet
