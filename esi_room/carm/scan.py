"""The journals read back by type of entry: what the C-arm's side must know after a restart is in the record itself.

A journal is mostly heartbeats; the lines of one type are found by their octets, and those alone are parsed.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import msgspec

from esi_room.events import Entry, Payload
from esi_room.record.reader import journal_path


def entries(root: Path, record: str, kind: type[Payload]) -> Iterator[Entry]:
    """The entries of `kind` in a record's journal, in their order. A line that does not parse is `verify`'s business.

    Reads the journal once: call it in a thread."""
    journal = journal_path(root, record)
    if not journal.is_file() or journal.stat().st_size == 0:
        return
    mark = f'"type":"{kind.TYPE}"'.encode()
    with journal.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        at = octets.find(mark)
        while at >= 0:
            start, end = octets.rfind(b"\n", 0, at) + 1, octets.find(b"\n", at)
            if end < 0:
                return
            entry = _parsed(octets[start:end])
            if entry is not None and entry.type == kind.TYPE:
                yield entry
            at = octets.find(mark, end)


def _parsed(line: bytes) -> Entry | None:
    try:
        return msgspec.json.decode(line, type=Entry)
    except msgspec.MsgspecError:
        return None
