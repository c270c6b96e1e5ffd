"""From start to end: when a pump's delivery begins, and when and how it has ended."""

from __future__ import annotations

from typing import Any

import pytest
from segments_tape import RESET, STALLED, T0_NS, Tape, alarm, clock, events, interruptions

from esi_room.clock import NS
from esi_room.events import Delivery, PumpCompleted, PumpStarted, PumpStopped
from esi_room.procedure.segments import SETTLE_S


def test_from_start_to_completion_is_one_delivery(tape: Tape) -> None:
    tape.pump(0, "stopped", 0.5)
    first = tape.started(10, 0.5)
    tape.pump(10, "infusing", 0.5)
    tape.pump(100, "infusing", 2.0)
    last = tape.pump(190, "stopped", 3.5, PumpCompleted)
    assert tape.one() == Delivery(
        number=1,
        origin="pump",
        device="pump-1",
        started_at=clock(10),
        ended_at=clock(190),
        ended_by="completed",
        syringe=None,
        drugs=(),
        programmed_ml=3.0,
        delivered_ml=3.0,
        mean_rate_ml_h=60.0,
        peak_rate_ml_h=60.0,
        mean_pressure_mmhg=None,
        peak_pressure_mmhg=None,
        facts=(first, last),
        events=tape.done[0].events,
    )
    assert events(tape.done[0]) == [("DELIV_START", first), ("DELIV_COMP", last)]


@pytest.mark.parametrize(("kind", "by", "ipec"), [(PumpCompleted, "completed", "DELIV_COMP"),
                                                  (PumpStopped, "stopped", "DELIV_STOP")])  # fmt: skip
def test_a_stop_that_is_shown_first_and_named_later(tape: Tape, kind: Any, by: str, ipec: str) -> None:
    """As the New Era driver does: it asks for the volume once more before it says how the delivery ended."""
    tape.started(0, 0.0)
    tape.pump(60, "stopped", 2.9)
    last = tape.pump(60.6, "stopped", 3.0, kind)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at, delivery.delivered_ml) == (by, clock(60), 3.0)
    assert delivery.facts == (1, last)
    assert events(delivery)[-1] == (ipec, last)


def test_a_stop_that_is_never_named_is_a_stop(tape: Tape) -> None:
    tape.started(0, 0.0)
    shown = tape.pump(60, "stopped", 1.0)
    tape.pump(64, "stopped", 1.0)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at, delivery.facts) == ("stopped", clock(60), (1, shown))
    assert events(delivery) == [("DELIV_START", 1), ("DELIV_STOP", shown)]


