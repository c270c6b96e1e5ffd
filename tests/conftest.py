"""Fixtures for all tests."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import structlog

HERE = Path(__file__).parent


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _package(name: str) -> None:
    """Tests everywhere can import from the folder `name` beside this file."""
    folder = HERE / name
    places = [str(folder)]
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=places)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


_package("virtual")


@pytest.fixture(scope="session")
def peers() -> ModuleType:
    """`peers.need("mosquitto")`: the path of a real peer's program, or skip (fail where peers are required)."""
    return _module("peers")


@pytest.fixture(scope="session")
def signed_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory, as `signed` says. Copy it before you change it."""
    root = tmp_path_factory.mktemp("signed-room")
    asyncio.run(_module("signed").build(root))
    return root


@pytest.fixture(autouse=True)
def logging_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is called in this process leaves the logging as it is: its standard error is gone after it."""
    monkeypatch.setattr(structlog, "configure", lambda **_: None)


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
