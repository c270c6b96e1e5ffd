"""What the broker keeps for late joiners: for each topic the latest payload, and nothing older.

A broker may lose what it keeps (its store wiped, another machine), so every connection publishes all of it again.
"""

from __future__ import annotations

import asyncio

import structlog

from esi_room.outputs.client import BrokerClient, RefusedError

log = structlog.get_logger()


class Retained:
    """The latest payload of each retained topic. An empty payload clears the topic at the broker."""

    def __init__(self) -> None:
        self._latest: dict[str, bytes] = {}
        self._dirty: dict[str, None] = {}  # an ordered set: what changed first goes first
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._refused: set[str] = set()

    def set(self, topic: str, payload: bytes) -> None:
        """Publish this, now or at the next connection; an unsent older payload is dropped."""
        self._latest[topic] = payload
        self._dirty[topic] = None
        self._settled.clear()
        self._changed.set()

    async def pump(self, client: BrokerClient) -> None:
        """Publish all of it, then every change, for ever. BrokerError when the connection dies."""
        self._dirty = dict.fromkeys(self._latest)
        while True:
            while self._dirty:
                topic = next(iter(self._dirty))
                del self._dirty[topic]
                await self._deliver(client, topic)
            self._settled.set()
            self._changed.clear()
            await self._changed.wait()

    async def settled(self) -> None:
        """Returns when everything set so far is acknowledged."""
        await self._settled.wait()

    async def _deliver(self, client: BrokerClient, topic: str) -> None:
        try:
            await client.deliver(topic, self._latest[topic], retain=True)
            self._refused.discard(topic)
        except RefusedError as error:
            if topic not in self._refused:
                log.error("broker_refuses_state", topic=topic, reason=str(error))
            self._refused.add(topic)
