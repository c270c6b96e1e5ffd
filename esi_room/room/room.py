"""The composition root: configuration -> objects -> one TaskGroup. Nothing else builds objects.

Starting: record, then broker, then what publishes, then what is observed. Ending is the other way round: devices
and C-arm finish what is under way, what they said is signed and published, the record is closed last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import structlog

from esi_room import __version__
from esi_room.carm import CarmService, Preview
from esi_room.carm.identity import differences
from esi_room.carm.keeper import SOURCE as CARM_SOURCE
from esi_room.carm.worklist.orders import SOURCE as HOSPITAL_SOURCE
from esi_room.carm.worklist.sources import FOLDER_SOURCE
from esi_room.clock import Clock, SystemClock, parse_rfc3339, rfc3339, synchronisation
from esi_room.clockwatch import ClockWatch
from esi_room.commands import (
    SAYINGS,
    Acknowledge,
    Amend,
    End,
    EnterPhase,
    Override,
    PlaceOrder,
    ShowFrame,
    Start,
    WithdrawOrder,
)
from esi_room.config import Device, RoomConfig
from esi_room.errors import RecordError
from esi_room.events import BY_TYPE, ConfigChanged, Entry, Event, Payload, RecordOpened
from esi_room.outputs import access, store
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.commands import Commands, Handler, Look, Looked
from esi_room.outputs.messages import FrameFound
from esi_room.outputs.publisher import Publisher, PublisherSettings
from esi_room.procedure import rules
from esi_room.procedure.amending import Amending
from esi_room.procedure.desk import Desk
from esi_room.procedure.observer import Observer
from esi_room.record.checkpoints import Checkpointer
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path
from esi_room.room import uses
from esi_room.room.retention import Retention, needs_of, policy_of, today_in
from esi_room.room.settings import broker_settings, carm_settings
from esi_room.station import Station

STANDBY_MAX_BYTES = 64 << 20  # a standby record is sealed and begun anew: no file grows for ever between two cases
STANDBY_LOOK_S = 60.0
CANCEL_AGAIN_S = 15.0  # longer than any task takes to end in order: the listener has 7 s

log = structlog.get_logger()


class Room:
    """One room, as its configuration says."""

    def __init__(self, configuration: RoomConfig, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self._clock = clock or SystemClock()
        self._book = rules.load(configuration.procedure.rules)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. EsiRoomError says why the room cannot be run."""
        configuration = self._configuration
        identity = Identity(
            room=configuration.room.id,
            timezone=str(configuration.room.timezone),
            configuration_sha256=configuration.sha256,
        )
        log.info("room_starts", room=identity.room, data=str(configuration.room.data), software=__version__)
        async with Journal.open(configuration.room.data, self._clock, identity) as journal:
            self._say_configuration(journal)
            await asyncio.to_thread(_forget, configuration.room.data)
            broker = _broker(configuration, os.environ)
            if broker is not None:
                await broker.start()
            try:
                await self._run(journal, broker, stop)
            finally:
                if broker is not None:
                    await broker.stop()
        log.info("room_ended", room=identity.room)

    async def _run(self, journal: Journal, broker: EmbeddedBroker | None, stop: asyncio.Event) -> None:
        stations = [self._station(journal, device) for device in self._configuration.device]
        for station in stations:
            journal.at_opening(station.say_again)
        observer = Observer(journal, self._clock, self._book)
        desk = Desk(journal, self._clock, observer, differs=differences)
        amending = Amending(journal, self._clock)
        await desk.resume()
        await amending.resume()
        carm = self._carm(journal, desk, lambda made: publisher.set_image(made.jpeg, made.sha256, made.reason))
        publisher = self._publisher(journal, desk, amending, carm)
        desk.tell_identity(publisher.set_identity)
        signing = Checkpointer(journal, self._clock, publisher.set_checkpoint, publisher.set_unsigned)
        observers = [station.run() for station in stations]
        observers += [ClockWatch(journal, self._clock).run(), self._keep_standby_short(journal)]
        observers.append(uses.Uses(journal, self._clock).run())
        if (retention := self._retention(journal, amending, publisher)) is not None:
            await retention.resume()
            observers.append(retention.run())
        observers += [observer.run(), desk.close_forgotten(self._configuration.procedure.close_after_idle_min * 60)]
        if carm is not None:
            desk.use_worklist(carm.orders)
            journal.at_opening(carm.say_again)
            observers.append(carm.run())
        self._say(journal, uses.started(__version__))
        async with asyncio.TaskGroup() as group:
            keeping = [group.create_task(journal.watch())]
            checkpoints = group.create_task(signing.run())
            if broker is not None:
                keeping.append(group.create_task(broker.run()))
            publishing = group.create_task(publisher.run())
            observing = [group.create_task(observer) for observer in observers]
            await stop.wait()
            await _cancelled([*observing, checkpoints])
            self._say(journal, uses.stopped())
            await signing.finish()
            publisher.stop("the daemon was stopped")
            await publishing
            await _cancelled(keeping)

    def _station(self, journal: Journal, device: Device) -> Station:
        driver = device.make()
        return Station(
            device.id,
            driver,
            port=device.port,
            line=device.settings(driver),
            journal=journal,
            clock=self._clock,
            listen_only=device.listen_only,
        )

    def _publisher(self, journal: Journal, desk: Desk, amending: Amending, carm: CarmService | None) -> Publisher:
        handlers: dict[str, Handler] = {
            Start.NAME: desk.start,
            EnterPhase.NAME: desk.enter,
            End.NAME: desk.end,
            Acknowledge.NAME: desk.acknowledge,
            Override.NAME: desk.override,
            Amend.NAME: amending.amend,
            **dict.fromkeys(SAYINGS, desk.say),
        }
        if carm is not None:
            handlers |= {PlaceOrder.NAME: carm.orders.place, WithdrawOrder.NAME: carm.orders.withdraw}
        commands = Commands(journal, handlers, look=None if carm is None else _look(journal, carm))
        settings = PublisherSettings(
            room=self._configuration.room.id,
            broker=broker_settings(self._configuration, os.environ),
            software=__version__,
            configuration_sha256=self._configuration.sha256,
            devices=_devices(self._configuration),
        )
        return Publisher(journal, settings, self._clock, commands=commands)

    def _carm(self, journal: Journal, desk: Desk, on_preview: Callable[[Preview], None]) -> CarmService | None:
        carm = self._configuration.carm
        if carm is None:
            return None
        return CarmService(carm_settings(carm), journal, self._clock, on_preview=on_preview, cases=desk)

    def _retention(self, journal: Journal, amending: Amending, publisher: Publisher) -> Retention | None:
        policy = policy_of(self._configuration)
        if policy.keeps_all:
            return None
        zone = ZoneInfo(journal.timezone)
        waits = needs_of(self._configuration, journal.root, lambda: today_in(zone, self._clock))
        return Retention(
            journal,
            self._clock,
            policy,
            waits,
            quiet=amending.quiet,
            tell=publisher.set_unremoved,
            synchronised=synchronisation,
        )

    async def _keep_standby_short(self, journal: Journal) -> None:
        while True:
            await asyncio.sleep(STANDBY_LOOK_S)
            if journal.kind == "standby" and journal.committed.offset > STANDBY_MAX_BYTES:
                await journal.switch("standby", f"the standby record reached {STANDBY_MAX_BYTES >> 20} MiB")

    def _say_configuration(self, journal: Journal) -> None:
        """An entry where the open record was begun, or last gone on with, under another configuration."""
        before = _configured(journal)
        if before is not None and before != (self._configuration.sha256, __version__):
            self._say(journal, ConfigChanged(configuration_sha256=self._configuration.sha256, software=__version__))

    def _say(self, journal: Journal, payload: Payload) -> None:
        with contextlib.suppress(RecordError):  # a disk that is full stops neither a start nor an end
            journal.append(Event(source="room", data=payload, received=self._clock.now()))


