"""The first packet of a page: CONNECT, read and written anew (MQTT 3.1.1 and 5, section 3.1).

    00 04 4D 51 54 54 VV FF KK KK [PP ...] NN NN client id [will ...] [user name] [password]

    VV  4: MQTT 3.1.1, 5: MQTT 5      FF  flags       KK  keep alive, in seconds
    PP  MQTT 5: length of the properties, and they

Rules:
- Who a page is to the broker is not the page's to say: a user name and a password of its own are dropped, those of
  its session put in. So no password of the broker's reaches a browser.
- A client id names the topic of its owner's answers: it must begin with what its session was told.
- No session outlives its connection: nobody can take up another's subscriptions, and none pile up at the broker.
- No will: what a page has to say it says while it is there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from esi_room.display.mqtt.packets import Fields, Kind, Malformed, Packet, binary, packet, varied

MAX_BYTES = 4096  # of a whole CONNECT: a page's own has about 40
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
V3, V5 = 4, 5

_USER, _PASSWORD, _WILL, _CLEAN = 0x80, 0x40, 0x04, 0x02
_WILL_PARTS = 0x38  # retain and QoS of a will
# Properties of a MQTT 5 CONNECT that may pass, with their sizes in bytes (3.1.2.11): receive maximum, topic alias
# maximum, maximum packet size, request response and problem information.
_PASSING = {0x21: 2, 0x22: 2, 0x27: 4, 0x19: 1, 0x17: 1}
_EXPIRY, _USER_PROPERTY = 0x11, 0x26  # session expiry interval: dropped; user properties: dropped


class Refused(Exception):
    """This page gets no connection. `answer`: the CONNACK that says so."""

    def __init__(self, answer: bytes, words: str) -> None:
        super().__init__(words)
        self.answer = answer


class Connect(NamedTuple):
    """What a page asks for."""

    level: int
    keep_alive_s: int
    properties: bytes
    client: str


def read(first: Packet, prefix: str) -> Connect:
    """The page's CONNECT, whose client id must begin with `prefix`. Refused or Malformed: it gets no connection."""
    if first.kind != Kind.CONNECT or first.flags:
        raise Malformed("the first packet is no CONNECT")
    fields = Fields(first.body)
    if fields.binary() != b"MQTT":
        raise Malformed("the protocol is not MQTT 3.1.1 or 5")
    level, flags, keep_alive_s = fields.number(1), fields.number(1), fields.number(2)
    if level not in (V3, V5):
        raise Refused(connack(V3, 0x01), f"protocol level {level}; 4 (MQTT 3.1.1) and 5 are spoken here")
    if flags & 0x01 or (not flags & _WILL and flags & _WILL_PARTS):
        raise Malformed("reserved flags are set")
    properties = _properties(fields) if level == V5 else b""
    client = fields.text()
    if flags & _WILL:
        raise Refused(connack(level, 0x87 if level == V5 else 0x05), "pages leave no will")
    for flag in (_USER, _PASSWORD):
        if flags & flag:
            fields.binary()
    if not fields.ended:
        raise Malformed("a CONNECT goes on after its end")
    if CLIENT_ID.fullmatch(client) is None or not client.startswith(f"{prefix}-"):
        raise Refused(connack(level, 0x85 if level == V5 else 0x02), f"a client id must begin with {prefix}-")
    return Connect(level, keep_alive_s, properties, client)


def write(connect: Connect, login: tuple[str, str] | None) -> bytes:
    """The CONNECT for the broker."""
    flags = _CLEAN | (_USER | _PASSWORD if login is not None else 0)
    body = binary(b"MQTT") + bytes([connect.level, flags]) + connect.keep_alive_s.to_bytes(2, "big")
    if connect.level == V5:
        body += varied(len(connect.properties)) + connect.properties
    for text in (connect.client, *(login or ())):
        body += binary(text.encode())
    return packet(Kind.CONNECT, 0, body)


def connack(level: int, code: int) -> bytes:
    """A refusing CONNACK."""
    return bytes([0x20, 3, 0, code, 0] if level == V5 else [0x20, 2, 0, code])


def _properties(fields: Fields) -> bytes:
    """Those that may pass, as they came."""
    inner = Fields(fields.octets(fields.varied()))
    passing = b""
    while not inner.ended:
        name = inner.number(1)
        if name in _PASSING:
            passing += bytes([name]) + inner.octets(_PASSING[name])
        elif name == _EXPIRY:
            inner.octets(4)
        elif name == _USER_PROPERTY:
            inner.binary(), inner.binary()
        else:  # authentication of MQTT 5's own among them
            raise Malformed(f"property 0x{name:02X} has no place in a page's CONNECT")
    return passing
