"""The facts: what a record says so far, corrections applied, at the time at which it happened."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from any_payload import records
from hypothesis import given, settings
from procedure_rig import SAID, T0_NS, Case, form

from esi_room.clock import NS, Stamp, rfc3339
from esi_room.events import (
    FORMS,
    AlertAcknowledged,
    AlertCleared,
    AlertRaised,
    DeviceState,
    Entry,
    Event,
    InstanceRef,
    OperatorCommand,
    Payload,
    Plan,
    ProcedureStarted,
)
from esi_room.events.clinical import Contrast, Pain, TimeOut
from esi_room.procedure.corrections import corrected
from esi_room.procedure.facts import Facts
from esi_room.procedure.taken import Taken


def nothing() -> Case:
    """No rule is on."""
    case = Case()
    case.book = msgspec.structs.replace(case.book, rules={})
    return case


# --- forms and their corrections -----------------------------------------------------------------------------------


def test_forms_stand_in_the_order_in_which_it_happened() -> None:
    case = nothing()
    late = case.says(300, "pain")
    early = case.says(310, "pain", happened_s=100)
    same = case.says(320, "pain", happened_s=300)
    assert [fact.seq for fact in case.facts.said(Pain)] == [early, late, same]
    assert [fact.seq for fact in case.facts.forms()] == [late, early, same], (
        "and as they were said, where that is asked"
    )
    last = case.facts.last(Pain)
    assert last is not None and last.seq == same
    for by_s, seq in ((99, None), (100, early), (299, early), (300, same)):
        found = case.facts.last(Pain, by_ns=T0_NS + by_s * NS)
        assert (found.seq if found else None) == seq


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    case = nothing()
    said = case.says(300, "pain", score=7, happened_s=100)
    case.corrects(400, said, score=6)
    (fact,) = case.facts.said(Pain)
    assert (fact.seq, fact.data.score, fact.data.scale) == (said, 6, "NRS")
    assert fact.time_ns == T0_NS + 100 * NS
    case.corrects(410, said, scale="VAS")
    (fact,) = case.facts.said(Pain)
    assert (fact.data.score, fact.data.scale) == (6, "VAS"), "one on the other"


def test_a_null_takes_a_field_out() -> None:
    case = nothing()
    said = case.says(700, "pain", relief_pct=50)
    case.corrects(710, said, relief_pct=None)
    assert case.facts.said(Pain)[0].data.relief_pct is None


def test_what_was_withdrawn_was_never_said() -> None:
    case = nothing()
    said = case.says(300, "pain")
    case.withdraws(310, said)
    assert (case.facts.said(Pain), case.facts.form(said)) == ([], None)
    case.corrects(320, said, score=3)
    assert case.facts.said(Pain) == [], "and cannot be corrected any more"


@pytest.mark.parametrize(
    "fields", [{"score": 11}, {"score": None}, {"nonsense": 1}, {"actor": "Dr. B"}, {"occasion": "baseline"}]
)
def test_a_correction_that_does_not_hold_changes_nothing(fields: dict[str, Any]) -> None:
    """The desk refuses it; a record of others may hold it."""
    case = nothing()
    said = case.says(700, "pain", relief_pct=50)
    before = case.facts.form(said)
    case.corrects(710, said, **fields)
    assert case.facts.form(said) == before


def test_a_correction_of_what_is_no_form_or_not_there_changes_nothing() -> None:
    case = nothing()
    case.corrects(10, 1, score=3)
    case.corrects(20, 99, score=3)
    case.withdraws(30, 1)
    assert [type(fact.data).__name__ for fact in case.facts.forms()] == ["Correction"] * 3


@pytest.mark.parametrize("name", sorted(set(SAID)))
def test_every_form_can_be_corrected_into_itself(name: str) -> None:
    said = form(name)
    assert corrected(said, {}) == said
    fields = msgspec.json.decode(msgspec.json.encode(said))
    assert corrected(said, {name: value for name, value in fields.items() if name not in ("actor", "code")}) == said
    assert isinstance(corrected(said, {"code": "DCM 1"}), str)


def test_a_correction_inside_of_a_form_replaces_the_whole_of_it() -> None:
    said = form("contrast")
    made = corrected(said, {"component": {"drug": "iopamidol", "volume_ml": 3}})
    assert isinstance(made, Contrast)
    assert made.component is not None
    assert (made.component.drug, made.component.concentration) == ("iopamidol", None)


# --- images, dose, pumps, alerts -----------------------------------------------------------------------------------


def test_images_are_those_of_this_procedure_and_patient() -> None:
    case = nothing()
    kept = [case.image(206), case.image(210, identity="match")]
    case.image(220, identity="mismatch")
    case.image(230, rows=None)
    case.image(240, duplicate_of=InstanceRef(record="r", seq=1))
    case.image(250, taken_in="20251231T000000Z-0000")
    assert [fact.seq for fact in case.facts.images] == kept
    assert case.facts.last_activity_s == 250, "somebody is at work all the same"


def test_the_dose_is_the_last_that_is_this_records() -> None:
    case = nothing()
    mine = case.dose(300, fluoro_time_s=20)
    assert case.facts.dose is not None
    late = msgspec.structs.replace(case.facts.dose.data, taken_in="20251231T000000Z-0000")
    case.take(310, late, "carm")
    assert case.facts.dose.seq == mine


def test_pressures_are_those_since_the_pumps_last_start() -> None:
    case = nothing()
    case.pump_tells(470, pressure_mmhg=9)  # connected while it ran
    case.pump_starts(480, pressure_mmhg=10)
    case.pump_tells(482, pressure_mmhg=None)
    case.pump_tells(484, pressure_mmhg=20)
    case.pump_tells(486, state="paused", pressure_mmhg=30)
    case.pump_tells(488, "pump-2", pressure_mmhg=40)
    told = {pump: [value.value for value in values] for pump, values in case.facts.pressures.items()}
    assert told == {"pump-1": [10, 20], "pump-2": [40]}
    assert len(case.facts.pump_starts) == 1


def test_an_alert_is_raised_seen_and_cleared() -> None:
    case = nothing()
    fields: dict[str, Any] = {"alert": "x", "rule": "carm.x", "severity": "low", "text": "t", "facts": (1,)}
    raised = AlertRaised(**fields, actor=None, reason=None)
    case.take(10, raised)
    assert list(case.alerts) == ["x"]
    case.take(20, AlertAcknowledged(**fields, actor="Dr. A", reason=None))
    assert (list(case.alerts), case.facts.acknowledged) == (["x"], {"x"})
    case.take(30, AlertCleared(**fields, actor=None, reason="over"))
    case.take(40, AlertCleared(**fields, actor=None, reason="over"))
    assert (case.alerts, list(case.facts.raised)) == ({}, ["x"])


# --- vital signs ---------------------------------------------------------------------------------------------------


def test_what_the_monitor_holds_good_or_doubts_is_a_value() -> None:
    case = nothing()
    case.vitals(10, heart_rate_bpm=70)
    case.vitals(20, status="questionable", heart_rate_bpm=71)
    case.vitals(30, status="invalid", heart_rate_bpm=72)
    case.vitals(40, heart_rate_bpm=None)
    case.vitals(50, "oximeter-1", pulse_rate_bpm=73)
    both = case.facts.vitals("heart_rate_bpm", "pulse_rate_bpm")
    assert [(value.value, value.at_s, value.source) for value in both] == [
        (70, 10, "monitor-1"),
        (71, 20, "monitor-1"),
        (73, 50, "oximeter-1"),
    ]
    assert [value.value for value in case.facts.vitals("heart_rate_bpm", since_s=20)] == [71]
    assert case.facts.vitals("temperature_1_cel") == []
    last = case.facts.last_vital("heart_rate_bpm", "pulse_rate_bpm")
    assert last is not None and last.value == 73


def test_the_last_value_is_kept_however_old_and_the_others_for_half_an_hour() -> None:
    case = nothing()
    case.vitals(0, nibp_systolic_mmhg=130)
    case.wait(4000)
    last = case.facts.last_vital("nibp_systolic_mmhg")
    assert last is not None and last.at_s == 0
    case.vitals(4000, nibp_systolic_mmhg=131)
    assert [value.value for value in case.facts.vitals("nibp_systolic_mmhg")] == [131]


# --- who, what, how far --------------------------------------------------------------------------------------------


def test_the_staff_take_over_what_a_device_has_begun() -> None:
    case = Case(started=False)
    facts = case.facts
    case.start(None, "carm")
    assert (facts.opened_by, facts.claimed, facts.attended) == ("carm", False, False)
    plan = Plan(side="left")
    case.take(20, ProcedureStarted(procedure="L4/5", origin="staff", plan=plan))
    assert (facts.opened_by, facts.claimed, facts.attended) == ("carm", True, True)
    case.take(30, ProcedureStarted(procedure=None, origin="staff"))
    assert (facts.procedure, facts.plan) == ("L4/5", plan), "what is not said again stays as it was"


@pytest.mark.parametrize(("name", "is_theirs"), [("note", True), ("phase", True), ("order", False), ("amend", False)])
def test_a_command_is_attendance_unless_it_is_of_another_procedure(name: str, is_theirs: bool) -> None:
    case = Case(started=False)
    command = OperatorCommand(id="1", name=name, actor="Dr. A", client="c")
    case.take(5, command)
    assert not case.facts.attended, "no procedure, no attendance"
    case.start(None, "carm")
    case.take(10, command)
    assert case.facts.attended == is_theirs


def test_a_phase_is_entered_with_it_or_with_one_behind_it() -> None:
    case = nothing()
    assert (case.facts.phase, case.facts.entered("preparation")) == (None, None)
    first = case.enters(60, "evaluation")
    second = case.enters(200, "guidance")
    case.enters(210, "evaluation", reason="forgot to ask")
    found = {phase: case.facts.entered(phase) for phase in ("evaluation", "preparation", "guidance")}
    assert [fact.seq if fact else None for fact in found.values()] == [first, second, second]
    assert (case.facts.phase, case.facts.entered("injection")) == ("evaluation", None)


def test_devices_that_were_connected_at_some_time() -> None:
    case = nothing()
    for state in ("connecting", "connected", "lost"):
        case.take(None, DeviceState(state=state, reason=""), "monitor-1")
    case.take(None, DeviceState(state="connecting", reason=""), "pump-1")
    assert case.facts.sources == {"monitor-1"}


# --- time ----------------------------------------------------------------------------------------------------------


def at(wall_s: float, mono_s: float) -> Stamp:
    return Stamp(T0_NS + round(wall_s * NS), round(mono_s * NS))


@pytest.mark.parametrize(
    ("stamps", "now_s"),
    [
        ([at(0, 500), at(10, 510), at(20, 520)], 20),
        ([at(0, 500), at(3610, 510), at(20, 520)], 20),  # the wall clock stepped there and back
        ([at(0, 500), at(10, 510), at(70, 3), at(80, 13)], 80),  # a restart of the machine in between
        ([at(0, 500), at(10, 510), at(9, 509), at(12, 512)], 12),  # received before the one that came first
        ([at(0, 500), at(-100, 3), at(-90, 13)], None),
    ],
)
def test_how_much_time_has_passed(stamps: list[Stamp], now_s: float | None) -> None:
    facts = Facts("r")
    seen = []
    for stamp in stamps:
        facts.pass_time(stamp)
        seen.append(facts.now_s)
    assert seen == sorted(seen), "it never goes back"
    if now_s is not None:
        assert facts.now_s == now_s


def as_entry(taken: Taken) -> Entry:
    """As the record has it."""
    return Entry(
        v=1,
        record="r",
        seq=taken.seq,
        prev="",
        type=taken.data.TYPE,
        time=rfc3339(taken.time_ns),
        received=rfc3339(taken.received.wall_ns),
        mono_ns=taken.received.mono_ns,
        source=taken.source,
        data=msgspec.Raw(msgspec.json.encode(taken.data)),
    )


def test_an_event_is_taken_as_its_entry_will_be() -> None:
    payload = form("time_out")
    received = Stamp(T0_NS + 1_234_567, 987_654_321)
    for happened_ns in (None, T0_NS - 7_654_321):
        event = Event(source="room", data=payload, received=received, happened_wall_ns=happened_ns)
        taken = Taken.of_event(7, event)
        assert Taken.of_entry(as_entry(taken)) == taken
        assert taken.data == payload
    assert isinstance(payload, TimeOut)


@pytest.mark.parametrize("change", [{"type": "nobody.knows"}, {"data": msgspec.Raw(b"{}")}, {"time": "yesterday"}])
def test_an_entry_that_cannot_be_read_is_left_out(change: dict[str, Any]) -> None:
    entry = as_entry(Taken(1, T0_NS, at(0, 0), "room", form("time_out")))
    assert Taken.of_entry(entry) is not None
    assert Taken.of_entry(msgspec.structs.replace(entry, **change)) is None


@given(records())
@settings(max_examples=50, deadline=None)
def test_live_and_read_back_are_the_same(entries: list[Taken]) -> None:
    live, read = Facts("r"), Facts("r")
    for taken in entries:
        live.take(taken)
        again = Taken.of_entry(as_entry(taken))
        assert again is not None, taken
        read.take(again)
    assert state(live) == state(read)


def state(facts: Facts) -> dict[str, Any]:
    """Everything that it holds."""
    return {name: value for name, value in vars(facts).items() if not name.startswith("__")}


def test_no_form_is_unknown_to_the_helpers_of_these_tests() -> None:
    assert set(FORMS) - set(SAID) == {"correction", "follow_up"}
    payload: Payload
    for payload in (form(name) for name in SAID):
        assert payload.TYPE.startswith("clinical.")
