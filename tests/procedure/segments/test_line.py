"""A pump that cannot be heard for a while."""

from __future__ import annotations

import pytest
from segments_tape import RESET, T0_NS, Tape, clock, events, interruptions

from esi_room.clock import NS
from esi_room.events import DeviceGap, DeviceState, PumpCompleted


def lost(tape: Tape, state: str = "lost") -> int:
    """Started at 0, heard last at 60 with 1 mL, lost, back at 120."""
    tape.started(0, 0.0)
    tape.pump(60, "infusing", 1.0)
    gone = tape.line(66, state)
    if state == "lost":
        tape.line(70, "negotiating")
    tape.back(61, 120)
    return gone


@pytest.mark.parametrize("state", ["stale", "lost"])
def test_a_line_that_was_lost_interrupts_what_is_known(tape: Tape, state: str) -> None:
    gone = lost(tape, state)
    tape.pump(120, "infusing", 2.0)
    tape.pump(180, "stopped", 3.0, PumpCompleted)
    delivery = tape.one()
    assert interruptions(delivery) == [(clock(61), clock(120), "line_lost")]
    assert (delivery.delivered_ml, delivery.mean_rate_ml_h, delivery.remarks) == (3.0, 60.0, ())
    changes = [seq for ipec, seq in events(delivery) if ipec == "COMM_STATUS_CHANGE"]
    assert changes == [gone, gone + (2 if state == "stale" else 3)]


def test_a_pump_that_is_heard_again_is_judged_by_its_counter_when_it_tells_it(tape: Tape) -> None:
    lost(tape)
    tape.pump(120, "infusing", None, rate_ml_h=None, target_ml=None)
    tape.pump(121, "infusing", 2.0)
    tape.stopped(180, "stopped", 3.0)
    delivery = tape.one()
    assert (delivery.delivered_ml, delivery.ended_by) == (3.0, "stopped")
    assert interruptions(delivery) == [(clock(61), clock(120), "line_lost")]


def test_a_pump_that_restarted_meanwhile_ended_when_it_was_last_heard(tape: Tape) -> None:
    lost(tape)
    tape.pump(120, "stopped", None, rate_ml_h=None, target_ml=None)
    tape.pump(121, "stopped", 0.0)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.remarks) == ("pump_restarted", ("pump_restarted",))
    assert (delivery.delivered_ml, delivery.ended_at, delivery.facts) == (1.0, clock(61), (1, 2))


def test_a_restart_that_the_pump_says_itself_when_it_is_heard_again(tape: Tape) -> None:
    lost(tape, "stale")
    tape(120, RESET)
    tape.stopped(120, "alarm", 1.0)
    tape.pump(121, "stopped", 0.0)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at, delivery.delivered_ml) == ("pump_restarted", clock(61), 1.0)


def test_a_counter_that_fell_meanwhile_is_another_delivery(tape: Tape) -> None:
    lost(tape)
    tape.pump(120, "infusing", 0.4)
    tape.pump(150, "infusing", 0.9)
    tape.done += tape.segments.close(T0_NS + 160 * NS)
    assert [(d.ended_by, d.remarks, d.delivered_ml) for d in tape.done] == [
        ("counter_reset", ("counter_reset",), 1.0),
        ("procedure_ended", ("connected_late",), 0.5),
    ]


@pytest.mark.parametrize(("state", "counter_ml"), [("infusing", 0.0), ("paused", 0.0), ("stopped", 0.2)])
def test_a_counter_that_fell_is_no_restart_in_itself(tape: Tape, state: str, counter_ml: float) -> None:
    lost(tape)
    tape.pump(120, state, counter_ml)
    assert (tape.done + tape.segments.close(T0_NS + 160 * NS))[0].ended_by == "counter_reset"


def test_a_pump_without_a_counter_goes_on_by_its_state(tape: Tape) -> None:
    tape.started(0, None)
    tape.line(66, "lost")
    tape.back(61, 120)
    tape.pump(120, "infusing", None)
    tape.stopped(180, "stopped", None)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.remarks) == ("stopped", ("volume_unknown",))
    assert interruptions(delivery) == [(clock(61), clock(120), "line_lost")]


def test_what_is_said_after_a_lost_line_is_not_of_the_delivery_before(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.pump(60, "stopped", 1.0)
    tape.line(62, "lost")
    tape.back(61, 70)
    tape.pump(70, "stopped", 2.0, PumpCompleted)
    assert (tape.one().ended_by, tape.done[0].delivered_ml) == ("stopped", 1.0)


def test_a_counter_that_rose_by_more_than_the_pump_can_is_another_delivery(tape: Tape) -> None:
    """60 mL/h in a minute is 1 mL; 5 mL are a purge, another program, another syringe: nobody knows."""
    lost(tape)
    tape.pump(120, "infusing", 6.0)
    tape.pump(150, "infusing", 6.5)
    tape.done += tape.segments.close(T0_NS + 160 * NS)
    assert [(d.ended_by, d.remarks, d.delivered_ml) for d in tape.done] == [
        ("line_lost", (), 1.0),
        ("procedure_ended", ("connected_late",), 0.5),
    ]


def test_another_program_meanwhile_is_another_delivery(tape: Tape) -> None:
    lost(tape, "stale")
    seq = tape.pump(120, "infusing", 2.0, target_ml=9.0)
    tape.done += tape.segments.close(T0_NS + 160 * NS)
    assert [d.ended_by for d in tape.done] == ["line_lost", "procedure_ended"]
    assert ("PROG_CLEARED", seq) in events(tape.done[0])


def test_an_end_that_nobody_saw(tape: Tape) -> None:
    lost(tape)
    tape.pump(120, "stopped", 1.6)
    tape.pump(121, "stopped", 1.6)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at) == ("line_lost", clock(120))
    assert (delivery.delivered_ml, delivery.mean_rate_ml_h) == (1.6, None)
    assert "DELIV_STOP" not in [event.ipec for event in delivery.events]
    assert interruptions(delivery) == [(clock(61), clock(120), "line_lost")]


