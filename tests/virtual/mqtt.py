"""The broker, in memory, with its two kinds of clients: the daemon's connection and the staff's console.

Whoever is subscribed gets what is published, in its order; retained messages come at the subscription. The broker is
always there, and keeps everything that was ever published for the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from paho.mqtt.client import topic_matches_sub


class Message(NamedTuple):
    """One message as a subscriber gets it. `retain`: it was there before the subscription."""

    topic: str
    payload: bytes
    retain: bool = False


class Broker:
    """`messages`: everything that was published; `retained`: what late joiners get, by topic."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.retained: dict[str, bytes] = {}
        self._subscriptions: list[tuple[str, asyncio.Queue[Message]]] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """To everybody who is subscribed."""
        message = Message(topic, payload)
        self.messages.append(Message(topic, payload, retain))
        if retain:
            self.retained.pop(topic, None)
            self.retained |= {topic: payload} if payload else {}
        for wanted, inbox in self._subscriptions:
            if topic_matches_sub(wanted, topic):
                inbox.put_nowait(message)

    def subscribe(self, wanted: str, inbox: asyncio.Queue[Message]) -> None:
        """From now on, and what is retained."""
        self._subscriptions.append((wanted, inbox))
        for topic, payload in self.retained.items():
            if topic_matches_sub(wanted, topic):
                inbox.put_nowait(Message(topic, payload, retain=True))

    def forget(self, inbox: asyncio.Queue[Message]) -> None:
        """Its owner is gone."""
        self._subscriptions = [each for each in self._subscriptions if each[1] is not inbox]

    @asynccontextmanager
    async def connect(self, _settings: object, _will: object = None) -> AsyncIterator[DaemonClient]:
        """In the place of `esi_room.outputs.client.connect`."""
        client = DaemonClient(self)
        try:
            yield client
        finally:
            self.forget(client.inbox)

    def console(self, *_address: object, **_settings: object) -> Console:
        """In the place of `aiomqtt.Client`."""
        return Console(self)


class DaemonClient:
    """What the daemon uses of `esi_room.outputs.client.BrokerClient`."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self.inbox = broker, asyncio.Queue[Message]()

    async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Acknowledged at once."""
        self._broker.publish(topic, payload, retain=retain)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged

    async def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._broker.publish(topic, payload, retain=retain)

    async def listen(self, topic: str) -> None:
        self._broker.subscribe(topic, self.inbox)

    async def received(self) -> AsyncIterator[Message]:
        while True:
            yield await self.inbox.get()

    async def until_closed(self) -> None:
        await asyncio.Event().wait()


class Console:
    """What a console uses of `aiomqtt.Client`."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self._inbox = broker, asyncio.Queue[Message]()

    async def __aenter__(self) -> Console:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._broker.forget(self._inbox)

    async def subscribe(self, topic: str, qos: int = 0) -> None:
        self._broker.subscribe(topic, self._inbox)

    async def publish(self, topic: str, payload: Any = b"", qos: int = 0, retain: bool = False, **_: object) -> None:
        octets = payload.encode() if isinstance(payload, str) else bytes(payload)
        self._broker.publish(topic, octets, retain=retain)

    @property
    async def messages(self) -> AsyncIterator[Message]:
        while True:
            yield await self._inbox.get()
