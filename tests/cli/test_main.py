"""`esi-room` itself: the table of commands, quick help, exit statuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from esi_room.cli import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Example" in result.output
    assert f"esi-room {name}" in result.output


def test_help_names_every_command_and_imports_none() -> None:
    program = (
        "import sys\nfrom esi_room.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('pydantic', 'numpy', 'rich', 'serial')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_a_wrong_call() -> None:
    assert CliRunner().invoke(main, ["chekc"]).exit_code == 2


def test_the_version() -> None:
    assert "0.1" in CliRunner().invoke(main, ["--version"]).output
