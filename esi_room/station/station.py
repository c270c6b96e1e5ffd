"""One device: its line, its driver, its place in the record.

    connecting ──> negotiating ──> connected <──> stale
        │              │  ^            │            │
        └──> lost <────┴──│────────────┴────────────┘
              └───────────┘

- connecting: the port was never open in this run. negotiating: it is open, the device was not heard yet.
  connected: good frames come. stale: they stopped, the line is still open. lost: the line is gone or cannot be had.
- An entry is written when the state changes or its diagnosis does, never for a retry: an outage is one entry at
  its start and one at its end, which counts the attempts.
- When data resume after `stale` or `lost`, a `device.gap` says from which good frame to which one nothing is known.
  A device that was never heard has no gap: its state says so.
- A port that opens and dies without a good frame (a device server whose line is busy) counts as an attempt: its next
  opening is said only once it has lasted SETTLE_S.
- Only octets that the driver's nameplate lists are ever sent, and none at all with `listen_only`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import NoReturn, Protocol

import structlog
from msgspec import Struct, field

from esi_room import links
from esi_room.clock import NS, Clock, Stamp, rfc3339
from esi_room.drivers.contract import Ask, Driver, Identified
from esi_room.errors import LinkError
from esi_room.events import DeviceCondition, DeviceGap, DeviceState, Event, Payload
from esi_room.line import LineSettings
from esi_room.record.journal import Journal
from esi_room.station import rejects, words
from esi_room.station.decoder import Decoder, Heard, Output, Rejected
from esi_room.station.outage import Backoff, Outage
from esi_room.station.recorder import Recorder
from esi_room.station.watch import Watch

RETRY_S = (0.5, 30.0)  # a replug is noticed at once; an adapter left at home costs two opens a minute
SETTLE_S = 1.0  # a device server that refuses closes within milliseconds
LOOKS = 10  # at the clock within a device's longest silence: `stale` is said at most a tenth late
LOOK_S = 1.0  # at most

log = structlog.get_logger()


class OpenLink(Protocol):
    """`links.open_link`, or a test's."""

    async def __call__(self, port: str, line: LineSettings, clock: Clock, *, listen_only: bool = False) -> links.Link:
        """See `links.open_link`."""


