"""Who used the record: the one function that every tool calls when it has verified, shown, replayed or exported it.

Rules:
- It never stops the tool: where a use cannot be recorded it says why, in one line, and the tool works all the same.
- The word is durable when it returns. The daemon takes it into the room's open record, at once or when it runs again.
- Who: as `actor` says, else the user logged in (the one behind `sudo`). Who can write the data directory can say
  anything here; this tells of people who use the tools as they are meant.
- Never who the patient is.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from esi_room.clock import Clock, SystemClock, rfc3339
from esi_room.events import AuditEvent, Entry
from esi_room.events.audit import (
    AUDIT_LOG_USED,
    EXPORT,
    MEANINGS,
    MOST_NAME,
    MOST_WORDS,
    PROCEDURE_RECORD,
    Action,
    EventCode,
    Outcome,
)
from esi_room.record import spool
from esi_room.record.disk import Disk
from esi_room.record.entry import RECORD_ID
from esi_room.record.reader import records
from esi_room.record.scan import payloads

DONE: Outcome = 0
CUT_SHORT: Outcome = 4
FAILED: Outcome = 8


def note(
    at: Path,
    event: EventCode,
    action: Action,
    what: str,
    *,
    outcome: Outcome = DONE,
    actor: str | None = None,
    reason: str | None = None,
    erased: tuple[str, ...] = (),
    clock: Clock | None = None,
    disk: Disk | None = None,
) -> str | None:
    """Record that `what` was done with the record, or the data directory, that `at` is. Blocks for a moment.
    `erased`: files that go now, as `esi_room.record.erasing` names them.

    None where that is recorded; else why it is not, for the user to read."""
    root, of = place(at)
    if root is None:
        return f"this use is not recorded: {at} does not lie in a room's data directory"
    said = AuditEvent(
        id=secrets.token_hex(16),
        event=event,
        meaning=MEANINGS[event],
        action=action,
        outcome=outcome,
        actor=_text(actor or spool.login(), MOST_NAME),
        user=_text(spool.user(), MOST_NAME),
        what=_text(what, MOST_WORDS),
        records=of,
        reason=_text(reason, MOST_WORDS) if reason else None,
        erased=erased,
    )
    try:
        spool.put(disk or Disk(), root, said, (clock or SystemClock()).now().wall_ns)
    except OSError as error:
        return f"this use is not recorded in {root}: {error.strerror or error}"
    return None


def _text(text: str, most: int) -> str:
    """One line that prints: a command line may hold line ends, and octets that are no UTF-8."""
    return "".join(each if each.isprintable() else "?" for each in text[:most])


def place(at: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The data directory in which a record or a data directory lies, None where that is no room's; and the record."""
    at = at.resolve()
    is_record = RECORD_ID.fullmatch(at.name) is not None and at.parent.name == "records"
    root = at.parent.parent if is_record else at
    return root if spool.is_room(root) else None, (at.name,) if is_record else ()


class Used(NamedTuple):
    """A use of the record as it is known: `time` of it, and its entry; None while it waits."""

    time: str
    said: AuditEvent
    entry: Entry | None

    @property
    def of_room(self) -> bool:
        """Whether it was a use of every record that was there."""
        return not self.said.records and self.said.event in (AUDIT_LOG_USED, EXPORT, PROCEDURE_RECORD)

    @property
    def where(self) -> str:
        """`#4 of 20261123T093000Z-1f2e`."""
        return "waits to be recorded" if self.entry is None else f"#{self.entry.seq} of {self.entry.record}"


def uses(root: Path, of: str | None = None) -> list[Used]:
    """Who used the room's records, or the record `of`, in the order of their times: what the journals say, and what
    waits in the spool. Reads whole journals."""
    found: dict[str, Used] = {}
    for path in sorted(spool.folder(root).glob(f"*{spool.SUFFIX}")):
        try:
            use = spool.read(path)
        except (ValueError, OSError):
            continue  # the daemon says what it is
        found[use.said.id] = Used(rfc3339(use.wall_ns), use.said, None)
    for record in records(root):
        if of is not None and record < of:
            continue  # nobody speaks of what was not there
        for entry, said in payloads(root, record, AuditEvent):
            found[said.id] = Used(entry.time, said, entry)
    wanted = (each for each in found.values() if of is None or concerns(each, of))
    return sorted(wanted, key=lambda each: (each.time, each.said.id))


def concerns(used: Used, record: str) -> bool:
    """Whether it was a use of this record: one of the whole room was one of every record that was there."""
    there = used.time.replace("-", "").replace(":", "")[:15] >= record[:15]
    return record in used.said.records or (used.of_room and there)
