"""What was not understood, counted: noise must show in the record, and must not flood it."""

from __future__ import annotations

from collections import Counter

from esi_room.clock import NS, Stamp
from esi_room.events import DeviceRejected

INTERVAL_S = 5.0  # one entry at most: 720 an hour from a line that brings nothing but noise
EXCERPT_BYTES = 64  # enough to see a frame's head, or that it is another device's


class Rejects:
    """Counts by reason since the last entry, and the first bytes of them. The first reject is due at once."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_ns = round(interval_s * NS)
        self._not_before_ns = 0
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._excerpt = b""

    def add(self, reason: str, octets: bytes) -> None:
        self._counts[reason] += 1
        self._bytes += len(octets)
        self._excerpt = self._excerpt or octets[:EXCERPT_BYTES]

    @property
    def due_mono_ns(self) -> int | None:
        """When the next entry is to be written; None while there is nothing to say."""
        return self._not_before_ns if self._counts else None

    def take(self, now: Stamp) -> DeviceRejected | None:
        """The entry, and start counting anew."""
        if not self._counts:
            return None
        taken = DeviceRejected(counts=dict(self._counts), bytes=self._bytes, excerpt=self._excerpt.hex())
        self._counts.clear()
        self._bytes, self._excerpt = 0, b""
        self._not_before_ns = now.mono_ns + self._interval_ns
        return taken
