"""A whole case for the records' pages: played once in a virtual room, with a monitor that is away for a while."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from playwright.async_api import Page
from virtual.room import play

from esi_room import events as e
from esi_room.audit.export import page as record_page
from esi_room.audit.export.case import load
from esi_room.clock import ManualClock, parse_rfc3339
from esi_room.record.entry import sha256
from esi_room.record.journal import Identity, Journal
from simulators import scenario
from simulators.scenario import Step


def _export_rig() -> ModuleType:
    """What the tests of the exports make records with."""
    path = Path(__file__).parents[1] / "audit" / "export" / "conftest.py"
    spec = importlib.util.spec_from_file_location("export_rig", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["export_rig"] = module
    spec.loader.exec_module(module)
    return module


export_rig = _export_rig()
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


async def long_record(root: Path, *, hours: int, images: int) -> Path:
    """A record of that length, with vitals each second and images spread over it; the directory of the case."""
    clock = ManualClock(parse_rfc3339("2026-03-02T06:00:00Z"))
    rows, every_s = list[e.Event](), hours * 3600 // images
    async with Journal.open(root, clock, Identity(room="esi-1", timezone="Europe/Berlin")) as journal:
        record = await journal.switch("procedure", "a long one")
        frames = journal.directory / "frames"
        frames.mkdir()
        for second in range(hours * 3600):
            clock.advance(1)
            readings = [e.Reading(code=1, name="spo2_pct", value=90 + second % 10, unit="%", status="ok")]
            readings += [
                e.Reading(code=n, name=f"value_{n}_mmhg", value=second % 97, unit="mm[Hg]", status="ok")
                for n in range(10)
            ]
            vitals = e.VitalsNumeric(readings=tuple(readings), stale_after_s=3.0)
            rows.append(e.Event(source="monitor-1", data=vitals, received=clock.now()))
            if second % every_s == 0 and second // every_s < images:
                octets = export_rig.dicom(second // every_s + 1)
                (frames / f"{sha256(octets)}.dcm").write_bytes(octets)
                image = export_rig.image_entry(octets, second // every_s + 1)
                rows.append(e.Event(source="carm", data=image, received=clock.now()))
            if len(rows) > 500:
                await asyncio.gather(*(journal.commit(event) for event in rows))
                rows.clear()
        await asyncio.gather(*(journal.commit(event) for event in rows))
        await journal.switch("standby", "over")
    return root / "records" / record
