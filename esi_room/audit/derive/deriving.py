"""Pieces of wire in, what the device said out: the station's decoder with a fresh driver, and nothing else of it.

Rules:
- A driver is fresh at each opening of the line: nothing is known of the device any more.
- Octets that were sent within one line of the wire file are told to the driver one request at a time, as they were.
- Each thing said comes with the octets that it rests on: from the piece that brought its first byte.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from esi_room.audit.derive.wires import Piece
from esi_room.clock import NS
from esi_room.drivers.contract import Driver, Identified
from esi_room.events import Event
from esi_room.record.wire import COALESCE_S
from esi_room.station.decoder import Decoder, Output, Rejected
from esi_room.station.rejects import INTERVAL_S

KEPT_PIECES = 64  # a frame is in a few of them
# Rejects are counted for INTERVAL_S before they are written, at the station's next look, a second later at most.
COUNTING_NS = round((INTERVAL_S + 1.0 + COALESCE_S) * NS)


class Derived(NamedTuple):
    """What the device said. `number`: of the wire line that brought the end of it."""

    event: Event
    number: int
    octets: bytes


class Deriving:
    """One device."""

    def __init__(self, device: str, make: Callable[[], Driver]) -> None:
        self.identities: set[str] = set()
        self.rejected: Counter[str] = Counter()
        """Octets that were not understood, by reason."""
        self.pieces = 0
        self._open, self._last_ns = False, 0
        self._last_rejects: deque[tuple[int, int]] = deque()  # when (monotonic), and how many octets
        self._device, self._make = device, make
        self._recent: deque[Piece] = deque(maxlen=KEPT_PIECES)
        self._fresh()

    @property
    def uncounted(self) -> int:
        """Octets that were not understood at the very end: their `device.rejected` may stand in the next record."""
        since_ns = self._last_ns - COUNTING_NS
        return sum(size for at_ns, size in self._last_rejects if at_ns >= since_ns) if self._open else 0

    def events(self, pieces: Iterator[Piece]) -> Iterator[Derived]:
        """Those of the record in question; what stands before only makes the driver know."""
        for piece in pieces:
            self.pieces, self._last_ns = self.pieces + piece.own, piece.stamp.mono_ns
            for output in self._fed(piece):
                if isinstance(output, Event) and piece.own:
                    yield Derived(output, piece.number, self._octets(output))
                elif isinstance(output, Identified):
                    self.identities.add(output.identity)
                elif isinstance(output, Rejected):
                    self.rejected[output.reason] += len(output.octets)
                    self._count(piece.stamp.mono_ns, len(output.octets))

    def _fed(self, piece: Piece) -> list[Output]:
        self._recent.append(piece)
        match piece.direction:
            case "open":
                self._fresh()
                self._open = True
                return self._decoder.opened(piece.stamp)
            case "rx":
                return self._decoder.received(piece.octets, piece.stamp)
            case "tx":
                requests = split(piece.octets, self._driver.info.sends)
                return [output for each in requests for output in self._decoder.sent(each, piece.stamp)]
            case "close":
                self._open = False
                return self._decoder.closed()

    def _fresh(self) -> None:
        self._driver = self._make()
        self._decoder = Decoder(self._device, self._driver)
        self._last_rejects.clear()

    def _count(self, at_ns: int, size: int) -> None:
        self._last_rejects.append((at_ns, size))
        while self._last_rejects[0][0] < at_ns - COUNTING_NS:
            self._last_rejects.popleft()

    def _octets(self, event: Event) -> bytes:
        since_ns = event.received.mono_ns
        return b"".join(p.octets for p in self._recent if p.direction == "rx" and p.stamp.mono_ns >= since_ns)


def split(octets: bytes, sends: Mapping[bytes, str]) -> list[bytes]:
    """Requests that went out one after the other; the longest that fits comes first. What is none stays as it is."""
    requests = []
    while octets:
        fits = [request for request in sends if request and octets.startswith(request)]
        request = max(fits, key=len, default=octets)
        requests.append(request)
        octets = octets[len(request) :]
    return requests
