"""Delivery segments: what holds for any sequence of entries, and for any way in which a pump tells the same run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esi_room.clock import NS, parse_rfc3339, rfc3339
from esi_room.events import (
    CarmImage,
    ClockStep,
    Delivery,
    DeviceGap,
    DeviceState,
    Payload,
    ProcedureEnded,
    ProcedurePhase,
    PumpAlarm,
    PumpCompleted,
    PumpStarted,
    PumpStatus,
    PumpStopped,
    Reading,
    VitalsNumeric,
)
from esi_room.events.clinical import Component, Correction, DrawnUp, HandInjection
from esi_room.procedure.segments import Segments

T0_NS = 1_700_000_000 * NS
Taken = tuple[int, str, Payload]  # time, source, payload


def times(low_s: float = -600, high_s: float = 600) -> st.SearchStrategy[int]:
    return st.integers(round(low_s * 10), round(high_s * 10)).map(lambda tenths: T0_NS + tenths * NS // 10)


VOLUME_ML = st.none() | st.decimals(min_value=0, max_value=12, places=2).map(float)
STATES = st.sampled_from(["infusing", "withdrawing", "stopped", "paused", "purging", "alarm", None])
SAID = {
    "state": STATES | st.just("infusing"),
    "rate_ml_h": VOLUME_ML,
    "delivered_ml": VOLUME_ML,
    "target_ml": VOLUME_ML,
    "pressure_mmhg": VOLUME_ML,
    "drug": st.sampled_from([None, "lidocaine"]),
}
LINES = st.builds(
    DeviceState,
    state=st.sampled_from(["connecting", "negotiating", "connected", "stale", "lost"]),
    reason=st.just(""),
)
GAPS = st.builds(
    DeviceGap,
    from_=times().map(rfc3339) | st.just("never"),
    to=times().map(rfc3339) | st.just("never"),
    reason=st.just(""),
)
ALARMS = st.builds(
    PumpAlarm, code=st.just("A"), text=st.sampled_from(["occlusion", "reset", "door"]), active=st.booleans()
)
PUMP: st.SearchStrategy[Payload] = st.one_of(
    *(st.builds(kind, **SAID) for kind in (PumpStatus, PumpStarted, PumpStopped, PumpCompleted)), LINES, GAPS, ALARMS
)
READINGS = st.builds(
    Reading,
    code=st.just(1),
    name=st.sampled_from(["heart_rate_bpm", "spo2_pct", "nibp_mean_mmhg", "temperature_1_cel"]),
    value=st.none() | st.integers(0, 200),
    unit=st.just("x"),
    status=st.sampled_from(["ok", "questionable", "off"]),
)
LABELS = st.sampled_from([None, "A", "B"])
ROOM: st.SearchStrategy[Payload] = st.one_of(
    st.builds(
        HandInjection,
        state=st.sampled_from(["begin", "end"]),
        syringe=LABELS,
        drug=st.sampled_from([None, "iohexol"]),
        volume_ml=VOLUME_ML,
        actor=st.just("Dr. A"),
    ),
    st.builds(
        DrawnUp,
        syringe=st.sampled_from("AB"),
        pump=st.sampled_from([None, "pump-1"]),
        components=st.just((Component(drug="lidocaine", volume_ml=1.0),)),
        actor=st.just("Nurse B"),
    ),
    st.builds(
        Correction,
        seq=st.integers(0, 40),
        reason=st.just(""),
        withdrawn=st.booleans(),
        fields=st.sampled_from([{}, {"syringe": "B"}, {"syringe": 7}]),
        actor=st.just("Dr. A"),
    ),
    st.builds(
        ProcedurePhase,
        phase=st.sampled_from(["preparation", "injection", "recovery"]),
        previous=st.none(),
        origin=st.just("staff"),
        reason=st.none(),
    ),
    st.just(ProcedureEnded(outcome="completed", origin="staff")),
    st.just(ClockStep(step_s=5.0)),
)
IMAGE = CarmImage(
    sop_class_uid="1", sop_instance_uid="1", study_uid="1", series_uid="1", transfer_syntax_uid="1", sha256="",
    size_bytes=1, rows=8, columns=8, frames=1, acquired=None, dose={}, peer="C", duplicate_of=None,
)  # fmt: skip
ENTRIES: st.SearchStrategy[list[Taken]] = st.lists(
    st.one_of(
        st.tuples(times(), st.sampled_from(["pump-1", "pump-1", "pump-2"]), PUMP),
        st.tuples(times(), st.just("room"), ROOM),
        st.tuples(times(), st.just("monitor-1"), st.builds(VitalsNumeric, readings=st.tuples(READINGS))),
        st.tuples(times(), st.just("carm"), st.just(IMAGE)),
    ),
    max_size=40,
)
IN_ORDER = ENTRIES.map(lambda entries: sorted(entries, key=lambda entry: entry[0]))
NO_CORRECTIONS = IN_ORDER.map(lambda entries: [entry for entry in entries if not isinstance(entry[2], Correction)])


def fold(entries: list[Taken], between: Callable[[Segments, int], list[Delivery]] | None = None) -> list[Delivery]:
    """All deliveries, in the order in which they are finished; `between` is done after each entry."""
    segments, done = Segments(), list[Delivery]()
    for seq, (time_ns, source, payload) in enumerate(entries):
        done += segments.take(seq, time_ns, source, payload)
        done += between(segments, time_ns) if between is not None else []
    return done + segments.close(T0_NS + 700 * NS)


def ns(text: str) -> int:
    return parse_rfc3339(text)


def check(delivery: Delivery) -> None:
    """What must hold for every delivery."""
    msgspec.json.decode(msgspec.json.encode(delivery), type=Delivery)
    started_ns, ended_ns = ns(delivery.started_at), ns(delivery.ended_at)
    assert started_ns <= ended_ns
    assert (delivery.delivered_ml is None) == ("volume_unknown" in delivery.remarks)
    quantities = (delivery.delivered_ml, delivery.mean_rate_ml_h, delivery.peak_rate_ml_h, delivery.programmed_ml)
    assert all(quantity is None or quantity >= 0 for quantity in quantities)
    assert all(ns(each.from_) <= ns(each.to) for each in delivery.interruptions)
    assert (delivery.origin == "hand") == (delivery.device is None)
    assert [event.seq for event in delivery.events] == sorted(event.seq for event in delivery.events)
    for before in delivery.vitals_before:
        assert ns(before.at) <= started_ns
    for after in delivery.vitals_after:
        assert ns(after.at) > ended_ns


@settings(max_examples=400)
@given(ENTRIES)
def test_any_sequence_gives_deliveries_that_can_be(entries: list[Taken]) -> None:
    done = fold(entries, lambda segments, time_ns: segments.due(time_ns))
    assert [delivery.number for delivery in done] == list(range(1, len(done) + 1))
    for delivery in done:
        check(delivery)


@settings(max_examples=300)
@given(ENTRIES)
def test_nothing_is_left_open_and_every_start_is_in_a_delivery(entries: list[Taken]) -> None:
    segments, firsts, last_open = Segments(), list[int](), frozenset[str]()
    for seq, (time_ns, source, payload) in enumerate(entries):
        before = segments.open
        segments.take(seq, time_ns, source, payload)
        if segments.open - before:
            firsts.append(seq)
        last_open = segments.open
    left = segments.close(T0_NS + 700 * NS)
    assert segments.open == frozenset()
    assert len(left) >= len(last_open)
    withdrawn = {payload.seq for _, _, payload in entries if isinstance(payload, Correction) and payload.withdrawn}
    assert set(firsts) - withdrawn <= {delivery.facts[0] for delivery in fold(entries)}


@settings(max_examples=300)
@given(IN_ORDER, st.lists(st.integers(0, 200), min_size=40, max_size=40))
def test_when_somebody_looks_changes_nothing(entries: list[Taken], looks: list[int]) -> None:
    """Between two entries, but not later than the next."""
    following = [time_ns for time_ns, _, _ in entries[1:]] + [T0_NS + 600 * NS]
    upcoming = iter(list(zip(following, looks, strict=False)))

    def look(segments: Segments, time_ns: int) -> list[Delivery]:
        next_ns, tenths = next(upcoming)
        return segments.due(min(next_ns, time_ns + tenths * NS // 10))

    assert fold(entries, look) == fold(entries)


@settings(max_examples=300)
@given(NO_CORRECTIONS, st.integers(0, 40))
def test_a_record_read_again_gives_what_is_missing_of_it(entries: list[Taken], cut: int) -> None:
    """Deliveries are entries themselves, right behind what finished them; at `cut` the daemon was restarted."""
    whole = fold(entries)
    record, segments, said = list[Taken](), Segments(), list[Delivery]()
    for entry in entries[:cut]:
        record.append(entry)
        for delivery in segments.take(len(record) - 1, *entry):
            said.append(delivery)
            record.append((entry[0], "room", delivery))
            segments.take(len(record) - 1, *record[-1])
    again, found = Segments(), dict[int, Delivery]()
    for seq, entry in enumerate(record):
        if isinstance(entry[2], Delivery):
            assert found.pop(entry[2].number) == entry[2]
        found |= {delivery.number: delivery for delivery in again.take(seq, *entry)}
    assert found == {}
    rest = []
    for seq, entry in enumerate(entries[cut:], len(record)):
        rest += again.take(seq, *entry)
    rest += again.close(T0_NS + 700 * NS)
    assert [(d.number, d.delivered_ml, d.ended_by) for d in said + rest] == [
        (d.number, d.delivered_ml, d.ended_by) for d in whole
    ]


# --- one run, told in many ways ---------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["run", "run", "pause", "stop", "complete", "purge", "clear"]),
        st.integers(1, 60),
    ),
    max_size=25,
)
SPLITS = st.lists(st.integers(1, 4), min_size=1, max_size=8)


class Bench:
    """A pump at 60 mL/h: what it does, and what it says of it in `splits` statuses an act."""

    def __init__(self, splits: list[int]) -> None:
        self.segments, self.done, self.splits = Segments(), list[Delivery](), splits
        self.now_s, self.seq, self.state, self.counter_ml, self.delivered_ml = 0.0, 0, "stopped", 0.0, 0.0
        self.say(PumpStatus)

    def say(self, kind: Any) -> None:
        self.seq += 1
        said = kind(
            state=self.state, rate_ml_h=60.0, delivered_ml=round(self.counter_ml, 4), target_ml=None,
            pressure_mmhg=None, drug=None,
        )  # fmt: skip
        self.done += self.segments.take(self.seq, T0_NS + round(self.now_s * NS), "pump-1", said)

    def act(self, what: str, for_s: int) -> None:
        running = self.state == "infusing"
        if what == "run":
            self.become("infusing", PumpStatus if running else PumpStarted)
            self.turn(for_s)
            self.delivered_ml += for_s / 60
        elif what == "purge":
            self.become("purging", PumpStopped if running else PumpStatus)
            self.turn(for_s)
            self.become("stopped", PumpStatus)
        elif what == "clear":
            self.counter_ml = 0.0
            self.say(PumpStatus)
        elif what in ("pause", "stop", "complete") and running:
            kind = PumpCompleted if what == "complete" else PumpStopped
            self.become("paused" if what == "pause" else "stopped", kind)
            self.now_s += for_s

    def become(self, state: str, kind: Any) -> None:
        self.state = state
        self.say(kind)
        if kind is not PumpStatus:
            self.say(PumpStatus)

    def turn(self, for_s: int) -> None:
        parts = self.splits[self.seq % len(self.splits)]
        for _ in range(parts):
            self.now_s += for_s / parts
            self.counter_ml += for_s / parts / 60
            self.say(PumpStatus)


def played(acts: list[tuple[str, int]], splits: list[int]) -> Bench:
    bench = Bench(splits)
    for what, for_s in acts:
        bench.act(what, for_s)
    bench.done += bench.segments.close(T0_NS + round((bench.now_s + 60) * NS))
    return bench


@settings(max_examples=300)
@given(ACTS, SPLITS)
def test_what_is_delivered_adds_up(acts: list[tuple[str, int]], splits: list[int]) -> None:
    bench = played(acts, splits)
    volumes_ml = [delivery.delivered_ml for delivery in bench.done]
    assert None not in volumes_ml
    assert sum(volume_ml or 0.0 for volume_ml in volumes_ml) == pytest.approx(bench.delivered_ml, abs=1e-3)
    for delivery in bench.done:
        check(delivery)
        assert delivery.peak_rate_ml_h == 60.0


@settings(max_examples=200)
@given(ACTS, SPLITS)
def test_how_often_the_pump_speaks_changes_nothing(acts: list[tuple[str, int]], splits: list[int]) -> None:
    def seen(bench: Bench) -> list[tuple[Any, ...]]:
        return [
            (d.started_at, d.ended_at, d.ended_by, d.interruptions, d.remarks, d.delivered_ml, d.mean_rate_ml_h)
            for d in bench.done
        ]

    often, seldom = seen(played(acts, splits)), seen(played(acts, [1]))
    assert [each[:5] for each in often] == [each[:5] for each in seldom]
    for one, other in zip(often, seldom, strict=True):
        assert one[5] == pytest.approx(other[5], abs=1e-3)
        assert one[6] == pytest.approx(other[6], abs=0.1)
