"""The console, against a room that does what the test says: what is sent, what is shown, and what is not pretended."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from console_rig import confirm, enter, fill
from display_rig import FakeRoom, now, until
from playwright.async_api import Locator, Page, Route, expect

CASE = "20261130T090000Z-00aa"
NEXT = "20261130T110000Z-00bb"
IDENTITY = {"record": CASE, "name": "Doe^Jane", "id": "4711", "birth_date": "1961-04-12"}
PLAN = {"approach": "interlaminar", "side": "midline", "levels": ["L4/5"]}
TOUCH_PX = 56


class Case:
    """A case under way in a fake room: it answers as the daemon does, and writes what it accepts."""

    def __init__(self, room: FakeRoom, page: Page) -> None:
        self.room, self.page, self.record, self.seq = room, page, CASE, 1
        self.lines: list[dict[str, Any]] = []
        room.answer = self.answer
        self.replies = True
        self.problems: list[str] = []

    async def stand(self, phase: str | None = "guidance", kind: str = "procedure", **more: Any) -> None:
        """What `state/procedure` says."""
        phases = [] if phase is None else [{"phase": phase, "since": now(), "origin": "staff"}]
        case = {
            "procedure": "Interlaminar ESI L4/5",
            "started_at": now(),
            "phase": phase,
            "phases": phases,
            "plan": PLAN,
        }
        nothing = {"outcome": None, "ended_at": None, "rules": None, "deliveries": [], "completeness": None}
        state = {"kind": kind, "opened_at": now(), **nothing, **(case if kind == "procedure" else {})}
        blank = {"procedure": None, "started_at": None, "phase": None, "phases": [], "plan": None}
        where = {"as_of": {"record": self.record, "seq": self.seq}, "published_at": now()}
        await self.room.state("procedure", {**blank, **state, **more, **where})

    def answer(self, name: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        """Like `Commands`."""
        if name == "backfill":
            return {"ok": True, "record": self.record, "seq": 0, "message": "0 lines sent", "problems": [], "count": 0}
        if not self.replies:
            return None
        if self.problems:
            return {"ok": False, "record": None, "seq": None, "message": "refused", "problems": self.problems}
        self.seq += 2
        return {"ok": True, "record": self.record, "seq": self.seq, "message": "recorded", "problems": []}

    async def write(self, kind: str, seq: int, /, **data: Any) -> None:
        """A line of the record."""
        line = {"v": 1, "record": self.record, "seq": seq, "type": kind, "time": now(), "received": now()}
        await self.room.event({**line, "source": "room", "mono_ns": 1, "prev": "0" * 64, "data": data})

    def said(self, name: str) -> list[dict[str, Any]]:
        """The commands of this name that came."""
        return [fields for command, fields in self.room.commands if command == name]


@pytest_asyncio.fixture(loop_scope="session")
async def case(room: FakeRoom, page: Page) -> AsyncIterator[Case]:
    """The console, open on a tablet, in the guidance of a case."""
    await page.set_viewport_size({"width": 1280, "height": 800})
    case = Case(room, page)
    await case.stand()
    await room.publish("private/identity", IDENTITY, retain=True)
    await enter(page, room.url)
    await expect(page.locator('[data-phase="guidance"].is-now')).to_be_visible()
    yield case


def sheet(page: Page) -> Locator:
    return page.locator("dialog.sheet")


def record_button(page: Page) -> Locator:
    return sheet(page).get_by_role("button", name="Record", exact=True)


async def open_form(page: Page, name: str) -> Locator:
    """The form, where its tile is."""
    tile = page.locator(f'.tile[data-form="{name}"]').first
    if not await tile.is_visible():
        await page.locator("details.others > summary").click()
    await tile.click()
    form = page.locator("form.form")
    await expect(form).to_be_visible()
    return form


async def test_what_is_frequent_takes_two_touches_and_says_what_will_be_recorded(case: Case, page: Page) -> None:
    await page.get_by_role("button", name="Aspiration: negative").click()
    await expect(sheet(page)).to_contain_text("Record this?")
    await expect(sheet(page)).to_contain_text("Result")
    await expect(sheet(page)).to_contain_text("negative")
    await expect(sheet(page)).to_contain_text("by Dr. A, in the case Interlaminar ESI L4/5, Doe, Jane")
    assert case.said("aspiration") == []
    await confirm(page)
    (said,) = case.said("aspiration")
    assert (said["result"], said["actor"], said["record"]) == ("negative", "Dr. A", CASE)


async def test_the_phase_is_entered_with_two_touches_and_going_back_asks_why(case: Case, page: Page) -> None:
    await page.locator('[data-phase="injection"]').click()
    await expect(sheet(page)).to_contain_text("The procedure enters: Injection")
    await confirm(page)
    assert case.said("phase")[0] | {"phase": "injection", "record": CASE} == case.said("phase")[0]
    await page.locator('[data-phase="preparation"]').click()
    await record_button(page).click()
    await expect(sheet(page)).to_contain_text("is missing")
    assert len(case.said("phase")) == 1
    await sheet(page).get_by_label("Reason").fill("drapes renewed")
    await confirm(page)
    assert case.said("phase")[1]["reason"] == "drapes renewed"


async def test_the_answer_of_the_room_is_shown_with_entry_and_time(case: Case, page: Page) -> None:
    await page.get_by_role("button", name="Needle: placed").click()
    await record_button(page).click()
    await until(lambda: case.said("needle"), "the command")
    await case.write("clinical.needle", 3, action="placed", actor="Dr. A")
    await expect(page.locator("#answers")).to_contain_text(
        re.compile(r"Recorded: Needle: placed\. Entry 3, \d\d:\d\d:\d\d\.")
    )
    await expect(page.locator(".log")).to_contain_text("Needle placed")


async def test_a_refusal_is_shown_in_the_rooms_words_and_what_was_typed_stays(case: Case, page: Page) -> None:
    form = await open_form(page, "loss_of_resistance")
    await fill(form, {"obtained": True, "medium": "saline", "depth_mm": 68})
    case.problems = ["depth_mm does not fit: ask a colleague"]
    await form.get_by_role("button", name="Review").click()
    await record_button(page).click()
    await expect(sheet(page).get_by_role("alert")).to_contain_text("depth_mm does not fit: ask a colleague")
    await sheet(page).get_by_role("button", name="Change").click()
    await expect(form.locator('[data-field="depth_mm"] input').first).to_have_value("68")
    await expect(page.locator("#answers")).not_to_contain_text("Recorded")


async def test_nothing_is_called_recorded_before_the_room_said_so(case: Case, page: Page) -> None:
    """No answer: it is said so, and the same request goes out again until it is answered."""
    case.replies = False
    await page.get_by_role("button", name="Needle: placed").click()
    await record_button(page).click()
    await expect(sheet(page)).to_contain_text("it is not known whether this is recorded", timeout=8000)
    await until(lambda: len(case.said("needle")) >= 2, "it is sent again")
    assert len({said["id"] for said in case.said("needle")}) == 1
    await sheet(page).get_by_role("button", name="Go on, and wait for the answer").click()
    await expect(page.locator("#answers")).to_contain_text("Not answered yet: Needle: placed")
    await expect(page.locator("#answers")).not_to_contain_text("Recorded")
    case.replies = True
    await expect(page.locator("#answers")).to_contain_text("Recorded: Needle: placed", timeout=8000)
    await expect(page.locator("#answers")).not_to_contain_text("Not answered yet")


async def test_a_double_touch_sends_once_and_a_double_touch_on_a_preset_sends_nothing(case: Case, page: Page) -> None:
    await page.get_by_role("button", name="Needle: placed").dblclick()
    await expect(record_button(page)).to_be_visible()
    await record_button(page).dblclick(force=True)
    await expect(sheet(page)).to_be_hidden()
    await page.get_by_role("button", name="Needle: removed").click()
    box = await record_button(page).bounding_box()
    assert box is not None
    for _ in range(3):
        await page.mouse.click(box["x"] + 5, box["y"] + 5)
    await expect(sheet(page)).to_be_hidden()
    assert [said["action"] for said in case.said("needle")] == ["placed", "removed"]


async def test_without_the_broker_it_says_so_keeps_what_is_typed_and_records_nothing(
    case: Case, page: Page, page_errors: list[str]
) -> None:
    form = await open_form(page, "loss_of_resistance")
    await fill(form, {"obtained": True, "medium": "saline"})
    await case.room.stop_broker()
    await expect(page.locator("#away")).to_contain_text("Nothing can be recorded now. What you have typed stays here.")
    await form.get_by_role("button", name="Review").click()
    await expect(record_button(page)).to_be_disabled()
    await expect(sheet(page)).to_contain_text("there is no connection to the room")
    await case.room.start_broker()
    await expect(page.locator("#away")).to_be_empty(timeout=15000)
    await expect(record_button(page)).to_be_enabled()
    await confirm(page)
    assert case.said("loss_of_resistance")[0]["medium"] == "saline"
    page_errors.clear()  # the browser's own words for a connection that failed


async def test_while_the_daemon_is_off_nothing_can_be_recorded(case: Case, page: Page) -> None:
    await case.room.status("offline")
    await expect(page.locator("#away")).to_contain_text("The room's recorder is not running.")
    await page.get_by_role("button", name="Needle: placed").click()
    await expect(record_button(page)).to_be_disabled()
    await case.room.status("online", problem="the disk is full")
    await expect(page.locator("#away")).to_contain_text("The room says: the disk is full")
    await expect(record_button(page)).to_be_enabled()


async def test_a_form_that_is_left_is_there_again_with_what_was_typed(case: Case, page: Page) -> None:
    form = await open_form(page, "approach")
    await fill(form, {"approach": "caudal"})
    await page.keyboard.press("Escape")
    await expect(form).to_be_hidden()
    form = await open_form(page, "approach")
    await expect(form).to_contain_text("What you typed before is still here.")
    await expect(form.locator('[data-field="approach"] input:checked')).to_have_value('"caudal"')


async def test_what_was_meant_for_one_patient_does_not_go_into_the_next_ones_record(case: Case, page: Page) -> None:
    form = await open_form(page, "loss_of_resistance")
    await fill(form, {"obtained": True, "medium": "saline"})
    case.record = NEXT
    await case.stand()
    await form.get_by_role("button", name="Review").click()
    await expect(record_button(page)).to_be_disabled()
    await expect(sheet(page)).to_contain_text("It will not go into another patient's record.")
    await sheet(page).get_by_role("button", name="Add it to that record, as an amendment").click()
    await confirm(page)
    assert case.said("loss_of_resistance") == []
    (said,) = case.said("amend")
    assert (said["record"], said["form"]) == (CASE, "loss_of_resistance")
    assert said["fields"] == {"obtained": True, "medium": "saline"}


async def test_the_room_holds_back_what_this_page_could_not_know_of(case: Case, page: Page) -> None:
    """The record goes along with whatever takes it, so that the room can refuse."""
    for touch in ("Needle: placed", "View kept, with contrast: AP"):
        await page.get_by_role("button", name=touch).click()
        await confirm(page)
    assert {said["record"] for name in ("needle", "view") for said in case.said(name)} == {CASE}


async def test_undo_is_a_correction_and_what_was_said_stays_struck_out(case: Case, page: Page) -> None:
    await case.write("clinical.pain", 3, occasion="baseline", score=7, scale="NRS", actor="Nurse B")
    await page.locator('[data-seq="3"]').click()
    form = page.locator("form.form")
    await form.get_by_role("button", name="misheard").click()
    await form.get_by_role("button", name="Review").click()
    await expect(form).to_contain_text("Nothing is changed yet.")
    await form.get_by_label("Score", exact=True).fill("6")
    await form.get_by_role("button", name="Review").click()
    await expect(sheet(page)).to_contain_text("7 of 10 → 6 of 10")
    await confirm(page)
    (said,) = case.said("correction")
    assert (said["seq"], said["reason"], said["fields"], said["record"]) == (3, "misheard", {"score": 6}, CASE)
    await case.write("clinical.correction", 5, seq=3, reason="misheard", fields={"score": 6}, actor="Dr. A")
    entry = page.locator('[data-seq="3"]')
    await expect(entry.locator("s")).to_have_text("before, 7 of 10, NRS")
    await expect(entry.locator(".counts")).to_contain_text("What counts: before, 6 of 10, NRS")
    await expect(entry.locator(".counts")).to_contain_text("misheard (Dr. A)")


async def test_what_should_not_have_been_said_is_withdrawn(case: Case, page: Page) -> None:
    await case.write("clinical.sensation", 3, kind="warmth", action="none", actor="Nurse B")
    await page.locator('[data-seq="3"]').click()
    await page.get_by_role("button", name="touched by mistake").click()
    await page.get_by_role("button", name="withdraw").click()
    await confirm(page)
    assert case.said("correction")[0]["withdrawn"] is True
    await case.write("clinical.correction", 5, seq=3, reason="touched by mistake", withdrawn=True, actor="Dr. A")
    await expect(page.locator(".log s")).to_contain_text("warmth")
    await expect(page.locator(".log .counts")).to_contain_text("withdrawn")


async def test_the_time_out_is_read_aloud_and_each_line_agreed_on(case: Case, page: Page) -> None:
    await case.write("clinical.allergies", 3, known=[{"substance": "latex", "reaction": "severe"}], actor="Nurse B")
    await case.write("clinical.anticoagulants", 5, none=True, decision="proceed", actor="Nurse B")
    await page.get_by_role("button", name="Read the time-out aloud").click()
    lines = page.locator(".aloud > li")
    for key, text in (
        ("identity", "Doe, Jane"), ("identity", "born 1961-04-12"), ("identity", "4711"),
        ("procedure", "Interlaminar ESI L4/5"), ("approach", "interlaminar"), ("side", "midline"), ("levels", "L4/5"),
        ("allergies", "latex, severe"), ("anticoagulants", "none, proceed"),
    ):  # fmt: skip
        await expect(page.locator(f'[data-line="{key}"]')).to_contain_text(text)
    await page.locator('[data-line="site_marked"] input[value="true"]').check()
    for n in range(await lines.count() - 1):
        await lines.nth(n).get_by_role("button", name="Agreed").click()
    await page.get_by_role("button", name="Record the time-out").click()
    await expect(page.locator(".time-out .told")).to_contain_text("One line is not agreed yet")
    assert case.said("time_out") == []
    await lines.last.get_by_role("button", name="Agreed").click()
    await page.get_by_role("button", name="+ Dr. A").click()
    await page.get_by_role("button", name="Record the time-out").click()
    await confirm(page)
    (said,) = case.said("time_out")
    wanted = {"identity": True, "procedure": True, **PLAN, "site_marked": True, "team": ["Dr. A"], "record": CASE}
    assert said | wanted == said


async def test_a_line_of_the_time_out_that_changed_must_be_agreed_on_anew(case: Case, page: Page) -> None:
    await page.get_by_role("button", name="Read the time-out aloud").click()
    side = page.locator('[data-line="side"]')
    agreed = side.get_by_role("button", name="Agreed")
    await agreed.click()
    await expect(agreed).to_have_attribute("aria-pressed", "true")
    await side.get_by_text("Change").click()
    await side.locator("input[value='\"left\"']").check()
    await expect(agreed).to_have_attribute("aria-pressed", "false")
    await expect(side.locator(".chosen > b")).to_have_text("left")


async def test_what_is_read_aloud_is_what_is_recorded_now(case: Case, page: Page) -> None:
    """Said at another console while the team reads: the line says it, and must be agreed on anew."""
    await page.get_by_role("button", name="Read the time-out aloud").click()
    allergies = page.locator('[data-line="allergies"]')
    await allergies.get_by_role("button", name="Agreed").click()
    await page.locator('[data-line="side"]').get_by_role("button", name="Agreed").click()
    await case.write("clinical.allergies", 3, known=[{"substance": "iodine", "reaction": "severe"}], actor="Nurse B")
    await expect(allergies).to_contain_text("iodine, severe")
    agreed = page.get_by_role("button", name="Agreed", pressed=True)
    await expect(agreed).to_have_count(1)
    await expect(agreed).to_have_accessible_name("Side: Agreed")


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


async def test_who_the_patient_is_is_not_made_up(case: Case, page: Page) -> None:
    await case.room.publish("private/identity", b"", retain=True)
    await page.get_by_role("button", name="Read the time-out aloud").click()
    await expect(page.locator('[data-line="identity"]')).to_contain_text("not known here: read the wristband")
    await expect(page.locator('[data-line="allergies"]')).to_contain_text("not recorded yet")
    await page.locator('[data-line="identity"]').get_by_role("button", name="Differs").click()
    await expect(page.locator('[data-line="identity"]')).to_have_class(re.compile("is-different"))


async def test_an_alert_is_seen_or_gone_on_in_spite_of_with_a_reason(case: Case, page: Page) -> None:
    alert = {"alert": "R4", "rule": "R4", "severity": "critical", "text": "Particulate steroid.", "facts": [3]}
    more = {"raised_at": now(), "acknowledged_at": None, "actor": None, "reason": None, "overridden": False}
    state = {"alerts": [{**alert, **more, "source": "Rathmell 2015"}]}
    await case.room.state("alerts", {**state, "as_of": {"record": CASE, "seq": 1}, "published_at": now()})
    shown = page.locator('[data-alert="R4"]')
    await expect(shown).to_contain_text("Critical: Particulate steroid.")
    await shown.get_by_role("button", name="Seen").click()
    await confirm(page)
    assert case.said("acknowledge")[0] | {"alert": "R4", "record": CASE} == case.said("acknowledge")[0]
    await shown.get_by_role("button", name="Go on, with a reason").click()
    form = page.locator("form.form")
    await form.get_by_role("button", name="Review").click()
    await expect(form).to_contain_text("Reason is missing")
    await form.get_by_label("Reason").fill("no other steroid in the house")
    await form.get_by_role("button", name="Review").click()
    await confirm(page)
    said = case.said("override")[0]
    assert (said["alert"], said["reason"], said["record"]) == ("R4", "no other steroid in the house", CASE)


async def test_a_case_is_started_from_an_order_of_the_worklist(case: Case, page: Page) -> None:
    await case.stand(None, "standby")
    order = {"order": "SPS-7", "change": "placed", "origin": "folder", "procedure": "Caudal ESI"}
    await case.write("carm.order", 3, **order, scheduled_at="2026-11-30T10:30")
    await page.locator("#bar").get_by_role("button", name="Start").click()
    await page.locator('[data-order="SPS-7"]').click()
    await expect(sheet(page)).to_contain_text("SPS-7")
    await confirm(page)
    assert case.said("start")[0]["order"] == "SPS-7"


async def test_what_the_last_record_lacks_is_mended_by_an_amendment(case: Case, page: Page) -> None:
    lacks = [
        {"item": "recovery.pain", "phase": "recovery", "text": "pain score afterwards"},
        {"item": "vitals.spo2", "phase": None, "text": "SpO2"},
        {"item": "sign_off", "phase": None, "text": "signature"},
    ]
    told = {"record": CASE, "seq": 40, "outcome": "completed", "ended_at": now(), "complete": False, "lacks": lacks}
    completeness = {**told, "not_assessable": {"R16": "nothing told of dose"}, "syringes": [], "deviations": []}
    case.record = NEXT
    await case.stand(None, "standby", completeness=completeness)
    lack = page.locator(".lacks")
    await expect(lack).to_contain_text("The record of the last case lacks 3 things.")
    await expect(lack).to_contain_text("R16: nothing told of dose")
    await expect(lack.locator(".still")).to_contain_text("SpO2")
    await lack.locator('[data-lack="recovery.pain"]').click()
    form = page.locator("form.form")
    await fill(form, {"occasion": "after", "score": 2, "scale": "NRS"})
    await form.get_by_role("button", name="Review").click()
    await confirm(page)
    said = case.said("amend")[0]
    assert (said["record"], said["form"]) == (CASE, "pain")
    assert said["fields"] == {"occasion": "after", "score": 2, "scale": "NRS"}
    await case.write("record.amended", 3, record=CASE, seq=41, type="clinical.pain", sha256="0" * 64)
    await expect(lack.locator('[data-lack="recovery.pain"]')).to_contain_text("said afterwards")


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


async def test_what_a_device_has_opened_the_staff_take_over(case: Case, page: Page) -> None:
    await expect(page.get_by_role("button", name="Take over")).to_be_hidden()
    await case.write("procedure.started", 2, procedure=None, origin="carm")
    await page.get_by_role("button", name="Take over").click()
    form = page.locator("form.form")
    await fill(form, {"procedure": "Caudal ESI"})
    await form.get_by_role("button", name="Review").click()
    await confirm(page)
    said = case.said("start")[0]
    assert said["procedure"] == "Caudal ESI"
    assert "identity" not in said and "plan" not in said  # nothing was filled in: nothing is said of it


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


async def test_times_are_the_rooms_with_utc_beside(case: Case, page: Page) -> None:
    """The tablet stands in New York; the room is in Berlin."""
    line = {"v": 1, "record": CASE, "seq": 3, "type": "clinical.note", "source": "room", "mono_ns": 1, "prev": "0" * 64}
    when = {"time": "2026-11-30T08:41:05.000000Z", "received": "2026-11-30T08:41:05.000000Z"}
    await case.room.event({**line, **when, "data": {"text": "x", "actor": "Dr. A"}})
    time = page.locator(".log time")
    await expect(time).to_have_text("09:41:05")
    await expect(time).to_have_attribute("title", "2026-11-30 08:41:05 UTC")
