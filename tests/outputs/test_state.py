"""The projection: right, and never fresher than it may be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esi_room.clock import NS, parse_rfc3339, rfc3339
from esi_room.events import (
    AlertAcknowledged,
    AlertCleared,
    AlertRaised,
    CarmDose,
    CarmImage,
    CarmMpps,
    CarmOrder,
    DeviceAlarm,
    DeviceState,
    DoseTotal,
    Entry,
    InstanceRef,
    IrradiationEvent,
    Lack,
    Payload,
    Plan,
    ProcedureCompleteness,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureRules,
    ProcedureStarted,
    PumpAlarm,
    PumpStatus,
    Reading,
    RecordOpened,
    RecordRecovered,
    VitalsNumeric,
)
from esi_room.outputs.acts import STALE_AFTER_S
from esi_room.outputs.runs import MAX_RUNS
from esi_room.outputs.state import Projection

START_NS = 1_800_000_000 * NS


def entry(data: Payload, seq: int = 0, at_s: float = 0.0, source: str = "d", late_s: float = 0.0) -> Entry:
    received_ns = START_NS + round(at_s * NS)
    return Entry(
        v=1,
        record="20270115T080000Z-0000",
        seq=seq,
        prev="0" * 64,
        type=data.TYPE,
        time=rfc3339(received_ns - round(late_s * NS)),
        received=rfc3339(received_ns),
        mono_ns=round(at_s * NS),
        source=source,
        data=msgspec.Raw(msgspec.json.encode(data)),
    )


def vitals(value: float, life_s: float | None = 10.0, own_s: float | None = None, name: str = "spo2_pct") -> Payload:
    reading = Reading(code=1, name=name, value=value, unit="%", status="ok", stale_after_s=own_s)
    return VitalsNumeric(readings=(reading,), stale_after_s=life_s, conditions=("apnea",))


def pump(**more: Any) -> PumpStatus:
    nothing = {"rate_ml_h": None, "delivered_ml": None, "target_ml": None, "pressure_mmhg": None, "drug": None}
    return PumpStatus(**({"state": "infusing", **nothing} | more))


def order(name: str, change: Any) -> CarmOrder:
    return CarmOrder(order=name, change=change, origin="command", procedure=None, scheduled_at=None)


def step(status: str, **more: Any) -> CarmMpps:
    given = {"started": None, "ended": None, "procedure": None, "order": "ESI-1", "images": 0}
    named = {"sop_instance_uid": "1.2.9", "message": "set", "peer": "CARM @ 127.0.0.1", "sha256": "aa"}
    return CarmMpps(status=status, **(named | given | more))


def image(**more: Any) -> CarmImage:
    given = {
        "sop_class_uid": "1.2",
        "sop_instance_uid": "1.2.3",
        "study_uid": None,
        "series_uid": None,
        "transfer_syntax_uid": "1.2",
        "sha256": "aa",
        "size_bytes": 1,
        "rows": 512,
        "columns": 512,
        "frames": None,
        "acquired": None,
        "dose": {},
        "peer": "A@b",
        "duplicate_of": None,
    }
    return CarmImage(**(given | more))


def opened(kind: Any = "standby") -> RecordOpened:
    return RecordOpened(
        kind=kind,
        room="r",
        timezone="UTC",
        previous=None,
        software="1",
        configuration_sha256="",
        clock_synchronised=None,
        clock_max_error_s=None,
    )


def alert(kind: type[AlertRaised], name: str = "a1", actor: str | None = None) -> AlertRaised:
    return kind(alert=name, rule="r", severity="high", text="t", facts=(1,), actor=actor, reason=None)


def snap(projection: Projection, topic: str) -> Any:
    return projection.snapshot(f"state/{topic}", START_NS)


def dose(*events: IrradiationEvent, provenance: Any = "dose report", dap_gy_m2: float = 1e-5, **more: Any) -> CarmDose:
    total = DoseTotal(
        dap_gy_m2=dap_gy_m2,
        air_kerma_rp_gy=None,
        fluoro_time_s=12.0,
        irradiation_events=len(events) or None,
        provenance={"dap_gy_m2": provenance},
    )
    said = {"dap_gy_m2": dap_gy_m2, "air_kerma_rp_gy": None, "fluoro_time_s": None, "scope": "study", "unreadable": ()}
    given = {"irradiation_events": events, "provenance": provenance, "total": total, "study_uid": "1.2"}
    return CarmDose(**(said | given | more))


def run(uid: str | None, **more: Any) -> IrradiationEvent:
    return IrradiationEvent(uid=uid, **more)


def recovered() -> RecordRecovered:
    return RecordRecovered(reason="r", cut_bytes=0, cut_sha256=None, kept_as=None)


@pytest.mark.parametrize(
    ("life_s", "own_s", "late_s", "expected_s"),
    [(10.0, None, 0.0, 10.0), (10.0, 300.0, 0.0, 300.0), (10.0, None, 4.0, 6.0), (None, None, 0.0, STALE_AFTER_S)],
)
def test_a_value_goes_stale_at_its_time_and_stays_marked(
    life_s: float | None, own_s: float | None, late_s: float, expected_s: float
) -> None:
    projection = Projection()
    projection.apply(entry(vitals(97, life_s, own_s), late_s=late_s))
    due = snap(projection, "vitals").values[0]
    projection.expire(round(expected_s * NS) - 1)
    assert not snap(projection, "vitals").values[0].stale
    assert projection.expire(round(expected_s * NS)) == {"state/vitals"}
    value = snap(projection, "vitals").values[0]
    assert (value.stale, value.value, value.observed_at) == (True, 97, due.observed_at)


@pytest.mark.parametrize("state", ["stale", "lost", "connecting", "negotiating"])
def test_a_device_not_heard_has_no_fresh_value(state: Any) -> None:
    projection = Projection()
    projection.apply(entry(vitals(97)))
    projection.apply(entry(vitals(98), source="other"))
    projection.apply(entry(pump()))
    dirty = projection.apply(entry(DeviceState(state=state, reason="r")))
    assert dirty == {"state/device/d", "state/vitals", "state/pump"}
    assert [v.stale for v in snap(projection, "vitals").values] == [True, False]
    assert snap(projection, "pump").pumps[0].stale
    projection.apply(entry(vitals(96)))
    assert not snap(projection, "vitals").values[0].stale


def test_the_next_record_begins_empty_and_the_devices_stay() -> None:
    projection = Projection()
    phase = ProcedurePhase(phase="guidance", previous=None, origin="staff", reason=None)
    for data in (opened("procedure"), phase, vitals(97), pump(), image(), alert(AlertRaised)):
        projection.apply(entry(data))
    projection.apply(entry(DeviceState(state="connected", reason="heard")))
    projection.shows("aa")
    projection.apply(entry(opened()))
    assert snap(projection, "procedure").phase is None
    assert snap(projection, "procedure").kind == "standby"
    assert snap(projection, "vitals").values == ()
    assert snap(projection, "pump").pumps == ()
    assert snap(projection, "alerts").alerts == ()
    assert (snap(projection, "carm").image, snap(projection, "carm").shown_sha256) == (None, None)
    assert (snap(projection, "dose").images, snap(projection, "dose").last) == (0, None)
    assert snap(projection, "device/d").state == "connected"


def test_alarms_last_until_withdrawn_or_the_line_is_lost() -> None:
    projection = Projection()
    projection.apply(entry(DeviceAlarm(code="a", text="A", active=True)))
    projection.apply(entry(DeviceAlarm(code="b", text="B", active=True)))
    projection.apply(entry(DeviceAlarm(code="a", text="A", active=False)))
    projection.apply(entry(PumpAlarm(code="S", text="stall", active=True)))
    assert [a.code for a in snap(projection, "device/d").alarms] == ["b"]
    assert (snap(projection, "pump").pumps[0].event, snap(projection, "pump").pumps[0].alarms[0].code) == (None, "S")
    projection.apply(entry(DeviceState(state="stale", reason="silent")))
    assert len(snap(projection, "device/d").alarms) == 1
    projection.apply(entry(DeviceState(state="lost", reason="unplugged")))
    assert snap(projection, "device/d").alarms == ()
    assert snap(projection, "pump").pumps[0].alarms == ()


def test_after_a_restart_nothing_is_known_of_a_device_until_it_speaks() -> None:
    projection = Projection()
    projection.apply(entry(DeviceState(state="connected", reason="heard")))
    projection.apply(entry(vitals(97)))
    projection.apply(entry(recovered(), source="room"))
    assert snap(projection, "device/d").state is None
    assert snap(projection, "vitals").values[0].stale


def test_a_duplicate_counts_and_shows_nothing() -> None:
    projection = Projection()
    projection.apply(entry(image(dose={"KVP": 70}, frames=12), seq=4))
    dirty = projection.apply(entry(image(sha256="bb", duplicate_of=InstanceRef(record="r", seq=4)), seq=5))
    assert dirty == set()
    projection.apply(entry(image(sha256="cc", rows=None), seq=6))
    assert (snap(projection, "dose").images, snap(projection, "dose").frames) == (1, 12)
    assert snap(projection, "dose").last.attributes == {"KVP": 70}
    assert snap(projection, "carm").image.sha256 == "cc"


def test_the_dose_is_whole_in_one_message() -> None:
    projection = Projection()
    projection.apply(entry(opened("procedure")))
    assert snap(projection, "dose").total is None
    header = dose(run("1.9.1", dap_gy_m2=2e-6), provenance="image header", dap_gy_m2=2e-6, sop_instance_uid="1.3.1")
    assert projection.apply(entry(header, seq=1, at_s=1)) == {"state/dose"}
    assert snap(projection, "dose").total.provenance == {"dap_gy_m2": "image header"}
    report = dose(run("1.9.1", dap_gy_m2=3e-6, duration_s=4.0), run("1.9.2", dap_gy_m2=7e-6))
    projection.apply(entry(report, seq=2, at_s=2))
    told = snap(projection, "dose")
    assert (told.total.dap_gy_m2, told.total.fluoro_time_s, told.total.seq, told.total.stale) == (1e-5, 12.0, 2, False)
    assert [(r.uid, r.dap_gy_m2, r.duration_s, r.provenance) for r in told.runs] == [
        ("1.9.1", 3e-6, 4.0, "dose report"),
        ("1.9.2", 7e-6, None, "dose report"),
    ]
    projection.apply(entry(header, seq=3, at_s=3))  # a header says less than the report did
    assert snap(projection, "dose").runs == told.runs


def test_images_without_an_event_are_runs_until_a_report_tells_the_events() -> None:
    projection = Projection()
    for number in range(3):
        said = dose(run(None, dap_gy_m2=1e-6), provenance="image header", sop_instance_uid=f"1.3.{number}")
        projection.apply(entry(said, seq=number))
    assert len(snap(projection, "dose").runs) == 3
    projection.apply(entry(dose(run("1.9.1"), run("1.9.2")), seq=4))
    assert [r.uid for r in snap(projection, "dose").runs] == ["1.9.1", "1.9.2"]
    other = dose(run(None), provenance="image header", sop_instance_uid="1.3.9")
    projection.apply(entry(other, seq=5))
    assert len(snap(projection, "dose").runs) == 2
    projection.apply(entry(msgspec.structs.replace(other, study_uid="1.4"), seq=6))
    assert len(snap(projection, "dose").runs) == 3


def test_runs_are_bounded_and_say_how_many_are_left_out() -> None:
    projection = Projection()
    projection.apply(entry(dose(*(run(f"1.{n}") for n in range(MAX_RUNS + 5)))))
    told = snap(projection, "dose")
    assert (len(told.runs), told.more_runs, told.runs[-1].uid) == (MAX_RUNS, 5, f"1.{MAX_RUNS + 4}")


def test_dose_of_another_record_is_no_run_of_this_one() -> None:
    projection = Projection()
    projection.apply(entry(dose(run("1.9"), taken_in="20270115T070000Z-0000")))
    assert snap(projection, "dose").runs == ()


def test_an_exceeded_level_stays_exceeded_when_its_alert_is_cleared() -> None:
    projection = Projection()
    name = "R16-fluoro_time_s"
    assert projection.apply(entry(alert(AlertRaised, name))) == {"state/alerts", "state/dose"}
    projection.apply(entry(alert(AlertCleared, name)))
    assert snap(projection, "alerts").alerts == ()
    assert snap(projection, "dose").exceeded == {"fluoro_time_s": "t"}
    projection.apply(entry(opened()))
    assert (snap(projection, "dose").exceeded, snap(projection, "dose").total) == ({}, None)


def test_the_alarm_limits_that_a_device_tells_stand_beside_its_values() -> None:
    projection = Projection()
    told = {"spo2_low_limit_pct": 90, "spo2_high_limit_pct": 100, "pulse_rate_low_limit_bpm": 60, "ward": "ADULT"}
    projection.apply(entry(VitalsNumeric(readings=(), fields=told), source="oximeter-1"))
    projection.apply(entry(VitalsNumeric(readings=(), fields={"spo2_low_limit_pct": 88}), seq=1, source="oximeter-1"))
    limits = snap(projection, "vitals").limits
    assert [(each.source, each.name, each.low, each.high) for each in limits] == [
        ("oximeter-1", "spo2_pct", 88.0, 100.0),
        ("oximeter-1", "pulse_rate_bpm", 60.0, None),
    ]
    projection.apply(entry(opened(), seq=2))
    assert snap(projection, "vitals").limits == ()


def test_the_rooms_dose_levels_stand_beside_the_dose_in_its_units() -> None:
    projection = Projection()
    projection.apply(entry(opened("procedure")))
    assert snap(projection, "dose").levels == {}
    given = {"fluoro_time_s": 120.0, "dap_cgy_cm2": 1000.0, "air_kerma_mgy": 100}
    rules = ProcedureRules(version="v", sha256="0" * 64, rules={"R16": {"severity": "medium", **given}})
    assert projection.apply(entry(rules, seq=1)) == {"state/procedure", "state/dose"}
    assert snap(projection, "dose").levels == {"fluoro_time_s": 120.0, "dap_gy_m2": 0.001, "air_kerma_rp_gy": 0.1}
    projection.apply(entry(ProcedureRules(version="v", sha256="0" * 64, rules={}), seq=2))
    assert snap(projection, "dose").levels == {}


@pytest.mark.parametrize("level", [0, 0.0, None, "much", -1])
def test_what_is_no_level_is_not_shown_as_one(level: object) -> None:
    projection = Projection()
    rules = ProcedureRules(version="v", sha256="0" * 64, rules={"R16": {"fluoro_time_s": level}})
    projection.apply(entry(rules))
    assert snap(projection, "dose").levels == {}


def test_the_order_and_the_steps_of_a_case_are_whole_in_one_message() -> None:
    state = Projection()
    state.apply(entry(order("ESI-1", "placed")))
    assert state.snapshot("state/carm", START_NS).order is None
    assert state.apply(entry(order("ESI-1", "chosen"), 1)) == {"state/carm"}
    state.apply(entry(step("IN PROGRESS", started="2026-11-23T09:30:00", procedure="ESI L4/5"), 2))
    state.apply(entry(step("COMPLETED", ended="2026-11-23T09:45:00", images=3, missing=("1.2.3",)), 3))
    said = state.snapshot("state/carm", START_NS)
    assert said.order == "ESI-1"
    (known,) = said.steps
    assert (known.seq, known.status, known.procedure) == (3, "COMPLETED", "ESI L4/5")
    assert (known.started, known.ended) == ("2026-11-23T09:30:00", "2026-11-23T09:45:00")
    assert (known.images, known.missing) == (3, 1)
    state.apply(entry(opened(), 4))
    assert state.snapshot("state/carm", START_NS).steps == ()


def test_a_procedure_that_the_staff_take_over_began_when_it_began() -> None:
    state = Projection()
    state.apply(entry(ProcedureStarted(procedure="lumbar", origin="carm")))
    state.apply(entry(ProcedureStarted(procedure="ESI L4/5", origin="staff"), 1, at_s=60.0))
    said = state.snapshot("state/procedure", START_NS)
    assert (said.procedure, said.started_at) == ("ESI L4/5", rfc3339(START_NS))


def test_a_late_image_is_counted_and_takes_no_newer_ones_place() -> None:
    projection = Projection()
    projection.apply(entry(image(dose={"KVP": 70}), at_s=10))
    assert projection.apply(entry(image(sha256="bb", dose={"KVP": 60}), seq=1, at_s=20, late_s=15))
    carm = snap(projection, "carm")
    assert (carm.image.sha256, carm.image.seq, carm.image.observed_at) == ("aa", 0, rfc3339(START_NS + 10 * NS))
    assert (snap(projection, "dose").last.seq, snap(projection, "dose").images) == (0, 2)
    projection.apply(entry(image(sha256="cc"), seq=2, at_s=21, late_s=5))
    assert snap(projection, "carm").image.sha256 == "cc"


def test_an_image_of_an_earlier_case_is_no_picture_of_this_one() -> None:
    projection = Projection()
    projection.apply(entry(opened("procedure")))
    projection.apply(entry(image(dose={"KVP": 70}, taken_in="20270115T070000Z-0000"), seq=1, at_s=5, late_s=600))
    assert snap(projection, "carm").image is None
    assert (snap(projection, "dose").last, snap(projection, "dose").images) == (None, 0)


def test_a_picture_that_fails_leaves_the_one_before_it() -> None:
    projection = Projection()
    record = "20270115T080000Z-0000"
    projection.apply(entry(image()))
    projection.shows("aa")
    projection.apply(entry(image(sha256="bb"), seq=1))
    assert projection.names(record, "bb")
    assert not projection.names(record, "cc")
    assert not projection.names("20270115T090000Z-0000", "bb")
    projection.cannot_show("no pixels")
    carm = snap(projection, "carm")
    assert (carm.image.sha256, carm.shown_sha256, carm.preview_problem) == ("bb", "aa", "no pixels")
    projection.shows("bb")
    assert snap(projection, "carm").preview_problem is None


def test_alerts_come_are_seen_and_go() -> None:
    projection = Projection()
    projection.apply(entry(alert(AlertRaised), at_s=1))
    projection.apply(entry(alert(AlertAcknowledged, actor="Dr. A"), at_s=2))
    seen = snap(projection, "alerts").alerts[0]
    assert (seen.actor, seen.raised_at < seen.acknowledged_at) == ("Dr. A", True)
    projection.apply(entry(alert(AlertCleared), at_s=3))
    assert snap(projection, "alerts").alerts == ()


PAYLOAD = st.one_of(
    st.builds(
        vitals, st.floats(0, 100), st.one_of(st.none(), st.floats(0, 60)), st.one_of(st.none(), st.floats(0, 60))
    ),
    st.sampled_from(
        [
            *(opened(), opened("procedure"), recovered(), image(), image(rows=None)),
            *(pump(), pump(stale_after_s=5.0), dose(run("1"), run(None))),
        ]
    ),
    st.builds(
        lambda s: DeviceState(state=s, reason="r"), st.sampled_from(["connected", "stale", "lost", "connecting"])
    ),
    st.builds(alert, st.sampled_from([AlertRaised, AlertAcknowledged, AlertCleared]), st.sampled_from("ab")),
    st.builds(lambda c, a: PumpAlarm(code=c, text="t", active=a), st.sampled_from("ab"), st.booleans()),
    st.builds(lambda c, a: DeviceAlarm(code=c, text="t", active=a), st.sampled_from("ab"), st.booleans()),
)
STEP = st.tuples(PAYLOAD, st.floats(0, 20), st.sampled_from("de"), st.floats(-5, 5), st.booleans())


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=30))
def test_whatever_comes_no_old_value_is_fresh(steps: list[tuple[Payload, float, str, float, bool]]) -> None:
    projection, now_s = Projection(), 0.0
    for seq, (data, gap_s, source, late_s, broken) in enumerate(steps):
        now_s += gap_s
        it = entry(data, seq, now_s, source, late_s)
        if broken:
            it = msgspec.structs.replace(
                it, data=msgspec.Raw(b'{"nonsense":[]}'), type=it.type if seq % 2 else "new.type"
            )
        projection.apply(it)
        projection.expire(round(now_s * NS))
        assert (projection.next_expiry() or 1 << 62) > round(now_s * NS)
        for topic in projection.topics:
            msgspec.json.encode(projection.snapshot(topic, 0))
        assert snap(projection, "procedure").as_of.seq == seq
        aged = (
            *snap(projection, "vitals").values,
            *snap(projection, "vitals").conditions,
            *snap(projection, "pump").pumps,
        )
        for value in aged:
            age_s = now_s - (parse_rfc3339(value.observed_at) - START_NS) / NS
            assert value.stale or age_s < value.stale_after_s + 1e-5


COMPLETENESS = ProcedureCompleteness(
    lacks=(Lack(item="evaluation.consent", phase="evaluation", text="consent"),),
    not_assessable={"R10": "no NIBP source"},
    syringes=(),
    deviations=("R2",),
    complete=False,
)


def test_what_the_record_lacks_stays_to_be_seen_after_its_end() -> None:
    state = Projection()
    state.apply(entry(opened("procedure")))
    state.apply(entry(ProcedureStarted(procedure="ESI", origin="staff", plan=Plan(side="left", levels=("L4/5",)))))
    state.apply(entry(ProcedureRules(version="7", sha256="0" * 64, rules={})))
    state.apply(entry(ProcedureEnded(outcome="unknown", origin="room"), 8, at_s=60))
    state.apply(entry(COMPLETENESS, 9, at_s=60))
    said = snap(state, "procedure")
    assert (said.plan.side, said.rules, said.completeness.seq) == ("left", "7", 9)
    state.apply(entry(opened("standby"), 0, at_s=61))
    said = snap(state, "procedure")
    assert (said.plan, said.rules, said.procedure, said.outcome) == (None, None, None, None)
    assert (said.completeness.outcome, said.completeness.ended_at) == ("unknown", rfc3339(START_NS + 60 * NS))
    assert [lack.item for lack in said.completeness.lacks] == ["evaluation.consent"]


def test_a_hinted_phase_that_the_staff_confirm_began_when_it_began() -> None:
    state = Projection()
    hint = ProcedurePhase(phase="guidance", previous=None, origin="carm", reason="the first image", fact=3)
    state.apply(entry(hint))
    said = ProcedurePhase(phase="guidance", previous="guidance", origin="staff", reason=None, actor="Dr. A")
    state.apply(entry(said, 1, at_s=30))
    (phase,) = snap(state, "procedure").phases
    assert (phase.origin, phase.since) == ("staff", rfc3339(START_NS))


def test_an_alert_that_was_overridden_says_by_whom_why_and_where_its_rule_comes_from() -> None:
    state = Projection()
    raised = msgspec.structs.replace(alert(AlertRaised, "R4"), source_text="Rathmell 2015")
    state.apply(entry(raised))
    overridden = {"actor": "Dr. A", "reason": "no other steroid", "overridden": True}
    state.apply(entry(msgspec.structs.replace(alert(AlertAcknowledged, "R4"), **overridden), 1))
    (said,) = snap(state, "alerts").alerts
    assert (said.actor, said.reason, said.overridden, said.source) == (
        "Dr. A",
        "no other steroid",
        True,
        "Rathmell 2015",
    )