def test_an_end_that_nobody_saw_but_the_driver_names(tape: Tape) -> None:
    """A pump that was silent for a while, on a line that stayed open."""
    lost(tape, "stale")
    tape.pump(120, "stopped", 1.0)
    tape.pump(120.6, "stopped", 2.0, PumpCompleted)
    assert (tape.one().ended_by, tape.done[0].delivered_ml) == ("completed", 2.0)


def test_found_pausing_and_going_on(tape: Tape) -> None:
    lost(tape)
    tape.pump(120, "paused", 1.5)
    tape.started(150, 1.5)
    tape.pump(180, "stopped", 2.0)
    delivery = tape.one()
    assert interruptions(delivery) == [
        (clock(61), clock(120), "line_lost"),
        (clock(120), clock(150), "paused"),
    ]
    assert (delivery.ended_by, delivery.delivered_ml, delivery.mean_rate_ml_h) == ("stopped", 2.0, None)


@pytest.mark.parametrize("state", ["purging", "withdrawing"])
def test_found_purging_or_withdrawing(tape: Tape, state: str) -> None:
    lost(tape)
    tape.pump(120, state, 1.4)
    assert (tape.one().delivered_ml, tape.done[0].ended_by, tape.done[0].ended_at) == (1.0, "line_lost", clock(61))


def paused_and_lost(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.stopped(60, "paused", 1.0)
    tape.pump(64, "paused", 1.0)
    tape.line(70, "lost")
    tape.back(64, 120)


def test_a_pause_goes_on_over_a_lost_line(tape: Tape) -> None:
    paused_and_lost(tape)
    tape.pump(120, "paused", 1.0)
    tape.started(130, 1.0)
    tape.stopped(190, "stopped", 2.0)
    delivery = tape.one()
    assert interruptions(delivery) == [(clock(60), clock(130), "paused")]
    assert (delivery.mean_rate_ml_h, delivery.delivered_ml) == (60.0, 2.0)


def test_a_pause_that_ended_while_the_line_was_lost(tape: Tape) -> None:
    paused_and_lost(tape)
    tape.pump(120, "infusing", 1.5)
    tape.stopped(150, "stopped", 2.0)
    delivery = tape.one()
    assert interruptions(delivery) == [
        (clock(60), clock(64), "paused"),
        (clock(64), clock(120), "line_lost"),
    ]
    assert (delivery.mean_rate_ml_h, delivery.delivered_ml) == (None, 2.0)


def test_recovery_begins_while_a_paused_pump_cannot_be_heard(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.stopped(60, "paused", 1.0)
    tape.line(70, "lost")
    tape.phase(80, "recovery")
    tape.back(64, 120)
    tape.pump(120, "infusing", 1.5)
    tape.stopped(150, "stopped", 2.0)
    tape.done += tape.segments.close(T0_NS + 160 * NS)
    assert [(d.ended_by, d.delivered_ml, d.remarks, d.interruptions) for d in tape.done] == [
        ("stopped", 1.0, (), ()),
        ("stopped", 0.5, ("connected_late",), ()),
    ]


@pytest.mark.parametrize(("counter_ml", "by"), [(1.0, "stopped"), (0.0, "pump_restarted"), (0.3, "stopped")])
def test_a_pause_that_was_the_end_while_the_line_was_lost(tape: Tape, counter_ml: float, by: str) -> None:
    paused_and_lost(tape)
    tape.pump(120, "stopped", counter_ml)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at, delivery.delivered_ml) == (by, clock(60), 1.0)


def test_a_line_that_never_comes_back(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.pump(60, "infusing", 1.0)
    tape.line(66, "stale")
    assert tape.segments.open == {"pump-1"}
    tape.ended(600)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at, delivery.delivered_ml) == ("line_lost", clock(60), 1.0)
    assert delivery.facts == (1, 2)


def test_a_line_lost_twice_before_the_counter_is_told(tape: Tape) -> None:
    lost(tape)
    tape.pump(120, "infusing", None)
    tape.line(125, "lost")
    tape.back(121, 170)
    tape.pump(170, "infusing", 2.5)
    tape.stopped(200, "stopped", 3.0)
    delivery = tape.one()
    assert interruptions(delivery) == [(clock(61), clock(170), "line_lost")]
    assert [ipec for ipec, _ in events(delivery)].count("COMM_STATUS_CHANGE") == 4


def test_after_a_lost_line_an_old_counter_is_no_start(tape: Tape) -> None:
    tape.pump(0, "stopped", 1.0)
    tape.line(10, "lost")
    tape.back(5, 60)
    tape.pump(60, "infusing", 1.5)
    tape.stopped(120, "stopped", 2.5)
    assert (tape.one().delivered_ml, tape.done[0].remarks) == (1.0, ("connected_late",))


def test_the_line_of_another_device_is_none_of_the_pump(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape(10, DeviceState(state="lost", reason="test"), "monitor-1")
    tape(11, DeviceGap(from_="?", to="?", reason="test"), "monitor-1")
    tape.stopped(60, "stopped", 1.0)
    assert (tape.one().interruptions, events(tape.done[0])) == ((), [("DELIV_START", 1), ("DELIV_STOP", 4)])
