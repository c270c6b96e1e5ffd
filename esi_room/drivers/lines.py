"""Lines of text as frames, for the devices that print and have no checksum.

Only the line's pattern stands between noise and the record, so a line is a frame when it fits the driver's
pattern to the last character, and junk otherwise: never mended, never searched for something that fits.
"""

from __future__ import annotations

from collections.abc import Callable

from esi_room.framing import NEED_MORE, Grammar, Skip, Take, Verdict

Fault = Callable[[bytes], str | None]
"""Why this line, without its line end, is not one of the device's; None if it is."""

END = b"\n"


def line_grammar(fault: Fault) -> Grammar:
    """Lines ended by LF or CR LF. Blank lines are junk as well: no device here prints any."""

    def judge(window: bytes) -> Verdict:
        size = window.find(END) + 1
        if not size:
            return NEED_MORE
        reason = fault(stripped(window[:size]))
        return Take(size) if reason is None else Skip(size, reason)

    return judge


def stripped(line: bytes) -> bytes:
    """The line without its line end and the blanks before it."""
    return line.rstrip(b"\r\n").rstrip(b" ")


def is_text(line: bytes) -> bool:
    """Printable ASCII and nothing else."""
    return all(0x20 <= octet < 0x7F for octet in line)
