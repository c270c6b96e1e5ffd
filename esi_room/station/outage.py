"""An outage: how long to wait before a port is tried again, and what is worth saying meanwhile."""

from __future__ import annotations

import random

from esi_room.clock import Stamp
from esi_room.station import words

REASONS_SAID = 8  # an outage whose diagnosis keeps changing is not told in more entries than these


class Backoff:
    """Doubling delays between two bounds, each shortened at random so that devices that were lost together (a hub,
    a device server) do not come back in step."""

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s, self._most_s = least_s, most_s
        self._next_s = least_s

    def next_s(self) -> float:
        delay_s = self._next_s
        self._next_s = min(self._most_s, 2 * delay_s)
        return delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret

    def reset(self) -> None:
        """It works again: the next trouble is tried at once."""
        self._next_s = self._least_s


class Outage:
    """From the loss of the line (or the start) to the first good frame."""

    def __init__(self, since: Stamp) -> None:
        self.flapping = False
        self._since = since
        self._attempts = 0
        self._reasons: set[str] = set()

    def failed(self, reason: str) -> bool:
        """An attempt failed. Whether its reason is news: another one than the attempts before it had."""
        self._attempts += 1
        news = bool(self._reasons) and reason not in self._reasons and len(self._reasons) < REASONS_SAID
        self._reasons.add(reason)
        return news

    def flapped(self) -> None:
        """The line was open and was lost again without a good frame."""
        self._attempts += 1
        self.flapping = True

    def summary(self, now: Stamp) -> str:
        """To be put after a reason: how long it took."""
        if not self._attempts:
            return ""
        return f" ({self._attempts} failed attempts in {words.span(now.mono_ns - self._since.mono_ns)})"
