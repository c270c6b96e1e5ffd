"""How often somebody may fail to log in.

Rules:
- Failures are counted by address and by name, also of names that do not exist. After a few each further one doubles the
  wait, up to a minute: slow for whoever guesses, and nobody can lock a console out for a day.
- A try counts as failed from its beginning, so that a hundred at once are no way around.
- An IPv6 address counts with its whole /64: one machine has all of that to itself.
- The names that are counted are bounded: a flood of made-up ones pushes out the oldest, not the memory.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from esi_room.clock import NS, Clock

FREE = 5  # failures without a wait: people mistype
LONGEST_S = 60.0
FORGET_S = 900.0  # after the last failure
MAX_KEYS = 10_000


def neighbourhood(address: str) -> str:
    """What an address is counted as."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is None:
        return str(ipaddress.ip_network((known, 64), strict=False))
    return address


class Throttle:
    """Waits by key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last was

    def wait_s(self, *keys: str) -> float:
        """How long until another try is let in; 0 now."""
        return max(0.0, *(self._wait_s(key) for key in keys))

    def begin(self, *keys: str) -> None:
        """A try: one more failure of each, unless it is taken back."""
        for key in keys:
            count, _ = self._known(key)
            self._failures[key] = (count + 1, self._now())
            self._failures.move_to_end(key)
        while len(self._failures) > MAX_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The name's failures are forgotten; of the address's this one try, for others may fail from there."""
        self._failures.pop(name, None)
        count, last = self._known(address)
        self._failures[address] = (max(0, count - 1), last)

    def _now(self) -> float:
        return self._clock.now().mono_ns / NS

    def _known(self, key: str) -> tuple[int, float]:
        count, last = self._failures.get(key, (0, 0.0))
        return (0, 0.0) if self._now() - last > FORGET_S else (count, last)

    def _wait_s(self, key: str) -> float:
        count, last = self._known(key)
        if count < FREE:
            return 0.0
        return last + min(float(2 ** min(count - FREE, 20)), LONGEST_S) - self._now()
