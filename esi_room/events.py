"""The vocabulary: everything that can be said in a procedure record, as typed payloads.

Rules of this file:
- A payload is the `data` of a journal line; its class names the entry's `type`. Nothing here does anything.
- A field with no default is always written, `null` where the device did not say. A field with a default is
  written only where it holds something else: such fields may join a shape later without breaking a reader.
- The last word of a quantity's name is its unit.
- `SCHEMAS` of the documentation are generated from these classes: a docstring here is what users read.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import Raw, Struct

from esi_room.clock import Stamp

ReadingStatus = Literal["ok", "invalid", "questionable", "off", "unsupported"]
PumpState = Literal["infusing", "withdrawing", "stopped", "paused", "purging", "alarm"]
DeviceCondition = Literal["connecting", "negotiating", "connected", "stale", "lost"]
Phase = Literal["evaluation", "preparation", "guidance", "injection", "recovery", "follow_up"]
IdentityVerdict = Literal["match", "mismatch", "unknown"]
Severity = Literal["info", "low", "medium", "high", "critical"]


class Payload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `data` of one journal line."""

    TYPE: ClassVar[str]


class Reading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value as the device gave it.

    `code`: IEEE 11073 MDC code (CF_CODE10), or the vendor's own id as text where there is none.
    `name`: snake_case, the last word is the unit's quantity. `unit`: UCUM.
    `value`: `null` unless the device holds it good (status `ok`) or doubts it (`questionable`).
    `flags`: what else the device says of this value, in words. `stale_after_s`: where this value lives longer
    or shorter than its entry says (a cuff pressure).
    """

    code: int | str
    name: str
    value: float | int | None
    unit: str
    status: ReadingStatus
    flags: tuple[str, ...] = ()
    stale_after_s: float | None = None


# --- the record itself ------------------------------------------------------------------------------------


class RecordOpened(Payload, frozen=True):
    """First line of every record. Its `prev` is the last line of the room's record before it."""

    TYPE: ClassVar = "record.opened"
    kind: Literal["standby", "procedure"]
    room: str
    timezone: str
    previous: str | None
    """Id of the room's record before this one; null for the room's first."""
    software: str
    configuration_sha256: str
    clock_synchronised: bool | None
    clock_max_error_s: float | None
    broken: str | None = None
    """Why the record before this one does not verify, where it does not."""


class RecordRecovered(Payload, frozen=True):
    """After a crash or a power cut: what was found at the end of the files and what was done with it."""

    TYPE: ClassVar = "record.recovered"
    reason: str
    cut_bytes: int
    cut_sha256: str | None
    kept_as: str | None
    """File beside the journal that holds the octets cut from its end; null where nothing was cut."""
    wire_cut_bytes: dict[str, int] = {}
    last_received: str | None = None
    """When the last line before this one was received: from then to now nothing was observed."""


class WireHead(Struct, frozen=True):
    """How far a device's wire file reached: its line count and the SHA-256 of its last line."""

    lines: int
    sha256: str


class RecordSealed(Payload, frozen=True):
    """Last line of every finished record."""

    TYPE: ClassVar = "record.sealed"
    reason: str
    entries: int
    """Lines of this journal, this one included."""
    wire: dict[str, WireHead]


class ClockSync(Payload, frozen=True):
    """The host's clock synchronisation changed."""

    TYPE: ClassVar = "clock.sync"
    synchronised: bool | None
    max_error_s: float | None


class ClockStep(Payload, frozen=True):
    """The wall clock jumped against the monotonic clock by `step_s` (positive: forward)."""

    TYPE: ClassVar = "clock.step"
    step_s: float


class ClockOffset(Payload, frozen=True):
    """How far a device's clock is from the room's, as estimated from what it sends: room minus device.

    `offset_s` is added to the device's times from here on. It is an upper bound: the true one is lower by what passed
    between taking and sending at best, and `uncertainty_s` says how well the best bounds agree (null: one alone).
    """

    TYPE: ClassVar = "clock.offset"
    device: str
    offset_s: float
    uncertainty_s: float | None
    samples: int
    reason: str


class ConfigChanged(Payload, frozen=True):
    """The daemon started with another configuration than the record was opened with."""

    TYPE: ClassVar = "config.changed"
    configuration_sha256: str
    software: str


# --- devices ----------------------------------------------------------------------------------------------


class DeviceState(Payload, frozen=True):
    """A device's line: what it is now and why."""

    TYPE: ClassVar = "device.state"
    state: DeviceCondition
    reason: str
    driver: str | None = None
    port: str | None = None
    identity: str | None = None
    """What the device says it is (model, firmware, serial number), where it says so."""


class DeviceGap(Payload, frozen=True, rename={"from_": "from"}):
    """Nothing is known of this device from `from` to `to` (RFC 3339). Nothing was filled in."""

    TYPE: ClassVar = "device.gap"
    from_: str
    to: str
    reason: str


class DeviceRejected(Payload, frozen=True):
    """Bytes that were not understood since the last such entry, by reason, with an excerpt (hex)."""

    TYPE: ClassVar = "device.rejected"
    counts: dict[str, int]
    bytes: int
    excerpt: str


class DeviceAlarm(Payload, frozen=True):
    """An alarm or technical condition that the device itself states. `text` is the device's or the manual's."""

    TYPE: ClassVar = "device.alarm"
    code: str
    text: str
    active: bool
    priority: str | None = None
    advisory: bool = False
    """True where the maker does not document the meaning."""


