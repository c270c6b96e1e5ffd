"""The snapshots' task: right at once after a start of the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

from esi_room.clock import ManualClock
from esi_room.events import Event, Lack, Payload, ProcedureCompleteness, ProcedureEnded
from esi_room.outputs.feed import StateFeed
from esi_room.record.journal import Identity, Journal

LACKS = ProcedureCompleteness(
    lacks=(Lack(item="recovery.padss", phase="recovery", text="PADSS"),),
    not_assessable={},
    syringes=(),
    deviations=(),
    complete=False,
)


async def test_how_the_procedure_before_ended_is_known_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    async with Journal.open(tmp_path, clock, Identity(room="esi-1")) as journal:

        async def say(payload: Payload) -> None:
            await journal.commit(Event(source="room", data=payload, received=clock.now()))

        case = await journal.switch("procedure", "a case")
        await say(ProcedureEnded(outcome="completed", origin="staff"))
        await say(LACKS)
        await journal.switch("standby", "it is over")
    async with Journal.open(tmp_path, clock, Identity(room="esi-1")) as journal:
        published: dict[str, bytes] = {}
        feed = StateFeed(journal, clock, published.__setitem__)
        running = asyncio.create_task(feed.run())
        async with asyncio.timeout(10):
            while "state/procedure" not in published:
                await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    said = json.loads(published["state/procedure"])
    assert (said["kind"], said["phase"], said["as_of"]["record"] > case) == ("standby", None, True)
    assert (said["completeness"]["record"], said["completeness"]["outcome"]) == (case, "completed")
    assert [lack["item"] for lack in said["completeness"]["lacks"]] == ["recovery.padss"]
