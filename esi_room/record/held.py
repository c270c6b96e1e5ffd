"""Does a record hold, where it lies? `verify`, with what stands around the record: the room's chain, its signatures,
and whether a daemon is writing there now."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable
from pathlib import Path

from esi_room.errors import BrokenRecord
from esi_room.record.verify import Report, verify_record
from esi_room.record.verify_checkpoints import Checkpoint
from esi_room.record.verify_lines import opened
from esi_room.record.verify_room import elsewhere_of, head_before, record_ids, signing_of


def report(
    record: Path, *, witnessed: Iterable[Checkpoint] = (), progress: Callable[[int], None] = lambda _: None
) -> Report:
    """Of the record in this directory, as far as the room lies around it. `witnessed`: as for `verify_room`."""
    at = record.resolve()
    newest = at.parent.name != "records" or at.name == record_ids(at.parent.parent)[-1]
    return verify_record(
        at,
        head_before(at),
        elsewhere=elsewhere_of(at),
        signing=signing_of(at, witnessed),
        may_be_open=newest,
        being_written=newest and being_written(at.parent.parent),
        progress=progress,
    )


def being_written(data: Path) -> bool:
    """Does a daemon hold the lock of this data directory?"""
    try:
        with opened(data / "lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def demand(found: Report, *, even_if_broken: bool) -> None:
    """BrokenRecord where it does not hold and that was not said to be well known."""
    if not found.ok and not even_if_broken:
        problems = "\n".join(str(problem) for problem in found.problems)
        raise BrokenRecord(f"{found.record} DOES NOT HOLD; --even-if-broken goes on nevertheless\n{problems}")
