"""The record's page for whoever sees little, hears the page, or has no mouse: contrast, names, units, no trap."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from record_rig import Case, exported, move

PALE = """() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    const bar = node.classList.contains("inside") ? node.parentElement.querySelector("rect") : null;
    if (bar) return numbers(getComputedStyle(bar).fill);
    const label = node.closest(".cursor, .ghost")?.querySelector("rect");
    if (label) return numbers(getComputedStyle(label).fill);
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.textContent.trim() || !node.checkVisibility() || node.closest("script, option, title, .number")) continue;
    const style = getComputedStyle(node);
    const colour = node.closest("svg") ? style.fill : style.color;
    const [one, other] = [light(numbers(colour)), light(ground(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${node.className.baseVal ?? node.className}: ${text.textContent} ${ratio.toFixed(1)}`);
  }
  return found;
}"""


@pytest.fixture(scope="session")
def file(kept: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(kept, tmp_path_factory.mktemp("page"))


async def test_every_text_stands_out_from_its_ground(page: Page, file: Path, kept: Case) -> None:
    await page.goto(file.as_uri())
    gap = kept.of("device.gap")[0]
    for t in (0, kept.at_ms(kept.of("alert.raised")[0]) + 1, kept.at_ms(gap) - 10_000):
        await move(page, t)
        assert await page.evaluate(PALE) == []


async def test_the_list_stands_out_too(page: Page, kept: Case) -> None:
    from esi_room.display.records import listing, shelf, summary

    one = summary.summary(kept.data, kept.record)
    verdicts = (None, shelf.Verdict("", None, 1), shelf.Verdict("", "journal.jsonl:3: seq is not 2", 1))
    rows = [shelf.Row(one._replace(sealed=sealed), verdict) for sealed in (True, False) for verdict in verdicts]
    css = (Path(listing.__file__).parents[1] / "static" / "records.css").read_text("utf-8")
    html = listing.page(rows, listing.Search())
    html = re.sub(r"<link[^>]*>|<script.*?</script>", "", html).replace("</head>", f"<style>{css}</style></head>")
    await page.set_content(html)
    assert await page.evaluate(PALE) == []


async def test_a_screen_reader_finds_its_way(page: Page, file: Path, kept: Case) -> None:
    await page.goto(file.as_uri())
    await expect(page.get_by_role("complementary", name="What was known at this moment")).to_be_visible()
    await expect(page.get_by_role("group", name="Jump to a phase")).to_be_visible()
    await expect(page.get_by_role("combobox", name="Speed")).to_be_visible()
    slider = page.get_by_role("slider", name="Moment shown")
    await expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^\d\d:\d\d:\d\d, no phase yet$"))
    image = kept.of("carm.image")[0]
    await move(page, kept.at_ms(image) + 5)
    await expect(page.get_by_role("img", name=re.compile("^Image 1 of 3"))).to_be_visible()


async def test_a_few_presses_of_tab_lead_through_the_controls(page: Page, file: Path) -> None:
    """A record has hundreds of marks: none of them is a stop."""
    await page.goto(file.as_uri())
    stops = []
    for _ in range(10):
        await page.keyboard.press("Tab")
        stops.append(await page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.tagName"))
    assert stops[:4] == ["Play", "Speed", "Image before", "Next image"]
    assert stops[9] == "Moment shown", stops


async def test_every_figure_has_its_unit_and_every_time_its_utc(page: Page, file: Path, kept: Case) -> None:
    await page.goto(file.as_uri())
    await move(page, kept.at_ms(kept.of("carm.image")[-1]) + 20_000)
    for words in await page.locator(".moment td.value").all_inner_texts():
        assert re.search(r"(%|/min|mmHg|mL|s|m²|mGy)$", words) or words in ("–", "not said"), words
    for time in await page.locator(".moment time").all():
        assert re.fullmatch(r"2026-03-02T\d\d:\d\d:\d\d\.\d{3}Z \(UTC\)", await time.get_attribute("title") or "")
