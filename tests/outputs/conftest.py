"""A journal, and two real brokers. The helpers are in `outputs_rig`, which test modules here can import."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest

from esi_room.record.journal import Identity, Journal


def _load_rig() -> ModuleType:
    spec = importlib.util.spec_from_file_location("outputs_rig", Path(__file__).parent / "outputs_rig.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["outputs_rig"] = module
    spec.loader.exec_module(module)
    return module


rig = _load_rig()


@pytest.fixture(params=["nats", "mosquitto"])
async def broker(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int], peers: ModuleType
) -> AsyncIterator[object]:
    """A broker that is not started yet."""
    if request.param == "nats":
        it = rig.Nats(tmp_path / "nats", free_port())
    else:
        it = rig.Mosquitto(peers.need("mosquitto"), tmp_path / "mosquitto", free_port())
    yield it
    await it.stop()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal.open(tmp_path / "data", rig.CLOCK, Identity(room="esi-1")) as journal:
        await journal.commit(rig.pulse(0))
        yield journal
