"""`esi-room check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from esi_room.cli import main

GOOD = '[room]\nid = "esi-1"\ntimezone = "Europe/Berlin"\ndata = "data"\n[mqtt]\nurl = "embedded"\n'
DEVICE = '[[device]]\nid = "spo2"\ndriver = "masimo_ascii1"\nport = "/dev/serial/by-id/none"\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(text: str, *options: str) -> Result:
    Path("room.toml").write_text(text)
    return CliRunner().invoke(main, ["check", "room.toml", *options])


def test_a_right_file_with_a_note() -> None:
    result = check(GOOD + DEVICE)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "room.toml:10: note: /dev/serial/by-id/none is not there now; the room waits for it",
        "room.toml: no mistake; room esi-1 with spo2 (masimo_ascii1)",
    ]


def test_mistakes_end_with_2() -> None:
    result = check(GOOD.replace("esi-1", "esi 1").replace("embedded", "embeded"))
    assert result.exit_code == 2
    first, second, last = result.output.splitlines()
    assert first.startswith('room.toml:2: room.id = "esi 1"')
    assert second.startswith('room.toml:6: mqtt.url = "embeded"')
    assert last == "room.toml: 2 mistakes"


def test_json_for_programs() -> None:
    result = check(GOOD + DEVICE, "--json")
    said = json.loads(result.output)
    assert (result.exit_code, said["ok"], said["mistakes"]) == (0, True, [])
    assert said["notes"][0]["line"] == 10
    assert len(said["sha256"]) == 64
    result = check(GOOD.replace("esi-1", "esi 1"), "--json")
    said = json.loads(result.output)
    assert (result.exit_code, said["ok"], said["sha256"]) == (2, False, None)
    assert [mistake["line"] for mistake in said["mistakes"]] == [2]


def test_no_file_named() -> None:
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 2
    assert "esi-room check room.toml" in result.output


def test_a_file_that_is_not_there() -> None:
    result = CliRunner().invoke(main, ["check", "none.toml"])
    assert result.exit_code == 2
    assert "none.toml: cannot be read: No such file or directory" in result.output


def test_the_schema_is_printed() -> None:
    assert json.loads(CliRunner().invoke(main, ["check", "--schema"]).output)["title"] == "esi_room: room.toml"
