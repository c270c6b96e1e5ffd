"""Octets in, events out, with no line and no clock."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from esi_room.clock import NS, Stamp
from esi_room.drivers.contract import Ask, Identified
from esi_room.events import Event
from esi_room.station import Decoder, Heard, Rejected

NOW = Stamp(1_700_000_000 * NS, 0)


def later(seconds: float) -> Stamp:
    return Stamp(NOW.wall_ns + round(seconds * NS), round(seconds * NS))


def opened(make_driver: Any, **options: Any) -> Decoder:
    decoder = Decoder("monitor-1", make_driver(**options))
    decoder.opened(NOW)
    return decoder


def test_a_good_frame_is_heard_before_what_it_says(make_driver: Any) -> None:
    decoder = opened(make_driver)
    heard, event = decoder.received(b"V97\n", NOW)
    assert heard == Heard(NOW)
    assert isinstance(event, Event)
    assert (event.source, event.received, event.data.readings[0].value) == ("monitor-1", NOW, 97)
    assert decoder.received(b".\n", NOW) == [Heard(NOW)]
    assert decoder.received(b"I N-560\n", NOW) == [Heard(NOW), Identified("N-560")]


def test_an_event_was_received_when_its_first_byte_was(make_driver: Any) -> None:
    decoder = opened(make_driver)
    assert decoder.received(b"V9", later(0.1)) == []
    _, event = decoder.received(b"7\n", later(0.2))
    assert event.received == later(0.1)


def test_what_is_refused_is_not_heard(make_driver: Any) -> None:
    decoder = opened(make_driver)
    assert decoder.received(b"R\n", NOW) == [Rejected("not understood", b"R\n", NOW)]


def test_a_bug_in_the_driver_costs_one_frame(make_driver: Any) -> None:
    decoder = opened(make_driver)
    rejected, *after = decoder.received(b"E\nV97\n", NOW)
    assert rejected[:3] == ("driver error", b"E\n", NOW)
    assert rejected.bug.startswith("KeyError at conftest.py:")
    assert after[0] == Heard(NOW)


def test_a_bug_in_the_grammar_costs_its_bytes(make_driver: Any) -> None:
    decoder = opened(make_driver)
    rejected, *after = decoder.received(b"##V97\n", NOW)
    assert rejected[:3] == ("driver error", b"##", NOW)
    assert rejected.bug.startswith("KeyError at conftest.py:")
    assert "grammar bug" not in rejected.bug  # a message may quote what the device sent
    assert after[0] == Heard(NOW)


def test_an_opening_forgets_half_a_frame(make_driver: Any) -> None:
    decoder = opened(make_driver)
    decoder.received(b"V9", NOW)
    assert decoder.closed() == [
        Rejected("line closed inside a frame", b"V", NOW),
        Rejected("no frame", b"9", NOW),
    ]
    decoder.opened(later(1))
    _, event = decoder.received(b"V88\n", later(2))
    assert event.data.readings[0].value == 88


def test_a_long_silence_ends_a_frame_without_any_timer(make_driver: Any) -> None:
    decoder = opened(make_driver, max_silence_s=3.0)
    decoder.received(b"V9", NOW)
    rejected, *_, event = decoder.received(b"V88\n", later(4))
    assert rejected.reason == "pause inside a frame"
    assert event.data.readings[0].value == 88


def test_sent_and_ticks_reach_the_driver(make_driver: Any) -> None:
    decoder = opened(make_driver, tick_s=1.0)
    assert decoder.tick(later(1.5)) == [Ask(b"POLL\r")]
    assert decoder.sent(b"POLL\r", later(1.5)) == []
    assert decoder._driver.calls == ["open", ("tick", 1.5), ("sent", b"POLL\r")]


def offsets(decoder: Decoder, *samples: tuple[float, float]) -> list[float | None]:
    """Estimates after messages with (receipt, device clock), both in seconds since NOW."""
    wall_s = NOW.wall_ns // NS
    out = []
    for received_s, device_s in samples:
        _, event = decoder.received(b"T%d V97\n" % (wall_s + device_s), later(received_s))
        out.append(event.device_offset_s)
    return out


def test_the_clock_offset_is_the_least_delayed_one(make_driver: Any) -> None:
    assert offsets(opened(make_driver), (1.3, 1), (2.1, 2), (3.4, 3)) == [0.3, 0.1, 0.1]


def test_a_device_clock_that_is_set_shows_at_once(make_driver: Any) -> None:
    found = offsets(opened(make_driver), (1.1, 1), (2.1, 3602), (3.1, 3603), (4.1, 4))
    assert found == [0.1, -3599.9, -3599.9, 0.1]


def test_no_offset_where_the_device_says_no_time(make_driver: Any) -> None:
    _, event = opened(make_driver).received(b"V97\n", NOW)
    assert (event.device_time, event.device_offset_s) == (None, None)


FRAMES = st.sampled_from(
    [b"V97\n", b"T1700000003 V12\n", b"I N-560\n", b"R\n", b"E\n", b"?\n", b".\n", b"\x00\xff#", b"V" * 50, b"V9"]
)


@given(frames=st.lists(FRAMES, max_size=30), cuts=st.lists(st.integers(1, 300), max_size=20))
def test_events_do_not_depend_on_the_split(make_driver: Any, frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frames)
    assert all_of(opened(make_driver), stream, cuts) == all_of(opened(make_driver), stream, [])


def all_of(decoder: Decoder, stream: bytes, cuts: list[int]) -> tuple[list[Any], dict[str, int]]:
    """Everything but the rejects, and how many bytes were rejected for which reason."""
    edges = [0, *sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]
    outputs: list[Any] = []
    for start, end in pairwise(edges):
        outputs += decoder.received(stream[start:end], NOW)
    rejected: dict[str, int] = {}
    for output in outputs:
        if isinstance(output, Rejected):
            rejected[output.reason] = rejected.get(output.reason, 0) + len(output.octets)
    return [output for output in outputs if not isinstance(output, Rejected)], rejected
