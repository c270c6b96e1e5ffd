"""The records at the server: the list, the page that is the exported one, its frames; who sees what."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from display_rig import Browser, free_port, until, write_users
from PIL import Image
from playwright.async_api import Page, Route, expect
from record_rig import Case, move

from esi_room.clock import ManualClock
from esi_room.display.records import listing, shelf, summary
from esi_room.display.records.shelf import Shelf
from esi_room.display.server import serving
from esi_room.display.settings import DisplaySettings
from esi_room.outputs.client import BrokerSettings

NOWHERE = BrokerSettings(url="mqtt://127.0.0.1:1", client_id="")


@pytest.fixture
def case(kept: Case, tmp_path: Path) -> Case:
    """A copy of its own: to be broken, or looked at, which is recorded."""
    data = tmp_path / "data"
    shutil.copytree(kept.data, data)
    return kept._replace(data=data, directory=data / "records" / kept.record)


def settings(case: Case, users: Path | None = None) -> DisplaySettings:
    return DisplaySettings(
        room="esi-1", timezone="Europe/Berlin", data=case.data, host="127.0.0.1", port=free_port(), broker=NOWHERE,
        users=users,
    )  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def url(case: Case) -> AsyncIterator[str]:
    async with serving(settings(case)) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def calm(kept: Case, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The same, for tests that leave it as it is."""
    data = tmp_path_factory.mktemp("calm") / "data"
    shutil.copytree(kept.data, data)
    (data / "records" / "20260101T000000Z-aaaa").symlink_to("/etc")
    async with serving(settings(kept._replace(data=data))) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def closed(case: Case, tmp_path: Path) -> AsyncIterator[str]:
    """Where people log in."""
    write_users(tmp_path / "users")
    async with serving(settings(case, tmp_path / "users")) as url:
        yield url


def break_it(case: Case) -> None:
    journal = case.directory / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"completed"', b'"Completed"', 1))


async def found(browser: Browser, path: str) -> tuple[int, str]:
    async with browser.get(path) as answer:
        return answer.status, await answer.text()


# --- the list -------------------------------------------------------------------------------------------------


async def test_the_list_says_what_there_is_and_what_is_verified(page: Page, calm: str, kept: Case) -> None:
    await page.goto(f"{calm}records")
    row = page.get_by_role("row").filter(has_text=kept.record)
    await expect(row).to_contain_text("Interlaminar epidural steroid injection L4/5")
    await expect(row).to_contain_text("2026-03-02 09:00:14 CET")
    await expect(row).to_contain_text("1 min")
    assert await row.locator("td.figure").all_inner_texts() == ["1 min", "3", "3"]
    await expect(row).to_contain_text("✓ verified", timeout=30_000)  # when it is: the page asks again by itself
    assert "SIMULATED" not in await page.content()
    await row.get_by_role("link").click(no_wait_after=True)
    await expect(page.get_by_text("Verified:")).to_be_visible(timeout=30_000)
    await page.get_by_role("link", name="All records").click()
    await expect(page.get_by_role("heading", name="Records of this room")).to_be_visible()


async def test_it_is_searched_by_day_and_words(calm: str, kept: Case) -> None:
    async with Browser(calm) as browser:
        for query, there in (
            ("", True), ("?from=2026-03-02&to=2026-03-02", True), ("?from=2026-03-03", False),
            ("?to=2026-03-01", False),
            ("?q=l4%2F5", True), ("?q=cervical", False), (f"?q={kept.record}", True), ("?from=yesterday", True),
        ):  # fmt: skip
            _, text = await found(browser, f"/records{query}")
            assert (kept.record in text) == there, query
        assert (await found(browser, "/records"))[1].count("<tr>") == 2, "standby is left out"
        assert (await found(browser, "/records?standby=1"))[1].count("<tr>") == 4
        _, text = await found(browser, "/records?q=%22%3E%3Cscript%3E")
        assert "<script>" not in text and "&quot;&gt;&lt;script&gt;" in text


async def test_what_is_broken_is_said_with_where(page: Page, url: str, case: Case) -> None:
    break_it(case)
    await page.goto(f"{url}records")
    row = page.get_by_role("row").filter(has_text=case.record)
    await expect(row).to_contain_text("BROKEN", timeout=30_000)
    await expect(row).to_contain_text("journal.jsonl:")
    await expect(page.get_by_text("1 BROKEN")).to_be_visible()


async def test_verified_is_never_said_of_what_was_not(case: Case) -> None:
    """Not before it was, and not of a file that was changed since, however its times were set."""
    kept = Shelf(case.data)
    try:
        assert all(row.verdict is None for row in await kept.rows())
        await _verified(kept)
        picture = next((case.directory / "frames").iterdir())
        before = picture.stat()
        octets = bytearray(picture.read_bytes())
        octets[-1] ^= 1
        picture.write_bytes(octets)
        os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
        rows = {row.summary.record: row.verdict for row in await kept.rows()}
        assert rows[case.record] is None
        await _verified(kept)
        rows = {row.summary.record: row.verdict for row in await kept.rows()}
        verdict = rows[case.record]
        assert verdict is not None and verdict.problem is not None
    finally:
        await kept.close()


