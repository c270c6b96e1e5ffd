"""The desk: what the staff say becomes entries, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from esi_room.clock import ManualClock
from esi_room.commands import COMMANDS, Acknowledge, End, EnterPhase, Identity, Note, Override, Start
from esi_room.errors import CommandRefused
from esi_room.procedure import rules
from esi_room.procedure.desk import Desk
from esi_room.procedure.observer import Observer
from esi_room.record import journal as journal_module
from esi_room.record.journal import Journal
from esi_room.record.reader import journal_path, records
from esi_room.record.verify_room import verify_room

NAME = "Mustermann^Erika"


WHO = {"id": "1", "actor": "Dr. A", "client": "console-1"}


def entries(root: Path, record: str) -> list[dict]:
    return [json.loads(line) for line in journal_path(root, record).read_bytes().splitlines()]


@pytest.fixture
async def room(tmp_path: Path):
    clock = ManualClock()
    published: list[bytes | None] = []
    async with Journal.open(tmp_path, clock, journal_module.Identity(room="esi-1")) as journal:
        desk = Desk(journal, clock, Observer(journal, clock, rules.load()))
        desk.tell_identity(published.append)
        await desk.resume()
        yield tmp_path, journal, desk, published


async def test_a_whole_procedure_is_one_sealed_record(room):
    root, journal, desk, _ = room
    await desk.start(Start(**WHO, procedure="L4/5 interlaminar"))
    case = journal.record
    for phase in ("evaluation", "preparation", "guidance", "injection", "recovery"):
        await desk.enter(EnterPhase(**WHO, phase=phase))
    await desk.say(Note(**WHO, text="tolerated well"))
    receipt = await desk.end(End(**WHO))
    assert (receipt.record, journal.kind) == (case, "standby")
    alerts = {"alert.raised", "alert.cleared"}
    types = [e["type"] for e in entries(root, case) if e["type"] not in {"operator.command", *alerts}]
    assert types == [
        "record.opened",
        "procedure.started",
        "procedure.rules",
        *["procedure.phase"] * 5,
        "clinical.note",
        "procedure.ended",
        "procedure.completeness",
        "record.sealed",
    ]
    assert all(r.ok for r in verify_room(root))


async def test_what_cannot_be_now_is_refused_with_words_and_leaves_nothing(room):
    root, journal, desk, _ = room
    before = len(entries(root, journal.record)) if journal_path(root, journal.record).exists() else 0
    with pytest.raises(CommandRefused, match="send `start` first"):
        await desk.enter(EnterPhase(**WHO, phase="guidance"))
    with pytest.raises(CommandRefused, match="send `start` first"):
        await desk.end(End(**WHO))
    await desk.start(Start(**WHO))
    with pytest.raises(CommandRefused, match="under way"):
        await desk.start(Start(**WHO))
    await desk.enter(EnterPhase(**WHO, phase="injection"))
    with pytest.raises(CommandRefused, match="give a reason"):
        await desk.enter(EnterPhase(**WHO, phase="guidance"))
    with pytest.raises(CommandRefused, match="already"):
        await desk.enter(EnterPhase(**WHO, phase="injection"))
    await desk.enter(EnterPhase(**WHO, phase="guidance", reason="needle repositioned"))
    assert before <= 1
    assert sum(e["type"] == "operator.command" for e in entries(root, journal.record)) == 3


async def test_identity_is_in_its_file_and_nowhere_else(room):
    root, journal, desk, published = room
    await desk.start(Start(**WHO, identity=Identity(name=NAME, id="4711", birth_date="1960-02-03")))
    path = journal.directory / "private" / "identity.json"
    assert json.loads(path.read_bytes())["name"] == NAME
    assert path.stat().st_mode & 0o777 == 0o600
    started = next(e for e in entries(root, journal.record) if e["type"] == "procedure.started")
    assert started["data"]["identity_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert json.loads(published[-1])["name"] == NAME
    assert "salt" not in json.loads(published[-1])
    await desk.end(End(**WHO))
    assert published[-1] is None
    holding = [p for p in root.rglob("*") if p.is_file() and (NAME.encode() in p.read_bytes() or "4711" in p.name)]
    assert holding == [path]


async def test_two_consoles_start_at_the_same_time(room):
    root, _, desk, _ = room
    answers = await asyncio.gather(*(desk.start(Start(**WHO)) for n in range(2)), return_exceptions=True)
    assert sum(isinstance(a, CommandRefused) for a in answers) == 1
    assert len(records(root)) == 2


@pytest.mark.parametrize("cut_after", ["procedure.ended", "record.opened"])
async def test_a_command_cut_short_by_a_crash_can_be_finished(tmp_path, cut_after):
    """Cut between an end's entry and the seal: the next start of the daemon seals. Cut between the new record and
    its `procedure.started`: the same `start`, sent again, goes on in that record."""
    clock = ManualClock()

    def opened() -> Journal:
        return Journal.open(tmp_path, clock, journal_module.Identity(room="esi-1"))

    async with opened() as journal:
        desk = Desk(journal, clock, Observer(journal, clock, rules.load()))
        await desk.resume()
        await desk.start(Start(**WHO))
        case = journal.record
        await desk.end(End(**WHO))
    for later in records(tmp_path)[2:]:
        journal_path(tmp_path, later).unlink()
        (tmp_path / "records" / later).rmdir()
    lines = journal_path(tmp_path, case).read_bytes().splitlines(keepends=True)
    kept = next(n for n, line in enumerate(lines) if cut_after.encode() in line) + 1
    journal_path(tmp_path, case).write_bytes(b"".join(lines[:kept]))
    async with opened() as journal:
        desk = Desk(journal, clock, Observer(journal, clock, rules.load()))
        await desk.resume()
        if cut_after == "procedure.ended":
            assert (journal.kind, journal.record > case) == ("standby", True)
        else:
            receipt = await desk.start(Start(**WHO))
            assert receipt.record == case
    assert all(r.ok for r in verify_room(tmp_path))


async def test_a_text_that_names_the_patient_is_refused_and_a_colleague_of_that_name_is_not(room):
    root, journal, desk, _ = room
    await desk.start(Start(**WHO, identity=Identity(name=NAME, id="4711", birth_date="1960-02-03")))
    with pytest.raises(CommandRefused, match="text holds the patient's name"):
        await desk.say(Note(**WHO, text="Frau Mustermann is comfortable"))
    witnessed = {**WHO, "syringe": "A", "components": [{"drug": "water", "volume_ml": 2}], "drawn_up_by": "Erika Nurse"}
    await desk.say(msgspec.convert(witnessed, COMMANDS["drawn_up"]))
    assert b"Mustermann" not in journal_path(root, journal.record).read_bytes()


@pytest.mark.parametrize(
    ("at", "words"), [("2026-02-30T10:00:00Z", "day is out of range"), ("2033-01-01T10:00:00Z", "in the future")]
)
async def test_a_moment_that_cannot_have_been_is_refused(room, at, words):
    *_, desk, _ = room
    with pytest.raises(CommandRefused, match=words):
        await desk.say(Note(**WHO, text="late", at=at))


async def test_a_form_said_later_stands_at_the_time_when_it_happened(room):
    root, journal, desk, _ = room
    await desk.start(Start(**WHO))
    await desk.say(msgspec.convert({**WHO, "given": True, "at": "2023-11-14T20:00:00Z"}, COMMANDS["consent"]))
    said = next(e for e in entries(root, journal.record) if e["type"] == "clinical.consent")
    assert said["time"] == "2023-11-14T20:00:00.000000Z" < said["received"]
    assert said["data"]["code"] == "DCM 122004"


async def test_what_was_meant_for_one_record_does_not_go_into_the_next(room):
    _, journal, desk, _ = room
    await desk.start(Start(**WHO))
    case = journal.record
    await desk.end(End(**WHO))
    await desk.start(Start(**WHO))
    with pytest.raises(CommandRefused, match=f"record {case} is not open: say it with `amend`"):
        await desk.say(Note(**WHO, text="of the patient before", record=case))


async def test_a_phase_an_end_or_an_answer_that_was_meant_for_one_record_leaves_the_next_alone(room):
    _, journal, desk, _ = room
    await desk.start(Start(**WHO))
    case = journal.record
    await desk.end(End(**WHO, record=case))
    await desk.start(Start(**WHO))
    for late in (
        desk.enter(EnterPhase(**WHO, phase="recovery", record=case)),
        desk.acknowledge(Acknowledge(**WHO, alert="R1", record=case)),
        desk.override(Override(**WHO, alert="R1", reason="seen", record=case)),
        desk.end(End(**WHO, record=case)),
    ):
        with pytest.raises(CommandRefused, match=f"record {case} is not open: another case is under way, or none"):
            await late
    await desk.enter(EnterPhase(**WHO, phase="evaluation", record=journal.record))


async def test_every_form_but_a_note_needs_a_procedure(room):
    *_, desk, _ = room
    with pytest.raises(CommandRefused, match="send `start` first"):
        await desk.say(msgspec.convert({**WHO, "given": True}, COMMANDS["consent"]))
    await desk.say(Note(**WHO, text="room cleaned"))


async def test_everything_wrong_with_a_form_is_said_at_once(room):
    *_, desk, _ = room
    await desk.start(Start(**WHO))
    wrong = {"given": True, "component": {"drug": "lidocaine", "volume_ml": 2, "dose": 3}}
    with pytest.raises(CommandRefused) as refusal:
        await desk.say(msgspec.convert({**WHO, **wrong}, COMMANDS["contrast"]))
    assert "how it was watched" in str(refusal.value) and "no contrast agent" in str(refusal.value)
    assert "dose and dose_unit go together" in str(refusal.value)


async def test_two_consoles_say_the_same_at_the_same_time(room):
    """The second is told what the first has said, and nothing stands there twice."""
    root, journal, desk, _ = room
    await desk.start(Start(**WHO))
    filled = {"syringe": "A", "components": [{"drug": "water", "volume_ml": 2}]}
    asked = [msgspec.convert({**WHO, "id": str(n), **filled}, COMMANDS["drawn_up"]) for n in range(5)]
    answers = await asyncio.gather(*map(desk.say, asked), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, CommandRefused)]
    assert len(refused) == 4 and all("was drawn up already" in str(answer) for answer in refused)
    assert [e["type"] for e in entries(root, journal.record)].count("clinical.drawn_up") == 1
