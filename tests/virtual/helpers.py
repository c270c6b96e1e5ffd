"""The daemon's helper processes, in the daemon's own process: each takes and gives the octets of the real one's pipe.

Of the listener everything is its own code but the association: access, presentation contexts, the object's file and
header, worklist, MPPS, storage commitment. Its handlers block a thread until the daemon has answered; here there is no
thread, so each is run up to its question and, once that is answered, again (`Asker`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec

from esi_room.carm import wire
from esi_room.carm.caller.entity import RefusedError, UnavailableError
from esi_room.carm.caller.storing import judge
from esi_room.carm.listener import commitment, steps
from esi_room.carm.listener.access import Access, Caller
from esi_room.carm.listener.association import Arrival
from esi_room.carm.listener.commands import StoreRequest
from esi_room.carm.listener.contexts import supported
from esi_room.carm.listener.incoming import Incoming
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.storage import Storage
from esi_room.carm.listener.worklist import Worklist
from esi_room.carm.passing.transaction import ALL_COMMITTED, SOME_FAILED, written
from esi_room.clock import SystemClock
from virtual.dicom import Association, Network, RefusedAssociation

FLUSH_S = 1.0  # the real listener looks ten times as often what is due to be told

T = TypeVar("T")
_decoder = cache(msgspec.json.Decoder)


class Helper:
    """The daemon's end of one, in the place of `esi_room.carm.child.Child`."""

    pid = 1

    def __init__(self) -> None:
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()

    def told(self, message: Any) -> None:
        """The daemon says this."""
        raise NotImplementedError

    def tell(self, message: wire.Message) -> None:
        """Say this to the daemon."""
        self._outbox.put_nowait(_octets(message))

    def ends(self) -> None:
        """The process ends."""
        self._outbox.put_nowait(None)

    def send(self, message: wire.Message) -> None:
        self.told(_decoder(type(message)).decode(_octets(message)))

    async def read(self, kind: Any) -> Any:
        octets = await self._outbox.get()
        if octets is None:
            raise EOFError
        return _decoder(kind).decode(octets)

    async def end(self) -> int:
        return 0

    async def ended(self, patience_s: float) -> int | None:
        return 0


class Blind(Helper):
    """The previewer: it makes no pictures."""

    def told(self, message: wire.Show) -> None:
        self.tell(wire.Shown(jpeg=None, reason="a virtual room makes no pictures"))


class Reporter(Helper):
    """The caller, as far as somebody is there to be called: it reports storage commitment to the C-arm."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def told(self, message: Any) -> None:
        if isinstance(message, wire.Request):
            self.tell(self._done(message))

    def _done(self, request: wire.Request) -> wire.Done:
        address = None if request.to is None else (request.to.host, request.to.port)
        report = self._network.at(address)
        if report is None or not isinstance(request, wire.ReportCommitment):
            return wire.Done(id=request.id, outcome="unavailable", comment="nobody there")
        event = SimpleNamespace(
            event_type=SOME_FAILED if request.failed else ALL_COMMITTED,
            event_information=written(request.transaction_uid, request.committed, request.failed),
        )
        status, _ = report(event)
        try:
            judge(status)
        except (UnavailableError, RefusedError) as error:
            outcome = "unavailable" if isinstance(error, UnavailableError) else "refused"
            return wire.Done(id=request.id, outcome=outcome, status=status, comment=str(error))
        return wire.Done(id=request.id, outcome="done", status=status)


class _Question(BaseException):
    """What a handler wants to know of the daemon. Not an Exception: handlers answer their peers for those."""

    def __init__(self, asking: wire.Asking) -> None:
        super().__init__()
        self.asking = asking


class Asker:
    """Given to the listener's handlers as their way to ask the daemon."""

    def __init__(self, ask: Callable[[wire.Asking], Awaitable[wire.Answer]]) -> None:
        self._ask = ask
        self._answer: wire.Answer | None = None

    def __call__(self, asking: wire.Asking) -> wire.Answer:
        if self._answer is None:
            raise _Question(asking)
        answer, self._answer = self._answer, None
        return answer

    async def through(self, handle: Callable[[], T]) -> T:
        """What `handle` returns, which may ask once; asking is all that it does by then."""
        try:
            return handle()
        except _Question as question:
            self._answer = None
            asking = question.asking
        answer = await self._ask(asking)
        self._answer = answer
        return handle()


