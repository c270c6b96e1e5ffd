"""For whoever sees little, sees no colours, or hears the page: contrast, shapes, names, no motion."""

from __future__ import annotations

import pytest
from display_rig import FakeRoom
from playwright.async_api import Page, expect
from wall_rig import alert, alerts, device, healthy, pump, say_all, standby, vital, vitals

AA = 4.5
TOO_PALE = """() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [0, 0, 0];
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.textContent.trim() || !node.checkVisibility() || node.closest(".unseen")) continue;
    const [one, other] = [light(numbers(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < %s) pale.push(`${node.className || node.tagName}: ${text.textContent} ${ratio.toFixed(1)}`);
  }
  return pale;
}"""


async def _everything(room: FakeRoom) -> None:
    await say_all(room)
    quiet = alert("R2", acknowledged_at="2026-11-30T12:00:00Z", actor="Dr. Example")
    await room.state("alerts", alerts(alert("R1", -10.0, severity="medium"), alert("R3", severity="info"), quiet))
    await room.state("device/oximeter-1", device("oximeter-1", "lost"))
    await room.state("device/pump-1", device("pump-1", "negotiating"))


@pytest.mark.parametrize("how", ["well", "old", "offline", "standby"])
async def test_every_text_stands_out_from_its_ground(room: FakeRoom, page: Page, how: str) -> None:
    await _everything(room)
    if how == "old":
        await room.state("vitals", vitals(vital("heart_rate_bpm", 76, "/min", stale=True)))
        await room.state("pump", pump(stale=True))
    if how == "offline":
        await room.status("offline")
    if how == "standby":
        lacks = [{"item": "x", "phase": None, "text": "Nobody said who came along."}]
        await room.state("procedure", standby(complete=False, lacks=lacks))
        await room.publish("state/carm", b"", retain=True)
    await page.goto(room.url)
    await expect(page.locator("#dose")).to_contain_text("18.5")
    await expect(page.locator("body")).to_have_attribute("data-kind", "standby" if how == "standby" else "procedure")
    assert await page.evaluate(TOO_PALE % AA) == []


async def test_what_colour_says_a_word_or_a_shape_says_too(room: FakeRoom, page: Page) -> None:
    await _everything(room)
    await page.goto(room.url)
    chips = page.locator("#health li:visible")
    await expect(chips).to_have_count(6)
    kinds = await chips.evaluate_all("(all) => all.map((n) => [n.dataset.is, n.querySelector('.shape').dataset.shape])")
    shapes = {(is_, shape) for is_, shape in kinds}
    assert shapes == {("good", "circle"), ("wait", "ring"), ("bad", "cross")}
    notices = page.locator("#alert-list li:visible")
    told = await notices.evaluate_all("(all) => all.map((n) => n.querySelector('.shape').dataset.shape)")
    assert told == ["diamond", "circle", "check"]


async def test_a_screen_reader_finds_its_way(room: FakeRoom, page: Page) -> None:
    await say_all(room)
    await page.goto(room.url)
    for name in ("Last image", "Vital signs", "Pump", "Radiation dose", "Alerts"):
        await expect(page.get_by_role("region", name=name)).to_be_visible()
    await expect(page.get_by_role("progressbar", name="3.1 of 6 millilitres delivered")).to_be_visible()
    await expect(page.get_by_role("meter", name="Fluoroscopy: 18.5 s, the room’s level is 120 s")).to_be_visible()
    await expect(page.get_by_role("img", name="Last image, Lateral, taken at")).to_be_visible()
    await expect(page).to_have_title("Room esi-1: wall display")


async def test_nothing_moves_by_itself(room: FakeRoom, page: Page) -> None:
    await say_all(room)
    await room.state("vitals", healthy())
    await page.goto(room.url)
    await expect(page.locator("#pump")).to_contain_text("Injecting")
    assert await page.evaluate("document.getAnimations().length") == 0
