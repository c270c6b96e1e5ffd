"""A whole case, entered at the console in the browser, against a real daemon: the README's own, word for word."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from console_rig import RealRoom, a_real_room, confirm, enter, fill
from playwright.async_api import Locator, Page, expect

from esi_room.cli.fields import fields_of
from esi_room.commands import COMMANDS
from esi_room.record.verify_room import verify_room

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
QUICK = {
    "aspiration": "Aspiration: negative",
    "sedation": "Sedation: none",
    "monitoring": "Monitoring: ECG, SpO₂, NIBP",
    "motor_sensory": "Motor and sensory check: all normal",
}
"""What the README says of these is a preset."""


@pytest_asyncio.fixture(loop_scope="session")
async def real_room(tmp_path: Path) -> AsyncIterator[RealRoom]:
    """The daemon and the display's server."""
    async with a_real_room(tmp_path) as room:
        yield room


def case() -> list[tuple[str, dict[str, Any]]]:
    """Each command of the README's case, as name and fields."""
    block = next(block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "mark start" in block)
    said = [shlex.split(line)[2:] for line in block.splitlines()]
    return [(name, fields_of(tuple(words), COMMANDS[name])) for name, *words in said]


def quick(name: str, fields: dict[str, Any]) -> str | None:
    """The button that says this, where there is one."""
    match name, fields:
        case "view", {"projection": projection, "contrast": True}:
            return f"View kept, with contrast: {'AP' if projection == 'ap' else projection}"
        case "needle", {"action": "removed"}:
            return "Needle: removed"
        case "hand_injection", {"state": state}:
            return f"Injection by hand: {state}, syringe A"
        case "pain", {"occasion": "baseline", "score": score}:
            return f"Pain score before (NRS): {score:g}"
        case (("aspiration" | "sedation" | "monitoring" | "motor_sensory"), _):
            return QUICK[name]
    return None


async def say(page: Page, name: str, fields: dict[str, Any]) -> None:
    """One command, by the way that the page offers for it."""
    button = quick(name, fields)
    if name == "phase":
        await page.locator(f'[data-phase="{fields["phase"]}"]').click()
    elif name == "time_out":
        await time_out(page)
    elif button is not None:
        await page.get_by_role("button", name=button, exact=True).click()
        if fields.get("volume_ml"):
            await page.locator("dialog.sheet [data-field=volume_ml] input").fill(str(fields["volume_ml"]))
    else:
        form = await opened(page, name)
        await fill(form, fields)
        await form.get_by_role("button", name="Review").click()
    await confirm(page)
    if name == "phase":
        await expect(page.locator(f'[data-phase="{fields["phase"]}"].is-now')).to_be_visible()


async def opened(page: Page, name: str) -> Locator:
    """The form, by its tile."""
    if name in ("start", "end"):
        await page.locator(f'#bar [data-key="{name}"]').click()
    else:
        tile = page.locator(f'.tile[data-form="{name}"]').first
        if not await tile.is_visible():
            await page.locator("details.others > summary").click()
        await tile.click()
    return page.locator("form.form")


async def time_out(page: Page) -> None:
    """Read aloud; the plan and the marked site are known already."""
    await page.get_by_role("button", name="Read the time-out aloud").click()
    lines = page.locator(".aloud > li")
    for n in range(await lines.count()):
        await lines.nth(n).get_by_role("button", name="Agreed").click()
    await page.get_by_role("button", name="Record the time-out").click()


