"""What a replay publishes, in its order, each with its moment: from the record alone.

Rules:
- The lines go out as they stand on disk. Each line comes before the states that include it.
- A replay that begins in the middle knows what stands before: its first messages are the states of that moment.
- `image/last` shows each object of the case when its entry comes. The room showed it a little later, and skipped those
  that were overtaken.
- `status` speaks of the replay: it is online while this runs, as the software and configuration of then.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.audit.entries import Numbered, entries
from esi_room.audit.replay.axis import Axis, Moment
from esi_room.audit.replay.span import Place
from esi_room.audit.replay.states import INTERVAL_NS, Message, States
from esi_room.errors import CommandRefused
from esi_room.events import CarmImage, Entry, RecordOpened
from esi_room.outputs import topics as t
from esi_room.outputs.feed import last_words_before
from esi_room.outputs.messages import Status
from esi_room.record.verify_lines import is_regular

RECORDS = "records"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_encoder = msgspec.json.Encoder()


class Picture(NamedTuple):
    """What was made of an object: a JPEG, or the reason why there is none."""

    jpeg: bytes | None
    problem: str | None


Pictures = Callable[[Path], Awaitable[Picture]]
"""The picture of the object in this file."""


class Script:
    """Of the record in a directory, from one place to another."""

    def __init__(
        self, record: Path, *, begin: Place | None = None, end: Place | None = None, pictures: Pictures | None = None
    ) -> None:
        self._record, self._begin, self._end, self._pictures = record, begin, end, pictures
        self._axis, self._states = Axis(), States()
        self._last_shown: str | None = None  # of what stands before the beginning

    async def messages(self) -> AsyncIterator[Message]:
        """All of them. CommandRefused where the record does not reach the place that it is to begin at."""
        opened, _ = opening(self._record)
        if self._record.parent.name == RECORDS:
            self._states.recall(last_words_before(self._record.parent.parent, opened.record))
        lines = self._lines()
        first = next(lines, None)
        if first is None:
            raise CommandRefused(f"{self._record.name} has nothing between these two places")
        line, moment = first
        yield self._status(moment.at_ns, opened.received)
        yield Message(moment.at_ns, t.IMAGE, b"", retain=True)
        if line.entry.seq:
            async for message in self._before(moment):
                yield message
        for message in self._entry(line, moment):
            yield message
        async for message in self._picture(_shown(line.entry)):
            yield message
        for line, moment in lines:
            for message in self._states.until(moment.at_ns):
                yield message
            for message in self._entry(line, moment):
                yield message
            async for message in self._picture(_shown(line.entry)):
                yield message
        for message in self._states.end():
            yield message
        yield self._status(moment.at_ns + INTERVAL_NS, None)

    def _entry(self, line: Numbered, moment: Moment) -> Iterator[Message]:
        topic = "event/" + line.entry.type.replace(".", "/")
        yield Message(moment.at_ns, topic, line.octets, retain=False, entry=True)
        yield from self._states.take(line.entry, moment)

    async def _before(self, moment: Moment) -> AsyncIterator[Message]:
        """How things stood when the first line came."""
        for message in self._states.begin(moment):
            yield message
        async for message in self._picture(self._last_shown):
            yield message

    async def _picture(self, sha256: str | None) -> AsyncIterator[Message]:
        if sha256 is None or self._pictures is None:
            return
        path = self._record / "frames" / f"{sha256}.dcm"
        outside = not is_regular(path)  # only in a record that does not hold
        picture = Picture(None, "its file is not there") if outside else await self._pictures(path)
        for message in self._states.picture(sha256, picture.jpeg, picture.problem or "no picture can be made of it"):
            yield message

    def _lines(self) -> Iterator[tuple[Numbered, Moment]]:
        """Those between the two places; what stands before is taken in."""
        begun = self._begin is None
        for line in entries(self._record):
            if self._end is not None and self._end.reached(line.entry):
                return
            moment = self._axis.place(line.entry)
            begun = begun or (self._begin is not None and self._begin.reached(line.entry))
            if begun:
                yield line, moment
            else:
                self._states.skip(line.entry, moment)
                self._last_shown = _shown(line.entry) or self._last_shown

    def _status(self, at_ns: int, since: str | None) -> Message:
        opened, said = opening(self._record)
        status = Status(
            status="offline" if since is None else "online",
            software=said.software,
            configuration_sha256=said.configuration_sha256,
            since=since,
            record=None if since is None else opened.record,
            problem="the replay ended" if since is None else None,
        )
        return Message(at_ns, t.STATUS, _encoder.encode(status), retain=True)


def opening(record: Path) -> tuple[Entry, RecordOpened]:
    """The record's first entry, which says whose it is. CommandRefused where it does not."""
    first = next(entries(record), None)
    if first is not None and first.entry.type == RecordOpened.TYPE:
        with suppress(ValueError):
            said = msgspec.json.decode(first.entry.data, type=RecordOpened)
            if t.LEVEL.fullmatch(said.room):
                return first.entry, said
    raise CommandRefused(f"{record}: its first line is no record.opened, so it cannot be replayed")


def _shown(entry: Entry) -> str | None:
    """The object that `image/last` shows from this entry on."""
    if entry.type != CarmImage.TYPE:
        return None
    try:
        image = msgspec.json.decode(entry.data, type=CarmImage)
    except ValueError:  # msgspec's own errors are such, too
        return None
    own = image.rows is not None and image.duplicate_of is None and image.taken_in is None
    return image.sha256 if own and _SHA256.fullmatch(image.sha256) else None
