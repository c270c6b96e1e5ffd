"""Requests to the room: checked, carried out once, always answered.

Rules:
- A bad request costs words, never an exception: whatever arrives, an answer leaves. Where even the client cannot
  be read, it goes to `reply/unknown`.
- One command at a time, in the order they came. For each: was its `id` seen, is it well formed, does the handler
  refuse it (CommandRefused)? What was refused has changed nothing and may be asked again.
- Whoever carries a command out appends `operator.command` and, as the very next entry, what it says. So the record
  holds who asked for what, and after a restart an `id` counts as carried out exactly if that next entry is there.
- An `id` is known for the open record and the one before it: a console repeats a command for seconds, not for days.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from esi_room.commands import COMMANDS, Backfill, Command, ShowFrame
from esi_room.errors import CommandRefused, RecordError
from esi_room.events import Entry, OperatorCommand
from esi_room.events.wording import in_words
from esi_room.outputs.messages import FrameFound, Position, Reply
from esi_room.outputs.topics import LEVEL
from esi_room.record.amendments import read_amendments
from esi_room.record.entry import Cursor, Line
from esi_room.record.journal import Journal, Receipt
from esi_room.record.reader import find, read, records
from esi_room.record.removed import removal

MAX_PAYLOAD_BYTES = 64 << 10  # a long note is 4 KB; more is no command
MAX_REMEMBERED = 10_000  # answers kept for repeated ids: days of a busy room
BACKFILL_LINES = 500  # half of what Mosquitto queues for a subscriber by default
BACKFILL_BYTES = 1 << 20
NOBODY = "unknown"  # whom we answer who does not say who they are

_RECORDED = re.compile(rb'"type":"operator\.command"')
_RECOVERED = re.compile(rb'"type":"record\.recovered"')


Handler = Callable[[Any], Awaitable[Receipt]]
"""Carries out one command (an instance of its class in `esi_room.commands`); the receipt of what it said, durable."""


class Looked(NamedTuple):
    """The frame that was asked for, and its picture or the reason why there is none; no frame: the reason why."""

    found: FrameFound | None
    jpeg: bytes | None
    problem: str | None


Look = Callable[[ShowFrame], Awaitable[Looked]]
"""Finds a frame."""


class Answer(NamedTuple):
    """What goes out: `lines` on the client's backfill topic, `jpeg` on its image topic, then `reply`."""

    client: str
    reply: Reply
    lines: Sequence[Line] = ()
    jpeg: bytes | None = None


class _Envelope(NamedTuple):
    """What could be read of a request, however broken."""

    fields: dict[str, Any]
    client: str
    id: str | None


class Commands:
    """The room's ear. `handlers`: by command name; `backfill` is answered here, `frame` by `look` if there is one."""

    def __init__(self, journal: Journal, handlers: Mapping[str, Handler], *, look: Look | None = None) -> None:
        self._journal, self._handlers, self._look = journal, handlers, look
        self._answers: dict[str, Reply] = {}

    async def recall(self) -> None:
        """Read back which ids were carried out before a restart."""
        answers = await asyncio.to_thread(_recorded, self._journal)
        self._answers = {**answers, **self._answers}

    async def answer(self, name: str, payload: bytes, *, retained: bool = False) -> Answer:
        """Carry out one request. Never raises on what was asked."""
        envelope, problems = _open(payload)
        if retained:  # it would act again at every connection
            problems = ["a command must not be retained: publish it with retain off"]
        if not problems and envelope.id in self._answers:
            return Answer(envelope.client, self._answers[envelope.id])
        if problems:
            return _refusal(envelope, problems)
        command = self._typed(name, envelope)
        if isinstance(command, str):
            return _refusal(envelope, [command])
        if isinstance(command, Backfill):
            return await self._backfill(command)
        if isinstance(command, ShowFrame) and self._look is not None:
            return _shown(command, await self._look(command))
        return Answer(envelope.client, await self._carry_out(command))

    def _typed(self, name: str, envelope: _Envelope) -> Command | str:
        known = sorted({*self._handlers, Backfill.NAME, *([] if self._look is None else [ShowFrame.NAME])})
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            return f"there is no command {name[:64]!r}: {hint}"
        try:
            return msgspec.convert(envelope.fields, COMMANDS[name])
        except msgspec.ValidationError as error:
            return in_words(error, COMMANDS[name])

    async def _carry_out(self, command: Command) -> Reply:
        try:
            receipt = await self._handlers[command.NAME](command)
        except (CommandRefused, RecordError) as error:
            return _no(command.id, [str(error)])
        return self._remember(command, _done(command.id, receipt.record, receipt.seq, "recorded"))

    def _remember(self, command: Command, reply: Reply) -> Reply:
        self._answers[command.id] = reply
        if len(self._answers) > MAX_REMEMBERED:
            del self._answers[next(iter(self._answers))]
        return reply

    async def _backfill(self, command: Backfill) -> Answer:
        lines, following = await asyncio.to_thread(_again, self._journal, command)
        if lines is None:
            gone = removal(self._journal.root, command.record)
            problem = f"record {command.record} has no line {command.from_seq}"
            problem = problem if gone is None else f"record {command.record} {gone.words}"
            return Answer(command.client, _no(command.id, [problem]))
        reply = Reply(
            id=command.id,
            ok=True,
            record=command.record,
            seq=command.from_seq,
            message=f"{len(lines)} lines sent" + (", there are more" if following else ""),
            problems=(),
            count=len(lines),
            next=following,
        )
        return Answer(command.client, reply, lines)