async def test_the_whole_case_of_the_readme_is_entered_and_complete(
    real_room: RealRoom, page: Page, page_errors: list[str]
) -> None:
    """As with `esi-room mark`: what a room with no device lacks is the devices' part, and nothing else."""
    await page.set_viewport_size({"width": 1280, "height": 800})
    await enter(page, real_room.url)
    for name, fields in case():
        await say(page, name, fields)
    completeness = await real_room.entry("procedure.completeness")
    said, case_record = completeness["data"], completeness["record"]
    signs = {f"vitals.{sign}" for sign in ("heart_rate", "spo2", "nibp", "respiratory_rate")}
    assert {lack["item"] for lack in said["lacks"]} == {"guidance.images", *signs}
    assert real_room.entries("alert.raised") == []
    assert [syringe["difference_ml"] for syringe in said["syringes"]] == [0]
    delivery = (await real_room.entry("procedure.delivery"))["data"]
    assert (delivery["origin"], delivery["delivered_ml"], delivery["syringe"]) == ("hand", 5, "A")
    assert len(real_room.entries("operator.command")) == len(case())
    await expect(page.locator(".lacks")).to_contain_text("The record of the last case lacks 5 things.")

    await page.locator('.lacks [data-form="follow_up"]').click()
    form = page.locator("form.form")
    await fill(form, {"date": "2026-12-07", "contact": "phone", "pain_score": 2, "pain_scale": "NRS"})
    await form.get_by_role("button", name="Review").click()
    await confirm(page)
    await real_room.entry("record.amended", type="clinical.follow_up")
    assert all(report.ok for report in verify_room(real_room.data, being_written=True))
    await played_again(page, real_room, case_record)
    assert page_errors == []


async def played_again(page: Page, room: RealRoom, record: str) -> None:
    """The same case on the auditor's page: verified, with what was said and injected, and it plays to its end."""
    await page.goto(f"{room.url}records")
    await page.locator(f'a[href$="{record}"]').click()
    await expect(page.locator("body")).to_contain_text("Verified")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Interlaminar ESI L4/5")
    slider = page.get_by_role("slider")
    await page.get_by_label("Speed").select_option("60")
    await page.get_by_role("button", name="Play").click()
    await expect(slider).to_have_value(await slider.get_attribute("max") or "")
    await expect(page.locator("body")).to_contain_text("Dr. Example")


async def test_the_room_refuses_in_words_undoes_by_correction_and_comes_back(
    real_room: RealRoom, page: Page, page_errors: list[str]
) -> None:
    """What only a real room can say: a dose that is not concentration times volume; a note with the patient's name."""
    await page.set_viewport_size({"width": 800, "height": 1280})
    await enter(page, real_room.url)
    sheet = page.locator("dialog.sheet")
    for name, fields in (*case()[:2], ("phase", {"phase": "preparation"})):
        await say(page, name, fields)

    form = await opened(page, "drawn_up")
    wrong = {"drug": "lidocaine", "volume_ml": 2, "concentration": 1, "concentration_unit": "%", "dose": 30}
    await fill(form, {"syringe": "A", "components": [{**wrong, "dose_unit": "mg"}]})
    await form.get_by_role("button", name="Review").click()
    await sheet.get_by_role("button", name="Record", exact=True).click()
    await expect(sheet).to_contain_text("1 % x 2 mL is 20 mg, not 30 mg: correct the dose")
    await sheet.get_by_role("button", name="Change").click()
    await fill(form.locator('[data-field="components"]'), {"dose": 20})
    await form.get_by_role("button", name="Review").click()
    await confirm(page)
    drawn = await real_room.entry("clinical.drawn_up")

    form = await opened(page, "note")
    await fill(form, {"text": "Jane is cold"})
    await form.get_by_role("button", name="Review").click()
    await sheet.get_by_role("button", name="Record", exact=True).click()
    await expect(sheet).to_contain_text("holds the patient's name")
    await sheet.get_by_role("button", name="Close").click()
    await page.keyboard.press("Escape")

    await page.locator(f'[data-seq="{drawn["seq"]}"]').click()
    await page.get_by_role("button", name="touched by mistake").click()
    await page.get_by_role("button", name="withdraw").click()
    await confirm(page)
    await real_room.entry("clinical.correction", seq=drawn["seq"], withdrawn=True)
    await expect(page.locator(".log .counts")).to_contain_text("withdrawn")

    await real_room.stop()
    await expect(page.locator("#away")).to_contain_text("Nothing can be recorded now.")
    await real_room.start()
    await expect(page.locator("#away")).to_be_empty(timeout=15000)
    await page.reload()
    await expect(page.locator(".who")).to_contain_text("Dr. A")  # remembered on this tablet
    await expect(page.locator(".log .counts")).to_contain_text("withdrawn")  # by the record, from its beginning
    page_errors.clear()  # the browser's own words for a connection that failed
