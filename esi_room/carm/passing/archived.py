"""What the archives have of a record: retention asks, before anything of it goes.

Rules:
- What is asked is on disk, so that the answer is the same in the daemon and in a look from outside: waybills, and the
  entries of the journals.
- A record with something still to be passed on waits, whoever it is for; what was set aside is tried again at the next
  start, and so waits too. So does an object that somebody was asked to stand for, until the answer is there.
- An archive that retention relies on (`only`) must have every image. One that is asked to commit has it when an entry
  says that it committed itself; any other, when it was sent the object and answered.
- An object that came again was sent once: with its first entry.
- Everything here reads whole journals: call it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct, field

from esi_room.carm.passing import waybill
from esi_room.carm.passing.waybill import Waybill
from esi_room.carm.settings import Destination
from esi_room.events import CarmCommitment, CarmForward, CarmImage, CarmMpps, Entry
from esi_room.record.reader import records
from esi_room.record.removed import there
from esi_room.record.scan import payloads

NEVER = "not committed"  # `carm.forward`: it was asked again and again

_Object = tuple[Entry, CarmImage | CarmMpps]


class _Said(Struct):
    """What a journal says of commitment. By destination: SOP instance UIDs."""

    committed: dict[str, set[str]] = field(default_factory=dict)
    never: dict[str, set[str]] = field(default_factory=dict)
    asked: dict[str, set[str]] = field(default_factory=dict)
    """By the transaction that a peer asked for."""
    reported: set[str] = field(default_factory=set)


class Archives:
    """Of the records under `root`. OSError."""

    def __init__(self, root: Path, destinations: Iterable[Destination], only: Iterable[str]) -> None:
        self._root, self._destinations, self._only = root, tuple(destinations), frozenset(only)
        self._read: dict[str, _Said] = {}

    def why_waits(self, record: str) -> str | None:
        """What is still to be done with the objects of a sealed record; None: nothing."""
        objects: list[_Object] = list(payloads(self._root, record, CarmImage, CarmMpps))
        if not objects:
            return None
        said = self._said()
        problems = (self._problem(each, objects, said) for each in self._destinations)
        return next(filter(None, problems), None) or _pledged(objects, said)

    def speaks_of_older(self, record: str) -> str | None:
        """An archive's word, which retention goes by, for images of an older record that is still there."""
        said = _read(self._root, record)
        promised = {uid for uids in said.committed.values() for uid in uids}
        for older in there(self._root) if promised else ():
            images = payloads(self._root, older, CarmImage) if older < record else ()
            if any(image.sop_instance_uid in promised for _, image in images):
                return f"an archive's word for images of {older}, which is still there, stands in it"
        return None

    def _problem(self, destination: Destination, objects: list[_Object], said: list[_Said]) -> str | None:
        way, name = self._waybill(destination.id), destination.id
        waiting = sum(_is_waiting(destination, way, each) for each in objects)
        if waiting:
            return f"{waiting} of its objects are still to be passed on to {name}"
        images = [(entry, image) for entry, image in objects if isinstance(image, CarmImage)]
        sent = [image.sop_instance_uid for entry, image in images if _has(way, entry, image)]
        if not destination.commitment:
            missing = len(images) - len(sent) if name in self._only else 0
            return f"{missing} of its images were never passed on to {name}" if missing else None
        committed = {uid for one in said for uid in one.committed.get(name, ())}
        never = {uid for one in said for uid in one.never.get(name, ())}
        wanted = {image.sop_instance_uid for _, image in images} if name in self._only else set(sent) - never
        missing = len(wanted - committed)
        return f"{name} has not committed itself to {missing} of its images" if missing else None

    def _waybill(self, destination: str) -> Waybill | None:
        try:
            return msgspec.json.decode(waybill.path(self._root, destination).read_bytes(), type=Waybill)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None  # nothing was passed on to it yet, or all will be passed on again

    def _said(self) -> list[_Said]:
        """Sealed journals never change: each is read once, but for the newest."""
        *sealed, newest = records(self._root)
        for record in sealed:
            if record not in self._read:
                self._read[record] = _read(self._root, record)
        return [*(self._read[record] for record in sealed), _read(self._root, newest)]


def _is_waiting(destination: Destination, way: Waybill | None, one: _Object) -> bool:
    entry, what = one
    concerns = destination.mpps if isinstance(what, CarmMpps) else destination.images
    if way is None or not concerns or _came_again(way, what):
        return False
    place, since, cursor = (entry.record, entry.seq), way.since, way.cursor
    before = place < (since.record, since.seq)
    aside = any((each.record, each.seq) == place for each in way.aside)
    return not before and (aside or place >= (cursor.record, cursor.seq))


def _has(way: Waybill | None, entry: Entry, image: CarmImage) -> bool:
    if way is None:
        return False
    first = image.duplicate_of if _came_again(way, image) else None
    return way.passed(entry.record, entry.seq) if first is None else way.passed(first.record, first.seq)


def _came_again(way: Waybill, what: CarmImage | CarmMpps) -> bool:
    """It is not sent: it was sent before."""
    first = what.duplicate_of if isinstance(what, CarmImage) else None
    return first is not None and (first.record, first.seq) >= (way.since.record, way.since.seq)


def _pledged(objects: list[_Object], said: list[_Said]) -> str | None:
    """A peer waits to hear whether the room stands for one of them; for that their files are read."""
    reported = {uid for one in said for uid in one.reported}
    asked = {uid for one in said for key, uids in one.asked.items() if key not in reported for uid in uids}
    if any(what.sop_instance_uid in asked for _, what in objects):
        return "a peer waits to hear whether the room stands for its objects"
    return None


def _read(root: Path, record: str) -> _Said:
    said = _Said()
    for _, payload in payloads(root, record, CarmCommitment, CarmForward):
        if isinstance(payload, CarmForward):
            if payload.status == NEVER:
                said.never.setdefault(payload.destination, set()).add(payload.sop_instance_uid)
        elif payload.by == "destination":
            said.committed.setdefault(payload.peer, set()).update(payload.committed)
        elif payload.state == "asked":
            said.asked[payload.transaction_uid] = set(payload.instances)
        else:
            said.reported.add(payload.transaction_uid)
    return said
