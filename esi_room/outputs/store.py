"""What the embedded broker keeps on disk, `<data>/broker/jetstream`: taken away when an identity was erased.

Rules:
- The broker deletes a retained message without overwriting it: who the patient of a procedure was stays in its files
  until they are written anew. Nothing there is the only one of its kind: the room publishes all its states again, and
  an event that a client misses it asks for (`command/backfill`).
- While the broker runs its files are its own: then they go at the next start of the daemon, before the broker's.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from esi_room.record.disk import Disk

FOLDER = "broker"
_MESSAGES, _ASKED = "jetstream", "forget"


def keeps_messages(root: Path) -> bool:
    """Whether an embedded broker has files in this data directory."""
    return (root / FOLDER / _MESSAGES).is_dir()


def forget_at_next_start(root: Path, disk: Disk) -> None:
    """The broker runs now: its files go before it is started again. OSError."""
    disk.write_file(root / FOLDER / _ASKED, b"")


def forget_if_asked(root: Path, disk: Disk) -> None:
    """Before the broker is started. OSError: the disk."""
    if (root / FOLDER / _ASKED).exists():
        forget(root, disk)


def forget(root: Path, disk: Disk) -> None:
    """Overwrite the broker's messages and take them away; no broker runs. OSError: the disk, call it again."""
    store = root / FOLDER / _MESSAGES
    for path in sorted(store.rglob("*"), reverse=True):  # a folder's content comes before the folder
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            disk.erase_file(path)
    with contextlib.suppress(FileNotFoundError):
        store.rmdir()
    disk.erase_file(root / FOLDER / _ASKED)
    disk.sync_directory(root / FOLDER)
