"""A room with some cases. The helpers are in `retention_rig`, which test modules here can import."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

from esi_room.clock import ManualClock
from esi_room.record import removing


def _load_rig() -> ModuleType:
    spec = importlib.util.spec_from_file_location("retention_rig", Path(__file__).parent / "retention_rig.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["retention_rig"] = module
    spec.loader.exec_module(module)
    return module


rig = _load_rig()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's vitals wait here."""
    monkeypatch.setattr(removing, "PAUSE_S", 0.0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(rig.START_NS)


@pytest.fixture
async def built(tmp_path: Path, clock: ManualClock) -> AsyncIterator[rig.Builder]:
    """Four cases, each with two images, between standby records; half a day a record."""
    async with rig.room(tmp_path, clock) as builder:
        await rig.cases(builder, 4)
        yield builder
