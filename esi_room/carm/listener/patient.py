"""Who a data set says it is of: for comparison alone. None of it goes into an entry, a log line or a file name."""

from __future__ import annotations

from typing import Any

from esi_room.carm.listener.look import Look
from esi_room.carm.shapes import Patient

KEYWORDS = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber")
# A person name has three component groups of 64 characters (PS3.5 6.2), with two delimiters.
MAX_NAME = 3 * 64 + 2


def patient(look: Look) -> Patient:
    """Decoded by the data set's own character set."""
    return Patient(
        name=look.value("PatientName", _name),
        id=look.text("PatientID"),
        birth_date=look.text("PatientBirthDate"),
        sex=look.text("PatientSex"),
        accession=look.text("AccessionNumber"),
    )


def _name(raw: Any) -> str | None:
    return str(raw).strip("\0 ")[:MAX_NAME] or None
