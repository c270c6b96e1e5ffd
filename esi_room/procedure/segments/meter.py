"""A pump's volume counter, read now and then: what it has counted since a moment."""

from __future__ import annotations

FLOAT_SLACK_ML = 1e-9  # decimals summed in binary are off by less; no pump prints finer than 1e-6
ROUND_DECIMALS = 6


class Meter:
    """Counts from `base_ml`, the counter at the start; null for good where that is not known. `late`: what was before
    the first reading does not count, so that the first reading is the base."""

    def __init__(self, base_ml: float | None, *, late: bool = False) -> None:
        self.last_ml = base_ml
        """The counter as last read."""
        self._base_ml, self._late = base_ml, late
        self._before_ml = 0.0  # counted before the counter was last cleared
        self._silent = False

    def read(self, counter_ml: float | None) -> bool:
        """The counter as the pump says it now, null where it does not; whether it has fallen: it was cleared, or has
        run over."""
        self._silent = counter_ml is None
        if counter_ml is None:
            return False
        if self._base_ml is None and self._late:
            self._base_ml = counter_ml
        fell = self.change_ml(counter_ml) < 0
        if fell and self._base_ml is not None and self.last_ml is not None:
            self._before_ml += max(0.0, self.last_ml - self._base_ml)
            self._base_ml = 0.0
        self.last_ml = counter_ml
        return fell

    def settle(self, counter_ml: float | None) -> None:
        """The counter once the pump stands: drivers may tell the last of it a little later. One that is not told any
        more, or was cleared, changes nothing."""
        if counter_ml is not None and self.change_ml(counter_ml) >= 0:
            self.read(counter_ml)

    def change_ml(self, counter_ml: float | None) -> float:
        """By how much this is more than it was; 0 where one of the two is not known, or where they are the same."""
        if counter_ml is None or self.last_ml is None:
            return 0.0
        change_ml = counter_ml - self.last_ml
        return change_ml if abs(change_ml) > FLOAT_SLACK_ML else 0.0

    @property
    def volume_ml(self) -> float | None:
        """What was counted, as of the last reading; null where that reading or the base is."""
        if self._silent or self._base_ml is None or self.last_ml is None:
            return None
        return round(self._before_ml + max(0.0, self.last_ml - self._base_ml), ROUND_DECIMALS)
