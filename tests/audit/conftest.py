"""A case in the virtual room, once for all: nobody here changes it without a copy."""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual.room import Played, play


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play("quick", tmp_path_factory.mktemp("quick"))


@pytest.fixture(scope="session")
def record(quick: Played) -> Path:
    """Of the procedure."""
    return quick.data / "records" / quick.procedures[0]
