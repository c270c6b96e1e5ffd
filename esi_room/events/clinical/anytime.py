"""Forms of any phase: a note, where the patient is, a correction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from esi_room.events.clinical import words as w
from esi_room.events.clinical.base import Clinical

Whereabouts = Literal[
    "called",
    "in_the_room",
    "to_table",
    "off_monitoring",
    "uncomfortable",
    "nauseous",
    "free_of_pain",
    "alert",
    "sedated",
]
WHEREABOUTS_DCM: dict[str, int] = {
    "called": 122001,
    "in_the_room": 122002,
    "to_table": 122007,
    "off_monitoring": 122032,
    "uncomfortable": 122022,
    "nauseous": 122021,
    "free_of_pain": 122024,
    "alert": 122025,
    "sedated": 122027,
}
"""Codes of CID 3402."""


class ClinicalNote(Clinical, frozen=True):
    """Free text by somebody of the staff. It never stands for a form."""

    TYPE: ClassVar = "clinical.note"
    text: w.Text


class Patient(Clinical, frozen=True):
    """What the patient does or how the patient is, in the words of the procedure log (PS3.16 CID 3402)."""

    TYPE: ClassVar = "clinical.patient"
    state: Whereabouts


class Correction(Clinical, frozen=True):
    """What an earlier entry of this record should have said: the entry stays, this one counts.

    `seq`: of the form that is corrected (always the first one, also where it was corrected before). `fields`: those
    that were wrong, as they should be; a null takes one out. `withdrawn`: it should not have been said at all.
    """

    TYPE: ClassVar = "clinical.correction"
    seq: Annotated[int, Meta(ge=0)]
    reason: w.Text
    fields: dict[str, Any] = {}
    withdrawn: bool = False

    def problems(self) -> Iterable[str]:
        if self.withdrawn == bool(self.fields):
            yield "say in fields what is right, or withdrawn: true"


FORMS = (ClinicalNote, Patient, Correction)
