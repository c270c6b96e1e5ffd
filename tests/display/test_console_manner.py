"""The console, whatever comes and whoever uses it: keyboard, sizes, contrast, times, text that is no text."""

from __future__ import annotations

import pytest
from console_rig import CASE, Case, confirm, enter, open_form, record_button, sheet
from display_rig import FakeRoom, now, until
from playwright.async_api import Page, Route, expect

TOUCH_PX = 56


async def test_nothing_is_drawn_anew_under_a_finger_that_is_not_different(case: Case, page: Page) -> None:
    """A button that is replaced between touch and release does not feel the touch."""
    button = page.get_by_role("button", name="Needle: placed")
    box = await button.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 9, box["y"] + 9)
    await page.mouse.down()
    await case.room.state("vitals", {"values": [], "as_of": {"record": CASE, "seq": 9}, "published_at": now()})
    await case.write("clinical.note", 3, text="from another console", actor="Nurse B")
    await expect(page.locator(".log")).to_contain_text("from another console")
    await page.mouse.up()
    await expect(record_button(page)).to_be_visible()


async def test_a_page_that_knows_no_state_says_so_and_not_that_there_is_no_case(room: FakeRoom, page: Page) -> None:
    await enter(page, room.url)
    await expect(page.locator("h1")).to_have_text("The room has not said yet which case is under way")
    await room.state("procedure", b"{not json")
    await expect(page.locator("h1")).to_have_text("The room has not said yet which case is under way")
    await Case(room, page).stand(None, "standby")
    await expect(page.locator("h1")).to_have_text("No case under way")


async def test_a_note_that_looks_like_html_stays_text(case: Case, page: Page) -> None:
    text = "<img src=x onerror=\"document.title='taken over'\"><b>bold</b>"
    form = await open_form(page, "note")
    await form.get_by_label("Text").fill(text)
    await form.get_by_role("button", name="Review").click()
    await expect(sheet(page)).to_contain_text(text)
    await record_button(page).click()
    await until(lambda: case.said("note"), "the command")
    await case.write("clinical.note", 3, text=text, actor="<i>Dr. A</i>")
    await expect(page.locator(".log")).to_contain_text(text)
    await expect(page.locator("#answers")).to_contain_text(text)
    assert await page.locator("img, .log i").count() == 0
    assert await page.title() == "Console · esi-1"


