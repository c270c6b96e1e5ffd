"""A whole case for the records' pages: played once in a virtual room, with a monitor that is away for a while."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from playwright.async_api import Page
from virtual.room import play

from esi_room.audit.export import page as record_page
from esi_room.audit.export.case import load
from simulators import scenario
from simulators.scenario import Step

XSS = "</script><script>document.title = 'gone'</script><img src=x onerror=\"document.title = 'gone'\"> & more"


class Case(NamedTuple):
    """`data`: the room's directory; `directory`: the procedure's record; `entries`: its journal, parsed."""

    data: Path
    directory: Path
    entries: list[dict[str, Any]]

    @property
    def record(self) -> str:
        return self.directory.name

    @property
    def began(self) -> datetime:
        """Of the axis."""
        return datetime.fromisoformat(self.entries[0]["received"])

    def at_ms(self, entry: dict[str, Any]) -> int:
        """Where on the axis an entry stands, as the page counts."""
        return ms(entry["time"]) - ms(self.entries[0]["received"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["type"].startswith(kind)]


def ms(moment: str) -> int:
    """Whole milliseconds since 1970."""
    since = datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def played(folder: Path, *, pictures: bool) -> Case:
    """The quick case; the monitor is switched off for a while, and somebody says what no page may take for markup."""
    case = scenario.load("quick")
    more = [
        Step(at_s=21.0, who="staff", do="note", params={"text": XSS}, say=None),
        Step(at_s=25.0, who="monitor-1", do="power_off", params={}, say=None),
        Step(at_s=62.0, who="monitor-1", do="power_on", params={}, say=None),
    ]
    case = case._replace(steps=tuple(sorted((*case.steps, *more), key=lambda step: step.at_s)))
    done = play(case, folder, pictures=pictures)
    (record,) = done.procedures
    directory = done.data / "records" / record
    entries = [json.loads(line) for line in (directory / "journal.jsonl").read_bytes().splitlines()]
    return Case(done.data, directory, entries)


def exported(case: Case, to: Path, **options: Any) -> Path:
    """The page as a file."""
    to.mkdir(exist_ok=True, parents=True)
    (path,) = record_page.export(load(case.directory, even_if_broken=True, **options), to)
    return path


async def move(page: Page, t_ms: float) -> None:
    """The cursor to this moment, by its slider; waits until panel and picture show it."""
    await page.get_by_role("slider").evaluate(
        "(slider, t) => { slider.value = String(t); slider.dispatchEvent(new Event('input')); }", t_ms
    )
    await settled(page)


async def settled(page: Page) -> None:
    """What was to be drawn is drawn, twice over; the picture is there."""
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await page.wait_for_selector(".moment .frame:not([aria-busy])")


async def vital(page: Page, name: str, source: str) -> tuple[str, str, str]:
    """A row of the panel: whether it is current, the value as it stands there, and its time with what else is said."""
    row = page.locator(f'.moment tr[data-name="{name}"][data-source="{source}"]')
    kind = await row.get_attribute("class") or ""
    return kind, await row.locator("td.value").inner_text(), await row.locator("td.time").inner_text()
