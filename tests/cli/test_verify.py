"""`esi-room verify` and `esi-room records` as an auditor calls them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from esi_room.cli import bar, main
from esi_room.clock import ManualClock
from esi_room.commands import Amend
from esi_room.events import ClinicalNote, Event, ProcedureStarted
from esi_room.procedure.amending import Amending
from esi_room.record.amendments import amendments_path
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path, records


async def _build(root: Path) -> None:
    clock = ManualClock()
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        await journal.switch("procedure", "a case")
        for payload in (
            ProcedureStarted(procedure="L4/5 interlaminar", origin="staff"),
            ClinicalNote(text="one", actor="a"),
            ClinicalNote(text="two", actor="a"),
        ):
            clock.advance(1)
            journal.append(Event(source="room", data=payload, received=clock.now()))
        await journal.switch("standby", "over")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asyncio.run(_build(tmp_path / "data"))
    return tmp_path / "data"


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_a_room_that_holds(data):
    status, said = call("verify", data)
    assert status == 0
    assert said.count("holds") == 3
    assert "All 3 record(s) hold" in said


def test_amendments_are_counted_and_held_to_what_the_room_says_of_them(data):
    record = records(data)[1]
    asyncio.run(_amend(data, record))
    status, said = call("verify", data)
    assert (status, said.count("0 wire lines, 1 amendments")) == (0, 1)
    status, said = call("verify", data / "records" / record, "--json")
    assert (status, json.loads(said)["amendments"]) == (0, 1)
    amendments_path(data, record).unlink()
    for path in (data, data / "records" / record):
        status, said = call("verify", path)
        assert status == 1
        assert f"{amendments_path(data, record)}:2: the amendment that line" in said.replace("\n", "")


async def _amend(root: Path, record: str) -> None:
    clock = ManualClock(wall_ns=1_800_000_000 * 10**9)
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        note = Amend(id="1", actor="A", client="c", record=record, form="note", fields={"text": "late"})
        await Amending(journal, clock).amend(note)


def test_a_broken_room_names_file_line_and_reason_and_exits_1(data):
    path = journal_path(data, records(data)[1])
    path.write_bytes(path.read_bytes().replace(b'"text":"one"', b'"text":"ten"'))
    status, said = call("verify", data)
    assert status == 1
    assert f"{path}:4: line 3 was altered" in said.replace("\n", "")
    assert "1 of 3 record(s) DO NOT HOLD" in said
    status, said = call("verify", data, "--json")
    broken = [json.loads(line) for line in said.splitlines()][1]
    assert (status, broken["ok"], broken["problems"][0]["line"]) == (1, False, 4)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_record_alone_is_still_held_to_the_record_before_it(data, which):
    record = data / "records" / records(data)[which]
    assert call("verify", record)[0] == 0
    if which:
        before = journal_path(data, records(data)[which - 1])
        before.write_bytes(before.read_bytes().replace(b'"reason":"', b'"reason":"x'))
        status, said = call("verify", record)
        assert (status, "does not follow the room's record before it" in said.replace("\n", "")) == (1, True)


def test_a_record_taken_out_of_its_room_says_what_was_not_checked(data, tmp_path):
    source = data / "records" / records(data)[1]
    taken = source.rename(tmp_path / source.name)
    status, said = call("verify", taken)
    assert status == 0
    assert "the chain to the record before it was not checked" in said


def test_no_record_is_a_wrong_call(tmp_path):
    status, said = call("verify", tmp_path)
    assert status == 2
    assert "holds no record" in said


def test_long_work_draws_a_bar_in_a_terminal_only(data, monkeypatch):
    monkeypatch.setattr(bar, "LONG_WORK_BYTES", 0)
    assert call("verify", data)[0] == 0
    with bar.Bar("verifying", 1, console=Console()) as drawn:
        assert drawn.disable


def test_records_lists_them(data):
    status, said = call("records", data, "--json")
    assert status == 0
    standby, case, _ = [json.loads(line) for line in said.splitlines()]
    assert (standby["kind"], standby["state"]) == ("standby", "sealed")
    assert (case["procedure"], case["entries"], case["images"]) == ("L4/5 interlaminar", 5, 0)
    status, said = call("records", data)
    assert (status, case["record"] in said) == (0, True)


def test_records_lives_with_unreadable_lines(data):
    path = journal_path(data, records(data)[1])
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n")
    status, said = call("records", data, "--json")
    assert (status, "1 unreadable" in said) == (0, True)
