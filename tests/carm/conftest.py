"""A room whose C-arm side runs for real: journal on disk, listener and preview processes, loopback."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from esi_room.carm import CarmService, CarmSettings, Limits, PeerRule, Preview
from esi_room.carm.identity import differences
from esi_room.clock import SystemClock
from esi_room.events import Entry
from esi_room.procedure import rules
from esi_room.procedure.desk import Desk
from esi_room.procedure.observer import Observer
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path, records

DEADLINE_S = 15.0


async def until(condition: Callable[[], Any], what: str) -> Any:
    """What `condition` returns once it is true."""
    async with asyncio.timeout(DEADLINE_S):
        while not (found := condition()):
            await asyncio.sleep(0.01)
    assert found, what
    return found


class Room:
    """A running service and what it wrote."""

    def __init__(self, root: Path, journal: Journal, service: CarmService, previews: list[Preview], desk: Desk) -> None:
        self.root, self.journal, self.service, self.previews, self.desk = root, journal, service, previews, desk

    @property
    def port(self) -> int:
        assert self.service.address is not None
        return self.service.address[1]

    def entries(self, kind: str) -> list[Any]:
        """`data` of the entries of this type, all records."""
        return [msgspec.json.decode(entry.data) for entry in self.lines() if entry.type == kind]

    def alerts(self) -> list[Any]:
        """Those that the C-arm's side raised, and not the rules of the procedure."""
        return [alert for alert in self.entries("alert.raised") if alert["rule"].startswith("carm.")]

    def lines(self) -> list[Entry]:
        out = []
        for record in records(self.root):
            path = journal_path(self.root, record)
            whole = path.read_bytes().splitlines(keepends=True) if path.exists() else []
            out += [msgspec.json.decode(line, type=Entry) for line in whole if line.endswith(b"\n")]
        return out

    async def entry(self, kind: str, **wanted: Any) -> Any:
        """The first entry of this type with these values (a string may be part of the value)."""

        def fits(data: Any) -> bool:
            return all(
                value in data[key] if isinstance(value, str) else data.get(key) == value
                for key, value in wanted.items()
            )

        return await until(lambda: next((d for d in self.entries(kind) if fits(d)), None), f"{kind} {wanted}")

    def frames(self) -> list[Path]:
        return sorted((self.root / "records").glob("*/frames/*.dcm"))

    def incoming(self) -> list[Path]:
        return sorted((self.root / "incoming").iterdir())


PEERS = (
    *(PeerRule(ae_title=title, address="127.0.0.1") for title in ("CARM", "STORESCU", "ORTHANC")),
    PeerRule(ae_title="WORKSTATION", address="127.0.8.0/24"),
)


@asynccontextmanager
async def opened(root: Path, *, listening: bool = True, **limits: Any) -> AsyncIterator[Room]:
    """A room with these settings and limits. `listening`: wait until peers can connect."""
    clock = SystemClock()
    ours = {name: limits.pop(name) for name in list(limits) if name in CarmSettings.__struct_fields__}
    settings = CarmSettings(
        **{"listen": ("127.0.0.1", 0), "peers": PEERS} | ours, limits=Limits(**{"grace_s": 2.0} | limits)
    )
    previews: list[Preview] = []
    async with Journal.open(root, clock, Identity(room="test")) as journal:
        desk = Desk(journal, clock, Observer(journal, clock, rules.load()), differs=differences)
        await desk.resume()
        service = CarmService(settings, journal, clock, on_preview=previews.append, cases=desk)
        desk.use_worklist(service.orders)
        running = asyncio.create_task(service.run())
        try:
            if listening:
                await until(lambda: service.address or service.tls_address or running.done(), "listening")
            yield Room(root, journal, service, previews, desk)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with opened(tmp_path / "data") as opened_room:
        yield opened_room


@pytest.fixture
def open_room(tmp_path: Path) -> Callable[..., Any]:
    """`async with open_room(idle_timeout_s=1) as room`: with other limits or settings, or again over the same data."""
    return lambda **limits: opened(tmp_path / "data", **limits)


@pytest.fixture
def run() -> Callable[..., Awaitable[tuple[int, str]]]:
    """Run a program: its exit code and what it printed."""

    async def program(*command: str | Path) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode(errors="replace")

    return program


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def siege() -> ModuleType:
    """Hostile peers for tests, `siege.py` beside this file."""
    return _beside("siege")


@pytest.fixture(scope="session")
def scu() -> ModuleType:
    """The C-arm for tests, `scu.py` beside this file."""
    return _beside("scu")


@pytest.fixture(scope="session")
def mpps() -> ModuleType:
    """Its procedure steps, `mpps.py` beside this file."""
    return _beside("mpps")
