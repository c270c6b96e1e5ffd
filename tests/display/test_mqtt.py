"""The pages' MQTT before it reaches the broker: cut into packets, the first written anew, the rest let pass or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.display.mqtt import connect
from esi_room.display.mqtt.connect import Refused
from esi_room.display.mqtt.door import Door
from esi_room.display.mqtt.packets import Kind, Malformed, Packet, Splitter, binary, packet

PREFIX = "console-0011aabb"
ME = f"{PREFIX}-1"


def hello(
    level: int = 4, flags: int = 2, client: str = ME, more: bytes = b"", properties: bytes = b"", name: bytes = b"MQTT"
) -> bytes:
    """A CONNECT as a page sends it."""
    fixed = binary(name) + bytes([level, flags, 0, 60])
    inner = bytes([len(properties)]) + properties if level == 5 else b""
    return packet(1, 0, fixed + inner + binary(client.encode()) + more)


def split(octets: bytes, max_bytes: int = 4096) -> list[Packet]:
    return list(Splitter(max_bytes).feed(octets))


def read(octets: bytes) -> connect.Connect:
    (first,) = split(octets)
    return connect.read(first, PREFIX)


# --- rewriting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [4, 5])
def test_the_login_of_the_session_is_put_in(level: int) -> None:
    octets = connect.write(read(hello(level)), ("console", "sécret"))
    tail = binary(ME.encode()) + binary(b"console") + binary("sécret".encode())
    body = b"\0\4MQTT" + bytes([level, 0xC2, 0, 60]) + (b"\0" if level == 5 else b"") + tail
    assert octets == bytes([0x10, len(body)]) + body


def test_where_the_broker_knows_no_roles_it_stays_as_it_is() -> None:
    assert connect.write(read(hello()), None) == hello()


def test_a_page_is_not_who_it_says() -> None:
    own = hello(flags=0xC2, more=binary(b"esi-room") + binary(b"guess"))
    assert connect.write(read(own), ("display", "p")) == connect.write(read(hello()), ("display", "p"))
    assert b"guess" not in connect.write(read(own), None)


def test_no_session_outlives_its_connection() -> None:
    asked = hello(5, flags=0, properties=b"\x11\xff\xff\xff\xff\x21\0\x14\x26\0\1a\0\1b")
    octets = connect.write(read(asked), None)
    assert octets[9] == 2, "clean start"
    assert octets[12:16] == b"\3\x21\0\x14", "no expiry interval, no user property"


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (hello(3, name=b"MQTT"), b"\x20\2\0\1"),
        (hello(6), b"\x20\2\0\1"),
        (hello(client="room"), b"\x20\2\0\2"),
        (hello(client=PREFIX), b"\x20\2\0\2"),
        (hello(client=""), b"\x20\2\0\2"),
        (hello(client=f"{ME}/#"), b"\x20\2\0\2"),
        (hello(client=ME + "x" * 64), b"\x20\2\0\2"),
        (hello(5, client="room"), b"\x20\3\0\x85\0"),
        (hello(flags=0x06, more=binary(b"esi/r/status") + binary(b"x")), b"\x20\2\0\5"),
        (hello(5, flags=0x26, more=b"\0" + binary(b"esi/r/status") + binary(b"x")), b"\x20\3\0\x87\0"),
    ],
)
def test_what_is_refused_is_answered(octets: bytes, answer: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read(octets)
    assert caught.value.answer == answer


@pytest.mark.parametrize(
    "octets",
    [
        packet(3, 0, b"\0\1ax"),  # a PUBLISH first
        packet(1, 1, hello()[2:]),  # flags of the fixed header
        hello(name=b"MQIsdp"),
        hello(flags=3),  # reserved
        hello(flags=0x22),  # QoS of a will that is not there
        hello(more=b"x"),  # goes on
        hello(5, properties=b"\x15\0\1a"),  # authentication of its own
        hello(5, properties=b"\x21\0"),
        packet(1, 0, b""),
        packet(1, 0, hello()[2:-1]),
        packet(1, 0, hello()[2:].replace(b"console", b"cons\0le")),
        packet(1, 0, hello()[2:].replace(b"console", b"cons\xffle")),
    ],
)
def test_what_is_no_connect_ends_the_connection(octets: bytes) -> None:
    with pytest.raises(Malformed):
        read(octets)


@given(st.binary(max_size=60))
def test_no_garbage_does_anything_else(octets: bytes) -> None:
    try:
        connect.read(Packet(b"\x10" + octets, 1), PREFIX)
    except (Malformed, Refused):
        return
    raise AssertionError("taken")


@given(st.binary(max_size=40), st.integers(0, 60))
def test_what_passes_is_what_was_checked(noise: bytes, at: int) -> None:
    """Whatever is done to a CONNECT, the broker gets one of the form that this server writes, or none."""
    good = hello(5)
    bad = good[:at] + noise + good[at + len(noise) :]
    try:
        (first,) = split(bad)
        asked = connect.read(first, PREFIX)
    except (Malformed, Refused, ValueError):
        return
    (made,) = split(connect.write(asked, ("display", "p")))
    again = connect.read(made, PREFIX)
    assert again == asked
    assert made.octets.endswith(binary(asked.client.encode()) + binary(b"display") + binary(b"p"))


# --- cutting ----------------------------------------------------------------------------------------------

PACKETS = [hello(), packet(12, 0, b""), packet(3, 2, b"\0\1a\0\1" + b"x" * 300), packet(8, 2, b"\0\1\0\1a\1")]


@given(st.lists(st.integers(1, 200), max_size=40))
def test_packets_come_in_pieces_of_any_size(sizes: list[int]) -> None:
    stream, splitter, got = b"".join(PACKETS), Splitter(4096), []
    for size in [*sizes, len(stream)]:
        got += [each.octets for each in splitter.feed(stream[:size])]
        stream = stream[size:]
    assert got == PACKETS


def test_a_packet_too_long_is_refused_before_it_is_kept() -> None:
    with pytest.raises(Malformed, match="268435460 bytes"):
        split(b"\x30\xff\xff\xff\x7f")
    with pytest.raises(Malformed, match="four bytes"):
        split(b"\x30\xff\xff\xff\xff")
    assert split(b"\x30\xff\xff\xff") == []


def test_the_bound_can_be_raised_after_the_first() -> None:
    splitter = Splitter(100)
    stream = splitter.feed(hello() + packet(3, 0, b"x" * 500))
    assert next(stream).kind == Kind.CONNECT
    splitter.max_bytes = 1000
    assert next(stream).kind == Kind.PUBLISH


# --- afterwards -------------------------------------------------------------------------------------------


def subscribe(*filters: str, level: int = 4) -> bytes:
    inner = b"\0" if level == 5 else b""
    return packet(8, 2, b"\0\1" + inner + b"".join(binary(each.encode()) + b"\1" for each in filters))


@pytest.mark.parametrize("level", [4, 5])
def test_a_page_reads_its_own_answers_and_nobody_elses(level: int) -> None:
    door = Door(read(hello(level)))
    for wanted in ("esi/r/state/#", f"esi/r/reply/{ME}", f"esi/r/reply/{ME}/#", "esi/r/#", "#"):
        door.check(*split(subscribe(wanted, level=level)))
    for wanted in ("esi/r/reply/#", "esi/r/reply", "esi/+/reply/+", "esi/r/reply/console-1/image", "$SYS/#"):
        with pytest.raises(Malformed, match="may not subscribe"):
            door.check(*split(subscribe("esi/r/state/#", wanted, level=level)))


@pytest.mark.parametrize("kind", [0, 1, 2, 9, 11, 13, 15])
def test_what_no_client_sends_after_its_connect(kind: int) -> None:
    with pytest.raises(Malformed):
        Door(read(hello())).check(*split(packet(kind, 0, b"")))


@given(st.binary(max_size=40))
def test_no_garbage_for_a_subscription(octets: bytes) -> None:
    door = Door(read(hello()))
    try:
        door.check(*split(packet(8, 2, octets)))
    except Malformed:
        return
    assert b"/reply/" not in octets
