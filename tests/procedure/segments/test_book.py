"""What is around a delivery, and when it is finished."""

from __future__ import annotations

from typing import Any

import pytest
from segments_tape import T0_NS, Tape, clock

from esi_room.clock import NS
from esi_room.events import InstanceRef, PumpStarted
from esi_room.events.clinical import Correction
from esi_room.procedure.segments import SETTLE_S, VITALS_BEFORE_S


def test_vital_signs_just_before_and_after(tape: Tape) -> None:
    tape.vital(0, "heart_rate_bpm", 70)
    tape.vital(1, "nibp_systolic_mmhg", 130)
    before = tape.vital(9, "heart_rate_bpm", 72)
    tape.vital(10, "spo2_pct", 98, source="oximeter-1")
    tape.started(10, 0.0)
    tape.vital(30, "heart_rate_bpm", 60)
    tape.stopped(70, "stopped", 1.0)
    tape.vital(70, "heart_rate_bpm", 54)
    after = tape.vital(71, "heart_rate_bpm", 55)
    tape.vital(72, "heart_rate_bpm", 56)
    tape.vital(73, "impedance_respiratory_rate_bpm", 14)
    tape.vital(74, "spo2_pct", 90, source="monitor-1")
    delivery = tape.one()
    assert [(v.name, v.value, v.source, v.at) for v in delivery.vitals_before] == [
        ("heart_rate_bpm", 72, "monitor-1", clock(9)),
        ("spo2_pct", 98, "oximeter-1", clock(10)),
        ("nibp_systolic_mmhg", 130, "monitor-1", clock(1)),
    ]
    assert [(v.name, v.value, v.source) for v in delivery.vitals_after] == [
        ("heart_rate_bpm", 55, "monitor-1"),
        ("spo2_pct", 90, "monitor-1"),
        ("impedance_respiratory_rate_bpm", 14, "monitor-1"),
    ]
    assert (delivery.vitals_before[0].seq, delivery.vitals_after[0].seq) == (before, after)


@pytest.mark.parametrize(("age_s", "kept"), [(VITALS_BEFORE_S, True), (VITALS_BEFORE_S + 1, False)])
def test_a_value_from_long_before_is_none(tape: Tape, age_s: float, kept: bool) -> None:
    tape.vital(0, "nibp_mean_mmhg", 90)
    tape.started(age_s, 0.0)
    assert bool(tape.one().vitals_before) is kept


def test_a_value_that_its_device_doubts_and_a_sign_that_is_not_asked_for(tape: Tape) -> None:
    tape.vital(0, "heart_rate_bpm", 70, status="questionable")
    tape.vital(0, "temperature_1_cel", 36.6)
    tape.started(1, 0.0)
    assert tape.one().vitals_before == ()


def test_what_was_said_too_late_has_no_vital_signs_left(tape: Tape) -> None:
    for at_s in range(0, 7200, 10):
        tape.vital(at_s, "heart_rate_bpm", 70)
    tape.hand(100, "begin")
    tape.hand(130, "end", volume_ml=1.0)
    assert (tape.one().vitals_before, tape.done[0].vitals_after) == ((), ())


def test_a_long_delivery_keeps_what_was_before_it(tape: Tape) -> None:
    tape.vital(0, "heart_rate_bpm", 70)
    tape.started(1, 0.0)
    for at_s in range(60, 7200, 60):
        tape.vital(at_s, "heart_rate_bpm", 60)
    tape.stopped(7200, "stopped", 1.0)
    assert tape.one().vitals_before[0].value == 70


def test_the_images_taken_within(tape: Tape) -> None:
    tape.image(5)
    tape.started(10, 0.0)
    within = [tape.image(10), tape.image(40)]
    tape.image(41, rows=None)
    tape.image(42, duplicate_of=InstanceRef(record="r", seq=1))
    tape.image(43, taken_in="r")
    tape.image(44, identity="mismatch")
    tape.stopped(70, "stopped", 1.0)
    within.append(tape.image(70))
    tape.image(71)
    late = tape.image(65)  # received after the end, taken before it
    assert tape.one().images == (*within, late)


def test_the_syringe_in_the_pump_and_its_drugs(tape: Tape) -> None:
    tape.drawn_up(0, "A", "pump-2", "iohexol")
    tape.drawn_up(1, "B", "pump-1", "dexamethasone", "lidocaine")
    tape.drawn_up(2, "C", None, "midazolam")
    tape.started(10, 0.0)
    tape.drawn_up(20, "D", "pump-1", "sodium_chloride")
    tape.stopped(60, "stopped", 1.0)
    delivery = tape.one()
    assert (delivery.syringe, delivery.drugs) == ("B", ("dexamethasone", "lidocaine"))


@pytest.mark.parametrize(("at_s", "syringe", "drugs"), [(5, "B", ("hyaluronidase",)), (30, "B", ("hyaluronidase",)),
                                                       (62, None, ())])  # fmt: skip
def test_a_syringe_that_is_said_late_is_that_of_its_time(tape: Tape, at_s: float, syringe: Any, drugs: Any) -> None:
    tape.started(10, 0.0)
    tape.stopped(60, "stopped", 1.0)
    tape.drawn_up(at_s, "B", "pump-1", "other", name="hyaluronidase")
    assert (tape.one().syringe, tape.done[0].drugs) == (syringe, drugs)


