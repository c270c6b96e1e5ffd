"""Serial ports, over ptys: a pty is a tty in all but parity and modem lines."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from esi_room.clock import SystemClock
from esi_room.errors import LinkError
from esi_room.line import LineSettings
from esi_room.links import check_port, open_link
from esi_room.links import tty as tty_link

LINE = LineSettings(baud=19200, parity="even", rtscts=True)
CLOCK = SystemClock()


class Pty:
    """The device's end of a serial line."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self.slave: int | None = slave  # keeps the line up while nobody has it open

    def send(self, octets: bytes) -> None:
        os.write(self.master, octets)

    def received(self) -> bytes:
        return os.read(self.master, 65536)

    def hang_up(self) -> None:
        for descriptor in (self.slave, self.master):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self.slave, self.master = None, -1


@pytest.fixture
def pty() -> Iterator[Pty]:
    line = Pty()
    yield line
    line.hang_up()


async def test_bytes_both_ways_stamped_at_the_read(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK)
    before = CLOCK.now()
    pty.send(b"\x7e\x00\x11\x13\xff")
    octets, stamp = await link.read()
    assert octets == b"\x7e\x00\x11\x13\xff"
    assert before.mono_ns <= stamp.mono_ns <= CLOCK.now().mono_ns
    await link.write(b"?\r")
    assert pty.received() == b"?\r"
    await link.close()
    await link.close()


async def test_the_line_is_set_as_asked(pty: Pty) -> None:
    link = await open_link(pty.path, LineSettings(baud=38400, stop_bits=2, rtscts=True, rts=True, dtr=False), CLOCK)
    iflag, oflag, cflag, lflag, _, speed, _ = termios.tcgetattr(pty.master)
    assert speed == termios.B38400
    assert cflag & termios.CSTOPB
    assert cflag & termios.CRTSCTS
    assert not lflag & (termios.ECHO | termios.ICANON)
    assert not iflag & (termios.IXON | termios.ICRNL)
    assert not oflag & termios.OPOST
    assert link.description == f"{pty.path} at 38400 8N2 RTS/CTS"
    await link.close()


async def test_a_read_that_is_cancelled_loses_nothing(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK)
    got = b""
    for byte in b"0123456789":
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                got += (await link.read())[0]
        pty.send(bytes([byte]))
        await asyncio.sleep(0)
    while len(got) < 10:
        got += (await link.read())[0]
    assert got == b"0123456789"
    await link.close()


async def test_unplugged_while_reading(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK)
    pty.send(b"half a fra")
    assert (await link.read())[0] == b"half a fra"
    asyncio.get_running_loop().call_later(0.02, pty.hang_up)
    with pytest.raises(LinkError, match="unplugged"):
        await link.read()
    with pytest.raises(LinkError, match="unplugged"):
        await link.write(b"x")
    await link.close()


async def test_a_by_id_link_is_followed_anew_at_every_open(pty: Pty, tmp_path: Path) -> None:
    by_id = tmp_path / "usb-FTDI_A1-if00-port0"
    by_id.symlink_to(pty.path)
    link = await open_link(str(by_id), LINE, CLOCK)
    await link.close()
    other = Pty()
    by_id.unlink()
    by_id.symlink_to(other.path)
    link = await open_link(str(by_id), LINE, CLOCK)
    other.send(b"other")
    assert (await link.read())[0] == b"other"
    await link.close()
    other.hang_up()


async def test_a_port_that_is_open_elsewhere_is_busy(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK)
    with pytest.raises(LinkError, match=rf"{pty.path} is busy.*fuser -v"):
        await open_link(pty.path, LINE, CLOCK)
    await link.close()
    again = await open_link(pty.path, LINE, CLOCK)  # the lock and TIOCEXCL went with the link
    await again.close()


async def test_nobody_else_but_root_may_open_it_meanwhile(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK)
    locked = bytearray(4)
    fcntl.ioctl(pty.slave, 0x80045440, locked)  # TIOCGEXCL, Linux 3.8
    assert locked != bytes(4)
    await link.close()  # it would stay on while the tty is open elsewhere, as it is in this test
    fcntl.ioctl(pty.slave, 0x80045440, locked)
    assert locked == bytes(4)


