"""Erasing what may say who the patient was: the files, and nothing of the chain.

Rules:
- What is to be erased is said first, durably (an `audit.event` with `erased`, in the spool or in the record).
  Then it goes. Doing it again does no harm: whoever finds the word of it, finishes it.
- A file is overwritten before its name is taken away. That is what a program can do: snapshots of the disk, backups and
  flash memory may have other copies.
- Only files of these names, in these directories of a record, and no link is followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from esi_room.record.disk import Disk

IDENTITY = "private/identity.json"
_ERASABLE = re.compile(
    r"(?P<record>\d{8}T\d{6}Z-[0-9a-f]{4})/(?P<file>private/(identity\.json|[0-9a-f]{64}\.mpps)(\.new)?"
    r"|frames/[0-9a-f]{64}\.dcm|wire/[A-Za-z0-9_-]{1,64}\.jsonl)"
)


def why_not(name: str, open_record: str) -> str | None:
    """Why the file `name` (`<record>/private/identity.json`) is not one to be erased; None if it is."""
    match = _ERASABLE.fullmatch(name)
    if match is None:
        return f"{name[:160]!r} is no file that can be erased"
    if match["record"] == open_record and match["file"] == IDENTITY:
        return f"record {open_record} is open: who is on the table is not erased before the procedure is over"
    return None


def is_erasable(name: str) -> bool:
    """Whether `name` is one of those files."""
    return _ERASABLE.fullmatch(name) is not None


def erase(disk: Disk, root: Path, names: Iterable[str]) -> None:
    """Take these files of the room's records away, as far as they are there. OSError: the disk. Blocks."""
    folders: set[Path] = set()
    for name in names:
        path = root / "records" / name
        if path.parent.is_dir() and not path.parent.is_symlink():
            disk.erase_file(path)
            folders.add(path.parent)
    for folder in folders:
        disk.sync_directory(folder)
