"""Who used the record: audit events as DICOM PS3.15 A.5 has them, of the people and programs around the room.

A code, its meaning and its outcome are the standard's own (PS3.16 CID 400; outcomes of RFC 3881), so that a hospital's
audit repository can be told of them without a table of translation. No entry says who the patient is: it names the
record.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from esi_room.events.base import Payload

EventCode = Literal["110100", "110101", "110106", "110110", "110111", "110113", "110114"]
Action = Literal["C", "R", "U", "D", "E"]
Outcome = Literal[0, 4, 8, 12]
Activity = Literal["110120", "110121"]

APPLICATION_ACTIVITY: EventCode = "110100"
AUDIT_LOG_USED: EventCode = "110101"
EXPORT: EventCode = "110106"
PATIENT_RECORD: EventCode = "110110"
PROCEDURE_RECORD: EventCode = "110111"
SECURITY_ALERT: EventCode = "110113"
USER_AUTHENTICATION: EventCode = "110114"

MEANINGS: dict[EventCode, str] = {
    APPLICATION_ACTIVITY: "Application Activity",
    AUDIT_LOG_USED: "Audit Log Used",
    EXPORT: "Export",
    PATIENT_RECORD: "Patient Record",
    PROCEDURE_RECORD: "Procedure Record",
    SECURITY_ALERT: "Security Alert",
    USER_AUTHENTICATION: "User Authentication",
}
"""Code meanings of PS3.16 CID 400: those that this room has a use for."""

# What a tool says of itself comes from outside the daemon: a bound, so that no entry grows for ever.
MOST_NAME = 200  # characters
MOST_WORDS = 2000  # characters
MOST_RECORDS = 1000
MOST_ERASED = 10_000  # files; a case has some hundreds. With more there are more entries

_Name = Annotated[str, Meta(min_length=1, max_length=MOST_NAME)]
_Words = Annotated[str, Meta(min_length=1, max_length=MOST_WORDS)]
_Record = Annotated[str, Meta(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{4}$")]
_Path = Annotated[str, Meta(max_length=160)]


class AuditEvent(Payload, frozen=True):
    """Somebody used the record, or the room itself has to say something of its security (PS3.15 A.5).

    `time` is when it was done; the entry stands where the daemon took word of it in, which may be later."""

    TYPE: ClassVar = "audit.event"
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    """Chosen by whoever did it: what a crash makes come twice is written once."""
    event: EventCode
    """EventID, DCM: `110101` Audit Log Used, `110106` Export, `110110` Patient Record, `110111` Procedure Record …"""
    meaning: str
    action: Action
    """EventActionCode: create, read, update, delete, execute."""
    outcome: Outcome
    """EventOutcomeIndicator: 0 done, 4 not to its end, 8 it failed, 12 it failed and the means for it are gone."""
    actor: _Name
    """Who, as they said, else the user logged in."""
    user: _Name
    """User and host of the program that did it: `erika@ward-3`."""
    what: _Words
    """What was done, in words."""
    records: Annotated[tuple[_Record, ...], Meta(max_length=MOST_RECORDS)]
    """Of which records; none: of all that the room had."""
    reason: _Words | None = None
    event_type: Activity | None = None
    """EventTypeCode, DCM, of an application activity: `110120` Application Start, `110121` Application Stop."""
    erased: Annotated[tuple[_Path, ...], Meta(max_length=MOST_ERASED)] = ()
    """Files that this took away, as `<record>/private/identity.json`: `verify` looks for them no more."""
