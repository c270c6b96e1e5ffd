"""Time stamps as the record writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.clock import SystemClock, parse_rfc3339, rfc3339, synchronisation

YEAR_9999_NS = 253_402_300_799 * 10**9


@given(st.integers(0, YEAR_9999_NS))
def test_rfc3339_keeps_microseconds_and_is_read_back(wall_ns):
    text = rfc3339(wall_ns)
    assert len(text) == 27
    assert text.endswith("Z")
    assert parse_rfc3339(text) == wall_ns // 1000 * 1000


def test_offsets_are_understood_and_naive_times_are_not():
    assert parse_rfc3339("2026-11-23T10:00:00+01:00") == parse_rfc3339("2026-11-23T09:00:00Z")
    with pytest.raises(ValueError, match="no time zone"):
        parse_rfc3339("2026-11-23T10:00:00")


def test_the_system_clock_goes_forward_and_the_kernel_is_asked():
    one, two = SystemClock().now(), SystemClock().now()
    assert two.mono_ns >= one.mono_ns
    assert synchronisation().synchronised in {True, False, None}
