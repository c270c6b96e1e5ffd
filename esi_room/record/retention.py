"""Which records go, and why: `[retention]`, decided over what the room holds. Pure: nothing is read or written here.

Rules:
- Nothing is ever taken of the open record, nor of one sealed less than SETTLED_S ago: late images, dose reports and
  corrections are still to come.
- Oldest first. Beyond the quota images are shed first, of all records, before any record goes.
- What somebody still needs waits, and the next one goes: `waits` says why. A record that speaks of an older one waits
  until that is gone.
- Ages are believed as long as the host's clock is synchronised: one that was set years ahead must not empty a room.
  The quota needs no clock; a record's id says which is older.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from esi_room.clock import NS, rfc3339
from esi_room.record.holdings import Holding

SETTLED_S = 24 * 3600.0
DAY_S = 86_400.0

What = Literal["images", "record"]
Rule = Literal["keep_days", "keep_images_days", "max_bytes"]
Waits = Callable[[str, What], str | None]
"""Why this of a record must not go yet; None: it may."""


class Policy(Struct, frozen=True, kw_only=True):
    """`[retention]`. None: for ever, and without bound."""

    keep_days: int | None = None
    keep_images_days: int | None = None
    max_bytes: int | None = None

    @property
    def keeps_all(self) -> bool:
        """Nothing is ever removed."""
        return self.keep_days is None and self.keep_images_days is None and self.max_bytes is None


class Step(NamedTuple):
    """`what` of `record` goes."""

    record: str
    what: What
    rule: Rule
    reason: str
    freed_bytes: int


class Waiting(NamedTuple):
    """`what` of `record` would go by `rule`, if it were not for `why`."""

    record: str
    what: What
    rule: Rule
    why: str


class Plan(NamedTuple):
    """What is to be done now, in this order."""

    steps: tuple[Step, ...]
    waiting: tuple[Waiting, ...]
    size_bytes: int
    """Of all records, before anything."""
    over_bytes: int
    """So far beyond the quota it stays after it, because the rest waits or is too young."""
    distrusted: bool
    """Ages were not looked at: the clock is not synchronised."""


def plan(holdings: Sequence[Holding], policy: Policy, now_ns: int, waits: Waits, *, synchronised: bool = True) -> Plan:
    """By `policy`, over the records that are there, the oldest first."""
    planning = _Planning(holdings, policy, now_ns, waits)
    if synchronised:
        planning.by_age()
    planning.by_quota()
    over_bytes = 0 if policy.max_bytes is None else max(0, planning.size_bytes - policy.max_bytes)
    distrusted = not synchronised and (policy.keep_days or policy.keep_images_days) is not None
    size_bytes = sum(each.size_bytes for each in holdings)
    return Plan(tuple(planning.steps), tuple(planning.waiting.values()), size_bytes, over_bytes, distrusted)


class _Planning:
    def __init__(self, holdings: Sequence[Holding], policy: Policy, now_ns: int, waits: Waits) -> None:
        self._policy, self._now_ns, self._waits = policy, now_ns, waits
        self._there = {each.record: each for each in holdings}
        self._pictured = {each.record for each in holdings if each.images}
        self._settled = [each for each in holdings[:-1] if self._age_s(each) >= SETTLED_S]
        self.size_bytes = sum(each.size_bytes for each in holdings)
        self.steps: list[Step] = []
        self.waiting: dict[tuple[str, What], Waiting] = {}

    def _age_s(self, holding: Holding) -> float:
        return -1.0 if holding.sealed_ns is None else (self._now_ns - holding.sealed_ns) / NS

    def by_age(self) -> None:
        for each in self._settled:
            keep = self._policy.keep_days
            if keep is not None and self._age_s(each) > keep * DAY_S:
                self._go(each, "record", "keep_days", self._old(each, keep, "keep_days"))
        for each in self._settled:
            keep = self._policy.keep_images_days
            if keep is not None and self._age_s(each) > keep * DAY_S:
                self._go(each, "images", "keep_images_days", self._old(each, keep, "keep_images_days"))

    def by_quota(self) -> None:
        most = self._policy.max_bytes
        if most is None:
            return
        reason = f"the records had {in_words(self.size_bytes)}, and may have {in_words(most)} (max_bytes)"
        whats: tuple[What, ...] = ("images", "record")
        for what in whats:
            for each in self._settled:
                if self.size_bytes <= most:
                    return
                self._go(each, what, "max_bytes", reason)

    def _go(self, holding: Holding, what: What, rule: Rule, reason: str) -> None:
        record = holding.record
        if record not in self._there or (what == "images" and record not in self._pictured):
            return  # it goes already
        known = self.waiting.get((record, what))
        why = known.why if known is not None else self._needed(holding, what) or self._waits(record, what)
        if why is not None:
            self.waiting.setdefault((record, what), Waiting(record, what, rule, why))
            return
        pictured = record in self._pictured
        freed_bytes = holding.size_bytes - (0 if pictured else holding.image_bytes)
        freed_bytes = holding.image_bytes if what == "images" else freed_bytes
        self.steps.append(Step(record, what, rule, reason, freed_bytes))
        self.size_bytes -= freed_bytes
        self._pictured.discard(record)
        if what == "record":
            del self._there[record]

    def _needed(self, holding: Holding, what: What) -> str | None:
        """By its own entries, for an older record."""
        if what == "images":
            older = sorted(holding.late_of & self._pictured)
            return f"some of its images belong to {older[0]}, which still has its own" if older else None
        older = sorted(holding.speaks_of & self._there.keys())
        return f"it speaks of {older[0]}, which is still there" if older else None

    @staticmethod
    def _old(holding: Holding, days: int, rule: Rule) -> str:
        sealed = rfc3339(holding.sealed_ns or 0)[:10]
        return f"it was sealed on {sealed}, more than {days} day{'s' * (days != 1)} ago ({rule})"


def in_words(size_bytes: int) -> str:
    """`3.2 GB`."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
