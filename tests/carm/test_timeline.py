"""Any frame by its time, and any time by its frame."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from esi_room.carm.time_axis.timeline import Timeline
from esi_room.clock import parse_rfc3339, rfc3339
from esi_room.events import CarmImage, Entry, InstanceRef

NOON_NS = parse_rfc3339("2026-11-23T12:00:00Z")
MS = 1_000_000


def image(seq: int, at_ms: float, *, frames: int | None = None, **attributes) -> tuple[Entry, CarmImage]:
    data = CarmImage(
        **{
            **dict.fromkeys(("study_uid", "series_uid", "acquired", "duplicate_of")),
            **{"sop_class_uid": "1.2", "sop_instance_uid": f"1.{seq}", "transfer_syntax_uid": "1.2", "peer": "CARM"},
            **{"sha256": f"{seq:064x}", "size_bytes": 1, "rows": 4, "columns": 4, "frames": frames, "dose": {}},
            **attributes,
        }
    )
    time = rfc3339(NOON_NS + round(at_ms * MS))
    raw = msgspec.Raw(msgspec.json.encode(data))
    line = {"v": 1, "record": "r", "seq": seq, "prev": "", "type": CarmImage.TYPE, "time": time, "received": time}
    return Entry(**line, mono_ns=0, source="carm", data=raw), data


def on(timeline: Timeline, at_ms: float) -> tuple[int, int | None] | None:
    frame = timeline.at(NOON_NS + round(at_ms * MS))
    return None if frame is None else (frame.entry.seq, frame.number)


RUN = {"frames": 3, "frame_times_ms": (0.0, 100.0, 250.0)}


def test_an_image_stays_until_the_next():
    timeline = Timeline([image(1, 0), image(2, 1000, **RUN), image(3, 5000)])
    asked = [-1, 0, 999, 1000, 1099, 1100, 1249, 1250, 4999, 5000, 9e9]
    expected = [None, (1, 1), (1, 1), (2, 1), (2, 1), (2, 2), (2, 2), (2, 3), (2, 3), (3, 1), (3, 1)]
    assert [on(timeline, at_ms) for at_ms in asked] == expected


def test_entries_out_of_order_and_overlapping_runs():
    timeline = Timeline([image(9, 500), image(4, 0, frames=2, frame_times_ms=(0.0, 800.0))])
    assert [on(timeline, at_ms) for at_ms in (0, 500, 799, 800)] == [(4, 1), (9, 1), (9, 1), (4, 2)]


def test_the_first_frame_may_begin_later_than_the_exposure():
    timeline = Timeline([image(1, 0, first_frame_ms=40.0, **RUN)])
    assert [on(timeline, at_ms) for at_ms in (39, 40, 140)] == [None, (1, 1), (1, 2)]


def test_frames_without_times_are_not_numbered():
    timeline = Timeline([image(1, 0, frames=30)])
    assert on(timeline, 10) == (1, None)
    assert timeline.frame(InstanceRef(record="r", seq=1), 2) is None


def test_reports_and_what_came_again_are_not_on_it():
    again = InstanceRef(record="r", seq=1)
    timeline = Timeline([image(1, 0), image(2, 10, rows=None), image(3, 20, duplicate_of=again)])
    assert on(timeline, 100) == (1, 1)


gaps = st.lists(st.floats(0.001, 1e4), min_size=1, max_size=30)


@given(starts=st.lists(st.floats(0, 1e6), min_size=1, max_size=8), gaps_ms=gaps)
def test_every_frame_is_found_at_its_own_time(starts, gaps_ms):
    offsets = tuple(sum(gaps_ms[:count]) for count in range(len(gaps_ms) + 1))
    made = [image(n, at_ms, frames=len(offsets), frame_times_ms=offsets) for n, at_ms in enumerate(starts)]
    timeline = Timeline(made)
    for entry, _ in made:
        for number in range(1, len(offsets) + 1):
            frame = timeline.frame(InstanceRef(record="r", seq=entry.seq), number)
            assert frame is not None and frame.number == number
            shown = timeline.at(frame.wall_ns)
            assert shown is not None and shown.wall_ns == frame.wall_ns
    assert len(timeline.between(0, NOON_NS * 2)) == len(starts) * len(offsets)
