"""From where to where: a phase of the procedure, or a time.

--from guidance          the first entry that says so, and on
--to 10:35               up to the first entry received then or later; by the room's clock and zone
--from 2026-11-23T09:41:00Z
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import NamedTuple, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from esi_room.clock import parse_rfc3339
from esi_room.errors import ConfigurationError
from esi_room.events import Entry, Phase, ProcedurePhase, RecordOpened

PHASES: tuple[str, ...] = get_args(Phase)
_OF_THE_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


class Place(NamedTuple):
    """A place in a record: the first entry that names `phase`, or that was received at `wall_ns` or later."""

    phase: str | None = None
    wall_ns: int = 0

    def reached(self, entry: Entry) -> bool:
        """Whether `entry` is the first at or behind it; to be asked of each in turn, until it is."""
        try:
            if self.phase is None:
                return parse_rfc3339(entry.received) >= self.wall_ns
            if entry.type != ProcedurePhase.TYPE:
                return False
            return msgspec.json.decode(entry.data, type=ProcedurePhase).phase == self.phase
        except ValueError:  # only in a record that does not hold; msgspec's own errors are such, too
            return False


def place(text: str, opened: Entry) -> Place:
    """What somebody wrote, for the record that begins with `opened`. ConfigurationError where it is neither."""
    if text in PHASES:
        return Place(phase=text)
    try:
        if _OF_THE_DAY.fullmatch(text):
            return Place(wall_ns=_of_the_day(time.fromisoformat(_two_digits(text)), opened))
        return Place(wall_ns=parse_rfc3339(text))
    except ValueError as error:
        allowed = f"a phase ({', '.join(PHASES)}), HH:MM[:SS] in the room's zone, or a time in RFC 3339"
        raise ConfigurationError([f"{text!r} is no place in a record; allowed: {allowed}"]) from error


def _of_the_day(wanted: time, opened: Entry) -> int:
    """The first such moment that is not before the record's first minute."""
    zone = _zone(opened)
    begin = datetime.fromisoformat(opened.received).astimezone(zone)
    moment = _at(begin.date(), wanted, zone)
    if moment < begin.replace(second=0, microsecond=0):
        moment = _at(begin.date() + timedelta(days=1), wanted, zone)
    return parse_rfc3339(moment.isoformat())


def _at(day: date, wanted: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, wanted, zone)


def _zone(opened: Entry) -> ZoneInfo:
    try:
        return ZoneInfo(msgspec.json.decode(opened.data, type=RecordOpened).timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("the record names no time zone that is known here") from error


def _two_digits(text: str) -> str:
    return text if text.index(":") == len("09") else f"0{text}"
