"""What is known of one study's dose, quantity by quantity: numbers and their sources. `ledger` says the rules."""

from __future__ import annotations

from typing import NamedTuple

from esi_room.events import IrradiationEvent

QUANTITIES = ("dap_gy_m2", "air_kerma_rp_gy", "fluoro_time_s")
# By how much a sum of rounded numbers may exceed a total without being more dose.
ROUNDING = 1.01
_EVENTS, _TOTALS, _MPPS, _HEADERS = "dose report, events", "dose report, totals", "mpps", "image headers"


class Known(NamedTuple):
    value: float
    source: str


class Greatest:
    """The greatest number that was said of each thing, and their sum."""

    def __init__(self) -> None:
        self.by_key: dict[str, float] = {}
        self._sum = 0.0

    def put(self, key: str, value: float | None) -> bool:
        """Whether it is more than was known."""
        before = self.by_key.get(key)
        if value is None or (before is not None and before >= value):
            return False
        self.by_key[key] = value
        self._sum += value - (before or 0.0)
        return True

    def known(self, source: str) -> Known | None:
        """The sum."""
        return Known(self._sum, source) if self.by_key else None


class Events:
    """Of which irradiation events the reports of a study tell. Some devices give no UIDs, in some of their reports: an
    event without one is known by its start and kind, and is one that has a UID where those are the same."""

    def __init__(self) -> None:
        self._uids: set[str] = set()
        self._moments: set[str] = set()
        self._nameless: set[str] = set()

    def key(self, event: IrradiationEvent) -> str | None:
        """What `event` is known by; None for one that nothing tells from another: the totals have to do."""
        moment = event.at and f"{event.at} {event.kind or ''}"
        if event.uid is not None:
            self._uids.add(event.uid)
            self._moments |= {moment} if moment else set()
            return event.uid
        if moment:
            self._nameless.add(moment)
        return moment or None

    def once(self, key: str) -> bool:
        """Whether what is known by `key` counts: it is not the same as an event with a UID."""
        return key not in self._nameless or key not in self._moments

    def count(self, images: set[str]) -> int:
        """How many there were; `images`: UIDs in headers."""
        return max(len(self._uids | images), len(self._uids) + len(self._nameless - self._moments))


class Quantity:
    """One quantity of one study, whose events are `told`."""

    def __init__(self, told: Events) -> None:
        self._told = told
        self.study = Greatest()
        self.steps = Greatest()
        self.so_far = Greatest()
        """Of a report of a step so far that does not say which step."""
        self.events = Greatest()
        self.mpps = Greatest()
        self.images = Greatest()
        self.final: set[str] = set()
        """Steps of which a report says that it is of the whole step."""

    def best(self) -> Known | None:
        """The best that is known."""
        reported, otherwise = self._reported(), self._otherwise()
        if reported is None:
            return otherwise
        if self.study.by_key:
            return reported
        if not self.final:
            return reported if otherwise is None or otherwise.value <= reported.value * ROUNDING else otherwise
        rest = [value for step, value in self.mpps.by_key.items() if step not in self.final]
        # Where the report's step is none that MPPS tells of, nobody knows whether they are the same: not added.
        if not rest or not self.final <= self.mpps.by_key.keys():
            return reported
        return Known(reported.value + sum(rest), f"{reported.source} + {_MPPS}")

    def _reported(self) -> Known | None:
        totals = (known for known in (part.known(_TOTALS) for part in (self.study, self.steps, self.so_far)) if known)
        total, events = max(totals, default=None), self._of_events()
        if total is None or (events is not None and events.value > total.value * ROUNDING):
            return events or total
        return total

    def _of_events(self) -> Known | None:
        counted = [value for key, value in self.events.by_key.items() if self._told.once(key)]
        return Known(sum(counted), _EVENTS) if counted else None

    def _otherwise(self) -> Known | None:
        """Without a report. A step that began with no dose yet says 0: that hides no image."""
        mpps, images = self.mpps.known(_MPPS), self.images.known(_HEADERS)
        return images if mpps is None or (images is not None and mpps.value == 0) else mpps


class Study:
    """The irradiation events of a study, and each quantity of it. `images`: events that headers name."""

    def __init__(self) -> None:
        self.events = Events()
        self.images: set[str] = set()
        self.quantities = {name: Quantity(self.events) for name in QUANTITIES}

    def __getitem__(self, quantity: str) -> Quantity:
        return self.quantities[quantity]

    @property
    def irradiation_events(self) -> int:
        """How many are known."""
        return self.events.count(self.images)
