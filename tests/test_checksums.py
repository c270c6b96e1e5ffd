"""Checksums against their published check values, and against the frames of the vectors."""

from __future__ import annotations

from esi_room.checksums import crc16_xmodem, sum8


def test_crc16_xmodem_has_its_check_value() -> None:
    assert crc16_xmodem(b"123456789") == 0x31C3


def test_crc16_xmodem_of_the_manuals_example() -> None:
    assert crc16_xmodem(b"SAF0") == 0x5543


def test_sum8_wraps() -> None:
    assert sum8(b"") == 0
    assert sum8(b"\xff\x02") == 1
