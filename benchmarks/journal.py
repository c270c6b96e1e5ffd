"""The journal's speed and memory, beside SQLite (WAL, synchronous=FULL) doing the same durable inserts.

    python benchmarks/journal.py [--events 1000000] [--dir .]

Prints committed events a second, one at a time (each waits for its own commit) and by the hundred (a hundred share
one), and the resident memory of the process at every tenth of the long run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from esi_room.clock import SystemClock
from esi_room.events import Event, Reading, VitalsNumeric
from esi_room.record.journal import Identity, Journal
from esi_room.record.verify_room import verify_room

CLOCK = SystemClock()
READINGS = tuple(
    Reading(code=code, name=name, value=value, unit=unit, status="ok")
    for code, name, value, unit in (
        (147842, "heart_rate_per_min", 72, "/min"),
        (150456, "spo2_pct", 98, "%"),
        (150021, "nibp_systolic_mmhg", 121, "mm[Hg]"),
        (151562, "resp_rate_per_min", 14, "/min"),
    )
)


def event() -> Event:
    return Event(source="monitor-1", data=VitalsNumeric(readings=READINGS, stale_after_s=15.0), received=CLOCK.now())


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def one_at_a_time(journal: Journal, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        await journal.commit(event())
    return count / (time.perf_counter() - start)


async def by_the_hundred(journal: Journal, count: int) -> tuple[float, list[float]]:
    memory = []
    start = time.perf_counter()
    for n in range(count // 100):
        for _ in range(99):
            journal.append(event())
        await journal.commit(event())
        if n % (count // 1000) == 0:
            memory.append(resident_mib())
    return count / (time.perf_counter() - start), memory


def sqlite(folder: Path, count: int, batch: int) -> float:
    database = sqlite3.connect(folder / f"peer-{batch}.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, line BLOB)")
    line = b"x" * 620
    start = time.perf_counter()
    for _ in range(count // batch):
        database.execute("BEGIN")
        database.executemany("INSERT INTO journal (line) VALUES (?)", [(line,)] * batch)
        database.execute("COMMIT")
    rate = count / (time.perf_counter() - start)
    database.close()
    return rate


async def run(folder: Path, events: int) -> None:
    async with Journal.open(folder / "data", CLOCK, Identity(room="bench")) as journal:
        alone = await one_at_a_time(journal, 3000)
        shared, memory = await by_the_hundred(journal, events)
    start = time.perf_counter()
    holds = all(report.ok for report in verify_room(folder / "data"))
    verify_rate = events / (time.perf_counter() - start)
    print("| committed events a second | one at a time | by the hundred |")
    print("|---|---|---|")
    print(f"| esi_room journal | {alone:,.0f} | {shared:,.0f} |")
    peer_alone, peer_shared = sqlite(folder, 3000, 1), sqlite(folder, 100_000, 100)
    print(f"| SQLite {sqlite3.sqlite_version}, WAL, FULL | {peer_alone:,.0f} | {peer_shared:,.0f} |")
    print(f"\nResident memory over {events:,} events, MiB: {' '.join(f'{m:.0f}' for m in memory)}")
    print(f"verify: {'holds' if holds else 'BROKEN'}, {verify_rate:,.0f} lines a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to be measured")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-journal-", dir=arguments.dir))
    try:
        asyncio.run(run(folder, arguments.events))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
