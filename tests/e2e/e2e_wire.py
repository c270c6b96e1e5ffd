"""The other ends of the room's wires, written here and not taken from the project: a serial line on a pty whose
device is the test, and a C-arm of a hundred lines that notes what was answered 0x0000."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from e2e_pdus import pdv, request, status_of, store_command
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

FRAGMENT_BYTES = 16_000
ANSWER_S = 40.0  # longer than the room gives itself


class Line:
    """A pty; the room opens `path`. What nobody listens to is lost, as on a real line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master, slave = os.openpty()
        tty.setraw(slave)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.ttyname(slave))
        os.close(slave)
        os.set_blocking(self._master, False)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def listening(self) -> bool:
        """Whether the room has the port open."""
        poll = select.poll()
        poll.register(self._master, 0)
        return not poll.poll(0)

    def send(self, octets: bytes) -> bool:
        """Whether all of `octets` went into the line; waits while it is full."""
        rest = octets
        while rest and not self._stop.is_set():
            if not self.listening:
                return False
            try:
                rest = rest[os.write(self._master, rest) :]
            except BlockingIOError:
                time.sleep(0.002)
            except OSError:
                return False
        return not rest

    def receive(self) -> bytes:
        """What the room sent since the last call."""
        try:
            return os.read(self._master, 4096)
        except OSError:
            return b""

    def play(self, frames: Iterable[bytes], every_s: float) -> list[bytes]:
        """Send one after the other in the background; the returned list grows by each that went out whole."""
        sent: list[bytes] = []

        def run() -> None:
            for octets in frames:
                if self._stop.wait(every_s):
                    return
                if self.send(octets):
                    sent.append(octets)

        self._start(run)
        return sent

    def serve(self, answer: Callable[[bytes], bytes]) -> None:
        """Answer what comes in, in the background."""

        def run() -> None:
            while not self._stop.wait(0.005):
                octets = self.receive() if self.listening else b""
                if octets:
                    self.send(answer(octets))

        self._start(run)

    def _start(self, run: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def quiet(self) -> None:
        """End what plays in the background."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._stop.clear()

    def close(self) -> None:
        self.quiet()
        self.path.unlink(missing_ok=True)
        os.close(self._master)


def masimo_line(number: int) -> bytes:
    """A Rad-8's line that carries `number` (below 2.5 million) in its values."""
    spo2, rest = 75 + number % 25, number // 25
    bpm, pi = rest % 1000, rest // 1000 % 100
    second = time.strftime("%m/%d/%y %H:%M:%S", time.gmtime())
    values = f"SN=0000145838 SPO2={spo2:03}% BPM={bpm:03} PI={pi:05.2f}%"
    return f"{second} {values} SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800\r\n".encode()


def masimo_number(readings: dict[str, float]) -> int:
    """The number in the readings of such a line."""
    return round(readings["spo2_pct"] - 75 + 25 * (readings["pulse_rate_bpm"] + 1000 * readings["perfusion_index_pct"]))


class CArm:
    """Stores objects of random size and content, over and over, and knows which were answered 0x0000."""

    def __init__(self, port: int, seed: int = 1, *, calling: str = "CARM") -> None:
        self._port, self._rng, self._calling = port, Random(seed), calling
        self.stored: dict[str, str] = {}
        """SOP instance UID -> SHA-256 of the data set that was answered 0x0000."""
        self.refused: list[int] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> CArm:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            try:
                self.store_some(self._rng.randint(1, 8))
            except OSError:  # the room is away; whatever was under way was not acknowledged
                self._stop.wait(0.1)

    def store_some(self, count: int) -> None:
        """`count` objects over one association. OSError if it breaks."""
        with socket.create_connection(("127.0.0.1", self._port), 10) as line:
            line.settimeout(ANSWER_S)
            line.sendall(request(calling=self._calling))
            if _read_pdu(line)[0] != 2:
                raise ConnectionRefusedError("no association")
            for _ in range(count):
                if self._stop.is_set():
                    break
                self._store(line)
            line.sendall(bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
            _read_pdu(line)

    def _store(self, line: socket.socket) -> None:
        uid = str(generate_uid())
        octets = data_set(uid, self._rng.randbytes(2 * self._rng.choice((8, 2_000, 40_000, 200_000))))
        line.sendall(pdv(3, store_command(uid)))
        for at in range(0, len(octets), FRAGMENT_BYTES):
            last = at + FRAGMENT_BYTES >= len(octets)
            line.sendall(pdv(2 if last else 0, octets[at : at + FRAGMENT_BYTES]))
        kind, body = _read_pdu(line)
        if kind != 4:
            raise ConnectionAbortedError("aborted")
        status = status_of(body)
        if status == 0:
            self.stored[uid] = hashlib.sha256(octets).hexdigest()
        else:
            self.refused.append(status)


def _read_pdu(line: socket.socket) -> tuple[int, bytes]:
    head = _exactly(line, 6)
    return head[0], _exactly(line, int.from_bytes(head[2:], "big"))


def _exactly(line: socket.socket, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        chunk = line.recv(count - len(octets))
        if not chunk:
            raise ConnectionResetError("closed")
        octets += chunk
    return octets


def data_set(uid: str, pixels: bytes, *, patient: str = "") -> bytes:
    """A secondary capture image in explicit VR little endian, written by hand. `pixels`: a row of 16 bit values."""
    short = {(0x28, 2): 1, (0x28, 0x10): 1, (0x28, 0x11): min(len(pixels) // 2, 65535), (0x28, 0x100): 16}
    short |= {(0x28, 0x101): 16, (0x28, 0x102): 15, (0x28, 0x103): 0}
    words = {(8, 0x16): ("UI", str(SecondaryCaptureImageStorage)), (8, 0x18): ("UI", uid), (8, 0x60): ("CS", "OT")}
    words |= {(0x10, 0x10): ("PN", patient), (0x10, 0x20): ("LO", ""), (0x20, 0xD): ("UI", "1.2.3.4")}
    words |= {(0x20, 0xE): ("UI", "1.2.3.4.5"), (0x28, 4): ("CS", "MONOCHROME2")}
    elements = {tag: (vr, _even(text, vr)) for tag, (vr, text) in words.items()}
    elements |= {tag: ("US", value.to_bytes(2, "little")) for tag, value in short.items()}
    octets = b"".join(
        _tag(tag) + vr.encode() + len(value).to_bytes(2, "little") + value
        for tag, (vr, value) in sorted(elements.items())
    )
    return octets + _tag((0x7FE0, 0x10)) + b"OW\0\0" + len(pixels).to_bytes(4, "little") + pixels


def _tag(tag: tuple[int, int]) -> bytes:
    return tag[0].to_bytes(2, "little") + tag[1].to_bytes(2, "little")


def _even(text: str, vr: str) -> bytes:
    octets = text.encode()
    return octets + (b"\0" if vr == "UI" else b" ") * (len(octets) % 2)


SYNTAX = str(ExplicitVRLittleEndian)
