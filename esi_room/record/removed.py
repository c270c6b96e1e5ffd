"""What is left of a record that the room removed: its checkpoints, and the line that says so.

Whoever reads records meets such a directory: it has no journal, and never will have one again. Here is why, in words.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.events import Entry, RecordRemoved
from esi_room.record.entry import RECORD_ID
from esi_room.record.reader import directory, records
from esi_room.record.verify_retention import REMOVED


class Removal(NamedTuple):
    """The line, and what it says."""

    octets: bytes
    entry: Entry
    said: RecordRemoved

    @property
    def words(self) -> str:
        """When and why."""
        return f"was removed on {self.entry.time[:10]}: {self.said.reason}"

    @property
    def place(self) -> tuple[str, int]:
        """Where it stands: removals are chained in this order."""
        return self.entry.record, self.entry.seq


def removal(root: Path, record: str) -> Removal | None:
    """How the record was removed; None while it is there, or where it never was."""
    if RECORD_ID.fullmatch(record) is None:
        return None
    try:
        return parsed((directory(root, record) / REMOVED).read_bytes())
    except OSError:
        return None


def there(root: Path) -> list[str]:
    """The room's records but those that were removed, oldest first."""
    return [record for record in records(root) if removal(root, record) is None]


def parsed(octets: bytes) -> Removal | None:
    """The line, if it is one."""
    try:
        entry = msgspec.json.decode(octets, type=Entry)
        return Removal(octets, entry, msgspec.json.decode(entry.data, type=RecordRemoved))
    except msgspec.MsgspecError:  # `verify` names it
        return None
