"""One pump: which of its entries begin, interrupt and end a delivery. The rules are in the package."""

from __future__ import annotations

from typing import Literal

from esi_room.events import (
    DeviceGap,
    DeviceState,
    PumpAlarm,
    PumpCompleted,
    PumpStarted,
    PumpState,
    PumpStatus,
    PumpStopped,
)
from esi_room.procedure.segments.book import Book
from esi_room.procedure.segments.draft import Draft, EndedBy, Ipec, Moment
from esi_room.procedure.segments.line import Lost, Verdict, judge
from esi_room.procedure.segments.meter import Meter

OCCLUSION_WORDS = ("occlu", "stall")
RESTART_WORDS = ("reset", "power was lost")
PAUSING = ("paused", "alarm")
STANDING = (*PAUSING, "stopped")
DELIV: dict[str, Ipec] = {"completed": "DELIV_COMP", "stopped": "DELIV_STOP"}


class Pump:
    """What is known of one pump, and the delivery that it makes, if any."""

    def __init__(self, device: str, book: Book) -> None:
        self._device, self._book = device, book
        self._open: Draft | None = None
        self._last: Draft | None = None
        self._lost: Lost | None = None
        self._heard: Moment | None = None
        self._state: PumpState | None = None
        self._counter_ml: float | None = None

    # --- what the pump says -------------------------------------------------------------------------------

    def said(self, at: Moment, said: PumpStatus) -> None:
        """A status, or an event, which carries one."""
        state = state_of(said)
        if state is None:
            return
        draft = self._open
        if draft is not None and self._lost is not None and not self._heard_again(draft, self._lost, at, said, state):
            return
        self._follow(at, said, state)
        self._heard, self._state, self._counter_ml = at, state, said.delivered_ml

    def _follow(self, at: Moment, said: PumpStatus, state: PumpState) -> None:
        draft = self._open
        if draft is None and state == "infusing":
            self._begin(at, said)
        elif draft is None:
            self._afterwards(at, said, state)
        elif state == "infusing":
            self._runs(draft, at, said)
        elif state in PAUSING:
            self._stands(draft, at, said, state)
        else:
            self._stops(draft, at, said, state)

    def _begin(self, at: Moment, said: PumpStatus) -> None:
        """Seen to begin, or found infusing when nothing was known of it before."""
        late = self._state is None and not isinstance(said, PumpStarted)
        meter = Meter(None, late=True) if late else Meter(self._base_ml(said.delivered_ml))
        draft = self._open = self._book.begin(Draft("pump", self._device, at, meter))
        if late:
            draft.remarks.add("connected_late")
        else:
            draft.note("DELIV_START", at)
        draft.runs(at, said)

    def _base_ml(self, counter_ml: float | None) -> float | None:
        """Where the counter was at the start: what it last said before, unless it was cleared in between."""
        if counter_ml is None or self._counter_ml is None:
            return counter_ml if self._counter_ml is None else self._counter_ml
        return self._counter_ml if counter_ml >= self._counter_ml else 0.0

    def _runs(self, draft: Draft, at: Moment, said: PumpStatus) -> None:
        if draft.stands is not None:
            if self._is_over(draft, at, said):
                self._end_at_stop(draft)
                self._begin(at, said)
                return
            draft.go_on(at)
        draft.runs(at, said)

    def _stands(self, draft: Draft, at: Moment, said: PumpStatus, state: PumpState) -> None:
        if draft.stands is None:
            draft.counts(at, said)
            draft.stop(at, "alarm" if state == "alarm" else "paused")
        elif self._is_over(draft, at, said):
            self._end_at_stop(draft)
        else:
            draft.meter.settle(said.delivered_ml)

    def _stops(self, draft: Draft, at: Moment, said: PumpStatus, state: PumpState) -> None:
        if draft.stands is not None:
            self._stops_for_good(draft, at, said, state)
            return
        if state == "stopped":
            draft.counts(at, said)
        word = word_of(said)
        if word is not None:
            draft.note(DELIV[word], at)
        shown: EndedBy = "line_lost" if draft.unseen else "stopped"
        self._end(draft, word or shown, at, told=word is not None, closed=state != "stopped")

    def _stops_for_good(self, draft: Draft, at: Moment, said: PumpStatus, state: PumpState) -> None:
        """It stood already: its end was then."""
        if self._is_over(draft, at, said) or state != "stopped":
            self._end_at_stop(draft)
            return
        draft.meter.settle(said.delivered_ml)
        completed = isinstance(said, PumpCompleted)
        if completed:
            draft.note("DELIV_COMP", at)
        self._end_at_stop(draft, "completed" if completed else "stopped")

    def _is_over(self, draft: Draft, at: Moment, said: PumpStatus) -> bool:
        """Whether what the pump says shows that the delivery that stands will not go on; why is noted."""
        programmed_anew, cleared = draft.programmed_anew(said), draft.meter.change_ml(said.delivered_ml) < 0
        if programmed_anew:
            draft.note("PROG_CLEARED", at)
        if cleared:
            draft.note("PUMP_VOL_COUNTERS_CLEARED", at)
            draft.remarks.add("counter_reset")
        if programmed_anew and said.state in STANDING:
            draft.meter.settle(said.delivered_ml)  # nothing has moved since
        return programmed_anew or cleared or draft.restarted

    def _afterwards(self, at: Moment, said: PumpStatus, state: PumpState) -> None:
        """The delivery has ended: its last reading of the counter, and the word for how."""
        last = self._last
        if last is None or last.closed:
            return
        if state not in STANDING:
            last.closed = True
            return
        last.meter.settle(said.delivered_ml)
        word = word_of(said)
        if word is not None and not last.end.told:
            last.note(DELIV[word], at)
            last.tell_end(word, at.seq)

    def alarm(self, at: Moment, alarm: PumpAlarm) -> None:
        """An alarm within a delivery: what it means for it."""
        words = f"{alarm.code} {alarm.text}".lower()
        if self._open is None or not alarm.active:
            return
        if any(word in words for word in OCCLUSION_WORDS):
            self._open.remarks.add("occlusion")
            self._open.note("FLUID_LINE_OCCL", at)
        if any(word in words for word in RESTART_WORDS):
            self._open.remarks.add("pump_restarted")
            self._open.restarted = True

    # --- its line -----------------------------------------------------------------------------------------

    def line(self, at: Moment, line: DeviceState) -> None:
        """The line was lost, or is there again: nothing is known of the pump until it speaks."""
        connected, lost = line.state == "connected", self._lost
        if not connected:
            self._state = self._counter_ml = self._last = None
        if self._open is None or self._heard is None or connected == (lost is None or lost.back):
            return
        self._open.note("COMM_STATUS_CHANGE", at)
        if lost is None:
            self._lost = Lost(self._heard)
        else:
            lost.back = connected

    def gap(self, gap: DeviceGap) -> None:
        """How long the line was lost."""
        if self._lost is not None:
            self._lost.bounded(gap)

    def _heard_again(self, draft: Draft, lost: Lost, at: Moment, said: PumpStatus, state: PumpState) -> bool:
        """The first word after the line was lost; whether it is enough to go on with."""
        if lost.until_ns is None:
            lost.until_ns = at.time_ns
        verdict = judge(draft, lost, at, said, state)
        if verdict is None:
            return False
        self._lost = None
        if verdict == "same":
            _bridge(draft, lost, lost.until_ns, said, state)
        else:
            self._ended_meanwhile(draft, lost, at, verdict)
        return True

    def _ended_meanwhile(self, draft: Draft, lost: Lost, at: Moment, verdict: Verdict) -> None:
        """What the pump does now is not that delivery. It ended when it was last heard, or before, where it stood."""
        by: EndedBy = "line_lost"
        if verdict == "restarted":
            by = "pump_restarted"
            draft.remarks.add("pump_restarted")
        elif verdict == "cleared":
            by = "counter_reset"
            draft.remarks.add("counter_reset")
            draft.note("PUMP_VOL_COUNTERS_CLEARED", at)
        elif verdict == "programmed":
            draft.note("PROG_CLEARED", at)
        if draft.stands is None:
            self._end(draft, by, lost.since)
        else:
            self._end_at_stop(draft, "pump_restarted" if verdict == "restarted" else "stopped")

    # --- its end ------------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """A delivery that stands will not go on: recovery has begun."""
        if self._open is not None and self._open.stands is not None:
            self._end_at_stop(self._open)

    def close(self, at: Moment) -> None:
        """The procedure ends."""
        self.give_up()
        if self._open is not None and self._lost is not None:
            self._end(self._open, "line_lost", self._lost.since)
        elif self._open is not None:
            self._end(self._open, "procedure_ended", at)

    def _end_at_stop(self, draft: Draft, by: EndedBy | None = None) -> None:
        since = draft.start if draft.stands is None else draft.stands.since
        self._end(draft, by or ("pump_restarted" if draft.restarted else "stopped"), since)

    def _end(self, draft: Draft, by: EndedBy, at: Moment, *, told: bool = True, closed: bool = True) -> None:
        self._open, self._last, self._lost = None, draft, None
        self._book.end(draft, by, at, told=told, closed=closed)


