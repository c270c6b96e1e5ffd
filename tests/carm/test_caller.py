"""The caller's process: dead, deaf, stalling and dying peers; TLS; big objects; its own end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt

from esi_room.carm.caller import entity
from esi_room.carm.caller.entity import Entity, Need, RefusedError, UnavailableError
from esi_room.carm.caller.storing import judge
from esi_room.carm.caller.worker import Line
from esi_room.carm.child import Child
from esi_room.carm.listener.incoming import file_meta
from esi_room.carm.settings import CarmSettings, Tls
from esi_room.carm.shapes import Called
from esi_room.carm.wire import Call, Done, FromCaller, Send

VERIFICATION = Need("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
ExplicitVRLittleEndian, SecondaryCaptureImageStorage = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.7"
UID = "1.2.826.0.1.3680043.8.498.1"


@asynccontextmanager
async def calling(settings: CarmSettings | None = None) -> AsyncIterator[Child]:
    child = await Child.start("esi_room.carm.caller")
    child.send(Call(settings=settings or CarmSettings()))
    try:
        yield child
    finally:
        await child.end()


def part10(folder: Path, size_bytes: int = 1000) -> Path:
    """An object of about this size: its data set is no more than pixel data."""
    name = folder / "object.dcm"
    with name.open("wb") as file:
        file.write(file_meta(SecondaryCaptureImageStorage, UID, ExplicitVRLittleEndian))
        file.write(b"\xe0\x7f\x10\x00OB\0\0" + size_bytes.to_bytes(4, "little"))
        file.truncate(file.tell() + size_bytes)
    return name


def send(number: int, to: Called, file: Path) -> Send:
    with file.open("rb") as octets:
        digest = hashlib.file_digest(octets, "sha256").hexdigest()
    return Send(
        id=number,
        to=to,
        path=str(file),
        sha256=digest,
        sop_class_uid=SecondaryCaptureImageStorage,
        sop_instance_uid=UID,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )


async def reply(child: Child, timeout_s: float = 15.0) -> Done:
    async with asyncio.timeout(timeout_s):
        message = await child.read(FromCaller)
    assert isinstance(message, Done)
    return message


@contextmanager
def archive(port: int, handlers: Any = (), **how: Any) -> Iterator[Any]:
    ae = AE("PACS")
    ae.add_supported_context(SecondaryCaptureImageStorage)
    ae.add_supported_context("1.2.840.10008.1.1")
    handlers = handlers or [(evt.EVT_C_STORE, lambda _: 0)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers), **how)
    try:
        yield server
    finally:
        server.shutdown()


@contextmanager
def deaf() -> Iterator[int]:
    """A port that takes connections and never says or reads anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


def here(port: int) -> Called:
    return Called("PACS", "127.0.0.1", port)


async def test_a_deaf_peer_holds_up_itself_alone(free_port, tmp_path):
    file, port = part10(tmp_path), free_port()
    with archive(port), deaf() as deaf_port:
        async with calling() as child:
            child.send(send(1, here(deaf_port), file))
            for number in range(2, 6):
                child.send(send(number, here(port), file))
            assert [(await reply(child)).id for _ in range(4)] == [2, 3, 4, 5]


async def test_it_ends_with_the_daemon_and_leaves_ctrl_c_to_it(free_port, tmp_path):
    async with calling() as child:
        child.send(send(1, here(free_port()), part10(tmp_path)))
        assert (await reply(child)).outcome == "unavailable"
        os.kill(child.pid, signal.SIGINT)
        child.send(send(2, here(free_port()), part10(tmp_path)))
        assert (await reply(child)).comment == "Connection refused"
        child._writer.close()  # what the kernel does for a daemon that was killed
        assert await child.ended(5) == 3


