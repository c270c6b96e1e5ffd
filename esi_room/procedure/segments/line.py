"""A pump's line that was lost within a delivery: from when to when, and whether it is the same delivery afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from esi_room.clock import NS, parse_rfc3339
from esi_room.events import DeviceGap, PumpState, PumpStatus
from esi_room.procedure.segments.draft import HOUR_NS, Draft, Moment
from esi_room.procedure.segments.meter import FLOAT_SLACK_ML

STATUS_AGE_NS = 5 * NS  # the counter last read may be so old when the line is lost: statuses come every few seconds

Verdict = Literal["same", "restarted", "cleared", "programmed", "another"]


@dataclass
class Lost:
    """`since`: the last entry heard, at the time of the last good frame, where that is known."""

    since: Moment
    until_ns: int | None = None
    back: bool = False

    def bounded(self, gap: DeviceGap) -> None:
        """The record says from which good frame to which one nothing is known."""
        try:
            from_ns, to_ns = parse_rfc3339(gap.from_), parse_rfc3339(gap.to)
        except ValueError:
            return
        if self.since.time_ns <= from_ns <= to_ns:
            if self.until_ns is None:  # else lost again before the pump has said enough
                self.since = self.since._replace(time_ns=from_ns)
            self.until_ns = to_ns


def judge(draft: Draft, lost: Lost, at: Moment, said: PumpStatus, state: PumpState) -> Verdict | None:
    """What a pump that is heard again says of the delivery that was under way. None: its counter must be waited for."""
    if draft.restarted:
        return "restarted"
    if said.delivered_ml is None and draft.meter.last_ml is not None:
        return None
    change_ml = draft.meter.change_ml(said.delivered_ml)
    if change_ml < 0:
        at_zero = said.delivered_ml is not None and said.delivered_ml <= FLOAT_SLACK_ML
        return "restarted" if at_zero and state == "stopped" else "cleared"
    if draft.programmed_anew(said):
        return "programmed"
    moved_otherwise = state in ("purging", "withdrawing")
    return "another" if moved_otherwise or change_ml > _most_ml(draft, lost, at) else "same"


def _most_ml(draft: Draft, lost: Lost, at: Moment) -> float:
    """What this delivery can have brought at most since the counter was last read, at its fastest so far."""
    if not draft.peak_rate_ml_h:
        return math.inf
    most_ns = max(0, at.time_ns - lost.since.time_ns) + STATUS_AGE_NS
    return draft.peak_rate_ml_h * most_ns / HOUR_NS
