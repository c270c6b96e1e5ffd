"""One connection to the broker: aiomqtt, with the three things that an outbox needs added.

Rules:
- A publish is acknowledged (PUBACK, and not a refusing one), refused, or the connection died: it never hangs on a
  dead link and never counts as sent because the client said so.
- Up to WINDOW publishes are under way at once, in order: one round trip a message would bound the rate.
- A client object lives for one connection. What it had not sent can then not come out later, out of order.
- MQTT 5 is tried first, for one reason: its PUBACK says when a publish was refused (Mosquitto's ACL), which
  3.1.1 cannot say. A broker that does not speak it (NATS) is spoken to in 3.1.1; nothing else differs. Over
  WebSocket it is 3.1.1 at once: there NATS 2.15 leaves a CONNECT of MQTT 5 unanswered instead of refusing it.
- The session is clean: a command that waited in the broker while the room was off must not act minutes later.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError
from msgspec import Struct
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from esi_room.errors import BrokerError
from esi_room.outputs import tls

WINDOW = 64  # publishes under way: at 1 ms a round trip some 60,000 a second, and at most 64 repeated after a cut
KEEPALIVE_S = 10  # a half-open connection is noticed within 1.5 of these; the will is sent by then
CONNECT_TIMEOUT_S = 10.0
ACK_TIMEOUT_S = 30.0  # a broker that takes longer to acknowledge is as good as gone
INCOMING = 256  # messages waiting to be handled; more are dropped, and their sender asks again under the same id
MAX_PACKET_BYTES = 1 << 20  # what a MQTT 5 broker may send us: commands are at most 64 KiB
QOS = 1
REFUSING = 0x80  # reason codes from here on are failures (MQTT 5, 2.4)

CLOSED_UNANSWERED = (
    "the broker closed the connection before it answered: it may want TLS (mqtts://, wss://) or a client certificate "
    "(cert_file, key_file)"
)

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
WEBSOCKET_PATH = "/mqtt"  # what NATS and EMQX want and Mosquitto ignores

_quiet = logging.getLogger("esi_room.mqtt")  # paho logs every lost socket; an outage is one line, and ours
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class RefusedError(BrokerError):
    """The broker lives, but does not take this message (an access rule, a size limit)."""


class BrokerSettings(Struct, frozen=True, kw_only=True):
    """Where the broker is and who we are to it. The password is a value here: configuration read its file."""

    url: str
    client_id: str
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def __repr__(self) -> str:
        return f"BrokerSettings({self.url!r}, client_id={self.client_id!r})"  # a password has no place in a log


class Address(NamedTuple):
    """A broker's URL, taken apart."""

    host: str
    port: int
    websocket: bool
    tls: bool
    path: str


