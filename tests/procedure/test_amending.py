"""Amending: what is said late is durable beside its record, announced in the open one, once; or refused with words."""

from __future__ import annotations

import asyncio
import errno
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from esi_room.clock import ManualClock
from esi_room.commands import Amend, Identity
from esi_room.errors import CommandRefused, RecordError
from esi_room.events import ClinicalNote, Event, Payload, ProcedureStarted
from esi_room.events.clinical import Needle, Pain
from esi_room.procedure import identity as identities
from esi_room.procedure.amending import Amending
from esi_room.record import journal as journal_module
from esi_room.record.amendments import amendments_path
from esi_room.record.disk import Disk
from esi_room.record.journal import Journal
from esi_room.record.reader import journal_path, records
from esi_room.record.verify_room import verify_room

FOLLOW_UP = {"date": "2023-11-28", "contact": "phone", "pain_score": 3, "pain_scale": "NRS", "relief_pct": 60}


class Room(NamedTuple):
    """A room whose case is over: note, pain and needle are its entries 2, 3 and 4."""

    root: Path
    journal: Journal
    clock: ManualClock
    case: str
    amending: Amending

    async def amend(self, form: str = "follow_up", command: str = "1", **fields: Any) -> Any:
        self.clock.advance(60)
        return await self.amending.amend(self.command(form, command, **fields))

    def command(self, form: str = "follow_up", command: str = "1", **fields: Any) -> Amend:
        return Amend(
            id=command,
            actor="Dr. A",
            client="console-1",
            record=fields.pop("record", self.case),
            at=fields.pop("at", None),
            form=form,
            fields=fields or FOLLOW_UP,
        )

    def amended(self) -> list[dict[str, Any]]:
        path = amendments_path(self.root, self.case)
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def said(self) -> list[dict[str, Any]]:
        """What the open record says."""
        return entries(self.root, self.journal.record)


def entries(root: Path, record: str) -> list[dict[str, Any]]:
    path = journal_path(root, record)
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def opened(root: Path, clock: ManualClock) -> Journal:
    return Journal.open(root, clock, journal_module.Identity(room="esi-1"))


async def play(journal: Journal, clock: ManualClock) -> str:
    """A case, sealed."""
    case = await journal.switch("procedure", "a case")
    identity = Identity(name="Mustermann^Erika^Dr.", id="4711", birth_date="1960-02-03")
    digest = await asyncio.to_thread(identities.keep, Disk(), journal.root, case, identity)
    said: tuple[Payload, ...] = (
        ProcedureStarted(procedure="L4/5", origin="staff", identity_sha256=digest),
        ClinicalNote(text="calm", actor="Dr. A"),
        Pain(occasion="baseline", score=8, scale="NRS", actor="Dr. A"),
        Needle(action="placed", actor="Dr. A"),
    )
    for payload in said:
        clock.advance(60)
        await journal.commit(Event(source="room", data=payload, received=clock.now()))
    clock.advance(60)
    await journal.switch("standby", "over")
    return case


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    clock = ManualClock()
    async with opened(tmp_path, clock) as journal:
        case = await play(journal, clock)
        yield Room(tmp_path, journal, clock, case, Amending(journal, clock))


async def test_a_follow_up_is_beside_its_record_and_announced_in_the_open_one(room: Room) -> None:
    sealed = journal_path(room.root, room.case).read_bytes()
    receipt = await room.amend(at="2023-11-14T22:00:00Z")
    asked, said = room.amended()
    assert (asked["type"], asked["data"]["id"], asked["data"]["name"]) == ("operator.command", "1", "amend")
    assert (said["type"], said["data"]["relief_pct"], said["data"]["actor"]) == ("clinical.follow_up", 60, "Dr. A")
    assert (said["time"], said["record"]) == ("2023-11-14T22:00:00.000000Z", room.case)
    again, announced = room.said()[-2:]
    assert again["data"] == asked["data"]
    assert (announced["type"], announced["data"]["record"]) == ("record.amended", room.case)
    assert (announced["data"]["seq"], announced["data"]["type"]) == (said["seq"], "clinical.follow_up")
    assert (receipt.record, receipt.seq) == (room.journal.record, announced["seq"])
    assert journal_path(room.root, room.case).read_bytes() == sealed
    reports = list(verify_room(room.root))
    assert all(report.ok and not report.notes for report in reports)
    assert reports[1].amendments == 1


