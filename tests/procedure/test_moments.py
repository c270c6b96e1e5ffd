"""When it happened, as the staff say it."""

from __future__ import annotations

import pytest

from esi_room.clock import NS, Stamp
from esi_room.errors import CommandRefused
from esi_room.procedure.moments import AHEAD_S, happened_ns

NOW = Stamp(1_700_000_000 * NS, 0)  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        ("2023-11-14T22:13:20Z", 0),
        ("2023-11-14T23:13:19.5+01:00", -0.5),
        ("2023-11-14T22:14:20Z", AHEAD_S),
    ],
)
def test_a_moment_that_has_been(at, seconds):
    assert happened_ns(at, NOW) == NOW.wall_ns + round(seconds * NS)


def test_now_need_not_be_said():
    assert happened_ns(None, NOW) is None


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2023-11-14T22:14:21Z", "in the future"),
        ("2023-02-30T10:00:00Z", "out of range"),
        ("2023-11-14T22:13:20", "no time zone"),
        ("yesterday", "yesterday"),
    ],
)
def test_what_is_none(at, words):
    with pytest.raises(CommandRefused, match=words):
        happened_ns(at, NOW)
