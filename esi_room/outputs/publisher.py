"""The room on MQTT: keeps one connection to the broker, and runs over it the outbox, the retained states and the
commands.

Rules:
- The record does not wait for the broker: everything here may be gone for hours, and then goes on where it was.
- An outage is one line in the log at its start and one at its end. It ends when a connection has stood for
  STEADY_S, so that a broker which accepts and throws out again does not fill the log.
- A device that is no longer configured has no state: the broker is asked what it keeps under `state/device/`, and
  what is not ours any more is cleared.
- `status` is the birth; the will and the goodbye are the death. Where a will of our former connection comes late
  and says `offline` of us, we say `online` again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import aiomqtt
import msgspec
import structlog
from msgspec import Struct

from esi_room.clock import Clock, rfc3339
from esi_room.errors import BrokerError
from esi_room.outputs import topics as t
from esi_room.outputs.client import QOS, BrokerClient, BrokerSettings, RefusedError, connect
from esi_room.outputs.commands import Answer, Commands
from esi_room.outputs.feed import Picture, StateFeed
from esi_room.outputs.messages import Status
from esi_room.outputs.outbox import Outbox
from esi_room.outputs.retained import Retained
from esi_room.outputs.snapshots import AmendmentState, AsOf, CheckpointState
from esi_room.outputs.tasks import until_first
from esi_room.outputs.topics import Topics
from esi_room.record.checkpoints import Signed
from esi_room.record.journal import Journal

BACKOFF_S = (0.2, 10.0)  # first and longest pause between two attempts
STEADY_S = 2.0
GOODBYE_S = 3.0  # how long a stopping daemon waits for a slow broker; the rest is sent at the next start
MAX_IMAGE_BYTES = 512 << 10
CURSOR = Path("cursors") / "mqtt.json"  # below the data directory

log = structlog.get_logger()
_encoder = msgspec.json.Encoder()


class PublisherSettings(Struct, frozen=True, kw_only=True):
    """What the publisher has to know of the room."""

    room: str
    broker: BrokerSettings
    software: str
    configuration_sha256: str
    devices: frozenset[str]
    """Ids of everything that has a `state/device/<id>`: the configured devices, and the C-arm."""
    backoff_s: tuple[float, float] = BACKOFF_S


class Publisher:
    """Journal in, MQTT out. `run` until cancelled; `stop` first for an orderly goodbye."""

    def __init__(
        self,
        journal: Journal,
        settings: PublisherSettings,
        clock: Clock,
        *,
        commands: Commands | None = None,
    ) -> None:
        self._journal, self._settings, self._clock, self._commands = journal, settings, clock, commands
        self._topics = Topics(settings.room)
        self._outbox = Outbox(journal, self._topics, journal.root / CURSOR, self._say_status)
        self._retained = Retained()
        self._feed = StateFeed(journal, clock, self._publish_state)
        self._since = rfc3339(clock.now().wall_ns)
        self._stop = asyncio.Event()
        self._goodbye = "the daemon was stopped"
        self._outage_began_ns: int | None = None
        self._attempts = 0
        self._status: Status | None = None
        self._unsigned: str | None = None
        self._unremoved: str | None = None
        self._look_at_journal()
        journal.at_change(self._look_at_journal)

    async def run(self) -> None:
        """Publish until stopped. Raises only on our own mistakes, never because of a broker."""
        if self._commands is not None:
            await self._commands.recall()
        try:
            await until_first(self._feed.run(), self._outbox.keep(), self._connections())
        finally:
            self._outbox.save()

    def stop(self, reason: str) -> None:
        """Let `run` end: what is committed goes out first (for GOODBYE_S at most), then `offline` with `reason`."""
        self._goodbye = reason
        self._stop.set()

    def set_image(self, jpeg: bytes | None, sha256: str, problem: str | None = None) -> None:
        """The last image, made from the object `sha256`; shown if and when the open record names that object.

        Where there is no picture (or none that is small enough) `image/last` keeps the one before it, and
        `state/carm` says which that is and why.
        """
        size_bytes = len(jpeg or b"")
        if size_bytes > MAX_IMAGE_BYTES:
            jpeg, problem = None, f"the picture has {size_bytes} bytes; at most {MAX_IMAGE_BYTES} are published"
        self._feed.picture(Picture(sha256, jpeg, problem or "no picture can be made of it"))

    def set_identity(self, identity: bytes | None) -> None:
        """The patient of the open record, for those whom the broker's access rules let see it; None: nobody."""
        self._retained.set(self._topics(t.IDENTITY), identity or b"")

    def set_checkpoint(self, signed: Signed) -> None:
        """The last checkpoint, durable by now."""
        topic, shape = (t.AMENDMENT, AmendmentState) if signed.amendment else (t.CHECKPOINT, CheckpointState)
        state = shape(
            as_of=AsOf(record=signed.record, seq=signed.seq),
            published_at=rfc3339(self._clock.now().wall_ns),
            sha256=signed.sha256,
            time=signed.time,
            key=signed.key,
            public_key=signed.public.hex(),
            line=signed.octets.decode().removesuffix("\n"),
        )
        self._retained.set(self._topics(topic), _encoder.encode(state))

    def set_unsigned(self, problem: str | None) -> None:
        """Why the record is not being signed, for `status`; None: it is."""
        self._unsigned = problem
        self._say_status()

    def set_unremoved(self, problem: str | None) -> None:
        """Why records are not removed as `[retention]` wants it, for `status`; None: they are."""
        self._unremoved = problem
        self._say_status()

    # --- connections --------------------------------------------------------------------------------------

    async def _connections(self) -> None:
        pause_s, longest_s = self._settings.backoff_s
        while not self._stop.is_set():
            self._attempts += 1
            began_ns = self._clock.now().mono_ns
            try:
                await self._connection()
            except BrokerError as error:
                self._say_outage(str(error))
            if self._clock.now().mono_ns - began_ns > STEADY_S * 1e9:
                pause_s = self._settings.backoff_s[0]
            await self._pause(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - so that rooms do not come in step
            pause_s = min(2 * pause_s, longest_s)

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _connection(self) -> None:
        will = aiomqtt.Will(self._topics(t.STATUS), self._offline(None, "it vanished without a word"), QOS, True)
        async with connect(self._settings.broker, will) as client:
            steady = asyncio.get_running_loop().call_later(STEADY_S, self._say_over)
            try:
                await self._listen(client)
                await until_first(
                    self._outbox.pump(client),
                    self._retained.pump(client),
                    self._inbox(client),
                    client.until_closed(),
                    self._until_stopped(),
                )
            except asyncio.CancelledError:
                await self._say_goodbye(client)  # the broker must not have to find out by the will
                raise
            finally:
                steady.cancel()
            await self._say_goodbye(client)

    async def _until_stopped(self) -> None:
        await self._stop.wait()
        self._feed.forget()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._outbox.drained()
                await self._retained.settled()
        except TimeoutError:
            log.warning("stopped_with_lines_unsent", waiting=self._outbox.waiting)

    async def _say_goodbye(self, client: BrokerClient) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                now = rfc3339(self._clock.now().wall_ns)
                await client.deliver(self._topics(t.STATUS), self._offline(now, self._goodbye), retain=True)
        except (BrokerError, TimeoutError):
            return  # the connection is gone: the will speaks

    async def _listen(self, client: BrokerClient) -> None:
        wanted = [t.STATUS, t.DEVICES]
        if self._commands is not None:
            wanted.append(t.COMMANDS)
        for topic in wanted:
            try:
                await client.listen(self._topics(topic))
            except RefusedError as error:
                log.error("broker_refuses_subscription", reason=str(error))

    async def _inbox(self, client: BrokerClient) -> None:
        async for message in client.received():
            topic, payload = str(message.topic), message.payload
            octets = payload if isinstance(payload, bytes) else b""
            name = self._topics.command_name(topic)
            if name is not None and self._commands is not None:
                answer = await self._commands.answer(name, octets, retained=message.retain)
                await self._reply(client, answer)
            elif topic == self._topics(t.STATUS) and b'"offline"' in octets:
                self._say_status(again=True)
            elif message.retain and octets:
                self._clear_former_device(topic)

    async def _reply(self, client: BrokerClient, answer: Answer) -> None:
        for line in answer.lines:
            await client.send(self._topics.backfill(answer.client), line.octets)
        if answer.jpeg is not None:
            await client.send(self._topics.picture(answer.client), answer.jpeg)
        reply = msgspec.structs.replace(answer.reply, answered_at=rfc3339(self._clock.now().wall_ns))
        await client.send(self._topics.reply(answer.client), _encoder.encode(reply))

    # --- what is said -------------------------------------------------------------------------------------

    def _publish_state(self, topic: str, payload: bytes) -> None:
        full = self._topics(topic)
        if self._topics.device(full) in {None, *self._settings.devices}:  # the open record may name others
            self._retained.set(full, payload)

    def _clear_former_device(self, topic: str) -> None:
        device = self._topics.device(topic)
        if device is not None and device not in self._settings.devices:
            log.info("former_device_cleared", device=device)
            self._retained.set(topic, b"")

    def _look_at_journal(self) -> None:
        self._say_status()
        self._feed.clear_old_image()

    def _say_status(self, *, again: bool = False) -> None:
        status = Status(
            status="online",
            software=self._settings.software,
            configuration_sha256=self._settings.configuration_sha256,
            since=self._since,
            record=self._journal.record,
            problem=self._problem(),
        )
        if again or status != self._status:
            self._status = status
            self._retained.set(self._topics(t.STATUS), _encoder.encode(status))

    def _problem(self) -> str | None:
        problems: Sequence[str | None] = (
            self._journal.problem,
            self._unsigned,
            self._unremoved,
            self._outbox.problem,
        )
        return "; ".join(filter(None, problems)) or None

    def _offline(self, since: str | None, reason: str) -> bytes:
        return _encoder.encode(
            Status(
                status="offline",
                software=self._settings.software,
                configuration_sha256=self._settings.configuration_sha256,
                since=since,
                record=None,
                problem=reason,
            )
        )

    def _say_outage(self, reason: str) -> None:
        if self._outage_began_ns is None and not self._stop.is_set():
            self._outage_began_ns = self._clock.now().mono_ns
            log.warning("broker_away", reason=reason, waiting_lines=self._outbox.waiting)

    def _say_over(self) -> None:
        if self._outage_began_ns is not None:
            outage_s = round((self._clock.now().mono_ns - self._outage_began_ns) / 1e9, 1)
            log.info("broker_back", outage_s=outage_s, attempts=self._attempts, waiting_lines=self._outbox.waiting)
        self._outage_began_ns, self._attempts = None, 0