@pytest.mark.parametrize(
    ("form", "fields", "words"),
    [
        ("folow_up", {}, "no form 'folow_up': did you mean follow_up?"),
        ("xyzzy", {}, "there are assessment"),
        ("follow_up", FOLLOW_UP | {"relief": 3}, "'relief' is no field of follow_up: did you mean relief_pct?"),
        ("follow_up", {"date": "2023-11-28"}, "missing required field `contact`"),
        ("follow_up", FOLLOW_UP | {"relief_pct": 160}, "<= 100.0 - at `$.relief_pct`"),
        ("follow_up", FOLLOW_UP | {"pain_score": "3"}, "Expected `float"),
        ("follow_up", FOLLOW_UP | {"date": "2023-02-30"}, "no date of the calendar"),
        ("follow_up", FOLLOW_UP | {"pain_scale": None}, "go together"),
        ("follow_up", FOLLOW_UP | {"actor": "somebody else"}, "'actor' is no field"),
        ("note", {"text": "late", "at": "2024-11-28T10:00:00Z"}, "is in the future"),
        ("note", {"text": "late", "at": "2023-02-30T10:00:00Z"}, "at 2023-02-30T10:00:00Z: day is out of range"),
        ("correction", {"seq": 0, "reason": "wrong", "withdrawn": True}, "entry 0 is no form"),
        ("correction", {"seq": 99, "reason": "wrong", "withdrawn": True}, "entry 99 is no form"),
        ("correction", {"seq": 3, "reason": "wrong", "fields": {"scor": 7}}, "scor cannot be corrected"),
        (
            "correction",
            {"seq": 3, "reason": "wrong", "fields": {"score": 70}},
            "score does not fit: a number from 0 to 10",
        ),
        ("drug_discarded", {"syringe": "A", "volume_ml": 1}, "there is no syringe A"),
    ],
)
async def test_what_cannot_be_said_is_refused_in_words_and_leaves_nothing(room, form, fields, words):
    before = room.said()
    with pytest.raises(CommandRefused) as refused:
        await room.amend(form, **fields)
    assert words in str(refused.value)
    assert room.amended() == []
    assert room.said() == before


async def test_only_a_sealed_procedure_is_amended(room: Room) -> None:
    standby = room.journal.record
    for record, words in (
        ("20200101T000000Z-abcd", "there is no record"),
        ("99990101T000000Z-abcd", "there is no record"),
        (standby, "standby record"),
    ):
        with pytest.raises(CommandRefused, match=words):
            await room.amend(record=record)
    case = await room.journal.switch("procedure", "another case")
    with pytest.raises(CommandRefused, match="it is open: say it with `mark`"):
        await room.amend(record=case)


@pytest.mark.parametrize(
    ("form", "fields", "where"),
    [
        ("note", {"text": "Mrs. MUSTERMANN called"}, "text"),
        ("note", {"text": "call of 4711, in pain"}, "text"),
        ("note", {"text": "born 1960-02-03"}, "text"),
        ("complication", {"kind": "other", "severity": "mild", "name": "Erika fell", "action": "none"}, "name"),
        ("correction", {"seq": 2, "reason": "wrong", "fields": {"text": "erika is calm"}}, "fields.text"),
    ],
)
async def test_the_patients_name_stays_out(room, form, fields, where):
    with pytest.raises(CommandRefused) as refused:
        await room.amend(form, **fields)
    assert str(refused.value).startswith(f"{where} holds the patient's name")
    assert "ustermann" not in str(refused.value)
    assert room.amended() == []
    assert await room.amend("note", text="the patient called: 14711 steps a day")
    identities.path(room.root, room.case).unlink()
    assert await room.amend(form, command="2", **fields), "nobody knows the name of an erased patient"


