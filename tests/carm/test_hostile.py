"""Hostile peers, each kind by itself: an honest peer beside them is served in time, and nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import socket
import struct
import time
import zlib

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from esi_room.carm.settings import MAX_REQUEST_BYTES, MAX_SOCKETS

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
WORKLIST = "1.2.840.10008.5.1.4.31"
RELEASE = struct.pack(">BBII", 5, 0, 4, 0)
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def context(scu, number, sop_class, *syntaxes):
    """A presentation context item of an A-ASSOCIATE-RQ (PS3.8 table 9-13)."""
    syntax_items = b"".join(scu.item(0x40, syntax.encode()) for syntax in syntaxes)
    return scu.item(0x20, bytes([number, 0, 0, 0]) + scu.item(0x30, sop_class.encode()) + syntax_items)


def request(scu, contexts, users=b""):
    """An A-ASSOCIATE-RQ of WORKSTATION with these items."""
    user = scu.item(0x51, struct.pack(">I", 16384)) + scu.item(0x52, b"1.2.3") + users
    body = struct.pack(">HH", 1, 0) + b"ESI_ROOM".ljust(16) + b"WORKSTATION".ljust(16) + bytes(32)
    return scu.pdu(1, body + scu.item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + scu.item(0x50, user))


def storing(scu, dataset, *, uid="1.2.3.4", syntax=EXPLICIT):
    """A whole conversation: request, C-STORE of this data set, release."""
    pieces = [dataset[at : at + 16000] for at in range(0, len(dataset), 16000)] or [b""]
    pdus = [scu.pdv(2 if number == len(pieces) - 1 else 0, piece) for number, piece in enumerate(pieces)]
    head = request(scu, context(scu, 1, SECONDARY_CAPTURE, syntax)) + scu.pdv(3, scu.store_command(uid))
    return head + b"".join(pdus) + RELEASE


# --- slow, silent, many -----------------------------------------------------------------------------------


async def test_a_byte_at_a_time(open_room, scu, siege):
    async with open_room(request_timeout_s=1.5, pdu_timeout_s=1.5) as room:

        async def drip(first: bytes, slow: bytes, host: int) -> float:
            reader, writer = await asyncio.open_connection("127.0.0.1", room.port, local_addr=(f"127.0.8.{host}", 0))
            writer.write(first)
            started = time.monotonic()
            with contextlib.suppress(ConnectionError):
                for octet in slow:
                    writer.write(bytes([octet]))
                    await writer.drain()
                    await asyncio.sleep(0.2)
                    if reader.at_eof() or writer.is_closing():
                        break
            writer.close()
            return time.monotonic() - started

        whole = scu.request(calling="WORKSTATION")
        async with siege.besieged(room, scu):
            times = await asyncio.gather(
                *(drip(b"", whole, host) for host in range(1, 5)),
                *(drip(whole, scu.pdv(3, scu.store_command("1.2.3")), host) for host in range(5, 9)),
            )
        assert max(times) < 5, "a peer that drips is cut off"
        await room.entry("carm.association", reason="silent inside a PDU")


async def test_thousands_of_connections_from_a_network_on_the_list(open_room, scu, siege):
    """More than there may be at once: the oldest that asked for nothing makes room for the C-arm."""
    most = min(3 * MAX_SOCKETS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    hosts = itertools.cycle(range(1, 250))

    def flood(total: int) -> None:
        held: list[socket.socket] = []
        for _ in range(total):
            with contextlib.suppress(OSError):
                held.append(siege.dial(room.port, next(hosts), timeout_s=5))
            if len(held) >= most:
                held.pop(0).close()
        for line in held:
            line.close()

    async with open_room(request_timeout_s=2.0) as room:
        async with siege.besieged(room, scu, warm_up=lambda: asyncio.to_thread(flood, 300)):
            await asyncio.to_thread(flood, 6000 if siege.SOAK else 400)
        await room.entry("carm.association", outcome="refused", reason="made room for another")


async def test_associations_that_are_opened_and_dropped(open_room, scu, siege):
    octets = scu.request(calling="WORKSTATION")
    rounds = 3000 if siege.SOAK else 300

    def churn() -> None:
        for number in range(rounds):
            with siege.dial(room.port, number % 200 + 1) as line:
                line.sendall(octets)
                if number % 3:
                    line.recv(6)

    async with open_room() as room, siege.besieged(room, scu, warm_up=lambda: asyncio.to_thread(churn)):
        await asyncio.to_thread(churn)


async def test_a_peer_that_reads_nothing(open_room, scu, siege):
    """Echo after echo, and none of the answers taken: they fill the line, then it is over."""
    echo = siege.command(
        siege.element(0, 0x0002, b"1.2.840.10008.1.1\0"),
        *(siege.short(number, value) for number, value in ((0x0100, 0x0030), (0x0110, 1), (0x0800, 0x0101))),
    )
    octets = request(scu, context(scu, 1, "1.2.840.10008.1.1", IMPLICIT))

    def stuff() -> None:
        with siege.dial(room.port, timeout_s=3) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.sendall(octets)
            time.sleep(0.3)
            with contextlib.suppress(OSError):
                for _ in range(20_000):
                    line.sendall(scu.pdv(3, echo))

    async with open_room(request_timeout_s=1.0) as room, siege.besieged(room, scu):
        await asyncio.gather(*(asyncio.to_thread(stuff) for _ in range(3)))


# --- association requests ---------------------------------------------------------------------------------

REQUESTS = {
    "contexts to the brim": lambda scu: request(
        scu, context(scu, 1, SECONDARY_CAPTURE, EXPLICIT) * (MAX_REQUEST_BYTES // 80)
    ),
    "one context with every syntax": lambda scu: request(
        scu, context(scu, 1, SECONDARY_CAPTURE, *[f"1.2.3.{number}" for number in range(3000)])
    ),
    "contexts inside contexts": lambda scu: request(scu, nested(scu, 0x20, 2500)),
    "user items inside user items": lambda scu: request(scu, b"", nested(scu, 0x50, 2500)),
    "roles to the brim": lambda scu: request(
        scu,
        context(scu, 1, SECONDARY_CAPTURE, EXPLICIT),
        b"".join(scu.item(0x54, struct.pack(">H", 9) + f"1.2.{n:05}".encode() + b"\1\1") for n in range(2500)),
    ),
    "extended negotiation to the brim": lambda scu: request(
        scu,
        context(scu, 1, SECONDARY_CAPTURE, EXPLICIT),
        b"".join(scu.item(0x56, struct.pack(">H", 9) + f"1.2.{n:05}".encode() + bytes(8)) for n in range(2000)),
    ),
    "items of no length": lambda scu: scu.pdu(1, struct.pack(">HH", 1, 0) + bytes(64) + bytes(60_000)),
    "items that claim more than there is": lambda scu: scu.pdu(
        1, struct.pack(">HH", 1, 0) + bytes(64) + b"\x20\0\xff\xff" * 1000
    ),
}


def nested(scu, kind, depth):
    octets = b""
    for _ in range(depth):
        if len(octets) > 60_000:
            break
        octets = scu.item(kind, (b"\1\0\0\0" if kind == 0x20 else b"") + octets)
    return octets


@pytest.mark.parametrize("make", REQUESTS.values(), ids=REQUESTS)
async def test_association_requests_of_nonsense(open_room, scu, siege, make):
    octets = make(scu)

    def attack() -> None:
        for number in range(10):
            siege.exchange(room.port, octets, number + 1)

    async with open_room() as room, siege.besieged(room, scu, warm_up=lambda: asyncio.to_thread(attack)):
        started = time.monotonic()
        await asyncio.to_thread(attack)
        assert time.monotonic() - started < 30


# --- data sets and messages -------------------------------------------------------------------------------


def deep(levels):
    """Sequences of undefined length in one another (PS3.5 7.5), explicit VR little endian."""
    level = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return level * levels


def bomb():
    """256 MiB of zeros in one element, deflated to 256 KiB."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = struct.pack("<HH2sHI", 0x0009, 0x1010, b"OB", 0, 256 << 20)
    return b"".join([deflate.compress(head), *(deflate.compress(bytes(1 << 20)) for _ in range(256)), deflate.flush()])


