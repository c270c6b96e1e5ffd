"""Who is let in, and what a hostile or broken peer costs: an entry, and nobody else's service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import pytest
from pynetdicom import build_context


async def test_echo(room, scu):
    association = await scu.associate(room.port, [build_context("1.2.840.10008.1.1")])
    assert (await asyncio.to_thread(association.send_c_echo)).Status == 0
    await asyncio.to_thread(association.release)
    assert room.entries("carm.association") == []


@pytest.mark.parametrize(
    ("calling", "called", "reason", "said"),
    [
        ("STRANGER", "ESI_ROOM", 3, "the calling AE title is not on the list"),
        ("CARM", "PACS", 7, "the called AE title is not ESI_ROOM"),
    ],
)
async def test_unknown_ae_titles_are_rejected_with_the_reason_and_recorded(room, scu, calling, called, reason, said):
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(scu.request(calling=calling, called=called))
    assert await scu.read_pdu(reader) == (3, bytes([0, 1, 1, reason]))
    writer.close()
    entry = await room.entry("carm.association", outcome="refused", reason=said)
    assert entry["peer"] == f"{calling} @ 127.0.0.1" and entry["called"] == called


async def test_an_address_that_is_not_on_the_list_is_closed_at_once_and_recorded(room, scu):
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port, local_addr=("127.0.0.9", 0))
    assert await reader.read() == b""
    writer.close()
    entry = await room.entry("carm.association", outcome="refused", reason="address")
    assert entry["peer"] == "? @ 127.0.0.9"


@pytest.mark.parametrize(("calling", "answer"), [("WORKSTATION", 2), ("CARM", 3)])
async def test_a_peer_may_be_a_network_and_its_title_goes_with_it(room, scu, calling, answer):
    """2: A-ASSOCIATE-AC, 3: A-ASSOCIATE-RJ."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port, local_addr=("127.0.8.77", 0))
    writer.write(scu.request(calling=calling))
    assert (await scu.read_pdu(reader))[0] == answer
    writer.close()


async def test_a_flood_of_refusals_is_one_entry_at_its_start_and_one_with_the_count(open_room, scu):
    async with open_room() as room:
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", room.port, local_addr=("127.0.0.9", 0))
            await reader.read()
            writer.close()
        await room.entry("carm.association", outcome="refused")
        assert len(room.entries("carm.association")) == 1
    first, second = room.entries("carm.association")
    assert "count" not in first and second["count"] == 19
    assert second["peer"] == "? @ 127.0.0.9"


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: room\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + bytes(40),
    "four gibibytes": struct.pack(">BBI", 1, 0, 0xFFFFFFFF),
    "a request of nonsense": struct.pack(">BBI", 1, 0, 100) + b"\xff" * 100,
    "data before a request": struct.pack(">BBI", 4, 0, 8) + bytes(8),
    "an empty request": struct.pack(">BBI", 1, 0, 0),
}


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE)
async def test_what_is_no_association_request_is_closed_and_recorded(room, scu, octets):
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(octets)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
    writer.close()
    await room.entry("carm.association", outcome="refused", reason="no association request")
    assert await scu.store(room.port, scu.picture()) == [0]


async def test_a_silent_or_half_open_connection_ends_by_itself(open_room, scu):
    async with open_room(request_timeout_s=0.5) as room:
        silent = await asyncio.open_connection("127.0.0.1", room.port)
        halfway = await asyncio.open_connection("127.0.0.1", room.port)
        halfway[1].write(scu.request()[:40])
        for reader, writer in (silent, halfway):
            async with asyncio.timeout(5):
                await reader.read()
            writer.close()
        assert await scu.store(room.port, scu.picture()) == [0]
        await room.entry("carm.association", outcome="refused", reason="silent")


