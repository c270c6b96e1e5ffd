"""Reading the journal as it grows: what everybody stands on who passes lines or objects on. No polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from esi_room.record.entry import Cursor, Line
from esi_room.record.journal import Journal
from esi_room.record.reader import read


async def follow(journal: Journal, cursor: Cursor) -> AsyncIterator[list[Line]]:
    """The committed lines from `cursor` on, for ever, in lists that are never empty."""
    seen = cursor
    while True:
        end = await journal.beyond(seen)
        lines = read(journal.root, cursor, end)
        # Nothing to read although the head moved: the next record is open and its first line is not yet on disk.
        seen = lines[-1].after if lines else end
        if lines:
            cursor = seen
            yield lines
            await asyncio.sleep(0)  # a long backlog must not hold up the loop
