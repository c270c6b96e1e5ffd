"""The record itself, the clocks and the configuration it is kept under."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from esi_room.events.base import Payload


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


class RecordAmended(Payload, frozen=True):
    """A sealed record was amended: line `seq` of its `amendments.jsonl` says `type`, and its octets have this SHA-256.

    It stands in the record that is open at that time, so that the room's chain covers amendments too."""

    TYPE: ClassVar = "record.amended"
    record: str
    seq: int
    type: str
    sha256: str


class RecordShed(Payload, frozen=True):
    """The images of a sealed record are taken away, because `[retention]` says so. Its other files stay.

    It is durable before the first of them goes. `images`: the SHA-256 of each object."""

    TYPE: ClassVar = "record.shed"
    record: str
    rule: Literal["keep_images_days", "max_bytes"]
    reason: str
    images: tuple[str, ...]
    freed_bytes: int


class RecordRemoved(Payload, frozen=True):
    """A sealed record is removed, because `[retention]` says so: its checkpoints and this line (`removed.jsonl`) stay.

    It is durable before the first file goes. The room's chain leads across the hole: `prev` is what the record's first
    line named, `head` the SHA-256 of its last, which `checkpoint` signs."""

    TYPE: ClassVar = "record.removed"
    record: str
    rule: Literal["keep_days", "max_bytes"]
    reason: str
    kind: str
    room: str
    opened: str
    closed: str
    prev: str
    head: str
    entries: int
    images: int
    amendments: int
    freed_bytes: int
    checkpoint: str
    """Of its seal: the line of `checkpoints.jsonl`, without its newline."""
    before: str
    """SHA-256 of the `record.removed` before this one in the room (64 zeros for the first): the record in which that
    stands may be removed in its turn, and what it said stays under the room's chain."""


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
