"""A pump that stands still: the same delivery goes on, or that was its end."""

from __future__ import annotations

import pytest
from segments_tape import T0_NS, Tape, clock, events, interruptions

from esi_room.clock import NS
from esi_room.events import PumpCompleted
from esi_room.procedure.segments import SETTLE_S


@pytest.mark.parametrize("reason", ["paused", "alarm"])
def test_an_interruption_where_the_same_delivery_goes_on(tape: Tape, reason: str) -> None:
    tape.started(0, 0.0)
    stop = tape.stopped(60, reason, 0.9)
    tape.pump(61, "paused", 1.0)
    again = tape.started(100, 1.0)
    last = tape.pump(160, "stopped", 2.0, PumpCompleted)
    delivery = tape.one()
    assert interruptions(delivery) == [(clock(60), clock(100), reason)]
    assert (delivery.delivered_ml, delivery.mean_rate_ml_h) == (2.0, 60.0)
    assert events(delivery) == [("DELIV_START", 1), ("DELIV_STOP", stop), ("DELIV_START", again), ("DELIV_COMP", last)]


def test_a_pause_that_was_the_end_long_ago_is_finished_at_once(tape: Tape) -> None:
    after_a_pause(tape)
    tape.pump(60 + SETTLE_S, "stopped", 2.0)
    assert [delivery.number for delivery in tape.done] == [1]


def after_a_pause(tape: Tape) -> int:
    tape.started(0, 1.0)
    return tape.stopped(60, "paused", 1.9)


GOES_NOT_ON = {
    "stopped": lambda tape: tape.pump(90, "stopped", 2.0),
    "programmed anew": lambda tape: tape.pump(90, "paused", 2.0, target_ml=5.0),
    "programmed anew, started": lambda tape: tape.started(90, 2.0, target_ml=5.0),
    "counter cleared": lambda tape: (tape.pump(89, "paused", 2.0), tape.pump(90, "paused", 0.0)),
    "counter cleared, started": lambda tape: (tape.pump(89, "paused", 2.0), tape.started(90, 0.1)),
    "purged": lambda tape: (tape.pump(89, "paused", 2.0), tape.pump(90, "purging", 2.5)),
    "withdrawn": lambda tape: (tape.pump(89, "paused", 2.0), tape.pump(90, "withdrawing", 2.0)),
    "recovery": lambda tape: (tape.pump(89, "paused", 2.0), tape.phase(90, "recovery")),
    "follow-up": lambda tape: (tape.pump(89, "paused", 2.0), tape.phase(90, "follow_up")),
    "the procedure ended": lambda tape: (tape.pump(89, "paused", 2.0), tape.ended(90)),
    "the room closed": lambda tape: tape.pump(89, "paused", 2.0),
}


@pytest.mark.parametrize("what", GOES_NOT_ON)
def test_a_pause_that_is_not_ended_was_the_end(tape: Tape, what: str) -> None:
    stop = after_a_pause(tape)
    GOES_NOT_ON[what](tape)
    tape.done += tape.segments.close(T0_NS + 100 * NS)
    delivery, *another = tape.done
    assert (delivery.ended_by, delivery.ended_at, delivery.facts) == ("stopped", clock(60), (1, stop))
    assert delivery.interruptions == ()
    assert delivery.mean_rate_ml_h == pytest.approx(60.0 * delivery.delivered_ml)
    assert delivery.delivered_ml == (0.9 if what == "programmed anew, started" else 1.0)
    assert bool(another) == ("started" in what)


@pytest.mark.parametrize(("what", "ipec"), [("programmed anew", "PROG_CLEARED"),
                                            ("counter cleared", "PUMP_VOL_COUNTERS_CLEARED")])  # fmt: skip
@pytest.mark.parametrize("started", ["", ", started"])
def test_why_a_pause_was_the_end_has_its_name(tape: Tape, what: str, ipec: str, started: str) -> None:
    after_a_pause(tape)
    GOES_NOT_ON[what + started](tape)
    delivery = (tape.done + tape.segments.close(T0_NS + 100 * NS))[0]
    assert [event.ipec for event in delivery.events] == ["DELIV_START", "DELIV_STOP", ipec]
    assert delivery.remarks == (("counter_reset",) if "counter" in what else ())


def test_a_new_delivery_after_a_pause_counts_for_itself(tape: Tape) -> None:
    after_a_pause(tape)
    tape.started(90, 2.0, target_ml=5.0)
    tape.stopped(120, "stopped", 2.5, target_ml=5.0)
    tape.done += tape.segments.close(T0_NS + 200 * NS)
    assert [(d.number, d.programmed_ml, d.delivered_ml) for d in tape.done] == [(1, 3.0, 0.9), (2, 5.0, 0.6)]


def test_guidance_and_injection_end_no_pause(tape: Tape) -> None:
    after_a_pause(tape)
    tape.phase(70, "guidance")
    tape.phase(80, "injection")
    assert tape.segments.open == {"pump-1"}


def test_recovery_ends_no_delivery_that_runs(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.phase(10, "recovery")
    tape.stopped(60, "stopped", 1.0)
    assert tape.one().delivered_ml == 1.0


def test_a_pump_that_completes_while_it_pauses_has_completed(tape: Tape) -> None:
    after_a_pause(tape)
    last = tape.pump(61, "stopped", 4.0, PumpCompleted)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.ended_at, delivery.delivered_ml) == ("completed", clock(60), 3.0)
    assert events(delivery)[-1] == ("DELIV_COMP", last)