async def test_a_correction_is_checked_against_the_record_and_its_amendments(room: Room) -> None:
    await room.amend("correction", "1", seq=3, reason="it was 6", fields={"score": 6})
    await room.amend("pain", "2", occasion="after", score=2, scale="NRS")
    late = room.amended()[-1]["seq"]
    await room.amend("correction", "3", seq=late, reason="another patient", withdrawn=True)
    with pytest.raises(CommandRefused, match=f"entry {late} is no form"):
        await room.amend("correction", "4", seq=late, reason="again", withdrawn=True)


async def test_the_same_id_acts_once_and_gets_the_first_answer(room: Room) -> None:
    first = await room.amend()
    after = room.amended(), room.said()
    again = await room.amend("note", text="something else under the same id")
    assert (again.record, again.seq) == (first.record, first.seq)
    await asyncio.wait_for(again.durable(), 1)
    assert (room.amended(), room.said()) == after
    await room.journal.switch("standby", "later")
    await room.journal.switch("standby", "much later")
    assert (await room.amend()).record == first.record


async def test_two_consoles_at_once(room: Room) -> None:
    commands = [room.command("note", str(n), text=f"note {n}") for n in range(10)]
    await asyncio.gather(*(room.amending.amend(command) for command in commands))
    assert [e["data"]["text"] for e in room.amended() if e["type"] == "clinical.note"] == [
        f"note {n}" for n in range(10)
    ]
    assert all(report.ok for report in verify_room(room.root))


class FullDisk(Disk):
    """It takes nothing."""

    def write(self, descriptor: int, octets: bytes) -> None:
        super().write(descriptor, octets[:50])
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_is_said_and_nothing_is_half_applied(room: Room) -> None:
    before = room.said()
    full = room._replace(amending=Amending(room.journal, room.clock, disk=FullDisk()))
    with pytest.raises(RecordError, match="the amendment was not made: No space left"):
        await full.amend()
    assert (room.amended(), room.said()) == ([], before)
    await room.amend()
    assert [e["type"] for e in room.amended()] == ["operator.command", "clinical.follow_up"]


async def test_amendments_that_do_not_hold_take_no_more(room: Room) -> None:
    for n in range(3):
        await room.amend("note", str(n), text=f"note {n}")
    path = amendments_path(room.root, room.case)
    path.write_bytes(path.read_bytes().replace(b"note 1", b"note 9"))
    with pytest.raises(CommandRefused, match="do not hold from seq"):
        await room.amend("note", "4", text="note 4")
    with pytest.raises(CommandRefused, match="there is no record"):
        await room.amend(record="../../etc")


# --- a crash between the two writes ---------------------------------------------------------------------------


class Died(BaseException):
    """The process ended here."""


async def _die(*_: object) -> None:
    raise Died


