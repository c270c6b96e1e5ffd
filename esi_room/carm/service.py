"""The C-arm side of the daemon: keeps the listener's process alive and answers it.

Rules of this file:
- The listener is a process of its own: a run of 50 MB/s must not delay a heartbeat. It holds nothing: what it has
  acknowledged is in the record, what it has not it may lose.
- It ends with the daemon, and the daemon starts it again when it dies, with growing patience. Both are said
  (`device.state`, source `carm`): once when it is lost, once when it listens again.
- Ending in order: no new peers, what is under way is finished within the grace time, then the record may close.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from esi_room.carm.cases import Cases
from esi_room.carm.child import Answering, Child
from esi_room.carm.dose.desk import DoseDesk
from esi_room.carm.index import Index
from esi_room.carm.keeper import SOURCE, Keeper
from esi_room.carm.passing.dispatch import Dispatch
from esi_room.carm.patients import Patients
from esi_room.carm.picture.previewer import Preview, Previewer
from esi_room.carm.settings import CarmSettings
from esi_room.carm.steps import Steps
from esi_room.carm.time_axis.frames import Frames
from esi_room.carm.time_axis.placing import Placer
from esi_room.carm.wire import (
    Answer,
    Asking,
    CommitmentAsked,
    CommitmentReported,
    Configure,
    FromListener,
    Into,
    Knocked,
    Listening,
    Offer,
    Received,
    StepChanged,
    StepCreated,
    Stop,
    Unable,
)
from esi_room.carm.worklist.orders import OrderBook
from esi_room.carm.worklist.sources import OrderSources
from esi_room.clock import Clock, Stamp
from esi_room.errors import RecordError
from esi_room.events import CarmCommitment, CarmImage, CarmMpps, DeviceState, Event, Payload
from esi_room.record.journal import Journal
from esi_room.record.reader import directory
from esi_room.record.scan import Listener, read_back

ENDING = "the room is ending"
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
FIRST_PATIENCE_S, LAST_PATIENCE_S = 0.2, 10.0
# Beyond the listener's own grace time, for its process to end.
END_S = 2.0

log = structlog.get_logger()


class CarmService:
    """The C-arm's listener and what follows from it. `run` it in a task; the journal must outlive it."""

    def __init__(
        self,
        settings: CarmSettings,
        journal: Journal,
        clock: Clock,
        *,
        on_preview: Callable[[Preview], None],
        cases: Cases | None = None,
    ) -> None:
        self.address: tuple[str, int] | None = None
        """Where peers can connect; None while nobody can."""
        self.tls_address: tuple[str, int] | None = None
        """Where they can with TLS."""
        self._settings, self._journal, self._clock = settings, journal, clock
        self._incoming = journal.root / "incoming"
        self._index = Index()
        self._placer = Placer(journal.root)
        self._dose = DoseDesk(journal, clock)
        self._previewer = Previewer(on_preview)
        self.frames = Frames(journal.root, self._previewer)
        """Which image was on at a moment."""
        self.orders = OrderBook(journal, clock, self._offer)
        """What is scheduled; takes the staff's `order` and `withdraw_order`."""
        self.dispatch = Dispatch(settings, journal, clock)
        """What the room calls by itself."""
        self._order_sources = OrderSources(settings, self.orders, journal, clock, self.dispatch.outgoing.ask)
        self._patients = Patients(journal, clock, cases, self.orders)
        beside = self._placer, self._dose, self._patients
        timeout_s = settings.limits.answer_timeout_s
        self._keeper = Keeper(journal, clock, self._index, *beside, timeout_s=timeout_s)
        self._steps = Steps(
            journal,
            lambda uid: bool(self._index.find(uid)),
            self._patients,
            cases=cases,
            orders=self.orders,
            on_step=self._dose.on_step,
        )
        self._answers: dict[type[Asking], Callable[[Any], Awaitable[Answer]]] = {
            Received: self._keep,
            StepCreated: self._begin,
            StepChanged: self._steps.change,
            CommitmentAsked: self.dispatch.asked,
            CommitmentReported: self.dispatch.reported,
        }
        self._answering = Answering(self._answer)
        self._child: Child | None = None
        self._lost: str | None = None
        self._state: DeviceState | None = None
        journal.at_opening(self._say_where)

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.to_thread(self._read_back)
        await self._dose.begin()
        await self._patients.resume()
        await self._steps.resume()
        async with asyncio.TaskGroup() as group:
            beside = (
                group.create_task(self._previewer.run()),
                group.create_task(self.dispatch.run(self._index)),
                group.create_task(self.orders.run()),
                group.create_task(self._order_sources.run()),
            )
            self.preview_again()
            try:
                await self._keep_listening()
            finally:
                await self._steps.stop()
                for task in beside:
                    task.cancel()

    def _read_back(self) -> None:
        """What each part of this side must know after a restart, from the journals. Before anything is received."""
        listeners: dict[type[Payload], tuple[Listener, ...]] = {
            CarmImage: (self._index.remember, self._placer.remember_image),
            CarmMpps: (self._steps.remember, self._placer.remember_step),
            CarmCommitment: (self.dispatch.remember,),
        }
        read_back(self._journal.root, listeners)
        self._placer.read_cases(self._journal.record)

    def preview_again(self) -> None:
        """Show the open record's last image again: a broker lost what it retained, or the daemon started again."""
        if self._index.last is not None:
            uid, place = self._index.last
            if place.record == self._journal.record:
                self._previewer.show(place.sha256, uid, self._file(place.record, place.sha256))

    @property
    def listener_pid(self) -> int | None:
        """Process id of the listener."""
        return None if self._child is None else self._child.pid

    async def _keep_listening(self) -> None:
        patience_s = FIRST_PATIENCE_S
        while True:
            reason = await self._one_life()
            if self.address or self.tls_address:
                patience_s = FIRST_PATIENCE_S
            self.address = self.tls_address = None
            self._say_lost(reason)
            await asyncio.sleep(patience_s)
            patience_s = min(2 * patience_s, LAST_PATIENCE_S)

    async def _one_life(self) -> str:
        """Of the listener's process: from its start to its end, and why it ended."""
        try:
            await asyncio.to_thread(_empty, self._incoming)
            self._child = child = await Child.start("esi_room.carm.listener")
        except OSError as error:
            return f"the listener cannot be started: {error.strerror or error}"
        child.send(Configure(settings=self._settings, incoming=str(self._incoming)))
        child.send(self.orders.offer)
        self._say_where()
        listening = asyncio.create_task(self._listen(child), name="carm")
        try:
            return await asyncio.shield(listening)
        except asyncio.CancelledError:
            child.send(Stop())
            await asyncio.wait({listening}, timeout=self._settings.limits.grace_s + END_S)
            self.address = self.tls_address = None
            self._say_lost(ENDING)
            raise
        finally:
            listening.cancel()
            self._child = None
            await child.end()
            await self._answering.finished()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, child: Child) -> str:
        try:
            while True:
                message: FromListener = await child.read(FromListener)
                match message:
                    case Asking():
                        self._answering.start(child, message)
                    case Knocked():
                        self._say(message.association, message.at)
                    case Listening():
                        self.address, self.tls_address = message.plain, message.secure
                        self._say_listening()
                    case Unable():
                        return f"cannot listen on {self._wanted()}: {message.reason}"
        except EOFError:
            code = await child.ended(END_S)
            return f"the listener's process ended ({'it hangs' if code is None else f'code {code}'})"
        except ValueError as error:
            return f"the listener's process talks nonsense: {error}"

    def _offer(self, offer: Offer) -> None:
        if self._child is not None:
            self._child.send(offer)

    # --- what peers wait for --------------------------------------------------------------------------------

    async def _answer(self, question: Asking) -> Answer:
        return await self._answers[type(question)](question)

    async def _keep(self, message: Received) -> Answer:
        try:
            kept = await self._keeper.keep(self._incoming / message.file, message)
        except RecordError as error:
            log.error("image_not_kept", reason=str(error))
            return Answer(id=message.id, status=OUT_OF_RESOURCES, comment=str(error))
        if kept.last:
            image = kept.image
            self._previewer.show(image.sha256, image.sop_instance_uid, self._file(kept.record, image.sha256))
        return Answer(id=message.id, status=SUCCESS)

    async def _begin(self, message: StepCreated) -> Answer:
        """A step that begins is told at once, as a rule: good to know the device's clock from."""
        answer = await self._steps.create(message)
        if answer.status == SUCCESS:
            offset = self._placer.began(message.peer, message.step.started, message.at.wall_ns)
            if offset is not None:
                self._say(offset)
        return answer

    def _say_where(self) -> None:
        """The listener links objects into the open record itself, as long as it knows which that is."""
        if self._child is not None:
            self._child.send(Into(record=self._journal.record, frames=str(self._journal.directory / "frames")))

    def _file(self, record: str, sha256: str) -> Path:
        return directory(self._journal.root, record) / "frames" / f"{sha256}.dcm"

    # --- what is said -------------------------------------------------------------------------------------

    def _wanted(self) -> str:
        tls = self._settings.tls
        return _spelt(self._settings.listen, None if tls is None else tls.listen)

    def _say_listening(self) -> None:
        where = _spelt(self.address, self.tls_address)
        log.info("carm_listening", address=where, ae_title=self._settings.ae_title)
        self._lost = None
        self._say_state(DeviceState(state="connected", reason=f"listening on {where}", port=where))

    def _say_lost(self, reason: str) -> None:
        if self._lost is None:  # one entry an outage, however often the start is tried again
            log.log(logging.INFO if reason == ENDING else logging.ERROR, "carm_lost", reason=reason)
            self._say_state(DeviceState(state="lost", reason=reason))
        self._lost = reason

    def say_again(self) -> None:
        """The listener's and the destinations' states once more: a record just opened begins with how it was."""
        if self._state is not None:
            self._say(self._state)
        self.dispatch.say_again()
        self._order_sources.say_again()

    def _say_state(self, state: DeviceState) -> None:
        self._state = state
        self._say(state)

    def _say(self, payload: Payload, at: Stamp | None = None) -> None:
        try:
            self._journal.append(Event(source=SOURCE, data=payload, received=at or self._clock.now()))
        except RecordError as error:
            log.error("carm_entry_lost", type=payload.TYPE, reason=str(error))


def _empty(incoming: Path) -> None:
    """Nothing that lies in there was ever acknowledged."""
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in incoming.iterdir():
        left.unlink()


def _spelt(plain: tuple[str, int] | None, secure: tuple[str, int] | None) -> str:
    named = [(plain, ""), (secure, " (TLS)")]
    return ", ".join(f"[{at[0]}]:{at[1]}{how}" if ":" in at[0] else f"{at[0]}:{at[1]}{how}" for at, how in named if at)
