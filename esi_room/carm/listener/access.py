"""Who is let in, and how much of the room each may take. Deny by default; who was refused is always told why.

Rules of this file:
- A peer is an AE title at an address, both on the list (`PeerRule`); where the rule says so, over TLS alone.
- The address decides before a thread is started. In learn mode a stranger is heard as far as its A-ASSOCIATE-RQ, a few
  at a time, so that the record can say who it is and what would let it in. It is never accepted.
- Whoever is refused for now (too many, too much) is rejected as transient, so that a well-behaved peer tries again.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from pydicom.uid import UID

from esi_room.carm.listener.contexts import storage_classes
from esi_room.carm.settings import MAX_SOCKETS, CarmSettings, PeerRule
from esi_room.clock import NS, Clock

# A-ASSOCIATE-RJ (PS3.8 table 9-21): result, source, reason.
CALLING_UNKNOWN = (1, 1, 3)
CALLED_UNKNOWN = (1, 1, 7)
CONGESTED = (2, 3, 1)
TOO_MANY = (2, 3, 2)

# Heard out at once in learn mode: one C-arm's services, no scanner.
MAX_STRANGERS = 8
# Of an A-ASSOCIATE-RQ, that are named one by one.
MAX_WANTS = 16
_HOUR_S = 3600


class Rejection(NamedTuple):
    """An association request that is refused: what the peer is told, and what the record is.

    `learned`: the stanza of `room.toml` that would let it in.
    """

    answer: tuple[int, int, int]
    reason: str
    wants: tuple[str, ...] = ()
    learned: str | None = None


class Caller(NamedTuple):
    """Of an A-ASSOCIATE-RQ: who asks whom, from where, how."""

    calling: str
    called: str
    address: str
    secure: bool

    @property
    def peer(self) -> str:
        """As it stands in the record."""
        return f"{self.calling or '?'} @ {self.address}"


class Access:
    """The list of peers, and the limits that each of them has."""

    def __init__(self, settings: CarmSettings, clock: Clock) -> None:
        self._ae_title, self._learn, self._limits = settings.ae_title, settings.learn, settings.limits
        self._rules = [(rule, ipaddress.ip_network(rule.address)) for rule in settings.peers]
        self.quota = Quota(settings.limits.bytes_per_hour, clock)

    def refuse_connection(self, address: str, others: Collection[str]) -> str | None:
        """None, or why this connection is closed at once. `others`: addresses of those that are open."""
        same = sum(other == address for other in others)
        if not any(self._rules_for(address)):
            if not self._learn:
                return "the address is not on the list of peers"
            if sum(not any(self._rules_for(other)) for other in others) >= MAX_STRANGERS:
                return f"{MAX_STRANGERS} strangers are being heard already"
        if same >= self._limits.connections_per_address:
            return f"{same} connections from this address already"
        if len(others) >= MAX_SOCKETS:
            return f"{len(others)} connections already"
        return None

    def refuse(self, caller: Caller, request: Any, established: Collection[str]) -> Rejection | None:
        """None, or why this association request is rejected. `established`: the peers of the associations there are.

        `request`: pynetdicom's A_ASSOCIATE, for what the caller wants.
        """
        fitting = [rule for rule in self._rules_for(caller.address) if rule.ae_title.strip() == caller.calling]
        if not fitting:
            reason = "the calling AE title is not on the list for this address"
            if not self._learn:
                return Rejection(CALLING_UNKNOWN, reason)
            return Rejection(CALLING_UNKNOWN, reason, wants(request), stanza(caller))
        if not caller.secure and all(rule.tls for rule in fitting):
            return Rejection(CALLING_UNKNOWN, "this peer is let in over TLS alone")
        if caller.called != self._ae_title:
            return Rejection(CALLED_UNKNOWN, f"the called AE title is not {self._ae_title}")
        return self._refuse_for_now(caller.peer, established)

    def _refuse_for_now(self, peer: str, established: Collection[str]) -> Rejection | None:
        same = sum(other == peer for other in established)
        if len(established) >= self._limits.associations:
            return Rejection(TOO_MANY, f"{len(established)} associations already")
        if same >= self._limits.associations_per_peer:
            return Rejection(TOO_MANY, f"{same} associations of this peer already")
        if self.quota.spent(peer):
            return Rejection(CONGESTED, self.quota.reason)
        return None

    def _rules_for(self, address: str) -> Iterator[PeerRule]:
        parsed = ipaddress.ip_address(address)
        return (rule for rule, network in self._rules if parsed in network)


class Quota:
    """Bytes an hour from each peer: a bucket that holds an hour's worth and runs dry in an hour. Not thread-safe."""

    def __init__(self, bytes_per_hour: int, clock: Clock) -> None:
        self._bytes_per_hour, self._clock = bytes_per_hour, clock
        self._levels: dict[str, tuple[float, int]] = {}  # bytes, and when that was
        self.reason = f"more than {bytes_per_hour} bytes an hour"

    def add(self, peer: str, size_bytes: int) -> None:
        """It sent so much more."""
        now_ns = self._clock.now().mono_ns
        dry = [other for other in self._levels if self._level(other, now_ns) == 0]
        for other in dry:
            del self._levels[other]
        self._levels[peer] = (self._level(peer, now_ns) + size_bytes, now_ns)

    def spent(self, peer: str) -> bool:
        """Whether nothing more is taken from it for now."""
        return self._level(peer, self._clock.now().mono_ns) >= self._bytes_per_hour

    def _level(self, peer: str, now_ns: int) -> float:
        level, at_ns = self._levels.get(peer, (0.0, now_ns))
        return max(0.0, level - (now_ns - at_ns) / NS * self._bytes_per_hour / _HOUR_S)


def stanza(caller: Caller) -> str | None:
    """What to write into `room.toml`; None where the AE title is none that may stand there (PS3.5 6.2: no control
    characters, no backslash)."""
    title = caller.calling
    if not title or "\\" in title or not all(" " <= character <= "~" for character in title):
        return None
    lines = ["[[carm.peer]]", f"ae_title = {json.dumps(title)}", f"address = {json.dumps(caller.address)}"]
    return "\n".join(lines + (["tls = true"] if caller.secure else []))


def wants(request: Any) -> tuple[str, ...]:
    """The services that an A-ASSOCIATE-RQ asks for, each with the number of its presentation contexts."""
    kinds = Counter(_kind(context) for context in request.presentation_context_definition_list)
    named = kinds.most_common(MAX_WANTS)
    rest = sum(kinds.values()) - sum(count for _, count in named)
    return tuple(f"{kind}: {count}" for kind, count in named) + ((f"others: {rest}",) if rest else ())


def _kind(context: Any) -> str:
    """The standard's name of a service; what it does not name is not repeated: a peer may write anything there."""
    uid = UID(str(context.abstract_syntax or ""))
    if uid in storage_classes():
        return "Storage"
    known = uid.name != uid and uid.type == "SOP Class"
    return uid.name.removesuffix(" SOP Class") if known else "a SOP class that the standard does not name"
