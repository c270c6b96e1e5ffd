"""A serial line: a pty whose other end is found behind a symlink, as a USB adapter is behind /dev/serial/by-id.

What makes it a line and not a pipe (each measured on Linux against pyserial):
- Octets leave at the baud rate, in chunks of 1 to 64, wherever that splits a frame.
- Nobody waits for a reader: what the client does not take is lost, and so is what is sent while nobody listens.
- The client's baud rate is looked at: with the wrong one it receives garbage and its own octets are not understood.
- `unplug` gives the client an EOF on read and EIO on write and takes the name away; `replug` gives another pts
  under the same name.
A pty has no parity and no modem lines: those need a real pair of ports.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import termios
import time
import tty
from pathlib import Path
from random import Random
from typing import NamedTuple

from simulators.faults import Faults

CHUNK_MAX_BYTES = 64  # what a USB adapter delivers in one packet
READ_MAX_BYTES = 4096
BUSY_POLL_S = 0.005  # how soon an octet of a client is noticed, about ten octets' time at 19200 baud
IDLE_POLL_S = 0.02  # the same while no client has the port open
UNSET_BAUD = 9600  # what Linux gives a serial port nobody has configured
BAUD_CODES = {
    baud: getattr(termios, f"B{baud}")
    for baud in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)
}
OUTPUT_SPEED = 5  # index in what tcgetattr returns


class Sent(NamedTuple):
    """What became of a frame. `damage` names the faults of the line; `delivered` is False where octets were lost."""

    damage: list[str]
    delivered: bool
    first_mono_ns: int


class SerialEnd:
    """The device's end of the line. One task reads, any number send (a UART sends one frame after the other)."""

    def __init__(
        self, path: Path, *, baud: int, bits_per_byte: int = 10, seed: int = 0, faults: Faults | None = None
    ) -> None:
        self.path = path
        self.baud = baud
        self.faults = faults or Faults()
        self.rng = Random(seed)
        self.lost_bytes = 0
        """Octets that nobody took."""
        self._byte_s = bits_per_byte / baud
        self._sending = asyncio.Lock()
        self._line_free_s = 0.0
        self._master: int | None = None
        self._next: tuple[int, str] | None = None
        """The pty that the next `replug` shows."""
        self.replug()

    @property
    def plugged(self) -> bool:
        """Whether the port exists on the host."""
        return self._master is not None

    @property
    def listening(self) -> bool:
        """Whether a client has the port open."""
        if self._master is None:
            return False
        poll = select.poll()
        poll.register(self._master, 0)
        return not poll.poll(0)

    @property
    def baud_matches(self) -> bool:
        """Whether the client's baud rate is the device's."""
        if self._master is None:
            return False
        return bool(termios.tcgetattr(self._master)[OUTPUT_SPEED] == BAUD_CODES[self.baud])

    def replug(self) -> None:
        """A new port behind the same name. Does nothing if it is plugged in."""
        if self._master is None:
            self._master, target = self._next or _open_pty()
            self._next = None
            self._point_at(target)

    def unplug(self) -> None:
        """The adapter is gone: no name, and the client's file is dead. Does nothing if it is out already."""
        if self._master is not None:
            self._next = _open_pty()  # while the old one is there, so that the next has another number
            self.path.unlink(missing_ok=True)
            os.close(self._master)
            self._master = None

    def close(self) -> None:
        """The simulator ends: unplugged for good."""
        self.unplug()
        if self._next is not None:
            os.close(self._next[0])
            self._next = None

    async def read(self) -> bytes:
        """The next octets from the client; waits through unplugging. Octets at the wrong baud rate are dropped."""
        while True:
            chunk = self._read_now()
            if chunk and self.baud_matches:
                return chunk
            # Polling, because a pty that no client has open keeps an event loop busy with hang-ups.
            await asyncio.sleep(BUSY_POLL_S if self.listening else IDLE_POLL_S)

    def discard_input(self) -> bytes:
        """Take and return what came in and was not read: a device that is busy does not hear."""
        octets = b""
        while chunk := self._read_now():
            octets += chunk
        return octets

    async def send(self, octets: bytes) -> Sent:
        """Send a frame at the pace of the line; returns when its last octet is out."""
        async with self._sending:
            spoilt, damage = self.faults.spoil(octets, self.rng)
            first_mono_ns = time.monotonic_ns()
            self._line_free_s = max(self._line_free_s, time.monotonic())
            delivered = True
            position = 0
            while position < len(spoilt):
                chunk = spoilt[position : position + self.rng.randint(1, CHUNK_MAX_BYTES)]
                position += len(chunk)
                self._line_free_s += len(chunk) * self._byte_s
                await asyncio.sleep(self._line_free_s - time.monotonic())
                delivered &= self._write_now(chunk)
            return Sent(damage, delivered, first_mono_ns)

    def _read_now(self) -> bytes:
        if self._master is None:
            return b""
        try:
            return os.read(self._master, READ_MAX_BYTES)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):  # nothing there; no client
                raise
            return b""

    def _write_now(self, chunk: bytes) -> bool:
        """Hand a chunk to the client. False where it, or a part of it, was lost or could not be understood."""
        if self._master is None or not self.listening:
            self.lost_bytes += len(chunk)
            return False
        understood = self.baud_matches
        try:
            taken = os.write(self._master, chunk if understood else self.rng.randbytes(len(chunk)))
        except BlockingIOError:
            taken = 0
        self.lost_bytes += len(chunk) - taken
        return understood and taken == len(chunk)

    def _point_at(self, target: str) -> None:
        """Make the symlink, replacing what a killed simulator left. Nothing else is ever replaced."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_symlink():
            self.path.unlink()
        self.path.symlink_to(target)


def _open_pty() -> tuple[int, str]:
    """The master of a new pty, set up as a serial port nobody has configured, and the name of its slave."""
    master, slave = os.openpty()
    tty.setraw(slave)
    attributes = termios.tcgetattr(slave)
    attributes[4] = attributes[5] = BAUD_CODES[UNSET_BAUD]
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    name = os.ttyname(slave)
    os.close(slave)  # from now on the kernel tells whether a client has the port open
    os.set_blocking(master, False)
    return master, name