def test_a_word_that_comes_too_late_is_not_waited_for(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.pump(60, "stopped", 1.0)
    tape.pump(60 + SETTLE_S + 1, "stopped", 1.5, PumpCompleted)
    assert (tape.one().ended_by, tape.done[0].delivered_ml) == ("stopped", 1.0)


def test_a_stop_is_said_once(tape: Tape) -> None:
    tape.started(0, 0.0)
    stop = tape.stopped(60, "stopped", 1.0)
    tape.stopped(61, "stopped", 1.0)
    tape.pump(62, "stopped", 1.0, PumpCompleted)
    assert (tape.one().ended_by, events(tape.done[0])) == ("stopped", [("DELIV_START", 1), ("DELIV_STOP", stop)])


def test_a_second_start_without_a_stop_changes_nothing(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.started(30, 0.5)
    tape.stopped(60, "stopped", 1.0)
    assert tape.one().delivered_ml == 1.0


@pytest.mark.parametrize("state", ["withdrawing", "purging"])
def test_withdrawing_and_purging_are_no_delivery(tape: Tape, state: str) -> None:
    tape.pump(0, "stopped", 0.0)
    tape.pump(1, state, 0.0, PumpStarted)
    tape.pump(2, state, 1.0)
    tape.stopped(3, "stopped", 1.5)
    assert tape.segments.close(T0_NS + 100 * NS) == []
    tape.started(10, 1.5)
    tape.stopped(20, "stopped", 2.0)
    assert tape.one().delivered_ml == 0.5


@pytest.mark.parametrize("state", ["withdrawing", "purging"])
def test_what_is_withdrawn_or_purged_afterwards_is_not_counted(tape: Tape, state: str) -> None:
    tape.started(0, 0.0)
    tape.pump(10, "infusing", 0.5)
    tape.pump(12, state, 0.9)
    tape.pump(14, "stopped", 2.0)
    delivery = tape.one()
    assert (delivery.delivered_ml, delivery.ended_by, delivery.ended_at) == (0.5, "stopped", clock(12))


def test_infusing_right_after_withdrawing_was_seen_to_begin(tape: Tape) -> None:
    tape.pump(0, "withdrawing", 0.0)
    begun = tape.pump(1, "infusing", 0.0)
    tape.stopped(31, "stopped", 0.5)
    delivery = tape.one()
    assert delivery.remarks == ()
    assert events(delivery)[0] == ("DELIV_START", begun)


def test_a_pump_connected_late_counts_from_its_first_reading(tape: Tape) -> None:
    tape.pump(0, "infusing", None, rate_ml_h=None, target_ml=None)
    tape.pump(1, "infusing", 1.2)
    tape.stopped(61, "stopped", 2.2)
    delivery = tape.one()
    assert delivery.remarks == ("connected_late",)
    assert (delivery.delivered_ml, delivery.started_at) == (1.0, clock(0))
    assert "DELIV_START" not in [event.ipec for event in delivery.events]


def test_the_procedure_ends_while_the_pump_runs(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.pump(30, "infusing", 0.5)
    ended = tape.ended(40)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at, delivery.facts) == ("procedure_ended", clock(40), (1, ended))


def test_what_a_pump_says_without_a_state_begins_and_ends_by_its_type(tape: Tape) -> None:
    tape.pump(0, None, 0.0)
    tape.pump(1, None, 0.0, PumpStarted)
    tape.pump(2, None, 0.4)
    tape.pump(31, None, 0.5, PumpStopped)
    assert (tape.one().delivered_ml, tape.done[0].ended_by) == (0.5, "stopped")


@pytest.mark.parametrize(
    ("state", "kind", "by"),
    [("infusing", PumpStopped, "stopped"), ("infusing", PumpCompleted, "completed"),
     ("paused", PumpCompleted, "completed")],
)  # fmt: skip
def test_an_end_that_contradicts_its_state_is_an_end(tape: Tape, state: str, kind: Any, by: str) -> None:
    tape.started(0, 0.0)
    tape.pump(30, state, 0.5, kind)
    assert tape.segments.open == frozenset()
    assert (tape.one().ended_by, tape.done[0].delivered_ml) == (by, 0.5)


def test_a_start_without_a_state_may_be_of_a_withdrawal(tape: Tape) -> None:
    tape.pump(0, None, 0.0, PumpStarted, direction="withdraw")
    assert tape.segments.open == frozenset()


def test_a_counter_that_is_cleared_after_the_end_takes_nothing_away(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.stopped(60, "stopped", 1.0)
    tape.pump(62, "stopped", 0.2)
    assert (tape.one().delivered_ml, tape.done[0].remarks) == (1.0, ())


def test_an_occlusion_is_said(tape: Tape) -> None:
    tape.started(0, 0.0)
    occluded = tape(30, STALLED)
    stop = tape.stopped(30, "alarm", 0.5)
    tape(33, alarm("A?S", STALLED.text, active=False))
    tape.pump(33, "paused", 0.5)
    tape.started(60, 0.5)
    tape.stopped(90, "stopped", 1.0)
    delivery = tape.one()
    assert delivery.remarks == ("occlusion",)
    assert interruptions(delivery) == [(clock(30), clock(60), "alarm")]
    assert events(delivery)[1:3] == [("FLUID_LINE_OCCL", occluded), ("DELIV_STOP", stop)]


@pytest.mark.parametrize("text", ["Downstream Occlusion", "occluded", "motor stalled"])
def test_occlusions_in_the_words_of_other_pumps(tape: Tape, text: str) -> None:
    tape.started(0, 0.0)
    tape(1, alarm("AL_7", text))
    assert tape.one().remarks == ("occlusion",)


def test_an_occlusion_outside_of_a_delivery_is_of_none(tape: Tape) -> None:
    tape.pump(0, "stopped", 0.0)
    tape(1, STALLED)
    tape.started(2, 0.0)
    tape(3, alarm("A?E", "pumping program error"))
    tape.stopped(4, "stopped", 0.1)
    assert tape.one().remarks == ()


def test_a_pump_that_lost_its_power_has_ended_its_delivery(tape: Tape) -> None:
    tape.pump(0, "stopped", 5.0)
    tape.started(1, 5.0)
    tape.pump(50, "infusing", 5.8)
    tape(55, RESET)
    stop = tape.stopped(55, "alarm", 5.8)
    tape.pump(55, "alarm", None, rate_ml_h=None, target_ml=None)
    tape.pump(56, "stopped", 0.0)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.remarks) == ("pump_restarted", ("pump_restarted",))
    assert (delivery.delivered_ml, delivery.ended_at, delivery.facts) == (0.8, clock(55), (2, stop))


def test_what_follows_a_restart_is_another_delivery(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape(5, RESET)
    tape.stopped(5, "alarm", 0.1)
    tape.started(6, 0.2)
    tape.stopped(36, "stopped", 0.7)
    tape.done += tape.segments.close(T0_NS + 100 * NS)
    assert [(d.ended_by, d.delivered_ml) for d in tape.done] == [("pump_restarted", 0.1), ("stopped", 0.6)]