async def test_one_address_cannot_take_every_slot(open_room, scu):
    async with open_room(connections_per_address=3) as room:
        held = [await asyncio.open_connection("127.0.0.1", room.port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        assert await reader.read() == b""
        for _, each in (*held, (reader, writer)):
            each.close()
        await room.entry("carm.association", outcome="refused", reason="connections from this address")
        async with asyncio.timeout(5):  # the slots are free as soon as their connections are closed
            while True:
                association = await scu.associate(room.port, [build_context("1.2.840.10008.1.1")])
                if association.is_established:
                    break
        await asyncio.to_thread(association.release)


async def test_too_many_associations_are_rejected_for_now(open_room, scu):
    async with open_room(associations=1) as room:
        first = await scu.associate(room.port, [build_context("1.2.840.10008.1.1")])
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(scu.request())
        assert await scu.read_pdu(reader) == (3, bytes([0, 2, 3, 2]))
        writer.close()
        await asyncio.to_thread(first.release)


async def established(room, scu):
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(scu.request())
    assert (await scu.read_pdu(reader))[0] == 2
    return reader, writer


@pytest.mark.parametrize("how", ["abort", "close", "reset"])
async def test_an_association_cut_off_in_the_middle_of_an_object_leaves_nothing(room, scu, how):
    _, writer = await established(room, scu)
    writer.write(scu.pdv(3, scu.store_command("1.2.3.4")) + scu.pdv(0, bytes(5000)))
    await writer.drain()
    async with asyncio.timeout(5):
        while not room.incoming():
            await asyncio.sleep(0.01)
    if how == "abort":
        writer.write(scu.pdu(7, bytes(4)))
        await writer.drain()
    if how == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.close()
    entry = await room.entry("carm.association", outcome="aborted", reason="object was under way")
    assert entry["peer"] == "CARM @ 127.0.0.1"
    assert room.incoming() == [] and room.frames() == []
    assert await scu.store(room.port, scu.picture()) == [0]


HOSTILE = {
    "a PDU of 4 GiB": lambda scu: struct.pack(">BBI", 4, 0, 0xFFFFFFFF),
    "a PDU cut off": lambda scu: scu.pdu(4, bytes(10), length=500),
    "an empty PDV": lambda scu: scu.pdu(4, struct.pack(">IB", 1, 1)),
    "a PDV of no length": lambda scu: scu.pdu(4, struct.pack(">IBB", 0, 1, 3)),
    "a lying PDV": lambda scu: scu.pdu(4, struct.pack(">IBB", 0xFFFF, 1, 3) + bytes(10)),
    "an unknown PDU": lambda scu: scu.pdu(0x77, b"?"),
    "a second request": lambda scu: scu.request(),
    "a command set of nonsense": lambda scu: scu.pdv(3, b"\xff" * 60),
    "a command set without end": lambda scu: scu.pdv(1, bytes(15000)) * 6,
    "a context that was not accepted": lambda scu: scu.pdv(3, scu.store_command("1.2"), 9) + scu.pdv(2, b"", 9),
    "a UID of a kilobyte": lambda scu: scu.pdv(3, scu.store_command("1" * 1000)) + scu.pdv(2, b"\0\0"),
    "a response": lambda scu: scu.pdv(3, scu.store_command("1.2").replace(b"\1\0\0\0\x10\1", b"\1\x80\0\0\x10\1")),
    "many requests at once": lambda scu: (scu.pdv(3, scu.store_command("1.2.3")) + scu.pdv(2, bytes(100))) * 200,
}


@pytest.mark.parametrize("octets", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_pdus_end_the_association_and_nothing_else(open_room, scu, octets):
    async with open_room(pdu_timeout_s=0.5, idle_timeout_s=1.0, request_timeout_s=1.0) as room:
        pid = room.service.listener_pid
        reader, writer = await established(room, scu)
        writer.write(octets(scu))
        async with asyncio.timeout(10):
            try:
                while await reader.read(65536):
                    pass
            except ConnectionResetError:
                pass
        writer.close()
        await room.entry("carm.association", outcome="aborted")
        assert await scu.store(room.port, scu.picture()) == [0]
        assert room.service.listener_pid == pid
        assert room.incoming() == []


async def test_an_association_is_ended_when_idle_and_when_too_old(open_room, scu):
    async with open_room(idle_timeout_s=0.3) as room:
        reader, writer = await established(room, scu)
        async with asyncio.timeout(5):
            assert (await scu.read_pdu(reader))[0] == 7
        writer.close()
        await room.entry("carm.association", outcome="aborted", reason="silent for too long")
    async with open_room(association_timeout_s=0.5) as room:
        reader, writer = await established(room, scu)
        async with asyncio.timeout(5):
            assert (await scu.read_pdu(reader))[0] == 7
        writer.close()
        await room.entry("carm.association", outcome="aborted", reason="open for longer")