def _bridge(draft: Draft, lost: Lost, until_ns: int, said: PumpStatus, state: PumpState) -> None:
    """It is the same delivery. For how long it ran meanwhile is known only where it ran before and runs after."""
    stood, runs = draft.stands is not None, state == "infusing"
    if stood and not draft.meter.change_ml(said.delivered_ml):
        return  # it stood on: what follows is as if the line had not been lost
    if stood:
        draft.went_on(lost.since.time_ns)
    draft.interrupted(lost.since.time_ns, until_ns, "line_lost")
    draft.time_known = draft.time_known and runs and not stood
    draft.unseen = not runs


def state_of(said: PumpStatus) -> PumpState | None:
    """What an entry says that the pump does. Where its type says more than its state, or another thing, its type
    counts: what has ended does not infuse."""
    if isinstance(said, PumpCompleted):
        return "stopped"
    if isinstance(said, PumpStopped) and said.state in (None, "infusing"):
        return "stopped"
    if isinstance(said, PumpStarted) and said.state is None:
        return "withdrawing" if said.direction == "withdraw" else "infusing"
    return said.state


def word_of(said: PumpStatus) -> Literal["completed", "stopped"] | None:
    """How a delivery ended, where the entry says it."""
    if isinstance(said, PumpCompleted):
        return "completed"
    return "stopped" if isinstance(said, PumpStopped) else None
