"""The wall display when things go wrong: it stays right, says what it lacks, and stays responsive."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from display_rig import FakeRoom, now, until
from playwright.async_api import Page, expect
from wall_rig import (
    RECORD,
    alerts,
    answering,
    carm,
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
    vital,
    vitals,
)

HEART = '[data-tile="heart"]'
IS_OLD = ("data-state", "old")
WAYS = {
    "no JSON": b"{oh dear",
    "no text": b"\xff\xfe\x00",
    "a number": b"42",
    "null": b"null",
    "a list": b"[]",
    "deep": b"[" * 50_000 + b"]" * 50_000,
    "another shape": b'{"as_of": {"record": "r", "seq": 1}, "published_at": "yesterday"}',
    "too large": b'{"x": "' + b"a" * 600_000 + b'"}',
}


async def test_without_the_broker_nothing_is_current_and_it_comes_back_by_itself(
    either_room: FakeRoom, page: Page, page_errors: list[str]
) -> None:
    room = either_room
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")
    await room.stop_broker()
    banner = page.locator("#banner")
    await expect(banner).to_contain_text(re.compile(r"No connection to the broker since \d\d:\d\d:\d\d"))
    await expect(page.locator(HEART)).to_have_attribute(*IS_OLD)
    await expect(page.locator("#pump")).to_have_attribute(*IS_OLD)
    await expect(page.locator('#health [data-id="broker"]')).to_contain_text(re.compile(r"lost\s*0:\d\d · since"))
    await expect(page.locator('#health [data-id="pump-1"]')).to_have_text("Pump 1was connected")
    before = await page.locator("#banner-age").inner_text()
    await expect(page.locator("#banner-age")).not_to_have_text(before)
    await room.start_broker()
    await room.state("vitals", healthy())
    await expect(banner).to_be_hidden()
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")
    page_errors.clear()  # the browser's own words on a connection that broke


async def test_what_was_emptied_while_the_broker_was_away_is_gone(
    room: FakeRoom, page: Page, page_errors: list[str]
) -> None:
    await say_all(room)
    await room.publish("private/identity", {"name": "DOE^JANE"}, retain=True)
    await page.goto(room.url)
    await expect(page.locator("#patient")).to_contain_text("DOE, JANE")
    await expect(page.locator("#picture")).to_be_visible()
    await room.stop_broker()
    await expect(page.locator("#banner")).to_be_visible()
    for topic in ("private/identity", "image/last", "state/device/oximeter-1"):
        room._kept[topic] = b""
    await room.start_broker()
    await expect(page.locator("#banner")).to_be_hidden()
    await expect(page.locator("#patient")).to_contain_text("Case 4be1")
    await expect(page.locator("#picture")).to_be_hidden()
    await expect(page.locator('#health [data-id="oximeter-1"]')).to_have_count(0)
    page_errors.clear()


async def test_a_daemon_that_was_killed_makes_everything_old(room: FakeRoom, page: Page) -> None:
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")
    await room.status("offline", since=None, record=None)  # the will
    await expect(page.locator("#banner")).to_contain_text(re.compile(r"recorder is off since \d\d:\d\d:\d\d"))
    await expect(page.locator(HEART)).to_have_attribute(*IS_OLD)
    await expect(page.locator('#health [data-id="daemon"]')).to_have_text("Recorderoff")
    await room.status()
    await room.state("vitals", healthy())
    await expect(page.locator("#banner")).to_be_hidden()
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")


@pytest.mark.parametrize("octets", WAYS.values(), ids=WAYS)
async def test_garbage_on_every_topic_is_said_and_breaks_nothing(room: FakeRoom, page: Page, octets: bytes) -> None:
    names = ["procedure", "vitals", "pump", "carm", "dose", "alerts", "device/pump-1", "checkpoint"]
    for name in names:
        await room.publish(f"state/{name}", octets, retain=True)
    await room.publish("private/identity", octets, retain=True)
    await room.publish("image/last", octets, retain=True)
    await page.goto(room.url)
    for part in ("#pump", "#dose", "#alerts", "#image", HEART, "h1"):
        await expect(page.locator(part)).to_contain_text(re.compile("readable|too large|damaged"))
    await expect(page.locator('#health [data-id="pump-1"]')).to_contain_text(re.compile("readable|too large"))
    await room.publish("event/vitals/numeric", octets)
    await say_all(room)  # and it is well again with the next true word
    await expect(page.locator(f"{HEART} .value")).to_have_text("76")
    await expect(page.locator("#pump")).to_contain_text("Injecting")
    await expect(page.locator("h1")).to_have_text("Interlaminar injection L4/5")


async def test_garbage_in_place_of_the_status_is_not_taken_for_life(room: FakeRoom, page: Page) -> None:
    await say_all(room)
    await room.publish("status", b"online", retain=True)
    await page.goto(room.url)
    await expect(page.locator("#banner")).to_contain_text("has not said anything")
    await expect(page.locator(HEART)).to_have_attribute(*IS_OLD)


@pytest.mark.parametrize("part", [0.5, 0.99])
async def test_half_a_picture_is_not_shown(room: FakeRoom, page: Page, part: float) -> None:
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator("#picture")).to_be_visible()
    whole = jpeg(size=200)
    await room.publish("image/last", whole[: int(len(whole) * part)], retain=True)
    await expect(page.locator("#picture")).to_be_hidden()
    await expect(page.locator("#picture-note")).to_contain_text("damaged")
    await expect(page.locator("#caption .item:visible")).to_have_count(0)
    await room.publish("image/last", whole[:40] + b"\xff\xd9", retain=True)  # ends as one, and is none
    await expect(page.locator("#picture-note")).to_contain_text("damaged")
    await room.publish("image/last", whole, retain=True)
    await expect(page.locator("#picture")).to_be_visible()


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_an_hour_off_on_this_machine_changes_nothing(room: FakeRoom, page: Page, hours: int) -> None:
    await page.add_init_script(f"const real = Date.now; Date.now = () => real() + {hours} * 3600e3;")
    await page.clock.install(time=1_790_000_000 + hours * 3600)
    await page.clock.resume()
    await say_all(room)
    await room.state("procedure", procedure(phases=[{"phase": "guidance", "since": now(-75), "origin": "staff"}]))
    await page.goto(room.url)
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")
    await expect(page.locator("#caption")).to_contain_text(re.compile(r"0:1\d ago"))
    told = now()
    hour = (int(told[11:13]) + 1) % 24  # Berlin in winter
    await expect(page.locator("#clock-time")).to_have_text(re.compile(rf"{hour:02}:|{(hour + 1) % 24:02}:00"))


async def test_a_room_whose_clock_steps_back_is_followed(room: FakeRoom, page: Page) -> None:
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")
    room.answer = lambda name, fields: {"ok": True, "problems": [], "answered_at": now(-3600.0)}
    step = line(200, "clock.step", {"step_s": -3600.0}, received=now(-3600.0))
    await room.event(step)
    late = vital("heart_rate_bpm", 71, "/min", at_s=-3600.0)
    await room.state("vitals", {**vitals(late), **head(at_s=-3600.0)})
    await expect(page.locator(f"{HEART} .value")).to_have_text("71")
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")


async def test_lines_that_were_lost_on_the_way_are_asked_for(room: FakeRoom, page: Page) -> None:
    lines = [image_line(n, f"{n:02x}", -100.0 + n) for n in range(1, 5)]
    answering(room, [])
    await say_all(room)
    await room.state("dose", dose(images=4))
    await page.goto(room.url)
    await expect(page.locator("#pump")).to_contain_text("Injecting")
    asked_for_what_was = lambda name, fields: name == "backfill" and fields["from_seq"] < fields["to_seq"]  # noqa: E731
    await until(lambda: any(asked_for_what_was(*each) for each in room.commands))
    answering(room, lines)
    await room.event(lines[0])
    await room.event(lines[3])  # 2 and 3 are missing
    await room.event(lines[3])  # and this one comes twice
    await expect(page.locator("#strip canvas")).to_have_count(4)
    asked = [fields for name, fields in room.commands if name == "backfill" and fields["from_seq"] == 2]
    assert asked[0]["to_seq"] == 3 and asked[0]["record"] == RECORD


async def test_a_line_of_a_record_that_is_none_stops_nothing(room: FakeRoom, page: Page) -> None:
    lines = [image_line(5, "05", -5.0)]
    answering(room, lines)
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator("#pump")).to_contain_text("Injecting")
    await room.event(line(0, "record.opened", {"kind": "standby"}, record="zzzz"))
    await room.event(lines[0])
    await expect(page.locator("#strip canvas")).to_have_count(1)


async def test_a_request_that_is_not_answered_is_said_again_with_its_id(room: FakeRoom, page: Page) -> None:
    heard: list[str] = []

    def deaf(name: str, fields: dict[str, Any]) -> None:
        heard.append(fields["id"])

    room.answer = deaf
    await say_all(room)
    await page.goto(room.url)
    await until(lambda: len(heard) > 1)
    assert len(set(heard[:2])) == 1


async def test_a_picture_of_another_object_is_not_shown_under_this_ones_time(room: FakeRoom, page: Page) -> None:
    lines = [image_line(10, "0a", -50.0)]
    other = {**lines[0], "data": {**lines[0]["data"], "sha256": "99"}}
    answering(room, [other])  # asked for 0a, it answers with 99
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator("#pump")).to_contain_text("Injecting")
    await room.event(lines[0])
    await expect(page.locator("#strip li:visible")).to_have_count(1)
    await until(lambda: any(name == "frame" for name, _ in room.commands))
    await expect(page.locator("#strip li:visible")).to_contain_text("AP")
    await expect(page.locator("#strip canvas")).to_have_count(0)


async def test_five_hundred_images_leave_the_strip_as_long_as_it_is(room: FakeRoom, page: Page) -> None:
    lines = [image_line(n, f"{n:04x}", -600.0 + n) for n in range(500)]
    answering(room, lines)
    await say_all(room)
    await room.state("dose", dose(images=500))
    await room.state("carm", carm(objects=500) | {"as_of": {"record": RECORD, "seq": 499}})
    await page.goto(room.url)
    await expect(page.locator("#strip")).to_contain_text("+ 495 earlier")
    await expect(page.locator("#strip canvas")).to_have_count(5)
    assert len([name for name, _ in room.commands if name == "frame"]) <= 12


async def test_a_thousand_events_a_second_leave_it_responsive(room: FakeRoom, page: Page) -> None:
    answering(room, [])
    await say_all(room)
    await page.goto(room.url)
    await expect(page.locator(HEART)).to_have_attribute("data-state", "current")
    await page.evaluate("""() => {
      window.longest = 0;
      let last = performance.now();
      setInterval(() => {
        const now = performance.now();
        window.longest = Math.max(window.longest, now - last);
        last = now;
      }, 20);
    }""")
    entry = readings(0, 0.0, heart_rate_bpm=80.0, spo2_pct=97.0)
    for burst in range(20):
        batch = [{**entry, "seq": 200 + 100 * burst + n} for n in range(100)]
        await asyncio.gather(*(room.event(each) for each in batch))
    await room.state("vitals", vitals(vital("heart_rate_bpm", 81, "/min")))
    await expect(page.locator(f"{HEART} .value")).to_have_text("81")
    assert await page.evaluate("window.longest") < 1000, "the page stood still"


async def test_long_texts_and_many_things_stay_in_their_place(room: FakeRoom, page: Page) -> None:
    await say_all(room)
    long = "Considerably " * 30
    await room.state("procedure", procedure(procedure=long))
    many = [
        {"alert": f"R{n}", "rule": f"R{n}", "severity": "critical", "text": long, "raised_at": now(-n), "facts": [],
         "acknowledged_at": None, "actor": None, "reason": None, "overridden": False, "source": None}
        for n in range(60)
    ]  # fmt: skip
    await room.state("alerts", alerts(*many))
    await room.state("pump", pump(alarms=[{"code": "x", "text": long, "since": now()}]))
    for n in range(9):
        await room.state(
            f"device/monitor-{n}", json.loads(room._kept["state/device/pump-1"]) | {"device": f"monitor-{n}"}
        )
    await page.goto(room.url)
    await expect(page.locator("#alert-more")).to_contain_text("more")
    parts = "header, #phases, main, main > *, #alert-list li:not([hidden]), body > footer"
    spilled = await page.evaluate(
        """(parts) => [...document.querySelectorAll(parts)]
          .filter((node) => node.getBoundingClientRect().width)
          .filter((node) => {
            const box = node.getBoundingClientRect();
            return box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
          })
          .map((node) => node.id || node.tagName)""",
        parts,
    )
    assert spilled == []
