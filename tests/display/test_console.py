"""The console: what is sent, what is shown of it, and what is not pretended."""

from __future__ import annotations

import re

from console_rig import CASE, NEXT, Case, confirm, fill, open_form, opened_case, record_button, sheet
from display_rig import FakeRoom, until
from playwright.async_api import Page, expect


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


async def test_on_either_broker(either_room: FakeRoom, page: Page) -> None:
    case = await opened_case(either_room, page)
    await page.get_by_role("button", name="Aspiration: negative").click()
    await confirm(page)
    assert case.said("aspiration")[0]["result"] == "negative"


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


async def test_a_form_that_waits_for_its_answer_is_out_of_the_way_and_closes_no_other(case: Case, page: Page) -> None:
    """Left open it would be recorded twice; and whoever fills in the next one is not disturbed by the answer."""
    case.replies = False
    form = await open_form(page, "loss_of_resistance")
    await fill(form, {"obtained": True, "medium": "saline"})
    await form.get_by_role("button", name="Review").click()
    await record_button(page).click()
    await until(lambda: case.said("loss_of_resistance"), "the command")
    await page.keyboard.press("Escape")
    await expect(form).to_be_hidden()
    await expect(page.locator("#answers")).to_contain_text("Not answered yet: Loss of resistance")
    await open_form(page, "approach")
    case.replies = True
    await expect(page.locator("#answers")).to_contain_text("Recorded: Loss of resistance", timeout=8000)
    await expect(page.get_by_role("heading", name="Approach taken")).to_be_visible()
    await page.keyboard.press("Escape")
    form = await open_form(page, "loss_of_resistance")
    await expect(form).not_to_contain_text("What you typed before")


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