def test_a_syringe_for_the_hand_is_known_by_its_label(tape: Tape) -> None:
    tape.hand(10, "begin", syringe="A")
    tape.hand(20, "end", syringe="A", volume_ml=1.0)
    tape.drawn_up(30, "A", None, "iohexol")
    assert tape.one().drugs == ("iohexol",)


def test_a_drug_that_the_pump_names_counts_where_no_syringe_does(tape: Tape) -> None:
    tape.started(10, 0.0, drug="Propofol 1 %")
    tape.stopped(20, "stopped", 0.1)
    tape.drawn_up(30, "B", "pump-1", "lidocaine")
    tape.started(40, 0.1, drug="Propofol 1 %")
    tape.done += tape.segments.close(T0_NS + 50 * NS)
    assert [(d.syringe, d.drugs) for d in tape.done] == [(None, ("Propofol 1 %",)), ("B", ("lidocaine",))]


@pytest.mark.parametrize(
    ("correction", "drugs"),
    [
        ({"fields": {"components": [{"drug": "ropivacaine", "volume_ml": 2}]}}, ("ropivacaine",)),
        ({"fields": {"components": "none"}}, ("lidocaine",)),
        ({"withdrawn": True}, ()),
    ],
)
def test_what_was_drawn_up_is_what_it_was_corrected_to(tape: Tape, correction: Any, drugs: tuple[str, ...]) -> None:
    drawn = tape.drawn_up(1, "B", "pump-1", "lidocaine")
    tape.started(10, 0.0)
    tape(20, Correction(seq=drawn, reason="wrong label", actor="Dr. A", **correction), "room")
    assert tape.one().drugs == drugs


def finished_one(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape.stopped(60, "stopped", 1.0)
    assert tape.done == []
    assert tape.segments.open == frozenset()


def test_it_is_finished_when_it_has_settled(tape: Tape) -> None:
    finished_one(tape)
    end_ns = T0_NS + 60 * NS
    assert tape.segments.due(end_ns + round((SETTLE_S - 0.1) * NS)) == []
    assert [d.number for d in tape.segments.due(end_ns + round(SETTLE_S * NS))] == [1]
    assert tape.segments.due(end_ns + 1000 * NS) == []


def test_it_is_finished_by_an_entry_that_late_and_does_not_take_it_in(tape: Tape) -> None:
    finished_one(tape)
    tape.vital(60 + SETTLE_S + 0.1, "heart_rate_bpm", 70)
    assert [d.vitals_after for d in tape.done] == [()]


def test_it_is_finished_when_the_next_begins(tape: Tape) -> None:
    finished_one(tape)
    tape.hand(62, "begin")
    assert [d.number for d in tape.done] == [1]


@pytest.mark.parametrize("how", ["ended", "close"])
def test_it_is_finished_when_the_procedure_ends(tape: Tape, how: str) -> None:
    finished_one(tape)
    tape.done += tape.segments.close(T0_NS + 61 * NS) if how == "close" else []
    if how == "ended":
        tape.ended(61)
    assert [d.number for d in tape.done] == [1]
    assert tape.segments.close(T0_NS + 62 * NS) == []


def test_it_is_finished_where_the_clock_was_set_back(tape: Tape) -> None:
    finished_one(tape)
    assert len(tape.segments.due(T0_NS - 3600 * NS)) == 1


def test_what_was_taken_earlier_does_not_finish_it(tape: Tape) -> None:
    finished_one(tape)
    tape.image(-100)
    tape.drawn_up(-100, "A", None, "lidocaine")
    tape.vital(61, "heart_rate_bpm", 70)
    assert tape.done == []
    assert tape.one().vitals_after[0].value == 70


def test_two_pumps_deliver_at_the_same_time(tape: Tape) -> None:
    tape.started(0, 0.0)
    tape(10, PumpStarted(state="infusing", rate_ml_h=6.0, delivered_ml=0.0, target_ml=9.0, pressure_mmhg=None,
                         drug=None), "pump-2")  # fmt: skip
    assert tape.segments.open == {"pump-1", "pump-2"}
    tape.stopped(60, "stopped", 1.0)
    assert tape.segments.open == {"pump-2"}
    tape.done += tape.segments.close(T0_NS + 100 * NS)
    assert [(d.device, d.delivered_ml, d.programmed_ml) for d in tape.done] == [("pump-1", 1.0, 3.0),
                                                                               ("pump-2", 0.0, 9.0)]  # fmt: skip


def test_a_record_that_is_read_again_gives_the_same_once(tape: Tape) -> None:
    """The daemon was restarted: what is in the record is not said again, what is not is said."""
    finished_one(tape)
    written = tape.segments.due(T0_NS + 76 * NS)
    again = Tape()
    again.started(0, 0.0)
    again.stopped(60, "stopped", 1.0)
    again(76, written[0], "room")
    assert again.done == []
    again.started(80, 1.0)
    again.stopped(110, "stopped", 1.5)
    again.line(200, "connecting")
    assert [(d.number, d.delivered_ml) for d in again.done] == [(2, 0.5)]
