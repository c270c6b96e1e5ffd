"""A step of the wall clock, and the loss of synchronisation, are entries."""

from __future__ import annotations

import json

from esi_room.clock import ManualClock, Synchronisation
from esi_room.clockwatch import ClockWatch
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path


async def test_steps_and_synchronisation_are_said_once(tmp_path):
    clock = ManualClock()
    state = [Synchronisation(True, 0.001)]
    async with Journal.open(tmp_path, clock, Identity(room="esi-1")) as journal:
        watch = ClockWatch(journal, clock, ask_kernel=lambda: state[0])
        clock.advance(5)
        watch.look()
        clock.step(-3600)
        watch.look()
        watch.look()
        clock.step(0.01)
        state[0] = Synchronisation(False, 16.0)
        watch.look()
        watch.look()
        record = journal.record
    entries = [json.loads(line) for line in journal_path(tmp_path, record).read_bytes().splitlines()][1:]
    assert [(e["type"], e["data"].get("step_s"), e["data"].get("synchronised")) for e in entries] == [
        ("clock.step", -3600.0, None),
        ("clock.sync", None, False),
    ]
