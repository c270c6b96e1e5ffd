"""Passing on: every object and every performed procedure step to every destination, from the journal itself.

Rules of this file:
- The journal is the queue; each destination has a cursor over it, and a task of its own: a dead destination delays
  only itself, and a restart, a crash or the next record loses nothing.
- The cursor moves when the destination has answered, or when the object was set aside. A crash between the answer
  and the cursor sends the object again: storing the same object twice is harmless (PS3.4 B.2.3).
- Nobody there, or not now: tried again for ever, with growing patience. An outage is one entry at its start and one
  at its end, with the counts (`device.state`, source: the destination's id).
- Refused: tried REFUSED_TRIES times, then set aside, said (`carm.forward`), and the next one goes. What is aside is
  tried again at the next start of the daemon.
- A destination begins with what is received from the moment at which it is configured.
- What came again (`duplicate_of`) is not sent again, unless it first came before the destination was configured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from esi_room.carm.passing import waybill
from esi_room.carm.passing.outgoing import Outgoing
from esi_room.carm.passing.waybill import Aside, Waybill
from esi_room.carm.settings import Destination
from esi_room.carm.shapes import Called
from esi_room.carm.wire import Done, RelayStep, Request, Send
from esi_room.clock import NS, Clock, Stamp
from esi_room.errors import RecordError
from esi_room.events import CarmForward, CarmImage, CarmMpps, DeviceState, Entry, Event, InstanceRef, Payload
from esi_room.record.entry import Cursor, Line
from esi_room.record.follow import follow
from esi_room.record.journal import Journal
from esi_room.record.reader import directory, read

FIRST_PATIENCE_S, LAST_PATIENCE_S = 1.0, 60.0
# A refusal that is really a passing weakness of the destination seldom outlasts this.
REFUSED_TRIES, REFUSED_PAUSE_S = 3, 1.0

_KINDS: dict[str, type[CarmImage | CarmMpps]] = {kind.TYPE: kind for kind in (CarmImage, CarmMpps)}
_MARKS = tuple(f'"type":"{kind}"'.encode() for kind in _KINDS)

log = structlog.get_logger()


def called(destination: Destination) -> Called:
    """How the caller reaches it."""
    return Called(destination.ae_title, destination.host, destination.port, destination.tls)


class Parcel(NamedTuple):
    """An entry whose object or step is to be passed on."""

    place: InstanceRef
    what: CarmImage | CarmMpps


class Courier:
    """One destination. `on_passed` is called when it has an image."""

    def __init__(
        self,
        destination: Destination,
        journal: Journal,
        clock: Clock,
        outgoing: Outgoing,
        on_passed: Callable[[Destination, CarmImage], None],
    ) -> None:
        self.destination, self._journal, self._clock, self._outgoing = destination, journal, clock, outgoing
        self._on_passed = on_passed
        self.waybill: Waybill | None = None
        """How far it is; None until `begin`."""
        self._outage: tuple[Stamp, int] | None = None
        self._state: DeviceState | None = None

    async def begin(self) -> None:
        """Find the cursor; before `run`."""
        await self._patiently(self._load)

    async def run(self) -> None:
        """Until cancelled."""
        await self._try_aside_again()
        async for lines in follow(self._journal, self._way.cursor):
            for line in lines:
                await self._take(line)

    async def pass_again(self, place: InstanceRef) -> bool:
        """Send the object of this entry once more, out of turn; whether the destination has it now."""
        parcel = await asyncio.to_thread(_parcel_at, self._journal.root, place)
        return parcel is not None and await self._pass_on(parcel) is None

    @property
    def _way(self) -> Waybill:
        if self.waybill is None:
            raise RuntimeError("`begin` comes first")
        return self.waybill

    async def _load(self) -> None:
        self.waybill = await asyncio.to_thread(waybill.load, self._journal, self.destination.id)

    async def _move(self, way: Waybill) -> None:
        self.waybill = way
        await self._patiently(self._save)

    async def _save(self) -> None:
        await asyncio.to_thread(waybill.save, self._journal.root, self.destination.id, self._way)

    async def _patiently(self, act: Callable[[], Awaitable[None]]) -> None:
        """Wait for a disk that does not take the waybill; the journal has said that the disk fails."""
        while True:
            try:
                await act()
                break
            except OSError as error:
                log.error("waybill_not_saved", destination=self.destination.id, reason=error.strerror)
                await asyncio.sleep(LAST_PATIENCE_S)

    # --- entry by entry -----------------------------------------------------------------------------------

    async def _take(self, line: Line) -> None:
        parcel = _parcel(line.octets)
        if parcel is None or not self._concerns(parcel.what):
            self.waybill = replace(self._way, cursor=line.after)  # saved with the next object's: it costs a read
            return
        refusal = await self._pass_on(parcel)
        if refusal is None:
            await self._move(replace(self._way, cursor=line.after))
            self._passed(parcel.what)
        else:
            self._say_refused(parcel, refusal)
            await self._move(replace(self._way, cursor=line.after, aside=(*self._way.aside, refusal)))

    async def _try_aside_again(self) -> None:
        for left in self._way.aside:
            parcel = await asyncio.to_thread(_parcel_at, self._journal.root, left)
            if parcel is not None and await self._pass_on(parcel) is not None:
                continue
            await self._move(replace(self._way, aside=tuple(each for each in self._way.aside if each != left)))
            if parcel is not None:
                self._passed(parcel.what)

    def _concerns(self, what: CarmImage | CarmMpps) -> bool:
        if isinstance(what, CarmMpps):
            return self.destination.mpps
        before, since = what.duplicate_of, self._way.since
        again = before is not None and (before.record, before.seq) >= (since.record, since.seq)
        return self.destination.images and not again

    def _passed(self, what: CarmImage | CarmMpps) -> None:
        if isinstance(what, CarmImage):
            self._on_passed(self.destination, what)

    async def _pass_on(self, parcel: Parcel) -> Aside | None:
        """Returns when the destination has it: None; or will not take it: why."""
        request = _request(self._journal.root, self.destination, parcel)
        patience_s, tries = FIRST_PATIENCE_S, 0
        while True:
            reply = await self._outgoing.ask(request)
            if not isinstance(reply, Done) or reply.outcome == "unavailable":
                self._say_lost(getattr(reply, "comment", ""))
                await asyncio.sleep(patience_s)
                patience_s = min(2 * patience_s, LAST_PATIENCE_S)
                continue
            if reply.outcome == "broken":  # says nothing about the destination
                return Aside(parcel.place.record, parcel.place.seq, "file", reply.comment)
            await self._say_connected()
            if reply.outcome == "done":
                return None
            tries += 1
            if tries == REFUSED_TRIES:
                status = "no context" if reply.status is None else f"{reply.status:04X}"
                return Aside(parcel.place.record, parcel.place.seq, status, reply.comment)
            await asyncio.sleep(REFUSED_PAUSE_S)

    # --- what is said -------------------------------------------------------------------------------------

    def say_again(self) -> None:
        """Its state once more: a record just opened says at its beginning how it was."""
        if self._state is not None:
            self._say(self._state)

    def _say_lost(self, reason: str) -> None:
        if self._outage is None:
            log.warning("destination_lost", destination=self.destination.id, reason=reason)
            self._outage = (self._clock.now(), 0)
            self._say_state(DeviceState(state="lost", reason=reason, port=self._where))
        since, tries = self._outage
        self._outage = (since, tries + 1)

    async def _say_connected(self) -> None:
        if self._outage is None and self._state is not None:
            return
        reason = "objects are passed on"
        if self._outage is not None:
            since, tries = self._outage
            away_s = (self._clock.now().mono_ns - since.mono_ns) / NS
            waiting = await asyncio.to_thread(self._waiting)
            reason = f"passing on again: away for {away_s:.0f} s, {tries} tries; {waiting} objects waited"
            log.info("destination_found", destination=self.destination.id, away_s=round(away_s), waited=waiting)
        self._outage = None
        self._say_state(DeviceState(state="connected", reason=reason, port=self._where))

    @property
    def _where(self) -> str:
        return f"{self.destination.ae_title} @ {self.destination.host}:{self.destination.port}"

    def _waiting(self) -> int:
        """Objects between the cursor and the journal's end. Reads the lines between: call it in a thread."""
        count, at, end = 0, self._way.cursor, self._journal.committed
        while lines := read(self._journal.root, at, end):
            at = lines[-1].after
            parcels = (_parcel(line.octets) for line in lines)
            count += sum(parcel is not None and self._concerns(parcel.what) for parcel in parcels)
        return count

    def _say_refused(self, parcel: Parcel, refusal: Aside) -> None:
        log.error("object_set_aside", destination=self.destination.id, seq=refusal.seq, reason=refusal.reason)
        self._say(
            CarmForward(
                destination=self.destination.id,
                sop_instance_uid=parcel.what.sop_instance_uid,
                status=refusal.status,
                reason=refusal.reason,
                fact=parcel.place,
            )
        )

    def _say_state(self, state: DeviceState) -> None:
        self._state = state
        self._say(state)

    def _say(self, payload: Payload) -> None:
        try:
            self._journal.append(Event(source=self.destination.id, data=payload, received=self._clock.now()))
        except RecordError as error:
            log.error("forward_entry_lost", type=payload.TYPE, reason=str(error))


