"""A serial port of this machine, by its device path; a pty just as well.

pyserial opens it and sets the line; reading and writing is ours, on its non-blocking descriptor, woken by the
loop: the stamp is taken in the callback that reads.

- A `by-id` path is a symlink and is followed anew at every open: after a replug it may name another tty.
- pyserial's lock (flock) stops those who ask for it; TIOCEXCL stops everybody else but root.
- An unplugged adapter reads as end of file or EIO and writes as EIO; a pty refuses the modem lines with ENOTTY,
  which pyserial tolerates while it opens.
- Opening and closing talk to the adapter and may take seconds when it is dying: they run in a thread. What was
  written and is held back by flow control is thrown away first: the kernel would wait 30 s for it in close.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import grp
import os
import stat
import termios
from collections import deque
from collections.abc import Callable
from pathlib import Path

import serial
from msgspec import structs

from esi_room.clock import Clock, Stamp
from esi_room.errors import LinkError
from esi_room.line import LineSettings
from esi_room.links.link import CHUNK_BYTES, WRITE_TIMEOUT_S, in_words
from esi_room.links.pyserial import apply
from esi_room.links.thread import in_thread

BY_ID = Path("/dev/serial/by-id")
# Unix 98 pty slaves (Documentation/admin-guide/devices.txt). A pty passes whole bytes: the kernel drops parity and
# size, and glibc's tcsetattr fails with EINVAL where they are all that was asked for (a second open).
PTY_MAJORS = range(136, 144)
NAMES_SHOWN = 4  # of the adapters that are plugged in: a room has two or three


async def open_tty(path: str, line: LineSettings, clock: Clock) -> TtyLink:
    """Open and set the port. LinkError says what to do."""
    try:
        port = await in_thread(lambda: _open(path, line), undo=_close)
    except (OSError, ValueError, termios.error) as error:
        raise LinkError(_why(error, path, line)) from error
    return TtyLink(port, path, line, clock)


class TtyLink:
    """An open serial port."""

    def __init__(self, port: serial.Serial, path: str, line: LineSettings, clock: Clock) -> None:
        self._port, self._path, self._clock = port, path, clock
        self._descriptor: int = port.fileno()
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[tuple[bytes, Stamp]] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False
        device = os.path.realpath(path)
        self.description = f"{device} at {in_words(line)}"

    async def read(self) -> tuple[bytes, Stamp]:
        while not self._inbox:
            await self._until(self._loop.add_reader, self._loop.remove_reader, self._take)
        return self._inbox.popleft()

    async def write(self, octets: bytes) -> None:
        rest = memoryview(octets)
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                while rest := rest[self._write_some(rest) :]:
                    await self._until(self._loop.add_writer, self._loop.remove_writer, _ready)
        except TimeoutError as error:
            raise LinkError(f"{self._path} takes no bytes: flow control (CTS or XOFF) holds them back") from error

    async def close(self) -> None:
        if self._closed:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(LinkError(f"{self._path} was closed"))
        await in_thread(lambda: _close(self._port))

    async def _until(
        self,
        add: Callable[..., None],
        remove: Callable[[int], bool],
        callback: Callable[[asyncio.Future[None]], None],
    ) -> None:
        """Wait until the descriptor is ready and `callback` has resolved the future it is given."""
        if self._closed:
            raise LinkError(f"{self._path} is closed")
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(done)
        add(self._descriptor, callback, done)
        try:
            await done
        finally:
            self._waiting.discard(done)
            if not self._closed:  # else the number may be another link's by now
                remove(self._descriptor)

    def _take(self, done: asyncio.Future[None]) -> None:
        if done.done():
            return
        try:
            octets = os.read(self._descriptor, CHUNK_BYTES)
            stamp = self._clock.now()
        except BlockingIOError:
            return
        except OSError as error:
            done.set_exception(self._gone(error))
            return
        if octets:
            self._inbox.append((octets, stamp))
            done.set_result(None)
        else:
            done.set_exception(self._gone(None))

    def _write_some(self, octets: memoryview) -> int:
        if self._closed:
            raise LinkError(f"{self._path} is closed")
        try:
            return os.write(self._descriptor, octets)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError | None) -> LinkError:
        why = f" ({error.strerror})" if error is not None else ""
        return LinkError(f"{self._path} is gone: the adapter was unplugged or lost its power{why}")


def _ready(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _open(path: str, line: LineSettings) -> serial.Serial:
    device = Path(os.path.realpath(path))
    found = device.stat()
    if not stat.S_ISCHR(found.st_mode):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    port = serial.Serial(timeout=0, write_timeout=0, exclusive=True)
    if os.major(found.st_rdev) in PTY_MAJORS:
        line = structs.replace(line, data_bits=8, parity="none")
    apply(line, port)
    port.port = str(device)
    port.open()
    try:
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    except OSError:
        _close(port)
        raise
    return port


def _close(port: serial.Serial) -> None:
    descriptor = port.fileno()
    # Both fail on an adapter that is gone. TIOCNXCL: while somebody else holds the tty open, TIOCEXCL would stay.
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(descriptor, termios.TCOFLUSH)
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, termios.TIOCNXCL)
    with contextlib.suppress(OSError):
        port.close()


def _why(error: Exception, path: str, line: LineSettings) -> str:
    """What is wrong with the port and what to do."""
    code = _errno(error)
    if code == errno.ENOENT:
        return _why_absent(path)
    if code in (errno.EACCES, errno.EPERM):
        return _why_forbidden(path)
    if code in (errno.EBUSY, errno.EWOULDBLOCK):
        return f"{path} is busy: another program has it open (`fuser -v {path}` says which)"
    if code in (errno.ENOTTY, errno.EISDIR):
        return f"{path} is no serial port"
    if code in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return f"{path} does not answer: the adapter was unplugged or lost its power ({os.strerror(code)})"
    return f"{path} cannot be opened at {in_words(line)}: {error}"


def _errno(error: BaseException) -> int | None:
    """pyserial wraps some errors without their number, and lets termios.error (no OSError) through."""
    if isinstance(error, termios.error):
        return int(error.args[0])
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    return _errno(error.__context__) if error.__context__ is not None else None


def _why_absent(path: str) -> str:
    names = sorted(entry.name for entry in BY_ID.iterdir()) if BY_ID.is_dir() else []
    shown = ", ".join(str(BY_ID / name) for name in names[:NAMES_SHOWN])
    plugged = f"plugged in: {shown}" if shown else "no USB serial adapter is plugged in"
    if Path(path).is_symlink():
        return f"{path} points to {os.path.realpath(path)}, which does not exist; {plugged}"
    return f"{path} does not exist: is the adapter plugged in? {plugged}"


def _why_forbidden(path: str) -> str:
    """Serial ports belong to a group (`dialout` on Debian, `uucp` on Arch), and users join it."""
    try:
        number = Path(path).stat().st_gid
    except OSError:
        return f"no permission for {path}"
    try:
        group = grp.getgrgid(number).gr_name
    except KeyError:
        group = str(number)
    return f"no permission for {path}: the user of this daemon must be in group {group} (`usermod -aG {group} USER`)"
