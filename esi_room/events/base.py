"""What every payload is made of."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

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