async def test_refused_connections_leave_no_descriptors_and_no_threads(free_port, tmp_path):
    file, to = part10(tmp_path), here(free_port())
    async with calling() as child:

        async def round_trips(count: int) -> tuple[int, int]:
            for number in range(count):
                child.send(send(number, to, file))
                assert (await reply(child)).outcome == "unavailable"
            process = Path(f"/proc/{child.pid}")
            return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

        before = await round_trips(3)
        after = await round_trips(20)
        assert after[0] <= before[0] + 1 and after[1] <= before[1] + 1


async def test_a_large_object_passes_through_little_memory(free_port, tmp_path):
    size, port = 300 << 20, free_port()
    file = part10(tmp_path, size)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        received = asyncio.create_task(asyncio.to_thread(_swallow, listener))
        async with calling() as child:
            child.send(send(1, here(port), file))
            got = await asyncio.wait_for(received, 60)
            assert got > size
            status = Path(f"/proc/{child.pid}/status").read_text()
            peak_kib = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
            assert peak_kib < 200 << 10


def _swallow(listener: socket.socket) -> int:
    """A peer that announces no limit of PDUs and takes an object without looking: how many octets came."""
    peer, _ = listener.accept()
    with peer:
        length = int.from_bytes(_exactly(peer, 6)[2:], "big")
        _exactly(peer, length)
        peer.sendall(_accept())
        got = 0
        peer.settimeout(5)
        buffer = bytearray(1 << 20)
        try:
            while size := peer.recv_into(buffer):
                got += size
        except TimeoutError:
            pass
        return got


def _exactly(peer: socket.socket, size: int) -> bytes:
    octets = b""
    while len(octets) < size:
        octets += peer.recv(size - len(octets))
    return octets


def _item(kind: int, value: bytes) -> bytes:
    return bytes([kind, 0]) + len(value).to_bytes(2, "big") + value


def _accept() -> bytes:
    """An A-ASSOCIATE-AC: context 1 accepted, maximum length 0 (no limit)."""
    context = bytes([1, 0, 0, 0]) + _item(0x40, ExplicitVRLittleEndian.encode())
    user = _item(0x51, bytes(4)) + _item(0x52, b"1.2.3")
    body = b"\0\1\0\0" + b"PACS".ljust(16) + b"ESI_ROOM".ljust(16) + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x21, context) + _item(0x50, user)
    return bytes([2, 0]) + len(body).to_bytes(4, "big") + body


