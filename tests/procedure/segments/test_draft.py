"""How much it was, how fast, at which pressure."""

from __future__ import annotations

import pytest
from segments_tape import T0_NS, Tape, clock, events, interruptions

from esi_room.clock import NS
from esi_room.events import ClockStep


def test_the_volume_counts_from_what_the_counter_was_before_the_start(tape: Tape) -> None:
    """The entry that says that it began may carry some of it already."""
    tape.pump(0, "stopped", 1.0)
    tape.started(1, 1.01)
    tape.stopped(61, "stopped", 2.0)
    assert tape.one().delivered_ml == 1.0


def test_a_counter_that_was_cleared_just_before_the_start_began_at_zero(tape: Tape) -> None:
    tape.pump(0, "stopped", 4.0)
    tape.started(1, 0.01)
    tape.stopped(61, "stopped", 1.0)
    assert (tape.one().delivered_ml, tape.done[0].remarks) == (1.0, ())


def test_a_reset_within_is_added_up_and_said(tape: Tape) -> None:
    tape.pump(0, "stopped", 8.0)
    tape.started(1, 8.0)
    tape.pump(61, "infusing", 9.5)
    reset = tape.pump(91, "infusing", 0.3)
    tape.stopped(121, "stopped", 0.8)
    delivery = tape.one()
    assert (delivery.delivered_ml, delivery.remarks) == (2.3, ("counter_reset",))
    assert ("PUMP_VOL_COUNTERS_CLEARED", reset) in events(delivery)


@pytest.mark.parametrize(
    ("at_start", "within", "at_end"), [(None, 0.5, 1.0), (0.0, 0.5, None), (0.0, None, None), (None, None, None)]
)
def test_a_counter_that_is_not_known_gives_no_volume(
    tape: Tape, at_start: float | None, within: float | None, at_end: float | None
) -> None:
    tape.pump(0, "stopped", at_start)
    tape.started(1, at_start)
    tape.pump(31, "infusing", within)
    tape.stopped(61, "stopped", at_end)
    delivery = tape.one()
    assert (delivery.delivered_ml, delivery.mean_rate_ml_h, delivery.remarks) == (None, None, ("volume_unknown",))


def test_a_counter_that_was_not_told_for_a_while_is_known_at_the_end(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.pump(30, "infusing", None)
    tape.stopped(60, "stopped", 1.0)
    assert (tape.one().delivered_ml, tape.done[0].remarks) == (1.0, ())


def test_the_target_is_the_last_one_said_and_0_is_none(tape: Tape) -> None:
    tape.started(0, 0.0, target_ml=None)
    tape.pump(1, "infusing", 0.0, target_ml=2.5)
    tape.stopped(60, "stopped", 1.0, target_ml=None)
    tape.started(100, 1.0, target_ml=0.0)
    tape.stopped(160, "stopped", 2.0, target_ml=0.0)
    tape.done += tape.segments.close(T0_NS + 200 * NS)
    assert [delivery.programmed_ml for delivery in tape.done] == [2.5, None]


def test_rates_and_pressures_are_those_while_it_ran(tape: Tape) -> None:
    tape.started(0, 0.0, rate_ml_h=60.0, pressure_mmhg=100.0)
    tape.pump(30, "infusing", 0.5, rate_ml_h=120.0, pressure_mmhg=400.0)
    tape.pump(45, "infusing", 1.0, rate_ml_h=None, pressure_mmhg=None)
    tape.stopped(60, "paused", 1.5, rate_ml_h=900.0, pressure_mmhg=1800.0)
    tape.pump(62, "stopped", 1.5, rate_ml_h=900.0, pressure_mmhg=0.0)
    delivery = tape.one()
    assert (delivery.mean_rate_ml_h, delivery.peak_rate_ml_h) == (90.0, 120.0)
    assert (delivery.mean_pressure_mmhg, delivery.peak_pressure_mmhg) == (250.0, 400.0)


def test_a_delivery_of_no_time_has_no_mean_rate(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.stopped(0, "stopped", 0.1)
    assert (tape.one().delivered_ml, tape.done[0].mean_rate_ml_h) == (0.1, None)


def test_over_a_step_of_the_clock_nobody_knows_how_long_it_ran(tape: Tape) -> None:
    tape.started(100, 0.0)
    tape(50, ClockStep(step_s=-60.0), "room")
    tape.stopped(170, "stopped", 1.0)
    assert (tape.one().delivered_ml, tape.done[0].mean_rate_ml_h) == (1.0, None)


def test_a_clock_that_was_set_back_makes_no_time_negative(tape: Tape) -> None:
    tape.started(100, 0.0)
    tape.stopped(130, "paused", 0.5)
    tape.started(60, 0.5)
    tape.stopped(70, "stopped", 1.0)
    delivery = tape.one()
    assert (delivery.started_at, delivery.ended_at) == (clock(100), clock(100))
    assert interruptions(delivery) == [(clock(130), clock(130), "paused")]
