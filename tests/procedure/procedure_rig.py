"""A case as a test tells it: entries of a record, one after the other, and the alerts that follow from each at once.

    case = Case("R1")                      only this rule is on
    first = case.image(206)                at 206 s; the entry's seq comes back
    case.says(214, "time_out", side="right", happened_s=150)
    case.is_raised("R1", "high", (first,), "no time-out")

`SAID` is what the staff of these tests say where a test does not say otherwise: an L4/5 interlaminar injection from the
left, all in order.
"""

from __future__ import annotations

from typing import Any

import msgspec

from esi_room.clock import NS, Stamp, rfc3339
from esi_room.events import (
    FORMS,
    AlertCleared,
    AlertRaised,
    CarmDose,
    CarmImage,
    Clinical,
    Delivery,
    DoseTotal,
    Payload,
    Phase,
    Plan,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureStarted,
    PumpStarted,
    PumpStatus,
    Reading,
    VitalsNumeric,
)
from esi_room.procedure import rules
from esi_room.procedure.facts import Facts
from esi_room.procedure.rules import Book
from esi_room.procedure.rules.verdict import components
from esi_room.procedure.taken import Taken

T0_NS = 1_700_000_000 * NS
ACTOR = "Dr. A"
PLAN = Plan(approach="interlaminar", side="left", levels=("L4/5",))
PHASES: dict[Phase, float] = {"evaluation": 10, "preparation": 60, "guidance": 200, "injection": 480, "recovery": 630}

DEXAMETHASONE = {
    "drug": "dexamethasone",
    "volume_ml": 1,
    "concentration": 10,
    "concentration_unit": "mg/mL",
    "lot": "D",
}
TRIAMCINOLONE = {
    "drug": "triamcinolone",
    "volume_ml": 1,
    "concentration": 40,
    "concentration_unit": "mg/mL",
    "lot": "T",
}
LIDOCAINE = {"drug": "lidocaine", "volume_ml": 2, "concentration": 1, "concentration_unit": "%"}
SALINE = {"drug": "sodium_chloride", "volume_ml": 4}
IOHEXOL = {"drug": "iohexol", "volume_ml": 2, "concentration": 240, "concentration_unit": "mg{I}/mL"}

SAID: dict[str, dict[str, Any]] = {
    "time_out": {"identity": True, "procedure": True, "approach": "interlaminar", "side": "left", "levels": ["L4/5"]},
    "consent": {"given": True},
    "allergies": {"none": True},
    "anticoagulants": {"none": True, "decision": "proceed"},
    "assessment": {"weight_kg": 72},
    "earlier_injections": {"sessions_12_months": 0, "ever": False},
    "prior_imaging": {"modality": "MR", "date": "2026-10-01"},
    "pain": {"occasion": "after", "score": 2, "scale": "NRS"},
    "sedation": {"level": "none"},
    "monitoring": {"connected": ["ecg", "spo2", "nibp"]},
    "approach": {"approach": "interlaminar", "side": "left", "levels": ["L4/5"]},
    "needle": {"action": "placed", "kind": "tuohy", "gauge_g": 20, "length_mm": 90},
    "aspiration": {"result": "negative"},
    "contrast": {"given": True, "imaging": "live_fluoroscopy", "spread": ["epidural"], "component": IOHEXOL},
    "view": {"projection": "ap"},
    "drawn_up": {"syringe": "A", "components": [DEXAMETHASONE, SALINE]},
    "drug_given": {"route": "skin", "component": LIDOCAINE},
    "drug_discarded": {"syringe": "A", "volume_ml": 1},
    "hand_injection": {"state": "begin"},
    "injection_pressure": {"pressure_mmhg": 190, "method": "inline_manometer"},
    "motor_sensory": {"motor": "normal", "sensory": "normal"},
    "padss": {"vital_signs": 2, "activity": 2, "nausea_vomiting": 2, "pain": 2, "bleeding": 2},
    "discharge": {"to": "home", "escort": True},
    "note": {"text": "tolerated well"},
    "iv_access": {"placed": True},
    "sign_in": {"identity": True, "consent": True, "allergies": True},
    "sign_out": {"procedure_recorded": True, "sharps_complete": True},
    "positioning": {
        "position": "prone",
        "skin_preparation": "chlorhexidine_alcohol",
        "draped": True,
        "mask": True,
        "sterile_gloves": True,
    },
    "indication": {"diagnosis": "Radiculopathy L5"},
    "loss_of_resistance": {"obtained": True, "medium": "saline"},
    "closure": {"haemostasis": True, "dressing": True},
    "instructions": {"written": True},
    "follow_up_plan": {"due": "2026-12-07", "contact": "phone"},
    "sign_off": {"signer": ACTOR, "meaning": "author"},
    "sensation": {"kind": "paraesthesia"},
    "complication": {"kind": "vasovagal", "severity": "mild"},
    "patient": {"state": "alert"},
}


