"""A traceback in the log shows no variable's value: it could be a patient's name."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import structlog
from esi_room.cli import logs
logs.configure(as_json={as_json})
name = "Muster" + "mann"
try:
    raise KeyError("field")
except KeyError:
    structlog.get_logger().exception("went_wrong")
"""


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_values(as_json: bool) -> None:
    script = SCRIPT.format(as_json=as_json)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "went_wrong" in done.stderr and "KeyError" in done.stderr
    assert "Mustermann" not in done.stderr