DATASETS = {
    "sequences 300 deep": (lambda: deep(300), EXPLICIT),
    "sequences 20,000 deep": (lambda: deep(20_000), EXPLICIT),
    "an element of 4 GiB": (
        lambda: struct.pack("<HH2sHI", 0x0008, 0x0018, b"OB", 0, 0xFFFFFFFE) + bytes(1000),
        EXPLICIT,
    ),
    "a million elements": (lambda: struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 0) * 200_000, EXPLICIT),
    "a deflated bomb": (bomb, str(DeflatedExplicitVRLittleEndian)),
    "deflated nonsense": (lambda: b"\xff" * 10_000, str(DeflatedExplicitVRLittleEndian)),
}


@pytest.mark.parametrize(("make", "syntax"), DATASETS.values(), ids=DATASETS)
async def test_data_sets_of_nonsense_are_kept_and_cost_nobody_else(open_room, scu, siege, make, syntax):
    dataset = make()

    def attack(first: int, last: int) -> None:
        for number in range(first, last):
            siege.converse(room.port, storing(scu, dataset, uid=f"1.2.3.{number}", syntax=syntax), number + 1)

    async with open_room() as room:
        async with siege.besieged(room, scu, warm_up=lambda: asyncio.to_thread(attack, 0, 3)):
            await asyncio.to_thread(attack, 3, 8)
        kept = [image for image in room.entries("carm.image") if image["sop_instance_uid"].startswith("1.2.3.")]
        assert {image["transfer_syntax_uid"] for image in kept} == {syntax}
        assert all(image["unreadable"] for image in kept)


