"""Device servers: plain TCP, and RFC 2217 against pyserial's own server."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import serial
from serial.rfc2217 import PortManager

from esi_room.clock import SystemClock
from esi_room.errors import LinkError
from esi_room.line import LineSettings
from esi_room.links import network, open_link, tcp

LINE = LineSettings(baud=9600, data_bits=7, parity="odd", stop_bits=2)
CLOCK = SystemClock()
TCP_REPAIR = 19  # linux/tcp.h: close without a word to the peer


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


def url(server: socket.socket, scheme: str = "socket") -> str:
    return f"{scheme}://127.0.0.1:{server.getsockname()[1]}"


async def test_bytes_both_ways(listener: socket.socket) -> None:
    link = await open_link(url(listener), LINE, CLOCK)
    peer, _ = listener.accept()
    with peer:
        peer.sendall(b"\xff\xf0SpO2")
        octets, stamp = await link.read()
        assert octets == b"\xff\xf0SpO2"
        assert stamp.mono_ns <= CLOCK.now().mono_ns
        await link.write(b"\x02")
        assert peer.recv(10) == b"\x02"
        await link.close()
        assert peer.recv(10) == b""
    await link.close()


async def test_closed_by_the_peer(listener: socket.socket) -> None:
    link = await open_link(url(listener), LINE, CLOCK)
    listener.accept()[0].close()
    with pytest.raises(LinkError, match="closed the connection"):
        await link.read()
    await link.close()


async def test_reset_by_the_peer(listener: socket.socket) -> None:
    link = await open_link(url(listener), LINE, CLOCK)
    peer, _ = listener.accept()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    with pytest.raises(LinkError, match="lost: Connection reset"):
        await link.read()
    await link.close()


async def test_the_kernel_watches_for_a_dead_peer(listener: socket.socket) -> None:
    link = await open_link(url(listener), LINE, CLOCK)
    sock = link._writer.get_extra_info("socket")  # type: ignore[attr-defined]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    probes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
    assert idle + probes * sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) < 15
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 15_000
    await link.close()


async def test_a_peer_that_lost_its_power(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "KEEPALIVE_IDLE_S", 1)
    link = await open_link(url(listener), LINE, CLOCK)
    peer, _ = listener.accept()
    try:
        peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError:
        await link.close()
        peer.close()
        pytest.skip("closing a connection without a word needs CAP_NET_ADMIN")
    peer.close()
    with pytest.raises(LinkError, match="is lost"):
        async with asyncio.timeout(5):
            await link.read()
    await link.close()


async def test_a_peer_that_reads_nothing(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "WRITE_TIMEOUT_S", 0.1)
    link = await open_link(url(listener), LINE, CLOCK)
    peer, _ = listener.accept()
    with peer, pytest.raises(LinkError, match="blocked"):
        for _ in range(100):
            await link.write(bytes(1 << 20))
    await link.close()


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
async def test_nobody_listens(free_port: Callable[[], int], scheme: str) -> None:
    with pytest.raises(LinkError, match=r"127\.0\.0\.1 is there, but nothing listens on port \d+"):
        await open_link(f"{scheme}://127.0.0.1:{free_port()}", LINE, CLOCK)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
async def test_no_such_host(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(LinkError, match="no host is called 'serial-server'"):
        await open_link(f"{scheme}://serial-server:4001", LINE, CLOCK)


async def test_a_host_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(tcp, "CONNECT_TIMEOUT_S", 0.05)
    monkeypatch.setattr(asyncio, "open_connection", never)
    with pytest.raises(LinkError, match="does not answer: is the device server on"):
        await open_link("socket://10.255.0.1:4001", LINE, CLOCK)


# --- RFC 2217 ---------------------------------------------------------------------------------------------


class Rfc2217Server:
    """pyserial's server with a loop-back plug on its serial side: what is sent comes back."""

    def __init__(self, listener: socket.socket) -> None:
        self.serial = serial.serial_for_url("loop://", timeout=0)
        self._listener = listener
        self._stop = threading.Event()
        self._send_lock = threading.Lock()
        self.peer: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def write(self, octets: bytes) -> None:
        """PortManager's way to the network."""
        assert self.peer is not None
        with self._send_lock:
            self.peer.sendall(octets)

    def _serve(self) -> None:
        self.peer, _ = self._listener.accept()
        manager = PortManager(self.serial, self)
        while not self._stop.is_set():
            if select.select([self.peer], [], [], 0.01)[0]:
                octets = self.peer.recv(1024)
                if not octets:
                    break
                self.serial.write(b"".join(manager.filter(octets)))
            waiting = self.serial.read(self.serial.in_waiting)
            if waiting:
                self.write(b"".join(manager.escape(waiting)))
        self.peer.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.serial.close()


@pytest.fixture
def rfc2217(listener: socket.socket) -> Iterator[Rfc2217Server]:
    server = Rfc2217Server(listener)
    yield server
    server.stop()


# pyserial 3.5 calls Thread.setDaemon and setName
silent_about_pyserial = pytest.mark.filterwarnings(r"ignore:set\w+\(\) is deprecated:DeprecationWarning")


@silent_about_pyserial
async def test_rfc2217_sets_the_line_and_passes_every_byte(listener: socket.socket, rfc2217: Rfc2217Server) -> None:
    link = await open_link(url(listener, "rfc2217"), LINE, CLOCK)
    assert (rfc2217.serial.baudrate, rfc2217.serial.bytesize, rfc2217.serial.parity) == (9600, 7, "O")
    assert rfc2217.serial.stopbits == 2
    assert link.description.endswith("at 9600 7O2")
    every_byte = bytes(range(256))
    await link.write(every_byte)
    got = b""
    async with asyncio.timeout(5):
        while len(got) < 256:
            got += (await link.read())[0]
    assert got == every_byte
    await link.close()


@silent_about_pyserial
async def test_rfc2217_closed_by_the_server(listener: socket.socket, rfc2217: Rfc2217Server) -> None:
    link = await open_link(url(listener, "rfc2217"), LINE, CLOCK)
    rfc2217.stop()
    for _ in range(2):
        with pytest.raises(LinkError, match="is lost"):
            async with asyncio.timeout(5):
                await link.read()
    await link.close()


@silent_about_pyserial
async def test_rfc2217_listen_only(listener: socket.socket, rfc2217: Rfc2217Server) -> None:
    link = await open_link(url(listener, "rfc2217"), LINE, CLOCK, listen_only=True)
    with pytest.raises(LinkError, match="listen_only"):
        await link.write(b"STA\r")
    rfc2217.serial.write(b"heard")
    async with asyncio.timeout(5):
        assert (await link.read())[0]
    await link.close()


@silent_about_pyserial
async def test_a_server_that_speaks_no_rfc2217(listener: socket.socket) -> None:
    with pytest.raises(LinkError, match="not in RFC 2217: switch that on there, or write socket://"):
        await open_link(url(listener, "rfc2217"), LINE, CLOCK)
