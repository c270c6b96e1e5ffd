"""Requests: whatever arrives, an answer leaves, and nothing acts twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from outputs_rig import CLOCK, event, lines, pulse

from esi_room.errors import CommandRefused, RecordFull
from esi_room.events import ClinicalNote, OperatorCommand
from esi_room.outputs.commands import BACKFILL_LINES, Commands, Looked
from esi_room.outputs.messages import FrameFound
from esi_room.record.amendments import Amendments, amendments_path
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal, Receipt
from esi_room.record.reader import journal_path


class Room:
    """Writes notes, and counts how often it was made to."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.acted = journal, 0
        self.commands = Commands(journal, {"note": self.note})
        self.trouble: Exception | None = None

    async def note(self, command: Any) -> Receipt:
        if self.trouble is not None:
            raise self.trouble
        self.acted += 1
        asked = OperatorCommand(id=command.id, name="note", actor=command.actor, client=command.client)
        self.journal.append(event(asked, "room"))
        return await self.journal.commit(event(ClinicalNote(text=command.text, actor=command.actor), "room"))

    async def ask(self, name: str = "note", **more: Any) -> Any:
        request = {"id": "1", "actor": "Dr. A", "client": "console", "text": "hello"} | more
        return await self.commands.answer(name, json.dumps(request).encode())


@pytest.fixture
def room(journal: Journal) -> Room:
    return Room(journal)


async def test_the_same_id_acts_once_and_gets_the_first_answer(room: Room) -> None:
    first = await room.ask()
    again = await room.ask(text="other")
    assert room.acted == 1
    assert first.reply.ok
    assert again.reply == first.reply
    assert (first.client, first.reply.seq) == ("console", 3)


async def test_an_id_is_known_after_a_restart(tmp_path: Path) -> None:
    async with Journal.open(tmp_path, CLOCK, Identity(room="r")) as journal:
        before = await Room(journal).ask()
        await journal.switch("procedure", "test")
    async with Journal.open(tmp_path, CLOCK, Identity(room="r")) as journal:
        room = Room(journal)
        await room.commands.recall()
        after = await room.ask()
        assert room.acted == 0
        assert (after.reply.ok, after.reply.record, after.reply.seq) == (True, before.reply.record, before.reply.seq)


@pytest.mark.parametrize("trouble", [CommandRefused(["not now"]), RecordFull("the disk is full")])
async def test_what_was_refused_changed_nothing_and_may_be_asked_again(room: Room, trouble: Exception) -> None:
    room.trouble = trouble
    refused = await room.ask()
    assert not refused.reply.ok
    assert refused.reply.problems
    room.trouble = None
    assert (await room.ask()).reply.ok


@pytest.mark.parametrize(
    ("payload", "client", "words"),
    [
        (b"", "unknown", "no JSON"),
        (b"\xff\xfe", "unknown", "no JSON"),
        (b"[" * 5000, "unknown", "no JSON"),
        (b"[1]", "unknown", "no JSON object"),
        (b"x" * 70_000, "unknown", "70000 bytes"),
        (b"{}", "unknown", "id is missing"),
        (b'{"id":1,"actor":"a","client":"c"}', "c", "id is missing"),
        (b'{"id":"1","actor":"a","client":"a/b"}', "unknown", "client may hold"),
        (b'{"id":"1","actor":"a","client":"+"}', "unknown", "client may hold"),
        (b'{"id":"1","actor":"a","client":"c","txt":"x","text":"y"}', "c", "did you mean text"),
        (b'{"id":"1","actor":"a","client":"c","text":5}', "c", "text does not fit: a text that is not blank"),
        (b'{"id":"1","actor":"a","client":"c"}', "c", "text is missing: a text that is not blank"),
    ],
)
async def test_a_bad_request_is_answered_in_words(room: Room, payload: bytes, client: str, words: str) -> None:
    answer = await room.commands.answer("note", payload)
    assert (answer.client, answer.reply.ok, room.acted) == (client, False, 0)
    assert words in " ".join(answer.reply.problems)
    msgspec.json.encode(answer.reply)


async def test_an_unknown_command_is_told_what_there_is(room: Room) -> None:
    assert "did you mean note" in (await room.ask("nota")).reply.message
    assert "backfill, note" in (await room.ask("self-destruct")).reply.message


async def test_a_retained_command_never_acts(room: Room) -> None:
    payload = b'{"id":"1","actor":"a","client":"c","text":"t"}'
    answer = await room.commands.answer("note", payload, retained=True)
    assert (answer.reply.ok, room.acted) == (False, 0)
    assert "retain" in answer.reply.message


async def test_backfill_gives_the_octets_and_where_to_go_on(room: Room) -> None:
    for value in range(BACKFILL_LINES + 100):
        room.journal.append(pulse(value))
    sealed = room.journal.record
    await room.journal.switch("procedure", "test")
    got: list[bytes] = []
    at: Any = {"record": sealed, "seq": 0}
    number = 0
    while at is not None:
        number += 1
        answer = await room.commands.answer("backfill", _backfill(str(number), at["record"], at["seq"]))
        assert answer.reply.ok, answer.reply
        assert answer.reply.count == len(answer.lines) <= BACKFILL_LINES
        got += [line.octets for line in answer.lines]
        at = msgspec.to_builtins(answer.reply.next)
    assert got == lines(room.journal)


