"""One case at the C-arm: whose it is, what was irradiated, what was kept. No DICOM library and no network in here.

Rules of this file:
- What images, performed procedure step and dose report say of dose is summed from the same irradiation events.
- An irradiation event is one press of the pedal (PS3.3 C.7.6.1.1.7): fluoroscopy, or a recorded run.
- Times are those of the C-arm's own clock and carry no offset from UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pydicom.uid import generate_uid

from simulators.carm.phantom import Technique, View


class Identity(NamedTuple):
    """The patient as typed at the C-arm. `birth_date`: YYYYMMDD."""

    name: str
    patient_id: str
    birth_date: str = ""
    sex: str = ""
    weight_kg: float | None = None


class Scheduled(NamedTuple):
    """The line of the worklist that was chosen at the console. `step_id`: Scheduled Procedure Step ID."""

    step_id: str
    identity: Identity
    study_uid: str = ""
    accession: str = ""
    requested_procedure_id: str = ""
    requested_description: str = ""
    step_description: str = ""


class Study(NamedTuple):
    """What stays the same through a case. `began` by the C-arm's clock; `accession` is empty without a worklist."""

    uid: str
    fluoro_series_uid: str
    run_series_uid: str
    dose_series_uid: str
    study_id: str
    description: str
    began: datetime
    accession: str = ""

    @classmethod
    def begin(cls, began: datetime, description: str, scheduled: Scheduled | None = None) -> Study:
        """A new study. Its UID, accession number and description come from the worklist where that has them."""
        study, fluoro, run, dose = (new_uid() for _ in range(4))
        study_id = began.strftime("%m%d%H%M")
        if scheduled is None:
            return cls(study, fluoro, run, dose, study_id, description, began)
        study = scheduled.study_uid or study
        told = scheduled.requested_description or scheduled.step_description or description
        return cls(study, fluoro, run, dose, study_id, told, began, scheduled.accession)


class Event(NamedTuple):
    """One irradiation event. `dap_dgy_cm2`, `air_kerma_mgy` (at the reference point): of this event alone."""

    uid: str
    recorded: bool
    started: datetime
    duration_s: float
    technique: Technique
    view: View
    pulse_ms: float
    pulses_per_s: float
    dap_dgy_cm2: float
    air_kerma_mgy: float


class Kept(NamedTuple):
    """A stored object. `image` is False for a report."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    image: bool
    event_uids: tuple[str, ...] = ()


@dataclass
class Case:
    """From the choice of the patient, or the first exposure, to the end of the case.

    `step_uid`: SOP Instance UID of its performed procedure step, empty where none was begun. `reported`: how many of
    the events, and `reports` how many reports, went out so far.
    """

    identity: Identity
    study: Study
    scheduled: Scheduled | None = None
    step_uid: str = ""
    step_began: datetime | None = None
    events: list[Event] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    pending: list[Event] = field(default_factory=list)
    """Events that no image's header has told yet."""
    reported: int = 0
    reports: int = 0

    @property
    def step_id(self) -> str:
        """Performed Procedure Step ID, as this C-arm numbers them."""
        return f"P{self.study.study_id}"

    def add(self, event: Event) -> None:
        """The pedal was pressed."""
        self.events.append(event)
        self.pending.append(event)

    def take_pending(self) -> list[Event]:
        """The events that the next image's header covers."""
        taken, self.pending = self.pending, []
        return taken


class Totals(NamedTuple):
    """Sums over events, fluoroscopy apart from recorded runs."""

    fluoro_s: float
    recorded_s: float
    fluoro_dgy_cm2: float
    recorded_dgy_cm2: float
    fluoro_mgy: float
    recorded_mgy: float

    @classmethod
    def of(cls, events: list[Event]) -> Totals:
        """Over `events`."""

        def total(name: str, recorded: bool) -> float:
            return float(sum(getattr(event, name) for event in events if event.recorded is recorded))

        names = ("duration_s", "dap_dgy_cm2", "air_kerma_mgy")
        return cls(*(total(name, recorded) for name in names for recorded in (False, True)))

    @property
    def dap_dgy_cm2(self) -> float:
        """Dose area product of everything."""
        return self.fluoro_dgy_cm2 + self.recorded_dgy_cm2

    @property
    def air_kerma_mgy(self) -> float:
        """Air kerma at the reference point of everything."""
        return self.fluoro_mgy + self.recorded_mgy


def new_uid() -> str:
    """A UUID-derived UID (PS3.5 B.2)."""
    return str(generate_uid(prefix=None))
