"""What serial devices say, and what is known of their lines."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from esi_room.events.base import DeviceCondition, Payload, PumpState, Reading


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


class PumpStarted(PumpStatus, frozen=True, tag_field="ipec", tag="DELIV_START"):
    """Delivery began (IHE IPEC DELIV_START)."""

    TYPE: ClassVar = "pump.started"


class PumpStopped(PumpStatus, frozen=True, tag_field="ipec", tag="DELIV_STOP"):
    """Delivery ended before the volume was reached (IHE IPEC DELIV_STOP)."""

    TYPE: ClassVar = "pump.stopped"


class PumpCompleted(PumpStatus, frozen=True, tag_field="ipec", tag="DELIV_COMP"):
    """The programmed volume was delivered (IHE IPEC DELIV_COMP)."""

    TYPE: ClassVar = "pump.completed"


class PumpAlarm(Payload, frozen=True):
    """An alarm of the pump, or its end."""

    TYPE: ClassVar = "pump.alarm"
    code: str
    text: str
    active: bool
