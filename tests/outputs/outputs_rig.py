"""Two real brokers, a publisher in the background, and a subscriber that keeps what it got."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt

from esi_room.clock import SystemClock
from esi_room.events import CarmImage, Event, Payload, Reading, VitalsNumeric
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerSettings
from esi_room.outputs.publisher import Publisher, PublisherSettings
from esi_room.record.journal import Journal

DEADLINE_S = 30.0  # twenty thousand lines on a loaded machine
CLOCK = SystemClock()


def event(data: Payload, source: str = "monitor-1") -> Event:
    return Event(source=source, data=data, received=CLOCK.now())


def pulse(value: int, stale_after_s: float = 60.0) -> Event:
    reading = Reading(code=149530, name="pulse_rate_bpm", value=value, unit="/min", status="ok")
    return event(VitalsNumeric(readings=(reading,), stale_after_s=stale_after_s))


def image(sha256: str) -> Event:
    """An image with pixels whose file has this digest."""
    return event(
        CarmImage(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.12.1",
            sop_instance_uid="1.2.3",
            study_uid=None,
            series_uid=None,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sha256=sha256,
            size_bytes=1,
            rows=512,
            columns=512,
            frames=None,
            acquired=None,
            dose={},
            peer="OEC_9900@127.0.0.1",
            duplicate_of=None,
        ),
        "carm",
    )


async def until(true: Callable[[], object], what: str = "") -> None:
    """Wait until `true()`; fail after DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        await asyncio.sleep(0.01)


async def until_open(port: int) -> None:
    """Wait until somebody listens on loopback."""
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < end, f"nobody listens on {port}"
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await writer.wait_closed()
        return


class Mosquitto:
    """A Mosquitto of our own on one port."""

    def __init__(self, program: str, folder: Path, port: int, extra: str = "allow_anonymous true") -> None:
        self.program, self.folder, self.port = program, folder, port
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "m.conf").write_text(f"listener {port} 127.0.0.1\nmax_queued_messages 100000\nuser root\n{extra}\n")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        null = asyncio.subprocess.DEVNULL
        self.process = await asyncio.create_subprocess_exec(
            self.program, "-c", str(self.folder / "m.conf"), stdout=null, stderr=null, cwd=self.folder
        )
        await until_open(self.port)

    async def kill(self) -> None:
        if self.process is not None:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()
            self.process = None

    stop = kill


class Nats:
    """The embedded broker, with what a test does to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.broker = EmbeddedBroker(folder, ("127.0.0.1", port))

    async def start(self) -> None:
        await self.broker.start()

    async def kill(self) -> None:
        if self.broker._child is not None:
            self.broker._child.process.kill()
        await self.broker.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def stop(self) -> None:
        await self.broker.stop()


def settings(port: int, devices: tuple[str, ...] = ("monitor-1",), **more: Any) -> PublisherSettings:
    return PublisherSettings(
        room="esi-1",
        broker=BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id="esi-room-esi-1", **more),
        software="test",
        configuration_sha256="0" * 64,
        devices=frozenset(devices),
        backoff_s=(0.05, 0.2),
    )


@asynccontextmanager
async def running(publisher: Publisher, *, stop: bool = True) -> AsyncIterator[Publisher]:
    """`publisher.run()` in the background; `stop`: an orderly end, else it is cancelled."""
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        if stop:
            publisher.stop("the test is over")
        else:
            task.cancel()
        result = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result[0], Exception):
            raise result[0]


class Subscriber:
    """Everything that came, in order."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, bool]] = []

    def events(self) -> list[bytes]:
        return [octets for topic, octets, _ in self.got if "/event/" in topic]

    def first_seen(self) -> list[bytes]:
        """Every event once, in the order of its first arrival."""
        return list(dict.fromkeys(self.events()))

    def vital(self) -> dict[str, Any]:
        """The first value of `state/vitals`; empty before there is one."""
        values = (self.last("state/vitals") or {}).get("values")
        return values[0] if values else {}

    def last(self, topic: str) -> Any:
        found = [octets for name, octets, _ in self.got if name == f"esi/esi-1/{topic}"]
        return json.loads(found[-1]) if found and found[-1] else None


@asynccontextmanager
async def subscribed(port: int, topic: str = "esi/#", client_id: str = "display") -> AsyncIterator[Subscriber]:
    subscriber = Subscriber()
    async with aiomqtt.Client("127.0.0.1", port, identifier=client_id) as client:
        await client.subscribe(topic, 1)

        async def collect() -> None:
            try:
                async for message in client.messages:
                    subscriber.got.append((str(message.topic), bytes(message.payload), message.retain))  # type: ignore[arg-type]
            except aiomqtt.MqttError:
                return

        task = asyncio.create_task(collect())
        try:
            yield subscriber
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


Lines = Callable[[], Awaitable[list[bytes]]]


def lines(journal: Journal) -> list[bytes]:
    """What is on disk, all records."""
    octets: list[bytes] = []
    for path in sorted((journal.root / "records").glob("*/journal.jsonl")):
        octets += path.read_bytes().splitlines(keepends=True)
    return octets


class Cable:
    """A TCP line to a broker that can be cut in the middle of anything, or be slow.

    `pause_s`: after each packet of 1500 bytes from the broker.
    """

    def __init__(self, port: int, broker_port: int) -> None:
        self.port, self._broker_port = port, broker_port
        self.pause_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.sleep(0.05)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self._broker_port)
        self._writers |= {writer, onward}
        await asyncio.gather(self._pass(reader, onward), self._pass(there, writer, slow=True), return_exceptions=True)
        self._writers -= {writer, onward}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool = False) -> None:
        try:
            while chunk := await reader.read(1500):
                writer.write(chunk)
                await writer.drain()
                if slow and self.pause_s:
                    await asyncio.sleep(self.pause_s)
        finally:
            writer.close()
