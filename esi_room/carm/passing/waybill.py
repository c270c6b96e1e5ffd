"""How far a destination is: `<data>/forward/<id>.json`, one small file a destination, whole or not at all.

`since`: where the journal ended when the destination was first configured: what came before is not passed on.
`cursor`: everything before it was passed on, or is among `aside`. `aside`: what the destination would not take.

No patient identity: a place in the record and the reason.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from esi_room.record.disk import Disk
from esi_room.record.entry import Cursor
from esi_room.record.journal import Journal
from esi_room.record.reader import first

FOLDER = "forward"

log = structlog.get_logger()


class Aside(Struct, frozen=True):
    """An entry whose object the destination would not take, and what it said."""

    record: str
    seq: int
    status: str
    reason: str


class Waybill(Struct, frozen=True):
    """The file's content."""

    since: Cursor
    cursor: Cursor
    aside: tuple[Aside, ...] = ()

    def passed(self, record: str, seq: int) -> bool:
        """Whether the destination has the object of this entry."""
        since, cursor = (self.since.record, self.since.seq), (self.cursor.record, self.cursor.seq)
        return since <= (record, seq) < cursor and not any((a.record, a.seq) == (record, seq) for a in self.aside)


def path(root: Path, destination: str) -> Path:
    """Where a destination's waybill lies."""
    return root / FOLDER / f"{destination}.json"


def load(journal: Journal, destination: str) -> Waybill:
    """The waybill, or a new one (already on disk) that begins now. OSError where the disk does not take it."""
    file, head = path(journal.root, destination), journal.committed
    begins = head if head.record else Cursor(journal.record, 0, 0)
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Waybill)
    except FileNotFoundError:
        found = Waybill(since=begins, cursor=begins)
        save(journal.root, destination, found)
        return found
    except msgspec.MsgspecError as error:
        oldest = first(journal.root) or begins
        log.error("waybill_unreadable", path=str(file), reason=str(error), remedy="everything is passed on again")
        return Waybill(since=oldest, cursor=oldest)
    if (found.cursor.record, found.cursor.offset) > (head.record, head.offset):  # the data directory is an older copy
        log.error("waybill_ahead_of_record", path=str(file), remedy="passed on from here")
        return Waybill(since=min(found.since, begins, key=_place), cursor=begins, aside=found.aside)
    return found


def save(root: Path, destination: str, waybill: Waybill) -> None:
    """Durably. OSError where the disk does not take it."""
    disk, file = Disk(), path(root, destination)
    disk.make_directory(file.parent)
    disk.write_file(file, msgspec.json.encode(waybill) + b"\n")


def _place(cursor: Cursor) -> tuple[str, int]:
    return cursor.record, cursor.seq
