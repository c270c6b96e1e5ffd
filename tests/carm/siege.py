"""What the tests with hostile peers share: an honest peer beside them, and what the listener's process costs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pynetdicom import build_context

SOAK = os.environ.get("ESI_ROOM_SOAK") == "1"
# For the honest peer, on a machine that also runs the besiegers.
PATIENCE_S = 10.0
# The allocator keeps what it was given once; a leak of 4 KiB an association shows above it.
GROWTH_BYTES = 24 << 20
# That the listener starts when it first has work for them, and keeps: one an object at once.
POOLED_THREADS = 4
QUIET_S, STEADY_S = 15.0, 0.5
# For an answer that may not come.
MOMENT_S = 0.05
RELEASE = struct.pack(">BBII", 5, 0, 4, 0)
ACCEPTED, OVER = b"\2", (b"\3", b"\6", b"\7")


class Cost(NamedTuple):
    """Of the listener's process."""

    rss_bytes: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Cost:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return cls(int(status["VmRSS"].split()[0]) << 10, int(status["Threads"]), descriptors)


async def settled(room: Any, idle: Cost | None = None) -> Cost:
    """Once every association is over: nothing ends any more, and no more than `idle` is left."""
    deadline, last, since = time.monotonic() + QUIET_S, None, 0.0
    while time.monotonic() < deadline:
        now = Cost.of(room.service.listener_pid)
        if last is None or now[1:] != last[1:]:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STEADY_S and (idle is None or now.threads <= idle.threads + POOLED_THREADS):
            break
        await asyncio.sleep(0.05)
    return Cost.of(room.service.listener_pid)


async def honest(room: Any, scu: Any) -> None:
    """A C-arm that does what it should: an echo and an image, each answered in time."""
    started = time.monotonic()
    association = await scu.associate(room.port, [build_context("1.2.840.10008.1.1")])
    assert association.is_established, "the honest peer was not let in"
    assert (await asyncio.to_thread(association.send_c_echo)).Status == 0
    await asyncio.to_thread(association.release)
    assert await scu.store(room.port, scu.picture()) == [0]
    assert time.monotonic() - started < PATIENCE_S, "the honest peer had to wait"


async def _again_and_again(room: Any, scu: Any, done: asyncio.Event) -> int:
    rounds = 0
    while not done.is_set():
        await honest(room, scu)
        rounds += 1
        await asyncio.sleep(0.1)
    return rounds


@asynccontextmanager
async def besieged(
    room: Any, scu: Any, *, warm_up: Callable[[], Awaitable[object]] | None = None
) -> AsyncIterator[None]:
    """What happens inside must neither keep an honest peer waiting nor leave anything behind in the listener.

    The besiegers call from 127.0.8.x (as WORKSTATION), the honest peer from 127.0.0.1. `warm_up`: some of the siege,
    for the allocator to take what it will keep.
    """
    pid = room.service.listener_pid
    for _ in range(3):
        await honest(room, scu)
    idle = await settled(room)
    if warm_up is not None:
        await warm_up()
    before = await settled(room, idle)
    done = asyncio.Event()
    beside = asyncio.create_task(_again_and_again(room, scu, done))
    try:
        yield
    finally:
        done.set()
        rounds = await beside
    assert rounds > 0
    await honest(room, scu)
    after = await settled(room, before)
    assert room.service.listener_pid == pid, "the listener did not survive"
    assert after.threads <= before.threads + POOLED_THREADS, "threads are left"
    assert after.descriptors <= before.descriptors, "descriptors are left"
    assert after.rss_bytes - before.rss_bytes < GROWTH_BYTES, f"{after.rss_bytes - before.rss_bytes} bytes more memory"
    assert room.incoming() == []


def dial(port: int, host: int = 1, *, timeout_s: float = 20.0) -> socket.socket:
    """A connection from 127.0.8.<host>."""
    line = socket.create_connection(("127.0.0.1", port), timeout_s, (f"127.0.8.{host}", 0))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def exchange(port: int, octets: bytes, host: int = 1, *, pieces: int = 1) -> bytes:
    """Send all that (in so many pieces), hang up, and read until the listener does."""
    answer = b""
    with dial(port, host) as line:
        with contextlib.suppress(OSError):
            step = max(1, -(-len(octets) // pieces))
            for at in range(0, len(octets), step):
                line.sendall(octets[at : at + step])
            line.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while piece := line.recv(1 << 16):
                answer += piece
    return answer


def converse(port: int, octets: bytes, host: int = 1) -> bytes:
    """As a peer does: the request, its answer, then the rest (a release once
    that is answered); until the listener has released, rejected or aborted.

    All that it said, from its answer to the request on.
    """
    first = 6 + int.from_bytes(octets[2:6], "big")
    said = b""
    with dial(port, host) as line, contextlib.suppress(ConnectionError):
        line.sendall(octets[:first])
        said += (head := _read_pdu(line))
        if head[:1] == ACCEPTED:
            line.sendall(octets[first:].removesuffix(RELEASE))
            if octets.endswith(RELEASE):
                said += _read_pdu(line)
                line.sendall(RELEASE)
            while (pdu := _read_pdu(line)) and pdu[:1] not in OVER:
                said += pdu
            said += pdu
    return said


def answered(port: int, pdus: list[bytes], host: int = 1) -> bytes:
    """Send these PDUs, waiting a moment for what comes back before the next; hang up. All that came back."""
    said = b""
    with dial(port, host) as line, contextlib.suppress(ConnectionError):
        for number, pdu in enumerate(pdus):
            line.sendall(pdu)
            line.settimeout(MOMENT_S if number else 4 * MOMENT_S)
            with contextlib.suppress(TimeoutError):
                said += line.recv(1 << 16)
    return said


def _read_pdu(line: socket.socket) -> bytes:
    octets = b""
    size = 6
    while len(octets) < size:
        piece = line.recv(size - len(octets))
        if not piece:
            return octets
        octets += piece
        if len(octets) == 6:
            size += int.from_bytes(octets[2:], "big")
    return octets


def element(group: int, number: int, value: bytes) -> bytes:
    """Implicit VR little endian."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", group, number, len(value)) + value


def command(*elements: bytes) -> bytes:
    """A command set of these elements."""
    body = b"".join(elements)
    return element(0, 0, struct.pack("<I", len(body))) + body


def short(number: int, value: int) -> bytes:
    return element(0, number, struct.pack("<H", value))
