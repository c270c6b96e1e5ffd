"""The whole demo room, with each cable pulled, or the mains: the wall says so within that device's limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from esi_room.drivers import registry

ROOT = Path(__file__).parents[2]
KINDS = {"monitor-1": "ge_dri", "oximeter-1": "masimo_ascii1", "pump-1": "new_era"}
START_S = 60.0
SLACK_S = 5.0  # a machine with two cores that does other things as well
BEGIN_S = 14  # the monitor says something every ten seconds at first

SCENARIO = """\
title = "Cables are pulled"
seed = 3
procedure = "Interlaminar epidural steroid injection L4/5"
patient = {{name = "SIMULATED^CABLE", id = "SIM-0009", birth_date = "1970-01-31", sex = "M", weight_kg = 81.0}}
staff = {{actor = "Dr. Example"}}
device = [{devices}, {{id = "carm", kind = "carm", matrix = 128}}]
step = [{{at = "0:00", do = "start"}}, {{at = "0:01", do = "phase", phase = "guidance"}}, {steps}]
"""


def scenario(how: str) -> str:
    """Each device in turn, a second after the other."""
    devices = ", ".join(f'{{id = "{name}", kind = "{kind}"}}' for name, kind in KINDS.items())
    steps = ", ".join(
        f'{{at = "0:{BEGIN_S + number:02}", who = "{name}", do = "{how}"}}' for number, name in enumerate(KINDS)
    )
    return SCENARIO.format(devices=devices, steps=steps)


@contextlib.asynccontextmanager
async def demo(folder: Path, how: str) -> AsyncIterator[str]:
    """The demo, and where its pages are."""
    (folder / "cables.toml").write_text(scenario(how))
    command = [sys.executable, "-m", "esi_room.cli", "demo", "--speed", "1", "--stay"]
    with (folder / "demo.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--scenario", str(folder / "cables.toml"), "--data", str(folder / "room"),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
        )  # fmt: skip
    try:
        yield await _address(folder, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.wait()


async def _address(folder: Path, process: asyncio.subprocess.Process) -> str:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.returncode is None:
        said = (folder / "demo.log").read_text()
        found = re.search(r"display (http://127.0.0.1:(\d+)/)", said)
        if found and "connected: listening" in said:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", int(found[2]))
                writer.close()
                return found[1]
        await asyncio.sleep(0.1)
    raise AssertionError((folder / "demo.log").read_text())


async def seen_after_s(page: Page, folder: Path, name: str, what: str) -> float:
    """How long after its cable was pulled the wall said that the device is not there."""
    chip = page.locator(f'#health [data-id="{name}"]')
    await expect(chip).to_have_attribute("data-is", "bad", timeout=1000 * START_S)
    seen_ns = time.monotonic_ns()
    await expect(chip.locator(".more")).to_have_text(re.compile(r"\d:\d\d · since \d\d:\d\d"))
    truth = [json.loads(line) for line in (folder / "room" / "truth.jsonl").read_text().splitlines()]
    [pulled] = [each for each in truth if (each["device"], each["what"]) == (name, what)]
    return float(seen_ns - pulled["mono_ns"]) / 1e9


@pytest.mark.parametrize(
    ("how", "what"), [("unplug", "unplugged"), pytest.param("power_off", "powered_off", marks=pytest.mark.slow)]
)
async def test_every_pulled_cable_shows_within_the_devices_limit(
    page: Page, page_errors: list[str], tmp_path: Path, how: str, what: str
) -> None:
    async with demo(tmp_path, how) as url:
        await page.goto(url)
        tiles = {name: page.locator(f'[data-tile="{name}"]') for name in ("heart", "oxygen")}
        for tile in tiles.values():
            await expect(tile).to_have_attribute("data-state", "current", timeout=1000 * START_S)
        await expect(page.locator("#pump")).to_have_attribute("data-state", "current")
        seen = await asyncio.gather(*(seen_after_s(page, tmp_path, name, what) for name in KINDS))
        for name, after_s in zip(KINDS, seen, strict=True):
            limit_s = registry.load(KINDS[name]).INFO.max_silence_s
            assert after_s < limit_s + SLACK_S, f"{name}: {after_s:.1f} s, its limit is {limit_s} s"
        for tile in tiles.values():
            await expect(tile).to_have_attribute("data-state", "old")
        await expect(page.locator("#pump")).to_have_attribute("data-state", "old")
        await expect(page.locator("#banner")).to_be_hidden()  # the room itself is well
    page_errors.clear()  # the demo has ended
