"""The desk: what the staff say becomes entries, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from esi_room.clock import ManualClock
from esi_room.commands import End, EnterPhase, Identity, Note, Start
from esi_room.errors import CommandRefused
from esi_room.procedure.desk import Desk
from esi_room.record import journal as journal_module
from esi_room.record.journal import Journal
from esi_room.record.reader import journal_path, records
from esi_room.record.verify import verify_room

NAME = "Mustermann^Erika"


WHO = {"id": "1", "actor": "Dr. A", "client": "console-1"}


def entries(root: Path, record: str) -> list[dict]:
    return [json.loads(line) for line in journal_path(root, record).read_bytes().splitlines()]


@pytest.fixture
async def room(tmp_path: Path):
    clock = ManualClock()
    published: list[bytes | None] = []
    async with Journal.open(tmp_path, clock, journal_module.Identity(room="esi-1")) as journal:
        desk = Desk(journal, clock)
        desk.tell_identity(published.append)
        await desk.resume()
        yield tmp_path, journal, desk, published


async def test_a_whole_procedure_is_one_sealed_record(room):
    root, journal, desk, _ = room
    await desk.start(Start(**WHO, procedure="L4/5 interlaminar"))
    case = journal.record
    for phase in ("evaluation", "preparation", "guidance", "injection", "recovery"):
        await desk.enter(EnterPhase(**WHO, phase=phase))
    await desk.note(Note(**WHO, text="tolerated well"))
    receipt = await desk.end(End(**WHO))
    assert (receipt.record, journal.kind) == (case, "standby")
    types = [e["type"] for e in entries(root, case) if e["type"] != "operator.command"]
    assert types == [
        "record.opened",
        "procedure.started",
        *["procedure.phase"] * 5,
        "clinical.note",
        "procedure.ended",
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
    assert len(entries(root, journal.record)) == 1 + 3 * 2


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
        desk = Desk(journal, clock)
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
        desk = Desk(journal, clock)
        await desk.resume()
        if cut_after == "procedure.ended":
            assert (journal.kind, journal.record > case) == ("standby", True)
        else:
            receipt = await desk.start(Start(**WHO))
            assert receipt.record == case
    assert all(r.ok for r in verify_room(tmp_path))