def _look(journal: Journal, carm: CarmService) -> Look:
    """How a frame is found for whoever asks."""

    async def look(asked: ShowFrame) -> Looked:
        found = await carm.frames.at(parse_rfc3339(asked.at), asked.record or journal.record)
        if found.frame is None:
            return Looked(None, None, found.problem)
        record, seq = found.frame.entry.record, found.frame.entry.seq
        taken_at = rfc3339(found.frame.wall_ns)
        frame = FrameFound(
            record=record, seq=seq, sha256=found.frame.sha256, number=found.frame.number, taken_at=taken_at
        )
        return Looked(frame, found.jpeg, found.problem)

    return look


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    """They are asked until they end: where what a task awaits ends in the same turn, a cancellation can be lost."""
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def _configured(journal: Journal) -> tuple[str, str] | None:
    """Configuration and software that the open record names last; None in a record just begun."""
    said: tuple[str, str] | None = None
    try:
        with journal_path(journal.root, journal.record).open("rb") as file:
            for line in file:
                if b'"type":"record.opened"' in line or b'"type":"config.changed"' in line:
                    entry = msgspec.json.decode(line, type=Entry)
                    data = msgspec.json.decode(entry.data, type=BY_TYPE[entry.type])
                    if isinstance(data, RecordOpened | ConfigChanged):
                        said = (data.configuration_sha256, data.software)
    except FileNotFoundError:
        return None
    return said


def _devices(configuration: RoomConfig) -> frozenset[str]:
    """Ids of everything that says `device.state`."""
    ids = {device.id for device in configuration.device}
    carm = configuration.carm
    if carm is not None:
        ids |= {CARM_SOURCE, *(destination.id for destination in carm.destination)}
        if carm.worklist.hospital is not None:
            ids.add(HOSPITAL_SOURCE)
        if carm.worklist.folder is not None:
            ids.add(FOLDER_SOURCE)
    return frozenset(ids)


def _forget(root: Path) -> None:
    """The broker's files may still name a patient who was erased."""
    try:
        store.forget_if_asked(root, Disk())
    except OSError as error:
        log.error("broker_files_not_erased", file=str(error.filename), reason=error.strerror)


def _broker(configuration: RoomConfig, environ: Mapping[str, str]) -> EmbeddedBroker | None:
    mqtt = configuration.mqtt
    if not mqtt.embedded:
        return None
    websocket, folder = mqtt.websocket_listen, configuration.room.data / store.FOLDER
    return EmbeddedBroker(
        folder,
        (mqtt.listen.host, mqtt.listen.port),
        None if websocket is None else (websocket.host, websocket.port),
        username=mqtt.username,
        password=mqtt.password(environ),
        roles=access.keep_logins(folder / access.LOGINS_FILE),
    )
