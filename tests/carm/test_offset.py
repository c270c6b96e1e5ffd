"""The offset of a device's clock: never below the truth, and at it as soon as something is sent at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.carm.time_axis.offset import DRIFT, Estimate, Offsets, parsed
from esi_room.clock import NS, parse_rfc3339, rfc3339

NOON = "2026-11-23T12:00:00.000000Z"
HOUR_S = 3600.0


class CArm:
    """Sends images to `offsets`; `offset_s`: room minus device."""

    def __init__(self, offset_s: float, at: str = NOON, zone: str = "") -> None:
        self.offset_s, self.now_ns, self.zone, self.offsets = offset_s, parse_rfc3339(at), zone, Offsets()

    def send(self, delay_s: float, *, after_s: float = 10.0) -> Estimate | None:
        """Take an image `after_s` later, and send it with this delay."""
        self.now_ns += round(after_s * NS)
        device = rfc3339(self.now_ns - round(self.offset_s * NS))[:-1] + self.zone
        return self.offsets.observe("CARM", device, self.now_ns + round(delay_s * NS))

    def known_s(self, delay_s: float, **how: float) -> float:
        estimate = self.send(delay_s, **how)
        assert estimate is not None
        return estimate.offset_s


delays = st.lists(st.floats(0, 8 * HOUR_S), min_size=1, max_size=30)
pauses = st.floats(0, HOUR_S)


@given(offset_s=st.floats(-14 * HOUR_S, 14 * HOUR_S), delays_s=delays, after_s=pauses)
def test_never_below_the_truth_and_true_once_one_is_sent_at_once(offset_s, delays_s, after_s):
    carm = CArm(offset_s)
    for delay_s in delays_s:
        assert carm.known_s(delay_s, after_s=after_s) >= offset_s - 1e-5
    assert carm.known_s(0.0, after_s=after_s) == pytest.approx(offset_s, abs=1e-5)


@given(delays_s=delays, after_s=st.floats(0, 5))
def test_late_ones_do_not_spoil_what_is_known(delays_s, after_s):
    """Taken seconds apart, sent any time later: only a steady delay over SPAN_S could be taken for a clock set."""
    carm = CArm(-3.0)
    carm.known_s(0.0)
    for delay_s in delays_s[:10]:
        slack_s = DRIFT * 9 * HOUR_S
        assert carm.known_s(delay_s, after_s=after_s) == pytest.approx(-3.0, abs=slack_s)


def test_a_run_sent_at_its_end_is_no_clock_set():
    carm = CArm(7.0)
    carm.known_s(0.2)
    for second in range(0, 600, 30):
        assert carm.known_s(600.0 - second, after_s=30) == pytest.approx(7.2, abs=0.2)


@pytest.mark.parametrize("step_s", [-HOUR_S, -45.0, 45.0, HOUR_S])
def test_a_clock_that_is_set_during_the_day_is_followed(step_s):
    carm = CArm(0.0)
    carm.known_s(0.1)
    carm.offset_s = step_s
    said = [carm.send(0.1, after_s=40) for _ in range(4)]
    assert said[-1] is not None and said[-1].offset_s == pytest.approx(step_s + 0.1, abs=0.01)
    assert sum(each.changed for each in said if each) == 1


def test_drift_is_followed_both_ways():
    carm = CArm(0.0)
    for rate in (50e-6, -50e-6):
        for _ in range(48):
            carm.offset_s += rate * HOUR_S
            assert carm.known_s(0.05, after_s=HOUR_S) == pytest.approx(carm.offset_s + 0.05, abs=0.4)


def test_one_date_that_no_zone_explains_moves_nothing():
    carm = CArm(1.0)
    carm.known_s(0.0)
    for wrong_s in (-3 * 365 * 86_400.0, 56 * 365 * 86_400.0):
        carm.offset_s = wrong_s
        assert carm.known_s(0.0) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("offset_s", [-400 * 86_400.0, 56 * 365 * 86_400.0])
def test_a_clock_that_stands_years_off_is_believed_once_it_is_steady(offset_s):
    carm = CArm(offset_s)
    assert carm.send(0.2) is None and carm.send(0.4) is None
    assert carm.known_s(0.1, after_s=70) == pytest.approx(offset_s + 0.1, abs=0.001)


def test_an_old_image_alone_is_no_clock():
    assert CArm(0.0).send(5 * 86_400.0) is None


def test_times_with_a_zone_and_without_are_two_clocks():
    local = CArm(-HOUR_S)
    assert local.known_s(0.0) == pytest.approx(-HOUR_S)
    zoned = Offsets().observe("CARM", "2026-11-23T13:00:00+01:00", parse_rfc3339(NOON) + NS)
    assert zoned is not None and zoned.offset_s == 1.0
    both = local.offsets.observe("CARM", "2026-11-23T13:00:00+01:00", parse_rfc3339(NOON) + NS)
    assert both is not None and both.offset_s == 1.0


def test_uncertainty_is_how_well_the_best_agree_and_is_not_claimed_of_one():
    carm = CArm(2.0)
    first, second = carm.send(0.30), carm.send(0.50)
    assert first is not None and first.uncertainty_s is None
    assert second is not None and second.uncertainty_s == pytest.approx(0.2, abs=0.01)
    later = carm.send(9.0, after_s=HOUR_S)
    assert later is not None and later.uncertainty_s is not None and later.uncertainty_s > second.uncertainty_s


def test_it_is_said_when_it_changed_noticeably_and_only_then():
    carm = CArm(0.0)
    changed = [estimate.changed for delay_s in (3.0, 2.9, 0.5, 0.2, 1.0) if (estimate := carm.send(delay_s))]
    assert changed == [True, False, True, False, False]
    payload = carm.send(0.2)
    assert payload is not None and payload.payload.device == "CARM" and payload.payload.samples == 6


@pytest.mark.parametrize("text", ["", "20261123", "2026-13-45T00:00:00", "2026-11-23T12:00:60", "9999-12-31T23:59:59"])
def test_what_is_no_time_teaches_nothing(text):
    assert Offsets().observe("CARM", text, parse_rfc3339(NOON)) is None
    assert parsed("9999-12-31T23:59:59.9", 1e12) is None