def _parcel(octets: bytes) -> Parcel | None:
    """What is to be passed on of this line. Nearly all lines are heartbeats: they are not parsed; a line that does not
    parse is `verify`'s business."""
    if not any(mark in octets for mark in _MARKS):
        return None
    try:
        entry = msgspec.json.decode(octets, type=Entry)
        what = msgspec.json.decode(entry.data, type=_KINDS[entry.type])
    except (msgspec.MsgspecError, KeyError):
        return None
    return Parcel(InstanceRef(entry.record, entry.seq), what)


def _parcel_at(root: Path, place: Aside | InstanceRef) -> Parcel | None:
    """What the line there says; None where its record is gone."""
    start, end = Cursor(place.record, 0, 0), Cursor(place.record, place.seq + 1, 1 << 62)
    while lines := read(root, start, end):
        for line in lines:
            if line.seq == place.seq:
                return _parcel(line.octets)
        start = lines[-1].after
    return None


def _request(root: Path, destination: Destination, parcel: Parcel) -> Request:
    to, folder, what = called(destination), directory(root, parcel.place.record), parcel.what
    if isinstance(what, CarmMpps):
        file = folder / "private" / f"{what.sha256}.mpps"
        return RelayStep(id=0, to=to, message=what.message, path=str(file), sop_instance_uid=what.sop_instance_uid)
    return Send(
        id=0,
        to=to,
        path=str(folder / "frames" / f"{what.sha256}.dcm"),
        sha256=what.sha256,
        sop_class_uid=what.sop_class_uid,
        sop_instance_uid=what.sop_instance_uid,
        transfer_syntax_uid=what.transfer_syntax_uid,
    )
