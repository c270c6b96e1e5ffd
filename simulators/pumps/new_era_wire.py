"""Framing of the New Era pumps, as the pump reads and writes it.

    basic  to the pump    [address]<command>[data] CR       blanks and control characters stripped, case ignored
           from the pump  02 <two digits of address><status>[data] 03
    safe   both ways      02 LL <the same text> CC CC 03     L: octets from itself to 03; C: CRC-16/XMODEM of the text

Octets of a safe packet that come more than 0.5 s apart discard it. Source: NE-1000 user manual #1200-01, 10.2.
"""

from __future__ import annotations

from typing import NamedTuple

STX, ETX, CR = 0x02, 0x03, 0x0D
INTER_BYTE_S = 0.5
COMMAND_MAX_BYTES = 64  # longer than any command; more without a CR is noise
SAFE_OVERHEAD = 4  # length, two octets of CRC and ETX


class Packet(NamedTuple):
    """A command with blanks stripped and in capitals. `intact` is False for a safe packet that fails its check."""

    text: str
    safe: bool
    intact: bool = True


class Receiver:
    """The pump's receive buffer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._last_s = 0.0

    def feed(self, octets: bytes, now_s: float) -> list[Packet]:
        """Take octets that came in at monotonic second `now_s`; the packets that they complete."""
        if self._in_packet and now_s - self._last_s > INTER_BYTE_S:
            self._buffer.clear()
        self._last_s = now_s
        packets = [packet for octet in octets if (packet := self._take(octet)) is not None]
        del self._buffer[COMMAND_MAX_BYTES:]
        return packets

    def clear(self) -> None:
        """Forget what was half received."""
        self._buffer.clear()

    @property
    def _in_packet(self) -> bool:
        return self._buffer[:1] == bytes((STX,))

    def _take(self, octet: int) -> Packet | None:
        if octet == STX and not self._in_packet:
            self._buffer[:] = bytes((STX,))
            return None
        if not self._in_packet and octet == CR:
            packet = Packet(_stripped(self._buffer), safe=False)
            self._buffer.clear()
            return packet
        self._buffer.append(octet)
        return self._whole_packet() if self._in_packet else None

    def _whole_packet(self) -> Packet | None:
        if len(self._buffer) < 2 or len(self._buffer) <= self._buffer[1]:
            return None
        octets = bytes(self._buffer)
        self._buffer.clear()
        text, check = octets[2:-3], octets[-3:-1]
        if octets[1] < SAFE_OVERHEAD or octets[-1] != ETX or crc16_xmodem(text) != int.from_bytes(check, "big"):
            return Packet("", safe=True, intact=False)
        return Packet(_stripped(text), safe=True)


def basic_frame(text: str) -> bytes:
    """A reply in basic mode."""
    return bytes((STX, *text.encode("ascii"), ETX))


def safe_frame(text: str, *, spoil_checksum: bool = False) -> bytes:
    """A packet in safe mode."""
    octets = text.encode("ascii")
    check = crc16_xmodem(octets) ^ spoil_checksum
    return bytes((STX, len(octets) + SAFE_OVERHEAD, *octets, check >> 8, check & 0xFF, ETX))


def crc16_xmodem(octets: bytes) -> int:
    """CRC-16 with polynomial 0x1021, starting from 0."""
    crc = 0
    for octet in octets:
        crc ^= octet << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def _stripped(octets: bytes | bytearray) -> str:
    return "".join(chr(octet) for octet in octets if 0x20 < octet < 0x7F).upper()
