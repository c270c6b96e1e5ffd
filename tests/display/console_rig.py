"""What tests of the console share: a real room (the daemon in this process, with no device), a case in a fake one, and
the page as a person uses it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from display_rig import FakeRoom, free_port, now, until
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

CASE = "20261130T090000Z-00aa"
NEXT = "20261130T110000Z-00bb"
IDENTITY = {"record": CASE, "name": "Doe^Jane", "id": "4711", "birth_date": "1961-04-12"}
PLAN = {"approach": "interlaminar", "side": "midline", "levels": ["L4/5"]}


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


# --- a room that does what the test says ---------------------------------------------------------------


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


async def opened_case(room: FakeRoom, page: Page) -> Case:
    """The console, open on a tablet, in the guidance of a case."""
    await page.set_viewport_size({"width": 1280, "height": 800})
    case = Case(room, page)
    await case.stand()
    await room.publish("private/identity", IDENTITY, retain=True)
    await enter(page, room.url)
    await expect(page.locator('[data-phase="guidance"].is-now')).to_be_visible()
    return case


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
