"""The entries of a record, one after the other, in the memory of one.

A line that is no entry, or one of another version (only a record that does not hold has one), is passed over. `verify`
names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from esi_room.clock import parse_rfc3339
from esi_room.errors import BrokenRecord
from esi_room.events import Entry
from esi_room.record.reader import JOURNAL
from esi_room.record.verify_lines import VERSION, lines, opened

_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_decoder = msgspec.json.Decoder(Entry)


class Numbered(NamedTuple):
    """An entry and its octets, newline included."""

    octets: bytes
    entry: Entry


def entries(record: Path) -> Iterator[Numbered]:
    """Of the record in this directory. What stands behind the last newline is being written, or was not finished.
    BrokenRecord: there is no journal that could be read."""
    with _opened(record / JOURNAL) as file:
        for octets in lines(file):
            if not octets.endswith(b"\n"):
                return
            try:
                entry = _decoder.decode(octets)
                parse_rfc3339(entry.received)
            except ValueError:  # msgspec's own errors are such, too
                continue
            if entry.v == VERSION and _TYPE.fullmatch(entry.type):  # it becomes a topic
                yield Numbered(octets, entry)


def _opened(path: Path) -> BinaryIO:
    try:
        return opened(path)
    except OSError as error:
        raise BrokenRecord(f"{path} cannot be read: {error.strerror}") from error
