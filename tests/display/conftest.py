"""Fixtures for the pages and their server, with Debian's Chromium.

Rules:
- All tests of this folder run in one event loop, the session's, because the browser is started once. An async fixture
  of a test module here says so as well: `@pytest_asyncio.fixture(loop_scope="session")`.
- `page` fails its test when the page said an error (console, exception, or something that could not be loaded). A
  test that provokes errors takes what it expects out of `page_errors`: `page_errors.clear()`.

    async def test_it(room, page):
        await room.state("vitals", {...})
        await page.goto(room.url)
        await expect(page.get_by_text("98 %")).to_be_visible()
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright
from pytest_asyncio import is_async_test

HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    """A module beside this file, for the test modules to import."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


rig = _load("display_rig")
console_rig = _load("console_rig")
_load("schema_values")
record_rig = _load("record_rig")
_load("wall_rig")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all async tests of this folder."""
    for item in items:
        if HERE in item.path.parents and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(peers: ModuleType) -> AsyncIterator[Browser]:
    """Chromium, once a worker."""
    program = peers.need("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(rig.CHROMIUM))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser profile of its own: a wall display of 1080p. More pages of it: `await context.new_page()`."""
    context = await browser.new_context(
        viewport={"width": 1920, "height": 1080}, timezone_id="America/New_York", locale="en-GB"
    )
    context.set_default_timeout(rig.PAGE_TIMEOUT_MS)
    yield context
    await context.close()


@pytest.fixture
def page_errors() -> list[str]:
    """What the page complained of; must be empty at the end."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, page_errors: list[str]) -> AsyncIterator[Page]:
    """An empty page that is watched."""
    page = await context.new_page()
    watch(page, page_errors)
    yield page
    await page.close()
    assert page_errors == []


def watch(page: Page, errors: list[str]) -> None:
    """Every error of the page goes into `errors`."""

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            errors.append(f"{message.type}: {message.text}")

    page.on("console", said)
    page.on("pageerror", lambda error: errors.append(f"exception: {error}"))


@pytest_asyncio.fixture(loop_scope="session")
async def room(tmp_path: Path) -> AsyncIterator[object]:
    """A `display_rig.FakeRoom` on the embedded broker; nobody has to log in, and everything may be seen."""
    async with rig.a_room(rig.Nats(tmp_path / "broker"), tmp_path) as room:
        yield room


@pytest_asyncio.fixture(loop_scope="session", params=["nats", "mosquitto"])
async def either_room(request: pytest.FixtureRequest, tmp_path: Path, peers: ModuleType) -> AsyncIterator[object]:
    """The same, on each broker."""
    folder = tmp_path / "broker"
    broker = rig.Nats(folder) if request.param == "nats" else rig.Mosquitto(folder, peers.need("mosquitto"))
    async with rig.a_room(broker, tmp_path) as room:
        yield room


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A `record_rig.Case`: a room with a case in it, whose images show something. Nobody changes it."""
    return record_rig.played(tmp_path_factory.mktemp("kept"), pictures=True)


@pytest_asyncio.fixture(loop_scope="session")
async def case(room: object, page: Page) -> object:
    """A `console_rig.Case`: the console is open, and a case is under way in `room`."""
    return await console_rig.opened_case(room, page)
