"""The shapes of the retained snapshots under `state/`: what a display reads when it joins.

Rules:
- One message is enough: each snapshot is whole, and says by `as_of` which entries it includes.
- A value that may age carries `observed_at`, `stale_after_s` and `stale`. A display needs no clock: when a value
  goes stale the daemon publishes the snapshot again with `stale` true. The value stays, marked: it is what was
  last known, not what is.
- A display that has a clock can check for itself: now minus `published_at`, both on its own clock from when it
  received the message, added to `published_at` minus `observed_at`. It never compares its clock to ours.
- Nobody can publish after a kill: while `status` says `offline`, everything here is what was known then.
- `state/procedure` to `state/alerts` hold what the open record says, and nothing of the record before it: the
  values of the last patient are not shown to the next. `state/device/` is the room's, and stays.

The JSON Schemas in `docs/schemas` are generated from these classes.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from esi_room.events import (
    DeviceCondition,
    Lack,
    Phase,
    Plan,
    PumpState,
    ReadingStatus,
    Severity,
    SyringeBalance,
)


class AsOf(Struct, frozen=True, kw_only=True):
    """The last entry that the snapshot includes."""

    record: str
    seq: int


class Snapshot(Struct, frozen=True, kw_only=True):
    """What every snapshot begins with. `published_at`: the room's clock, RFC 3339 UTC."""

    as_of: AsOf
    published_at: str


class Aged(Struct, frozen=True, kw_only=True):
    """Something observed once, and true for a while.

    `observed_at`: RFC 3339 UTC. `stale_after_s`: how long it may be taken for the present; null: it is no
    measurement of the present at all (an image shows when it was taken) and does not go stale. `stale`: that time
    is over, or the device is no longer heard.
    """

    observed_at: str
    stale_after_s: float | None
    stale: bool


class Phased(Struct, frozen=True, kw_only=True):
    """A phase, and since when."""

    phase: Phase
    since: str
    origin: str


class DeliveryValue(Struct, frozen=True, kw_only=True):
    """One finished delivery; `seq` is its entry, `procedure.delivery`, which says more."""

    seq: int
    number: int
    origin: Literal["pump", "hand"]
    device: str | None
    syringe: str | None
    drugs: tuple[str, ...]
    started_at: str
    ended_at: str
    ended_by: str
    programmed_ml: float | None
    delivered_ml: float | None
    remarks: tuple[str, ...]


class CompletenessValue(Struct, frozen=True, kw_only=True):
    """What the record of a procedure that has ended lacks: its `procedure.completeness` entry, which is `seq`."""

    record: str
    seq: int
    outcome: Literal["completed", "discontinued", "unknown"] | None
    ended_at: str | None
    complete: bool
    lacks: tuple[Lack, ...]
    not_assessable: dict[str, str]
    syringes: tuple[SyringeBalance, ...]
    deviations: tuple[str, ...]


class ProcedureState(Snapshot, frozen=True):
    """`state/procedure`: which record is open and where the procedure in it stands.

    `kind`: `standby` between cases. `procedure`: what is to be done, in words; `plan`: in coded words. `phases`: every
    phase so far, the last one is the present one (also in `phase`); `origin` is `staff`, or the device that hints at
    it. `outcome`: null while it goes on. `rules`: the version of the rules that it runs under. `completeness`: of the
    procedure that ended last, be it this one or the one before.
    """

    kind: Literal["standby", "procedure"] | None
    opened_at: str | None
    procedure: str | None
    started_at: str | None
    phase: Phase | None
    phases: tuple[Phased, ...]
    outcome: Literal["completed", "discontinued", "unknown"] | None
    ended_at: str | None
    plan: Plan | None
    rules: str | None
    deliveries: tuple[DeliveryValue, ...]
    completeness: CompletenessValue | None


class VitalValue(Aged, frozen=True):
    """The last reading of this name from this device, as in `vitals.numeric`."""

    source: str
    code: int | str
    name: str
    value: float | int | None
    unit: str
    status: ReadingStatus
    flags: tuple[str, ...]


