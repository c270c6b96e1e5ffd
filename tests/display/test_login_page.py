"""The login page in Chromium, and what becomes of a page whose login ends."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from display_rig import PASSWORD, FakeRoom, Nats, a_room, write_users
from playwright.async_api import Page, expect

from esi_room.clock import ManualClock
from esi_room.display.mqtt import proxy

CLOCK = ManualClock()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeRoom]:
    monkeypatch.setattr(proxy, "WATCH_S", 0.1)
    write_users(tmp_path / "users")
    async with a_room(Nats(tmp_path / "b"), tmp_path, users=tmp_path / "users", clock=CLOCK, idle_s=600.0) as room:
        yield room


async def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_label("Password").press("Enter")


async def test_in_and_out_again(site: FakeRoom, page: Page, page_errors: list[str]) -> None:
    await page.goto(site.url + "console")
    await log_in(page, "Erika Muster", "a wrong one")
    await expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    await log_in(page, "Erika Muster")
    await expect(page).to_have_url(site.url + "console")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("alert")).to_have_text("You are logged out.")
    page_errors.clear()  # the connection that was closed, where it was asked for again before the page was gone
    await page.goto(site.url + "records")
    await log_in(page, "Otto")
    await expect(page).to_have_url(site.url + "records")
    assert PASSWORD not in page.url


async def test_a_console_that_nobody_uses_asks_again_who_is_there(
    site: FakeRoom, page: Page, page_errors: list[str]
) -> None:
    await page.goto(site.url + "console")
    await log_in(page, "Erika Muster")
    await expect(page.get_by_text("Connected")).to_be_visible()
    CLOCK.advance(601)
    await expect(page).to_have_url(re.compile(r"/login\?next=/console$"))
    page_errors.clear()  # the connection that was closed, and the 401
    await log_in(page, "Erika Muster")
    await expect(page.get_by_text("Connected")).to_be_visible()


async def test_a_wall_display_stays(site: FakeRoom, page: Page) -> None:
    await page.goto(site.url)
    await log_in(page, "wall-1")
    await expect(page.get_by_text("connected", exact=True)).to_be_visible()
    CLOCK.advance(300 * 86_400)
    await page.reload()
    await expect(page.get_by_text("connected", exact=True)).to_be_visible()


async def test_an_engineer_sees_the_devices_and_no_patient(site: FakeRoom, page: Page) -> None:
    device = {"device": "pump-1", "state": "lost", "since": "2026-11-30T12:00:00.000000Z", "reason": "unplugged"}
    await site.state("device/pump-1", {"as_of": None, **device, "rejected": {}, "alarms": []})
    await site.publish("private/identity", {"name": "SIMULATED^PATIENT", "id": "1", "birth_date": None}, retain=True)
    await page.goto(site.url)
    await log_in(page, "bio")
    await expect(page.get_by_text("Pump 1")).to_be_visible()
    assert "SIMULATED" not in await page.content()
