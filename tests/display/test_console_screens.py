"""The console: undo, the time-out, alerts, and how a case begins and ends."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from console_rig import CASE, NEXT, PLAN, Case, confirm, fill, open_form, record_button, sheet
from display_rig import FakeRoom, now
from playwright.async_api import Page, expect


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


async def test_who_the_patient_is_is_not_made_up(case: Case, page: Page) -> None:
    """Nor is the patient of the case before, while the broker has nothing newer."""
    await expect(page.locator("#bar")).to_contain_text("Doe, Jane")
    case.record = NEXT
    await case.stand()
    await expect(page.locator("#bar")).to_contain_text("Patient not known here")
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


async def test_what_a_device_hints_at_the_staff_confirm(case: Case, page: Page) -> None:
    await case.stand(phases=[{"phase": "guidance", "since": now(), "origin": "carm"}])
    await expect(page.locator('[data-phase="guidance"]')).to_contain_text("said by carm: touch to confirm")
    await page.locator('[data-phase="guidance"]').click()
    await confirm(page)
    assert case.said("phase")[0]["phase"] == "guidance"


async def test_what_happened_earlier_is_said_by_the_rooms_clock(case: Case, page: Page) -> None:
    form = await open_form(page, "complication")
    await fill(form, {"kind": "vasovagal", "severity": "mild"})
    await form.get_by_text("It happened earlier").click()
    await form.get_by_role("button", name="5 min ago", exact=True).click()
    await form.get_by_role("button", name="Review").click()
    await confirm(page)
    at = datetime.fromisoformat(case.said("complication")[0]["at"])
    assert 290 < (datetime.now(UTC) - at).total_seconds() < 360


async def test_who_acts_is_asked_for_before_anything_is_recorded(room: FakeRoom, page: Page) -> None:
    case = Case(room, page)
    await case.stand()
    await page.goto(room.url + "console")
    await expect(page.get_by_text("Who acts?")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Needle: placed").click()
    await record_button(page).click()
    assert case.said("needle") == []
    await page.get_by_label("Another name").fill("Nurse B")
    await page.get_by_role("button", name="I act").click()
    await expect(sheet(page)).to_contain_text("by Nurse B")
    await confirm(page)
    assert case.said("needle")[0]["actor"] == "Nurse B"


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
