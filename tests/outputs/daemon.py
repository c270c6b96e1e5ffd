"""What a test kills: a journal that takes a reading every few milliseconds, and its publisher.

python daemon.py DATA BROKER_PORT
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from esi_room.clock import SystemClock
from esi_room.events import Event, Reading, VitalsNumeric
from esi_room.outputs.client import BrokerSettings
from esi_room.outputs.publisher import Publisher, PublisherSettings
from esi_room.record.journal import Identity, Journal

PAUSE_S = 0.002


async def main(data: Path, port: int) -> None:
    clock = SystemClock()
    settings = PublisherSettings(
        room="esi-1",
        broker=BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id="esi-room-esi-1"),
        software="test",
        configuration_sha256="0" * 64,
        devices=frozenset({"monitor-1"}),
    )
    async with Journal.open(data, clock, Identity(room="esi-1")) as journal:
        publishing = asyncio.create_task(Publisher(journal, settings, clock).run())
        for value in count():
            reading = Reading(code=149530, name="pulse_rate_bpm", value=value, unit="/min", status="ok")
            readings = VitalsNumeric(readings=(reading,), stale_after_s=60.0)
            journal.append(Event(source="monitor-1", data=readings, received=clock.now()))
            await asyncio.sleep(PAUSE_S)
        await publishing


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
