"""A record with its amendments: what was said late counts like what was said in time."""

from __future__ import annotations

from pathlib import Path

from esi_room.clock import ManualClock
from esi_room.commands import Amend
from esi_room.events import Event, ProcedureStarted
from esi_room.events.clinical import FollowUp, Pain
from esi_room.procedure.amended import facts_of
from esi_room.procedure.amending import Amending
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path


async def test_late_forms_and_corrections_count(tmp_path: Path) -> None:
    clock = ManualClock()
    async with Journal.open(tmp_path, clock, Identity(room="esi-1")) as journal:
        record = await journal.switch("procedure", "a case")
        for payload in (
            ProcedureStarted(procedure="L4/5", origin="staff"),
            Pain(occasion="baseline", score=8, scale="NRS", actor="A"),
        ):
            await journal.commit(Event(source="room", data=payload, received=clock.now()))
        await journal.switch("standby", "over")
        amending = Amending(journal, clock)

        async def amend(form: str, **fields: object) -> None:
            await amending.amend(Amend(id=form, actor="A", client="c", record=record, form=form, fields=fields))

        await amend("follow_up", date="2023-11-28", contact="phone")
        await amend("correction", seq=2, reason="it was 6", fields={"score": 6})
    facts = facts_of(tmp_path, record)
    assert facts.procedure == "L4/5"
    assert [fact.data.score for fact in facts.said(Pain)] == [6]
    assert [(fact.seq, fact.data.date) for fact in facts.said(FollowUp)] == [(5, "2023-11-28")]


async def test_lines_that_are_no_entries_are_passed_over(tmp_path: Path) -> None:
    clock = ManualClock()
    async with Journal.open(tmp_path, clock, Identity(room="esi-1")) as journal:
        pain = Pain(occasion="baseline", score=8, scale="NRS", actor="A")
        await journal.commit(Event(source="room", data=pain, received=clock.now()))
        record = journal.record
    path = journal_path(tmp_path, record)
    path.write_bytes(b'\xff"type":"clinical.pain"\n' + path.read_bytes() + b'{"type":"clinical.pain"}\n')
    assert len(facts_of(tmp_path, record).said(Pain)) == 1