class OnceReadStorage(Storage):
    """Reads each object once, though it is asked twice: of a dose report that is most of the work."""

    _last: tuple[object, wire.Received] | None = None

    def _read(self, peer: str, request: StoreRequest, syntax: str, received: Incoming) -> wire.Received:
        if self._last is None or self._last[0] is not received:
            self._last = received, super()._read(peer, request, syntax, received)
        return self._last[1]


class Listener(Helper):
    """The DICOM listener."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network, self._clock = network, SystemClock()
        self._asker = Asker(self._ask)
        self._knocks = Knocks(self._clock, lambda said, at: self.tell(wire.Knocked(association=said, at=at)))
        self._worklist = Worklist(self._knocks, self._clock)
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[wire.Answer]] = {}
        self._established: list[Association] = []
        self._flushing: asyncio.Task[None] | None = None

    def told(self, message: Any) -> None:
        match message:
            case wire.Configure():
                self._begin(message)
            case wire.Offer():
                self._worklist.offer(message)
            case wire.Answer():
                waiting = self._answers.get(message.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case wire.Stop():
                self._knocks.flush(everything=True)
                self.ends()

    async def end(self) -> int:
        self._network.forget(self)
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.wait([self._flushing])
        return 0

    def _begin(self, configure: wire.Configure) -> None:
        settings = configure.settings
        self._access = Access(settings, self._clock)
        # Where the room's frames lie is not said to it (`Into`): the daemon links, as it does when it has to.
        parts = settings.limits, self._clock, self._knocks, self._asker
        self._storage = OnceReadStorage(Path(configure.incoming), *parts)
        services = (
            self._worklist.service(),
            steps.service(self._asker, self._clock, self._knocks),
            commitment.service(self._asker, self._clock),
        )
        self._handlers = dict(binding for service in services for binding in service.handlers)
        beside = [context for service in services for context in service.contexts]
        self._contexts = [*supported(settings.private_classes), *beside]
        self._flushing = asyncio.create_task(self._flush())
        self.tell(wire.Listening(plain=self._network.listen(settings.listen or ("127.0.0.1", 0), self)))

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._knocks.flush()

    async def _ask(self, asking: wire.Asking) -> wire.Answer:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self.tell(msgspec.structs.replace(asking, id=number))
            return await self._answers[number]
        finally:
            del self._answers[number]

    # --- what a peer does ---------------------------------------------------------------------------------

    def associate(self, association: Association) -> None:
        """A peer asks for an association. RefusedAssociation."""
        called = association.acceptor.ae_title
        caller = Caller(association.requestor.ae_title, called, association.address, False)
        wants = SimpleNamespace(presentation_context_definition_list=association.proposed)
        rejection = self._access.refuse(caller, wants, [each.peer for each in self._established])
        if rejection is not None:
            said = {"wants": rejection.wants, "learned": rejection.learned}
            self._knocks.say("refused", caller.peer, called, rejection.reason, **said)
            raise RefusedAssociation
        association.negotiate(self._contexts)
        self._established.append(association)

    def ended(self, association: Association) -> None:
        """It is released, or aborted."""
        if association in self._established:
            self._established.remove(association)

    def aborted(self, association: Association, reason: str) -> None:
        """The peer breaks off."""
        self._knocks.say("aborted", association.peer, association.acceptor.ae_title, reason)

    async def store(self, association: Association, request: StoreRequest, octets: bytes) -> int:
        """C-STORE: the status."""
        context = association.context(request.sop_class_uid)
        incoming = self._storage.begin(context, request)
        try:
            incoming.write(octets)
            arrived = Arrival(request, context, incoming)
            return await self._asker.through(lambda: self._storage.store(association, arrived))
        finally:
            incoming.discard()

    async def handled(self, kind: Any, event: Any) -> Any:
        """What the listener's handler of pynetdicom's event `kind` returns."""
        return await self._asker.through(lambda: self._handlers[kind](event))


def _octets(message: wire.Message) -> bytes:
    return msgspec.json.encode(message)
