"""Cutting a stream of MQTT into control packets (MQTT 3.1.1 and 5, section 2).

    TF LL [LL [LL [LL]]] ...

    T   type of the packet            F   flags
    LL  length of what follows, seven bits a byte, lowest first; the top bit says that another one comes

Rules:
- What a page sends comes in pieces of any size: a WebSocket frame is no packet.
- A packet that is too long is refused as soon as its length is known, before it is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

LENGTH_MAX_BYTES = 4  # 2.2.3: at most 268,435,455


class Kind(IntEnum):
    """Types of control packets that a client sends (2.2.1)."""

    CONNECT = 1
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    UNSUBSCRIBE = 10
    PINGREQ = 12
    DISCONNECT = 14


class Malformed(ValueError):
    """These bytes are no MQTT, or more of it than is taken."""


class Packet:
    """One whole packet: its octets, and what is in it. `kind` is no `Kind` where a client may not send it."""

    def __init__(self, octets: bytes, body_at: int) -> None:
        self.octets, self.body, self.kind, self.flags = octets, octets[body_at:], octets[0] >> 4, octets[0] & 0x0F


class Splitter:
    """Fed with bytes, gives whole packets. `max_bytes`: of the next packet, its header included."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Packet]:
        """The packets that are whole now. Malformed ends the stream."""
        self._buffer += chunk
        while (sizes := self._sizes()) is not None:
            start, size = sizes
            if size > self.max_bytes:
                raise Malformed(f"a packet of {size} bytes; at most {self.max_bytes} are taken")
            if len(self._buffer) < size:
                return
            octets = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield Packet(octets, start)

    def _sizes(self) -> tuple[int, int] | None:
        """Where the body of the next packet begins, and where it ends; None while that is not known."""
        length = 0
        for place, byte in enumerate(self._buffer[1 : 1 + LENGTH_MAX_BYTES]):
            length |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return place + 2, place + 2 + length
        if len(self._buffer) > LENGTH_MAX_BYTES:
            raise Malformed("the length of a packet has more than four bytes")
        return None


class Fields:
    """Reading the fields of a packet's body from its beginning. Malformed where it ends too early."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def octets(self, size: int) -> bytes:
        """The next `size` bytes."""
        found = self._body[self._at : self._at + size]
        if len(found) < size:
            raise Malformed("a packet ends in the middle of a field")
        self._at += size
        return found

    def number(self, size: int) -> int:
        """Big-endian."""
        return int.from_bytes(self.octets(size), "big")

    def binary(self) -> bytes:
        """With two bytes of length before it (1.5.6)."""
        return self.octets(self.number(2))

    def text(self) -> str:
        """UTF-8 with two bytes of length before it (1.5.4)."""
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as error:
            raise Malformed("a text is not UTF-8") from error
        if "\0" in text:
            raise Malformed("a text holds U+0000")
        return text

    def varied(self) -> int:
        """A length of one to four bytes (1.5.5)."""
        value = 0
        for place in range(LENGTH_MAX_BYTES):
            byte = self.number(1)
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value
        raise Malformed("a length has more than four bytes")

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._body)


def binary(octets: bytes) -> bytes:
    """With two bytes of length before it."""
    return struct.pack(">H", len(octets)) + octets


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """A whole packet."""
    return bytes([kind << 4 | flags]) + varied(len(body)) + body


def varied(value: int) -> bytes:
    """One to four bytes, seven bits each."""
    octets = bytearray()
    while True:
        value, low = divmod(value, 128)
        octets.append(low | (0x80 if value else 0))
        if not value:
            return bytes(octets)
