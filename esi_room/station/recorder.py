"""A device's way into the record, which may be full.

An entry that the record refuses is gone: the disk has failed for so long that nothing more can wait for it. It is
counted, and the first entry that is taken again is preceded by a `device.gap` that says so, and by the
`device.state` that got lost, if one did.
"""

from __future__ import annotations

import structlog

from esi_room.clock import Stamp, rfc3339
from esi_room.errors import RecordError
from esi_room.events import DeviceGap, DeviceState, Event
from esi_room.record.journal import Journal

log = structlog.get_logger()


class Recorder:
    """Appends one device's events; never raises for a record that cannot be written."""

    def __init__(self, device: str, journal: Journal) -> None:
        self.refused = 0
        """Entries that the record did not take, ever."""
        self._device, self._journal = device, journal
        self._since: Stamp | None = None
        self._missing = 0
        self._lost_state: Event | None = None

    def append(self, event: Event) -> None:
        """Put `event` in the record, or count it."""
        if (self._since is not None and not self._say_gap(self._since, event.received)) or not self._try(event):
            self._count(event)

    def _try(self, event: Event) -> bool:
        try:
            self._journal.append(event)
        except RecordError:
            return False
        return True

    def _count(self, event: Event) -> None:
        if self._since is None:
            self._since = event.received
            log.error("device_entries_refused", device=self._device, reason=self._journal.problem)
        self.refused += 1
        self._missing += 1
        if isinstance(event.data, DeviceState):
            self._lost_state = event

    def _say_gap(self, since: Stamp, until: Stamp) -> bool:
        gap = DeviceGap(
            from_=rfc3339(since.wall_ns),
            to=rfc3339(until.wall_ns),
            reason=f"the record could not be written: {self._missing} entries lost",
        )
        if not self._try(Event(source=self._device, data=gap, received=until)):
            return False
        log.info("device_entries_taken_again", device=self._device, lost=self._missing)
        self._since, self._missing = None, 0
        if self._lost_state is not None and not self._try(self._lost_state):
            return False
        self._lost_state = None
        return True
