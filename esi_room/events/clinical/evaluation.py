"""Forms of the evaluation: who comes with what, and what must be known before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from msgspec import Struct

from esi_room.events.clinical import words as w
from esi_room.events.clinical.base import Clinical, no_date, no_moment

YesNo = Literal["yes", "no", "unknown"]


class Assessment(Clinical, frozen=True):
    """The patient's state: weight (doses per kilogram rest on it), pregnancy, infection, diabetes, nil by mouth
    (DCM 122006), escort. UK FPM 2021."""

    TYPE: ClassVar = "clinical.assessment"
    weight_kg: w.WeightKg | None = None
    pregnant: Literal["yes", "no", "unknown", "not_applicable"] | None = None
    infection: YesNo | None = None
    diabetes: YesNo | None = None
    glucose_mg_dl: w.GlucoseMgDl | None = None
    nil_by_mouth_h: w.Hours | None = None
    escort: YesNo | None = None
    earlier_vasovagal: YesNo | None = None

    def problems(self) -> Iterable[str]:
        said = (getattr(self, name) for name in self.__struct_fields__ if name != "actor")
        if all(value is None for value in said):
            yield 'nothing is said: fill in what is known, for instance {"weight_kg": 72}'


class Indication(Clinical, frozen=True):
    """Why: the diagnosis (its ICD-10 code where there is one), symptoms, for how long, where. LCD L33906."""

    TYPE: ClassVar = "clinical.indication"
    diagnosis: w.Word
    icd10: w.Word | None = None
    symptoms: tuple[
        Literal["radicular_pain", "axial_pain", "neurogenic_claudication", "numbness", "weakness", "other"], ...
    ] = ()
    duration_weeks: w.Weeks | None = None
    side: w.Side | None = None
    levels: tuple[w.Level, ...] = ()


class PriorImaging(Clinical, frozen=True):
    """Imaging reviewed before the needle, and whether the epidural space at the level is open. Rathmell 2015."""

    TYPE: ClassVar = "clinical.prior_imaging"
    modality: Literal["MR", "CT", "CR", "other", "none"]
    date: w.Date | None = None
    reviewed: bool = True
    epidural_space: Literal["open", "narrowed", "effaced", "not_assessed"] = "not_assessed"
    level: w.Level | None = None

    def problems(self) -> Iterable[str]:
        yield from no_date("date", self.date)
        if self.modality == "none" and self.reviewed:
            yield "there is no imaging (modality none), so it cannot be reviewed: set reviewed to false"


class Pain(Clinical, frozen=True):
    """A pain score and its scale; afterwards the same scale as before (LOINC 72514-3 for 0-10, SCT 225908003).

    `relief_pct`: where the patient is asked for it.
    """

    TYPE: ClassVar = "clinical.pain"
    occasion: Literal["baseline", "after"]
    score: w.Score
    scale: w.PainScale
    relief_pct: w.Percent | None = None

    def problems(self) -> Iterable[str]:
        if self.occasion == "baseline" and self.relief_pct is not None:
            yield "relief_pct is asked for afterwards: say it with occasion after"


class EarlierInjections(Clinical, frozen=True):
    """Epidural injections before: sessions in the last 12 months in this region, and what the last one did.

    LCDs: at most 4 sessions a region in 12 months, at least 50 % relief to repeat.
    """

    TYPE: ClassVar = "clinical.earlier_injections"
    sessions_12_months: w.Count
    last_date: w.Date | None = None
    last_approach: w.Approach | None = None
    last_levels: tuple[w.Level, ...] = ()
    relief_pct: w.Percent | None = None
    relief_weeks: w.Weeks | None = None
    ever: bool | None = None
    """Whether there was any before, also longer ago."""

    @property
    def were_any(self) -> bool:
        """As far as it is said."""
        return bool(self.ever or self.sessions_12_months or self._told_of)

    @property
    def _told_of(self) -> bool:
        last = (self.last_date, self.last_approach, self.relief_pct, self.relief_weeks)
        return bool(self.last_levels) or any(each is not None for each in last)

    def problems(self) -> Iterable[str]:
        yield from no_date("last_date", self.last_date)
        if self.ever is False and (self.sessions_12_months or self._told_of):
            yield "ever says that there were none, and the other fields tell of some: correct one of them"


class Allergy(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One of them."""

    substance: Literal[
        "contrast", "steroid", "local_anaesthetic", "latex", "chlorhexidine", "iodine", "adhesive", "drug", "other"
    ]
    name: w.Word | None = None
    reaction: Literal["mild", "moderate", "severe", "unknown"] = "unknown"


class Allergies(Clinical, frozen=True):
    """What the patient does not tolerate; `none` says that the question was asked and the answer was no."""

    TYPE: ClassVar = "clinical.allergies"
    none: bool = False
    known: tuple[Allergy, ...] = ()

    def problems(self) -> Iterable[str]:
        if self.none and self.known:
            yield "none is true, and known names some: leave one of them out"
        if not self.none and not self.known:
            yield 'say {"none": true}, or name each in known: {"substance": "contrast", "reaction": "mild"}'


class Anticoagulant(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One drug, and when it was taken last."""

    drug: w.Word
    last_dose: w.Moment | None = None


class Anticoagulants(Clinical, frozen=True):
    """Anticoagulant and antiplatelet drugs, and what was decided, by whom. ASRA 2018, UK FPM 2021."""

    TYPE: ClassVar = "clinical.anticoagulants"
    decision: Literal["proceed", "stopped_in_time", "bridged", "reversed", "postpone"]
    none: bool = False
    drugs: tuple[Anticoagulant, ...] = ()
    inr: w.Inr | None = None
    decided_by: w.Word | None = None

    def problems(self) -> Iterable[str]:
        if self.none and self.drugs:
            yield "none is true, and drugs names some: leave one of them out"
        if not self.none and not self.drugs:
            yield 'say {"none": true}, or name each in drugs: {"drug": "apixaban", "last_dose": "2026-11-20T08:00:00Z"}'
        if self.none and self.decision not in ("proceed", "postpone"):
            yield f"none is true, so that nothing was {self.decision}: name the drug, or decide to proceed or postpone"
        for drug in self.drugs:
            yield from no_moment("last_dose", drug.last_dose)


class Consent(Clinical, frozen=True, tag_field="code", tag="DCM 122004"):
    """The patient consents (DCM 122004), after being told of benefit, risks and alternatives. FDA 2014, UK FPM 2021."""

    TYPE: ClassVar = "clinical.consent"
    given: bool
    by: Literal["patient", "representative"] = "patient"
    written: bool = True
    told: tuple[Literal["benefit", "risks", "alternatives", "neurological_injury"], ...] = ()


FORMS = (Assessment, Indication, PriorImaging, Pain, EarlierInjections, Allergies, Anticoagulants, Consent)
