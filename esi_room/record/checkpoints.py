"""Signed checkpoints: the room's word, once a minute and at every seal, of how far its record reached; and of each
amendment.

Rules:
- The journal knows nothing of them. They follow its committed head, and nothing waits for them.
- A checkpoint is encoded once, and never again: the octets signed are those on disk and those on MQTT.
- The COMMIT POINT is `append_durably` in `_append`. Below it the checkpoint is durable, and only then published. If the
  disk does not take it the file is cut back; a later one says as much and more.
- They come in order: that of a record's seal before any of a later record. What a crash left unsigned is signed at the
  next start through the same code. What is signed once is never signed again, altered or not: the daemon does not look
  back behind the last record that has a checkpoint.
- An amendment is signed at once behind the line that announces it, and what is signed is what that line says of it:
  whoever alters amendments gets no signature for it.
- Nothing that fails here stops the room: it is one line in the log and a `problem` in `status` until it works again.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from msgspec import Struct

from esi_room.clock import NS, Clock, rfc3339
from esi_room.errors import RecordError, SigningError
from esi_room.events import Event, RecordAmended
from esi_room.record.amendments import Announced, announcements
from esi_room.record.disk import Disk
from esi_room.record.entry import VERSION, Cursor, sha256
from esi_room.record.journal import Journal, Receipt
from esi_room.record.keys import Keys
from esi_room.record.reader import directory, journal_path, last_line, records
from esi_room.record.thread import DiskThread
from esi_room.record.verify_checkpoints import CHECKPOINTS, parse
from esi_room.record.writing import append_durably

EVERY_S = 60.0
RETRY_S = 5.0  # a minute's checkpoint may be late; it need not hammer on a full disk
FINISH_S = 3.0  # how long a stopping daemon waits for a slow disk; the rest is signed at the next start

log = structlog.get_logger()


class Signed(NamedTuple):
    """A checkpoint that is durable. `octets`: its line, newline included; `public`: the key that it is to be checked
    with; `amendment`: it is of a line behind the seal."""

    octets: bytes
    record: str
    seq: int
    sha256: str
    time: str
    key: str
    public: bytes
    amendment: bool = False


class _Statement(Struct, frozen=True, kw_only=True):
    """What is signed. `verify_checkpoints` reads it with its keys in this order."""

    v: int
    room: str
    record: str
    n: int
    seq: int
    sha256: str
    time: str
    key: str


class Checkpoints:
    """The checkpoints of a data directory, to be written. Every call blocks. SigningError: there is no key that could
    sign. OSError: the disk."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root, self._disk = root, disk
        self.keys = Keys(root, disk)

    def sign_up_to(self, head: Cursor, wall_ns: int) -> Signed | None:
        """Sign the last line before `head`, and before that every seal that is not signed; None if `head` is signed, or
        there is no line yet."""
        for record in self._unsigned(head.record):
            with journal_path(self._root, record).open("rb") as file:
                end_bytes = file.seek(0, io.SEEK_END)
            self._sign(record, end_bytes, wall_ns, only_seal=True)
        return self._sign(head.record, head.offset, wall_ns)

    def sign_amendment(self, said: RecordAmended, wall_ns: int) -> Signed | None:
        """Sign the line that a committed announcement names; None if it is signed, or its record is gone."""
        try:
            with journal_path(self._root, said.record).open("rb") as file:
                opened = msgspec.json.decode(file.readline(), type=_Opened)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        made = self._append(opened.data.room, said.record, said.seq, said.sha256, rfc3339(wall_ns))
        return None if made is None else made._replace(amendment=True)

    def left(self) -> list[Announced]:
        """Amendments that a crash may have left unsigned: those that were announced when this was signed last."""
        ids = records(self._root)
        signed = [n for n, record in enumerate(ids) if (directory(self._root, record) / CHECKPOINTS).exists()]
        return list(announcements(self._root, ids[signed[-2:][0] if signed else 0 :]))

    def begin(self) -> bool:
        """Make a key if this is the room's first start: it has none and nothing is signed; whether one was made."""
        signed = any((directory(self._root, record) / CHECKPOINTS).exists() for record in records(self._root))
        return not signed and self.keys.begin()

    def _unsigned(self, before: str) -> list[str]:
        """The records whose seal may not be signed, oldest first: from the last one on that has a checkpoint."""
        if (directory(self._root, before) / CHECKPOINTS).exists():
            return []
        found: list[str] = []
        for record in reversed([each for each in records(self._root) if each < before]):
            if journal_path(self._root, record).exists():
                found.insert(0, record)
            if (directory(self._root, record) / CHECKPOINTS).exists():
                break
        return found

    def _sign(self, record: str, end_bytes: int, wall_ns: int, *, only_seal: bool = False) -> Signed | None:
        if end_bytes == 0:
            return None
        with journal_path(self._root, record).open("rb") as file:
            first, line = file.readline(), last_line(file, end_bytes)
        try:
            said = msgspec.json.decode(line, type=_Said)
            opened = msgspec.json.decode(first, type=_Opened)
        except msgspec.MsgspecError:  # only of a record before the open one: `verify` names what is wrong with it
            return None
        if only_seal and said.type != "record.sealed":
            return None
        return self._append(opened.data.room, record, said.seq, sha256(line), rfc3339(wall_ns))

    def _append(self, room: str, record: str, seq: int, digest: str, time: str) -> Signed | None:
        path = directory(self._root, record) / CHECKPOINTS
        octets = path.read_bytes() if path.exists() else b""
        octets = octets[: octets.rfind(b"\n") + 1]  # behind that is what a crash left: it was never published
        lines = octets.splitlines(keepends=True)
        last = parse(path, len(lines), lines[-1]) if lines else None
        if last is not None and last.seq >= seq:
            return None
        key = self.keys.current()
        statement = _Statement(
            v=VERSION, room=room, record=record, n=len(lines), seq=seq, sha256=digest, time=time, key=key.id
        )
        signed = msgspec.json.encode(statement)[:-1]
        line = signed + b',"signature":"' + key.sign(signed).hex().encode() + b'"}\n'
        append_durably(self._disk, path, len(octets), line)  # THE COMMIT POINT
        return Signed(line, record, seq, digest, time, key.id, key.public)