async def test_a_verifier_that_dies_is_not_started_at_every_look(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    started = 0

    async def dying(_: Path, __: str | None) -> AsyncIterator[object]:
        nonlocal started
        started += 1
        return
        yield

    monkeypatch.setattr(shelf, "verified", dying)
    clock = ManualClock()
    kept = Shelf(case.data, clock)
    for _ in range(3):
        assert all(row.verdict is None for row in await kept.rows())
        await asyncio.sleep(0)
    assert started == 2, "once for each of the two that are sealed"
    clock.advance(shelf.AGAIN_S)
    await kept.rows()
    await asyncio.sleep(0)
    assert started == 4
    await kept.close()


async def _verified(kept: Shelf) -> None:
    async def all_known() -> bool:
        return all(row.verdict is not None or not row.summary.sealed for row in await kept.rows())

    while not await all_known():
        await asyncio.sleep(0.05)


async def test_a_damaged_record_is_in_the_list_all_the_same(case: Case, url: str) -> None:
    (case.directory / "journal.jsonl").write_bytes(b"\xff\xfe nonsense\n" * 5)
    pipe = case.data / "records" / "20260102T000000Z-bbbb"
    pipe.mkdir()
    os.mkfifo(pipe / "journal.jsonl")
    async with Browser(url) as browser:
        status, text = await found(browser, "/records")
        assert status == 200 and case.record in text and "its first line cannot be read" in text
        status, text = await found(browser, f"/records/{case.record}")
        assert status == 200 and "BROKEN" in text


# --- a page ---------------------------------------------------------------------------------------------------


async def test_it_is_the_exported_page_and_works_like_it(page: Page, calm: str, kept: Case) -> None:
    await page.goto(f"{calm}records/{kept.record}")
    raised = kept.of("alert.raised")[0]
    await move(page, kept.at_ms(raised) + 1)
    await expect(page.locator(".moment .alerts")).to_contain_text(raised["data"]["text"])
    await page.get_by_role("button", name="recovery").click()
    await expect(page.locator(".moment figcaption")).to_contain_text("Image 3 of 3, frame 8 of 8")
    picture = page.locator(".moment .screen img")
    assert await picture.evaluate("img => [img.complete, img.naturalWidth]") == [True, 128], "as the C-arm made it"
    await page.get_by_role("button", name="Play").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()


async def test_picture_and_caption_change_together_however_slow_the_net_is(page: Page, calm: str, kept: Case) -> None:
    """And each is fetched once."""
    asked, go = list[str](), asyncio.Event()

    async def slowly(route: Route) -> None:
        asked.append(route.request.url)
        await go.wait()
        await route.continue_()

    await page.route("**/frame?*&frame=*", slowly)
    await page.goto(f"{calm}records/{kept.record}")
    caption, picture = page.locator(".moment figcaption"), page.locator(".moment .screen img")
    first, second = (entry for entry in kept.of("carm.image")[:2])
    slider = page.get_by_role("slider")
    for entry in (first, second):
        await slider.evaluate(
            "(s, t) => { s.value = String(t); s.dispatchEvent(new Event('input')); }", kept.at_ms(entry) + 5
        )
        await expect(page.locator(".moment .frame")).to_have_attribute("aria-busy", "true")
        await expect(caption).to_have_text("")
        await expect(page.locator(".moment .absent")).to_have_text("The image is being fetched")
    go.set()
    await expect(caption).to_contain_text("Image 2 of 3")
    shown = await picture.get_attribute("src") or ""
    assert second["data"]["sha256"] in shown
    await expect(page.locator(".moment .frame")).not_to_have_attribute("aria-busy", "true")
    assert len(asked) == len(set(asked)) == 2


async def test_who_the_patient_is_is_for_those_who_may_know(closed: str, calm: str, case: Case) -> None:
    """An auditor may not, as a rule; where nobody logs in everybody may."""
    for address, known in ((closed, False), (calm, True)):
        async with Browser(address) as browser:
            if not known:
                await browser.login("Otto")
            status, text = await found(browser, f"/records/{case.record}")
            assert status == 200
            assert ("SIMULATED" in text) == known and ("not on this page" in text) != known


async def test_looking_at_a_record_is_recorded(closed: str, case: Case) -> None:
    async with Browser(closed) as browser:
        await browser.login("Otto")
        assert (await found(browser, f"/records/{case.record}"))[0] == 200
    said = [json.loads(path.read_text())["said"] for path in (case.data / "audit").glob("*.json")]
    assert [each["actor"] for each in said if each["records"] == [case.record]] == ["Otto"]


async def test_frames_are_of_this_record_alone(calm: str, kept: Case) -> None:
    image = kept.of("carm.image")[0]["data"]["sha256"]
    run = next(entry["data"] for entry in kept.of("carm.image") if entry["data"].get("frames") == 8)
    base = f"/records/{kept.record}/frame"
    async with Browser(calm) as browser:
        pictures = set()
        for frame in range(1, 9):
            async with browser.get(f"{base}?sha256={run['sha256']}&frame={frame}") as answer:
                assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
                pictures.add(await answer.read())
        assert len(pictures) == 8
        async with browser.get(f"{base}?sha256={image}&small=1") as answer:
            assert Image.open(io.BytesIO(await answer.read())).format == "JPEG"
        for query, status in (
            (f"sha256={'0' * 64}", 404), ("sha256=../../keys/private.pem", 400), ("", 400),
            (f"sha256={run['sha256']}&frame=9", 404), (f"sha256={run['sha256']}&frame=x", 400),
        ):  # fmt: skip
            assert await browser.status(f"{base}?{query}") == status, query
        other = next(path.name for path in (kept.data / "records").iterdir() if path.name != kept.record)
        assert await browser.status(f"/records/{other}/frame?sha256={image}") == 404


async def test_there_is_no_way_out_of_the_records(calm: str, kept: Case) -> None:
    async with Browser(calm) as browser:
        for path in (
            "/records/nothing",
            "/records/..%2Fkeys",
            "/records/20260101T000000Z-aaaa",
            "/records/x/style.css",
        ):
            assert await browser.status(path) == 404, path


async def test_a_record_that_is_written_says_so(calm: str, kept: Case) -> None:
    newest = max(path.name for path in (kept.data / "records").iterdir())
    async with Browser(calm) as browser:
        _, text = await found(browser, f"/records/{newest}")
    assert "The record is still open. Verified so far:" in text


# --- bounds ---------------------------------------------------------------------------------------------------


async def test_one_page_is_made_once_and_kept_until_a_file_changes(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    made, count = shelf.made, 0

    async def counted(data: Path, record: str, *, identity: bool) -> object:
        nonlocal count
        count += 1
        return await made(data, record, identity=identity)

    monkeypatch.setattr(shelf, "made", counted)
    kept = Shelf(case.data)
    try:
        pages = await asyncio.gather(*(kept.page(case.record, identity=False) for _ in range(5)))
        assert count == 1 and len({id(page) for page in pages}) == 1
        await kept.page(case.record, identity=False)
        assert count == 1
        break_it(case)
        assert b"BROKEN" in (await kept.page(case.record, identity=False)).html
        assert count == 2
    finally:
        await kept.close()


async def test_who_goes_away_stops_the_work(url: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def endless(*_: object, **__: object) -> object:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    monkeypatch.setattr(shelf, "made", endless)
    async with aiohttp.ClientSession(url) as session:
        asking = asyncio.create_task(session.get(f"/records/{case.record}"))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await asyncio.wait_for(stopped.wait(), 10)


async def test_a_worker_ends_with_whoever_it_works_for(case: Case) -> None:
    kept = Shelf(case.data)
    making = asyncio.create_task(kept.page(case.record, identity=False))
    await until(_workers, "a worker runs")
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    await kept.close()
    await until(lambda: not _workers(), "it ends")


def _workers() -> list[str]:
    """Children of this process that run the worker."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = re.search(r"PPid:\s*(\d+)", status.read_text())
            words = (status.parent / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if parent is not None and int(parent[1]) == os.getpid() and "display.records.worker" in words:
            found.append(words)
    return found


def test_a_summary_reads_what_the_journal_says(kept: Case) -> None:
    one = summary.summary(kept.data, kept.record)
    assert (one.kind, one.zone, one.sealed, one.outcome) == ("procedure", "Europe/Berlin", True, "completed")
    assert one.images == 3 and one.deviations == len({each["data"]["alert"] for each in kept.of("alert.raised")})
    assert one.last_ns > one.opened_ns


def test_a_long_list_is_cut_and_goes_on(kept: Case) -> None:
    one = summary.summary(kept.data, kept.record)
    rows = [shelf.Row(one._replace(record=f"20260302T{n:06}Z-0000"), None) for n in reversed(range(450))]
    text = listing.page(rows, listing.Search())
    assert text.count("<tr>") == listing.MOST_ROWS + 1 and "450 records, the newest 200 shown" in text
    assert "records?before=20260302T000250Z-0000" in text
    older = listing.page(rows, listing.Search(before="20260302T000250Z-0000"))
    assert "250 records" in older and "20260302T000249Z-0000" in older and "20260302T000250Z-0000<" not in older
