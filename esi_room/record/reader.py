"""Reading the record while it grows: whole lines from one place to another, across records.

The journal file is the outbox: whoever publishes is a cursor over it, and what it reads are the octets on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

from esi_room.record.entry import RECORD_ID, Cursor, Line
from esi_room.record.verify_lines import MAX_LINE_BYTES, opened

JOURNAL = "journal.jsonl"
_TAIL_BYTES = 64 << 10  # a seal has some hundred bytes a device


def records(root: Path) -> list[str]:
    """Ids of the room's records under `<data>/records`, oldest first (ids sort in the order of the chain)."""
    folder = root / "records"
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if RECORD_ID.fullmatch(p.name) and p.is_dir())


def directory(root: Path, record: str) -> Path:
    """Where a record lies."""
    return root / "records" / record


def journal_path(root: Path, record: str) -> Path:
    """A record's journal."""
    return directory(root, record) / JOURNAL


def first(root: Path) -> Cursor | None:
    """The room's very first line; None while there is no record."""
    ids = records(root)
    return Cursor(ids[0], 0, 0) if ids else None


def tail(root: Path, record: str, octets: int) -> list[bytes]:
    """The last whole lines of a record's journal, of about so many octets; none where there is no journal."""
    try:
        with opened(journal_path(root, record)) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - octets))
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return lines if size <= octets else lines[1:]


def last_line(file: IO[bytes], end_bytes: int) -> bytes:
    """The last line that ends at `end_bytes`, read from the end: a journal may be long. Of what is longer than any line
    the end."""
    tail_bytes = _TAIL_BYTES
    while True:
        begin = max(0, end_bytes - tail_bytes)
        file.seek(begin)
        found = file.read(end_bytes - begin)
        start = found.rfind(b"\n", 0, -1) + 1
        if start or begin == 0 or tail_bytes >= MAX_LINE_BYTES:
            return found[start:]
        tail_bytes *= 8


def find(root: Path, record: str, seq: int) -> Cursor | None:
    """The place of line `seq` of `record` (the end of the journal counts); None if there is no such line."""
    if RECORD_ID.fullmatch(record) is None or seq < 0:
        return None
    try:
        with opened(journal_path(root, record)) as file:
            offset = 0
            for _ in range(seq):
                line = file.readline()
                if not line.endswith(b"\n"):
                    return None
                offset += len(line)
    except FileNotFoundError:
        return None
    return Cursor(record, seq, offset)


def read(root: Path, start: Cursor, end: Cursor, *, max_lines: int = 500, max_bytes: int = 1 << 20) -> list[Line]:
    """The lines from `start` up to `end` (what is committed), at most `max_lines` of them or about `max_bytes`;
    at least one if there is one. A start at the end of a finished record goes on in the next."""
    lines: list[Line] = []
    while start != end and len(lines) < max_lines and max_bytes > 0:
        limit = end.offset if start.record == end.record else None
        chunk = _read_one(root, start, limit, max_lines - len(lines), max_bytes)
        if chunk:
            lines += chunk
            max_bytes -= sum(len(line.octets) for line in chunk)
            start = chunk[-1].after
            continue
        following = None if start.record == end.record else _next_record(root, start.record)
        if following is None or following > end.record:
            break
        start = Cursor(following, 0, 0)
    return lines


def _read_one(root: Path, start: Cursor, limit: int | None, max_lines: int, max_bytes: int) -> list[Line]:
    lines: list[Line] = []
    try:
        file = opened(journal_path(root, start.record))
    except FileNotFoundError:  # removed by retention: its lines are nowhere to be read any more
        return lines
    with file:
        file.seek(start.offset)
        at = start
        while len(lines) < max_lines and max_bytes > 0 and (limit is None or at.offset < limit):
            octets = file.readline()
            if not octets.endswith(b"\n"):
                break
            at = Cursor(at.record, at.seq + 1, at.offset + len(octets))
            lines.append(Line(at.record, at.seq - 1, octets, at))
            max_bytes -= len(octets)
    return lines


def _next_record(root: Path, record: str) -> str | None:
    return next((other for other in records(root) if other > record), None)
