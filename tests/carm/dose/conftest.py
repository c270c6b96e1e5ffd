"""Builders of dose reports, and a reader that goes the way of a received object: octets in a file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from esi_room.carm.dose import reports
from esi_room.clock import SystemClock


@pytest.fixture(scope="session")
def rdsr() -> ModuleType:
    """`rdsr.py` beside this file."""
    spec = importlib.util.spec_from_file_location("rdsr", Path(__file__).with_name("rdsr.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Any]:
    """What the listener makes of these octets of a data set."""

    def through_a_file(octets: bytes, syntax: str = ExplicitVRLittleEndian) -> Any:
        path = tmp_path / "1.dcm"
        path.write_bytes(b"meta" + octets)
        return reports.read(path, 4, syntax, SystemClock())

    return through_a_file