async def test_by_keyboard_alone(case: Case, page: Page) -> None:
    """From the page's first button to a recorded form, with Tab, arrows, Space and Enter; Escape goes back."""
    await page.evaluate("document.activeElement?.blur()")
    await tab_to(page, '[data-key="needle-placed"]')
    await page.keyboard.press("Enter")
    await expect(record_button(page)).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(sheet(page)).to_be_hidden()
    await expect(page.locator('[data-key="needle-placed"]')).to_be_focused()
    await tab_to(page, '[data-form="loss_of_resistance"]')
    await page.keyboard.press("Enter")
    await page.keyboard.press("Space")  # the first choice of the first field: obtained, yes
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await page.keyboard.press("ArrowRight")  # the second medium
    await page.keyboard.press("Tab")
    await page.keyboard.type("68")
    await page.keyboard.press("Enter")
    await expect(record_button(page)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(sheet(page)).to_be_hidden()
    (said,) = case.said("loss_of_resistance")
    assert (said["obtained"], said["medium"], said["depth_mm"]) == (True, "air", 68)


async def tab_to(page: Page, selector: str) -> None:
    """With the Tab key."""
    for _ in range(120):
        if await page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


SMALL = """(least) => [...document.querySelectorAll("button, select, summary, .pick, input[type=text], textarea")]
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < least - 0.5)
  .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (800, 1280)])
async def test_whatever_can_be_touched_is_large_and_nothing_runs_out_of_the_page(
    case: Case, page: Page, size: tuple[int, int]
) -> None:
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    for show in (None, "contrast", "drawn_up", "time_out"):
        if show == "time_out":
            await page.get_by_role("button", name="Read the time-out aloud").click()
        elif show is not None:
            await open_form(page, show)
        assert await page.evaluate(SMALL, TOUCH_PX) == [], show
        assert await page.evaluate("document.documentElement.scrollWidth") <= size[0]
        await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Needle: placed").click()
    assert await page.evaluate(SMALL, TOUCH_PX) == []


FAINT = """() => {
  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => [0.2126 * r, 0.7152 * g, 0.0722 * b].reduce((a, b) => a + b);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, under) => under.map((value, n) => value + (top[n] - value) * (top[3] ?? 1));
  const ground = (element) => {
    const under = element.parentElement ? ground(element.parentElement) : [0, 0, 0];
    return over(parse(getComputedStyle(element).backgroundColor), under);
  };
  const contrast = (a, b) => {
    const [x, y] = [a, b].map((colour) => light(colour.map((value) => channel(value / 255)))).sort((m, n) => n - m);
    return (x + 0.05) / (y + 0.05);
  };
  const texts = document.evaluate("//body//text()[normalize-space()]", document, null, 7);
  const faint = [];
  for (let n = 0; n < texts.snapshotLength; n++) {
    const element = texts.snapshotItem(n).parentElement;
    if (!element.checkVisibility() || element.closest("script, option")) continue;
    const style = getComputedStyle(element);
    const ratio = contrast(parse(style.color).slice(0, 3), ground(element));
    if (ratio < 4.5) faint.push([element.textContent.slice(0, 40), ratio.toFixed(2)]);
  }
  return faint;
}"""


async def test_every_text_has_the_contrast_of_aa(case: Case, page: Page) -> None:
    await case.write("clinical.pain", 3, occasion="baseline", score=7, scale="NRS", actor="Nurse B")
    await case.write("clinical.correction", 5, seq=3, reason="misheard", fields={"score": 6}, actor="Dr. A")
    await expect(page.locator(".log .counts")).to_be_visible()
    assert await page.evaluate(FAINT) == []
    form = await open_form(page, "contrast")
    await form.get_by_role("button", name="Review").click()
    await expect(form).to_contain_text("is missing")
    assert await page.evaluate(FAINT) == []
    await page.keyboard.press("Escape")
    await case.room.status("offline")
    await page.get_by_role("button", name="Needle: placed").click()
    await expect(record_button(page)).to_be_disabled()
    assert await page.evaluate(FAINT) == []


async def test_who_has_logged_in_acts_and_nobody_chooses(room: FakeRoom, page: Page) -> None:
    case = Case(room, page)
    await case.stand()

    async def logged_in(route: Route) -> None:
        config = await (await route.fetch()).json()
        await route.fulfill(json={**config, "user": "nurse.b"})

    await page.route("**/config.json", logged_in)
    await page.goto(room.url + "console")
    await expect(page.locator(".who")).to_have_text("Who acts nurse.b")
    await expect(page.locator(".who")).to_be_disabled()
    await page.get_by_role("button", name="Needle: placed").click()
    await confirm(page)
    assert case.said("needle")[0]["actor"] == "nurse.b"


async def test_times_are_the_rooms_with_utc_beside(case: Case, page: Page) -> None:
    """The tablet stands in New York; the room is in Berlin."""
    line = {"v": 1, "record": CASE, "seq": 3, "type": "clinical.note", "source": "room", "mono_ns": 1, "prev": "0" * 64}
    when = {"time": "2026-11-30T08:41:05.000000Z", "received": "2026-11-30T08:41:05.000000Z"}
    await case.room.event({**line, **when, "data": {"text": "x", "actor": "Dr. A"}})
    time = page.locator(".log time")
    await expect(time).to_have_text("09:41:05")
    await expect(time).to_have_attribute("title", "2026-11-30 08:41:05 UTC")
