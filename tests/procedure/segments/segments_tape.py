"""A tape of entries for the tests of delivery segments; `conftest` makes it importable as `segments_tape`."""

from __future__ import annotations

from typing import Any

from esi_room.clock import NS, rfc3339
from esi_room.events import (
    CarmImage,
    Delivery,
    DeviceGap,
    DeviceState,
    Payload,
    ProcedureEnded,
    ProcedurePhase,
    PumpAlarm,
    PumpStarted,
    PumpStatus,
    PumpStopped,
    Reading,
    VitalsNumeric,
)
from esi_room.events.clinical import Component, DrawnUp, HandInjection
from esi_room.procedure.segments import Segments

T0_NS = 1_700_000_000 * NS


def clock(at_s: float) -> str:
    return rfc3339(T0_NS + round(at_s * NS))


class Tape:
    """Entries of a record, one after the other, and the deliveries that come out."""

    def __init__(self) -> None:
        self.segments, self.seq, self.done = Segments(), 0, list[Delivery]()

    def __call__(self, at_s: float, payload: Payload, source: str = "pump-1") -> int:
        self.seq += 1
        self.done += self.segments.take(self.seq, T0_NS + round(at_s * NS), source, payload)
        return self.seq

    def pump(self, at_s: float, state: Any, ml: float | None, kind: Any = PumpStatus, **more: Any) -> int:
        said = {"rate_ml_h": 60.0, "target_ml": 3.0, "pressure_mmhg": None, "drug": None} | more
        return self(at_s, kind(state=state, delivered_ml=ml, **said))

    def started(self, at_s: float, ml: float | None, **more: Any) -> int:
        return self.pump(at_s, "infusing", ml, PumpStarted, **more)

    def stopped(self, at_s: float, state: Any, ml: float | None, **more: Any) -> int:
        return self.pump(at_s, state, ml, PumpStopped, **more)

    def line(self, at_s: float, state: Any) -> int:
        return self(at_s, DeviceState(state=state, reason="test"))

    def back(self, from_s: float, to_s: float) -> None:
        """The line is there again: what a station says then."""
        self(to_s, DeviceGap(from_=clock(from_s), to=clock(to_s), reason="silence"))
        self.line(to_s, "connected")

    def phase(self, at_s: float, phase: Any) -> int:
        return self(at_s, ProcedurePhase(phase=phase, previous=None, origin="staff", reason=None), "room")

    def ended(self, at_s: float) -> int:
        return self(at_s, ProcedureEnded(outcome="completed", origin="staff"), "room")

    def vital(self, at_s: float, name: str, value: float, status: Any = "ok", source: str = "monitor-1") -> int:
        reading = Reading(code=1, name=name, value=value, unit="x", status=status)
        return self(at_s, VitalsNumeric(readings=(reading,)), source)

    def image(self, at_s: float, **more: Any) -> int:
        said: dict[str, Any] = {"rows": 8, "duplicate_of": None} | more
        uids = dict.fromkeys(("sop_class_uid", "sop_instance_uid", "study_uid", "series_uid"), "1.2")
        rest = {"transfer_syntax_uid": "1.2", "sha256": "", "size_bytes": 1, "columns": 8, "frames": 1}
        return self(at_s, CarmImage(**uids, **rest, acquired=None, dose={}, peer="C", **said), "carm")

    def hand(self, at_s: float, state: Any, **said: Any) -> int:
        return self(at_s, HandInjection(state=state, actor="Dr. A", **said), "room")

    def drawn_up(self, at_s: float, syringe: str, pump: str | None, *drugs: Any, **more: Any) -> int:
        components = tuple(Component(drug=drug, volume_ml=1.0, **more) for drug in drugs)
        return self(at_s, DrawnUp(syringe=syringe, pump=pump, components=components, actor="Nurse B"), "room")

    def one(self, at_s: float = 10_000.0) -> Delivery:
        """The only delivery, when all is over."""
        self.done += self.segments.close(T0_NS + round(at_s * NS))
        (delivery,) = self.done
        return delivery


def events(delivery: Delivery) -> list[tuple[str, int]]:
    return [(event.ipec, event.seq) for event in delivery.events]


def interruptions(delivery: Delivery) -> list[tuple[str, str, str]]:
    return [(each.from_, each.to, each.reason) for each in delivery.interruptions]


def alarm(code: str, text: str, *, active: bool = True) -> PumpAlarm:
    return PumpAlarm(code=code, text=text, active=active)


STALLED = alarm("A?S", "motor stalled: occlusion or end of travel")
RESET = alarm("A?R", "pump was reset: power was lost")
