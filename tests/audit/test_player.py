"""The pace of a replay, and the broker at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from virtual.loop import VirtualLoop
from virtual.mqtt import Broker, DaemonClient
from virtual.room import START
from virtual.world import world

from esi_room.audit.replay import player
from esi_room.audit.replay.player import Pace, Pause, play
from esi_room.audit.replay.states import Message
from esi_room.clock import NS
from esi_room.errors import BrokerError
from esi_room.outputs.client import BrokerSettings
from esi_room.outputs.topics import Topics

BROKER = BrokerSettings(url="mqtt://127.0.0.1", client_id="replay")
TOPICS = Topics("esi-1/replay/one")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with world(START, 1) as clock, asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        yield runner


async def messages(*moments_s: float) -> AsyncIterator[Message]:
    for moment_s in moments_s:
        yield Message(round(moment_s * NS), "event/a", str(moment_s).encode(), retain=False, entry=True)


async def times(pace: Pace, *moments_s: float) -> list[float]:
    clock = asyncio.get_running_loop().time
    began_s, found = clock(), []
    async for message in messages(*moments_s):
        await pace.due(message.at_ns)
        found.append(round(clock() - began_s, 3))
    return found


@pytest.mark.parametrize(("speed", "expected"), [(1.0, [0, 4, 10]), (2.0, [0, 2, 5]), (None, [0, 0, 0])])
def test_the_spacing_is_that_of_then_divided_by_the_speed(
    runner: asyncio.Runner, speed: float | None, expected: list[float]
) -> None:
    async def run() -> list[float]:
        return await times(Pace(speed, Pause()), 100, 104, 110)

    assert runner.run(run()) == expected


@pytest.mark.parametrize("speed", [1.0, None])
def test_a_pause_holds_everything_and_moves_what_follows(runner: asyncio.Runner, speed: float | None) -> None:
    async def run() -> list[float]:
        pause = Pause()
        loop = asyncio.get_running_loop()
        if speed is None:
            pause.toggle()
        else:
            loop.call_later(2, pause.toggle)
        loop.call_later(32, pause.toggle)
        return await times(Pace(speed, pause), 100, 104, 110)

    assert runner.run(run()) == ([32, 32, 32] if speed is None else [0, 34, 40])


def test_everything_goes_below_its_session(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    monkeypatch.setattr(player, "connect", broker.connect)

    async def run() -> player.Played:
        return await play(messages(1, 2, 3), BROKER, TOPICS, Pace(None, Pause()))

    assert runner.run(run()).entries == 3
    assert {message.topic for message in broker.messages} == {"esi/esi-1/replay/one/event/a"}


def test_a_broker_that_refuses_ends_it(runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(DaemonClient):
        async def send(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
            acknowledged = await super().send(topic, payload, retain=retain)
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(BrokerError("the broker refuses it"))
            return refused if payload == b"2" else acknowledged

    @asynccontextmanager
    async def connect(*_: object) -> AsyncIterator[DaemonClient]:
        yield Refusing(Broker())

    monkeypatch.setattr(player, "connect", connect)

    async def run() -> None:
        await play(messages(1, 2, 3), BROKER, TOPICS, Pace(None, Pause()))

    with pytest.raises(BrokerError, match="refuses"):
        runner.run(run())
