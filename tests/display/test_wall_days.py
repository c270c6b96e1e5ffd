"""A wall display that is left on for three days: a case an hour, a broker lost now and then. It grows no heavier."""

from __future__ import annotations

from typing import Any

import pytest
import wall_rig as w
from display_rig import FakeRoom, now, until_page
from playwright.async_api import CDPSession, Page, expect

HOURS = 72
WARM_HOURS = 12  # every code path was run, every node made
HOUR_S = 3600.0
GROWTH_BYTES = 1 << 20
GROWTH_NODES = 40


async def weight(cdp: CDPSession) -> tuple[int, int]:
    """Bytes of JavaScript, and nodes of all documents, after the garbage was collected."""
    for _ in range(2):
        await cdp.send("HeapProfiler.collectGarbage")
    heap = await cdp.send("Runtime.getHeapUsage")
    counters = await cdp.send("Memory.getDOMCounters")
    return int(heap["usedSize"]), int(counters["nodes"])


async def one_case(room: FakeRoom, hour: int) -> None:
    """An hour of the room: the case before it is over, and this one has images, vitals, an alert."""
    at_s, record = hour * HOUR_S, f"20261130T{hour:06}Z-{hour:04x}"
    lines = [w.image_line(n + 1, f"{hour:04x}{n:02x}", at_s - 500 + 10 * n) for n in range(8)]
    lines += [w.readings(n + 20, at_s - 60 + n, heart_rate_bpm=60.0 + n, spo2_pct=97.0) for n in range(30)]
    lines = [{**line, "record": record, "received": now(at_s)} for line in lines]
    w.answering(room, lines)
    opened = w.line(0, "record.opened", {"kind": "procedure"}, at_s - 510, record=record, received=now(at_s))
    for each in [opened, *lines]:
        await room.event(each)
    head = {"as_of": {"record": record, "seq": 49}, "published_at": now(at_s)}
    states: dict[str, dict[str, Any]] = {
        "procedure": w.procedure() | {"procedure": f"Case {hour}"},
        "vitals": w.vitals(w.vital("heart_rate_bpm", 60 + hour % 40, "/min", at_s=at_s)),
        "alerts": w.alerts(w.alert(f"R{hour}", at_s)),
        "carm": w.carm(f"{hour:04x}07", at_s - 430),
    }
    await room.publish("image/last", w.jpeg(hour * 3, 256), retain=True)
    for name, content in states.items():
        await room.state(name, content | head)


@pytest.mark.slow
async def test_three_days_leave_it_as_light_as_the_first(room: FakeRoom, page: Page, page_errors: list[str]) -> None:
    await page.clock.install()
    await w.say_all(room)
    await page.goto(room.url)
    cdp = await page.context.new_cdp_session(page)
    after: dict[int, tuple[int, int]] = {}
    for hour in range(1, HOURS + 1):
        if hour % 9 == 0:
            await room.stop_broker()
            await page.clock.run_for(10_000)
            await room.start_broker()
        await page.clock.fast_forward(int(HOUR_S * 1000))
        await until_page(page, "document.body.dataset.present === 'yes'")
        await one_case(room, hour)
        await page.clock.run_for(2_000)
        await expect(page.locator("h1")).to_have_text(f"Case {hour}")
        await expect(page.locator('[data-tile="heart"] .value')).to_have_text(str(60 + hour % 40))
        if hour in (WARM_HOURS, HOURS):
            after[hour] = await weight(cdp)
    (warm_bytes, warm_nodes), (bytes_, nodes) = after[WARM_HOURS], after[HOURS]
    print(f"{warm_bytes} bytes, {warm_nodes} nodes after {WARM_HOURS} h; {bytes_}, {nodes} after {HOURS} h")
    assert bytes_ - warm_bytes < GROWTH_BYTES
    assert nodes - warm_nodes < GROWTH_NODES
    await until_page(page, "[5, 6].includes(document.querySelectorAll('#strip canvas').length)")  # as the height allows
    await page.goto("about:blank")
    page_errors.clear()  # the browser's own words on connections that broke