class VitalConditions(Aged, frozen=True):
    """The status bits that were set in the device's last message, as words."""

    source: str
    conditions: tuple[str, ...]


class VitalLimits(Struct, frozen=True, kw_only=True):
    """The alarm limits that the device itself is set to, as it told them last, for the value `name`."""

    source: str
    name: str
    low: float | None
    high: float | None


class VitalsState(Snapshot, frozen=True):
    """`state/vitals`: the last value of everything that was measured since the record was opened. `limits`: of those
    devices that tell them."""

    values: tuple[VitalValue, ...]
    conditions: tuple[VitalConditions, ...]
    limits: tuple[VitalLimits, ...]


class ActiveAlarm(Struct, frozen=True, kw_only=True):
    """An alarm that the device stated and has not withdrawn."""

    code: str
    text: str
    since: str
    priority: str | None = None
    advisory: bool = False


class PumpValue(Aged, frozen=True):
    """The last message of one pump. `event`: the type of the entry it comes from; null before any."""

    source: str
    event: Literal["pump.status", "pump.started", "pump.stopped", "pump.completed"] | None
    state: PumpState | None
    rate_ml_h: float | None
    delivered_ml: float | None
    target_ml: float | None
    pressure_mmhg: float | None
    drug: str | None
    withdrawn_ml: float | None
    direction: Literal["infuse", "withdraw"] | None
    detail: str | None
    alarms: tuple[ActiveAlarm, ...]


class PumpsState(Snapshot, frozen=True):
    """`state/pump`: every pump that said something since the record was opened."""

    pumps: tuple[PumpValue, ...]


class ImageValue(Aged, frozen=True):
    """The object that was taken last, of those that are this case's; `seq` is its entry.

    Field names are those of `carm.image`."""

    seq: int
    sha256: str
    sop_class_uid: str
    sop_instance_uid: str
    modality: str | None
    rows: int | None
    columns: int | None
    frames: int | None
    acquired: str | None
    primary_angle_deg: float | None
    secondary_angle_deg: float | None
    kvp: float | None
    tube_current_ma: float | None
    peer: str


class StepValue(Struct, frozen=True, kw_only=True):
    """A performed procedure step, as the C-arm last told of it. `seq`: its entry; `started`, `ended`: the C-arm's own
    time; `missing`: objects that it named and the room did not hold then."""

    seq: int
    sop_instance_uid: str
    status: str
    procedure: str | None
    order: str | None
    started: str | None
    ended: str | None
    images: int
    missing: int


class CarmState(Snapshot, frozen=True):
    """`state/carm`: the last image, and which image the retained `image/last` shows.

    `order`: the worklist order that is carried out (its Scheduled Procedure Step ID), where that is known. `steps`:
    the performed procedure steps that were told of in this record.
    `shown_sha256`: of the object that `image/last` was made from; null: it is empty. Where it is not that of
    `image`, the last object cannot be shown, and `preview_problem` says why.
    """

    image: ImageValue | None
    objects: int
    order: str | None
    steps: tuple[StepValue, ...]
    shown_sha256: str | None
    preview_problem: str | None


class HeaderDose(Aged, frozen=True):
    """What one image's header says of dose: DICOM keyword and value, in DICOM's units."""

    seq: int
    sop_instance_uid: str
    attributes: dict[str, Any]


class DoseSum(Aged, frozen=True):
    """The record's dose: `total` of its newest `carm.dose` entry, which is `seq`.

    `provenance`: for each quantity that is known, what it rests on. Image headers alone are a lower bound:
    fluoroscopy that no image followed is in none.
    """

    seq: int
    dap_gy_m2: float | None
    air_kerma_rp_gy: float | None
    fluoro_time_s: float | None
    irradiation_events: int | None
    provenance: dict[str, str]