def form(name: str, **fields: Any) -> Clinical:
    """As it goes into the record; an AssertionError names what the desk would have refused."""
    made = msgspec.convert({"actor": ACTOR, **SAID[name], **fields}, FORMS[name])
    assert not list(made.problems()), (name, list(made.problems()))
    return made


def only(*ids: str, **parameters: Any) -> Book:
    """The rules that come with the software, but only these; all of them where none is named."""
    book = rules.load()
    kept = {
        rule: msgspec.structs.replace(data, parameters={**data.parameters, **parameters})
        for rule, data in book.rules.items()
        if rule in ids or not ids
    }
    return msgspec.structs.replace(book, rules=kept)


def image(**fields: Any) -> CarmImage:
    """With pixels, from the front."""
    uids = dict.fromkeys(("sop_class_uid", "sop_instance_uid", "study_uid", "series_uid", "transfer_syntax_uid"), "1.2")
    said = {"rows": 8, "columns": 8, "frames": 1, "primary_angle_deg": 0.0, "secondary_angle_deg": 0.0} | fields
    rest = {"sha256": "", "size_bytes": 1, "acquired": None, "dose": {}, "peer": "CARM@10.0.0.5", "duplicate_of": None}
    return CarmImage(**{**uids, **rest, **said})


class Case:
    """One procedure's record, and the rules on watch."""

    def __init__(self, *ids: str, plan: Plan | None = PLAN, started: bool = True, **parameters: Any) -> None:
        self.book = only(*ids, **parameters)
        self.facts = Facts("20260101T000000Z-0000")
        self.seq, self.now_s = 0, 0.0
        self.told, self.history = list[AlertRaised](), list[str]()
        if started:
            self.start(plan)

    # --- what happens -------------------------------------------------------------------------------------

    def take(
        self, at_s: float | None, payload: Payload, source: str = "room", *, happened_s: float | None = None
    ) -> int:
        """The next entry, at `at_s` (None: now); it happened then, or at `happened_s`."""
        self.now_s = self.now_s if at_s is None else at_s
        self.seq += 1
        happened_ns = T0_NS + round((self.now_s if happened_s is None else happened_s) * NS)
        seq = self.seq
        self.facts.take(Taken(seq, happened_ns, self._stamp, source, payload))
        self.follow()
        return seq

    def wait(self, until_s: float) -> None:
        """Time passes, and the room looks every second."""
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + 1)
            self.facts.pass_time(self._stamp)
            self.follow()

    def start(self, plan: Plan | None, origin: str = "staff") -> int:
        return self.take(None, ProcedureStarted(procedure=None, origin=origin, plan=plan))

    def says(self, at_s: float | None, name: str, *, happened_s: float | None = None, **fields: Any) -> int:
        return self.take(at_s, form(name, **fields), happened_s=happened_s)

    def corrects(self, at_s: float | None, seq: int, **fields: Any) -> int:
        correction = FORMS["correction"](actor=ACTOR, seq=seq, reason="slip", fields=fields)
        return self.take(at_s, correction)

    def withdraws(self, at_s: float | None, seq: int) -> int:
        return self.take(at_s, FORMS["correction"](actor=ACTOR, seq=seq, reason="slip", withdrawn=True))

    def enters(self, at_s: float | None, phase: Phase, **fields: Any) -> int:
        said = {"previous": self.facts.phase, "origin": "staff", "reason": None} | fields
        return self.take(at_s, ProcedurePhase(phase=phase, **said))

    def goes_on_until(self, phase: Phase) -> int:
        """Phase after phase, each at its time of `PHASES`, up to this one, whose seq comes back."""
        for each, at_s in PHASES.items():
            seq = self.enters(at_s, each)
            if each == phase:
                return seq
        raise AssertionError(phase)

    def ends(self, at_s: float | None = None) -> int:
        return self.take(at_s, ProcedureEnded(outcome="completed", origin="staff"))

    def image(self, at_s: float | None, *, happened_s: float | None = None, **fields: Any) -> int:
        return self.take(at_s, image(**fields), "carm", happened_s=happened_s)

    def dose(self, at_s: float | None, **total: float | None) -> int:
        known: dict[str, Any] = dict.fromkeys(("dap_gy_m2", "air_kerma_rp_gy", "fluoro_time_s"))
        known |= total
        whole = DoseTotal(**known, irradiation_events=None, provenance={})
        rest: dict[str, Any] = {"irradiation_events": (), "scope": "study", "unreadable": ()}
        return self.take(at_s, CarmDose(**known, **rest, provenance="dose report", total=whole), "carm")

    def vitals(self, at_s: float | None, source: str = "monitor-1", status: Any = "ok", **values: float | None) -> int:
        readings = tuple(
            Reading(code=1, name=name, value=value, unit="x", status=status) for name, value in values.items()
        )
        return self.take(at_s, VitalsNumeric(readings=readings), source)

    def steady(self, from_s: float, until_s: float, every_s: float = 2.0, **values: float) -> int:
        """The monitor tells the same all the time; the seq of the last."""
        at_s, seq = from_s, 0
        while at_s <= until_s:
            seq = self.vitals(at_s, **values)
            at_s += every_s
        return seq

    def pump_starts(self, at_s: float | None, pump: str = "pump-1", **fields: Any) -> int:
        return self.take(at_s, PumpStarted(**_pump(**fields)), pump)

    def pump_tells(self, at_s: float | None, pump: str = "pump-1", **fields: Any) -> int:
        return self.take(at_s, PumpStatus(**_pump(**fields)), pump)

    def delivered(self, at_s: float | None, ml: float | None, syringe: str | None = "A", **fields: Any) -> int:
        said: dict[str, Any] = {
            "number": len(self.facts.deliveries) + 1,
            "origin": "pump",
            "device": "pump-1",
            "started_at": rfc3339(T0_NS),
            "ended_at": rfc3339(T0_NS),
            "ended_by": "completed",
            "drugs": tuple(part.drug for part in components(self.facts, syringe)),
        }
        said |= dict.fromkeys(
            ("programmed_ml", "mean_rate_ml_h", "peak_rate_ml_h", "mean_pressure_mmhg", "peak_pressure_mmhg")
        )
        said["facts"] = (self.seq,)
        return self.take(at_s, Delivery(**(said | fields), syringe=syringe, delivered_ml=ml))

    # --- what follows -------------------------------------------------------------------------------------

    def follow(self) -> None:
        """The alerts that are due, as entries; with those in, there are no more."""
        for alert in list(rules.what_follows(self.facts, self.book)):
            self.seq += 1
            self.told.append(alert)
            self.history.append(("-" if isinstance(alert, AlertCleared) else "+") + alert.alert)
            self.facts.take(Taken(self.seq, self._stamp.wall_ns, self._stamp, "room", alert))
        assert not list(rules.what_follows(self.facts, self.book))

    @property
    def alerts(self) -> dict[str, AlertRaised]:
        """Raised and not cleared."""
        return {alert: fact.data for alert, fact in self.facts.alerts.items()}

    @property
    def lacking(self) -> dict[str, str]:
        """What the rules would say at the end that they could not judge."""
        return rules.not_assessable(self.facts, self.book)

    def is_raised(self, alert: str, severity: str, facts: tuple[int, ...], *words: str) -> None:
        """This alert and no other, with these facts, in these words."""
        assert list(self.alerts) == [alert], self.alerts
        said = self.alerts[alert]
        assert (said.rule, said.severity, said.facts) == (alert.partition("-")[0].partition("~")[0], severity, facts), (
            said
        )
        assert all(word in said.text for word in words), said.text
        assert said.source_text

    @property
    def _stamp(self) -> Stamp:
        return Stamp(T0_NS + round(self.now_s * NS), round(self.now_s * NS))


def _pump(**fields: Any) -> dict[str, Any]:
    said = {"state": "infusing", "rate_ml_h": 300.0, "delivered_ml": 0.0, "target_ml": 6.0, "drug": None}
    return said | {"pressure_mmhg": None} | fields