@pytest.mark.parametrize(
    ("from_seq", "to_seq", "expected"), [(0, 0, [0]), (1, 1, [1]), (0, 1, [0, 1]), (1, 0, []), (1, None, [1])]
)
async def test_backfill_keeps_to_its_bounds(room: Room, from_seq: int, to_seq: int | None, expected: list[int]) -> None:
    answer = await room.commands.answer("backfill", _backfill("1", room.journal.record, from_seq, to_seq))
    assert [line.seq for line in answer.lines] == expected
    assert answer.reply.next is None


@pytest.fixture
async def amended(journal: Journal) -> tuple[str, list[bytes]]:
    """A sealed record of many lines with its amendments, and all its lines; the room has gone on."""
    record = await journal.switch("procedure", "test")
    for value in range(7):
        journal.append(pulse(value))
    await journal.switch("standby", "over")
    for number in range(5):
        asked = OperatorCommand(id=str(number), name="amend", actor="A", client="c")
        said = ClinicalNote(text=f"late {number}", actor="A")
        Amendments(journal.root, Disk()).add(record, event(asked, "room"), event(said, "room"))
    return record, [
        line
        for path in (journal_path(journal.root, record), amendments_path(journal.root, record))
        for line in path.read_bytes().splitlines(keepends=True)
    ]


@pytest.mark.parametrize("at_once", [1, 3, 4, 9, 10, 500])
async def test_backfill_gives_a_sealed_record_with_its_amendments(room, amended, monkeypatch, at_once) -> None:
    monkeypatch.setattr("esi_room.outputs.commands.BACKFILL_LINES", at_once)
    record, whole = amended
    got: list[bytes] = []
    at: Any = {"record": record, "seq": 0}
    while at is not None and at["record"] == record:
        answer = await room.commands.answer("backfill", _backfill(str(len(got)), record, at["seq"]))
        assert 0 < len(answer.lines) <= at_once
        got += [line.octets for line in answer.lines]
        assert [line.seq for line in answer.lines] == list(range(at["seq"], at["seq"] + len(answer.lines)))
        at = msgspec.to_builtins(answer.reply.next)
    assert got == whole
    assert at == {"record": room.journal.record, "seq": 0}


@pytest.mark.parametrize(
    ("from_seq", "to_seq", "expected", "more"),
    [
        (9, 9, [9], False),
        (8, 10, [8, 9, 10], False),
        (12, None, [12, 13, 14, 15, 16, 17, 18], True),
        (18, None, [18], True),
        (18, 30, [18], False),
        (19, None, [], True),
        (7, 3, [], False),
    ],
)
async def test_backfill_of_amendments_keeps_to_its_bounds(room, amended, from_seq, to_seq, expected, more) -> None:
    answer = await room.commands.answer("backfill", _backfill("1", amended[0], from_seq, to_seq))
    assert answer.reply.ok
    assert [line.seq for line in answer.lines] == expected
    assert (answer.reply.next is not None) == more


async def test_backfill_beyond_the_last_amendment_is_answered(room, amended) -> None:
    answer = await room.commands.answer("backfill", _backfill("1", amended[0], 20))
    assert (answer.reply.ok, f"record {amended[0]} has no line 20" in answer.reply.message) == (False, True)


@pytest.mark.parametrize("record", ["../../etc", "20200101T000000Z-abcd", "", 7])
async def test_backfill_of_no_record_is_answered(room: Room, record: Any) -> None:
    answer = await room.commands.answer("backfill", _backfill("1", record, 0))
    assert not answer.reply.ok
    assert not answer.lines


FOUND = FrameFound(record="r", seq=7, sha256="ab", number=3, taken_at="2026-11-23T09:30:00.000000Z")


@pytest.mark.parametrize(
    ("looked", "ok", "jpeg"),
    [
        (Looked(FOUND, b"\xff\xd8", None), True, b"\xff\xd8"),
        (Looked(FOUND, None, "no decoder here reads it"), False, None),
        (Looked(None, None, "no image had been taken by then"), False, None),
    ],
)
async def test_a_frame_is_answered_with_its_picture_or_the_reason(journal: Journal, looked, ok, jpeg) -> None:
    async def look(command: Any) -> Looked:
        assert command.at == "2026-11-23T09:30:01Z"
        return looked

    commands = Commands(journal, {}, look=look)
    request = {"id": "1", "actor": "A", "client": "wall", "at": "2026-11-23T09:30:01Z"}
    answer = await commands.answer("frame", json.dumps(request).encode())
    assert (answer.reply.ok, answer.jpeg, answer.reply.frame) == (ok, jpeg, looked.found)
    assert (looked.problem or "shown") in answer.reply.message


async def test_a_room_without_a_c_arm_has_no_frames(room: Room) -> None:
    answer = await room.ask("frame", at="2026-11-23T09:30:01Z")
    assert "there is no command 'frame'" in answer.reply.message


@pytest.mark.parametrize("at", ["yesterday", "2026-11-23T09:30:01", "2026-11-23", 5])
async def test_a_moment_without_a_zone_is_none(journal: Journal, at: Any) -> None:
    async def look(_: Any) -> Looked:
        raise AssertionError

    request = {"id": "1", "actor": "A", "client": "wall", "at": at}
    answer = await Commands(journal, {}, look=look).answer("frame", json.dumps(request).encode())
    assert not answer.reply.ok
    assert "at does not fit: RFC 3339" in answer.reply.message


def _backfill(request: str, record: Any, from_seq: int, to_seq: int | None = None) -> bytes:
    fields = {"id": request, "actor": "a", "client": "c", "record": record, "from_seq": from_seq, "to_seq": to_seq}
    return json.dumps(fields).encode()
