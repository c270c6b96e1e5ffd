"""`esi-room records`: amendments are counted, and `--due` says whom to call."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from esi_room.cli import main
from esi_room.clock import ManualClock
from esi_room.commands import Amend
from esi_room.events import Event, Payload, ProcedureEnded, ProcedureStarted
from esi_room.events.clinical import FollowUpPlan
from esi_room.procedure.amending import Amending
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path, records

ENDED = ProcedureEnded(outcome="completed", origin="staff")


async def play(journal: Journal, clock: ManualClock, title: str, *due: str) -> str:
    """A case with follow-ups planned for these days."""
    said: list[Payload] = [ProcedureStarted(procedure=title, origin="staff")]
    said += [FollowUpPlan(due=day, contact="phone", actor="A") for day in due]
    record = await journal.switch("procedure", "a case")
    for payload in (*said, ENDED):
        clock.advance(60)
        await journal.commit(Event(source="room", data=payload, received=clock.now()))
    await journal.switch("standby", "over")
    return record


async def follow_up(amending: Amending, record: str, day: str) -> None:
    command = Amend(
        id=f"{record} {day}", actor="A", client="c", record=record, form="follow_up",
        fields={"date": day, "contact": "visit"},
    )  # fmt: skip
    await amending.amend(command)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    async def build() -> None:
        clock = ManualClock()
        async with Journal.open(tmp_path, clock, Identity(room="esi-1", timezone="Pacific/Auckland")) as journal:
            amending = Amending(journal, clock)
            await play(journal, clock, "late", "2026-11-30")
            done = await play(journal, clock, "done", "2026-12-01", "2026-12-21")
            await play(journal, clock, "forgotten")
            await play(journal, clock, "due", "2026-12-07")
            await follow_up(amending, done, "2026-12-02")

    asyncio.run(build())
    return tmp_path


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["records", *(str(each) for each in arguments)])
    return result.exit_code, result.output


def test_amendments_are_counted(data):
    status, said = call(data, "--json")
    assert status == 0
    assert [json.loads(line)["amended"] for line in said.splitlines()] == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    status, said = call(data)
    assert (status, "amended" in said, all(record in said for record in records(data))) == (0, True, True)


def test_what_is_due_late_done_and_was_not_planned(data):
    status, said = call(data, "--due", "--on", "2026-12-07")
    cases = records(data)[1::2]
    lines = [line.split(maxsplit=1) for line in said.splitlines()]
    assert status == 1
    assert [record for record, _ in lines[1:-1]] == cases
    for (_, rest), words in zip(
        lines[1:-1],
        (
            "2026-11-30 phone late by 7 days",
            "2026-12-01 phone done on 2026-12-02",
            "not planned",
            "2026-12-07 phone due",
        ),
        strict=True,
    ):
        assert words in " ".join(rest.split())
    assert said.splitlines()[-1] == "2 due or late on 2026-12-07, 1 to come, 1 done, 1 not planned"


def test_for_programs(data):
    status, said = call(data, "--due", "--on", "2026-12-07", "--json")
    rows = [json.loads(line) for line in said.splitlines()]
    assert status == 1
    assert [(row["state"], row["late_days"]) for row in rows] == [
        ("late", 7),
        ("done", 0),
        ("not planned", 0),
        ("due", 0),
    ]
    assert rows[1]["done_on"] == "2026-12-02"
    assert {row["record"] for row in rows} == set(records(data)[1::2])


def test_none_is_due_before_its_day(data):
    status, said = call(data, "--due", "--on", "2026-11-29")
    assert status == 0
    assert "0 due or late on 2026-11-29, 3 to come" in said


def test_today_is_the_rooms(data, monkeypatch):
    """At 11:30 UTC it is half past midnight of the next day in Auckland."""
    monkeypatch.setattr("esi_room.cli.due.SystemClock", lambda: ManualClock(wall_ns=1_796_556_600 * 10**9))
    assert date(1970, 1, 1) + timedelta(seconds=1_796_556_600) == date(2026, 12, 6)
    assert "due or late on 2026-12-07" in call(data, "--due")[1]


def test_lines_that_cannot_be_read_are_passed_over(data):
    path = journal_path(data, records(data)[1])
    path.write_bytes(path.read_bytes().replace(b'"due":"2026-11-30"', b'"due":"30.11.2026"'))
    path = journal_path(data, records(data)[-1])
    path.write_bytes(path.read_bytes() + b'\xff"type":"clinical.\n')
    status, said = call(data, "--due", "--on", "2026-12-07")
    assert (status, "1 due or late on 2026-12-07" in said, "2 not planned" in said) == (1, True, True)


def test_wrong_calls(data):
    assert call(data, "--on", "2026-12-07")[0] == 2
    assert call(data, "--due", "--on", "7.12.2026")[0] == 2
