"""Who was refused or lost, for the record: a flood of the same is one entry at its start and one with the count.

A port scanner, or a C-arm that retries every second all night, must cost the record a line a minute, not a line a
connection. And it must cost the daemon as little: the counting is done in the listener's process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from esi_room.clock import NS, Clock, Stamp
from esi_room.events import CarmAssociation

# The same again within this time is counted, not told.
QUIET_S = 60.0
# Different ones told apart at a time; a scanner may invent an AE title a connection.
MAX_KINDS = 64

_Key = tuple[str, str, str | None, str]


class Knocks:
    """Tells `report` of each kind of trouble at once, and then once a minute how often it came again."""

    def __init__(self, clock: Clock, report: Callable[[CarmAssociation, Stamp], None]) -> None:
        self._clock, self._report = clock, report
        self._lock = threading.Lock()
        self._known: dict[_Key, tuple[int, Stamp]] = {}  # how often since, and when it was last told

    def say(
        self,
        outcome: str,
        peer: str,
        called: str | None,
        reason: str,
        *,
        wants: tuple[str, ...] = (),
        learned: str | None = None,
    ) -> None:
        """It happened (again). `wants`, `learned`: as in `CarmAssociation`; the first of a kind alone says them."""
        now = self._clock.now()
        with self._lock:
            key: _Key = (outcome, peer, called, reason)
            if key not in self._known and len(self._known) >= MAX_KINDS:
                key = (outcome, "others", None, "too many different ones to tell apart")
                wants, learned = (), None
            if key in self._known:
                count, told = self._known[key]
                self._known[key] = (count + 1, told)
                return
            self._known[key] = (0, now)
        self._tell(key, 1, now, wants, learned)

    def flush(self, *, everything: bool = False) -> None:
        """Tell what was counted and is due; forget what came once. To be called every second or so."""
        now = self._clock.now()
        due: list[tuple[_Key, int]] = []
        with self._lock:
            for key, (count, told) in list(self._known.items()):
                if not everything and now.mono_ns - told.mono_ns < QUIET_S * NS:
                    continue
                if count:
                    due.append((key, count))
                    self._known[key] = (0, now)
                else:
                    del self._known[key]
        for key, count in due:
            self._tell(key, count, now)

    def _tell(self, key: _Key, count: int, at: Stamp, wants: tuple[str, ...] = (), learned: str | None = None) -> None:
        outcome, peer, called, reason = key
        entry = CarmAssociation(
            outcome=outcome,  # type: ignore[arg-type]
            peer=peer,
            called=called,
            reason=reason,
            count=count,
            wants=wants,
            learned=learned,
        )
        self._report(entry, at)
