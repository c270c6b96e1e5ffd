"""Forms of the recovery, the discharge and what comes after, days or weeks later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from esi_room.events.clinical import words as w
from esi_room.events.clinical.base import Clinical, no_date


class MotorSensory(Clinical, frozen=True):
    """Strength and feeling of the limbs. `bromage`: modified Bromage score, 0 (none) to 3 (complete block)."""

    TYPE: ClassVar = "clinical.motor_sensory"
    motor: Literal["normal", "reduced", "absent"]
    sensory: Literal["normal", "reduced", "absent"]
    side: w.Side | None = None
    bromage: Literal[0, 1, 2, 3] | None = None

    def problems(self) -> Iterable[str]:
        if (self.motor == "normal" and self.bromage) or (self.motor == "absent" and self.bromage == 0):
            yield f"motor {self.motor} and bromage {self.bromage} do not fit: who moves freely has Bromage 0"


class Padss(Clinical, frozen=True):
    """Post-Anaesthetic Discharge Scoring System: five items of 0 to 2, 9 or more to go home (Chung 1995)."""

    TYPE: ClassVar = "clinical.padss"
    vital_signs: w.Points
    activity: w.Points
    nausea_vomiting: w.Points
    pain: w.Points
    bleeding: w.Points
    total: int | None = None
    """The sum; where it is said, it is checked."""

    @property
    def score(self) -> int:
        """The sum of the items."""
        return self.vital_signs + self.activity + self.nausea_vomiting + self.pain + self.bleeding

    def problems(self) -> Iterable[str]:
        if self.total is not None and self.total != self.score:
            yield f"the items add up to {self.score}, total says {self.total}"


class Instructions(Clinical, frozen=True, tag_field="code", tag="DCM 122036"):
    """Instructions given (DCM 122036), and the restrictions among them. UK FPM 2021."""

    TYPE: ClassVar = "clinical.instructions"
    written: bool
    restrictions: tuple[
        Literal["no_driving_24h", "no_heavy_lifting", "rest", "no_alcohol", "resume_anticoagulant_later"], ...
    ] = ()
    emergency_contact: bool | None = None


class Discharge(Clinical, frozen=True, tag_field="code", tag="DCM 122037"):
    """The patient leaves (DCM 122037)."""

    TYPE: ClassVar = "clinical.discharge"
    to: Literal["home", "ward", "emergency", "other"]
    escort: bool


class FollowUpPlan(Clinical, frozen=True):
    """When the patient will be asked how it went. UK FPM 2021: every patient is."""

    TYPE: ClassVar = "clinical.follow_up_plan"
    due: w.Date
    contact: w.Contact
    next_appointment: w.Date | None = None

    def problems(self) -> Iterable[str]:
        yield from no_date("due", self.due)
        yield from no_date("next_appointment", self.next_appointment)


class FollowUp(Clinical, frozen=True):
    """What the patient says days or weeks later: an amendment of the sealed record.

    `relief_pct`, `relief_duration_days`: how much less pain, and for how long. `pain_score` on `pain_scale`, the same
    as at the procedure.
    """

    TYPE: ClassVar = "clinical.follow_up"
    date: w.Date
    contact: w.Contact
    reached: bool = True
    pain_score: w.Score | None = None
    pain_scale: w.PainScale | None = None
    relief_pct: w.Percent | None = None
    relief_duration_days: w.Days | None = None
    symptoms: tuple[
        Literal["radicular_pain", "axial_pain", "numbness", "weakness", "headache", "fever", "flushing", "other"], ...
    ] = ()
    complications: tuple[
        Literal["dural_puncture", "weakness", "haematoma", "infection", "headache", "allergy", "other"], ...
    ] = ()
    next_appointment: w.Date | None = None

    def problems(self) -> Iterable[str]:
        yield from no_date("date", self.date)
        yield from no_date("next_appointment", self.next_appointment)
        if (self.pain_score is None) != (self.pain_scale is None):
            yield "pain_score and pain_scale go together"
        told = (self.pain_score, self.relief_pct, self.relief_duration_days, self.symptoms or None)
        if not self.reached and any(each is not None for each in told):
            yield "the patient was not reached, and something is told: correct one of them"


class SignOff(Clinical, frozen=True):
    """Somebody signs the record. `meaning` of the signature: 21 CFR 11.50."""

    TYPE: ClassVar = "clinical.sign_off"
    signer: w.Word
    meaning: Literal["author", "review", "approval", "responsibility"]


FORMS = (MotorSensory, Padss, Instructions, Discharge, FollowUpPlan, FollowUp, SignOff)