class VitalsNumeric(Payload, frozen=True):
    """The numbers of one device message. Each goes stale `stale_after_s` after it was observed."""

    TYPE: ClassVar = "vitals.numeric"
    readings: tuple[Reading, ...]
    stale_after_s: float | None = None
    conditions: tuple[str, ...] = ()
    """Every status bit that is set in this message, as words: `apnea`, `ecg_lead_1_off`, `nibp_measuring` …"""
    fields: dict[str, Any] = {}
    """What else the message carries and no reading holds, under the vendor's own names."""


class VitalsWaveform(Payload, frozen=True):
    """A block of samples. `samples`: in `unit`, null where the device marked one bad."""

    TYPE: ClassVar = "vitals.waveform"
    code: int | str
    name: str
    unit: str
    rate_hz: float
    samples: tuple[float | None, ...]
    gap_before: bool = False
    conditions: tuple[str, ...] = ()


class PumpStatus(Payload, frozen=True):
    """The pump as it is: written when something changed, and at least every few seconds while it runs."""

    TYPE: ClassVar = "pump.status"
    state: PumpState | None
    rate_ml_h: float | None
    delivered_ml: float | None
    target_ml: float | None
    pressure_mmhg: float | None
    drug: str | None
    withdrawn_ml: float | None = None
    diameter_mm: float | None = None
    direction: Literal["infuse", "withdraw"] | None = None
    detail: str | None = None
    """The device's own word where `state` is coarser: `timed pause`, `waiting for trigger` …"""
    stale_after_s: float | None = None


class PumpStarted(PumpStatus, frozen=True):
    """Delivery began (IHE IPEC DELIV_START)."""

    TYPE: ClassVar = "pump.started"


class PumpStopped(PumpStatus, frozen=True):
    """Delivery ended before the volume was reached (IHE IPEC DELIV_STOP)."""

    TYPE: ClassVar = "pump.stopped"


class PumpCompleted(PumpStatus, frozen=True):
    """The programmed volume was delivered (IHE IPEC DELIV_COMP)."""

    TYPE: ClassVar = "pump.completed"


class PumpAlarm(Payload, frozen=True):
    """An alarm of the pump, or its end."""

    TYPE: ClassVar = "pump.alarm"
    code: str
    text: str
    active: bool


# --- C-arm ------------------------------------------------------------------------------------------------


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


# --- procedure, alerts, commands --------------------------------------------------------------------------


class ProcedureStarted(Payload, frozen=True):
    """A procedure record's second word: what is to be done. No patient identity here, only its salted digest.

    Said again where the staff take over what a device has begun: then the later one counts."""

    TYPE: ClassVar = "procedure.started"
    procedure: str | None
    origin: str
    actor: str | None = None
    identity_sha256: str | None = None


class ProcedurePhase(Payload, frozen=True):
    """The procedure entered `phase`."""

    TYPE: ClassVar = "procedure.phase"
    phase: Phase
    previous: Phase | None
    origin: str
    reason: str | None
    actor: str | None = None


class ProcedureEnded(Payload, frozen=True):
    """The procedure is over; the record is sealed next."""

    TYPE: ClassVar = "procedure.ended"
    outcome: Literal["completed", "discontinued"]
    origin: str
    reason: str | None = None
    actor: str | None = None


class ClinicalNote(Payload, frozen=True):
    """Free text by somebody of the staff."""

    TYPE: ClassVar = "clinical.note"
    text: str
    actor: str


class AlertRaised(Payload, frozen=True):
    """Something a person should look at. Raised once under its id."""

    TYPE: ClassVar = "alert.raised"
    alert: str
    rule: str
    severity: Severity
    text: str
    facts: tuple[int, ...]
    actor: str | None
    reason: str | None


class AlertAcknowledged(AlertRaised, frozen=True):
    """Somebody saw it."""

    TYPE: ClassVar = "alert.acknowledged"


class AlertCleared(AlertRaised, frozen=True):
    """Its cause ended."""

    TYPE: ClassVar = "alert.cleared"


class OperatorCommand(Payload, frozen=True):
    """A command that was carried out: `id` never acts twice."""

    TYPE: ClassVar = "operator.command"
    id: str
    name: str
    actor: str
    client: str


PAYLOADS: tuple[type[Payload], ...] = (
    RecordOpened,
    RecordRecovered,
    RecordSealed,
    ClockSync,
    ClockStep,
    ClockOffset,
    ConfigChanged,
    DeviceState,
    DeviceGap,
    DeviceRejected,
    DeviceAlarm,
    VitalsNumeric,
    VitalsWaveform,
    PumpStatus,
    PumpStarted,
    PumpStopped,
    PumpCompleted,
    PumpAlarm,
    CarmImage,
    CarmDose,
    CarmMpps,
    CarmCommitment,
    CarmForward,
    CarmOrder,
    CarmAssociation,
    ProcedureStarted,
    ProcedurePhase,
    ProcedureEnded,
    ClinicalNote,
    AlertRaised,
    AlertAcknowledged,
    AlertCleared,
    OperatorCommand,
)
BY_TYPE: dict[str, type[Payload]] = {payload.TYPE: payload for payload in PAYLOADS}


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, before the record has given it a `seq`.

    `received`: room clock when its first byte arrived. `happened_wall_ns`: best estimate of when it happened,
    where that is not `received`. `device_time`: as the device wrote it, `device_offset_s`: room clock minus
    device clock, as estimated.
    """

    source: str
    data: Payload
    received: Stamp
    happened_wall_ns: int | None = None
    device_time: str | None = None
    device_offset_s: float | None = None


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One journal line, in the order its keys are written. `data` keeps its octets."""

    v: int
    record: str
    seq: int
    prev: str
    type: str
    time: str
    received: str
    mono_ns: int
    source: str
    device_time: str | None = None
    device_offset_s: float | None = None
    data: Raw