class DoseRun(Struct, frozen=True, kw_only=True):
    """One irradiation event, as the entry `seq` tells of it. `at`: the device's own time. `uid` null: an image whose
    header does not say of which event it is."""

    uid: str | None
    at: str | None
    kind: str | None
    dap_gy_m2: float | None
    air_kerma_rp_gy: float | None
    duration_s: float | None
    provenance: Literal["dose report", "mpps", "image header"]
    seq: int


class DoseState(Snapshot, frozen=True):
    """`state/dose`: what is known of the dose of this record.

    `total`: null until something told of dose. `runs`: the last irradiation events that are known, `more_runs`: how
    many there were before these. `exceeded`: each alert level that the total is above (`fluoro_time_s`, `dap_gy_m2`,
    `air_kerma_rp_gy`), in words. `levels`: the room's alert levels for these (rule R16), in the units of `total`; a
    quantity without a level is not there. `images`: new image objects in this record; `frames`: the frames in them;
    `last`: the newest header with dose attributes, in its own units.
    """

    total: DoseSum | None
    runs: tuple[DoseRun, ...]
    more_runs: int
    exceeded: dict[str, str]
    levels: dict[str, float]
    images: int
    frames: int
    last: HeaderDose | None


class AlertValue(Struct, frozen=True, kw_only=True):
    """An alert that is not cleared. `facts`: the `seq`s it rests on."""

    alert: str
    rule: str
    severity: Severity
    text: str
    facts: tuple[int, ...]
    raised_at: str
    acknowledged_at: str | None
    actor: str | None
    """Who acknowledged it; before that, who raised it, where that was a person."""
    reason: str | None
    overridden: bool
    """It was decided, for `reason`, to go on nevertheless."""
    source: str | None
    """Where its rule comes from."""


class AlertsState(Snapshot, frozen=True):
    """`state/alerts`: the alerts of this record that are not cleared, oldest first."""

    alerts: tuple[AlertValue, ...]


class GapValue(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The last time in which nothing was known of the device."""

    from_: str
    to: str
    reason: str


class DeviceSnapshot(Snapshot, frozen=True):
    """`state/device/<id>`: one device's line, since when it is so, and why.

    `rejected`: messages not understood since the record was opened, by reason. `alarms` empties when the line is
    lost: nothing is known then, and the device says it again when it comes back. `state` null: the daemon has started
    again and not yet spoken to the device (or the device is no longer configured).
    """

    device: str
    state: DeviceCondition | None
    since: str | None
    reason: str | None
    driver: str | None
    port: str | None
    identity: str | None
    alarms: tuple[ActiveAlarm, ...]
    rejected: dict[str, int]
    gaps: int
    last_gap: GapValue | None


class CheckpointState(Snapshot, frozen=True, kw_only=True):
    """`state/checkpoint`: how far the record reached, signed; one a minute while entries are written, one at each seal.

    `as_of` is the line that it names. `line`: the line of `checkpoints.jsonl`, octet for octet, without its newline;
    the Ed25519 signature is of its octets before `,"signature":`. `sha256`, `time` and `key` (the key's id) are what
    `line` says. `public_key`: the 32 octets in hex; whoever keeps checkpoints compares it with what was kept before.
    """

    sha256: str
    time: str
    key: str
    public_key: str
    line: str


class AmendmentState(CheckpointState, frozen=True, kw_only=True):
    """`state/amendment`: the checkpoint of the last amendment, as `state/checkpoint` is of the journal.

    `as_of` is the line of `amendments.jsonl` that it names: its `seq` counts on from the record's seal.
    """


STATES: dict[str, type[Snapshot]] = {
    "state/procedure": ProcedureState,
    "state/vitals": VitalsState,
    "state/pump": PumpsState,
    "state/carm": CarmState,
    "state/dose": DoseState,
    "state/alerts": AlertsState,
    "state/checkpoint": CheckpointState,
    "state/amendment": AmendmentState,
    "state/device/": DeviceSnapshot,
}
"""Every snapshot topic below the room; the one that ends in `/` goes on with a device's id."""
