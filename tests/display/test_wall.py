"""What a person sees on the wall display, and what a screen reader is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from display_rig import FakeRoom, now, until, until_page
from playwright.async_api import Locator, Page, expect
from wall_rig import (
    alert,
    alerts,
    answering,
    carm,
    device,
    dose,
    head,
    healthy,
    image_line,
    jpeg,
    line,
    procedure,
    pump,
    readings,
    say_all,
    standby,
    texts,
    vital,
    vitals,
)

DARK_GREY = re.compile(r"rgb\(140, 152, 164\)")

# How many pixels of a curve have such a colour.
COLOURED = """(tile, is) => {
  const plot = document.querySelector(`[data-tile="${tile}"] canvas`);
  const context = new OffscreenCanvas(plot.width, plot.height).getContext("2d");
  context.drawImage(plot, 0, 0);
  const {data} = context.getImageData(0, 0, plot.width, plot.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) count += is(data.slice(at, at + 3));
  return count;
}"""


def tile(page: Page, name: str) -> Locator:
    """One vital sign."""
    return page.locator(f'[data-tile="{name}"]')


async def test_who_joins_late_sees_the_whole_case(either_room: FakeRoom, page: Page) -> None:
    await say_all(either_room)
    await page.goto(either_room.url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Interlaminar injection L4/5")
    await expect(tile(page, "heart").locator(".number")).to_have_text("76/min")
    await expect(tile(page, "oxygen").locator(".number")).to_have_text("98%")
    await expect(tile(page, "pressure").locator(".number")).to_have_text("131/84mmHg")
    await expect(tile(page, "pressure").locator(".more")).to_contain_text(
        re.compile(r"mean 99 · \d\d:\d\d, 1:\d\d ago")
    )
    await expect(tile(page, "breath")).to_contain_text("etCO2 36 mmHg")
    await expect(page.locator("#pump")).to_contain_text("Injecting")
    await expect(page.locator("#pump .number")).to_have_text("3.1mLof 6 mL")
    await expect(page.locator("#pump")).to_contain_text("300 mL/h")
    assert await texts(page, "#dose .row") == [
        "Fluoroscopy 18.5 s level 120 s",
        "Dose area product 283 cGy·cm² level 1000 cGy·cm²",
        "Air kerma 12.3 mGy level 100 mGy",
    ]
    await expect(page.locator("#caption")).to_contain_text("Lateral")
    await expect(page.locator("#caption")).to_contain_text("RAO 90°  CRA 8°")
    await expect(page.locator("#caption")).to_contain_text("32 frames")
    await expect(page.locator("#caption")).to_contain_text("0:1")  # its age
    assert await texts(page, "#health li") == [
        "C-arm ready", "Monitor 1 connected", "Oximeter 1 connected", "Pump 1 connected", "Recorder recording",
        "Broker connected",
    ]  # fmt: skip
    await expect(page.locator("#banner")).to_be_hidden()
    await expect(page.locator("#alerts")).to_contain_text("No alerts")


async def test_a_change_shows_and_times_are_the_rooms_with_utc_beneath(room: FakeRoom, page: Page) -> None:
    await say_all(room)
    await page.goto(room.url)
    await expect(tile(page, "heart")).to_contain_text("76")
    await room.state("vitals", vitals(vital("heart_rate_bpm", 48, "/min")))
    await expect(tile(page, "heart").locator(".value")).to_have_text("48")
    await room.state("procedure", procedure(phases=[
        {"phase": "evaluation", "since": "2026-11-30T12:03:00Z", "origin": "staff"},
        {"phase": "injection", "since": "2026-11-30T12:09:00Z", "origin": "staff"},
    ]))  # fmt: skip
    here = page.locator('#phases [aria-current="step"]')
    await expect(here).to_contain_text("Injection")
    await expect(here.locator("time")).to_have_text("13:09")  # Berlin, whatever zone the browser is in
    await expect(here.locator("time")).to_have_attribute("title", "2026-11-30 12:09:00 UTC")
    await expect(page.locator("#phases li").nth(1)).to_have_attribute("data-step", "ahead")


@pytest.mark.parametrize(
    "how",
    [{"stale": True, "at_s": -20.0}, {"at_s": -20.0}, {"at_s": -12.0}],
    ids=["the room says so", "its time was over", "its time passes while we look"],
)
async def test_a_value_past_its_time_is_grey_and_says_how_old_it_is(
    room: FakeRoom, page: Page, how: dict[str, Any]
) -> None:
    await room.state("vitals", vitals(vital("heart_rate_bpm", 76, "/min", life_s=13.0, **how)))
    await room.state("procedure", procedure())
    await page.goto(room.url)
    heart = tile(page, "heart")
    await expect(heart).to_have_attribute("data-state", "old")
    await expect(heart.locator(".value")).to_have_css("color", DARK_GREY)
    await expect(heart.locator(".badges li").first).to_have_text(re.compile(r"0:\d\d old"))
    before = await heart.locator(".badges li").first.inner_text()
    await expect(heart.locator(".badges li").first).not_to_have_text(before)  # it counts up


async def test_what_the_device_marked_as_bad_is_no_number(room: FakeRoom, page: Page) -> None:
    await room.state("vitals", vitals(
        vital("heart_rate_bpm", None, "/min", status="off"), vital("spo2_pct", 93, "%", status="questionable"),
        vital("respiratory_rate_bpm", 9, "/min", flags=["limit_violated"]),
    ))  # fmt: skip
    await page.goto(room.url)
    await expect(tile(page, "heart").locator(".value")).to_have_text("–")
    await expect(tile(page, "heart")).to_contain_text("off")
    await expect(tile(page, "oxygen")).to_contain_text("doubtful")
    await expect(tile(page, "breath")).to_contain_text("beyond alarm limit")
    await expect(tile(page, "pressure")).to_contain_text("not measured")


async def test_the_alarm_limits_that_a_device_tells_stand_at_its_curve(room: FakeRoom, page: Page) -> None:
    told = [{"source": "oximeter-1", "name": "spo2_pct", "low": 90.0, "high": 100.0}]
    await room.state("vitals", {**vitals(vital("spo2_pct", 97, "%", "oximeter-1")), "limits": told})
    await page.goto(room.url)
    await expect(tile(page, "oxygen").locator(".from")).to_have_text("Oximeter 1 · limits 90–100")
    await until_page(page, f"({COLOURED})('oxygen', ([r, g, b]) => r > 200 && g > 130 && g < 210 && b < 100) > 20")


async def test_the_device_that_is_heard_is_shown_and_named(room: FakeRoom, page: Page) -> None:
    both = [vital("spo2_pct", 97, "%", "monitor-1"), vital("spo2_pct", 95, "%", "oximeter-1", life_s=14.0)]
    await room.state("vitals", vitals(*both))
    await page.goto(room.url)
    await expect(tile(page, "oxygen").locator("header")).to_have_text("SpO2Oximeter 1")
    await room.state("vitals", vitals(both[0], {**both[1], "stale": True}))
    await expect(tile(page, "oxygen").locator("header")).to_have_text("SpO2Monitor 1")
    await expect(tile(page, "oxygen").locator(".value")).to_have_text("97")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"state": "infusing"}, "Injecting"),
        ({"state": "paused"}, "Paused"),
        ({"state": "stopped", "event": "pump.completed"}, "Complete"),
        ({"alarms": [{"code": "S", "text": "stalled", "since": now(-3)}]}, "Alarm: stalled"),
        ({"state": None}, "State not told"),
        ({"pressure_mmhg": 412.4}, "412 mmHg"),
        ({"rate_ml_h": None}, "not told"),
        ({"stale": True}, "old"),
    ],
)
async def test_the_pump_says_what_it_does(room: FakeRoom, page: Page, said: dict[str, Any], shown: str) -> None:
    await room.state("pump", pump(**said))
    await page.goto(room.url)
    await expect(page.locator("#pump")).to_contain_text(shown)


async def test_a_hand_injection_stands_where_the_pump_would(room: FakeRoom, page: Page) -> None:
    by_hand = {"number": 1, "origin": "hand", "drugs": ["dexamethasone"], "delivered_ml": 5.0, "ended_at": now()}
    await room.state("procedure", procedure(deliveries=[by_hand]))
    await page.goto(room.url)
    await expect(page.locator("#pump")).to_contain_text("By hand: 5 mL dexamethasone")


async def test_dose_above_the_rooms_level_and_dose_that_is_a_lower_bound(room: FakeRoom, page: Page) -> None:
    await room.state("dose", dose("image headers", exceeded={"fluoro_time_s": "t"}))
    await page.goto(room.url)
    rows = page.locator("#dose .row")
    await expect(rows.nth(0)).to_contain_text("≥18.5s")
    await expect(rows.nth(0)).to_contain_text("above level 120 s")
    await expect(rows.nth(1)).to_have_attribute("data-over", "no")


async def test_alerts_are_newest_first_with_their_source_and_quiet_once_seen(room: FakeRoom, page: Page) -> None:
    seen = alert("R3", -10.0, acknowledged_at=now(-5), actor="Dr. Example")
    await room.state("alerts", alerts(alert("R1", -60.0, severity="medium"), alert("R15", -20.0), seen))
    await room.state("device/monitor-1", device("monitor-1", alarms=[
        {"code": "HR LOW", "text": "HR LOW", "since": now(-40), "priority": "yellow", "advisory": False}
    ]))  # fmt: skip
    await page.goto(room.url)
    shown = page.locator("#alert-list li")
    await expect(shown).to_have_count(4)
    assert [re.sub(r" \d\d:\d\d", "", text) for text in await texts(page, "#alert-list li")] == [
        "High Rule R15 Something about R15",
        "Alarm, yellow Monitor 1 HR LOW",
        "Medium Rule R1 Something about R1",
        "High Rule R3 Something about R3 seen by Dr. Example,",
    ]
    await expect(shown.nth(3)).to_have_attribute("data-quiet", "yes")
    spoken = page.locator("#spoken p")
    await expect(spoken.filter(has_text="High: Rule R15: Something about R15")).to_have_count(1)
    await expect(spoken.filter(has_text="R3")).to_have_count(0)


async def test_what_the_recorder_cannot_do_is_an_alert(room: FakeRoom, page: Page) -> None:
    await room.status(problem="the record cannot be written: no space left on device")
    await page.goto(room.url)
    await expect(page.locator("#alert-list")).to_contain_text("Critical Recorder", use_inner_text=True)
    await expect(page.locator("#alert-list")).to_contain_text("no space left on device")
    await expect(page.locator('#health [data-id="daemon"]')).to_have_text("Recordertrouble")


@pytest.mark.parametrize(("state", "word"), [("lost", "lost"), ("stale", "silent"), ("connecting", "connecting")])
async def test_a_device_that_is_not_there_says_since_when(room: FakeRoom, page: Page, state: str, word: str) -> None:
    await room.state("device/oximeter-1", device("oximeter-1", state, since_s=-42.0, reason="no bytes"))
    await room.state("vitals", healthy())
    await page.goto(room.url)
    chip = page.locator('#health [data-id="oximeter-1"]')
    await expect(chip).to_contain_text(f"Oximeter 1{word}")
    await expect(chip.locator(".more")).to_have_text(re.compile(r"0:4\d · since \d\d:\d\d"))


async def test_the_patient_is_named_only_where_the_broker_lets_us_know(room: FakeRoom, page: Page) -> None:
    await room.state("procedure", procedure())
    await page.goto(room.url)
    await expect(page.locator("#patient")).to_have_text("Case 4be1 · interlaminar left L4/5")
    patient = {"name": "DOE^JANE", "id": "4711", "birth_date": "1961-04-12"}
    await room.publish("private/identity", patient, retain=True)
    await expect(page.locator("#patient")).to_contain_text("DOE, JANE · born 1961-04-12 · ID 4711")
    await room.publish("private/identity", b"", retain=True)
    await expect(page.locator("#patient")).to_contain_text("Case 4be1")


async def test_between_cases_it_says_how_the_last_record_is(room: FakeRoom, page: Page) -> None:
    await room.state("device/pump-1", device("pump-1"))
    await room.state("procedure", standby())
    await room.state("carm", {**head(), "image": None, "objects": 0, "shown_sha256": None, "preview_problem": None})
    await page.goto(room.url)
    shown = page.locator("#standby")
    await expect(shown).to_contain_text("Room is ready")
    await expect(shown).to_contain_text("Completed")
    await expect(shown).to_contain_text("The record is complete")
    await expect(page.locator("#image")).to_be_hidden()
    lacks = [{"item": f"evaluation.{n}", "phase": "evaluation", "text": f"Nobody said {n}."} for n in range(9)]
    await room.state("procedure", standby(complete=False, lacks=lacks, deviations=["R1"]))
    await expect(shown).to_contain_text("The record lacks 9 entries")
    await expect(shown.locator("li:visible")).to_have_count(6)
    await expect(shown).to_contain_text("and 3 more · 1 alert was raised")
    await room.state("device/pump-1", device("pump-1", "lost"))
    await expect(shown).to_contain_text("0 of 1 devices are connected")


async def test_picture_and_caption_are_of_one_object(room: FakeRoom, page: Page) -> None:
    answering(room, [])
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator("#picture")).to_be_visible()
    await until_page(page, "document.querySelector('#picture').width == 64")
    newer = carm("bb", -2.0, shown_sha256="aa", preview_problem="JPEG 2000 lossless")
    await room.state("carm", newer)
    await expect(page.locator("#picture-note")).to_contain_text("cannot be shown: JPEG 2000 lossless")
    assert await texts(page, "#caption") == [""] or "aa" not in await page.locator("#caption").inner_text()
    await room.publish("image/last", jpeg(size=80), retain=True)
    await room.state("carm", carm("bb", -2.0, primary_angle_deg=0.0, frames=1))
    await until_page(page, "document.querySelector('#picture').width == 80")
    await expect(page.locator("#caption")).to_contain_text("AP")
    await expect(page.locator("#picture")).to_have_attribute("aria-label", re.compile("Last image, AP, taken at"))


async def test_the_strip_holds_what_came_before_we_joined_and_what_comes(room: FakeRoom, page: Page) -> None:
    lines = [image_line(10 + n, f"{n:02x}", -200.0 + 10 * n) for n in range(3)]
    answering(room, lines)
    await say_all(room)
    await room.state("dose", dose(images=3))
    await page.goto(room.url)
    tiles = page.locator("#strip li:visible")
    await expect(tiles).to_have_count(3)
    await expect(page.locator("#strip canvas")).to_have_count(3)
    await expect(tiles.first).to_contain_text(re.compile(r"AP \d\d:\d\d"))
    lines.append(image_line(101, "ff", 0.0))
    await room.event(lines[-1])
    await expect(page.locator("#strip canvas")).to_have_count(4)
    await room.event(line(0, "record.opened", {"kind": "standby"}, record="20261130T130000Z-0001"))
    await expect(tiles).to_have_count(0)  # nothing of one patient is left for the next


async def test_the_curves_hold_what_came_before_we_joined(room: FakeRoom, page: Page) -> None:
    answering(room, [readings(n, -100.0 + n, heart_rate_bpm=60.0 + n % 30) for n in range(100)])
    await say_all(room)
    await page.goto(room.url)
    await until(lambda: any(name == "backfill" for name, _ in room.commands))
    await until_page(page, f"({COLOURED})('heart', ([r, g]) => g > 150 && r < 120) > 200")


async def test_who_has_no_words_for_a_zone_reads_utc(room: FakeRoom, page: Page) -> None:
    async def answer(route: Any) -> None:
        config = await (await route.fetch()).json()
        await route.fulfill(json={**config, "timezone": "Mars/Olympus"})

    await page.route("**/config.json", answer)
    await room.state("procedure", procedure(phases=[
        {"phase": "injection", "since": "2026-11-30T12:09:00Z", "origin": "staff"},
    ]))  # fmt: skip
    await page.goto(room.url)
    await expect(page.locator('#phases [aria-current="step"] time')).to_have_text("12:09")


async def test_what_was_not_heard_of_is_not_said_to_be_absent(room: FakeRoom, page: Page) -> None:
    """An engineer's page, whom the broker tells of devices alone; and every page in its first moment."""
    await room.state("device/pump-1", device("pump-1"))
    await page.goto(room.url)
    await expect(page.locator("#health")).to_contain_text("Pump 1connected")
    for part in ("#alerts", "#pump", "#image", "#dose", '[data-tile="heart"]'):
        await expect(page.locator(part)).to_contain_text("Nothing heard of it yet")


