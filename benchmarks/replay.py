"""The speed of `replay --speed max` and `replay --derive`, beside `sha256sum` and a plain line loop of the same file.

    python benchmarks/replay.py [--events 100000] [--dir .]

Makes a record of one oximeter's lines (Nellcor, one message an entry, a tenth of a second apart: each entry brings a
state with it) with its wire file. Replay goes to the embedded broker, where nobody listens. The memory is the process'
own at its highest.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from esi_room.audit.derive.record import derive
from esi_room.audit.replay.player import Pace, Pause, play
from esi_room.audit.replay.script import Script
from esi_room.cli.deriving import drivers
from esi_room.clock import ManualClock
from esi_room.drivers import registry
from esi_room.events import DeviceState, Event
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerSettings
from esi_room.outputs.topics import Topics
from esi_room.record import held
from esi_room.record.journal import Identity, Journal
from esi_room.station.decoder import Decoder

DEVICE, DRIVER = "oximeter-1", "nellcor_ascii"
LINE = b"02-Mar-26 08:00:%02d    %2d      %2d      39                     \r\n"
BATCH = 1000


async def build(data: Path, events: int) -> Path:
    clock = ManualClock()
    async with Journal.open(data, clock, Identity(room="bench")) as journal:
        module = registry.load(DRIVER)
        decoder = Decoder(DEVICE, module.make(module.Options()))
        wire = journal.wire(DEVICE)
        wire.opened(clock.now())
        decoder.opened(clock.now())
        state = DeviceState(state="connected", reason="bench", driver=DRIVER)
        journal.append(Event(source=DEVICE, data=state, received=clock.now()))
        for n in range(events):
            clock.advance(0.1)
            octets = LINE % (n // 10 % 60, 95 + n % 4, 70 + n % 9)
            wire.received(clock.now(), octets)
            for output in decoder.received(octets, clock.now()):
                if isinstance(output, Event):
                    journal.append(output)
            if n % BATCH == 0:
                await journal.settled()
        await journal.settled()
        return journal.directory


async def replay(record: Path, data: Path) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    broker = EmbeddedBroker(data / "broker", ("127.0.0.1", port), None)
    await broker.start()
    try:
        settings = BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id="bench")
        topics = Topics("bench/replay/one")
        played = await play(Script(record).messages(), settings, topics, Pace(None, Pause()))
    finally:
        await broker.stop()
    return played.entries


def line_loop(path: Path) -> int:
    with path.open("rb") as file:
        return sum(len(line) for line in file)


def derived(record: Path) -> int:
    differences = [each for finding in derive(record, drivers(None)) for each in finding.differences]
    return len(differences)


def timed(work: Callable[[], object]) -> tuple[float, object, float]:
    start = time.perf_counter()
    result = work()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return time.perf_counter() - start, result, peak_mib


def run(folder: Path, events: int) -> None:
    record = asyncio.run(build(folder / "data", events))
    journal = record / "journal.jsonl"
    print(f"{events:,} entries, {journal.stat().st_size >> 20} MiB; differences and problems are to be 0\n")
    print("| what | seconds | entries a second | times sha256sum | result | highest memory MiB |")
    print("|---|---|---|---|---|---|")
    works: dict[str, Callable[[], object]] = {
        "sha256sum": lambda: subprocess.run(["sha256sum", journal], check=True, stdout=subprocess.DEVNULL).returncode,
        "a plain line loop": lambda: line_loop(journal),
        "verify": lambda: len(held.report(record).problems),
        "replay --speed max": lambda: asyncio.run(replay(record, folder)),
        "replay --derive": lambda: derived(record),
    }
    base_s = 0.0
    for name, work in works.items():
        took_s, result, peak_mib = timed(work)
        base_s = base_s or took_s
        print(f"| {name} | {took_s:.2f} | {events / took_s:,.0f} | {took_s / base_s:.1f} | {result} | {peak_mib:.0f} |")


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to be measured")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-replay-", dir=arguments.dir))
    try:
        run(folder, arguments.events)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
