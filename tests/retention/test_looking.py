"""Retention: what goes, in which order, and that the room's chain holds whatever becomes of the daemon meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from retention_rig import START_NS, Builder, Kept, cases, room

from esi_room.clock import ManualClock
from esi_room.record.retention import Policy
from esi_room.record.verify import Report
from esi_room.record.verify_room import verify_room


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


@pytest.fixture
async def built(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Builder]:
    async with room(tmp_path, clock) as builder:
        await cases(builder, 4)
        yield builder


def reports(root: Path) -> list[Report]:
    found = list(verify_room(root))
    assert not [str(problem) for report in found for problem in report.problems]
    return found


def files(root: Path, record: str) -> set[str]:
    folder = root / "records" / record
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_first(built):
    kept = Kept(built, Policy(keep_days=3))
    await kept.look()
    assert kept.problems == []
    found = reports(built.root)
    assert [bool(each.removed) for each in found] == [True] * 3 + [False] * 6
