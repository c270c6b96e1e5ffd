"""The receive buffer: every byte is accounted for, and the split of the stream changes nothing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.clock import NS, Stamp
from esi_room.framing import NEED_MORE, Drop, Frame, Junk, Receiver, Skip, Take, Verdict

MAX = 8


def at(second: float) -> Stamp:
    return Stamp(0, round(second * NS))


def numbered(window: bytes) -> Verdict:
    """A toy protocol: `#`, a digit n, n bytes. A dot is filling."""
    if window[0] == ord("."):
        return Drop(1)
    if window[0] != ord("#"):
        return Skip(1, "noise")
    if len(window) < 2:
        return NEED_MORE
    if not 0x30 <= window[1] <= 0x39:
        return Skip(1, "no digit")
    size = 2 + window[1] - 0x30
    return Take(size) if len(window) >= size else NEED_MORE


def judged(chunks: list[bytes]) -> tuple[list[tuple[str, bytes]], int]:
    """Frames and junk, neighbouring junk joined; and what still waits."""
    receiver = Receiver(numbered, max_frame_bytes=MAX)
    out: list[tuple[str, bytes]] = []
    for chunk in chunks:
        for item in receiver.feed(chunk, at(0)):
            kind = "" if isinstance(item, Frame) else item.reason
            if kind and out and out[-1][0] == kind:
                out[-1] = (kind, out[-1][1] + item.octets)
            else:
                out.append((kind, item.octets))
    return out, receiver.pending


streams = st.lists(
    st.sampled_from([b"#2ab", b"#0", b"#6abcdef", b"#7abcdefg", b"#9", b"#", b"x", b"\x00#"]), max_size=20
).map(b"".join)


@given(streams, st.lists(st.integers(1, 7), min_size=1))
def test_the_split_changes_nothing(stream: bytes, sizes: list[int]) -> None:
    chunks, rest = [], stream
    while rest:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(rest[:size])
        rest = rest[size:]
    assert judged(chunks) == judged([stream])


@given(st.binary(max_size=300))
def test_every_byte_leaves_once(stream: bytes) -> None:
    out, pending = judged([stream])
    filling = sum(len(part) for _, part in out) + pending
    assert filling + stream.count(b".") >= len(stream) >= filling


def test_a_frame_at_the_limit_is_taken_and_one_over_it_is_not() -> None:
    assert judged([b"#6abcdef"]) == ([("", b"#6abcdef")], 0)
    out, pending = judged([b"#7abcdefg"])
    assert out[0][0] == "too long"
    assert pending == 0


def test_a_good_frame_behind_a_false_start_is_found() -> None:
    assert judged([b"#x#2ab"])[0] == [("no digit", b"#"), ("noise", b"x"), ("", b"#2ab")]


def test_a_frame_bears_the_stamp_of_its_first_byte() -> None:
    receiver = Receiver(numbered, max_frame_bytes=MAX)
    assert receiver.feed(b"x#", at(1)) == [Junk("noise", b"x", at(1))]
    assert receiver.feed(b"1", at(2)) == []
    assert receiver.feed(b"a#1b", at(3)) == [Frame(b"#1a", at(1)), Frame(b"#1b", at(3))]


def test_a_pause_inside_a_frame_cuts_it_off() -> None:
    receiver = Receiver(numbered, max_frame_bytes=MAX, inter_byte_s=0.5)
    assert receiver.feed(b"#4ab", at(0)) == []
    assert receiver.feed(b"", at(0.5)) == []
    out = receiver.feed(b"#1c", at(0.6))
    assert [(item.octets, getattr(item, "reason", None)) for item in out] == [
        (b"#", "pause inside a frame"),
        (b"4ab", "noise"),
        (b"#1c", None),
    ]


def test_an_empty_chunk_only_lets_time_pass() -> None:
    receiver = Receiver(numbered, max_frame_bytes=MAX, inter_byte_s=0.5)
    receiver.feed(b"#4ab", at(0))
    receiver.feed(b"", at(0.4))
    assert receiver.feed(b"", at(0.8))
    assert receiver.pending == 0


def test_a_flush_brings_out_what_lay_behind_a_false_start() -> None:
    receiver = Receiver(numbered, max_frame_bytes=MAX)
    receiver.feed(b"#6#1a", at(0))
    assert receiver.flush("line lost") == [
        Junk("line lost", b"#", at(0)),
        Junk("noise", b"6", at(0)),
        Frame(b"#1a", at(0)),
    ]
    assert receiver.pending == 0
    assert receiver.flush("line lost") == []


def test_filling_costs_no_memory() -> None:
    receiver = Receiver(numbered, max_frame_bytes=MAX)
    for second in range(1000):
        assert receiver.feed(b".", at(second)) == []
    assert receiver.feed(b"x", at(2000)) == [Junk("noise", b"x", at(2000))]
    assert receiver.pending == 0


@pytest.mark.parametrize("size", [0, -1, 3])
def test_a_grammar_that_miscounts_is_a_bug(size: int) -> None:
    receiver = Receiver(lambda window: Take(size), max_frame_bytes=MAX)
    with pytest.raises(ValueError, match="judged"):
        receiver.feed(b"ab", at(0))


def test_noise_is_got_over_quickly() -> None:
    """A megabyte that looks like the start of a long frame: linear, not quadratic."""
    receiver = Receiver(lambda window: NEED_MORE, max_frame_bytes=3000)
    began = time.perf_counter()
    for _ in range(64):
        receiver.feed(b"\x55" * 4096, at(0))
    assert time.perf_counter() - began < 5.0
    assert receiver.pending < 3000
