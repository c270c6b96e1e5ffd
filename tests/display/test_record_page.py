"""The page of a record in a browser: what it shows of a moment is what the record says of it, and nothing else."""

from __future__ import annotations

import asyncio
import io
import random
import shutil
import unicodedata
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect
from pypdf import PdfReader
from record_rig import XSS, Case, exported, long_record, move, ms, settled, vital

from esi_room.audit.export import bundle
from esi_room.audit.export.case import load
from esi_room.audit.export.page import album
from esi_room.audit.replay.axis import Axis
from esi_room.carm.time_axis.timeline import Timeline
from esi_room.clock import parse_rfc3339
from esi_room.events import CarmImage, Entry
from esi_room.outputs.state import Projection

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="session")
def case(kept: Case) -> Case:
    """As it is."""
    return kept


@pytest.fixture(scope="session")
def file(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it was exported."""
    return exported(case, tmp_path_factory.mktemp("page"))


@pytest_asyncio.fixture(loop_scope="session")
async def opened(page: Page, context: BrowserContext, file: Path) -> Page:
    """It, in a browser that has no network."""
    await context.set_offline(True)
    await page.goto(file.as_uri())
    return page


def clock(case: Case, t_ms: float) -> str:
    """The moment as the clock in the room showed it, to the second."""
    began = datetime.fromtimestamp(ms(case.entries[0]["received"]) / 1000, BERLIN)
    return f"{began + timedelta(milliseconds=t_ms):%H:%M:%S}"


def figure(value: float) -> str:
    return f"{float(f'{value:.4g}'):g}"


# --- a moment -------------------------------------------------------------------------------------------------


def shown_by_a_display(case: Case, moments: list[int]) -> list[dict[str, Any]]:
    """What `state/…` said at these moments (ms on the axis, rising): the projection is what displays go by."""
    projection, axis, found, waiting = Projection(), Axis(), [], list(moments)
    lines = (case.directory / "journal.jsonl").read_bytes().splitlines()
    entries = [msgspec.json.decode(line, type=Entry) for line in lines]
    origin = parse_rfc3339(entries[0].received) // 1_000_000
    first = axis.place(entries[0])
    projection.apply(entries[0], first.observed_ns)

    def due(until_ns: float) -> None:
        while waiting and first.at_ns + (waiting[0] + origin) * 1_000_000 - first.wall_ns < until_ns:
            at_ns = first.at_ns + (waiting.pop(0) + origin) * 1_000_000 - first.wall_ns
            projection.expire(at_ns)
            states = {topic: projection.snapshot(topic, 0) for topic in ("state/vitals", "state/pump")}
            found.append(msgspec.to_builtins(states) | {"phase": projection.snapshot("state/procedure", 0)})

    for entry in entries[1:]:
        moment = axis.place(entry)
        due(moment.at_ns)
        projection.apply(entry, moment.observed_ns)
    due(float("inf"))
    return found


def moments_of(case: Case, count: int) -> list[int]:
    """Anywhere on the axis, but not within 20 ms of an entry: the room needs that long from its time to its line."""
    times = sorted({case.at_ms(entry) for entry in case.entries} | {0})
    end = ms(case.entries[-1]["received"]) - ms(case.entries[0]["received"])
    draw, found = random.Random(7), set[int]()
    while len(found) < count:
        t = draw.randrange(1000, end)
        if all(abs(t - each) > 20 for each in times):
            found.add(t)
    return sorted(found)


async def test_what_the_panel_shows_is_what_a_display_showed(opened: Page, case: Case) -> None:
    """Value, time and staleness of every reading and of the pump; but a gap that is known is one from its start."""
    moments = moments_of(case, 25)
    gaps = [(gap["source"], ms(gap["data"]["from"]), ms(gap["data"]["to"])) for gap in case.of("device.gap")]
    assert gaps, "the case has a monitor that was away"
    origin, stale, silent = ms(case.entries[0]["received"]), 0, 0
    for t, state in zip(moments, shown_by_a_display(case, moments), strict=True):
        await move(opened, t)
        if (more := opened.locator(".moment details:not([open]) summary")) and await more.count():
            await more.click()
        rows = {}
        for value in state["state/vitals"]["values"]:
            if value["name"].startswith("nibp_"):
                continue
            kind, words, time = rows[value["name"], value["source"]] = await vital(
                opened, value["name"], value["source"]
            )
            seen = ms(value["observed_at"])
            in_gap = any(s == value["source"] and seen <= a < t + origin < b for s, a, b in gaps)
            bad = value["value"] is None
            assert (kind == "past") == (value["stale"] or in_gap or bad), (t, value)
            assert clock(case, seen - origin) in time
            stale, silent = stale + value["stale"], silent + in_gap
            if kind == "current":
                assert words.split()[0] == figure(value["value"]), (t, value)
            elif in_gap:
                assert words == "–" and "gap" in time
        assert len(rows) == len([v for v in state["state/vitals"]["values"] if not v["name"].startswith("nibp_")])
        for pump in state["state/pump"]["pumps"]:
            row = opened.locator(f'.moment tr[data-pump="{pump["source"]}"]')
            assert await row.get_attribute("class") == ("past" if pump["stale"] else "current")
            assert (await row.locator("td.value").inner_text()).startswith(f"{figure(pump['delivered_ml'])} mL")
            assert clock(case, ms(pump["observed_at"]) - origin) in await row.locator("td.time").inner_text()
        phase = state["phase"].phase
        await expect(opened.locator(".moment .now")).to_contain_text(phase or "no phase yet")
    assert stale and silent, "some of it was old, some in a gap"


async def test_the_frame_is_the_one_that_was_on(opened: Page, case: Case) -> None:
    images = load(case.directory).images()
    timeline = Timeline((each.entry, each.data) for each in images if isinstance(each.data, CarmImage))
    origin_ns = ms(case.entries[0]["received"]) * 1_000_000
    pictures = set()
    frames = timeline.between(0, 1 << 63)
    moments = sorted({*moments_of(case, 15), *((each.wall_ns - origin_ns) // 1_000_000 + 5 for each in frames)})
    for t in moments:
        await move(opened, t)
        frame = timeline.at(origin_ns + t * 1_000_000)
        if frame is None:
            await expect(opened.locator(".moment .absent")).to_have_text("No image had been taken")
            continue
        number = next(n for n, each in enumerate(images, 1) if each.entry.seq == frame.entry.seq)
        of_run = images[number - 1].data
        assert isinstance(of_run, CarmImage)
        words = f"Image {number} of {len(images)}" + (f", frame {frame.number} of 8" if of_run.frames else "")
        await expect(opened.locator(".moment figcaption")).to_contain_text(words)
        await expect(opened.locator(".moment figcaption")).to_contain_text(
            clock(case, (frame.wall_ns - origin_ns) // 1_000_000)
        )
        pictures.add(await opened.locator(".moment .screen img").get_attribute("src"))
    assert len(pictures) == len(frames) == 10, "every frame has a picture of its own"


async def test_old_and_new_what_was_said_and_who_said_it(opened: Page, case: Case) -> None:
    note = next(entry for entry in case.of("clinical.note") if entry["data"]["text"] == XSS)
    await move(opened, case.at_ms(note) + 1)
    said = opened.locator(".moment .said")
    await expect(said).to_contain_text(XSS)
    await expect(said).to_contain_text("by Dr. Example")
    await expect(said.get_by_role("link", name="note")).to_have_attribute("href", f"#entry-{note['seq']}")
    assert await opened.title() == case.record, "a note is text, whatever it holds"
    assert await opened.locator("img[src='x']").count() == 0


async def test_an_alert_is_active_from_its_raising_to_its_clearing(opened: Page, case: Case) -> None:
    raised = case.of("alert.raised")[0]
    alerts = opened.locator(".moment .alerts")
    await move(opened, case.at_ms(raised) - 1)
    await expect(alerts).not_to_contain_text(raised["data"]["text"])
    await move(opened, case.at_ms(raised) + 1)
    await expect(alerts).to_contain_text(raised["data"]["text"])


# --- moving ---------------------------------------------------------------------------------------------------


async def place(page: Page, share: float) -> tuple[float, float]:
    """Where on the screen that share of the axis is."""
    box = await page.locator("svg.timeline").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * (164 + 1020 * share) / 1200, box["y"] + 140


async def test_the_mouse_looks_and_pressing_stays(opened: Page, case: Case) -> None:
    end = float(await opened.get_by_role("slider").get_attribute("max") or 0)
    at = opened.locator(".moment .clock")
    await opened.mouse.move(*await place(opened, 0.5))
    await expect(at).to_contain_text(clock(case, end * 0.5)[:7])
    await opened.mouse.move(5, 5)
    await expect(at).to_contain_text(clock(case, 0))
    await opened.mouse.move(*await place(opened, 0.25))
    await opened.mouse.down()
    await opened.mouse.move(*await place(opened, 0.75), steps=5)
    await opened.mouse.up()
    await opened.mouse.move(5, 5)
    await expect(at).to_contain_text(clock(case, end * 0.75)[:7])
    assert abs(float(await opened.get_by_role("slider").input_value()) - end * 0.75) < end / 200


async def test_a_finger_takes_the_cursor_along(context: BrowserContext, opened: Page, case: Case) -> None:
    touch = await context.new_cdp_session(opened)
    for kind, share in (("touchStart", 0.3), ("touchMove", 0.5), ("touchMove", 0.6)):
        x, y = await place(opened, share)
        await touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    end = float(await opened.get_by_role("slider").get_attribute("max") or 0)
    await expect(opened.locator(".moment .clock")).to_contain_text(clock(case, end * 0.6)[:7])


async def test_the_keyboard_reaches_every_moment(opened: Page, case: Case) -> None:
    slider = opened.get_by_role("slider", name="Moment shown")
    await slider.focus()
    for keys, t in (("ArrowRight", 1000), ("Shift+ArrowRight", 11_000), ("ArrowLeft", 10_000), ("PageUp", 70_000)):
        await opened.keyboard.press(keys)
        await settled(opened)
        assert await slider.input_value() == str(t), keys
    await expect(slider).to_have_attribute("aria-valuetext", f"{clock(case, 70_000)}, recovery")
    await opened.keyboard.press("Home")
    await settled(opened)
    assert await slider.input_value() == "0"


async def test_an_image_and_a_phase_are_one_press_away(opened: Page, case: Case) -> None:
    caption, at = opened.locator(".moment figcaption"), opened.locator(".moment .clock")
    await opened.locator("svg a[href='#image-2']").click()
    await expect(caption).to_contain_text("Image 2 of 3")
    await opened.get_by_role("button", name="Next image").click()
    await expect(caption).to_contain_text("Image 3 of 3, frame 1 of 8")
    await opened.get_by_role("button", name="Image before").click()
    await expect(caption).to_contain_text("Image 2 of 3")
    phase = next(entry for entry in case.of("procedure.phase") if entry["data"]["phase"] == "injection")
    jump = opened.get_by_role("button", name="injection")
    await jump.click()
    await expect(at).to_contain_text(clock(case, case.at_ms(phase)))
    await expect(jump).to_have_attribute("aria-current", "step")


@pytest.mark.parametrize("speed", [1, 2, 5, 10, 30, 60])
async def test_it_plays_as_fast_as_it_says_and_pauses(page: Page, file: Path, speed: int) -> None:
    await page.clock.install(time=0)
    await page.goto(file.as_uri())
    await page.clock.pause_at(1000)
    await page.get_by_label("Speed").select_option(str(speed))
    await page.get_by_role("button", name="Play").click()
    slider = page.get_by_role("slider")
    await page.clock.run_for(1000)
    assert abs(float(await slider.input_value()) - 1000 * speed) <= 40 * speed
    await page.get_by_role("button", name="Pause").click()
    await page.clock.run_for(100)
    paused = await slider.input_value()
    await page.clock.run_for(5000)
    assert await slider.input_value() == paused


async def test_it_stops_at_the_end_and_begins_again_from_the_start(page: Page, file: Path) -> None:
    await page.clock.install(time=0)
    await page.goto(file.as_uri())
    await page.clock.pause_at(1000)
    await page.get_by_label("Speed").select_option("60")
    await page.get_by_role("button", name="Play").click()
    await page.clock.run_for(5000)
    slider = page.get_by_role("slider")
    assert await slider.input_value() == await slider.get_attribute("max")
    await page.get_by_role("button", name="Play").click()
    await page.clock.run_for(200)
    assert float(await slider.input_value()) < 60_000


# --- a long one -----------------------------------------------------------------------------------------------


async def test_eight_hours_and_500_images_are_as_good_as_a_minute(page: Page, tmp_path: Path) -> None:
    """All of it is there, any moment of it is one move away, and the drawing is no larger than one can look at."""
    directory = await long_record(tmp_path / "data", hours=8, images=500)
    case = Case(tmp_path / "data", directory, [])
    path = await asyncio.to_thread(lambda: exported(case, tmp_path / "out"))
    assert path.stat().st_size < 16 << 20
    await page.goto(path.as_uri())
    for second in (0, 57, 58, 14_400, 28_799):
        await move(page, (second + 1) * 1000 + 500)
        await expect(page.locator(".moment figcaption")).to_contain_text(f"Image {min(500, second // 57 + 1)} of 500")
        assert await vital(page, "spo2_pct", "monitor-1") == (
            "current", f"{90 + second % 10} %", f"{datetime(2026, 3, 2, 7) + timedelta(seconds=second + 1):%H:%M:%S}",
        )  # fmt: skip
    assert await page.locator("svg.timeline image").count() <= 3 * 30
    assert await page.locator("svg.timeline").evaluate("svg => svg.querySelectorAll('*').length") < 6000


async def test_a_frame_that_the_file_has_no_room_for_is_not_shown_as_another(
    page: Page, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album, "MOST_FRAMES", 4)
    path = await asyncio.to_thread(lambda: exported(case, tmp_path / "out"))
    await page.goto(path.as_uri())
    await expect(page.locator(".stage")).to_contain_text("4 of 10 frames are in this file")
    run = next(entry for entry in case.of("carm.image") if entry["data"].get("frames") == 8)
    await move(page, case.at_ms(run) + run["data"]["frame_times_ms"][4] + 5)
    caption = page.locator(".moment figcaption")
    await expect(caption).to_contain_text("frame 5 of 8")
    await expect(caption).to_contain_text("shown is frame 1: this file has not all of them")


# --- as a document --------------------------------------------------------------------------------------------


async def test_the_bundles_page_is_that_very_page(case: Case, file: Path, tmp_path: Path) -> None:
    (path,) = await asyncio.to_thread(lambda: bundle.export(load(case.directory), tmp_path))
    with zipfile.ZipFile(path) as archive:
        inside = archive.read(f"{case.record}/{case.record}.html")
    assert inside == file.read_bytes()


async def test_without_a_script_everything_is_there_but_the_cursor(
    page: Page, context: BrowserContext, file: Path
) -> None:
    browser = context.browser
    assert browser is not None
    plain = await browser.new_context(java_script_enabled=False)
    page = await plain.new_page()
    await page.goto(file.as_uri())
    await expect(page.get_by_text("Verified:")).to_be_visible()
    await expect(page.locator("svg.timeline")).to_be_visible()
    await expect(page.get_by_role("heading", name="Images")).to_be_visible()
    assert await page.get_by_role("slider").count() == 0
    await plain.close()


def broken_copy(case: Case, to: Path) -> Case:
    shutil.copytree(case.data, to)
    directory = to / "records" / case.record
    journal = directory / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"completed"', b'"Completed"', 1))
    return case._replace(data=to, directory=directory)


async def test_a_broken_record_says_so_on_top_with_where_and_on_every_sheet(
    page: Page, case: Case, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(lambda: exported(broken_copy(case, tmp_path / "data"), tmp_path / "out"))
    await page.goto(path.as_uri())
    verdict = page.locator(".verdict")
    await expect(verdict).to_contain_text("BROKEN: this record does not verify")
    await expect(verdict).to_contain_text("journal.jsonl:")
    await expect(verdict).to_be_in_viewport()
    for sheet in await sheets(page):
        assert f"{case.record}: BROKEN, DOES NOT VERIFY" in sheet


async def test_print_has_the_timeline_first_and_the_verdict_on_every_sheet(opened: Page, case: Case) -> None:
    printed = await sheets(opened)
    assert len(printed) > 3
    assert all(f"{case.record}: verifies" in sheet for sheet in printed)
    assert "Phases" in printed[0] and "evaluation" in printed[0] and "Said by staff" in printed[0]
    assert "Play" not in printed[0] and "Vital signs" not in printed[0]


async def sheets(page: Page) -> list[str]:
    """The text of each page of the PDF that Chromium prints; the first one lies on its side."""
    reader = PdfReader(io.BytesIO(await page.pdf(prefer_css_page_size=True, print_background=True)))
    first, second = reader.pages[0].mediabox, reader.pages[1].mediabox
    assert first.width > first.height and second.width < second.height
    return [unicodedata.normalize("NFKC", sheet.extract_text()) for sheet in reader.pages]  # ligatures
