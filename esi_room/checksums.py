"""Pure checksums: octets in, a number out. One function a sum, named as the literature names it."""

from __future__ import annotations

import binascii


def sum8(octets: bytes) -> int:
    """Sum of all octets modulo 256 (GE DRI)."""
    return sum(octets) & 0xFF


def crc16_xmodem(octets: bytes) -> int:
    """CRC-16/XMODEM: polynomial 0x1021, initial value 0, not reflected (New Era safe mode).

    Check value: `crc16_xmodem(b"123456789") == 0x31C3`.
    """
    return binascii.crc_hqx(octets, 0)
