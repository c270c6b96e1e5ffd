"""The wall display beside a bare MQTT.js page: from publishing to pixels, and memory over an accelerated day.

    python benchmarks/display.py [--samples 300] [--hours 24] [--every-s 5]

One embedded broker, one display server, one Chromium with two pages in it, both visible: the wall, and the least that a
page can do (`peers/bare_page.js`: MQTT.js, a value in the document). Both get the same messages through the same
server. A sample runs from just before the publish to the end of the first frame in which the number (or the picture)
is there, on the machine's clock; a frame is 16.7 ms, so half of that is waiting for the screen. Chromium draws without
a graphics card here.

Then the wall is reloaded, and the time until it is right is taken.

The day: a line and a snapshot of vital signs every `--every-s` seconds and ten images an hour, in as fast as the broker
takes it; the times in them are a day's. JavaScript's heap after a garbage collection, and nodes in the document.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import platform
import random
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from esi_room.clock import NS, rfc3339
from esi_room.display.server import serving
from esi_room.display.settings import DisplaySettings
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerClient, BrokerSettings, connect

BARE = Path(__file__).parent / "peers" / "bare_page.js"
RECORD = "20261201T000000Z-beef"
INTERVAL_S = 0.1  # between two samples, on average
PATIENCE_S = 20.0
AT_ONCE = 50  # messages on their way, in the accelerated day
IMAGES_AN_HOUR = 10
RELOADS = 10
READINGS = (("heart_rate_bpm", "/min"), ("spo2_pct", "%"), ("respiratory_rate_bpm", "/min"))

# When a number or a picture's width is on the screen: after the frame in which it came into the document, or after the
# next one where it came between two.
FRAMES = """
const request = window.requestAnimationFrame.bind(window);
const channel = new MessageChannel();
channel.port1.onmessage = () => { window.inFrame = false; };
window.requestAnimationFrame = (draw) => request((time) => {
  window.inFrame = true;
  channel.port2.postMessage(0);
  draw(time);
});
"""
WATCH = """([selector, what]) => {
  window.seen = {};
  const node = document.querySelector(selector);
  const read = () => what === "width" ? node.width : node.textContent;
  const painted = (value) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { window.seen[value] ??= performance.timeOrigin + performance.now(); };
    channel.port2.postMessage(0);
  };
  const shown = (value) => (window.inFrame ? painted(value) : requestAnimationFrame(() => painted(value)));
  const changes = { attributes: true, childList: true, subtree: true, characterData: true };
  new MutationObserver(() => shown(String(read()))).observe(what === "width" ? node : node.parentElement, changes);
}"""


class Places(NamedTuple):
    """Where the two pages show a thing."""

    wall: str
    bare: str
    what: str


NUMBER = Places('[data-tile="heart"] .value', "#value", "text")
PICTURE = Places("#picture", "#picture", "width")


class Bench(NamedTuple):
    """Both pages, and who publishes."""

    room: BrokerClient
    pages: dict[str, Page]

    async def publish(self, topic: str, content: Any, *, retain: bool = False) -> None:
        octets = content if isinstance(content, bytes) else json.dumps(content).encode()
        await self.room.deliver(f"esi/bench/{topic}", octets, retain=retain)


# --- what the room says -----------------------------------------------------------------------------------


def at(wall_s: float) -> str:
    return rfc3339(int(wall_s * NS))


def head(wall_s: float, seq: int = 1) -> dict[str, Any]:
    return {"as_of": {"record": RECORD, "seq": seq}, "published_at": at(wall_s)}


def vitals(wall_s: float, value: int, seq: int = 1) -> dict[str, Any]:
    known = {"source": "monitor-1", "code": 1, "status": "ok", "flags": [], "stale": False, "stale_after_s": 60.0}
    values = [
        {**known, "name": name, "unit": unit, "value": value, "observed_at": at(wall_s)} for name, unit in READINGS
    ]
    return {**head(wall_s, seq), "values": values, "conditions": []}


def procedure(wall_s: float) -> dict[str, Any]:
    phases = [{"phase": "guidance", "since": at(wall_s), "origin": "staff"}]
    return {
        **head(wall_s), "kind": "procedure", "opened_at": at(wall_s), "procedure": "A case", "started_at": at(wall_s),
        "phase": "guidance", "phases": phases, "outcome": None, "ended_at": None, "plan": None, "rules": None,
        "deliveries": [], "completeness": None,
    }  # fmt: skip


def line(wall_s: float, seq: int, entry_type: str, data: dict[str, Any]) -> dict[str, Any]:
    times = {"time": at(wall_s), "received": at(wall_s), "mono_ns": 1}
    return {
        "v": 1,
        "record": RECORD,
        "seq": seq,
        "prev": "0" * 64,
        "type": entry_type,
        "source": "x",
        "data": data,
    } | times


def carm(wall_s: float, sha256: str) -> dict[str, Any]:
    image = {
        "observed_at": at(wall_s), "stale_after_s": None, "stale": False, "seq": 1, "sha256": sha256, "rows": 384,
        "modality": "XA", "frames": None, "primary_angle_deg": 0.0, "secondary_angle_deg": 0.0, "kvp": None,
        "tube_current_ma": None,
    }  # fmt: skip
    return {**head(wall_s), "image": image, "objects": 1, "shown_sha256": sha256, "preview_problem": None}


def readings(wall_s: float, seq: int, value: int) -> dict[str, Any]:
    told = [{"code": 1, "name": name, "value": value, "unit": unit, "status": "ok"} for name, unit in READINGS]
    return line(wall_s, seq, "vitals.numeric", {"readings": told})


def picture(width: int) -> bytes:
    """Noise, so that it has the size of a real one: some 100 KB."""
    file = io.BytesIO()
    Image.frombytes("L", (width, 384), random.Random(width).randbytes(width * 384)).save(file, "JPEG", quality=75)
    return file.getvalue()


# --- the bench --------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def bench(browser: Browser) -> AsyncIterator[Bench]:
    """Broker, server, both pages connected, and the room online."""
    async with AsyncExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        broker = EmbeddedBroker(folder / "broker", ("127.0.0.1", port))
        await broker.start()
        open_.push_async_callback(broker.stop)
        (folder / "data" / "records").mkdir(parents=True)
        (folder / "data" / "lock").touch()
        settings = DisplaySettings(
            room="bench", timezone="UTC", data=folder / "data", host="127.0.0.1", port=free_port(),
            broker=BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id=""),
        )  # fmt: skip
        url = await open_.enter_async_context(serving(settings))
        room = await open_.enter_async_context(
            connect(BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id="room"))
        )
        pages = {name: await _page(browser, url, name) for name in ("wall", "bare")}
        made = Bench(room, pages)
        await made.publish("status", {"status": "online", "software": "bench", "since": None}, retain=True)
        await made.publish("state/procedure", procedure(time.time()), retain=True)
        await _connected(made)
        yield made


async def _page(browser: Browser, url: str, name: str) -> Page:
    page = await (await browser.new_context(viewport={"width": 1920, "height": 1080})).new_page()
    await page.add_init_script(FRAMES)
    if name == "wall":
        await page.goto(url)
    else:
        await page.goto(f"{url}static/base.css")  # a page of the server that loads nothing
        await page.evaluate(BARE.read_text())
    return page


async def _connected(made: Bench) -> None:
    """Until both pages show what is published."""
    for name, place in (("wall", NUMBER.wall), ("bare", NUMBER.bare)):
        end = time.monotonic() + PATIENCE_S
        while await made.pages[name].locator(place).inner_text() != "1":
            if time.monotonic() > end:
                raise SystemExit(f"the {name} page shows nothing")
            await made.publish("state/vitals", vitals(time.time(), 1), retain=True)
            await asyncio.sleep(0.2)


# --- from publishing to pixels ----------------------------------------------------------------------------


async def latency(made: Bench, samples: int) -> None:
    print("| from publish to pixels | page | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|", flush=True)
    sizes = [300 + number for number in range(min(samples, 60))]
    pictures = [(str(width), "image/last", picture(width)) for width in sizes]
    numbers = [(str(value), "state/vitals", None) for value in range(1000, 1000 + samples)]
    for what, places, messages in (("a number", NUMBER, numbers), ("an image of 100 KB", PICTURE, pictures)):
        for name, page in made.pages.items():
            await page.evaluate(WATCH, [getattr(places, name), places.what])
        sent = await _send(made, messages)
        for name, page in made.pages.items():
            seen = await _seen(page, messages[-1][0])
            taken = [seen[key] - sent[key] for key in sent if key in seen]
            if len(taken) < 0.9 * len(sent):  # two in one frame: the first of them was never on the screen
                print(f"{name}: {len(sent) - len(taken)} of {len(sent)} were overtaken by the next", file=sys.stderr)
            print(f"| {what} | {name} | {_figures(taken)} |", flush=True)


async def _send(made: Bench, messages: Sequence[tuple[str, str, bytes | None]]) -> dict[str, float]:
    """When each was published, ms."""
    sent = {}
    for key, topic, octets in messages:
        await asyncio.sleep(random.uniform(0.5, 1.5) * (INTERVAL_S if octets is None else 4 * INTERVAL_S))
        now_s = time.time()
        sent[key] = 1000 * now_s
        await made.publish(topic, vitals(now_s, int(key)) if octets is None else octets, retain=True)
        if octets is not None:
            await made.publish("state/carm", carm(now_s, key), retain=True)  # as the daemon does
    return sent


async def _seen(page: Page, last: str) -> dict[str, float]:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        seen: dict[str, float] = await page.evaluate("window.seen")
        if last in seen:
            return seen
        await asyncio.sleep(0.1)
    raise SystemExit(f"{last} never came to the screen of {page.url}")


def _figures(taken_ms: list[float]) -> str:
    cuts = statistics.quantiles(taken_ms, n=100, method="inclusive")
    return f"{cuts[49]:.1f} | {cuts[98]:.1f} | {max(taken_ms):.1f}"


# --- joining ---------------------------------------------------------------------------------------------

RIGHT = """(selector) => new Promise((resolve) => {
  const look = () => {
    if (/[0-9]/.test(document.querySelector(selector)?.textContent ?? "")) resolve(performance.now());
    else setTimeout(look, 2);
  };
  look();
})"""


async def joining(made: Bench) -> None:
    """From the reload of the wall to the first number on it."""
    page, taken = made.pages["wall"], []
    for _ in range(RELOADS):
        await made.publish("state/vitals", vitals(time.time(), 72), retain=True)
        await page.reload(wait_until="commit")
        taken.append(await page.evaluate(RIGHT, NUMBER.wall))
    median, most = statistics.median(taken), max(taken)
    print(f"\nReloaded {RELOADS} times, the wall was right after {median:.0f} ms (at most {most:.0f}).")


# --- memory -----------------------------------------------------------------------------------------------


async def memory(made: Bench, hours: int, every_s: float) -> None:
    print("\n| after | wall heap MiB | wall nodes | bare heap MiB |\n|---|---|---|---|", flush=True)
    start_s, seq = time.time(), 0
    began = time.monotonic()
    for hour in range(hours + 1):
        if hour in {0, 1, hours} or hour % 6 == 0:
            await asyncio.sleep(1.0)
            (heap, nodes), (bare, _) = [await _weight(page) for page in made.pages.values()]
            print(f"| {hour} h | {heap:.2f} | {nodes} | {bare:.2f} |", flush=True)
        if hour < hours:
            seq = await _hour(made, start_s + 3600 * hour, every_s, seq)
    print(f"\n{seq} lines and as many snapshots in {time.monotonic() - began:.0f} s.")


async def _hour(made: Bench, begin_s: float, every_s: float, seq: int) -> int:
    steps = int(3600 / every_s)
    each_image = max(1, steps // IMAGES_AN_HOUR)
    pending: list[Any] = []
    for step in range(steps):
        now_s, seq = begin_s + step * every_s, seq + 1
        value = 60 + (seq * 7) % 40
        pending.append(made.publish("event/vitals/numeric", readings(now_s, seq, value)))
        pending.append(made.publish("state/vitals", vitals(now_s, value, seq), retain=True))
        if step % each_image == 0:
            pending.append(made.publish("image/last", picture(300 + step % 97), retain=True))
        if len(pending) >= AT_ONCE:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)
    return seq


async def _weight(page: Page) -> tuple[float, int]:
    """JavaScript's heap in MiB and the document's nodes, after the garbage was collected."""
    cdp = await page.context.new_cdp_session(page)
    for _ in range(2):
        await cdp.send("HeapProfiler.collectGarbage")
    heap, counters = await cdp.send("Runtime.getHeapUsage"), await cdp.send("Memory.getDOMCounters")
    await cdp.detach()
    return heap["usedSize"] / (1 << 20), int(counters["nodes"])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--every-s", type=float, default=5.0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    program = shutil.which("chromium")
    if program is None:
        print("chromium is not installed: nothing is measured")
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"{platform.platform()}, Chromium {browser.version}, load {load}\n")
        async with bench(browser) as made:
            await latency(made, arguments.samples)
            await joining(made)
            await memory(made, arguments.hours, arguments.every_s)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