def _shown(command: ShowFrame, looked: Looked) -> Answer:
    if looked.found is None or looked.jpeg is None:
        refusal = _no(command.id, [looked.problem or "there is no picture"])
        return Answer(command.client, msgspec.structs.replace(refusal, frame=looked.found))
    done = _done(command.id, looked.found.record, looked.found.seq, "shown")
    return Answer(command.client, msgspec.structs.replace(done, frame=looked.found), jpeg=looked.jpeg)


def _open(payload: bytes) -> tuple[_Envelope, list[str]]:
    """Whatever can be read of the request, and what is wrong with what every request needs."""
    nothing = _Envelope({}, NOBODY, None)
    if len(payload) > MAX_PAYLOAD_BYTES:
        return nothing, [f"the request has {len(payload)} bytes; at most {MAX_PAYLOAD_BYTES} are read"]
    try:
        fields = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        return nothing, [f"the request is no JSON: {error}"]
    if not isinstance(fields, dict):
        return nothing, ["the request is no JSON object: it needs id, actor, client"]
    problems = []
    for key in ("id", "actor", "client"):
        value = fields.get(key)
        if not isinstance(value, str) or not value:
            problems.append(f"{key} is missing: a text that is not empty")
    client = fields.get("client")
    if isinstance(client, str) and client and not LEVEL.fullmatch(client):
        problems.append("client may hold A-Z a-z 0-9 _ - and at most 64 of them")
    usable = client if isinstance(client, str) and LEVEL.fullmatch(client) else NOBODY
    request = fields.get("id")
    return _Envelope(fields, usable, request if isinstance(request, str) else None), problems


def _done(request: str, record: str, seq: int, message: str) -> Reply:
    return Reply(id=request, ok=True, record=record, seq=seq, message=message, problems=())


def _no(request: str | None, problems: list[str]) -> Reply:
    return Reply(
        id=request,
        ok=False,
        record=None,
        seq=None,
        message=f"not done: {problems[0]}",
        problems=tuple(problems),
    )


def _refusal(envelope: _Envelope, problems: list[str]) -> Answer:
    return Answer(envelope.client, _no(envelope.id, problems))


def _again(journal: Journal, command: Backfill) -> tuple[list[Line] | None, Position | None]:
    """The lines asked for (None: there are none such), and where it goes on after them: in a sealed record with its
    amendments, then with the room's next record."""
    record, end = command.record, journal.committed
    start = find(journal.root, record, command.from_seq)
    amended = read_amendments(journal.root, record)
    if start is None and amended and command.from_seq <= amended[-1].seq + 1:
        start = amended[-1].after
    if start is None or (start.record, start.offset) > (end.record, end.offset):
        return None, None
    found = read(journal.root, start, end, max_lines=BACKFILL_LINES, max_bytes=BACKFILL_BYTES)
    lines = [line for line in found if line.record == record]
    late: list[Line] = []
    if amended and (lines[-1].after if lines else start) == amended[-1].after:
        lines, late = _filled_up(lines, [line for line in amended if line.seq >= command.from_seq])
    following = _position(late[0]) if late else _following(journal, lines[-1].after if lines else start, end)
    last = command.to_seq
    if last is None:
        return lines, following
    more = following is not None and following.record == record and following.seq <= last
    return [line for line in lines if line.seq <= last], following if more else None


def _filled_up(lines: list[Line], late: list[Line]) -> tuple[list[Line], list[Line]]:
    """`lines` with as many of `late` as may go out with them, and the rest of these."""
    size_bytes = sum(len(line.octets) for line in lines)
    count = 0
    while count < len(late) and len(lines) + count < BACKFILL_LINES and size_bytes < BACKFILL_BYTES:
        size_bytes += len(late[count].octets)
        count += 1
    return lines + late[:count], late[count:]


def _following(journal: Journal, after: Cursor, end: Cursor) -> Position | None:
    more = read(journal.root, after, end, max_lines=1)
    return _position(more[0]) if more else None


def _position(line: Line) -> Position:
    return Position(record=line.record, seq=line.seq)


def _recorded(journal: Journal) -> dict[str, Reply]:
    """The commands in the open record and the one before it, as far as committed."""
    end = journal.committed
    ids = [record for record in records(journal.root) if record <= end.record][-2:]
    answers: dict[str, Reply] = {}
    asked: str | None = None
    cursor = Cursor(ids[0], 0, 0) if ids else end
    while lines := read(journal.root, cursor, end):
        cursor = lines[-1].after
        for line in lines:
            if asked is not None and not _RECOVERED.search(line.octets):
                answers[asked] = _done(asked, line.record, line.seq, "recorded before the daemon was started again")
            asked = _request(line)
    return answers


def _request(line: Line) -> str | None:
    """The id of the command that this line names; None if it names none."""
    if not _RECORDED.search(line.octets):
        return None
    entry = msgspec.json.decode(line.octets, type=Entry)
    return msgspec.json.decode(entry.data, type=OperatorCommand).id if entry.type == OperatorCommand.TYPE else None
