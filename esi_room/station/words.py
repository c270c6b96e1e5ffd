"""The watchdog's findings in words: somebody stands before the device with a screwdriver and reads this."""

from __future__ import annotations

from esi_room.clock import NS

SAMPLE_BYTES = 256  # of what arrives, to judge it by
_MOSTLY = 0.9  # of the bytes: text lines carry a few flipped or foreign ones
_TEXT = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))


def span(duration_ns: int) -> str:
    """`0.4 s`, `35 s`, `12 min`, `3.5 h`."""
    seconds = duration_ns / NS
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def silent(silence_ns: int) -> str:
    """No byte came."""
    return f"no bytes for {span(silence_ns)}: device off, cable unplugged, or its output not switched on"


def unframed(count: int, since_ns: int, sample: bytes) -> str:
    """`count` bytes came within `since_ns`, and none of them made a frame."""
    return f"bytes arrive but none make a frame: {_cause(sample)} ({count} bytes in {span(since_ns)})"


def _cause(sample: bytes) -> str:
    if _share(sample) >= _MOSTLY:
        return "readable text, so the line settings are right: another device or output format on the port"
    if _share(bytes(byte & 0x7F for byte in sample)) >= _MOSTLY:
        return "text once bit 7 is ignored: wrong parity or data bits"
    return "wrong baud/parity, or another device on the port"


def _share(octets: bytes) -> float:
    """Of readable characters."""
    return sum(byte in _TEXT for byte in octets) / len(octets) if octets else 0.0