async def cut_short(root: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Room:
    """The amendment is durable, and the room has not said so."""
    async with opened(root, clock) as journal:
        case = await play(journal, clock)
        room = Room(root, journal, clock, case, Amending(journal, clock))
        with monkeypatch.context() as patch:
            patch.setattr(Amending, "_announce", _die)
            with pytest.raises(Died):
                await room.amend()
    assert len(room.amended()) == 2
    return room


def announced(root: Path) -> list[dict[str, Any]]:
    found = [e for record in records(root) for e in entries(root, record)]
    return [e for e in found if e["type"] in ("record.amended", "operator.command")]


@pytest.mark.parametrize("restart", ["the same", "announces"])
async def test_what_a_crash_cut_short_is_completed(tmp_path, monkeypatch, restart):
    """By the same id sent again, or by the next start of the daemon; not by both."""
    clock = ManualClock()
    left = await cut_short(tmp_path, clock, monkeypatch)
    assert any("no later entry names" in note for note in list(verify_room(tmp_path))[1].notes)
    async with opened(tmp_path, clock) as journal:
        room = left._replace(journal=journal, amending=Amending(journal, clock))
        if restart == "announces":
            await room.amending.resume()
            assert [e["type"] for e in room.said()[-2:]] == ["operator.command", "record.amended"]
        receipt = await room.amend()
        assert room.said()[-1]["seq"] == receipt.seq
    assert len(room.amended()) == 2
    assert [e["type"] for e in announced(tmp_path)] == ["operator.command", "record.amended"]
    assert all(r.ok and not any("no later entry" in note for note in r.notes) for r in verify_room(tmp_path))


async def test_a_start_announces_nothing_twice(tmp_path, monkeypatch):
    clock = ManualClock()
    left = await cut_short(tmp_path, clock, monkeypatch)
    for n in range(4):
        clock.advance(60)
        async with opened(tmp_path, clock) as journal:
            await Amending(journal, clock).resume()
            if n:
                await journal.switch("standby", "later")
    assert [e["type"] for e in announced(tmp_path)] == ["operator.command", "record.amended"]
    assert len(left.amended()) == 2


async def test_amendments_that_cannot_be_read_do_not_hold_up_the_start(room: Room, monkeypatch) -> None:
    await room.amend()
    path = amendments_path(room.root, room.case)
    path.unlink()
    path.mkdir()
    await room.amending.resume()
    with pytest.raises(RecordError, match="the amendment was not made: it is no regular file"):
        await room.amend()


CRASHER = """
import asyncio, os, sys
from pathlib import Path
from esi_room.clock import SystemClock
from esi_room.commands import Amend
from esi_room.events import Event, ProcedureStarted
from esi_room.procedure.amending import Amending
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal

class DyingDisk(Disk):
    left = int(sys.argv[2])
    def _count(self):
        DyingDisk.left -= 1
        if DyingDisk.left < 0:
            os._exit(9)
    def write(self, descriptor, octets):
        half = len(octets) // 2
        self._count(); os.write(descriptor, octets[:half]); self._count(); super().write(descriptor, octets[half:])
    def sync(self, descriptor):
        self._count(); super().sync(descriptor); self._count()
    def open_append(self, path):
        self._count(); return super().open_append(path)
    def sync_directory(self, path):
        self._count(); super().sync_directory(path)

async def main():
    clock, disk = SystemClock(), DyingDisk()
    async with Journal.open(Path(sys.argv[1]), clock, Identity(room="r"), disk=disk) as journal:
        amending = Amending(journal, clock, disk=disk)
        await amending.resume()
        for n in range(3):
            command = Amend(id=str(n), actor="A", client="c", record=sys.argv[3], form="note", fields={"text": str(n)})
            await amending.amend(command)
            os.write(1, f"{n}\\n".encode())
asyncio.run(main())
"""


@pytest.mark.parametrize("calls", range(0, 40, 2))
async def test_a_crash_at_any_call_to_the_disk(tmp_path: Path, calls: int) -> None:
    """Each is sent until it is answered: it is there once, announced once, and nothing acknowledged is lost."""
    clock = ManualClock()
    async with opened(tmp_path, clock) as journal:
        case = await play(journal, clock)
    answered = ""
    for left in (calls, calls, 1_000_000):
        daemon = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CRASHER, str(tmp_path), str(left), case, stdout=asyncio.subprocess.PIPE
        )
        answered += (await daemon.communicate())[0].decode()
        assert daemon.returncode in {0, 9}
    found = [json.loads(line) for line in amendments_path(tmp_path, case).read_bytes().splitlines()]
    assert [e["data"]["text"] for e in found if e["type"] == "clinical.note"] == ["0", "1", "2"]
    assert answered.split()[-3:] == ["0", "1", "2"]
    said = [e["data"]["seq"] for e in announced(tmp_path) if e["type"] == "record.amended"]
    assert said == [e["seq"] for e in found if e["type"] == "clinical.note"]
    assert all(report.ok for report in verify_room(tmp_path))