class Counters(Struct):
    """What a station has seen since it was started."""

    opened: int = 0
    failed_attempts: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    good_frames: int = 0
    gaps: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class Station:
    """One device. `run` it; `state`, `reason`, `identity`, `last_frame` and `counters` may be read at any time."""

    def __init__(
        self,
        device: str,
        driver: Driver,
        *,
        port: str,
        line: LineSettings,
        journal: Journal,
        clock: Clock,
        listen_only: bool = False,
        open_link: OpenLink = links.open_link,
        retry_s: tuple[float, float] = RETRY_S,
        reject_interval_s: float = rejects.INTERVAL_S,
    ) -> None:
        self.device, self.port, self.line, self.listen_only = device, port, line, listen_only
        self.state: DeviceCondition = "connecting"
        self.reason = "not started"
        self.identity: str | None = None
        self.last_frame: Stamp | None = None
        self.counters = Counters()
        self._driver, self._decoder = driver, Decoder(device, driver)
        self._clock, self._open_link = clock, open_link
        self._recorder, self._wire = Recorder(device, journal), journal.wire(device)
        self._rejects = rejects.Rejects(reject_interval_s)
        self._backoff = Backoff(*retry_s)
        self._asks: deque[bytes] = deque()
        self._watch = Watch(driver.info.max_silence_s, clock.now())
        self._known_identity: str | None = None
        self._bugs: set[str] = set()
        self._outage: Outage | None = None
        self._link_lost: str | None = None  # why, if it was since the last good frame
        self._opening_said = True

    @property
    def refused_entries(self) -> int:
        """Entries of this device that the record could not take."""
        return self._recorder.refused

    async def run(self) -> None:
        """Serve the device until cancelled; then the line is closed and what was counted is written."""
        started = self._clock.now()
        self._outage = Outage(started)
        self._enter("connecting", f"opening {self.port}", started)
        try:
            while True:
                link = await self._connect()
                try:
                    self._lose(await self._until_lost(link))
                finally:
                    self._wire.closed(self._clock.now())
                    self._say_rejects()
                    await link.close()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            self._say_rejects()

    # --- the line -----------------------------------------------------------------------------------------

    async def _connect(self) -> links.Link:
        while True:
            try:
                return await self._open_link(self.port, self.line, self._clock, listen_only=self.listen_only)
            except LinkError as error:
                self._failed(str(error))
            await asyncio.sleep(self._backoff.next_s())

    async def _until_lost(self, link: links.Link) -> str:
        """Serve the device; returns why the line was lost."""
        try:
            await self._serve(link)
        except LinkError as error:
            return str(error)
        finally:
            self._take(self._decoder.closed())  # before the line counts as lost: a frame may come out

    async def _serve(self, link: links.Link) -> NoReturn:
        """Read, ask and watch until the line is lost (LinkError)."""
        opened = self._clock.now()
        self._open(link, opened)
        tick_ns = None if self._driver.info.tick_s is None else round(self._driver.info.tick_s * NS)
        look_s = min(LOOK_S, self._driver.info.max_silence_s / LOOKS)
        next_tick_ns = opened.mono_ns + (tick_ns or 0)
        while True:
            await self._send(link)  # before a tick: the driver must know that what it asked for went out
            now, wait_s = self._clock.now(), look_s
            if tick_ns is not None:
                if now.mono_ns >= next_tick_ns:
                    next_tick_ns = now.mono_ns + tick_ns
                    self._take(self._decoder.tick(now))
                    await self._send(link)
                wait_s = min(look_s, (next_tick_ns - now.mono_ns) / NS)
            self._look(link, opened)
            await self._receive(link, wait_s)

    def _open(self, link: links.Link, opened: Stamp) -> None:
        self.counters.opened += 1
        self.identity = None
        self._asks.clear()
        self._watch = Watch(self._driver.info.max_silence_s, opened)
        self._wire.opened(opened)
        self._opening_said = self._outage is None or not self._outage.flapping
        if self._opening_said:
            self._say_open(link, opened)
        self._take(self._decoder.opened(opened))

    def _say_open(self, link: links.Link, now: Stamp) -> None:
        self._opening_said = True
        after = self._outage.summary(now) if self._outage is not None else ""
        self._enter("negotiating", f"open: {link.description}; not heard yet{after}", now)

    async def _receive(self, link: links.Link, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                octets, stamp = await link.read()
        except TimeoutError:
            return
        self.counters.received_bytes += len(octets)
        self._wire.received(stamp, octets)
        self._watch.bytes_came(octets, stamp)
        self._take(self._decoder.received(octets, stamp))

    async def _send(self, link: links.Link) -> None:
        """What the driver asked for, if its nameplate lists it."""
        while self._asks:
            octets = self._asks.popleft()
            stamp = self._clock.now()
            if octets not in self._driver.info.sends:
                self._reject(Rejected("request not listed by the driver", octets, stamp, "Ask outside info.sends"))
            elif not self.listen_only:
                await link.write(octets)
                self.counters.sent_bytes += len(octets)
                self._wire.sent(stamp, octets)
                self._take(self._decoder.sent(octets, stamp))

    # --- what comes out of the decoder --------------------------------------------------------------------

    def _take(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Heard):
                self._heard(output.stamp)
            elif isinstance(output, Event):
                self._recorder.append(output)
            elif isinstance(output, Ask):
                self._asks.append(output.octets)
            elif isinstance(output, Identified):
                self._identified(output.identity)
            else:
                self._reject(output)

    def _heard(self, stamp: Stamp) -> None:
        if self.state != "connected":
            self._resume(stamp)
        self.counters.good_frames += 1
        self.last_frame = stamp
        self._watch.heard(stamp)

    def _resume(self, stamp: Stamp) -> None:
        """Data again, or for the first time."""
        reason = "first good frame"
        if self.last_frame is not None:
            why = "silence" if self._link_lost is None else f"link lost: {self._link_lost}"
            self.counters.gaps += 1
            gap = DeviceGap(from_=rfc3339(self.last_frame.wall_ns), to=rfc3339(stamp.wall_ns), reason=why)
            self._append(gap, stamp)
            reason = f"good frames again after {words.span(stamp.mono_ns - self.last_frame.mono_ns)}"
        if self._outage is not None and not self._opening_said:
            reason += self._outage.summary(stamp)
        self._outage, self._link_lost, self._opening_said = None, None, True
        self._backoff.reset()
        self._enter("connected", reason, stamp)

    def _identified(self, identity: str) -> None:
        """Said again after every opening of the line: another device may be plugged in."""
        if identity == self.identity:
            return
        before, self.identity, self._known_identity = self._known_identity, identity, identity
        if before is None:
            reason = "identified"
        elif before == identity:
            reason = "identified: the same device as before"
        else:
            reason = f"another device than before, which was {before}"
        self._enter(self.state, reason, self._clock.now())

    def _reject(self, rejected: Rejected) -> None:
        self.counters.rejected[rejected.reason] += 1
        self._rejects.add(rejected.reason, rejected.octets)
        if rejected.bug is not None and rejected.bug not in self._bugs:
            self._bugs.add(rejected.bug)
            log.error("driver_failed", device=self.device, driver=self._driver.info.name, error=rejected.bug)

    # --- what time brings ---------------------------------------------------------------------------------

    def _look(self, link: links.Link, opened: Stamp) -> None:
        """At the clock: silence, a line that has settled, rejects to be written."""
        now = self._clock.now()
        if not self._opening_said and now.mono_ns - opened.mono_ns > SETTLE_S * NS:
            self._say_open(link, now)
        finding = self._watch.finding(now) if self._opening_said else None
        if finding is not None:
            self._enter("stale" if self.state == "connected" else self.state, finding, now)
        due_ns = self._rejects.due_mono_ns
        if due_ns is not None and now.mono_ns >= due_ns:
            self._say_rejects()

    # --- outages ------------------------------------------------------------------------------------------

    def _failed(self, reason: str) -> None:
        """The port could not be opened."""
        self.counters.failed_attempts += 1
        now = self._clock.now()
        if self._outage is None:
            self._outage = Outage(now)
        news = self._outage.failed(reason)
        if self.state == "connecting" or news:
            self._enter("lost", reason, now)
        else:
            self.reason = reason

    def _lose(self, reason: str) -> None:
        """The open line is gone."""
        now = self._clock.now()
        if self.last_frame is not None and self._link_lost is None:
            self._link_lost = reason
        if self._outage is None:
            self._outage = Outage(now)
        else:
            self._outage.flapped()
        if self.state != "lost":
            self._enter("lost", reason, now)

    # --- the record ---------------------------------------------------------------------------------------

    def say_again(self) -> None:
        """The present state once more: a record just opened says at its beginning how its devices were."""
        self._say_state(self._clock.now())

    def _enter(self, state: DeviceCondition, reason: str, stamp: Stamp) -> None:
        self.state, self.reason = state, reason
        log.info("device_state", device=self.device, state=state, reason=reason)
        self._say_state(stamp)

    def _say_state(self, stamp: Stamp) -> None:
        said = DeviceState(
            state=self.state,
            reason=self.reason,
            driver=self._driver.info.name,
            port=self.port,
            identity=self.identity,
        )
        self._append(said, stamp)

    def _say_rejects(self) -> None:
        now = self._clock.now()
        entry = self._rejects.take(now)
        if entry is not None:
            self._append(entry, now)

    def _append(self, payload: Payload, stamp: Stamp) -> None:
        self._recorder.append(Event(source=self.device, data=payload, received=stamp))
