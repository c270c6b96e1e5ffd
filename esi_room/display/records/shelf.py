"""The records of a room, for pages that show them: the list, the pages, the frames. It knows no HTTP.

Rules:
- Nothing that takes long is done in the event loop: verifying, making a page and decoding have processes of their own.
- One page of a record is made at a time; whoever asks meanwhile gets that one. When nobody waits any more it is
  stopped.
- What was made is kept for as long as no file of the record has changed, up to a bound.
- "Verified" is said of a record only as it lay there when it was verified, and with the time of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import structlog

from esi_room.audit.export.page.pictures import SIDE_PX, small
from esi_room.carm.picture.previewer import Previewer
from esi_room.clock import NS, Clock, SystemClock
from esi_room.display.records.summary import Stat, Summary, stat, summary
from esi_room.display.records.work import CannotShow, made, verified
from esi_room.record.reader import JOURNAL, directory, journal_path
from esi_room.record.removed import removal, there

PAGES_BYTES = 96 << 20  # kept: some fifty cases
FRAMES_BYTES = 64 << 20  # kept: some five hundred frames
AT_ONCE = 2  # pages that are made: a core each
AGAIN_S = 60.0  # between two goes at verifying, where the first one did not reach everything
FEW = 3  # records verified one by one; with more of them the whole room is gone through once

log = structlog.get_logger()
V = TypeVar("V")


class Verdict(NamedTuple):
    """`print_`: of the files that were verified, at `at_ns`. `problem`: the first thing wrong."""

    print_: str
    problem: str | None
    at_ns: int


class Row(NamedTuple):
    """A record in the list; `verdict` None: it is not known how it lies there now."""

    summary: Summary
    verdict: Verdict | None


class Page(NamedTuple):
    """`pictures`: by SHA-256, the object and how large it may be shown."""

    print_: str
    html: bytes
    css: str
    pictures: dict[str, tuple[str, int]]


class _Kept(Generic[V]):
    """What was used last, of at most so many octets."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._found: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        if key not in self._found:
            return None
        self._found.move_to_end(key)
        return self._found[key][0]

    def put(self, key: Hashable, value: V, size_bytes: int) -> None:
        _, before = self._found.pop(key, (None, 0))
        self._found[key] = (value, size_bytes)
        self._bytes += size_bytes - before
        while self._bytes > self._most_bytes and len(self._found) > 1:
            _, (_, gone) = self._found.popitem(last=False)
            self._bytes -= gone


class _Making:
    """A page that is being made, and how many wait for it."""

    def __init__(self, task: asyncio.Task[Page]) -> None:
        self.task, self.waiting = task, 0


