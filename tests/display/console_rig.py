"""A real room with the console's pages: the daemon in this process, on its embedded broker, with no device."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from display_rig import free_port, until
from playwright.async_api import Locator, Page, expect

from esi_room import config
from esi_room.config import RoomConfig
from esi_room.display.server import serving
from esi_room.display.settings import display_settings
from esi_room.record.reader import journal_path, records
from esi_room.room.room import Room

TEXT = """
[room]
id = "esi-1"
timezone = "Europe/Berlin"
data = "data"

[mqtt]
url = "embedded"
listen = "127.0.0.1:{mqtt}"

[display]
listen = "127.0.0.1:{http}"
"""
STOP_S = 20.0


@dataclass
class RealRoom:
    """A daemon that can be stopped and started again, and the server of its pages, which stays."""

    loaded: RoomConfig
    path: Path
    url: str = ""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """The daemon, until its broker answers."""
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(Room(self.loaded).run(self._stop))
        port = self.loaded.mqtt.listen.port
        async with asyncio.timeout(STOP_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """The daemon and its broker."""
        if self._task is not None:
            self._stop.set()
            await asyncio.wait_for(self._task, STOP_S)
            self._task = None

    @property
    def data(self) -> Path:
        """Where its records are."""
        return self.loaded.room.data

    def entries(self, kind: str = "", record: str | None = None) -> list[dict[str, Any]]:
        """The entries of this type in one record, or in all."""
        named = records(self.data) if record is None else [record]
        lines = [line for each in named for line in journal_path(self.data, each).read_bytes().splitlines()]
        return [entry for entry in map(json.loads, lines) if kind in ("", entry["type"])]

    async def entry(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The first entry of this type whose data have these values, once it is there."""

        def look() -> list[dict[str, Any]]:
            return [e for e in self.entries(kind) if all(e["data"].get(k) == v for k, v in wanted.items())]

        await until(look, f"{kind} with {wanted}")
        return look()[0]


@asynccontextmanager
async def a_real_room(folder: Path) -> AsyncIterator[RealRoom]:
    """Started, with its pages."""
    path = folder / "room.toml"
    path.write_text(TEXT.format(mqtt=free_port(), http=free_port()))
    room = RealRoom(config.load(path), path)
    await room.start()
    try:
        async with serving(display_settings(room.loaded)) as url:
            room.url = url
            yield room
    finally:
        await room.stop()


# --- the page ---------------------------------------------------------------------------------------------


async def enter(page: Page, url: str, actor: str = "Dr. A") -> None:
    """Open the console and say who acts."""
    await page.goto(url + "console")
    await page.get_by_label("Another name").fill(actor)
    await page.get_by_role("button", name="I act").click()
    await expect(page.locator(".link.is-there")).to_be_visible()


async def fill(place: Locator, fields: dict[str, Any]) -> None:
    """Fill in a form, whatever it is, by the names of its fields."""
    for name, value in fields.items():
        await fill_field(place.locator(f'[data-field="{name}"]').first, value)


async def fill_field(field: Locator, value: Any) -> None:
    """One field, of whatever kind: what a person would touch or type."""
    kind = await field.evaluate(
        "e => e.classList.contains('group') ? (e.querySelector(':scope > ol') ? 'list' : 'group')"
        " : (e.querySelector('.picks input') ?? e.querySelector('select, textarea, input')).type"
    )
    match kind:
        case "group":
            add = field.locator(":scope > button.quiet")
            if await add.count() and not await field.locator(":scope > .fields > *").count():
                await add.click()
            await fill(field.locator(":scope > .fields"), value)
        case "list":
            for n, each in enumerate(value):
                items = field.locator(":scope > ol > li")
                if await items.count() <= n:
                    await field.locator(":scope > button.quiet").click()
                await fill_field(items.nth(n).locator(":scope > [data-field]"), each)
        case "radio":
            await field.locator(f"input[value='{json.dumps(value)}']").check()
        case "checkbox":
            for each in value:
                await field.locator(f"input[value='{each}']").check()
        case "select-one":
            await field.locator("select").select_option(str(value))
        case _:
            await field.locator("input, textarea").first.fill(str(value))


async def confirm(page: Page) -> None:
    """Touch Record, and wait until the room has answered and the confirmation is closed."""
    sheet = page.locator("dialog.sheet")
    await sheet.get_by_role("button", name="Record", exact=True).click()
    await expect(sheet).to_be_hidden()
