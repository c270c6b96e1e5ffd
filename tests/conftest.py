"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def peers() -> ModuleType:
    """`peers.need("mosquitto")`: the path of a real peer's program, or skip (fail where peers are required)."""
    return _module("peers")


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A loopback port that nobody listens on just now."""

    def pick() -> int:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return int(s.getsockname()[1])

    return pick


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The serial vectors, a folder a protocol."""
    return HERE / "vectors"
