"""A script on its way to the broker, at its pace.

Rules:
- The pace is the script's own spacing divided by `speed`; None: as fast as disk and broker allow. A message that comes
  late (a slow broker) delays none of those that follow beyond that.
- Every message is acknowledged by the broker before the replay counts as over. One that the broker refuses, or a
  connection that dies, ends it (BrokerError): it can be begun again, from there.
- While it is paused nothing goes out, and afterwards the spacing goes on where it stood.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import aiomqtt
import msgspec

from esi_room.audit.replay.states import Message
from esi_room.clock import NS
from esi_room.outputs import topics as t
from esi_room.outputs.client import QOS, BrokerSettings, acknowledged, connect
from esi_room.outputs.messages import Status
from esi_room.outputs.tasks import until_first
from esi_room.outputs.topics import Topics

_encoder = msgspec.json.Encoder()


class Played(NamedTuple):
    """What was published."""

    entries: int
    others: int


class Pause:
    """Held or not, by whoever is at the keyboard."""

    def __init__(self) -> None:
        self._held, self._running = asyncio.Event(), asyncio.Event()
        self._running.set()

    @property
    def held(self) -> bool:
        """It stands still."""
        return self._held.is_set()

    def toggle(self) -> None:
        """Hold it, or let it go on."""
        self.go_on() if self.held else self.hold()

    def hold(self) -> None:
        """Nothing goes out from now on."""
        self._held.set()
        self._running.clear()

    def go_on(self) -> None:
        """It goes on."""
        self._running.set()
        self._held.clear()

    async def until_held(self, longest_s: float) -> None:
        """Returns when it is held, or after this time."""
        try:
            async with asyncio.timeout(longest_s):
                await self._held.wait()
        except TimeoutError:
            return

    async def over(self) -> None:
        """Returns when it is not held."""
        await self._running.wait()


class Pace:
    """When a moment of the script is due."""

    def __init__(self, speed: float | None, pause: Pause) -> None:
        self._speed, self._pause = speed, pause
        self._begin: tuple[int, float] | None = None  # a moment on the axis, and when it was

    async def due(self, at_ns: int) -> None:
        """Returns then."""
        clock = asyncio.get_running_loop().time
        self._begin = self._begin or (at_ns, clock())
        while True:
            if self._pause.held:
                held_s = clock()
                await self._pause.over()
                self._begin = (self._begin[0], self._begin[1] + clock() - held_s)
            if self._speed is None:
                return
            wait_s = self._begin[1] + (at_ns - self._begin[0]) / NS / self._speed - clock()
            if wait_s <= 0:
                return
            await self._pause.until_held(wait_s)


async def play(
    messages: AsyncIterator[Message],
    broker: BrokerSettings,
    topics: Topics,
    pace: Pace,
    progress: Callable[[Message], None] = lambda _: None,
) -> Played:
    """Publish all of it. BrokerError where the broker refuses it or is gone."""
    gone = Status(
        status="offline", software="", configuration_sha256="", since=None, record=None, problem="the replay broke off"
    )
    counts = [0, 0]
    async with connect(broker, aiomqtt.Will(topics(t.STATUS), _encoder.encode(gone), QOS, True)) as client:

        async def publish() -> None:
            waiting: deque[asyncio.Future[None]] = deque()
            async for message in messages:
                await pace.due(message.at_ns)
                waiting.append(await client.send(topics(message.topic), message.payload, retain=message.retain))
                while waiting and waiting[0].done():
                    waiting.popleft().result()
                counts[message.entry] += 1
                progress(message)
            for each in waiting:
                await acknowledged(each)

        await until_first(publish(), client.until_closed())
    return Played(entries=counts[True], others=counts[False])
