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

from esi_room.clock import Clock, SystemClock
from esi_room.events import AuditEvent
from esi_room.events.audit import MEANINGS, MOST_WORDS, Action, EventCode, Outcome
from esi_room.record import spool
from esi_room.record.disk import Disk
from esi_room.record.entry import RECORD_ID

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
    root, records = place(at)
    if root is None:
        return f"this use is not recorded: {at} does not lie in a room's data directory"
    said = AuditEvent(
        id=secrets.token_hex(16),
        event=event,
        meaning=MEANINGS[event],
        action=action,
        outcome=outcome,
        actor=(actor or spool.login())[:200],
        user=spool.user()[:200],
        what=what[:MOST_WORDS],
        records=records,
        reason=None if reason is None else reason[:MOST_WORDS],
        erased=erased,
    )
    try:
        spool.put(disk or Disk(), root, said, (clock or SystemClock()).now().wall_ns)
    except OSError as error:
        return f"this use is not recorded: {error.filename or root}: {error.strerror or error}"
    return None


def place(at: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The data directory in which a record or a data directory lies, None where that is no room's; and the record."""
    at = at.resolve()
    is_record = RECORD_ID.fullmatch(at.name) is not None and at.parent.name == "records"
    root = at.parent.parent if is_record else at
    return root if spool.is_room(root) else None, (at.name,) if is_record else ()