class Shelf:
    """Of one data directory."""

    def __init__(self, data: Path, clock: Clock | None = None) -> None:
        self._data, self._clock = data, clock or SystemClock()
        self._summaries: dict[str, tuple[Stat | None, Summary]] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._pages, self._frames = _Kept[Page](PAGES_BYTES), _Kept[bytes](FRAMES_BYTES)
        self._making: dict[tuple[str, bool], _Making] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._decoders = {True: Previewer(lambda _: None), False: Previewer(lambda _: None)}
        self._verifying: asyncio.Task[None] | None = None
        self._not_before_ns = 0  # of this boot's monotonic clock

    async def close(self) -> None:
        """Its processes end."""
        tasks: list[asyncio.Task[Any]] = [each.task for each in self._making.values()]
        tasks += [self._verifying] if self._verifying is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for decoder in self._decoders.values():
            await decoder.end()

    # --- the list ---------------------------------------------------------------------------------------------

    async def rows(self) -> list[Row]:
        """Newest first. What is not verified as it lies there now will be, from now on."""
        summaries, prints = await asyncio.to_thread(self._look)
        due = [one.record for one in summaries if one.sealed and not self._is_known(one.record, prints[one.record])]
        idle = self._verifying is None or self._verifying.done()
        if due and idle and self._clock.now().mono_ns >= self._not_before_ns:
            self._verifying = asyncio.create_task(self._verify(due, prints))
        return [Row(one, self._verdict(one.record, prints[one.record])) for one in reversed(summaries)]

    def lacks(self, record: str) -> str | None:
        """Why there is no such record; None: there is."""
        if journal_path(self._data, record).is_file() and record in self._records():
            return None
        gone = removal(self._data, record)
        return "There is no record of this name." if gone is None else f"This record {gone.words}"

    def _records(self) -> list[str]:
        """Those that were not removed; no link is followed."""
        return [each for each in there(self._data) if not directory(self._data, each).is_symlink()]

    def _look(self) -> tuple[list[Summary], dict[str, str]]:
        found = [self._summary(record) for record in self._records()]
        self._summaries = {one.record: self._summaries[one.record] for one in found}
        return found, self._prints([one.record for one in found])

    def _summary(self, record: str) -> Summary:
        now = stat(journal_path(self._data, record))
        before = self._summaries.get(record)
        if before is None or before[0] != now:
            before = self._summaries[record] = (now, summary(self._data, record))
        return before[1]

    def _prints(self, found: list[str]) -> dict[str, str]:
        """Of each record's files; and of the journal before it, on which its first line rests."""
        prints, before = dict[str, str](), None
        for record in found:
            prints[record] = _print(directory(self._data, record), before)
            before = stat(journal_path(self._data, record))
        return prints

    def _is_known(self, record: str, print_: str) -> bool:
        return self._verdict(record, print_) is not None

    def _verdict(self, record: str, print_: str) -> Verdict | None:
        found = self._verdicts.get(record)
        return found if found is not None and found.print_ == print_ else None

    async def _verify(self, due: list[str], prints: dict[str, str]) -> None:
        try:
            for record in due if len(due) <= FEW else [None]:
                async with contextlib.aclosing(verified(self._data, record)) as reports:
                    async for one in reports:
                        if one.record in prints:
                            now_ns = self._clock.now().wall_ns
                            self._verdicts[one.record] = Verdict(prints[one.record], one.problem, now_ns)
        except (OSError, CannotShow) as error:
            log.warning("records_not_verified", reason=str(error))
        left = [record for record in due if not self._is_known(record, prints[record])]
        if left:
            self._not_before_ns = self._clock.now().mono_ns + round(AGAIN_S * NS)
            log.warning("records_not_verified", records=left[:FEW], more=max(0, len(left) - FEW))

    # --- a page -----------------------------------------------------------------------------------------------

    async def page(self, record: str, *, identity: bool) -> Page:
        """As the record lies there now. CannotShow."""
        print_ = await asyncio.to_thread(self._print_of, record)
        kept = self._pages.get((record, identity))
        if kept is not None and kept.print_ == print_:
            return kept
        key = (record, identity)
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = _Making(asyncio.create_task(self._make(record, print_, identity=identity)))
        making.waiting += 1
        try:
            return await asyncio.shield(making.task)
        finally:
            making.waiting -= 1
            if making.waiting == 0:
                making.task.cancel()
                if self._making.get(key) is making:
                    del self._making[key]

    def _print_of(self, record: str) -> str:
        before = [other for other in self._records() if other < record]
        return _print(directory(self._data, record), stat(journal_path(self._data, before[-1])) if before else None)

    async def _make(self, record: str, print_: str, *, identity: bool) -> Page:
        async with self._slots:
            head, html = await made(self._data, record, identity=identity)
        self._verdicts[record] = Verdict(print_, head.broken, self._clock.now().wall_ns)
        page = Page(print_, html, head.css, head.pictures)
        self._pages.put((record, identity), page, len(html))
        return page

    # --- its frames -------------------------------------------------------------------------------------------

    async def frame(self, record: str, sha256: str, frame: int | None, *, identity: bool, thumb: bool) -> bytes:
        """A JPEG of an image that the page of `record` may show. CannotShow."""
        page = self._pages.get((record, identity)) or await self.page(record, identity=identity)
        if sha256 not in page.pictures:
            raise CannotShow("this image may not be shown, or is not of this record")
        path, allowed_px = page.pictures[sha256]
        side_px = min(allowed_px, SIDE_PX) if thumb else allowed_px
        key = (sha256, frame, side_px)
        jpeg = self._frames.get(key)
        if jpeg is None:
            shown = await self._decoders[thumb].picture(Path(path), frame)
            if shown.jpeg is None:
                raise CannotShow(shown.reason or "it cannot be decoded")
            jpeg = await asyncio.to_thread(small, shown.jpeg, side_px)
            self._frames.put(key, jpeg, len(jpeg))
        return jpeg


def _print(record: Path, before: Stat | None) -> str:
    """Of all files of a record: sizes, times, inodes. One that was written to, or put in another's place, shows."""
    digest = hashlib.sha256(repr(before).encode())
    for path, _, names in sorted(os.walk(record)):
        for name in sorted(names):
            file = Path(path) / name
            digest.update(f"{file.relative_to(record)} {stat(file)}\n".encode(errors="surrogateescape"))
    digest.update(str(stat(record / JOURNAL)).encode())
    return digest.hexdigest()
