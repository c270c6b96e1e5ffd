"""What of a page's packets may pass to the broker, once it is connected.

Rules:
- What a role may read and write the broker decides (`outputs.access`, `config/mosquitto.acl`).
- A page's answers are its own: where the broker has no rule like Mosquitto's `reply/%c`, nobody else would keep it from
  subscribing to another's (`esi/<room>/reply/<client>`). Nor is anything of the broker's own (`$...`) for pages.
- Whole packets pass, octet for octet, and only of the kinds that a client has a use for after its CONNECT.
"""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.display.mqtt.connect import V5, Connect
from esi_room.display.mqtt.packets import Fields, Kind, Malformed, Packet

MAX_BYTES = 128 << 10  # of a packet: a command is at most 64 KiB
PASSING = frozenset(Kind) - {Kind.CONNECT}


class Door:
    """One page's."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def check(self, packet: Packet) -> None:
        """Malformed where this packet may not pass."""
        if packet.kind not in PASSING:
            raise Malformed(f"a packet of kind {packet.kind} after the CONNECT")
        if packet.kind == Kind.SUBSCRIBE:
            for wanted in self._filters(packet):
                _, _, kind, owner, *_ = [*wanted.split("/"), "", "", "", ""]
                if wanted.startswith("$") or (kind == "reply" and owner != self._connect.client):
                    raise Malformed(f"{self._connect.client} may not subscribe to {wanted[:100]}")

    def _filters(self, packet: Packet) -> Iterator[str]:
        fields = Fields(packet.body)
        fields.number(2)  # packet identifier
        if self._connect.level == V5:
            fields.octets(fields.varied())
        while not fields.ended:
            yield fields.text()
            fields.number(1)  # options
