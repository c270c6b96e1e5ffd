"""The table of drivers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from esi_room.drivers import registry
from esi_room.errors import ConfigurationError


def test_a_typo_is_told_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"no driver 'ge_dry'; did you mean 'ge_dri'[?] Known: ge_dri, "):
        registry.load("ge_dry")


def test_drivers_are_loaded_when_asked_for() -> None:
    code = (
        "import sys; from esi_room.drivers import registry; "
        "registry.load('nellcor_ascii'); print([m for m in registry.DRIVERS.values() if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['esi_room.drivers.nellcor_ascii']"