async def test_a_query_of_sequences_in_sequences(open_room, scu, siege):
    find = siege.command(
        siege.element(0, 0x0002, WORKLIST.encode()),
        *(siege.short(number, value) for number, value in ((0x0100, 0x0020), (0x0110, 1), (0x0700, 0), (0x0800, 1))),
    )
    level = struct.pack("<HHI", 0x0040, 0x0100, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    for depth in (300, 200_000):
        head = request(scu, context(scu, 1, WORKLIST, IMPLICIT)) + scu.pdv(3, find)
        query = level * depth
        pieces = [query[at : at + 16_000] for at in range(0, len(query), 16_000)]
        octets = head + b"".join(scu.pdv(0, piece) for piece in pieces) + scu.pdv(2, b"") + RELEASE
        async with open_room() as room, siege.besieged(room, scu):
            for host in range(5):
                await asyncio.to_thread(siege.converse, room.port, octets, host + 1)


async def test_a_release_that_does_not_wait_for_the_answer_is_answered(room, scu, siege):
    query = scu.pdv(3, query_of(scu, WORKLIST)) + scu.pdv(2, siege.element(0x0040, 0x0100, b""))
    request_octets = request(scu, context(scu, 1, WORKLIST, IMPLICIT))

    def talk() -> bytes:
        with siege.dial(room.port, timeout_s=5) as line:
            line.sendall(request_octets)
            assert siege._read_pdu(line)[:1] == siege.ACCEPTED
            line.sendall(query + RELEASE)
            while (pdu := siege._read_pdu(line))[:1] == b"\4":
                pass
            return pdu

    assert (await asyncio.to_thread(talk))[:1] == b"\6"


async def test_a_uid_of_81_characters_is_answered_and_named(room, scu, siege):
    octets = scu.request(calling="WORKSTATION") + scu.pdv(3, scu.store_command("1." * 40 + "1")) + scu.pdv(2, bytes(8))
    answer = await asyncio.to_thread(siege.converse, room.port, octets + RELEASE)
    assert scu.status_of(answer) == 0x0117
    await room.entry("carm.association", outcome="failed", reason="the SOP instance UID is no UID")


async def test_reports_that_nobody_asked_for_start_no_thread_each(open_room, scu, siege):
    report = siege.command(
        siege.element(0, 0x0002, b"1.2.840.10008.1.20.1"),
        *(siege.short(n, v) for n, v in ((0x0100, 0x0100), (0x0110, 1), (0x0800, 0x0101), (0x1002, 1))),
        siege.element(0, 0x1000, b"1.2.840.10008.1.20.1.1"),
    )
    octets = request(scu, context(scu, 1, "1.2.840.10008.1.20.1", IMPLICIT)) + scu.pdv(3, report) * 2000
    async with open_room() as room, siege.besieged(room, scu):
        idle = siege.Cost.of(room.service.listener_pid).threads
        sending = asyncio.create_task(asyncio.to_thread(siege.converse, room.port, octets))
        most = 0
        while not sending.done():
            most = max(most, siege.Cost.of(room.service.listener_pid).threads)
            await asyncio.sleep(0.005)
        await sending
        assert most <= idle + 8
        await room.entry("carm.association", outcome="aborted", peer="WORKSTATION", reason="asks again")


def query_of(scu, sop_class):
    """A C-FIND-RQ, made of a C-STORE-RQ by its command field."""
    return scu.store_command("1.2", sop_class=sop_class).replace(b"\1\0\0\0\x10\1", b"\x20\0\0\0\x10\1")


TRUTHS = {
    "a UID of 81 characters in a query": (
        lambda scu: scu.pdv(3, query_of(scu, "1." * 40 + "1")) + scu.pdv(2, bytes(8)),
        "a C-FIND-RQ with a value that DICOM forbids: ValueError",
    ),
    "no PDU": (lambda scu: scu.pdu(4, b"\0\0\0"), "a PDV that does not fit into its PDU"),
    "another request": (lambda scu: scu.request(), "a PDU that does not belong here"),
    "an abort": (lambda scu: scu.pdu(7, bytes(4)), "aborted by the peer"),
}


@pytest.mark.parametrize(("make", "said"), TRUTHS.values(), ids=TRUTHS)
async def test_the_record_says_who_ended_an_association_and_why(room, scu, siege, make, said):
    await asyncio.to_thread(siege.converse, room.port, scu.request(calling="WORKSTATION") + make(scu))
    entry = await room.entry("carm.association", outcome="aborted")
    assert said in entry["reason"]


# --- what must not be said --------------------------------------------------------------------------------

SECRETS = ("Tr0ub4dor", "DOE^JANE", "19570224", "MRN-77", "dr.house")


@pytest.mark.parametrize("learn", [False, True])
async def test_no_identity_and_no_password_is_in_record_or_log(open_room, scu, siege, capfd, learn):
    identity = bytes([2, 0]) + struct.pack(">H", 8) + b"dr.house" + struct.pack(">H", 9) + b"Tr0ub4dor"
    users = scu.item(0x58, identity)
    image = scu.picture(PatientName="DOE^JANE", PatientID="MRN-77", PatientBirthDate="19570224")
    image.SOPInstanceUID = "1.2.99"  # not the request's
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, image)
    dataset = buffer.getvalue()
    contexts = context(scu, 1, SECONDARY_CAPTURE, EXPLICIT)
    whole = request(scu, contexts, users)
    store = scu.pdv(3, scu.store_command("1.2.3.4"))
    conversations = (
        whole.replace(b"WORKSTATION", b"STRANGER   "),
        whole + store + scu.pdv(2, dataset) + scu.pdu(5, bytes(4)),
        whole + store + scu.pdv(0, dataset),
        whole + store + scu.pdv(2, dataset[:-7]) + scu.pdv(3, dataset),
        whole + scu.pdv(3, scu.store_command("DOE^JANE MRN-77 19570224")) + scu.pdv(2, dataset),
        whole[:-9] + b"\xff" * 9,
        whole + scu.pdu(4, dataset),
    )
    async with open_room(learn=learn) as room:
        for octets in conversations:
            await asyncio.to_thread(siege.exchange, room.port, octets)
        await room.entry("carm.association", outcome="refused", peer="STRANGER")
    said = "".join(capfd.readouterr()) + "".join(
        path.read_text() for path in room.root.rglob("*") if path.suffix in (".jsonl", ".log")
    )
    assert "carm.association" in said
    assert [secret for secret in SECRETS if secret in said] == []
    assert [path for path in room.root.rglob("*") if any(secret in path.name for secret in SECRETS)] == []
