"""A record in a line: what the list shows of it. It is read, not verified.

Rules:
- Nothing of the patient; the procedure's words are the staff's.
- Of a long journal the first line, the last one, and those that count are parsed; they are found by their octets.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.clock import parse_rfc3339
from esi_room.events import AlertRaised, CarmImage, Entry, ProcedureEnded, ProcedureStarted, RecordOpened
from esi_room.record.reader import journal_path, last_line
from esi_room.record.scan import payloads
from esi_room.record.verify_lines import is_regular


class Summary(NamedTuple):
    """`opened_ns`, `last_ns`: of its first and last line. `sealed`: it has its last line. `kind` None: its first line
    cannot be read. `deviations`: alerts of the rules that were raised, each once."""

    record: str
    kind: str | None
    zone: str
    opened_ns: int
    last_ns: int
    sealed: bool
    procedure: str | None
    outcome: str | None
    images: int
    deviations: int


class Stat(NamedTuple):
    """A file as it was: another one, or one that was written to, differs."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def stat(path: Path) -> Stat | None:
    """None: it is not there."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return Stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def summary(data: Path, record: str) -> Summary:
    """As far as its journal can be read. What is no file of its own (a link, a pipe) is not opened."""
    readable = is_regular(journal_path(data, record))
    opened, last = _ends(journal_path(data, record)) if readable else (None, None)
    started, outcome, images, alerts = None, None, 0, set[str]()
    wanted = (ProcedureStarted, ProcedureEnded, CarmImage, AlertRaised)
    for _, data_of in payloads(data, record, *wanted) if readable else ():
        if isinstance(data_of, ProcedureStarted):
            started = data_of.procedure or started
        elif isinstance(data_of, ProcedureEnded):
            outcome = data_of.outcome
        elif isinstance(data_of, AlertRaised):
            alerts.add(data_of.alert)
        elif data_of.rows is not None and data_of.duplicate_of is None and data_of.taken_in in (None, record):
            images += 1
    first = _opened(opened)
    return Summary(
        record=record,
        kind=None if first is None else first.kind,
        zone="UTC" if first is None else first.timezone,
        opened_ns=_time(opened),
        last_ns=_time(last),
        sealed=last is not None and last.type == "record.sealed",
        procedure=started,
        outcome=outcome,
        images=images,
        deviations=len(alerts),
    )


def _ends(journal: Path) -> tuple[Entry | None, Entry | None]:
    try:
        with journal.open("rb") as file:
            first = file.readline(1 << 20)
            return _entry(first), _entry(last_line(file, file.seek(0, os.SEEK_END)))
    except OSError:
        return None, None


def _entry(octets: bytes) -> Entry | None:
    try:
        return msgspec.json.decode(octets, type=Entry)
    except msgspec.MsgspecError:
        return None


def _opened(entry: Entry | None) -> RecordOpened | None:
    try:
        return None if entry is None else msgspec.json.decode(entry.data, type=RecordOpened)
    except msgspec.MsgspecError:
        return None


def _time(entry: Entry | None) -> int:
    try:
        return 0 if entry is None else parse_rfc3339(entry.received)
    except ValueError:
        return 0
