"""What the README promises of every format: its commands, as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from esi_room.audit.export import FORMATS
from esi_room.cli import main

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
COMMANDS = dict(
    reversed(found.groups()) for found in re.finditer(r"^(esi-room export \S+ --format (\S+)).*$", README, re.MULTILINE)
)


def test_each_has_its_command():
    assert set(COMMANDS) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_makes_the_files_that_it_names(built: Any, tmp_path: Path, monkeypatch: Any, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    command = shlex.split(COMMANDS[name])[1:]
    command[1] = str(built.directory)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    made = done.stdout.split()
    assert made and all(Path(each).name.startswith(built.record) for each in made)
    for each in made:
        octets = Path(each).read_bytes()
        assert octets and b"Muster" not in octets
