"""Which frames are in the page itself: the last of each image first, then of the runs as many as there is room for."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.audit.export.case import load
from esi_room.audit.export.page import album
from esi_room.audit.export.page.album import _in_order, _spread

COUNTS = st.lists(st.integers(1, 300), min_size=1, max_size=20)


@given(COUNTS)
def test_every_image_has_its_last_frame_before_any_has_more(counts):
    order = list(_in_order(counts))
    assert order[: len(counts)] == list(enumerate(counts))
    assert len(set(order)) == len(order) <= max(len(counts), album.MOST_FRAMES)
    assert all(1 <= frame <= counts[n] for n, frame in order)
    if sum(counts) <= album.MOST_FRAMES:
        assert len(order) == sum(counts)


@given(st.integers(2, 300), st.integers(2, 40))
def test_the_frames_of_a_run_are_taken_evenly(frames, count):
    taken = sorted({frames, *list(_spread(frames))[: count - 1]})
    holes = [later - earlier for earlier, later in pairwise(taken)]
    assert taken[0] == 1 and (not holes or max(holes) <= 2 * frames / count + 2)


def test_runs_share_the_room(monkeypatch):
    monkeypatch.setattr(album, "MOST_FRAMES", 30)
    shares = Counter(n for n, _ in _in_order([100, 100, 1]))
    assert shares[2] == 1 and abs(shares[0] - shares[1]) <= 1


def test_a_header_that_claims_a_billion_frames_costs_nothing():
    assert len(list(_in_order([1_000_000_000, 3]))) <= album.MOST_FRAMES


def test_what_does_not_fit_is_left_out_and_said(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = load(built.directory)
    whole = album.embedded(case, case.images())
    assert whole.note is None and [len(each) for each in whole.data["kept"]] == [1, 1]
    monkeypatch.setattr(album, "MOST_BYTES", 1)
    cut = album.embedded(case, case.images())
    assert [len(each) for each in cut.data["kept"]] == [1, 0]
    assert cut.note == "1 of 2 frames are in this file"
    assert cut.reasons == [None, "left out: this file has no room for more"]
    assert all(each.source for each in cut.thumbnails.values()), "small ones there are all the same"


def test_what_may_not_be_shown_has_its_reason_and_no_address(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esi_room.audit.export.page.pictures._burned_in", lambda *_: "YES")
    case = load(built.directory)
    found = album.linked(case, case.images(), "frame")
    assert set(found.reasons) == {"left out: the patient's name may be burned in"}
    assert all(each.source is None for each in found.thumbnails.values())
