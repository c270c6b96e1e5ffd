"""What is in which syringe, and which syringe is in which pump, as the staff said when they drew it up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from esi_room.events.clinical import Correction, DrawnUp
from esi_room.procedure.corrections import corrected


class Filling(NamedTuple):
    """When a syringe was drawn up, and what was said of it."""

    time_ns: int
    said: DrawnUp


class Syringes:
    """Every filling of the record, by its entry, corrections applied."""

    def __init__(self) -> None:
        self._filled: dict[int, Filling] = {}

    def fill(self, seq: int, time_ns: int, drawn_up: DrawnUp) -> None:
        """A syringe was filled."""
        self._filled[seq] = Filling(time_ns, drawn_up)

    def correct(self, correction: Correction) -> None:
        """It was another, or it was not."""
        filling = self._filled.get(correction.seq)
        if filling is None:
            return
        if correction.withdrawn:
            del self._filled[correction.seq]
            return
        made = corrected(filling.said, correction.fields)
        if isinstance(made, DrawnUp):
            self._filled[correction.seq] = filling._replace(said=made)

    def in_pump(self, device: str, from_ns: int, to_ns: int) -> DrawnUp | None:
        """What was in this pump in that time: put in last before it, or, where nobody had said that, within it. What
        is said to be put in afterwards is for the next delivery."""
        return self._by(lambda said: said.pump == device, from_ns, to_ns)

    def labelled(self, label: str | None, from_ns: int) -> DrawnUp | None:
        """What is in this syringe: filled last before that time; or, as syringes are labelled once, at any time."""
        return self._by(lambda said: said.syringe == label, from_ns, math.inf)

    def _by(self, fits: Callable[[DrawnUp], bool], from_ns: int, to_ns: float) -> DrawnUp | None:
        fitting = sorted((f for f in self._filled.values() if fits(f.said)), key=lambda filling: filling.time_ns)
        before = [filling.said for filling in fitting if filling.time_ns <= from_ns]
        within = [filling.said for filling in fitting if from_ns < filling.time_ns <= to_ns]
        return before[-1] if before else next(iter(within), None)


def drugs_of(filled: DrawnUp) -> tuple[str, ...]:
    """Each component by its word, or by its label where there is no word for it."""
    return tuple((part.name or part.drug) if part.drug == "other" else part.drug for part in filled.components)
