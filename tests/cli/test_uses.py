"""Each command that uses the record leaves word of it; where that cannot be it says so, and works all the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from virtual.mqtt import Broker
from virtual.room import Played, play

from esi_room.audit.export import FORMATS
from esi_room.audit.replay import player
from esi_room.cli import main
from esi_room.record import spool


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play("quick", tmp_path_factory.mktemp("quick"))


@pytest.fixture
def record(quick: Played, tmp_path: Path) -> Path:
    copy = shutil.copytree(quick.data, tmp_path / "data")
    return copy / "records" / quick.procedures[0]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def uses(record: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes())["said"] for path in spool.folder(record.parent.parent).glob("*.json")]


def test_verify_of_a_record_and_of_a_room(record):
    assert call("verify", record).exit_code == 0
    (use,) = uses(record)
    assert (use["event"], use["action"], use["outcome"], use["records"]) == ("110101", "R", 0, [record.name])
    assert use["what"] == "verified: 1 record(s) hold"
    assert call("verify", record.parent.parent).exit_code == 0
    assert sorted(use["records"] for use in uses(record)) == [[], [record.name]]


def test_verify_that_finds_something_is_no_failure_of_it(record):
    path = record / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"guidance", b"GUIDANCE", 1))
    assert call("verify", record.parent.parent, "--json").exit_code == 1
    (use,) = uses(record)
    assert use["outcome"] == 0 and f"1 of 3 record(s) DO NOT HOLD, the first is {record.name}: line" in use["what"]


def test_replay(record, monkeypatch):
    monkeypatch.setattr(player, "connect", Broker().connect)
    assert call("replay", record, "--speed", "max", "--mqtt", "mqtt://x", "--no-images").exit_code == 0
    (use,) = uses(record)
    assert (use["event"], use["meaning"], use["what"]) == ("110111", "Procedure Record", "replayed it")


def test_a_replay_that_is_interrupted(record, monkeypatch):
    async def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("esi_room.cli.replay._play", interrupted)
    call("replay", record, "--speed", "max", "--mqtt", "mqtt://x", "--no-images")
    (use,) = uses(record)
    assert (use["outcome"], use["what"]) == (4, "replayed it; it was interrupted")


def test_a_replay_that_is_refused(record):
    path = record / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"guidance", b"GUIDANCE", 1))
    assert call("replay", record, "--mqtt", "mqtt://x").exit_code == 1
    (use,) = uses(record)
    assert use["outcome"] == 8 and "it failed: " in use["what"] and "DOES NOT HOLD" in use["what"]


def test_derive(record):
    assert call("replay", record, "--derive").exit_code == 0
    (use,) = uses(record)
    assert (use["event"], use["what"]) == ("110101", "derived it again: no difference")


@pytest.mark.parametrize("name", FORMATS)
def test_export_says_the_format(record, tmp_path, name):
    assert call("export", record, "--format", name, "--to", tmp_path / "out").exit_code == 0
    (use,) = uses(record)
    assert (use["event"], use["meaning"], use["action"]) == ("110106", "Export", "R")
    assert use["what"] == f"exported as {name}"


def test_export_says_that_the_patient_is_named(record, tmp_path):
    call("export", record, "--format", "fhir", "--identity", "--to", tmp_path / "out")
    (use,) = uses(record)
    assert use["what"] == "exported as fhir, with who the patient was"


@pytest.mark.parametrize(
    "words", [("verify", "{at}"), ("export", "{at}", "--format", "csv"), ("replay", "{at}", "--derive")]
)
def test_a_record_taken_out_of_its_room(record, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    at = shutil.copytree(record, tmp_path / record.name)
    done = call(*(word.format(at=at) for word in words))
    assert done.stdout
    assert done.stderr.splitlines() == [f"this use is not recorded: {at} does not lie in a room's data directory"]


def test_a_call_that_uses_nothing_leaves_nothing(record, tmp_path):
    (tmp_path / "empty").mkdir()
    assert call("verify", tmp_path / "empty").exit_code == 2
    assert call("replay", record, "--session", "no/level", "--mqtt", "mqtt://x").exit_code == 2
    assert uses(record) == []


def test_records_lists_who_used_them(record):
    data = record.parent.parent
    call("verify", data)
    call("identity", "show", record, "--actor", "Dr. \x1b[31mA")
    listed = call("records", record, "--uses")
    assert listed.exit_code == 0
    room, one, count = listed.stdout.splitlines()
    assert "the daemon" not in listed.stdout
    assert "verified: 3 record(s) hold, of all records  [waits to be recorded]" in room
    assert "Dr. ?[31mA (" in one and f"looked at who the patient was, of {record.name}" in one
    assert count == "2 use(s)"
    standby = record.parent / sorted(each.name for each in record.parent.iterdir())[0]
    assert "looked at" not in call("records", standby, "--uses").stdout
    found = [json.loads(line) for line in call("records", data, "--uses", "--json").stdout.splitlines()]
    events = [each["use"]["event"] for each in found]
    assert events == ["110100", "110100", "110101", "110110", "110101", "110101"]  # first: the daemon itself
    started, *_ = call("records", data, "--uses").stdout.splitlines()
    assert "the daemon started, esi_room" in started and "of all records" not in started


def test_records_of_no_room(tmp_path):
    assert call("records", tmp_path, "--uses").exit_code == 1


def test_a_rotated_key_is_said(record):
    assert call("keys", "rotate", record.parent.parent).exit_code == 0
    (use,) = uses(record)
    assert (use["event"], use["action"], use["outcome"]) == ("110113", "E", 0) and "signing key" in use["what"]
