"""The whole daemon as processes: fixtures. The helpers are in `e2e_rig` and `e2e_wire`, which tests here import."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


def _load(name: str, path: Path) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


_load("e2e_pdus", HERE.parent / "carm" / "scu.py")
wire = _load("e2e_wire", HERE / "e2e_wire.py")
rig = _load("e2e_rig", HERE / "e2e_rig.py")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Whatever is entered here is closed at the end, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_broker(stack: ExitStack, tmp_path: Path, free_port: Callable[[], int], peers: ModuleType) -> Any:
    """`make_broker("mosquitto" | "nats")`: a running broker that outlives the daemon."""

    def make(kind: str) -> Any:
        program = peers.need("mosquitto") if kind == "mosquitto" else rig.nats_program()
        broker = rig.Broker(kind, program, tmp_path / kind, free_port())
        stack.callback(broker.stop)
        broker.start()
        return broker

    return make


@pytest.fixture
def make_room(stack: ExitStack, tmp_path: Path, free_port: Callable[[], int]) -> Any:
    """`make_room(broker or None, {device: (driver, port)})`: a room that is not started yet; it ends with the test."""

    def make(broker: Any = None, devices: Any = (), **more: Any) -> Any:
        mqtt = free_port() if broker is None else broker.port
        room = rig.Room(tmp_path / "room", mqtt, free_port(), dict(devices), embedded=broker is None, **more)
        stack.callback(room.clean_up)
        return room

    return make


@pytest.fixture
def subscribe(stack: ExitStack) -> Any:
    """`subscribe(port)`: a display that stays connected and keeps what it got."""

    def make(port: int, client_id: str = "display") -> Any:
        subscriber = rig.Subscriber(port, client_id)
        stack.callback(subscriber.close)
        return subscriber

    return make


@pytest.fixture
def make_line(stack: ExitStack, tmp_path: Path) -> Any:
    """`make_line("monitor-1")`: a serial line whose device is the test."""

    def make(name: str) -> Any:
        line = wire.Line(tmp_path / "ports" / name)
        stack.callback(line.close)
        return line

    return make
