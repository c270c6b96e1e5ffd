"""The snapshots' task: follows the committed head (not the outbox: a backlog must not make a display wrong),
keeps the projection, and says what changed.

Rules:
- It begins with the end of the record before the open one (how its procedure ended) and the open record's first line,
  so that a restarted daemon is right at once. What was observed
  before the start is as old as the elder of the two clocks says: the monotonic one may have begun anew.
- A picture belongs to an object. It is shown when the open record names that object and not before; so one that
  was finished after the next record was opened is never shown in it. `image/last` is cleared the moment a record
  opens, ahead of the disk: the last patient's image is not shown to the next.
- A topic is published at once, and then at most every MIN_INTERVAL_S; the last change always goes out.
- It sleeps until something is committed, a value goes stale or a held-back topic is due. It does not poll.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.clock import NS, Clock, Stamp, parse_rfc3339
from esi_room.events import Entry
from esi_room.outputs.state import Projection
from esi_room.outputs.tasks import until_first
from esi_room.outputs.topics import IMAGE
from esi_room.record.entry import Cursor, Line
from esi_room.record.follow import follow
from esi_room.record.journal import Journal
from esi_room.record.reader import records, tail

MIN_INTERVAL_S = 0.1  # ten snapshots a second of one topic are more than an eye follows

LAST_WORDS_BYTES = 256 << 10  # of a finished record: its last few hundred lines
_LAST_WORDS = (b'"type":"procedure.ended"', b'"type":"procedure.completeness"')

_decoder = msgspec.json.Decoder(Entry)
_encoder = msgspec.json.Encoder()


class Picture(NamedTuple):
    """What was made of the object `sha256`: a JPEG, or the reason why there is none."""

    sha256: str
    jpeg: bytes | None
    problem: str


class StateFeed:
    """Projection, journal and clock in one task. `publish(topic, payload)` gets topics below the room."""

    def __init__(self, journal: Journal, clock: Clock, publish: Callable[[str, bytes], None]) -> None:
        self._journal, self._clock, self._publish = journal, clock, publish
        self._projection = Projection()
        self._started = clock.now()
        self._head_at_start = journal.committed
        self._caught_up = False
        self._record: str | None = None
        self._picture: Picture | None = None
        self._dirty: set[str] = set()
        self._not_before_ns: dict[str, int] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        await until_first(self._follow(), self._publish_due())

    def picture(self, picture: Picture) -> None:
        """The newest picture. One that still waited for its object's entry is dropped."""
        self._picture = picture
        self._show()

    def clear_old_image(self) -> None:
        """Call it when a record may have been opened."""
        if self._record != self._journal.record:
            self._record = self._journal.record
            self._publish(IMAGE, b"")

    def _show(self) -> None:
        picture = self._picture
        if picture is None or not self._caught_up or not self._projection.names(self._journal.record, picture.sha256):
            return
        self._picture = None
        if picture.jpeg is None:
            self._touch(self._projection.cannot_show(picture.problem))
        else:
            self._publish(IMAGE, picture.jpeg)
            self._touch(self._projection.shows(picture.sha256))

    def forget(self) -> None:
        """The daemon stops: say of every value that it is not kept up any more, at once."""
        self._dirty |= self._projection.forget()
        if self._caught_up:
            for topic in sorted(self._dirty):
                self._say(topic)
        self._dirty.clear()

    async def _follow(self) -> None:
        begin = Cursor(self._journal.record, 0, 0)
        self._recall()
        async for lines in follow(self._journal, begin):
            self._touch(self._apply(lines))
            if not self._caught_up and not _before(lines[-1].after, self._head_at_start):
                self._caught_up = True
                self._touch(self._projection.topics)
            self._show()

    def _recall(self) -> None:
        """How the procedure before the open record ended stays to be seen."""
        for entry in last_words_before(self._journal.root, self._journal.record):
            self._projection.apply(entry, 0)

    def _apply(self, lines: Iterable[Line]) -> set[str]:
        dirty: set[str] = set()
        for line in lines:
            entry = _decoder.decode(line.octets)
            old = _before(Cursor(line.record, line.seq, 0), self._head_at_start)
            dirty |= self._projection.apply(entry, self._mono_ns(entry) if old else None)
        return dirty | self._projection.expire(self._clock.now().mono_ns)

    def _mono_ns(self, entry: Entry) -> int:
        """When an entry of an earlier run was received, on this boot's monotonic clock, or earlier."""
        return self._started.mono_ns - _age_ns(entry, self._started)

    def _touch(self, topics: set[str]) -> None:
        self._dirty |= topics
        self._wake.set()

    async def _publish_due(self) -> None:
        while True:
            self._wake.clear()
            now_ns = self._clock.now().mono_ns
            self._dirty |= self._projection.expire(now_ns)
            if self._caught_up:
                for topic in sorted(t for t in self._dirty if self._not_before_ns.get(t, now_ns) <= now_ns):
                    self._say(topic)
            await self._sleep(now_ns)

    def _say(self, topic: str) -> None:
        now = self._clock.now()
        self._dirty.discard(topic)
        self._not_before_ns[topic] = now.mono_ns + round(MIN_INTERVAL_S * NS)
        self._publish(topic, _encoder.encode(self._projection.snapshot(topic, now.wall_ns)))

    async def _sleep(self, now_ns: int) -> None:
        due = [self._not_before_ns[t] for t in self._dirty if t in self._not_before_ns]
        expiry_ns = self._projection.next_expiry()
        if expiry_ns is not None:
            due.append(expiry_ns)
        timeout_s = max(0.0, (min(due) - now_ns) / NS) if due else None
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return


def last_words_before(root: Path, record: str) -> Iterator[Entry]:
    """How the procedure of the record before this one ended, where it was one. What is damaged there is passed over:
    to say so is `verify`'s part, and it must not keep the room from being shown."""
    before = [other for other in records(root) if other < record]
    for octets in tail(root, before[-1], LAST_WORDS_BYTES) if before else []:
        if any(mark in octets for mark in _LAST_WORDS):
            with contextlib.suppress(msgspec.MsgspecError):
                yield _decoder.decode(octets)


def _before(one: Cursor, other: Cursor) -> bool:
    return (one.record, one.seq) < (other.record, other.seq)


def _age_ns(entry: Entry, now: Stamp) -> int:
    wall_ns = now.wall_ns - parse_rfc3339(entry.received)
    return max(0, wall_ns, now.mono_ns - entry.mono_ns)