async def test_a_room_that_said_nothing_for_hours_is_not_hours_behind(room: FakeRoom, page: Page) -> None:
    """What is retained is old then; only an answer says what time it is."""
    two_hours = 2 * 3600.0
    answered: list[bool] = []
    room.answer = lambda name, fields: {"ok": True, "message": "", "problems": []} if answered else None
    await room.state("procedure", standby() | head(at_s=-two_hours) | {"opened_at": now(-two_hours - 60)})
    await room.state("device/pump-1", device("pump-1", "lost", -two_hours - 30) | head(at_s=-two_hours))
    await page.goto(room.url)
    chip = page.locator('#health [data-id="pump-1"] .more')
    await expect(chip).to_contain_text("> 0:3")  # as long as nobody answers
    await expect(page.locator("#clock-time")).to_have_text("–")
    answered.append(True)
    await expect(chip).to_have_text(re.compile(r"^2:00:\d\d · since"))
    told = now()
    hours, minutes = (int(told[11:13]) + 1) % 24, int(told[14:16])  # Berlin in winter
    later = (60 * hours + minutes + 1) % 1440
    both = rf"{hours:02}:{minutes:02}|{later // 60:02}:{later % 60:02}"
    await expect(page.locator("#clock-time")).to_have_text(re.compile(both))