async def test_a_peer_that_dies_in_the_middle_of_an_object_is_told_at_once(free_port, tmp_path):
    port, file = free_port(), part10(tmp_path, 50 << 20)

    def dies(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            _exactly(peer, int.from_bytes(_exactly(peer, 6)[2:], "big"))
            peer.sendall(_accept())
            peer.recv(100_000)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        dying = asyncio.create_task(asyncio.to_thread(dies, listener))
        async with calling() as child:
            child.send(send(1, here(port), file))
            done = await reply(child, 10)
            assert done.outcome == "unavailable" and done.comment == "the connection was lost"
        await dying


def test_a_peer_that_stops_reading_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(entity, "STALL_S", 1.0)
    file = part10(tmp_path, 50 << 20)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        to = here(listener.getsockname()[1])
        held: list[socket.socket] = []

        def stalls() -> None:
            peer, _ = listener.accept()
            held.append(peer)
            _exactly(peer, int.from_bytes(_exactly(peer, 6)[2:], "big"))
            peer.sendall(_accept())

        threading.Thread(target=stalls, daemon=True).start()
        line = Line(Entity(CarmSettings()), to, ())
        need = Need(SecondaryCaptureImageStorage, (ExplicitVRLittleEndian,))
        with pytest.raises(UnavailableError):
            line.on(need, lambda association: entity.answered(lambda: association.send_c_store(str(file))))
        for peer in held:
            peer.close()


@pytest.mark.parametrize("limit", ["CONNECT_S", "ASSOCIATE_S"])
def test_a_silent_peer_has_its_time(monkeypatch, limit):
    monkeypatch.setattr(entity, limit, 0.3)
    monkeypatch.setattr(entity, "ASSOCIATE_S", 0.3)
    with deaf() as port, pytest.raises(UnavailableError, match="no answer to the association request"):
        Entity(CarmSettings()).open(here(port), [VERIFICATION])


def test_a_rejection_is_told_in_words_and_is_no_verdict_on_the_object(free_port):
    port = free_port()
    ae = AE("PACS")
    ae.add_supported_context("1.2.840.10008.1.1")
    ae.require_calling_aet = ["SOMEBODY"]
    server = ae.start_server(("127.0.0.1", port), block=False)
    try:
        with pytest.raises(UnavailableError, match="rejected: Calling AE title not recognised"):
            Entity(CarmSettings()).open(here(port), [VERIFICATION])
    finally:
        server.shutdown()


def test_an_unknown_host_is_no_crash():
    with pytest.raises(UnavailableError):
        Entity(CarmSettings()).open(Called("PACS", "no-such-host.invalid", 104), [VERIFICATION])


def test_an_association_is_shared_reopened_when_it_died_and_released_when_asked(free_port):
    port, opened = free_port(), []
    handlers = [(evt.EVT_ACCEPTED, lambda event: opened.append(event.assoc)), (evt.EVT_C_ECHO, lambda _: 0)]
    with archive(port, handlers):
        line = Line(Entity(CarmSettings()), here(port), ())

        def echo() -> int:
            return line.on(VERIFICATION, lambda a: entity.status_of(entity.answered(a.send_c_echo)))

        assert [echo(), echo()] == [0, 0] and len(opened) == 1
        opened[0].abort()
        assert echo() == 0 and len(opened) == 2
        line.close()
        assert echo() == 0 and len(opened) == 3
        line.close()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, None),
        (0xB000, None),
        (0xB007, None),
        (0xA700, UnavailableError),
        (0xA7FF, UnavailableError),
        (0x0213, UnavailableError),
        (0x0122, RefusedError),
        (0xA900, RefusedError),
        (0xC123, RefusedError),
    ],
)
def test_what_a_status_means(status, verdict):
    if verdict is None:
        judge(status)
    else:
        with pytest.raises(verdict, match=f"{status:04X}"):
            judge(status)


# --- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(peers, tmp_path_factory) -> Tls:
    """One that vouches for itself, for both ends."""
    folder = tmp_path_factory.mktemp("certificate")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    command = (peers.need("openssl"), "req", "-x509", *curve, "-keyout", "key", "-out", "crt", "-subj", "/CN=room")
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Tls(cert_file=str(folder / "crt"), key_file=str(folder / "key"), ca_file=str(folder / "crt"))


def _server_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls.cert_file, tls.key_file)
    context.load_verify_locations(tls.ca_file)
    return context


async def test_an_object_goes_over_tls(certificate, free_port, tmp_path):
    port, file, stored = free_port(), part10(tmp_path, 3 << 20), []
    handlers = [(evt.EVT_C_STORE, lambda event: stored.append(event.request.DataSet.getvalue()) or 0)]
    with archive(port, handlers, ssl_context=_server_context(certificate)):
        async with calling(CarmSettings(tls=certificate)) as child:
            child.send(send(1, Called("PACS", "127.0.0.1", port, tls=True), file))
            assert (await reply(child)).outcome == "done"
    assert file.read_bytes().endswith(stored[0])


async def test_tls_against_a_plain_peer_and_without_a_certificate_is_told(certificate, free_port, tmp_path):
    port, file = free_port(), part10(tmp_path)
    to = Called("PACS", "127.0.0.1", port, tls=True)
    async with calling() as child:
        child.send(send(1, to, file))
        done = await reply(child)
        assert done.outcome == "unavailable" and "no certificate" in done.comment
    with archive(port):
        async with calling(CarmSettings(tls=certificate)) as child:
            child.send(send(1, to, file))
            done = await reply(child)
            assert done.outcome == "unavailable" and done.comment
