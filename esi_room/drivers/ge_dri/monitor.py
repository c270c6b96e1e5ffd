"""One monitor: records into entries, with what must be known from the records before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from esi_room.drivers.contract import Ask, Identified, Info, Output, Refused, Said
from esi_room.drivers.edges import Condition, Edges
from esi_room.drivers.ge_dri import wire
from esi_room.drivers.ge_dri.numerics import Nibp, Values, aux, values
from esi_room.drivers.ge_dri.subscription import Requests, Subscription
from esi_room.drivers.ge_dri.waves import alarms, waveform
from esi_room.drivers.ge_dri.words import ALARMING
from esi_room.events import Reading, VitalsNumeric
from esi_room.framing import Grammar

DISPLAYED, TREND_10_S, TREND_60_S, AUX = 1, 2, 3, 4  # subrecord types of maintype 0
TRENDS = {TREND_10_S: "trend_10_s", TREND_60_S: "trend_60_s"}
ALARM_STATUS = 1  # subrecord type of maintype 4


class Cuff:
    """Tells a cuff value once, when it was measured: the monitor repeats it in every record until the next.

    A measurement is over when `measuring` falls, or when the age flag does: equal values are a new measurement,
    and a change of values alone is none.
    """

    def __init__(self) -> None:
        self._due = self._first = True  # the first value seen after the line opened is told, whatever its age
        self._measuring = self._old = False
        self._told: tuple[Reading, ...] = ()

    def update(self, nibp: Nibp) -> tuple[Reading, ...]:
        """The readings of this record that are news."""
        self._due |= (self._measuring and not nibp.measuring) or (self._old and not nibp.old)
        self._measuring, self._old = nibp.measuring, nibp.old
        if nibp.measuring:
            return ()
        if not nibp.active or not nibp.valid:
            return self._changed(nibp.readings)
        if not self._due:
            return ()
        news = () if nibp.old and not self._first else nibp.readings
        self._due = self._first = False
        self._told = news
        return news

    def _changed(self, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
        """No value: told once; one that comes later is still due."""
        news = () if readings == self._told else readings
        self._told = readings
        self._due = True
        return news


class Monitor:
    """A DRI monitor on one line."""

    def __init__(self, info: Info, requests: dict[int, Requests], checksum: wire.Checksum) -> None:
        self.info = info
        self.grammar: Grammar = wire.grammar(checksum)
        self._requests, self._checksum = requests, checksum
        self.on_open()

    def on_open(self) -> Sequence[Output]:
        self._subscription = Subscription(self._requests, self.info.max_silence_s)
        self._cuff = Cuff()
        self._identity: str | None = None
        self._by_class: dict[int, dict[str, Condition]] = {}
        self._conditions, self._displayed, self._silence = Edges(), Edges(), Edges()
        return ()

    def on_sent(self, octets: bytes) -> None:
        """What was asked changes nothing in how the answers are read."""

    def on_tick(self, now_s: float) -> Sequence[Ask]:
        return [Ask(octets) for octets in self._subscription.tick(now_s)]

    def on_frame(self, octets: bytes) -> Sequence[Output]:
        content = wire.contents(octets, self._checksum)
        record = content if isinstance(content, str) else wire.parsed(content)
        if isinstance(record, str):
            return (Refused(record),)
        if any(subrecord.type == wire.REQUEST for subrecord in record.subrecords):
            return (Refused("request"),)
        read = {wire.PHDB: self._on_values, wire.WAVE: self._on_waves, wire.ALARM: self._on_alarms}
        if record.maintype not in read:
            return (Refused(f"maintype {record.maintype}"),)
        out = read[record.maintype](record)
        if any(isinstance(said, Refused) for said in out):
            return out
        return [*self._identified(record), *out]

    def _identified(self, record: wire.Record) -> list[Output]:
        identity = f"GE DRI monitor, level {record.level}, plug id {record.plug_id:#06x}"
        if identity == self._identity:
            return []
        self._identity = identity
        return [Identified(identity)]

    # --- displayed values -------------------------------------------------------------------------------

    def _on_values(self, record: wire.Record) -> list[Output]:
        """One entry for all classes of a record. A record that is wrong anywhere says nothing."""
        live: list[Values] = []
        fields: dict[str, Any] = {}
        for subrecord in record.subrecords:
            if subrecord.type == AUX:
                more = aux(subrecord.data)
                if more is None:
                    return [Refused("subrecord cut off")]
                fields |= more
                continue
            decoded = values(subrecord.data)
            if decoded is None:
                return [Refused("subrecord cut off")]
            if subrecord.type == DISPLAYED:
                live.append(decoded)
            elif subrecord.type in TRENDS:
                fields.setdefault(TRENDS[subrecord.type], []).append(_trend(decoded))
            else:
                return [Refused(f"values type {subrecord.type}")]
        if len({part.class_ for part in live}) < len(live):
            return [Refused("class twice")]
        return self._live(record, live, fields)

    def _live(self, record: wire.Record, live: list[Values], fields: dict[str, Any]) -> list[Output]:
        readings: list[Reading] = []
        for part in live:
            readings += part.readings + (self._cuff.update(part.nibp) if part.nibp else ())
            fields |= part.fields
        conditions = tuple(word for part in live for word in part.conditions)
        time_s = live[0].time_s if live else record.time_s
        data = VitalsNumeric(
            readings=tuple(readings),
            stale_after_s=self.info.max_silence_s if live else None,
            conditions=conditions,
            fields=fields,
        )
        if live:
            self._subscription.values_came()
        return [_said(data, time_s), *(_said(alarm, time_s) for alarm in self._edges(live))]

    def _edges(self, live: list[Values]) -> list[Any]:
        """Alarming conditions. A class that is not in this record stays as it was."""
        for part in live:
            words = [word for word in part.conditions if word in ALARMING]
            self._by_class[part.class_] = {f"ge_dri:{w}": Condition(w.replace("_", " ")) for w in words}
        return self._conditions.update({k: v for part in self._by_class.values() for k, v in part.items()})

    # --- waveforms and alarms ---------------------------------------------------------------------------

    def _on_waves(self, record: wire.Record) -> list[Output]:
        out: list[Output] = []
        for subrecord in record.subrecords:
            block = waveform(subrecord.type, subrecord.data)
            if isinstance(block, str):
                return [Refused(block)]
            out.append(_said(block, record.time_s))
        self._subscription.waves_came()
        return out

    def _on_alarms(self, record: wire.Record) -> list[Output]:
        out: list[Output] = []
        for subrecord in record.subrecords:
            status = alarms(subrecord.data) if subrecord.type == ALARM_STATUS else None
            if status is None:
                return [Refused("alarm status cut off or unknown")]
            told = self._displayed.update(status.displayed) + self._silence.update(status.silence)
            out += [_said(alarm, record.time_s) for alarm in told]
        return out


def _trend(decoded: Values) -> dict[str, Any]:
    """A trend's values, kept as what they are: old, and no readings."""
    readings = decoded.readings + (decoded.nibp.readings if decoded.nibp else ())
    return {"time_s": decoded.time_s, **{r.name: r.value for r in readings if r.value is not None}}


def _said(data: Any, time_s: int) -> Said:
    """With the monitor's time, where it has one."""
    return Said(data, str(time_s), float(time_s)) if time_s else Said(data)
