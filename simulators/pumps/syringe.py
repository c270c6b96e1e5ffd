"""The mechanics of a syringe pump: a motor, a syringe, a line that may be blocked. Runs on scenario time.

Rules:
- `advance` steps exactly from event to event: a volume ends, and a motor stalls, at its own moment and not at the
  next look, so that what was delivered does not depend on how often somebody looks.
- The motor counts its steps: while a blocked line is being compressed the counter goes on until the motor stalls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

# Plunger speed of the NE-1000 (user manual #1200-01, specifications).
SPEED_MAX_CM_MIN = 5.1005
SPEED_MIN_CM_MIN = 0.004205 / 60
DIAMETER_MM = (0.1, 50.0)
STALL_MMHG = 1800.0  # about what a stepper of this size holds on a 20 ml syringe; not from the manual
FLOW_MMHG_PER_ML_MIN = 14.0  # pressure before a 20 G epidural needle, plausible
OCCLUSION_RAMP_S = 8.0
COUNTER_LIMIT = 10_000.0  # at which the dispense counters start again from zero, in their unit

State = Literal["I", "W", "S", "P", "X"]
Direction = Literal["INF", "WDR"]


class Happening(NamedTuple):
    """`what`: `completed` or `stalled`; `at_s`: the scenario second."""

    what: str
    at_s: float


@dataclass
class Syringe:
    """State as the pump's prompt letter: I infusing, W withdrawing, S stopped, P paused, X purging."""

    diameter_mm: float = 19.05  # a 20 ml syringe
    rate_ml_min: float = 5.0
    target_ml: float = 0.0
    """Volume of one run; 0 pumps until somebody stops it."""
    direction: Direction = "INF"
    state: State = "S"
    infused_ml: float = 0.0
    withdrawn_ml: float = 0.0
    run_ml: float = 0.0
    """Delivered of the target so far; a pause keeps it."""
    pressure_mmhg: float = 0.0
    occlusion_ramp_s: float | None = None
    """Scenario seconds from free flow to stall; None while the line is free."""
    happened: list[Happening] = field(default_factory=list)
    """For the pump's panel to take out and tell."""
    _now_s: float = 0.0

    @property
    def moving(self) -> bool:
        """Whether the motor turns."""
        return self.state in ("I", "W", "X")

    @property
    def flow_ml_min(self) -> float:
        """What the motor does now, in either direction."""
        if self.state == "X":
            return self.max_rate_ml_min
        return self.rate_ml_min if self.moving else 0.0

    @property
    def max_rate_ml_min(self) -> float:
        """The fastest this syringe can be pushed."""
        return self._area_cm2 * SPEED_MAX_CM_MIN

    def rate_in_range(self, rate_ml_min: float) -> bool:
        """Whether the motor can do it with this syringe."""
        return self._area_cm2 * SPEED_MIN_CM_MIN <= rate_ml_min <= self.max_rate_ml_min

    def start(self, now_s: float) -> None:
        """Run, or go on after a pause."""
        self.advance(now_s)
        if self.state != "P":
            self.run_ml = 0.0
        self.state = "I" if self.direction == "INF" else "W"

    def purge(self, now_s: float) -> None:
        """Full speed until stopped."""
        self.advance(now_s)
        self.state = "X"

    def stop(self, now_s: float) -> None:
        """Pause a run; stop a pause or a purge."""
        self.advance(now_s)
        self.state = "P" if self.state in ("I", "W") else "S"

    def power_cut(self, now_s: float) -> None:
        """The motor stands and the counters are lost; the program is kept."""
        self.advance(now_s)
        self.state, self.infused_ml, self.withdrawn_ml, self.run_ml = "S", 0.0, 0.0, 0.0

    def advance(self, now_s: float) -> None:
        """Let the time pass until scenario second `now_s`; what happens on the way joins `happened`."""
        while self._now_s < now_s:
            step_s, what = self._next_event(now_s - self._now_s)
            self._move(step_s)
            self._now_s = self._now_s + step_s if what else now_s
            if what:
                self.state = "P" if what == "stalled" else "S"
                self.happened.append(Happening(what, self._now_s))

    @property
    def _area_cm2(self) -> float:
        return math.pi / 4 * (self.diameter_mm / 10) ** 2

    def _next_event(self, most_s: float) -> tuple[float, str | None]:
        """How long until something happens, and what; `most_s` and None if nothing does before."""
        step_s, what = most_s, None
        if self.moving and self.occlusion_ramp_s is not None:
            stall_s = max(0.0, STALL_MMHG - self.pressure_mmhg) / STALL_MMHG * self.occlusion_ramp_s
            if stall_s <= step_s:
                step_s, what = stall_s, "stalled"
        if self.state in ("I", "W") and self.target_ml and self.flow_ml_min:
            end_s = max(0.0, self.target_ml - self.run_ml) / self.flow_ml_min * 60
            if end_s <= step_s:
                step_s, what = end_s, "completed"
        return step_s, what

    def _move(self, step_s: float) -> None:
        volume_ml = self.flow_ml_min * step_s / 60
        if self.direction == "INF":
            self.infused_ml += volume_ml
        else:
            self.withdrawn_ml += volume_ml
        if self.state != "X":
            self.run_ml += volume_ml
        if self.occlusion_ramp_s is None:
            self.pressure_mmhg = FLOW_MMHG_PER_ML_MIN * self.flow_ml_min
        elif self.moving:
            self.pressure_mmhg = min(STALL_MMHG, self.pressure_mmhg + STALL_MMHG * step_s / self.occlusion_ramp_s)
