"""Does a record hold? What is made of one says first whether it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from esi_room.errors import BrokenRecord
from esi_room.record.verify import Report, announced_after, head_before, record_ids, signing_of, verify_record


def report(record: Path, progress: Callable[[int], None] = lambda _: None) -> Report:
    """Of the record in this directory, with its place in the room's chain as far as the room lies around it."""
    at = record.resolve()
    newest = at.parent.name != "records" or at.name == record_ids(at.parent.parent)[-1]
    return verify_record(
        at,
        head_before(at),
        announced=announced_after(at),
        signing=signing_of(at),
        may_be_open=newest,
        being_written=newest,
        progress=progress,
    )


def demand(found: Report, *, even_if_broken: bool) -> None:
    """BrokenRecord where it does not hold and that was not said to be well known."""
    if not found.ok and not even_if_broken:
        problems = "\n".join(str(problem) for problem in found.problems)
        raise BrokenRecord(f"{found.record} DOES NOT HOLD; --even-if-broken goes on nevertheless\n{problems}")
