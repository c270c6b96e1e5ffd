"""Forms of the preparation: checklist, position, asepsis, drugs drawn up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from msgspec import Struct

from esi_room.events.clinical import words as w
from esi_room.events.clinical.base import Clinical, no_date

SLACK = 0.03 + 1e-9  # of a dose: labels are rounded (10 mg in 1 mL, 9.9 mg/mL)
_PER_ML: dict[str, tuple[float, w.DoseUnit]] = {
    "mg/mL": (1.0, "mg"),
    "ug/mL": (0.001, "mg"),
    "%": (10.0, "mg"),  # 1 % is 10 mg/mL
    "mg{I}/mL": (1.0, "mg{I}"),
    "mmol/mL": (1.0, "mmol"),
}
_DOSES: dict[str, tuple[float, w.DoseUnit]] = {
    "mg": (1.0, "mg"),
    "ug": (0.001, "mg"),
    "mg{I}": (1.0, "mg{I}"),
    "mmol": (1.0, "mmol"),
}


_MEASURED_IN = {"mg{I}": {"iohexol", "iopamidol", "other"}, "mmol": {"gadolinium_chelate", "other"}}


class SignIn(Clinical, frozen=True):
    """Before anything is done: two identifiers agree, consent, site, allergies (WHO/FPM checklist)."""

    TYPE: ClassVar = "clinical.sign_in"
    identity: bool
    consent: bool
    allergies: bool
    site_marked: bool | None = None


class TimeOut(Clinical, frozen=True):
    """The team reads aloud, before the first image: patient, procedure, side and level (Universal Protocol).

    `team`: who took part.
    """

    TYPE: ClassVar = "clinical.time_out"
    identity: bool
    procedure: bool
    approach: w.Approach
    side: w.Side
    levels: w.Levels
    site_marked: bool | None = None
    team: tuple[w.Word, ...] = ()

    def problems(self) -> Iterable[str]:
        yield from no_course(self.approach, self.side, self.levels)


def no_course(approach: w.Approach, side: w.Side, levels: Iterable[w.Level]) -> Iterable[str]:
    """What no needle can do."""
    sacral = [w.region_of(level) == "sacral" for level in levels]
    if approach == "caudal" and not all(sacral):
        yield 'caudal goes through the sacral hiatus: levels ["sacral_hiatus"]'
    if approach == "interlaminar" and any(sacral):
        yield "there is no interlaminar window in the sacrum: correct the approach or the level"
    if approach == "transforaminal" and "sacral_hiatus" in levels:
        yield "the sacral hiatus is no foramen: name the level, or say caudal"
    if approach == "transforaminal" and side == "midline":
        yield "there is no foramen in the midline: side is left, right or both"


class SignOut(Clinical, frozen=True):
    """Before the patient leaves the room: procedure recorded, needles and sharps complete."""

    TYPE: ClassVar = "clinical.sign_out"
    procedure_recorded: bool
    sharps_complete: bool


class Positioning(Clinical, frozen=True, tag_field="code", tag="DCM 122008"):
    """Position, skin preparation, drapes (prepped and draped: DCM 122008), mask and sterile gloves."""

    TYPE: ClassVar = "clinical.positioning"
    position: Literal["prone", "lateral_left", "lateral_right", "sitting", "supine"]
    skin_preparation: Literal["chlorhexidine_alcohol", "povidone_iodine", "alcohol", "other"]
    draped: bool
    mask: bool
    sterile_gloves: bool


class Monitoring(Clinical, frozen=True, tag_field="code", tag="DCM 122009"):
    """The patient is connected to monitoring (DCM 122009)."""

    TYPE: ClassVar = "clinical.monitoring"
    connected: tuple[Literal["ecg", "spo2", "nibp", "etco2", "respiration", "temperature"], ...]

    def problems(self) -> Iterable[str]:
        if not self.connected:
            yield 'connected is empty: name what is, for instance ["ecg", "spo2", "nibp"]'


class IvAccess(Clinical, frozen=True):
    """A cannula, or that there is none."""

    TYPE: ClassVar = "clinical.iv_access"
    placed: bool
    site: w.Word | None = None
    gauge_g: w.GaugeG | None = None

    def problems(self) -> Iterable[str]:
        if not self.placed and (self.site or self.gauge_g):
            yield "placed is false, and site or gauge_g tell of a cannula: correct one of them"


class Sedation(Clinical, frozen=True):
    """How deep (ASA continuum); its drugs are given with `drug_given`."""

    TYPE: ClassVar = "clinical.sedation"
    level: Literal["none", "minimal", "moderate", "deep", "general_anaesthesia"]


class Component(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A drug and its volume. `name`: the label, where `drug` is `other` or the product matters. `dose` is concentration
    times volume. `particulate`: of a steroid; where it is not said, it follows from the drug."""

    drug: w.Drug
    volume_ml: w.VolumeMl
    name: w.Word | None = None
    concentration: w.Amount | None = None
    concentration_unit: w.ConcentrationUnit | None = None
    dose: w.Amount | None = None
    dose_unit: w.DoseUnit | None = None
    lot: w.Word | None = None
    expires: w.Date | None = None
    particulate: bool | None = None

    @property
    def is_particulate(self) -> bool:
        """Whether it is a steroid in suspension."""
        return self.drug in w.PARTICULATE if self.particulate is None else self.particulate

    @property
    def dose_mg(self) -> float | None:
        """The dose in mg, as said or as it follows from concentration and volume."""
        return next((dose for dose, unit in filter(None, (self._said(), self._computed())) if unit == "mg"), None)

    def _said(self) -> tuple[float, w.DoseUnit] | None:
        if self.dose is None or self.dose_unit is None:
            return None
        scale, unit = _DOSES[self.dose_unit]
        return self.dose * scale, unit

    def _computed(self) -> tuple[float, w.DoseUnit] | None:
        if self.concentration is None or self.concentration_unit is None:
            return None
        scale, unit = _PER_ML[self.concentration_unit]
        return self.concentration * scale * self.volume_ml, unit

    def problems(self) -> Iterable[str]:
        """See `Clinical.problems`."""
        if self.drug == "other" and self.name is None:
            yield "drug is other: say in name what it is"
        for value, unit, field in (
            (self.concentration, self.concentration_unit, "concentration"),
            (self.dose, self.dose_unit, "dose"),
        ):
            if (value is None) != (unit is None):
                yield f"{field} and {field}_unit go together"
        yield from self._wrong_dose()
        yield from no_date("expires", self.expires)
        if self.particulate is True and self.drug not in {*w.PARTICULATE, "other"}:
            yield f"{self.drug} is no suspension: particulate cannot be true"

    def _wrong_dose(self) -> Iterable[str]:
        said, computed = self._said(), self._computed()
        for of in ("mg{I}", "mmol"):
            if any(each and each[1] == of for each in (said, computed)) and self.drug not in _MEASURED_IN[of]:
                yield f"{self.drug} is not measured in {of}: say mg"
        if said is None or computed is None:
            return
        if said[1] != computed[1]:
            yield f"{self.drug}: a dose in {self.dose_unit} does not follow from {self.concentration_unit}"
        elif abs(said[0] - computed[0]) > SLACK * computed[0]:
            yield (
                f"{self.drug}: {self.concentration:g} {self.concentration_unit} x {self.volume_ml:g} mL is "
                f"{computed[0]:g} {computed[1]}, not {said[0]:g} {said[1]}: "
                "correct the dose, the concentration or the volume"
            )


