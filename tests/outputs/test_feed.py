"""The snapshots' task: right at once after a start of the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from esi_room.clock import ManualClock
from esi_room.events import Event, Lack, Payload, ProcedureCompleteness, ProcedureEnded
from esi_room.outputs.feed import StateFeed
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path

LACKS = ProcedureCompleteness(
    lacks=(Lack(item="recovery.padss", phase="recovery", text="PADSS"),),
    not_assessable={},
    syringes=(),
    deviations=(),
    complete=False,
)


async def told_after_a_restart(root: Path, clock: ManualClock) -> dict[str, Any]:
    """`state/procedure` as the next start of the daemon publishes it."""
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        published: dict[str, bytes] = {}
        feed = StateFeed(journal, clock, published.__setitem__)
        running = asyncio.create_task(feed.run())
        async with asyncio.timeout(10):
            while "state/procedure" not in published:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    said: dict[str, Any] = json.loads(published["state/procedure"])
    return said


async def ended(root: Path, clock: ManualClock) -> str:
    """A procedure that is over, and its record."""
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:

        async def say(payload: Payload) -> None:
            await journal.commit(Event(source="room", data=payload, received=clock.now()))

        case = await journal.switch("procedure", "a case")
        await say(ProcedureEnded(outcome="completed", origin="staff"))
        await say(LACKS)
        await journal.switch("standby", "it is over")
    return case


async def test_how_the_procedure_before_ended_is_known_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    case = await ended(tmp_path, clock)
    said = await told_after_a_restart(tmp_path, clock)
    assert (said["kind"], said["phase"], said["as_of"]["record"] > case) == ("standby", None, True)
    assert (said["completeness"]["record"], said["completeness"]["outcome"]) == (case, "completed")
    assert [lack["item"] for lack in said["completeness"]["lacks"]] == ["recovery.padss"]


async def test_a_damaged_record_before_the_open_one_does_not_end_the_daemon(tmp_path: Path) -> None:
    clock = ManualClock()
    path = journal_path(tmp_path, await ended(tmp_path, clock))
    path.write_bytes(
        path.read_bytes().replace(b'"type":"procedure.completeness",', b'"type":"procedure.completeness",,')
    )
    said = await told_after_a_restart(tmp_path, clock)
    assert (said["kind"], said["completeness"]) == ("standby", None)