def parse_url(url: str) -> Address:
    """`mqtt://`, `mqtts://`, `ws://` or `wss://host[:port][/path]`. BrokerError says what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise BrokerError(f"{url!r} is no broker: it starts with one of {', '.join(f'{s}://' for s in PORTS)}")
    try:
        port = parts.port or PORTS[parts.scheme]
    except ValueError as error:
        raise BrokerError(f"{url!r}: {error}") from error
    if not parts.hostname:
        raise BrokerError(f"{url!r} names no host")
    websocket, tls = parts.scheme in ("ws", "wss"), parts.scheme in ("mqtts", "wss")
    return Address(parts.hostname, port, websocket, tls, parts.path or WEBSOCKET_PATH)


class BrokerClient(aiomqtt.Client):
    """A connection that is up. Made by `connect`."""

    def __init__(
        self,
        settings: BrokerSettings,
        will: aiomqtt.Will | None,
        version: aiomqtt.ProtocolVersion,
        context: ssl.SSLContext | None,
    ) -> None:
        address = parse_url(settings.url)
        super().__init__(
            address.host,
            address.port,
            identifier=settings.client_id,
            username=settings.username,
            password=settings.password,
            logger=_quiet,
            protocol=version,
            will=will,
            clean_session=None if version is aiomqtt.ProtocolVersion.V5 else True,
            transport="websockets" if address.websocket else "tcp",
            websocket_path=address.path if address.websocket else None,
            timeout=CONNECT_TIMEOUT_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=INCOMING,
            max_inflight_messages=0,  # `send` holds the window: paho's own would queue without telling
            properties=_connect_properties(version),
            tls_context=context,
        )
        self._client.disable_logger()  # paho words two lines a message, for nobody
        self._loop_thread = threading.get_ident()
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._slots = asyncio.Semaphore(WINDOW)

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Publish at QoS 1 as soon as the window allows, in the order of the calls.

        The future is done at the PUBACK; it raises RefusedError if that refuses, BrokerError if the connection
        died first.
        """
        await self._slots.acquire()
        ack: asyncio.Future[None] = self._loop.create_future()
        ack.add_done_callback(_retrieved)
        if self._disconnected.done():
            self._slots.release()
            ack.set_exception(self._gone())
            return ack
        info = self._client.publish(topic, payload, QOS, retain)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            self._slots.release()
            ack.set_exception(BrokerError(f"not sent: {paho.error_string(info.rc)}"))
            return ack
        self._acks[info.mid] = ack
        return ack

    async def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """`send`, and wait for the acknowledgement."""
        ack = await self.send(topic, payload, retain=retain)
        await acknowledged(ack)

    async def listen(self, topic: str) -> None:
        """Subscribe at QoS 1. RefusedError if an access rule forbids it."""
        try:
            codes = await self.subscribe(topic, QOS)
        except aiomqtt.MqttError as error:
            raise BrokerError(f"the broker did not answer a subscription: {error}") from error
        for code in codes:
            if (code.value if isinstance(code, ReasonCode) else code) >= REFUSING:
                raise RefusedError(f"the broker refuses the subscription to {topic}: {code}")

    async def received(self) -> AsyncIterator[aiomqtt.Message]:
        """What comes in on the subscribed topics, until the connection dies (BrokerError)."""
        try:
            async for message in self.messages:
                yield message
        except aiomqtt.MqttError:
            raise self._gone() from None

    async def until_closed(self) -> None:
        """Returns never: raises BrokerError when the connection is gone."""
        with suppress(aiomqtt.MqttError, OSError):
            await asyncio.shield(self._disconnected)
        raise self._gone()

    def _gone(self) -> BrokerError:
        error = self._disconnected.exception() if self._disconnected.done() else None
        return BrokerError(f"the connection to the broker is gone: {error or 'it closed it'}")

    def _opened(self) -> None:
        self._disconnected.add_done_callback(self._fail_waiting)

    def _fail_waiting(self, _: asyncio.Future[None]) -> None:
        waiting, self._acks = self._acks, {}
        for ack in waiting.values():
            self._slots.release()
            if not ack.done():
                ack.set_exception(self._gone())

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        # MQTT 5, 3.2.2.3.3: a broker may take fewer at once (Mosquitto: 20) and closes the connection at one more.
        allowed = getattr(properties, "ReceiveMaximum", WINDOW)
        self._slots = asyncio.Semaphore(min(WINDOW, allowed))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """aiomqtt's own lets an attempt wait for its whole timeout although the broker has hung up."""
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(CLOSED_UNANSWERED))
            self._connected.exception()  # where nobody waits for it any more, it is no news
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        ack = self._acks.pop(mid, None)
        if ack is None:
            return
        self._slots.release()
        if ack.done():
            return
        if reason_code.value >= REFUSING:
            ack.set_exception(RefusedError(f"the broker refuses it: {reason_code}"))
        else:
            ack.set_result(None)

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        """aiomqtt's own defers this always, and may so watch a descriptor that is closed by then, or another's."""

        def watch() -> None:
            if client.socket() is sock and sock is not None:
                self._loop.add_writer(sock.fileno(), self._write_more)

        if threading.get_ident() == self._loop_thread:
            watch()
        else:  # paho connects in a thread of the executor
            self._loop.call_soon_threadsafe(watch)

    def _write_more(self) -> None:
        self._client.loop_write()

    def drop(self) -> None:
        """Close the socket of an attempt that did not become a connection (aiomqtt would leave it open)."""
        self._client.disconnect()


async def acknowledged(ack: asyncio.Future[None]) -> None:
    """Wait for what `send` returned, but not for ever."""
    try:
        async with asyncio.timeout(ACK_TIMEOUT_S):
            await ack
    except TimeoutError as error:
        raise BrokerError(f"the broker acknowledged nothing for {ACK_TIMEOUT_S:g} s") from error


@asynccontextmanager
async def connect(settings: BrokerSettings, will: aiomqtt.Will | None = None) -> AsyncIterator[BrokerClient]:
    """A connection for the time of the `with`. BrokerError says why there is none."""
    context = await asyncio.to_thread(_tls_context, settings)
    client = await _open(settings, will, context)
    try:
        yield client
    finally:
        with suppress(aiomqtt.MqttError, OSError):
            await client.__aexit__(None, None, None)
        client.drop()


async def _open(settings: BrokerSettings, will: aiomqtt.Will | None, context: ssl.SSLContext | None) -> BrokerClient:
    try:
        if not parse_url(settings.url).websocket:
            return await _attempt(settings, will, aiomqtt.ProtocolVersion.V5, context)
    except MqttConnectError as error:
        if not (isinstance(error.rc, ReasonCode) and error.rc.getName() == "Unsupported protocol version"):
            raise _refused(settings, error) from error
    except aiomqtt.MqttError as error:
        raise _refused(settings, error) from error
    try:
        return await _attempt(settings, will, aiomqtt.ProtocolVersion.V311, context)
    except aiomqtt.MqttError as error:
        raise _refused(settings, error) from error


async def _attempt(
    settings: BrokerSettings,
    will: aiomqtt.Will | None,
    version: aiomqtt.ProtocolVersion,
    context: ssl.SSLContext | None,
) -> BrokerClient:
    client = BrokerClient(settings, will, version, context)
    try:
        await client.__aenter__()
    except BaseException:
        client.drop()
        raise
    client._opened()
    return client


def _refused(settings: BrokerSettings, error: Exception) -> BrokerError:
    return BrokerError(f"no connection to the broker at {settings.url}: {tls.with_remedy(str(error))}")


def _tls_context(settings: BrokerSettings) -> ssl.SSLContext | None:
    if not parse_url(settings.url).tls:
        return None
    return tls.context(settings.ca_file, settings.cert_file, settings.key_file)


def _connect_properties(version: aiomqtt.ProtocolVersion) -> Properties | None:
    if version is not aiomqtt.ProtocolVersion.V5:
        return None
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    return properties


def _retrieved(ack: asyncio.Future[None]) -> None:
    """An acknowledgement that nobody waits for any more (the connection died) is no news."""
    if not ack.cancelled():
        ack.exception()
