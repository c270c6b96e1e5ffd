"""The records' pages: the list of a room of a thousand records, and the page of eight hours under the cursor.

    python benchmarks/records.py [--records 1000] [--hours 8] [--dir .]

The room: as many records, every other one a case of a quarter of an hour (1,400 lines, four images), the others the
standby between. What the server does for the list and for a page, in its own event loop; the longest time for which
that loop was kept from anything else. Beside it: `sha256sum` of every file, which verifying cannot do without.

The page: a record as `export.py` makes it, opened in Chromium from its file. A move of the cursor takes from the input
to the end of the frame in which the panel shows it; beside it the same of a page that does nothing in between.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import export
import structlog
from playwright.async_api import async_playwright

from esi_room import events as e
from esi_room.audit.export.case import load
from esi_room.audit.export.page import export as export_page
from esi_room.clock import ManualClock
from esi_room.display.records import listing
from esi_room.display.records.shelf import Shelf
from esi_room.record.journal import Identity, Journal

LINES, IMAGES = 1400, 4
MOVES = 300
TICK_S = 0.005
CHROMIUM = ("--no-sandbox", "--disable-gpu")
MOVED = """async ([moves, bare]) => {
  const slider = document.querySelector(".slider input"), took = [];
  for (let n = 0; n < moves; n += 1) {
    await new Promise((done) => requestAnimationFrame(done));
    const start = performance.now();
    if (!bare) {
      slider.value = String(Math.floor((Number(slider.max) * ((n * 7919) % moves)) / moves));
      slider.dispatchEvent(new Event("input"));
    }
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    took.push(performance.now() - start);
  }
  return took;
}"""


async def build(data: Path, count: int) -> None:
    clock = ManualClock()
    async with Journal.open(data, clock, Identity(room="bench")) as journal:
        for number in range(count // 2):
            await journal.switch("procedure", "bench")
            (journal.directory / "frames").mkdir()
            export.say(journal, clock, "room", e.ProcedureStarted(procedure=f"Case {number}", origin="staff"))
            for second in range(LINES):
                clock.advance(0.6)
                for source, payload in list(export.said(second + 1, journal.directory, clock))[:1]:
                    export.say(journal, clock, source, payload)
            for image in range(IMAGES):
                export.say(journal, clock, "carm", export.image(number * IMAGES + image, journal.directory))
            await journal.settled()
            await journal.switch("standby", "bench")
            clock.advance(900)


class Loop:
    """How long the event loop was kept from anything else."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def watch(self) -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self.worst_s = max(self.worst_s, time.perf_counter() - start - TICK_S)


async def room(data: Path) -> None:
    shelf, loop = Shelf(data), Loop()
    watching = asyncio.create_task(loop.watch())

    def told(what: str, start: float) -> None:
        print(f"| {what} | {time.perf_counter() - start:.3f} | {loop.worst_s * 1000:.0f} |", flush=True)
        loop.worst_s = 0.0

    print("| what | seconds | the loop was kept, ms at most |\n|---|---|---|")
    start = time.perf_counter()
    for what in ("the list, nothing known yet", "the list again"):
        rows = await shelf.rows()
        listing.page(rows, listing.Search())
        told(what, start)
        start = time.perf_counter()
    while any(row.summary.sealed and row.verdict is None for row in await shelf.rows()):
        await asyncio.sleep(0.2)
    told("all of it verified, meanwhile the list every 0.2 s", start)
    files = [str(path) for path in data.rglob("*") if path.is_file()]
    start = time.perf_counter()
    await asyncio.to_thread(subprocess.run, ["sha256sum", *files], stdout=subprocess.DEVNULL, check=True)
    told("sha256sum of every file", start)
    cases = [row.summary.record for row in rows if row.summary.kind == "procedure"]
    for what, record in (("newest", cases[0]), ("oldest", cases[-1]), ("oldest, again", cases[-1])):
        start = time.perf_counter()
        await shelf.page(record, identity=False)
        told(f"the page of the {what}", start)
    watching.cancel()
    await shelf.close()


async def cursor(page: Path, program: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(CHROMIUM))
        tab = await browser.new_page(viewport={"width": 1920, "height": 1080})
        start = time.perf_counter()
        await tab.goto(page.as_uri())
        await tab.wait_for_selector(".moment")
        there_s, size_mib = time.perf_counter() - start, page.stat().st_size / (1 << 20)
        print(f"\nThe page of a long record, {size_mib:.1f} MiB: there in {there_s:.2f} s\n")
        print("| a move of the cursor | p50 ms | p95 ms | max ms |\n|---|---|---|---|")
        for what, bare in (("the page", False), ("nothing but the frame", True)):
            took = sorted(await tab.evaluate(MOVED, [MOVES, bare]))
            row = f"{statistics.median(took):.1f} | {took[round(len(took) * 0.95)]:.1f} | {took[-1]:.1f}"
            print(f"| {what} | {row} |", flush=True)
        await browser.close()


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to be measured")
    arguments = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed")
    folder = Path(tempfile.mkdtemp(prefix="bench-records-", dir=arguments.dir)).resolve()
    try:
        asyncio.run(build(folder / "room", arguments.records))
        print(f"{arguments.records} records\n")
        asyncio.run(room(folder / "room"))
        record = asyncio.run(export.build(folder / "long", arguments.hours))
        (folder / "page").mkdir()
        (page,) = export_page(load(record), folder / "page")
        asyncio.run(cursor(page, program))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
