"""The projection: entries in, snapshots out. A pure function of the entries and of the time it is told.

Rules:
- It reads no clock: whoever asks says what time it is. What it holds is in `known`, what an entry makes
  of it in `acts`, how it is said in `render`.
- It never raises on an entry: an entry of a type it does not know, or whose `data` it cannot read, only moves
  `as_of`.
- What it holds after a restart, from reading the open record again, is what it would hold without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from esi_room.clock import parse_rfc3339, rfc3339
from esi_room.events import BY_TYPE, DeviceAlarm, DeviceGap, DeviceRejected, DeviceState, Entry
from esi_room.outputs import acts, render, topics
from esi_room.outputs import snapshots as s
from esi_room.outputs.acts import Said, set_alarm
from esi_room.outputs.known import Aging, Case, Device


class Projection:
    """The state of the room, entry by entry. `snapshot` says it."""

    def __init__(self) -> None:
        self._as_of = s.AsOf(record="", seq=-1)
        self._case = Case()
        self._devices: dict[str, Device] = {}

    @property
    def topics(self) -> set[str]:
        """Every topic that has a snapshot now."""
        return {*render.CASE_SNAPSHOTS, *(topics.DEVICE + device for device in self._devices)}

    def apply(self, entry: Entry, mono_ns: int | None = None) -> set[str]:
        """Take in the next entry; the topics whose snapshot changed.

        `mono_ns`: when it was received on this boot's monotonic clock, where that is not what the entry says
        (an entry of an earlier run).
        """
        self._as_of = s.AsOf(record=entry.record, seq=entry.seq)
        of_room, of_case = _ACTIONS.get(entry.type), acts.ACTIONS.get(entry.type)
        if of_room is None and of_case is None:
            return set()
        try:
            data = msgspec.json.decode(entry.data, type=BY_TYPE[entry.type])
        except ValueError:  # msgspec's own errors are such, too
            return set()
        received_ns = entry.mono_ns if mono_ns is None else mono_ns
        said = Said(entry, data, received_ns - _delay_ns(entry))
        if of_case is not None:
            return of_case(self._case, said)
        return set() if of_room is None else of_room(self, said)

    def expire(self, now_mono_ns: int) -> set[str]:
        """Mark what is older than it may be; the topics whose snapshot changed."""
        return self._mark_stale(lambda _, value: value.due_ns is not None and value.due_ns <= now_mono_ns)

    def next_expiry(self) -> int | None:
        """When (monotonic ns) the next value goes stale; None if none will."""
        due = (v.due_ns for _, _, v in self._case.aging() if not v.stale and v.due_ns is not None)
        return min(due, default=None)

    def forget(self) -> set[str]:
        """Mark everything that can go stale: from now on nobody listens (the daemon stops)."""
        return self._mark_stale(lambda *_: True)

    def names(self, record: str, sha256: str) -> bool:
        """`record` is the one that the projection is at, and an object `sha256` came in it."""
        return record == self._as_of.record and sha256 in self._case.named

    def shows(self, sha256: str) -> set[str]:
        """`image/last` shows this object of the open record from now on."""
        self._case.shown_sha256, self._case.preview_problem = sha256, None
        return {topics.CARM}

    def cannot_show(self, problem: str) -> set[str]:
        """The last object cannot be shown; `image/last` stays as it was."""
        self._case.preview_problem = problem
        return {topics.CARM}

    def snapshot(self, topic: str, now_wall_ns: int) -> s.Snapshot:
        """The present snapshot of one of `topics`."""
        head = {"as_of": self._as_of, "published_at": rfc3339(now_wall_ns)}
        if topic.startswith(topics.DEVICE):
            name = topic[len(topics.DEVICE) :]
            return render.device(name, self._devices[name], head)
        return render.CASE_SNAPSHOTS[topic](self._case, head)

    # --- entries ------------------------------------------------------------------------------------------

    def _on_opened(self, said: Said) -> set[str]:
        before, self._case = self._case, Case()
        self._case.completeness = before.completeness
        self._case.opened, self._case.opened_at = said.data, said.entry.time
        for device in self._devices.values():
            device.forget_counts()
        return self.topics

    def _on_recovered(self, said: Said) -> set[str]:
        """The daemon had ended: what the devices are now, they have yet to say."""
        self._case.pump_alarms.clear()
        for device in self._devices.values():
            device.line = device.since = None
            device.alarms.clear()
        self.forget()
        return self.topics

    def _on_device(self, said: Said) -> set[str]:
        data: DeviceState = said.data
        source = said.entry.source
        device = self._device(source)
        if device.line is None or device.line.state != data.state:
            device.since = said.entry.time
        device.line = data
        device.identity = data.identity or device.identity
        dirty = {topics.DEVICE + source}
        if data.state != "connected":
            dirty |= self._mark_stale(lambda device, _: device == source)
        if data.state not in ("connected", "stale"):  # the line was closed: what it signalled is not known any more
            device.alarms.clear()
            if self._case.pump_alarms.pop(source, None):
                dirty.add(topics.PUMP)
        return dirty

    def _on_device_alarm(self, said: Said) -> set[str]:
        data: DeviceAlarm = said.data
        set_alarm(self._device(said.entry.source).alarms, said, data.active)
        return {topics.DEVICE + said.entry.source}

    def _on_gap(self, said: Said) -> set[str]:
        data: DeviceGap = said.data
        device = self._device(said.entry.source)
        device.gaps += 1
        device.last_gap = s.GapValue(from_=data.from_, to=data.to, reason=data.reason)
        return {topics.DEVICE + said.entry.source}

    def _on_rejected(self, said: Said) -> set[str]:
        data: DeviceRejected = said.data
        rejected = self._device(said.entry.source).rejected
        for reason, count in data.counts.items():
            rejected[reason] = rejected.get(reason, 0) + count
        return {topics.DEVICE + said.entry.source}

    def _device(self, source: str) -> Device:
        return self._devices.setdefault(source, Device())

    def _mark_stale(self, old: Callable[[str, Aging[Any]], bool]) -> set[str]:
        """Mark each fresh value of which `old(device, value)`; the topics whose snapshot changed."""
        dirty = set()
        for topic, device, value in self._case.aging():
            if not value.stale and old(device, value):
                value.stale = True
                dirty.add(topic)
        return dirty


_ACTIONS: dict[str, Callable[[Projection, Said], set[str]]] = {
    "record.opened": Projection._on_opened,
    "record.recovered": Projection._on_recovered,
    "device.state": Projection._on_device,
    "device.alarm": Projection._on_device_alarm,
    "device.gap": Projection._on_gap,
    "device.rejected": Projection._on_rejected,
}


def _delay_ns(entry: Entry) -> int:
    """How much older than its receipt the observation is (a device that reports late)."""
    if entry.time == entry.received:
        return 0
    try:
        return max(0, parse_rfc3339(entry.received) - parse_rfc3339(entry.time))
    except ValueError:
        return 0
