"""What could lose a line: a daemon killed at any moment, a subscriber that does not keep up. None may."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
from outputs_rig import CLOCK, Cable, Mosquitto, Nats, Subscriber, lines, pulse, running, settings, subscribed, until

from esi_room.clock import parse_rfc3339
from esi_room.outputs.commands import Commands
from esi_room.outputs.publisher import Publisher
from esi_room.record.journal import Identity, Journal

Broker = Mosquitto | Nats
DAEMON = Path(__file__).parent / "daemon.py"
SLOW_LINES = 20_000  # some 8 MB: more than sockets and the broker's queue of a thousand messages hold
SLOW_PAUSE_S = 0.01


@asynccontextmanager
async def killed(data: Path, broker: Broker) -> AsyncIterator[None]:
    """A daemon for the time of the `with`; it ends by kill -9."""
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, str(DAEMON), str(data), str(broker.port), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        daemon.kill()
        await daemon.wait()


async def test_a_killed_daemon_leaves_its_will(broker: Broker, tmp_path: Path) -> None:
    await broker.start()
    async with subscribed(broker.port) as seen:
        async with killed(tmp_path / "data", broker):
            await until(lambda: seen.last("status") and seen.vital())
            assert seen.last("status")["status"] == "online"
        await until(lambda: seen.last("status")["status"] == "offline")
        status = seen.last("status")
        assert (status["since"], status["record"]) == (None, None)
        assert "vanished" in status["problem"]
    async with subscribed(broker.port) as late:
        await until(lambda: late.last("status") and late.vital())
        assert late.last("status")["status"] == "offline", "the only thing that says the rest is old"
        assert not late.vital()["stale"], "nobody was there to say so"


async def test_a_daemon_killed_again_and_again_sends_every_line(broker: Broker, tmp_path: Path) -> None:
    chance = random.Random(3)
    await broker.start()
    async with subscribed(broker.port) as seen:
        for _ in range(3):
            enough = len(seen.events()) + chance.randrange(20, 300)
            async with killed(tmp_path / "data", broker):
                await until(lambda n=enough: len(seen.events()) > n)
        async with Journal.open(tmp_path / "data", CLOCK, Identity(room="esi-1")) as journal:
            await journal.commit(pulse(0))
            async with running(Publisher(journal, settings(broker.port), CLOCK)):
                await until(lambda: len(seen.first_seen()) == len(lines(journal)))
            assert seen.first_seen() == lines(journal)
            assert sum(b'"record.recovered"' in line for line in lines(journal)) == 3


async def test_a_slow_subscriber_ends_up_with_everything(
    broker: Broker, journal: Journal, free_port: Callable[[], int]
) -> None:
    """Mosquitto as it is out of the box drops what it cannot queue; `seq` shows it, and backfill fills it."""
    if isinstance(broker, Mosquitto):
        configuration = broker.folder / "m.conf"
        configuration.write_text(configuration.read_text().replace("max_queued_messages 100000", ""))
    await broker.start()
    publisher = Publisher(journal, settings(broker.port), CLOCK, commands=Commands(journal, {}))
    async with Cable(free_port(), broker.port) as cable, running(publisher):
        cable.pause_s = SLOW_PAUSE_S
        async with subscribed(cable.port, "esi/esi-1/event/#", "slow") as slow:
            for value in range(SLOW_LINES):
                journal.append(pulse(value))
            await until(lambda: publisher._outbox.waiting == 0, "the slow one holds up nobody else")
            cable.pause_s = 0.0
            await _quiet(slow)
            last = await journal.commit(pulse(0))
            await until(lambda: json.loads(slow.events()[-1])["seq"] == last.seq)
        got = {json.loads(octets)["seq"]: octets for octets in slow.events()}
        await _fill(got, last.seq, journal.record, broker.port)
        if isinstance(broker, Mosquitto):
            assert len(slow.first_seen()) < SLOW_LINES, "it dropped nothing: this tests no hole"
    assert [got[seq] for seq in sorted(got)] == lines(journal)


async def _quiet(subscriber: Subscriber) -> None:
    count = -1
    while count != len(subscriber.got):
        count = len(subscriber.got)
        await asyncio.sleep(0.3)


async def _fill(got: dict[int, bytes], last: int, record: str, port: int) -> None:
    """As a display does it: ask from the first line that is missing, until none is."""
    async with (
        subscribed(port, "esi/esi-1/reply/display/#", "display") as answers,
        aiomqtt.Client("127.0.0.1", port, identifier="asking") as asking,
    ):
        number = 0
        while missing := [seq for seq in range(last + 1) if seq not in got]:
            number += 1
            request = {"id": str(number), "actor": "display", "client": "display", "record": record}
            request |= {"from_seq": missing[0], "to_seq": missing[-1]}
            await asking.publish("esi/esi-1/command/backfill", json.dumps(request), 1)
            await until(lambda n=number: (answers.last("reply/display") or {}).get("id") == str(n))
            count = answers.last("reply/display")["count"]
            assert parse_rfc3339(answers.last("reply/display")["answered_at"]) <= CLOCK.now().wall_ns
            await until(lambda n=count: sum(t.endswith("/backfill") for t, _, _ in answers.got) >= n)
            for topic, octets, _ in answers.got:
                if topic.endswith("/backfill"):
                    got[json.loads(octets)["seq"]] = octets
            answers.got.clear()
