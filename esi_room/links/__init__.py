"""The lines to the devices: serial ports and serial device servers. The only files that know pyserial.

    /dev/serial/by-id/usb-FTDI_…   a serial port of this machine (or a pty)          tty.py
    socket://host:port             a device server that passes plain bytes           tcp.py
    rfc2217://host:port            a device server that can set the line, too        rfc2217.py

Rules:
- A line that cannot be opened or is gone is a `LinkError`, whose text says what to do about it.
- A chunk is stamped when it is read, before anything else looks at it.
- `Link.read` may be cancelled at any moment (a timeout) without losing a byte.
- Nothing here blocks the event loop: what the kernel or pyserial may take long over has a thread of its own.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from esi_room.clock import Clock
from esi_room.errors import LinkError
from esi_room.line import LineSettings
from esi_room.links.link import Link, ListenOnly
from esi_room.links.rfc2217 import open_rfc2217
from esi_room.links.tcp import open_tcp
from esi_room.links.tty import open_tty

__all__ = ["Link", "check_port", "open_link"]

ALLOWED = "a device path (/dev/serial/by-id/…), socket://host:port or rfc2217://host:port"


def check_port(port: str) -> str | None:
    """What is wrong with this port as it is written, and what is allowed; None if nothing is."""
    if port.startswith("/"):
        return None
    scheme = port.partition("://")[0]
    if scheme not in ("socket", "rfc2217") or "://" not in port:
        return f"{port!r} is no port: allowed are {ALLOWED}"
    try:
        url = urlsplit(port)
        extra = url.path or url.query or url.fragment or url.username
        complete = bool(url.hostname and url.port) and not extra
    except ValueError:
        complete = False
    return None if complete else f"{port!r} is no address: write {scheme}://host:port, and nothing else"


async def open_link(port: str, line: LineSettings, clock: Clock, *, listen_only: bool = False) -> Link:
    """Open `port`. LinkError: it is absent, busy, not permitted, no serial port, or nobody answers.

    `line` sets a serial port or what an RFC 2217 server has; a `socket://` server is set on its own pages.
    `listen_only`: nothing is ever written; `write` refuses. `clock` stamps what is read.
    """
    problem = check_port(port)
    if problem is not None:
        raise LinkError(problem)
    link = await _open(port, line, clock)
    return ListenOnly(link) if listen_only else link


async def _open(port: str, line: LineSettings, clock: Clock) -> Link:
    if port.startswith("/"):
        return await open_tty(port, line, clock)
    url = urlsplit(port)
    host, number = str(url.hostname), int(url.port or 0)
    if url.scheme == "socket":
        return await open_tcp(host, number, clock)
    return await open_rfc2217(host, number, line, clock)
