"""What a line to a device is, whatever carries it."""

from __future__ import annotations

from typing import Protocol

from esi_room.clock import Stamp
from esi_room.errors import LinkError
from esi_room.line import LineSettings

CHUNK_BYTES = 4096  # most that one read takes: the size of the kernel's own buffer behind a tty
WRITE_TIMEOUT_S = 3.0  # a request is below 100 bytes: a line that does not take it by then is blocked or gone


class Link(Protocol):
    """An open line. Used by one task."""

    @property
    def description(self) -> str:
        """What was opened, and how it is set."""

    async def read(self) -> tuple[bytes, Stamp]:
        """The next bytes (at least one), stamped at the read. LinkError when the line is gone. Cancelling it
        loses nothing."""

    async def write(self, octets: bytes) -> None:
        """Send all of `octets`. LinkError when the line is gone or does not take them."""

    async def close(self) -> None:
        """Let go of the line. Never raises, and may be called twice."""


class ListenOnly:
    """A link that refuses to write: for a cable whose transmit wire nobody may trust to be cut."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.description = f"{link.description}, listening only"

    async def read(self) -> tuple[bytes, Stamp]:
        return await self._link.read()

    async def write(self, octets: bytes) -> None:
        raise LinkError(f"nothing is sent here: the port is set to listen_only ({len(octets)} bytes refused)")

    async def close(self) -> None:
        await self._link.close()


def in_words(line: LineSettings) -> str:
    """`19200 8E1 RTS/CTS`."""
    words = [str(line.baud), f"{line.data_bits}{line.parity[0].upper()}{line.stop_bits}"]
    words += ["RTS/CTS"] if line.rtscts else []
    words += ["XON/XOFF"] if line.xonxoff else []
    return " ".join(words)
