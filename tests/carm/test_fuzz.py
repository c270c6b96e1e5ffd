"""A fuzzer against the running listener: valid conversations, mutated PDU by PDU.

Short in CI, long with ESI_ROOM_SOAK=1. What must hold is `siege.besieged`: an honest peer is served all the while, and
no thread, descriptor, slot, file or memory is left.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

SOAK = os.environ.get("ESI_ROOM_SOAK") == "1"
EXAMPLES = 20_000 if SOAK else 120
WARM_UP = 60

VERIFICATION, SECONDARY_CAPTURE = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.7"
WORKLIST, STEPS, COMMITMENT = "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.20.1"
IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"
# PS3.7 annex E: command fields.
STORE, FIND, N_EVENT_REPORT, N_ACTION, N_CREATE, N_SET, ECHO, CANCEL = (
    *(0x0001, 0x0020, 0x0100, 0x0130),
    *(0x0140, 0x0120, 0x0030, 0x0FFF),
)


def conversation(scu, siege) -> list[bytes]:
    """Every service the room has, one after the other; a PDU an item."""

    def context(number: int, sop_class: str, syntax: bytes) -> bytes:
        return scu.item(0x20, bytes([number, 0, 0, 0]) + scu.item(0x30, sop_class.encode()) + scu.item(0x40, syntax))

    def message(number: int, field: int, sop_class: str, *, data: bytes = b"", uid_at: int = 0x1000) -> list[bytes]:
        class_at = 0x0003 if uid_at == 0x1001 else 0x0002  # PS3.7 9.3 and 10.3: requested, affected
        elements = [siege.element(0, class_at, sop_class.encode()), siege.short(0x0100, field), siege.short(0x0110, 1)]
        elements += [siege.short(0x0800, 1 if data else 0x0101), siege.element(0, uid_at, b"1.2.3.4")]
        elements += [siege.short(0x1008, 1)] if field == N_ACTION else []
        elements += [siege.short(0x1002, 1)] if field == N_EVENT_REPORT else []
        pdus = [scu.pdv(3, siege.command(*elements), number)]
        return pdus + ([scu.pdv(2, data, number)] if data else [])

    contexts = (
        context(1, SECONDARY_CAPTURE, EXPLICIT)
        + context(3, VERIFICATION, IMPLICIT)
        + context(5, WORKLIST, IMPLICIT)
        + context(7, STEPS, IMPLICIT)
        + context(9, COMMITMENT, IMPLICIT)
    )
    user = scu.item(0x51, struct.pack(">I", 16384)) + scu.item(0x52, b"1.2.3") + scu.item(0x55, b"FUZZ")
    user += scu.item(0x54, struct.pack(">H", len(COMMITMENT)) + COMMITMENT.encode() + b"\1\1")
    head = struct.pack(">HH", 1, 0) + b"ESI_ROOM".ljust(16) + b"WORKSTATION".ljust(16) + bytes(32)
    request = scu.pdu(1, head + scu.item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + scu.item(0x50, user))
    query = siege.element(0x0010, 0x0010, b"*") + siege.element(0x0040, 0x0100, b"")
    status = siege.element(0x0040, 0x0252, b"IN PROGRESS") + siege.element(0x0040, 0x0270, b"")
    image = struct.pack("<HH2sH", 8, 0x0016, b"UI", 26) + SECONDARY_CAPTURE.encode() + b"\0"
    image += struct.pack("<HH2sH", 8, 0x0018, b"UI", 8) + b"1.2.3.4\0"
    image += struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 400) + bytes(400)
    referenced = siege.element(0x0008, 0x1195, b"1.2.9") + siege.element(0x0008, 0x1199, b"")
    return [
        request,
        *message(3, ECHO, VERIFICATION),
        *message(1, STORE, SECONDARY_CAPTURE, data=image),
        *message(5, FIND, WORKLIST, data=query),
        *message(5, CANCEL, WORKLIST),
        *message(7, N_CREATE, STEPS, data=status),
        *message(7, N_SET, STEPS, data=status, uid_at=0x1001),
        *message(9, N_ACTION, COMMITMENT, data=referenced, uid_at=0x1001),
        *message(9, N_EVENT_REPORT, COMMITMENT, data=referenced),
        scu.pdu(5, bytes(4)),
        scu.pdu(7, bytes(4)),
    ]


LENGTHS = st.sampled_from((0, 1, 2, 0x7F, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF))


@st.composite
def mutated(draw, pdus: list[bytes]) -> list[bytes]:
    """A conversation with one to five things wrong."""
    out = list(pdus)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(out) - 1))
        pdu = out[at]
        byte = draw(st.integers(0, max(0, len(pdu) - 1)))
        match draw(st.sampled_from(["flip", "length", "cut", "drop", "twice", "swap", "splice", "insert", "noise"])):
            case "flip":
                out[at] = (
                    pdu[:byte] + bytes([pdu[byte] ^ (1 << draw(st.integers(0, 7)))]) + pdu[byte + 1 :] if pdu else pdu
                )
            case "length":
                size, order = draw(st.sampled_from(((2, "big"), (4, "big"), (4, "little"), (2, "little"))))
                value = draw(LENGTHS) & ((1 << 8 * size) - 1)
                place = draw(st.sampled_from((2, 6, byte)))
                out[at] = pdu[:place] + value.to_bytes(size, order) + pdu[place + size :]
            case "cut":
                out[at] = pdu[:byte]
            case "drop" if len(out) > 1:
                del out[at]
            case "twice":
                out.insert(at, pdu)
            case "swap":
                other = draw(st.integers(0, len(out) - 1))
                out[at], out[other] = out[other], out[at]
            case "splice":
                other = draw(st.sampled_from(pdus))
                out[at] = pdu[:byte] + other[draw(st.integers(0, len(other))) :]
            case "insert":
                out[at] = pdu[:byte] + draw(st.binary(min_size=1, max_size=64)) + pdu[byte:]
            case "noise":
                out[at] = draw(st.binary(max_size=200))
    return out


def fuzz(attack: Callable[[list[bytes]], None], pdus: list[bytes], examples: int, start: int) -> None:
    """`attack` with so many mutated conversations; the same ones for the same `start`."""

    @seed(start)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated(pdus))
    def run(conversation: list[bytes]) -> None:
        attack(conversation)

    run()


@pytest.mark.slow
@pytest.mark.timeout(7200 if SOAK else 240)
@pytest.mark.parametrize("waits", [True, False], ids=["after the answer", "all at once"])
async def test_mutated_conversations(open_room, scu, siege, waits):
    pdus = conversation(scu, siege)
    hosts = iter(range(10**9))

    def attack(conversation: list[bytes]) -> None:
        host = next(hosts) % 200 + 1
        if waits:
            siege.answered(room.port, conversation, host)
        else:
            siege.exchange(room.port, b"".join(conversation), host)

    async with (
        open_room(request_timeout_s=2.0, pdu_timeout_s=2.0, idle_timeout_s=3.0) as room,
        siege.besieged(room, scu, warm_up=lambda: asyncio.to_thread(fuzz, attack, pdus, WARM_UP, 1)),
    ):
        await asyncio.to_thread(fuzz, attack, pdus, EXAMPLES, 2)


async def test_the_conversation_that_is_mutated_is_valid(room, scu, siege):
    """Otherwise the fuzzer would only ever test the first check: each request gets its answer."""
    pdus = conversation(scu, siege)
    answers = await asyncio.to_thread(siege.answered, room.port, pdus[:-1])
    assert answers[:1] == siege.ACCEPTED
    for field in (ECHO, STORE, FIND, N_CREATE, N_SET, N_ACTION):
        assert siege.short(0x0100, field | 0x8000) in answers, f"{field:04X}"
    assert room.entries("carm.image")
