"""The fold itself: which entry concerns whom, and what is finished by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from esi_room.events import (
    CarmImage,
    ClockStep,
    Delivery,
    DeviceGap,
    DeviceState,
    Payload,
    ProcedureEnded,
    ProcedurePhase,
    PumpAlarm,
    PumpCompleted,
    PumpStarted,
    PumpStatus,
    PumpStopped,
    VitalsNumeric,
)
from esi_room.events.clinical import Correction, DrawnUp, HandInjection
from esi_room.procedure.phases import ORDER
from esi_room.procedure.segments.book import Book
from esi_room.procedure.segments.draft import Moment
from esi_room.procedure.segments.hand import Hands
from esi_room.procedure.segments.pump import Pump

HAND = "hand"  # stands for the injection by hand among the ids of pumps

Action = Callable[["Segments", Moment, str, Any], None]


class Segments:
    """The deliveries of one record. Of a record that is read again, what is returned is in it already where a
    `procedure.delivery` with the same number is."""

    def __init__(self) -> None:
        self._book = Book()
        self._hands = Hands(self._book)
        self._pumps: dict[str, Pump] = {}
        self._seq = 0

    def take(self, seq: int, time_ns: int, source: str, payload: Payload) -> list[Delivery]:
        """The next entry; the deliveries that are finished by it."""
        # What the staff or the C-arm say may have happened a while ago: it does not tell how late it is.
        tells_time, self._seq = isinstance(payload, _LIVE), seq
        if tells_time:
            self._book.settle(time_ns)
        action = _ACTIONS.get(type(payload))
        if action is not None:
            action(self, Moment(seq, time_ns), source, payload)
        if tells_time:
            self._book.settle(time_ns)
        return self._book.take_out()

    def due(self, now_ns: int) -> list[Delivery]:
        """It is `now_ns`: the deliveries that are finished by time passing."""
        self._book.settle(now_ns)
        return self._book.take_out()

    def close(self, now_ns: int) -> list[Delivery]:
        """The procedure ends now, whether an entry says so or not: everything that is left."""
        self._close(Moment(self._seq, now_ns))
        return self._book.take_out()

    @property
    def open(self) -> frozenset[str]:
        """For whom a delivery is under way, or stands and may go on: ids of pumps, HAND."""
        return frozenset(draft.device or HAND for draft in self._book.open)

    # --- by entry -----------------------------------------------------------------------------------------

    def _pump(self, device: str) -> Pump:
        return self._pumps.setdefault(device, Pump(device, self._book))

    def _status(self, at: Moment, source: str, said: PumpStatus) -> None:
        self._pump(source).said(at, said)

    def _alarm(self, at: Moment, source: str, alarm: PumpAlarm) -> None:
        self._pump(source).alarm(at, alarm)

    def _line(self, at: Moment, source: str, line: DeviceState) -> None:
        if source in self._pumps:
            self._pumps[source].line(at, line)

    def _gap(self, _at: Moment, source: str, gap: DeviceGap) -> None:
        if source in self._pumps:
            self._pumps[source].gap(gap)

    def _vitals(self, at: Moment, source: str, numeric: VitalsNumeric) -> None:
        self._book.vitals.take(at.seq, at.time_ns, source, numeric)

    def _image(self, at: Moment, _source: str, image: CarmImage) -> None:
        self._book.image(at, image)

    def _drawn_up(self, at: Moment, _source: str, drawn_up: DrawnUp) -> None:
        self._book.syringes.fill(at.seq, at.time_ns, drawn_up)

    def _hand(self, at: Moment, _source: str, mark: HandInjection) -> None:
        self._hands.mark(at, mark)

    def _correction(self, _at: Moment, _source: str, correction: Correction) -> None:
        self._book.syringes.correct(correction)
        self._hands.correct(correction)

    def _phase(self, _at: Moment, _source: str, entered: ProcedurePhase) -> None:
        if ORDER.index(entered.phase) >= ORDER.index("recovery"):
            for pump in self._pumps.values():
                pump.give_up()

    def _step(self, _at: Moment, _source: str, _step: ClockStep) -> None:
        for draft in self._book.open:
            draft.time_known = False

    def _ended(self, at: Moment, _source: str, _ended: ProcedureEnded) -> None:
        self._close(at)

    def _close(self, at: Moment) -> None:
        for pump in self._pumps.values():
            pump.close(at)
        self._hands.close(at)
        self._book.finish_all()

    def _written(self, _at: Moment, _source: str, delivery: Delivery) -> None:
        self._book.written(delivery)


_LIVE = (PumpStatus, PumpAlarm, DeviceState, DeviceGap, VitalsNumeric, ProcedurePhase)
_ACTIONS: dict[type[Payload], Action] = {
    PumpStatus: Segments._status,
    PumpStarted: Segments._status,
    PumpStopped: Segments._status,
    PumpCompleted: Segments._status,
    PumpAlarm: Segments._alarm,
    DeviceState: Segments._line,
    DeviceGap: Segments._gap,
    VitalsNumeric: Segments._vitals,
    CarmImage: Segments._image,
    DrawnUp: Segments._drawn_up,
    HandInjection: Segments._hand,
    Correction: Segments._correction,
    ProcedurePhase: Segments._phase,
    ClockStep: Segments._step,
    ProcedureEnded: Segments._ended,
    Delivery: Segments._written,
}
