"""The pump's conversation: what was asked, what it said last, and what follows from the difference."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from esi_room.drivers.contract import Ask, Identified, Info, Output, Refused, Said
from esi_room.drivers.new_era.wire import (
    ALARMS,
    ANSWERS,
    ASK_AGAIN,
    ERRORS,
    FIELDS,
    STATES,
    Reply,
    command,
    judge_basic,
    judge_safe,
    learned,
    leave_safe,
    step_ml,
    taken_apart,
)
from esi_room.events import PumpAlarm, PumpCompleted, PumpStarted, PumpState, PumpStatus, PumpStopped
from esi_room.framing import Grammar

REPLY_TIMEOUT_S = 2.0  # quiet time of one try
TRIES = 3
MAX_SILENCE_S = REPLY_TIMEOUT_S * TRIES
FLOAT_SLACK_ML = 1e-9  # decimals summed in binary are off by less; the pump prints no finer than 1e-6
STATUS_PERIOD_S = 4.0  # an unchanged state is told again, so that a reader knows it within 5 s

DELIVERING = {"infusing", "withdrawing"}

CYCLE = ("DIS", "", "DIS", "RAT", "DIS", "VOL", "DIS", "DIR", "DIS", "DIA")
"""What is asked in turn. Every reply carries the state; the volume is what changes."""


class NewEra:
    """One pump: what was asked, what it said last, and what follows from the difference."""

    def __init__(self, info: Info, *, address: int, safe: bool, poll_s: float, force_basic: bool) -> None:
        self.info = info
        self.grammar: Grammar = judge_safe if safe else judge_basic
        self._address, self._safe, self._force_basic = address, safe, force_basic
        self._octets = {name: command(name, address=address, safe=safe) for name in ("VER", *CYCLE)}
        if force_basic:
            self._octets["SAF0"] = leave_safe(address)
        self._names = {octets: name for name, octets in self._octets.items()}
        self._repeat_after = int(STATUS_PERIOD_S / poll_s)
        self.on_open()

    def on_open(self) -> Sequence[Output]:
        self._outstanding: str | None = None
        self._next: list[str] = ["SAF0", "VER"] if self._force_basic else ["VER"]
        self._cycle_at = 0
        self._asked: str | None = None
        self._asked_s = 0.0
        self._tries = 0
        self._alarms: set[str] = set()
        self._ending = False
        self._start_ml: float | None = None
        self._idle_ml: float | None = None
        self._step_ml = 0.0
        self._known = PumpStatus(
            state=None,
            rate_ml_h=None,
            delivered_ml=None,
            target_ml=None,
            pressure_mmhg=None,
            drug=None,
            stale_after_s=MAX_SILENCE_S,
        )
        self._told: PumpStatus | None = None
        self._since_told = 0
        return ()

    # --- asking: the only part that knows the time ------------------------------------------------------

    def on_sent(self, octets: bytes) -> None:
        self._outstanding = self._names.get(bytes(octets))

    def on_tick(self, now_s: float) -> Sequence[Ask]:
        if self._outstanding is not None:
            if now_s - self._asked_s < REPLY_TIMEOUT_S:
                return ()
            if self._tries < TRIES:
                self._next.insert(0, self._outstanding)
        name = self._next.pop(0) if self._next else self._in_turn()
        self._tries = self._tries + 1 if self._outstanding == name == self._asked else 1
        self._asked, self._asked_s = name, now_s
        return (Ask(self._octets[name]),)

    def _in_turn(self) -> str:
        name = CYCLE[self._cycle_at % len(CYCLE)]
        self._cycle_at += 1
        return name

    # --- what the pump says -----------------------------------------------------------------------------

    def on_frame(self, octets: bytes) -> Sequence[Output]:
        reply = taken_apart(octets, safe=self._safe)
        if isinstance(reply, Refused):
            return (reply,)
        if reply.address != self._address:
            return (Refused("another address"),)
        if reply.alarm:
            return self._on_alarm(reply.alarm)
        if self._outstanding is None:
            return (Refused("unasked"),)
        return self._on_answer(self._outstanding, reply)

    def _on_alarm(self, code: str) -> Sequence[Output]:
        if self._outstanding is None and not self._safe:
            return (Refused("unasked"),)
        new = code not in self._alarms
        # In safe mode the first packet of an alarm is the pump's own; the reply that says it again is ours.
        if self._outstanding is not None and not (self._safe and new):
            self._next.insert(0, self._outstanding)
            self._outstanding = None
        self._alarms.add(code)
        out: list[Output] = [_alarm(code, active=True)] if new else []
        out += self._became("alarm", ALARMS.get(code, f"alarm {code}"))
        if code == "R":
            self._forget()  # after the end of the delivery was told with what was last read
        return [*out, *self._status()]

    def _forget(self) -> None:
        """Power was lost: the volumes start from zero again, and nothing that was read before holds."""
        self._known = structs.replace(self._known, **{field: None for fields in FIELDS.values() for field in fields})
        self._start_ml = self._idle_ml = None

    def _on_answer(self, name: str, reply: Reply) -> Sequence[Output]:
        found = ANSWERS[name].fullmatch(reply.data)
        if found is None and reply.data not in ERRORS:
            return (Refused("answer does not fit"),)
        self._outstanding = None
        out: list[Output] = [_alarm(code, active=False) for code in sorted(self._alarms)]
        self._alarms.clear()
        if found is not None:
            out += self._learn(name, found.groups())
        elif reply.data in ASK_AGAIN:
            self._next.insert(0, name)
        else:
            self._known = structs.replace(self._known, **dict.fromkeys(FIELDS.get(name, ())))
        out += self._became(*STATES[reply.state])
        if self._known.state not in DELIVERING and name == "DIS" and reply.data not in ASK_AGAIN:
            out += self._ended() if self._ending else []
            self._idle_ml = self._known.delivered_ml
        return [*out, *self._status()]

    def _learn(self, name: str, values: tuple[str, ...]) -> list[Output]:
        """Keep what was answered to `name`."""
        self._known = structs.replace(self._known, **learned(name, values))
        if name == "VER":
            return [Identified(f"New Era {values[0]}, firmware {values[1]}")]
        if name == "DIS":
            self._step_ml = step_ml(values[0], values[2])
            if self._start_ml is not None and (self._known.delivered_ml or 0.0) < self._start_ml:
                self._start_ml = 0.0  # the pump's counter was cleared
        return []

    # --- transitions ------------------------------------------------------------------------------------

    def _became(self, state: PumpState, detail: str | None) -> list[Output]:
        """The state as of now; what its change means, where the state before was seen."""
        before = self._known.state
        self._known = structs.replace(self._known, state=state, detail=detail)
        if state == before:
            return []
        out: list[Output] = self._ended() if self._ending else []
        if state in DELIVERING and before is not None and before not in DELIVERING:
            if before != "paused":
                self._start_ml = self._idle_ml
            out.append(self._event(PumpStarted))
        elif before in DELIVERING and state not in DELIVERING:
            if (before, state) == ("infusing", "stopped"):
                self._ending = True
                self._next.insert(0, "DIS")
            else:
                out.append(self._event(PumpStopped))
        return out

    def _ended(self) -> list[Output]:
        """An infusion stopped and the volume is as known as it will be: complete, or cut short?"""
        self._ending = False
        return [self._event(PumpCompleted if self._reached_target() else PumpStopped)]

    def _reached_target(self) -> bool:
        target_ml, delivered_ml = self._known.target_ml, self._known.delivered_ml
        if not target_ml or delivered_ml is None:
            return False
        run_ml = delivered_ml - (self._start_ml or 0.0)
        # Counted from a start over zero, both readings are rounded to their last printed digit.
        slack_ml = self._step_ml if self._start_ml else 0.0
        return run_ml >= target_ml - slack_ml - FLOAT_SLACK_ML

    # --- telling ----------------------------------------------------------------------------------------

    def _event(self, kind: type[PumpStatus]) -> Said:
        return Said(kind(**structs.asdict(self._known)))

    def _status(self) -> list[Output]:
        """`pump.status` when something changed, and every so many replies when nothing did."""
        self._since_told += 1
        if self._known == self._told and self._since_told < self._repeat_after:
            return []
        self._told, self._since_told = self._known, 0
        return [Said(self._known)]


def _alarm(code: str, *, active: bool) -> Said:
    return Said(PumpAlarm(code=f"A?{code}", text=ALARMS.get(code, f"alarm {code}"), active=active))
