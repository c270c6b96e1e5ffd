"""A delivery under way: what is known of it so far, and the payload that it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from esi_room.clock import NS, rfc3339
from esi_room.events import Delivery, Interruption, PumpEvent, PumpStatus, VitalAt
from esi_room.procedure.segments.meter import Meter

Origin = Literal["pump", "hand"]
EndedBy = Literal["completed", "stopped", "counter_reset", "pump_restarted", "line_lost", "procedure_ended", "mark"]
Pause = Literal["paused", "alarm", "line_lost"]
Ipec = Literal[
    "DELIV_START",
    "DELIV_STOP",
    "DELIV_COMP",
    "COMM_STATUS_CHANGE",
    "PROG_CLEARED",
    "PUMP_VOL_COUNTERS_CLEARED",
    "FLUID_LINE_OCCL",
]
Remark = Literal["counter_reset", "occlusion", "pump_restarted", "connected_late", "volume_unknown"]

HOUR_NS = 3600 * NS
ROUND_DECIMALS = 6  # as of the volumes: what a division adds behind that means nothing


class Moment(NamedTuple):
    """An entry and when what it says happened."""

    seq: int
    time_ns: int


class Standstill(NamedTuple):
    """Since when a delivery stands that may go on, and why."""

    since: Moment
    reason: Literal["paused", "alarm"]


class End(NamedTuple):
    """`told`: whether the pump has said how it ended; if not, it may still."""

    by: EndedBy
    at: Moment
    told: bool


class Around(NamedTuple):
    """What the rest of the record adds to a delivery."""

    syringe: str | None
    drugs: tuple[str, ...]
    images: tuple[int, ...]
    before: tuple[VitalAt, ...]
    after: tuple[VitalAt, ...]


@dataclass(eq=False)
class Draft:
    """One delivery. It runs unless it `stands`, until its `end` is known."""

    origin: Origin
    device: str | None
    start: Moment
    meter: Meter
    syringe: str | None = None
    drug: str | None = None
    before: tuple[VitalAt, ...] = ()
    target_ml: float | None = None
    stands: Standstill | None = None
    end: End = field(init=False)
    closed: bool = False
    """Nothing that the pump says from now on is of this delivery."""
    restarted: bool = False
    """The pump has lost its power meanwhile."""
    unseen: bool = False
    """It came to stand while the line was lost."""
    time_known: bool = True
    peak_rate_ml_h: float | None = None
    pressures_mmhg: list[float] = field(default_factory=list)
    interruptions: list[tuple[int, int, Pause]] = field(default_factory=list)
    events: list[tuple[Ipec, Moment]] = field(default_factory=list)
    remarks: set[Remark] = field(default_factory=set)
    _runs_since_ns: int | None = None
    _ran_ns: int = 0

    def __post_init__(self) -> None:
        self._runs_since_ns = self.start.time_ns
        self.end = End("procedure_ended", self.start, told=True)

    # --- what happens to it -------------------------------------------------------------------------------

    def note(self, ipec: Ipec, at: Moment) -> None:
        """An event of the pump within it."""
        self.events.append((ipec, at))

    def runs(self, at: Moment, said: PumpStatus) -> None:
        """The pump says that it infuses."""
        self.counts(at, said)
        if said.rate_ml_h is not None:
            self.peak_rate_ml_h = max(said.rate_ml_h, self.peak_rate_ml_h or 0.0)
        if said.pressure_mmhg is not None:
            self.pressures_mmhg.append(said.pressure_mmhg)
        self.drug = said.drug or self.drug

    def counts(self, at: Moment, said: PumpStatus) -> None:
        """Counter and target, up to the moment in which it comes to stand. A target that changes while it runs is no
        other program: drivers ask for it only now and then."""
        if self.meter.read(said.delivered_ml):
            self.remarks.add("counter_reset")
            self.note("PUMP_VOL_COUNTERS_CLEARED", at)
        self.target_ml = self.target_ml if said.target_ml is None else said.target_ml

    def programmed_anew(self, said: PumpStatus) -> bool:
        """Whether the target is another than it was."""
        return None not in (said.target_ml, self.target_ml) and said.target_ml != self.target_ml

    def stop(self, at: Moment, reason: Literal["paused", "alarm"]) -> None:
        """It stands, and may go on."""
        self._stand_still(at.time_ns)
        self.stands = Standstill(at, reason)
        self.note("DELIV_STOP", at)

    def go_on(self, at: Moment) -> None:
        """It goes on after a standstill."""
        self.note("DELIV_START", at)
        self.went_on(at.time_ns)

    def went_on(self, time_ns: int) -> None:
        """It went on by then, whether somebody saw it or not."""
        if self.stands is not None:
            self.interrupted(self.stands.since.time_ns, time_ns, self.stands.reason)
        self.stands, self.unseen, self._runs_since_ns = None, False, time_ns

    def interrupted(self, from_ns: int, to_ns: int, reason: Pause) -> None:
        """From here to there."""
        self.interruptions.append((from_ns, max(from_ns, to_ns), reason))

    def finish(self, by: EndedBy, at: Moment, *, told: bool = True, closed: bool = True) -> None:
        """It has ended, at that entry."""
        self._stand_still(at.time_ns)
        self.end, self.stands, self.closed = End(by, at, told), None, closed

    def tell_end(self, by: EndedBy, seq: int) -> None:
        """The pump says, in this entry, how the end was that it had shown."""
        self.end = End(by, Moment(seq, self.end.at.time_ns), told=True)

    def _stand_still(self, time_ns: int) -> None:
        if self._runs_since_ns is not None:
            self._ran_ns += max(0, time_ns - self._runs_since_ns)
        self._runs_since_ns = None

    # --- what becomes of it -------------------------------------------------------------------------------

    @property
    def span_ns(self) -> tuple[int, int]:
        """From its start to its end."""
        return self.start.time_ns, max(self.start.time_ns, self.end.at.time_ns)

    def delivery(self, number: int, around: Around) -> Delivery:
        """What the record says of it."""
        started_ns, ended_ns = self.span_ns
        volume_ml = self.meter.volume_ml
        return Delivery(
            number=number,
            origin=self.origin,
            device=self.device,
            started_at=rfc3339(started_ns),
            ended_at=rfc3339(ended_ns),
            ended_by=self.end.by,
            syringe=around.syringe,
            drugs=around.drugs,
            programmed_ml=self.target_ml or None,  # 0 is a pump's word for none
            delivered_ml=volume_ml,
            mean_rate_ml_h=self._mean_rate_ml_h(volume_ml),
            peak_rate_ml_h=self.peak_rate_ml_h,
            mean_pressure_mmhg=_mean(self.pressures_mmhg),
            peak_pressure_mmhg=max(self.pressures_mmhg, default=None),
            interruptions=tuple(
                Interruption(from_=rfc3339(from_ns), to=rfc3339(to_ns), reason=reason)
                for from_ns, to_ns, reason in sorted(self.interruptions)
            ),
            images=around.images,
            vitals_before=around.before,
            vitals_after=around.after,
            events=self._events(),
            remarks=self._remarks(volume_ml),
            facts=(self.start.seq, self.end.at.seq),
        )

    def _mean_rate_ml_h(self, volume_ml: float | None) -> float | None:
        if volume_ml is None or not self.time_known or not self._ran_ns:
            return None
        return round(volume_ml * HOUR_NS / self._ran_ns, ROUND_DECIMALS)

    def _events(self) -> tuple[PumpEvent, ...]:
        events = list(self.events)
        if not self.end.told and self.end.by == "stopped":
            events.append(("DELIV_STOP", self.end.at))  # shown, and never said otherwise
        return tuple(PumpEvent(ipec=ipec, at=rfc3339(at.time_ns), seq=at.seq) for ipec, at in events)

    def _remarks(self, volume_ml: float | None) -> tuple[Remark, ...]:
        said = self.remarks | ({"volume_unknown"} if volume_ml is None else set())
        return tuple(remark for remark in get_args(Remark) if remark in said)


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), ROUND_DECIMALS) if values else None
