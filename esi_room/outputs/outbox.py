"""The events on their way out: a durable cursor over the journal, moved only at the broker's acknowledgement.

Rules:
- The journal is the outbox. What was not acknowledged when the connection or the daemon died is sent again, so a
  subscriber may see a line twice and never misses one; `record` + `seq` tell.
- The payload is the line on disk, its newline included: its SHA-256 is the next line's `prev`.
- The cursor's file is written at most once in SAVE_S and at the end. Losing that second costs duplicates.
- A message that the broker refuses is not skipped: it is tried again, and `problem` says so meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from esi_room.outputs.client import BrokerClient, RefusedError, acknowledged
from esi_room.outputs.tasks import until_first
from esi_room.outputs.topics import Topics
from esi_room.record.entry import Cursor, Line
from esi_room.record.follow import follow
from esi_room.record.journal import Journal
from esi_room.record.reader import find, first, journal_path

SAVE_S = 1.0
REFUSED_S = 5.0  # somebody has to change an access rule before it helps to try again

log = structlog.get_logger()
_Acks = asyncio.Queue[tuple[Line, asyncio.Future[None]]]


class _Head(Struct):
    """What the topic needs of a line."""

    type: str


_head = msgspec.json.Decoder(_Head)


class Outbox:
    """One destination's cursor over the journal. `at_problem` is called when `problem` has changed."""

    def __init__(self, journal: Journal, topics: Topics, path: Path, at_problem: Callable[[], None]) -> None:
        self._journal, self._topics, self._path, self._at_problem = journal, topics, path, at_problem
        self._moved, self._saved = asyncio.Event(), True
        self._unsaved_reason: str | None = None
        self.problem: str | None = None
        self.cursor = self._start()

    @property
    def waiting(self) -> int | None:
        """Committed lines that are not acknowledged; None where they span records."""
        head = self._journal.committed
        return head.seq - self.cursor.seq if head.record == self.cursor.record else None

    async def pump(self, client: BrokerClient) -> None:
        """Send everything from the cursor on, for ever. BrokerError when the connection dies."""
        while True:
            acks: _Acks = asyncio.Queue()
            try:
                await until_first(self._send(client, acks), self._collect(acks))
            except RefusedError as error:
                self._say_refused(str(error))
                await asyncio.sleep(REFUSED_S)

    async def drained(self) -> None:
        """Returns when everything appended so far is durable and acknowledged."""
        await self._journal.settled()
        end = self._journal.committed
        while (self.cursor.record, self.cursor.seq) < (end.record, end.seq):
            self._moved.clear()
            await self._moved.wait()

    async def keep(self) -> None:
        """Write the cursor's file when it moved, at most once in SAVE_S; for ever."""
        while True:
            await asyncio.sleep(SAVE_S)
            if not self._saved:
                await asyncio.to_thread(self.save)

    def save(self) -> None:
        """Write the cursor's file now. A disk that does not take it costs duplicates, so it is said, once, and no
        more."""
        try:
            _replace(self._path, msgspec.json.encode(self.cursor) + b"\n")
            self._saved, self._unsaved_reason = True, None
        except OSError as error:
            if self._unsaved_reason != error.strerror:
                log.warning("cursor_not_saved", path=str(self._path), reason=error.strerror)
            self._unsaved_reason = error.strerror

    async def _send(self, client: BrokerClient, acks: _Acks) -> None:
        async for lines in follow(self._journal, self.cursor):
            for line in lines:
                topic = self._topics.event(_head.decode(line.octets).type)
                acks.put_nowait((line, await client.send(topic, line.octets)))

    async def _collect(self, acks: _Acks) -> None:
        while True:
            line, ack = await acks.get()
            try:
                await acknowledged(ack)
            except RefusedError as error:
                raise RefusedError(f"line {line.seq} of {line.record}: {error}") from error
            self.cursor, self._saved = line.after, False
            self._moved.set()
            if self.problem is not None:
                log.info("broker_takes_events_again", record=line.record, seq=line.seq)
                self._set_problem(None)

    def _say_refused(self, reason: str) -> None:
        if self.problem is None:
            log.error("broker_refuses_event", reason=reason)
        self._set_problem(reason)

    def _set_problem(self, problem: str | None) -> None:
        self.problem = problem
        self._at_problem()

    def _start(self) -> Cursor:
        head = self._journal.committed
        beginning = Cursor(self._journal.record, 0, 0)
        try:
            cursor = msgspec.json.decode(self._path.read_bytes(), type=Cursor)
        except FileNotFoundError:
            return beginning
        except (OSError, msgspec.MsgspecError) as error:
            log.error("cursor_unreadable", path=str(self._path), reason=str(error), remedy="everything is sent again")
            return first(self._journal.root) or beginning
        if (cursor.record, cursor.offset) > (head.record, head.offset):  # the data directory is an older copy
            log.error("cursor_ahead_of_record", cursor=cursor.record, seq=cursor.seq)
            return beginning
        if self._lies_between_lines(cursor):
            return cursor
        # A disk that lied about a sync lost the end of the record, and other lines stand there now.
        log.error("cursor_does_not_fit", cursor=cursor.record, seq=cursor.seq, remedy="its record is sent again")
        return Cursor(cursor.record, 0, 0)

    def _lies_between_lines(self, cursor: Cursor) -> bool:
        root = self._journal.root
        return find(root, cursor.record, cursor.seq) == cursor or not journal_path(root, cursor.record).exists()


def unpublished(path: Path, record: str) -> bool:
    """Whether lines of this record still wait for a broker that is away, by the cursor's file."""
    try:
        cursor = msgspec.json.decode(path.read_bytes(), type=Cursor)
    except (OSError, msgspec.MsgspecError):
        return False  # nothing was ever published: `Outbox` begins with the open record, or sends what there is
    return cursor.record <= record


def _replace(path: Path, octets: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, octets)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
