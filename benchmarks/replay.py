"""The speed of `replay --speed max` and `replay --derive`, beside `sha256sum` and a plain line loop of the same file.

    python benchmarks/replay.py [--events 100000] [--dir .]

Makes a record of one oximeter's lines (Nellcor, one message an entry, a tenth of a second apart: each entry brings a
state with it) with its wire file. Replay goes to the embedded broker, where nobody listens. Each is a process of its
own. The ratios are of the CPU's time, which is about the same on a busy machine, and without what an interpreter takes
to begin; the broker's is counted with the replay. The memory is the highest of the process or of the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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


class Cost(NamedTuple):
    """Of a process and of those that it started: the broker, with a replay."""

    took_s: float
    cpu_s: float
    peak_mib: float
    result: str


def cost(arguments: list[str]) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} failed")
    return Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said.strip()[-12:])


WORKS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: "",
    "line loop": lambda record: line_loop(record / "journal.jsonl"),
    "verify": lambda record: len(held.report(record).problems),
    "replay --speed max": lambda record: asyncio.run(replay(record, record.parent.parent)),
    "replay --derive": derived,
}


def run(folder: Path, events: int) -> None:
    subprocess.run([sys.executable, __file__, "--events", str(events), "--build", folder / "data"], check=True)
    (record,) = (folder / "data" / "records").iterdir()
    journal = record / "journal.jsonl"
    print(f"{events:,} entries, {journal.stat().st_size >> 20} MiB; differences and problems are to be 0\n")
    print("| what | seconds | CPU seconds | times sha256sum | times a line loop | result | peak MiB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    hashed = cost(["sha256sum", str(journal)])
    said = {name: cost([sys.executable, __file__, "--only", name, str(record)]) for name in list(WORKS)[:2]}
    begun_s, looped = said["nothing"].cpu_s, said["line loop"]
    loop_s = looped.cpu_s - begun_s
    print(_row("sha256sum", hashed, 0.0, hashed.cpu_s, loop_s))
    print(_row("a plain line loop", looped, begun_s, hashed.cpu_s, loop_s), flush=True)
    for name in list(WORKS)[2:]:
        print(_row(name, cost([sys.executable, __file__, "--only", name, str(record)]), begun_s, hashed.cpu_s, loop_s))
        sys.stdout.flush()


def _row(name: str, each: Cost, begun_s: float, hashed_s: float, loop_s: float) -> str:
    """The CPU's time without that of an interpreter that does nothing."""
    cpu_s = each.cpu_s - begun_s
    ratios = f"{cpu_s / hashed_s:.1f} | {cpu_s / loop_s:.1f}"
    return f"| {name} | {each.took_s:.1f} | {cpu_s:.2f} | {ratios} | {each.result} | {each.peak_mib:.0f} |"


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to be measured")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.build:
        asyncio.run(build(arguments.build, arguments.events))
        return
    if arguments.only:
        print(WORKS[arguments.only[0]](Path(arguments.only[1])))
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-replay-", dir=arguments.dir))
    try:
        run(folder, arguments.events)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
