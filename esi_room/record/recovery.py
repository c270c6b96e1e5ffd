"""What a crash or a power cut left at the end of a record, and what the daemon makes of it.

- A last line without its newline, or last lines that do not hold, were never acknowledged to anyone (they lay
  above the commit point): they are cut, and the octets cut are kept in a file beside the journal.
- A line that does not hold with sound lines after it is no torn tail: somebody or something changed the record.
  Nothing is cut; the record stays as it is and the room goes on in a new one, which says so.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.clock import parse_rfc3339
from esi_room.record.entry import NO_PREVIOUS, VERSION, sha256
from esi_room.record.reader import journal_path
from esi_room.record.removed import removal
from esi_room.record.verify_lines import MAX_LINE_BYTES, opened


class Head(msgspec.Struct):
    """What the chain needs of a line."""

    v: int
    record: str
    seq: int
    prev: str
    type: str
    received: str
    data: msgspec.Raw


class _Kind(msgspec.Struct):
    kind: str


class Found(NamedTuple):
    """The journal of the room's last record as it was found."""

    lines: int
    """Sound lines, counted from the first."""
    size_bytes: int
    """Octets of these."""
    prev: str
    """SHA-256 of the last sound line; of the record before where there is none."""
    sealed: bool
    kind: str | None
    last_received: str | None
    torn: bytes
    """What lies behind the sound lines and was never acknowledged."""
    broken: str | None
    """Why the record does not hold, where that is no torn tail."""


def examine(root: Path, record: str, previous_head: str | None) -> Found:
    """Read the journal of `record` from its first line. `previous_head`: hash of the last line of the record
    before, None where that is not to be checked."""
    try:
        file = opened(journal_path(root, record))
    except FileNotFoundError:
        return Found(0, 0, previous_head or NO_PREVIOUS, False, None, None, b"", None)
    lines, size, prev = 0, 0, previous_head
    last: Head | None = None
    kind: str | None = None
    with file:
        for octets in file:
            head = sound(octets, record, lines, prev)
            if head is None:
                rest = octets + file.read()
                return _unsound(rest, lines, size, prev, last, kind)
            if lines == 0:
                kind = _kind(head)
            lines, size, prev, last = lines + 1, size + len(octets), sha256(octets), head
    return _found(lines, size, prev, last, kind, b"", None)


def head_of(root: Path, record: str) -> str:
    """SHA-256 of the last whole line of a record's journal, sound or not; what the next record's `prev` names."""
    gone = removal(root, record)
    if gone is not None:
        return gone.said.head
    last = b""
    with opened(journal_path(root, record)) as file:
        for line in file:
            if line.endswith(b"\n"):
                last = line
    return sha256(last) if last else NO_PREVIOUS


def kind(root: Path, record: str) -> str | None:
    """What kind of record it is, by its first line; None where that does not hold, or is gone. OSError."""
    try:
        with opened(journal_path(root, record)) as file:
            head = sound(file.readline(MAX_LINE_BYTES), record, 0, None)
    except FileNotFoundError:
        return None
    return None if head is None else _kind(head)


def sound(octets: bytes, record: str, seq: int, prev: str | None) -> Head | None:
    """The line, if it is line `seq` of `record` and follows on `prev` (None: that is not to be checked)."""
    if not octets.endswith(b"\n"):
        return None
    try:
        head = msgspec.json.decode(octets, type=Head)
        parse_rfc3339(head.received)
    except (msgspec.MsgspecError, ValueError):
        return None
    fits = head.v == VERSION and head.record == record and head.seq == seq
    return head if fits and (prev is None or head.prev == prev) else None


def _kind(head: Head) -> str | None:
    try:
        return msgspec.json.decode(head.data, type=_Kind).kind
    except msgspec.MsgspecError:
        return None


def _unsound(rest: bytes, lines: int, size: int, prev: str | None, last: Head | None, kind: str | None) -> Found:
    if not damaged(rest):
        return _found(lines, size, prev, last, kind, rest, None)
    why = f"line {lines + 1} of its journal does not hold, and sound lines follow it"
    return _found(lines, size, prev, last, kind, b"", why)


def damaged(rest: bytes) -> bool:
    """Is this, from an unsound line on, more than a torn tail? Sound neighbours behind the unsound line mean damage."""
    behind = rest.split(b"\n")
    return any(sha256(one + b"\n").encode() in two for one, two in itertools.pairwise(behind) if one)


def _found(
    lines: int, size: int, prev: str | None, last: Head | None, kind: str | None, torn: bytes, broken: str | None
) -> Found:
    return Found(
        lines,
        size,
        prev or NO_PREVIOUS,
        last is not None and last.type == "record.sealed",
        kind,
        None if last is None else last.received,
        torn,
        broken,
    )


def examine_wire(path: Path) -> tuple[int, str, int, int]:
    """A wire file: its whole lines, the hash of the last, their size in bytes, and the octets torn behind it."""
    lines, prev, size = 0, NO_PREVIOUS, 0
    with opened(path) as file:
        for octets in file:
            if not octets.endswith(b"\n"):
                return lines, prev, size, len(octets)
            lines, prev, size = lines + 1, sha256(octets), size + len(octets)
    return lines, prev, size, 0
