"""The order book: which procedures are scheduled in this room, and which of them is the one to come.

Rules of this file:
- Orders come from three origins. What the folder holds and what the hospital answers replaces what came from there
  before; commands place and withdraw one each.
- The same id from two origins: the hospital's counts, then the folder's, then the command's. The hospital's system is
  where patient, accession number and study UID are right for the PACS; a file is written by some system, a command by
  hand. A command may not place or withdraw what another origin holds: it would be undone at the next poll.
- An order is offered until the procedure that began with it is over (the C-arm may ask for its patient when the staff
  have begun already), or EXPIRE_S after its time. One with no time is for today, whichever day it is, until it is
  withdrawn or used.
- The book is kept in `<data>/private/worklist.json`: a restart and an outage of the hospital lose none of it. It is
  the only place of these identities; entries hold the order's id and a salted digest. What a command did is in that
  file before the command's entries are durable, and they are before it is answered.
- An order without a study UID gets one (PS3.5 B.2: 2.25 and a 128 bit number), the same one for the same order of the
  same patient, so that the C-arm's images and steps can be told to belong to it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from esi_room.carm.wire import Offer
from esi_room.carm.worklist.file import Book, Used, load, same, save
from esi_room.clock import NS, Clock, rfc3339
from esi_room.commands import Command, Order, PlaceOrder, WithdrawOrder
from esi_room.errors import CommandRefused, RecordError
from esi_room.events import CarmOrder, Event, OperatorCommand, Payload
from esi_room.record.disk import Disk
from esi_room.record.journal import Journal, Receipt

SOURCE = "worklist"
FILE = "worklist.json"
# A case that was put off is done on the same day, or scheduled anew.
EXPIRE_S = 24 * 3600.0
# Images and steps of a case arrive hours later, a hospital lists a case of yesterday for a day or two.
USED_KEPT_S = 7 * 24 * 3600.0
# A room's day has 30. The whole worklist goes through one message to the listener.
MAX_ORDERS = 500
# See `items.MAX_DATASET_BYTES`.
MAX_DATASET_BYTES = 16 << 10
# For orders that expire while nothing else happens.
TURN_S = 60.0

Origin = Literal["folder", "hospital", "command"]
Chooser = Literal["mpps", "image", "staff"]

log = structlog.get_logger()


class _Attribute(Struct):
    """A data element of DICOM JSON (PS3.18 F.2.2), as far as it is checked here."""

    vr: str


class OrderBook:
    """`on_change` gets what is to be offered from now on. `run` it in a task."""

    def __init__(self, journal: Journal, clock: Clock, on_change: Callable[[Offer], None]) -> None:
        self._journal, self._clock, self._on_change = journal, clock, on_change
        self._path = journal.root / "private" / FILE
        self._disk = Disk()
        self._one_at_a_time = asyncio.Lock()
        self._opened = asyncio.Event()
        self._book = self._kept = load(self._path)
        self._offered: tuple[Order, ...] = self._due()
        journal.at_opening(self._on_opening)

    # --- what others ask ------------------------------------------------------------------------------------

    @property
    def offer(self) -> Offer:
        """What the C-arm is answered."""
        return Offer(orders=self._offered, timezone=self._journal.timezone)

    @property
    def chosen(self) -> Order | None:
        """The order of the procedure under way, or of the next; None while nobody has said."""
        return self._book.chosen

    @property
    def answered(self) -> str | None:
        """When the hospital last answered (RFC 3339)."""
        return self._book.answered

    def find(
        self, order_id: str | None = None, *, accession: str | None = None, study_uid: str | None = None
    ) -> Order | None:
        """The order with this id, else of this study, else with this accession number; one used lately counts.

        A study or an accession number that several orders share names none of them, unless one of them is chosen.
        """
        known = self._book.known()
        for field, wanted in (("id", order_id), ("study_uid", study_uid), ("accession", accession)):
            found = [order for order in known if wanted and getattr(order, field) == wanted]
            if self.chosen in found:
                return self.chosen
            if len(found) == 1 or (found and field == "id"):
                return found[0]
        return None

    def today(self) -> datetime:
        """Now, in the room's time zone."""
        return _utc(self._clock).astimezone(ZoneInfo(self._journal.timezone))

    # --- what changes it ------------------------------------------------------------------------------------

    async def place(self, command: PlaceOrder) -> Receipt:
        """A line for the worklist, or another in its place. CommandRefused, RecordError."""
        async with self._one_at_a_time:
            order = self._complete(command.order, "command")
            before = self._book.merged().get(order.id)
            self._check(order, before)
            others = tuple(each for each in self._book.command if each.id != order.id)
            used = tuple(each for each in self._book.used if not same(each.order, order))
            await self._keep(replace(self._book, command=(*others, order), used=used))
            return await self._write(command, self._said(order, "placed" if before is None else "replaced", "command"))

    async def withdraw(self, command: WithdrawOrder) -> Receipt:
        """The order is no longer offered. CommandRefused, RecordError."""
        async with self._one_at_a_time:
            order = self._book.merged().get(command.order)
            if order is None:
                raise CommandRefused(f"no order {command.order!r} is on the worklist")
            if order.origin != "command":
                raise CommandRefused(f"order {order.id!r} comes from the {order.origin}: withdraw it there")
            others = tuple(each for each in self._book.command if each.id != order.id)
            chosen = self._book.chosen
            forgotten = chosen is not None and same(chosen, order) and not self._book.is_used(order)
            await self._keep(replace(self._book, command=others, chosen=None if forgotten else chosen))
            return await self._write(command, self._said(order, "withdrawn", "command"))

    async def take(self, origin: Literal["folder", "hospital"], orders: Iterable[Order]) -> None:
        """All that the folder holds, or the hospital answers, in the place of what came from there before."""
        async with self._one_at_a_time:
            fresh: dict[str, Order] = {}
            for order in orders:
                if fresh.setdefault(order.id, order) is not order:
                    log.warning("order_id_twice", origin=origin, order=order.id)
            listed = tuple(self._complete(order, origin) for order in fresh.values())[:MAX_ORDERS]
            before = self._book.merged()
            book = self._book
            if origin == "hospital":
                book = replace(book, hospital=listed, answered=rfc3339(self._clock.now().wall_ns))
            elif listed != book.folder:
                book = replace(book, folder=listed)
            await self._keep_anyway(book)
            self._say_changes(before, origin)

    async def choose(self, order: Order, origin: Chooser) -> None:
        """This is the order of the procedure under way, or of the next. The same again says nothing; neither does an
        image of a case that is over: it came late. Staff and C-arm may take up an order a second time."""
        async with self._one_at_a_time:
            book = self._book
            if (book.chosen is not None and same(book.chosen, order)) or (origin == "image" and book.is_used(order)):
                return
            used = tuple(each for each in book.used if not same(each.order, order))
            await self._keep_anyway(self._settled(replace(book, chosen=order, used=used)))
            self._append(self._said(order, "chosen", origin))

    async def run(self) -> None:
        """Until cancelled: what a record's opening and the time make of the book."""
        while True:
            async with self._one_at_a_time:
                await self._keep_anyway(self._settled(self._book))
            try:
                await asyncio.wait_for(self._opened.wait(), TURN_S)
            except TimeoutError:
                continue
            self._opened.clear()

    def _on_opening(self) -> None:
        """A record was opened. It counts at once; `run` makes it durable."""
        self._count(self._settled(self._book))
        self._opened.set()

    def _settled(self, book: Book) -> Book:
        """The book as the open record and the hour have it: a procedure uses the order chosen for it, the standby
        record after it has none."""
        now_ns = self._clock.now().wall_ns
        used = tuple(each for each in book.used if now_ns - each.at_ns < USED_KEPT_S * NS)
        command = tuple(order for order in book.command if not self._expired(order))
        book = replace(book, used=used, command=command)
        if book.chosen is None:
            return book
        if self._journal.kind == "procedure" and not book.is_used(book.chosen):
            return replace(book, used=(*book.used, Used(book.chosen, now_ns)))
        over = book.is_used(book.chosen) or self._expired(book.chosen)
        return replace(book, chosen=None) if over and self._journal.kind == "standby" else book

    # --- inside ---------------------------------------------------------------------------------------------

    def _check(self, order: Order, before: Order | None) -> None:
        if before is not None and before.origin != "command":
            raise CommandRefused(f"order {order.id!r} comes from the {before.origin}: change it there")
        if before is None and len(self._book.command) >= MAX_ORDERS:
            raise CommandRefused(f"{MAX_ORDERS} orders wait already: withdraw some")
        if self._expired(order):
            raise CommandRefused(f"order {order.id!r} is scheduled more than {EXPIRE_S / 3600:.0f} h ago")
        if order.dataset is not None and len(order.dataset.encode()) > MAX_DATASET_BYTES:
            raise CommandRefused(f"dataset: larger than {MAX_DATASET_BYTES >> 10} KiB")
        try:
            msgspec.json.decode(order.dataset or "{}", type=dict[str, _Attribute])
        except msgspec.MsgspecError as error:
            raise CommandRefused(f"dataset: no DICOM JSON (PS3.18 F.2): {error}") from error

    def _complete(self, order: Order, origin: Origin) -> Order:
        study = order.study_uid or f"2.25.{int(self._digest(order.id, order)[:32], 16)}"
        return replace(order, origin=origin, study_uid=study)

    def _digest(self, prefix: str, order: Order) -> str:
        """SHA-256 of who it is; the salt makes it unguessable."""
        who = msgspec.json.encode([self._book.salt, prefix, order.identity])
        return hashlib.sha256(who).hexdigest()

    def _expired(self, order: Order) -> bool:
        if order.scheduled_at is None:
            return False
        try:
            local = datetime.fromisoformat(order.scheduled_at)
        except ValueError:  # 31 February: it never comes, and never goes
            return False
        due = local.replace(tzinfo=ZoneInfo(self._journal.timezone))
        return _utc(self._clock) - due > timedelta(seconds=EXPIRE_S)

    def _due(self) -> tuple[Order, ...]:
        """What is to be offered, the earliest first."""
        book = self._book
        orders = [each for each in book.merged().values() if not book.is_over(each) and not self._expired(each)]
        return tuple(sorted(orders, key=lambda order: (order.scheduled_at or "", order.id))[:MAX_ORDERS])

    async def _keep(self, book: Book) -> None:
        """Make `book` durable, then the one that counts. RecordError where the disk does not take it."""
        if book != self._kept:
            await asyncio.to_thread(save, self._disk, self._path, book)
            self._kept = book
        self._count(book)

    async def _keep_anyway(self, book: Book) -> None:
        """What nobody waits for counts even where the disk does not take it; it comes again after a restart."""
        try:
            await self._keep(book)
        except RecordError as error:
            log.error("worklist_not_kept", reason=str(error))
            self._count(book)

    def _count(self, book: Book) -> None:
        self._book = book
        due = self._due()
        if due != self._offered:
            self._offered = due
            self._on_change(self.offer)

    # --- what is said ---------------------------------------------------------------------------------------

    def _say_changes(self, before: dict[str, Order], origin: Origin) -> None:
        after = self._book.merged()
        for order in after.values():
            if order.id not in before:
                self._append(self._said(order, "placed", origin))
            elif order != before[order.id]:
                self._append(self._said(order, "replaced", origin))
        for order in before.values():
            if order.id not in after:
                self._append(self._said(order, "withdrawn", origin))

    def _said(
        self, order: Order, change: Literal["placed", "replaced", "withdrawn", "chosen"], origin: str
    ) -> CarmOrder:
        return CarmOrder(
            order=order.id,
            change=change,
            origin=origin,
            procedure=order.procedure,
            scheduled_at=order.scheduled_at,
            identity_sha256=self._digest("", order),
        )

    def _append(self, payload: Payload) -> None:
        try:
            self._journal.append(Event(source=SOURCE, data=payload, received=self._clock.now()))
        except RecordError as error:
            log.error("carm_entry_lost", type=payload.TYPE, reason=str(error))

    async def _write(self, command: Command, payload: CarmOrder) -> Receipt:
        """The command and, as the very next entry, what it says: an id with its effect never acts twice."""
        now = self._clock.now()
        asked = OperatorCommand(id=command.id, name=command.NAME, actor=command.actor, client=command.client)
        self._journal.append(Event(source="room", data=asked, received=now))
        return await self._journal.commit(Event(source=SOURCE, data=payload, received=now))


def _utc(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now().wall_ns / NS, UTC)
