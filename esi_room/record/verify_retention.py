"""Verifying what retention left: a record that the room removed, and the chain across the hole.

A `record.removed` is a line of a later record. It says of the one that goes: `prev`, which its first line named;
`head`, the SHA-256 of its last; `checkpoint`, the signed line of its seal; when, and why. What stays in the record's
directory is `checkpoints.jsonl` and `removed.jsonl`, which is that line, octet for octet. So:

1. The removed record follows the one before it by `prev`, and the next follows it by `head`, which the room signed.
2. A removed record is one of which such a line speaks. While the record in which that stands is there, its journal
   holds the line. When that record was removed in its turn, `removed.jsonl` is all that is left of the line, and:
3. Every such line names (`before`) the SHA-256 of the one before it in the room. The last of them always stands in a
   journal that is there, so that none can be made up, altered or taken away later.

The standard library and nothing else of this package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esi_room.record.verify_checkpoints import CHECKPOINTS, Found
from esi_room.record.verify_lines import HASH, JOURNAL_KEYS, MAX_LINE_BYTES, ZEROS, Problem, opened, parsed, plain

REMOVED = "removed.jsonl"
_TEXTS = ("record", "reason", "kind", "room", "opened", "closed", "prev", "head", "checkpoint", "before")
_COUNTS = ("entries", "images", "amendments", "freed_bytes")


@dataclass
class Removed:
    """A `record.removed`: the line, where it stands, and what it says. `said`: a journal that is there holds it."""

    record: str
    path: Path
    number: int
    by: str
    seq: int
    time: str
    data: dict[str, Any]
    sha256: str
    said: bool
    problem: Problem | None = None

    @property
    def words(self) -> str:
        reason = plain(self.data["reason"][:200])
        return f"removed by the room {plain(self.time[:19])}Z, as line {self.seq + 1} of {self.by} says: {reason}"


def removed_in(path: Path, number: int, octets: bytes, *, said: bool) -> Removed | None:
    """The line, if it says that a record was removed which is older than its own."""
    entry, problem = parsed(path, number, octets, JOURNAL_KEYS)
    data = entry.get("data")
    if problem is not None or entry["type"] != "record.removed" or not isinstance(data, dict):
        return None
    texts = all(isinstance(data.get(key), str) for key in _TEXTS)
    counts = all(type(data.get(key)) is int and data[key] >= 0 for key in _COUNTS)
    hashes = texts and all(HASH.fullmatch(data[key]) for key in ("prev", "head", "before"))
    place = isinstance(entry["record"], str) and type(entry["seq"]) is int and isinstance(entry["time"], str)
    if not (texts and counts and hashes and place and data["record"] < entry["record"]):
        return None
    digest = hashlib.sha256(octets).hexdigest()
    by, seq, time = entry["record"], entry["seq"], entry["time"]
    return Removed(data["record"], path, number, by, seq, time, data, digest, said)


def left(directory: Path) -> Removed | None:
    """What `removed.jsonl` in a record's directory says of it."""
    path = directory / REMOVED
    try:
        with opened(path) as file:
            found, rest = removed_in(path, 1, file.readline(MAX_LINE_BYTES), said=False), file.read(1)
    except OSError:
        return None
    return found if found is not None and found.record == directory.name and not rest else None


def removals(data: Path, records: list[str], said: Iterable[Removed], *, whole: bool) -> dict[str, Removed]:
    """Those of these records that were removed, with what is wrong with that. `said`: what their journals say, as far
    as they are there. `whole`: these are all records of the room, so that point 3 can be verified, too."""
    found = {each.record: each for each in said}
    for record in records:
        path, kept = data / "records" / record / REMOVED, left(data / "records" / record)
        here = found.get(record)
        if here is None and kept is not None:
            found[record] = kept
        elif here is not None and (kept is None or here.sha256 != kept.sha256) and (path.is_symlink() or path.exists()):
            what = f"is not line {here.seq + 1} of {here.by}, which says that this record was removed"
            here.problem = Problem(path, 1, what, here.sha256, "no such line" if kept is None else kept.sha256)
    before = ZEROS
    for each in sorted(found.values(), key=lambda one: (one.by, one.seq)):
        if each.problem is None and not each.said and each.by not in found:
            what = f"forged: there is no such line in {each.by}, and that was not removed"
            each.problem = Problem(each.path, each.number, what)
        if whole and each.problem is None and each.data["before"] != before:
            what = "does not follow the removal before it: that was altered, taken away or made up"
            each.problem = Problem(each.path, each.number, what, before, each.data["before"])
        before = each.sha256
    return found


def problems_of(directory: Path, previous_head: str | None, removed: Removed, signed: Found) -> list[Problem]:
    """What is wrong with what is left in `directory`, and with how it stands in the room's chain."""
    data, path = removed.data, directory / CHECKPOINTS
    problems = [] if removed.problem is None else [removed.problem]
    if previous_head is not None and data["prev"] != previous_head:
        what = "does not follow the room's record before it: that record was altered, cut off or removed"
        problems.append(Problem(removed.path, removed.number, what, f"prev {previous_head}", data["prev"]))
    if signed.problem is not None:
        return [*problems, signed.problem]
    seal = next((each for each in signed.checkpoints if each.seq == data["entries"] - 1), None)
    if seal is None or seal.sha256 != data["head"] or seal.room != data["room"]:
        what = "the checkpoint of its seal is missing, or is not the one that its removal names"
        line, there = (None, "none") if seal is None else (seal.line, seal.sha256)
        problems.append(Problem(path, line, what, data["head"], there))
    return problems
