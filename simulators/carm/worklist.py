"""Modality Worklist at the C-arm's console: who comes today, and for what (PS3.4 K).

Rules of this file:
- Every key that the images and the performed procedure step need is asked for, with an empty value (PS3.4 K.2.2.1.2).
- Asked broadly, or as C-arms are usually set up: what is scheduled on this station, today by its own clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]

from simulators.carm.case import Identity, Scheduled
from simulators.carm.scu import NotOfferedError, PeerError, Scu, StatusError, expect_success

RETRY_S = 0.5  # between two looks
REFRESH_S = 2.0  # for an order that is not there yet; then the patient is typed in
PATIENCE_S = 10.0  # for a room that does not answer
_PENDING = (0xFF00, 0xFF01)
_REQUEST_KEYS = (
    "AccessionNumber", "ReferringPhysicianName", "ReferencedStudySequence", "ReferencedPatientSequence", "PatientName",
    "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "MedicalAlerts", "Allergies",
    "StudyInstanceUID", "RequestingPhysician", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "RequestedProcedureID", "RequestedProcedurePriority",
)  # fmt: skip
_STEP_KEYS = (
    "Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime",
    "ScheduledPerformingPhysicianName", "ScheduledProcedureStepDescription", "ScheduledProtocolCodeSequence",
    "ScheduledProcedureStepID", "ScheduledStationName", "ScheduledProcedureStepLocation",
)  # fmt: skip


def query(station_ae_title: str = "", today: datetime | None = None) -> Dataset:
    """The identifier of a C-FIND: empty keys, and the two that narrow it down."""
    asked, step = Dataset(), Dataset()
    asked.SpecificCharacterSet = "ISO_IR 192"
    for dataset, keys in ((asked, _REQUEST_KEYS), (step, _STEP_KEYS)):
        for key in keys:
            setattr(dataset, key, Items([]) if key.endswith("Sequence") else "")
    step.ScheduledStationAETitle = station_ae_title
    step.ScheduledProcedureStepStartDate = today.strftime("%Y%m%d") if today else ""
    asked.ScheduledProcedureStepSequence = Items([step])
    return asked


def find(scu: Scu, asked: Dataset) -> list[Scheduled]:
    """All lines that match. PeerError unless the room said that there are no more. Blocks."""
    found: list[Dataset] = []
    with scu.calling_for(ModalityWorklistInformationFind) as association:
        for status, line in association.send_c_find(asked, ModalityWorklistInformationFind):
            if getattr(status, "Status", None) not in _PENDING:
                expect_success(status)
            elif line is not None:
                found.append(line)
    return [read(line) for line in found]


async def look_up(scu: Scu, asked: Dataset, order: str | None, note: Callable[..., None]) -> Scheduled | None:
    """The line with that Scheduled Procedure Step ID, or the first; None where it did not come in time.

    Looks again and again, as one presses "refresh"; each look is told `note`. NotOfferedError at once.
    """
    until_s = time.monotonic() + PATIENCE_S
    while True:
        lines = await _look(scu, asked, note)
        chosen = next((line for line in lines or () if order in (None, line.step_id)), None)
        if lines is not None:
            told = {"step_ids": [line.step_id for line in lines], "chosen": chosen.step_id if chosen else None}
            note("c_find", ok=True, lines=len(lines), **told)
            until_s = min(until_s, time.monotonic() + REFRESH_S)
        if chosen is not None or time.monotonic() > until_s:
            return chosen
        await asyncio.sleep(RETRY_S)


async def _look(scu: Scu, asked: Dataset, note: Callable[..., None]) -> list[Scheduled] | None:
    """What the room answers; None where another look may help."""
    try:
        return await asyncio.to_thread(find, scu, asked)
    except NotOfferedError:
        raise
    except PeerError as error:
        note("c_find", ok=False, reason=str(error), retry_s=RETRY_S)
        return None


def read(line: Dataset) -> Scheduled:
    """What the C-arm keeps of a line. StatusError if the room sent one without a scheduled procedure step."""
    steps: Sequence[Dataset] = line.get("ScheduledProcedureStepSequence") or []
    if not steps:
        raise StatusError("a line of the worklist without Scheduled Procedure Step Sequence (0040,0100)")
    weight = line.get("PatientWeight")
    name, patient_id, born, sex = (_text(line, f"Patient{what}") for what in ("Name", "ID", "BirthDate", "Sex"))
    identity = Identity(name, patient_id, born, sex, float(weight) if weight else None)
    return Scheduled(
        step_id=_text(steps[0], "ScheduledProcedureStepID"),
        identity=identity,
        study_uid=_text(line, "StudyInstanceUID"),
        accession=_text(line, "AccessionNumber"),
        requested_procedure_id=_text(line, "RequestedProcedureID"),
        requested_description=_text(line, "RequestedProcedureDescription"),
        step_description=_text(steps[0], "ScheduledProcedureStepDescription"),
    )


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value)
