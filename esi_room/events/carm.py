"""What the C-arm and the DICOM network say."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import Struct

from esi_room.events.base import IdentityVerdict, Payload


class InstanceRef(Struct, frozen=True):
    """Where an object was received before."""

    record: str
    seq: int


class CarmImage(Payload, frozen=True):
    """One DICOM object, durable in `frames/<sha256>.dcm` before this line was written.

    `acquired`: the header's own date and time, as it stands there (DICOM DA+TM, `2026-11-23T09:30:00.123` with
    offset only if the header gives one). `dose`: dose attributes present in the header, by DICOM keyword, in the
    header's units. `duplicate_of`: the same UID with the same content came before.
    """

    TYPE: ClassVar = "carm.image"
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str | None
    series_uid: str | None
    transfer_syntax_uid: str
    sha256: str
    size_bytes: int
    rows: int | None
    columns: int | None
    frames: int | None
    acquired: str | None
    dose: dict[str, Any]
    peer: str
    """Calling AE title @ address."""
    duplicate_of: InstanceRef | None
    modality: str | None = None
    series_number: int | None = None
    instance_number: int | None = None
    frame_times_ms: tuple[float, ...] = ()
    """Offset of each frame from the first, where the header tells (Frame Time, Frame Time Vector, per frame)."""
    kvp: float | None = None
    tube_current_ma: float | None = None
    exposure_time_ms: float | None = None
    primary_angle_deg: float | None = None
    secondary_angle_deg: float | None = None
    manufacturer: str | None = None
    model: str | None = None
    station: str | None = None
    first_frame_ms: float | None = None
    """From `acquired` to the first frame, where the header tells (Frame Delay)."""
    identity: IdentityVerdict = "unknown"
    """Whether the patient in its header is the record's."""
    identity_differs: tuple[str, ...] = ()
    """Attributes (DICOM keywords) in which they differ; never their values."""
    taken_in: str | None = None
    """The record in which it was taken, where it came too late for that one."""
    order: str | None = None
    """The worklist order (Scheduled Procedure Step ID) that it belongs to."""
    unreadable: str | None = None
    """Why attributes are missing: the data set could not be parsed. The object is kept as received."""


class IrradiationEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One irradiation event of a dose report (PS3.16 TID 10003). `uid`: its Irradiation Event UID; `at`: the device's
    own time. `kind`: `fluoroscopy`, `acquisition` or the device's own code."""

    uid: str | None
    at: str | None = None
    kind: str | None = None
    dap_gy_m2: float | None = None
    air_kerma_rp_gy: float | None = None
    duration_s: float | None = None


class DoseTotal(Struct, frozen=True, kw_only=True):
    """The dose of this record as it is known now: the best source for each quantity, which `provenance` names."""

    dap_gy_m2: float | None
    air_kerma_rp_gy: float | None
    fluoro_time_s: float | None
    irradiation_events: int | None
    provenance: dict[str, str]


class CarmDose(Payload, frozen=True):
    """What one source (a dose report, an MPPS, an image's header) says of dose, and the `total` that follows from all.

    SI units. `scope`: what the numbers are of: `event`, `image`, `step`, `study`, `cumulative` (since the step began).
    `unreadable`: what stands in the source and cannot be read, in words; the object itself is kept.
    """

    TYPE: ClassVar = "carm.dose"
    dap_gy_m2: float | None
    air_kerma_rp_gy: float | None
    fluoro_time_s: float | None
    irradiation_events: tuple[IrradiationEvent, ...]
    scope: str
    provenance: Literal["dose report", "mpps", "image header"]
    unreadable: tuple[str, ...]
    total: DoseTotal
    fact: int | None = None
    """`seq` of the entry of the object or step that it comes from."""
    sop_instance_uid: str | None = None
    """Of the object or step that it comes from."""
    study_uid: str | None = None
    scope_uid: str | None = None
    """Of what `scope` names: the study, the step, the event; where the source says it."""
    taken_in: str | None = None
    """The record whose dose it is, where it came too late for that one: it is not in this record's `total`."""


class CarmMpps(Payload, frozen=True):
    """A performed procedure step (PS3.4 F) was created or changed. `private/<sha256>.mpps` (Part 10) is its data set.

    `started`, `ended`: the C-arm's own time. `order`: the worklist order that it names. `images`: how many it names;
    `missing`: SOP instance UIDs that it names and the room does not hold.
    """

    TYPE: ClassVar = "carm.mpps"
    sop_instance_uid: str
    status: str
    """`IN PROGRESS`, `COMPLETED` or `DISCONTINUED`."""
    message: Literal["create", "set"]
    peer: str
    sha256: str
    started: str | None
    ended: str | None
    procedure: str | None
    order: str | None
    images: int
    missing: tuple[str, ...] = ()
    identity: IdentityVerdict = "unknown"
    identity_differs: tuple[str, ...] = ()
    discontinuation_reason: str | None = None
    problems: tuple[str, ...] = ()
    study_uid: str | None = None


class CarmCommitment(Payload, frozen=True):
    """Storage commitment (PS3.4 J). `by`: who stands for the instances: the room for a peer, a destination for the
    room.

    `asked`: a request is durable; `reported`: its outcome is known; `delivered`: the peer took the room's report.
    """

    TYPE: ClassVar = "carm.commitment"
    by: Literal["room", "destination"]
    peer: str
    """Calling AE title @ address, or the destination's id."""
    transaction_uid: str
    state: Literal["asked", "reported", "delivered"]
    instances: dict[str, str] = {}
    """With `asked`: SOP instance UID -> SOP class UID of what is asked for."""
    committed: tuple[str, ...] = ()
    """SOP instance UIDs."""
    failed: dict[str, str] = {}
    """SOP instance UID: why not."""


class CarmForward(Payload, frozen=True):
    """A destination will not take this object: it is set aside, what comes after it goes on. `fact`: its entry."""

    TYPE: ClassVar = "carm.forward"
    destination: str
    sop_instance_uid: str
    status: str
    reason: str
    fact: InstanceRef


class CarmOrder(Payload, frozen=True):
    """The worklist changed. No patient identity: `order` is the Scheduled Procedure Step ID."""

    TYPE: ClassVar = "carm.order"
    order: str
    change: Literal["placed", "replaced", "withdrawn", "chosen"]
    origin: str
    """`folder`, `hospital`, `command`; for `chosen`: `mpps`, `image` or `staff`."""
    procedure: str | None
    scheduled_at: str | None
    identity_sha256: str | None = None


class CarmAssociation(Payload, frozen=True):
    """A DICOM peer knocked: let in, refused, lost, or over. `reason` says which rule refused it.

    In learn mode, of a caller that is not on the list: `wants`, the services it asks for, each with the number of its
    presentation contexts; `learned`, the stanza of `room.toml` that would let it in.
    """

    TYPE: ClassVar = "carm.association"
    outcome: Literal["refused", "aborted", "failed"]
    peer: str
    called: str | None
    reason: str
    count: int = 1
    wants: tuple[str, ...] = ()
    learned: str | None = None
