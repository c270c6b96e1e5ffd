"""When to ask a DRI monitor. It never says no: a request that it does not like is simply not answered.

Before the first record the levels are tried in turn, because some monitors ignore a request of another level
than their own; after it, the level that was answered is asked again when the values stop (a reboot or a pulled
cable loses the subscription), and the waveforms alone when only they stop (they do when the line blocks).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

LEVELS = (0, 9, 8, 7, 10, 11)  # 0 means any; 9 to 7 are S/5 of 2005 to 2002; 10 and 11 CARESCAPE
NEXT_LEVEL_S = 10.0
AGAIN_S = 20.0  # a round of levels, or the only level, has brought nothing: again after this
WAVES_AGAIN_S = 20.0  # waveforms begin within 1 s of the request


class Requests(NamedTuple):
    """What to send at one level."""

    values: bytes
    waveforms: bytes | None
    alarms: bytes | None

    @property
    def all(self) -> tuple[bytes, ...]:
        return tuple(octets for octets in self if octets is not None)


class Subscription:
    """Decides at each tick what to send. `requests`: by level, in the order to try them."""

    def __init__(self, requests: Mapping[int, Requests], max_silence_s: float) -> None:
        self._requests = requests
        self._max_silence_s = max_silence_s
        self._levels = list(requests)
        self._at = 0  # of the level asked last
        self._asked_s: float | None = None
        self._values_s: float | None = None
        self._waves_s = 0.0
        self._values_came = self._waves_came = False

    def values_came(self) -> None:
        """Displayed values arrived since the last tick."""
        self._values_came = True

    def waves_came(self) -> None:
        """A waveform arrived since the last tick."""
        self._waves_came = True

    def tick(self, now_s: float) -> tuple[bytes, ...]:
        """What to send now, in order."""
        self._note(now_s)
        if self._asked_s is None:
            return self._ask(now_s)
        if self._values_s is not None:
            if now_s - self._values_s < self._max_silence_s:
                return self._waves_only(now_s)
            self._values_s = None
            return self._ask(now_s)
        last = self._at == len(self._levels) - 1
        if now_s - self._asked_s < (AGAIN_S if last else NEXT_LEVEL_S):
            return ()
        self._at = 0 if last else self._at + 1
        return self._ask(now_s)

    def _note(self, now_s: float) -> None:
        if self._values_came:
            self._values_s = now_s
        if self._waves_came:
            self._waves_s = now_s
        self._values_came = self._waves_came = False

    def _ask(self, now_s: float) -> tuple[bytes, ...]:
        self._asked_s = self._waves_s = now_s
        return self._requests[self._levels[self._at]].all

    def _waves_only(self, now_s: float) -> tuple[bytes, ...]:
        waveforms = self._requests[self._levels[self._at]].waveforms
        if waveforms is None or now_s - self._waves_s < WAVES_AGAIN_S:
            return ()
        self._waves_s = now_s
        return (waveforms,)
