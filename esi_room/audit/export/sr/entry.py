"""What every entry of the log has (PS3.16 TID 3010): its moment, who observed it, a comment; and which journal entry
it is, so that it can be looked up."""

from __future__ import annotations

from typing import NamedTuple

from pydicom.dataset import Dataset

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.sr import codes as c
from esi_room.audit.export.sr import items as i
from esi_room.clock import NS, parse_rfc3339
from esi_room.events import Clinical

LATER_NS = NS  # recorded so much after it happened: both times are said then
ROOM = "room"
ENTRY = c.own("entry", "Entry of the record: record id and seq")


class Logged(NamedTuple):
    """An entry of the log. Those of one moment keep the order in which they were made."""

    wall_ns: int
    item: Dataset


def logged(wall_ns: int, item: Dataset) -> Logged:
    """With its Observation DateTime."""
    item.ObservationDateTime = i.dt(wall_ns)
    return Logged(wall_ns, item)


def when(said: Said) -> int:
    """It happened."""
    return parse_rfc3339(said.entry.time) if said.taken is None else said.taken.time_ns


def qualifiers(case: Case, said: Said, comment: str = "", action: str = "") -> list[Dataset]:
    """`comment`: in words. `action`: the id of what it begins, ends or belongs to."""
    found = _observer(case, said)
    received_ns = parse_rfc3339(said.entry.received)
    if received_ns - when(said) >= LATER_NS:
        found.append(i.moment(i.OBS, c.RECORDED, received_ns))
        if isinstance(said.data, Clinical):  # somebody remembered when
            found.append(i.code(i.OBS, c.WHEN_QUALIFIER, c.ESTIMATED))
    if comment:
        found.append(i.text(i.HAS, c.COMMENT, comment))
    if action:
        found.append(i.text(i.HAS, c.ACTION_ID, action))
    return [*found, i.text(i.HAS, ENTRY, f"{said.entry.record}#{said.entry.seq}")]


def _observer(case: Case, said: Said) -> list[Dataset]:
    """Where it is not the room, which observes the whole log."""
    actor, source = getattr(said.data, "actor", None), said.entry.source
    if actor:
        return [i.pname(i.OBS, c.PERSON_NAME, actor)]
    return [] if source == ROOM else observing_device(case, source)


def observing_device(case: Case, source: str) -> list[Dataset]:
    """TID 1004."""
    room = source if case.opened is None else case.opened.room
    return [
        i.code(i.OBS, c.OBSERVER_TYPE, c.DEVICE),
        i.uidref(i.OBS, c.DEVICE_UID, i.uid(f"device/{room}/{source}")),
        i.text(i.OBS, c.DEVICE_NAME, room if source == ROOM else source),
    ]