async def test_what_nobody_takes_ends_in_words(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tty_link, "WRITE_TIMEOUT_S", 0.1)
    link = await open_link(pty.path, LINE, CLOCK)
    with pytest.raises(LinkError, match="flow control"):
        await link.write(bytes(100_000))
    await link.close()


async def test_a_long_write_is_finished_when_there_is_room(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK)
    octets = bytes(range(256)) * 200
    writing = asyncio.create_task(link.write(octets))
    got = bytearray()
    while len(got) < len(octets):
        got += await asyncio.to_thread(pty.received)
    assert got == octets
    await writing
    await link.close()


async def test_listen_only_never_writes(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK, listen_only=True)
    with pytest.raises(LinkError, match="listen_only"):
        await link.write(b"STA\r")
    pty.send(b"still read")
    assert (await link.read())[0] == b"still read"
    os.set_blocking(pty.master, False)
    with pytest.raises(BlockingIOError):
        pty.received()
    await link.close()


async def test_closing_ends_a_read_that_waits(pty: Pty) -> None:
    link = await open_link(pty.path, LINE, CLOCK)
    reading = asyncio.create_task(link.read())
    await asyncio.sleep(0)
    await link.close()
    with pytest.raises(LinkError, match="closed"):
        await reading
    with pytest.raises(LinkError, match="closed"):
        await link.read()
    with pytest.raises(LinkError, match="closed"):
        await link.write(b"x")


async def test_opened_after_everybody_left_is_closed_again(pty: Pty) -> None:
    opening = asyncio.create_task(open_link(pty.path, LINE, CLOCK))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(5):
        while True:
            try:
                link = await open_link(pty.path, LINE, CLOCK)
                break
            except LinkError:
                await asyncio.sleep(0.01)
    await link.close()


async def test_an_absent_port_names_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LinkError, match=r"no-such does not exist.*no USB serial adapter is plugged in"):
        await open_link(str(tmp_path / "no-such"), LINE, CLOCK)
    (tmp_path / "usb-Prolific_B2").touch()
    monkeypatch.setattr(tty_link, "BY_ID", tmp_path)
    with pytest.raises(LinkError, match=r"plugged in: .*usb-Prolific_B2"):
        await open_link(str(tmp_path / "no-such"), LINE, CLOCK)
    (tmp_path / "usb-FTDI_A1").symlink_to("/dev/ttyNONE7")
    with pytest.raises(LinkError, match=r"usb-FTDI_A1 points to /dev/ttyNONE7, which does not exist"):
        await open_link(str(tmp_path / "usb-FTDI_A1"), LINE, CLOCK)


async def test_what_is_no_serial_port_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", Path("/dev/null")):
        with pytest.raises(LinkError, match=f"{path} is no serial port"):
            await open_link(str(path), LINE, CLOCK)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, r"no permission .*must be in group \w+ \(`usermod -aG"),
        (errno.EBUSY, "is busy"),
        (errno.EIO, "unplugged or lost its power"),
        (errno.EMFILE, "Too many open files"),
    ],
)
async def test_what_the_kernel_says_comes_out_as_what_to_do(
    pty: Pty, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    real = os.open

    def refuse(path: str, flags: int, *more: int, **named: int) -> int:
        if path == pty.path:
            raise OSError(code, os.strerror(code))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(LinkError, match=words):
        await open_link(pty.path, LINE, CLOCK)


async def test_settings_that_the_port_does_not_take(pty: Pty) -> None:
    with pytest.raises(LinkError, match="cannot be opened at -1 8N1"):
        await open_link(pty.path, LineSettings(baud=-1), CLOCK)


@pytest.mark.parametrize("port", ["/dev/ttyUSB0", "socket://10.0.0.7:4001", "rfc2217://[::1]:2217"])
def test_ports_that_are_well_written(port: str) -> None:
    assert check_port(port) is None


@pytest.mark.parametrize(
    "port",
    [
        "COM3",
        "ttyUSB0",
        "loop://",
        "spy:///dev/ttyUSB0",
        "socket:",
        "socket://",
        "socket://host",
        "socket://host:notaport",
        "socket://host:99999",
        "socket://host:4001/path",
        "rfc2217://host:4001?logging=debug",
        "",
    ],
)
async def test_ports_that_are_not(port: str) -> None:
    problem = check_port(port)
    assert problem is not None
    assert "://host:port" in problem
    with pytest.raises(LinkError):
        await open_link(port, LINE, CLOCK)
