"""A room with some records, sealed a day apart, signed; and retention over it. For the tests of retention."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from esi_room.clock import ManualClock, Synchronisation
from esi_room.events import CarmImage, ClinicalNote, Event, OperatorCommand
from esi_room.record.amendments import Amendments
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.retention import Policy, Waits
from esi_room.record.verify_room import verify_room
from esi_room.room.retention import Retention

DAY_S = 86_400.0
START_NS = 1_800_000_000 * 10**9


def image(digest: str, uid: str = "1.2.3", taken_in: str | None = None) -> CarmImage:
    return CarmImage(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.12.1", sop_instance_uid=uid, study_uid="1.2", series_uid="1.2.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1", sha256=digest, size_bytes=1000, rows=2, columns=2, frames=1,
        acquired=None, dose={}, peer="OEC_9900@127.0.0.1", duplicate_of=None, taken_in=taken_in,
    )  # fmt: skip


class Builder:
    """Puts things into a room's open record; the clock is turned by hand."""

    def __init__(self, journal: Journal, clock: ManualClock) -> None:
        self.journal, self.clock, self.root = journal, clock, journal.root
        self.signing = Checkpoints(journal.root, Disk())
        self.signing.begin()
        self._images = 0

    async def say(self, data: object, source: str = "room") -> None:
        self.clock.advance(1)
        await self.journal.commit(Event(source=source, data=data, received=self.clock.now()))  # type: ignore[arg-type]

    async def take_image(self, uid: str | None = None, taken_in: str | None = None) -> str:
        """An image of 1000 octets."""
        self._images += 1
        octets = self._images.to_bytes(4, "big") * 250
        digest = hashlib.sha256(octets).hexdigest()
        frames = self.journal.directory / "frames"
        frames.mkdir(mode=0o700, parents=True, exist_ok=True)
        (frames / f"{digest}.dcm").write_bytes(octets)
        await self.say(image(digest, uid or f"1.2.3.{self._images}", taken_in), "carm")
        return digest

    async def amend(self, record: str, text: str) -> None:
        asked = OperatorCommand(id=text, name="amend", actor="a", client="c")
        events = (
            Event(source="room", data=d, received=self.clock.now()) for d in (asked, ClinicalNote(text=text, actor="a"))
        )
        made = Amendments(self.root, Disk()).add(record, *events)
        await self.say(made.announcement)
        self.signing.sign_amendment(made.announcement, self.clock.now().wall_ns)

    async def seal(self, kind: str = "procedure", days: float = 1.0) -> str:
        """The next record is open, `days` later; its id."""
        record = await self.journal.switch(kind, "it goes on")  # type: ignore[arg-type]
        self.clock.advance(days * DAY_S)
        self.sign()
        return record

    def sign(self) -> None:
        self.signing.sign_up_to(self.journal.committed, self.clock.now().wall_ns)


@asynccontextmanager
async def room(root: Path, clock: ManualClock, disk: Disk | None = None) -> AsyncIterator[Builder]:
    async with Journal.open(root, clock, Identity(room="esi-1"), disk=disk) as journal:
        await journal.settled()
        yield Builder(journal, clock)


async def cases(builder: Builder, count: int, images: int = 2) -> list[str]:
    """So many procedures with images, each with wire bytes and a patient, a day apart; behind them a standby record."""
    made = []
    for _ in range(count):
        made.append(await builder.seal("procedure", 0.5))
        builder.journal.wire("pump-1").received(builder.clock.now(), b"\x0200I\x03")
        for _ in range(images):
            await builder.take_image()
        await builder.say(ClinicalNote(text="a note", actor="a"))
        await builder.seal("standby", 0.5)
    return made


class Kept:
    """Retention over a room, and what it said."""

    def __init__(
        self,
        builder: Builder,
        policy: Policy,
        waits: Waits = lambda _record, _what: None,
        disk: Disk | None = None,
        *,
        synchronised: bool | None = True,
    ) -> None:
        self.problems: list[str | None] = []
        self.it = Retention(
            builder.journal,
            builder.clock,
            policy,
            waits,
            quiet=asyncio.Lock(),
            tell=self.problems.append,
            disk=disk,
            synchronised=lambda: Synchronisation(synchronised, None),
        )

    async def look(self) -> None:
        await self.it.resume()
        await self.it.look()


def files(root: Path, record: str) -> set[str]:
    """Of a record, as paths below it."""
    folder = root / "records" / record
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


def problems(root: Path) -> list[str]:
    """What `verify` finds in the room."""
    return [str(problem) for report in verify_room(root) for problem in report.problems]


class Died(BaseException):
    """The process ended here: nothing after it was done."""


class DyingDisk(Disk):
    """Its n-th call is the last."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Died

    def write_file(self, path: Path, octets: bytes, *, owner: tuple[int, int] | None = None) -> None:
        self._count()
        super().write_file(path, octets, owner=owner)

    def sync_directory(self, path: Path) -> None:
        self._count()
        super().sync_directory(path)

    def unlink(self, path: Path) -> None:
        self._count()
        super().unlink(path)

    def erase_file(self, path: Path) -> None:
        self._count()
        super().erase_file(path)

    def remove_directory(self, path: Path) -> None:
        self._count()
        super().remove_directory(path)


class StubbornDisk(Disk):
    """Lets go of nothing of one record."""

    def __init__(self, record: str) -> None:
        self.stubborn, self.tries = record, 0

    def unlink(self, path: Path) -> None:
        if self.stubborn and self.stubborn in str(path):
            self.tries += 1
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        super().unlink(path)
