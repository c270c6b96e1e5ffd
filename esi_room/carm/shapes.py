"""What the processes of the C-arm's side tell each other of an object, a step, a dose: plain values, no DICOM library.

Identity travels in these between processes of one machine, in memory; no entry, log line or file name holds any of it.
"""

from __future__ import annotations

from msgspec import Struct

from esi_room.events import IrradiationEvent


class Patient(Struct, frozen=True, kw_only=True):
    """Who an object says it is of. Text as the device wrote it, decoded; `birth_date`: YYYYMMDD."""

    name: str | None = None
    id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession: str | None = None


class Called(Struct, frozen=True):
    """Whom to call, and how."""

    ae_title: str
    host: str
    port: int
    tls: bool = False


class InstanceName(Struct, frozen=True):
    """A SOP instance."""

    sop_class_uid: str
    sop_instance_uid: str


class InstanceFailed(Struct, frozen=True):
    """A SOP instance that is not committed, and why (PS3.3 C.14.1.1: 0110, 0112, 0119, 0122, 0131, 0213)."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: int


class DoseReport(Struct, frozen=True, kw_only=True):
    """What one source says of dose, in SI units; None where it does not say.

    `scope`: what the numbers are of. `unreadable`: what is there and cannot be read, in words.
    """

    dap_gy_m2: float | None = None
    air_kerma_rp_gy: float | None = None
    fluoro_time_s: float | None = None
    events: tuple[IrradiationEvent, ...] = ()
    scope: str = "study"
    scope_uid: str | None = None
    unreadable: tuple[str, ...] = ()


class Step(Struct, frozen=True, kw_only=True):
    """What an MPPS message says (PS3.4 F.7.2), as far as the room uses it.

    `started`, `ended`: the device's own date and time (ISO 8601, no zone unless the device gives one).
    `orders`: Scheduled Procedure Step IDs. `images`: SOP instance UIDs of its performed series.
    """

    sop_instance_uid: str
    status: str | None = None
    started: str | None = None
    ended: str | None = None
    description: str | None = None
    procedure_step_id: str | None = None
    orders: tuple[str, ...] = ()
    study_uids: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    images: tuple[InstanceName, ...] = ()
    discontinuation_reason: str | None = None
    patient: Patient = Patient()
    dose: DoseReport | None = None
    problems: tuple[str, ...] = ()
