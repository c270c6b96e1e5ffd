"""The journals read back by type of entry: what must be known after a restart is in the record itself.

A journal is mostly heartbeats; the lines of a type are found by their octets, and those alone are parsed. What does not
parse is `verify`'s business. Everything here reads whole journals: call it in a thread.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from esi_room.events import Entry, Payload
from esi_room.record.reader import journal_path, records

WINDOW_BYTES = 256 << 10  # searched at one go, less than a millisecond: no other thread runs meanwhile
MARK_BYTES = 64  # more than the octets of any type: one that lies across two windows is found in the second

Listener = Callable[[Entry, Any], None]
"""Is told an entry and its payload."""


def read_back(root: Path, listeners: Mapping[type[Payload], Sequence[Listener]]) -> None:
    """Tell every entry of the room, the oldest first, to whoever listens for its type. Each journal is read once."""
    by_type = {kind.TYPE: told for kind, told in listeners.items()}
    for record in records(root):
        for entry, payload in payloads(root, record, *listeners):
            for listener in by_type[entry.type]:
                listener(entry, payload)


def payloads(root: Path, record: str, *kinds: type[Payload]) -> Iterator[tuple[Entry, Any]]:
    """The entries of these types in a record's journal, in their order, each with its payload."""
    by_type = {kind.TYPE: kind for kind in kinds}
    for entry in entries(root, record, *kinds):
        payload = _parsed(entry.data, by_type[entry.type])
        if payload is not None:
            yield entry, payload


def entries(root: Path, record: str, *kinds: type[Payload]) -> Iterator[Entry]:
    """The entries of these types in a record's journal, in their order."""
    return (entry for _, entry in lines(root, record, *kinds))


def lines(root: Path, record: str, *kinds: type[Payload]) -> Iterator[tuple[bytes, Entry]]:
    """Likewise, each with its octets, newline included."""
    journal = journal_path(root, record)
    if not journal.is_file() or journal.stat().st_size == 0:
        return
    types = {kind.TYPE for kind in kinds}
    mark = re.compile(b'"type":"(?:%b)"' % b"|".join(re.escape(each).encode() for each in types))
    with journal.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        at, size = 0, len(octets)
        while at < size:
            found = mark.search(octets, at, at + WINDOW_BYTES)
            if found is None:
                at += WINDOW_BYTES - MARK_BYTES
                continue
            start, end = octets.rfind(b"\n", 0, found.start()) + 1, octets.find(b"\n", found.end())
            del found  # it holds the map open
            if end < 0:
                return
            entry = _parsed(octets[start:end], Entry)
            if entry is not None and entry.type in types:
                yield octets[start : end + 1], entry
            at = end


def _parsed(octets: bytes | msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(octets, type=kind)
    except msgspec.MsgspecError:
        return None