class _Said(Struct):
    seq: int
    type: str


class _Room(Struct):
    room: str


class _Opened(Struct):
    """The room is what the record says that it is: its configuration may have another name by now."""

    data: _Room


class Checkpointer:
    """The daemon's task. `publish` gets each checkpoint once it is durable, `tell` why there is none (None: all is
    well)."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        publish: Callable[[Signed], None],
        tell: Callable[[str | None], None],
        *,
        disk: Disk | None = None,
    ) -> None:
        self._journal, self._clock, self._publish, self._tell = journal, clock, publish, tell
        self._checkpoints = Checkpoints(journal.root, disk or Disk())
        self._thread = DiskThread()
        self._made: list[Signed] = []
        self._head = Cursor("", 0, 0)  # what was tried last
        self._amended: list[Announced] = []  # and not signed yet
        self._signed_ns = 0
        self._problem: str | None = None
        self._begun = False
        journal.at_append(self._appended)

    async def run(self) -> None:
        """For ever."""
        while not await self._tried(self._begin):
            await asyncio.sleep(RETRY_S)
        self._begun = True
        while True:
            head = await self._journal.beyond(self._head)
            if head.record == self._head.record:
                await self._pause(head)
            if not await self._signed():
                await asyncio.sleep(RETRY_S)

    async def finish(self) -> None:
        """The daemon stops, and `run` was cancelled: sign what is durable by now."""
        with contextlib.suppress(TimeoutError, RecordError):
            async with asyncio.timeout(FINISH_S):
                await self._journal.settled()
        if self._begun:
            await self._signed()
        self._thread.shutdown()

    async def _pause(self, head: Cursor) -> None:
        """Until EVERY_S after the last one, or until another record is open."""
        rest_s = EVERY_S - (self._clock.now().mono_ns - self._signed_ns) / NS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, rest_s)):
                while head.record == self._head.record and not self._announced(head):
                    head = await self._journal.beyond(head)

    def _appended(self, event: Event, receipt: Receipt) -> None:
        if isinstance(event.data, RecordAmended):
            self._amended.append(Announced(receipt.record, receipt.seq, event.data))

    def _announced(self, head: Cursor) -> list[Announced]:
        return [each for each in self._amended if (each.record, each.seq) < (head.record, head.seq)]

    async def _signed(self) -> bool:
        head = self._journal.committed
        amended = self._announced(head)
        if not await self._tried(self._sign, head, amended):
            return False
        self._head, self._signed_ns = head, self._clock.now().mono_ns
        self._amended = [each for each in self._amended if each not in amended]
        for made in self._made:
            self._publish(made)
        return True

    def _begin(self) -> None:
        if self._checkpoints.begin():
            key = self._checkpoints.keys.current()
            log.info("signing_key_made", key=key.id, folder=str(self._checkpoints.keys.folder))
        self._amended = [*self._checkpoints.left(), *self._amended]

    def _sign(self, head: Cursor, amended: list[Announced]) -> None:
        self._made = []
        now_ns = self._clock.now().wall_ns
        made = [self._checkpoints.sign_up_to(head, now_ns)]
        made += [self._checkpoints.sign_amendment(each.said, now_ns) for each in amended]
        self._made = [each for each in made if each is not None]

    async def _tried(self, function: Callable[..., None], *arguments: object) -> bool:
        try:
            await self._thread.run(function, *arguments)
        except SigningError as error:
            self._say(f"the record is not signed: {error}")
        except OSError as error:
            self._say(f"the record is not signed: its checkpoints cannot be written: {error.strerror or error}")
        else:
            self._say(None)
            return True
        return False

    def _say(self, problem: str | None) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log.info("record_signed_again")
        else:
            log.error("record_not_signed", reason=problem)
        self._tell(problem)
