"""Injections by hand."""

from __future__ import annotations

from typing import Any

import pytest
from segments_tape import T0_NS, Tape, clock

from esi_room.clock import NS
from esi_room.events.clinical import Correction
from esi_room.procedure.segments import HAND


def test_two_marks_are_a_delivery_by_hand(tape: Tape) -> None:
    tape.drawn_up(0, "A", None, "iohexol", "sodium_chloride")
    first = tape.hand(10, "begin", syringe="A")
    assert tape.segments.open == {HAND}
    image = tape.image(15)
    last = tape.hand(40, "end", syringe="A", volume_ml=2.0)
    delivery = tape.one()
    assert (delivery.origin, delivery.device, delivery.syringe) == ("hand", None, "A")
    assert delivery.drugs == ("iohexol", "sodium_chloride")
    assert (delivery.ended_by, delivery.delivered_ml, delivery.mean_rate_ml_h) == ("mark", 2.0, 240.0)
    assert (delivery.images, delivery.facts, delivery.remarks) == ((image,), (first, last), ())
    assert (delivery.programmed_ml, delivery.peak_rate_ml_h, delivery.events) == (None, None, ())


@pytest.mark.parametrize(
    ("begin", "end", "syringe", "drugs"),
    [
        ({"syringe": "A", "drug": "lidocaine"}, {}, "A", ("lidocaine",)),
        ({}, {"syringe": "A"}, "A", ("iohexol",)),
        ({}, {"drug": "lidocaine"}, None, ("lidocaine",)),
        ({}, {}, None, ()),
    ],
)
def test_syringe_and_drug_of_either_mark_count(tape: Tape, begin: Any, end: Any, syringe: Any, drugs: Any) -> None:
    tape.drawn_up(0, "A", None, "iohexol")
    tape.hand(10, "begin", **begin)
    tape.hand(40, "end", volume_ml=2.0, **end)
    assert (tape.one().syringe, tape.done[0].drugs, tape.done[0].ended_by) == (syringe, drugs, "mark")


def test_two_syringes_in_two_hands(tape: Tape) -> None:
    tape.hand(0, "begin", syringe="A")
    tape.hand(1, "begin", syringe="B")
    tape.hand(2, "end", volume_ml=9.0)  # of which of the two?
    tape.hand(3, "end", syringe="A", volume_ml=1.0)
    tape.hand(4, "end", syringe="B", volume_ml=2.0)
    tape.done += tape.segments.close(T0_NS + 100 * NS)
    assert [(d.syringe, d.delivered_ml) for d in tape.done] == [("A", 1.0), ("B", 2.0)]


def test_an_end_without_a_beginning_is_no_delivery(tape: Tape) -> None:
    tape.hand(0, "end", syringe="A", volume_ml=1.0)
    tape.hand(1, "begin", syringe="B")
    tape.hand(2, "end", syringe="A", volume_ml=1.0)
    assert (tape.segments.open, tape.done) == ({HAND}, [])


def test_a_beginning_on_a_beginning_ends_the_first(tape: Tape) -> None:
    tape.hand(0, "begin", syringe="A")
    tape.hand(30, "begin", syringe="A")
    tape.hand(60, "end", syringe="A", volume_ml=1.0)
    tape.done += tape.segments.close(T0_NS + 100 * NS)
    assert [(d.ended_at, d.delivered_ml, d.remarks) for d in tape.done] == [
        (clock(30), None, ("volume_unknown",)),
        (clock(60), 1.0, ()),
    ]


def test_an_injection_that_nobody_ended(tape: Tape) -> None:
    tape.hand(0, "begin", syringe="A")
    tape.ended(100)
    delivery = tape.one()
    assert (delivery.ended_by, delivery.delivered_ml, delivery.remarks) == (
        "procedure_ended",
        None,
        ("volume_unknown",),
    )


def test_a_beginning_that_was_withdrawn_began_nothing(tape: Tape) -> None:
    begun = tape.hand(0, "begin", syringe="A")
    tape(5, Correction(seq=begun, reason="wrong button", withdrawn=True, actor="Dr. A"), "room")
    assert tape.segments.open == frozenset()
    assert tape.segments.close(T0_NS + 9 * NS) == []


def test_an_injection_that_is_said_later_gets_what_was_around_it_then(tape: Tape) -> None:
    tape.vital(95, "heart_rate_bpm", 70)
    image = tape.image(110)
    tape.vital(131, "heart_rate_bpm", 60)
    tape.vital(400, "heart_rate_bpm", 80)
    tape.hand(100, "begin", syringe="A")
    tape.hand(130, "end", syringe="A", volume_ml=1.0)
    tape.vital(401, "heart_rate_bpm", 80)
    (delivery,) = tape.done
    assert (delivery.started_at, delivery.images) == (clock(100), (image,))
    assert (delivery.vitals_before[0].value, delivery.vitals_after[0].value) == (70, 60)


def test_an_end_before_its_beginning_takes_no_time(tape: Tape) -> None:
    tape.hand(100, "begin")
    tape.hand(90, "end", volume_ml=1.0)
    delivery = tape.one()
    assert (delivery.started_at, delivery.ended_at, delivery.mean_rate_ml_h) == (clock(100), clock(100), None)