class DrawnUp(Clinical, frozen=True):
    """A syringe is filled. `pump`: the device that it is put into; absent: it is for the hand."""

    TYPE: ClassVar = "clinical.drawn_up"
    syringe: w.Label
    components: tuple[Component, ...]
    pump: w.Label | None = None
    drawn_up_by: w.Word | None = None
    checked_by: w.Word | None = None

    @property
    def volume_ml(self) -> float:
        """Of all components."""
        return sum(component.volume_ml for component in self.components)

    def problems(self) -> Iterable[str]:
        if not self.components:
            yield "components is empty: name each drug and its volume"
        for component in self.components:
            yield from component.problems()


class DrugGiven(Clinical, frozen=True, tag_field="code", tag="DCM 122083"):
    """A drug is given (DCM 122083) other than by a pump or a hand injection with two marks: skin, intravenous, oral.

    `syringe`: where it was drawn up before; its balance takes it in.
    """

    TYPE: ClassVar = "clinical.drug_given"
    component: Component
    route: w.Route
    syringe: w.Label | None = None

    def problems(self) -> Iterable[str]:
        yield from self.component.problems()


class DrugDiscarded(Clinical, frozen=True, tag_field="code", tag="DCM 122096"):
    """What is left in a syringe is thrown away (DCM 122096)."""

    TYPE: ClassVar = "clinical.drug_discarded"
    syringe: w.Label
    volume_ml: w.VolumeMl
    witness: w.Word | None = None


FORMS = (
    SignIn, TimeOut, SignOut, Positioning, Monitoring, IvAccess, Sedation, DrawnUp, DrugGiven, DrugDiscarded,
)  # fmt: skip
