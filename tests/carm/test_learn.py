"""Learn mode: who is not on the list is heard out, recorded with what would let it in, and refused all the same."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib

import pytest

from esi_room.carm import CarmSettings, PeerRule
from esi_room.carm.listener.access import MAX_STRANGERS, Access, Caller, Quota, stanza
from esi_room.clock import ManualClock

STRANGER = ("127.0.0.9", 0)


async def answer_to(room, scu, request, local_addr=STRANGER):
    """Kind and body of the PDU that this request is answered with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port, local_addr=local_addr)
    writer.write(request)
    try:
        return await scu.read_pdu(reader)
    finally:
        writer.close()


async def test_a_stranger_is_rejected_and_recorded_with_the_stanza_that_lets_it_in(open_room, scu):
    async with open_room(learn=True) as room:
        assert await answer_to(room, scu, scu.request(calling="OEC 9900", called="PACS")) == (3, bytes([0, 1, 1, 3]))
        entry = await room.entry("carm.association", outcome="refused")
    assert entry["peer"] == "OEC 9900 @ 127.0.0.9" and entry["called"] == "PACS"
    assert entry["wants"] == ["Storage: 1"]
    peer = tomllib.loads(entry["learned"])["carm"]["peer"][0]
    assert peer == {"ae_title": "OEC 9900", "address": "127.0.0.9"}
    async with open_room(peers=(PeerRule(**peer),)) as room:
        assert (await answer_to(room, scu, scu.request(calling="OEC 9900")))[0] == 2


async def test_another_title_at_a_known_address_is_learned_too(open_room, scu):
    async with open_room(learn=True) as room:
        assert (await answer_to(room, scu, scu.request(calling="NEW"), None))[0] == 3
        entry = await room.entry("carm.association", outcome="refused")
    assert tomllib.loads(entry["learned"])["carm"]["peer"] == [{"ae_title": "NEW", "address": "127.0.0.1"}]


async def test_without_learn_mode_nothing_is_learned(room, scu):
    assert (await answer_to(room, scu, scu.request(calling="NEW"), None))[0] == 3
    entry = await room.entry("carm.association", outcome="refused")
    assert "learned" not in entry and "wants" not in entry


async def test_what_a_stranger_asks_for_is_named_by_the_standard_alone(open_room, scu):
    asked = ("1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "1.2.3.DOE^JANE")
    async with open_room(learn=True) as room:
        for sop_class in asked:
            await answer_to(room, scu, scu.request(calling=f"S{sop_class[-3:]}", sop_class=sop_class))
        await room.entry("carm.association", peer="SANE")
        said = [entry["wants"] for entry in room.entries("carm.association")]
    assert said[0] == ["Modality Worklist Information Model - FIND: 1"]
    assert said[1] == ["Modality Performed Procedure Step: 1"]
    assert said[2] == ["a SOP class that the standard does not name: 1"]


async def test_strangers_are_heard_a_few_at_a_time_and_no_peer_waits_for_them(open_room, scu):
    async with open_room(learn=True, request_timeout_s=1.0) as room:
        held = []
        for number in range(3 * MAX_STRANGERS):
            local = (f"127.0.9.{number + 1}", 0)
            held.append(await asyncio.open_connection("127.0.0.1", room.port, local_addr=local))
        assert await scu.store(room.port, scu.picture()) == [0]
        await room.entry("carm.association", outcome="refused", reason="strangers are being heard already")
        await room.entry("carm.association", outcome="refused", reason="no association request: silent")
        for reader, writer in held:
            async with asyncio.timeout(5):
                with contextlib.suppress(ConnectionResetError):
                    await reader.read()
            writer.close()


@pytest.mark.parametrize("title", ["", "A\\B", "A\nB", "A\x7f", "Ä"])
def test_no_stanza_for_a_title_that_may_not_stand_in_the_configuration(title):
    assert stanza(Caller(title, "ESI_ROOM", "10.0.0.1", secure=False)) is None


def test_a_stanza_is_toml_whatever_the_title():
    made = stanza(Caller('A"B # [x]', "ESI_ROOM", "fe80::1", secure=True))
    assert tomllib.loads(made)["carm"]["peer"] == [{"ae_title": 'A"B # [x]', "address": "fe80::1", "tls": True}]


# --- what each peer may take ------------------------------------------------------------------------------


async def test_a_peers_associations_are_bounded_and_the_others_do_not_notice(open_room, scu):
    async with open_room(associations_per_peer=1) as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(scu.request())
        assert (await scu.read_pdu(reader))[0] == 2
        assert await answer_to(room, scu, scu.request(), None) == (3, bytes([0, 2, 3, 2]))
        assert (await answer_to(room, scu, scu.request(calling="ORTHANC"), None))[0] == 2
        await room.entry("carm.association", outcome="refused", reason="1 associations of this peer already")
        writer.close()


async def test_a_peers_bytes_are_bounded_and_the_others_do_not_notice(open_room, scu):
    async with open_room(bytes_per_hour=3000) as room:
        big = [scu.picture(PixelData=bytes(2000)) for _ in range(3)]
        assert await scu.store(room.port, *big) == [0, 0, 0xA700]
        assert await answer_to(room, scu, scu.request(), None) == (3, bytes([0, 2, 3, 1]))
        assert await scu.store(room.port, scu.picture(), calling="ORTHANC") == [0]
        await room.entry("carm.association", outcome="failed", reason="A700: more than 3000 bytes an hour")
        await room.entry("carm.association", outcome="refused", reason="more than 3000 bytes an hour")


def test_a_quota_is_an_hours_worth_and_comes_back_within_the_hour():
    clock = ManualClock()
    quota = Quota(3600, clock)
    quota.add("A", 3600)
    assert quota.spent("A") and not quota.spent("B")
    clock.advance(1)
    assert not quota.spent("A")
    quota.add("A", 1800)
    assert quota.spent("A")
    clock.advance(1800)
    assert not quota.spent("A")
    for number in range(1000):
        quota.add(f"peer {number}", 1)
        clock.advance(2)
    assert len(quota._levels) <= 2, "peers that sent nothing for a while are forgotten"


def test_a_peer_for_tls_alone_is_not_let_in_without():
    access = Access(CarmSettings(peers=(PeerRule(ae_title="A", address="10.0.0.1", tls=True),)), ManualClock())
    plain = access.refuse(Caller("A", "ESI_ROOM", "10.0.0.1", secure=False), None, [])
    assert plain is not None and "TLS" in plain.reason
    assert access.refuse(Caller("A", "ESI_ROOM", "10.0.0.1", secure=True), None, []) is None
