"""Where orders come from by themselves: the folder and the hospital's worklist. Runs in the daemon; the caller's
process reads and asks.

Rules of this file:
- What cannot be reached is said once when it is lost and once when it is there again (`device.state`; source `orders`:
  the folder, `worklist`: the hospital's); what it gave last stays in the book, and the entry says from when it is.
- A file or an item that cannot be read is logged once, by its name and what is wrong, and again when that changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog

from esi_room.carm.settings import CarmSettings, Hospital
from esi_room.carm.shapes import Called
from esi_room.carm.wire import AskWorklist, Done, OrdersRead, ReadFolder, Reply, Request
from esi_room.carm.worklist.orders import SOURCE, OrderBook
from esi_room.clock import Clock
from esi_room.errors import RecordError
from esi_room.events import DeviceState, Event
from esi_room.record.journal import Journal

FOLDER_SOURCE = "orders"
# A dropped order is on the C-arm's list before somebody has walked over to it.
FOLDER_POLL_S = 2.0

log = structlog.get_logger()
Ask = Callable[[Request], Awaitable[Reply]]


class _Reached:
    """Whether something can be reached, said when that changes."""

    def __init__(self, source: str, journal: Journal, clock: Clock) -> None:
        self._source, self._journal, self._clock = source, journal, clock
        self._state: DeviceState | None = None
        self._problems: dict[str, str] = {}

    def there(self, what: str) -> None:
        """It answered."""
        if self._state is None or self._state.state != "connected":
            self._change(DeviceState(state="connected", reason=what))

    def lost(self, reason: str) -> None:
        """It did not."""
        if self._state is None or self._state.state != "lost":
            log.warning("orders_lost", source=self._source, reason=reason)
            self._change(DeviceState(state="lost", reason=reason))

    def problems(self, problems: dict[str, str]) -> None:
        """What of its answer was left out."""
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                log.warning("order_unreadable", source=self._source, name=name, problem=problem)
        self._problems = problems

    def _change(self, state: DeviceState) -> None:
        self._state = state
        self.say()

    def say(self) -> None:
        """How it is, once it is known."""
        if self._state is None:
            return
        try:
            self._journal.append(Event(source=self._source, data=self._state, received=self._clock.now()))
        except RecordError as error:
            log.error("carm_entry_lost", type=DeviceState.TYPE, reason=str(error))


class OrderSources:
    """Fills `book` from what the settings name. `ask` has a request done by the caller's process."""

    def __init__(self, settings: CarmSettings, book: OrderBook, journal: Journal, clock: Clock, ask: Ask) -> None:
        self._settings, self._book, self._ask = settings, book, ask
        self._folder = _Reached(FOLDER_SOURCE, journal, clock)
        self._hospital = _Reached(SOURCE, journal, clock)

    async def run(self) -> None:
        """Until cancelled; returns at once where nothing is to be read or asked."""
        async with asyncio.TaskGroup() as group:
            if self._settings.orders_folder is not None:
                group.create_task(self._read_folder(self._settings.orders_folder))
            if self._settings.hospital is not None:
                group.create_task(self._ask_hospital(self._settings.hospital))

    def say_again(self) -> None:
        """Both states once more, for a record just opened."""
        self._folder.say()
        self._hospital.say()

    async def _read_folder(self, path: str) -> None:
        seen = ""
        while True:
            reply = await self._ask(ReadFolder(id=0, to=None, path=path, seen=seen))
            if isinstance(reply, OrdersRead):
                seen = reply.seen
                self._folder.there("the folder of orders can be read")
                await self._take("folder", self._folder, reply)
            else:
                self._folder.lost(f"{_words(reply)}; its orders stay as they were")
            await asyncio.sleep(FOLDER_POLL_S)

    async def _ask_hospital(self, hospital: Hospital) -> None:
        to = Called(hospital.ae_title, hospital.host, hospital.port, hospital.tls)
        while True:
            first_day = f"{self._book.today():%Y%m%d}"
            reply = await self._ask(AskWorklist(id=0, to=to, hospital=hospital, first_day=first_day))
            if isinstance(reply, OrdersRead):
                self._hospital.there("the hospital's worklist answers")
                await self._take("hospital", self._hospital, reply)
            else:
                since = self._book.answered
                kept = f"its answer of {since} stays" if since else "it has never answered"
                self._hospital.lost(f"{_words(reply)}; {kept}")
            await asyncio.sleep(hospital.poll_s)

    async def _take(self, origin: Literal["folder", "hospital"], source: _Reached, reply: OrdersRead) -> None:
        if reply.orders is not None:
            source.problems(reply.problems)
            await self._book.take(origin, reply.orders)


def _words(reply: Reply) -> str:
    return reply.comment if isinstance(reply, Done) else type(reply).__name__
