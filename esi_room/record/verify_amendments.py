"""Verifying amendments: what was said of a record after it was sealed. The standard library and nothing else.

The lines of `amendments.jsonl` have the shape of the journal's and go on from its seal: `seq` counts on, and the first
`prev` is the SHA-256 of the sealed line. Each amendment is named, with its SHA-256, by a `record.amended` in a later
record of the room: so those at the end can be neither cut off nor altered.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esi_room.record.verify_lines import (
    JOURNAL_KEYS,
    Problem,
    Progress,
    lines,
    linked,
    names,
    opened,
    parsed,
    unfinished,
)

AMENDMENTS = "amendments.jsonl"
_TORN = re.compile(r"torn-[a-z0-9-]{1,80}")


@dataclass(frozen=True)
class Announced:
    """What a later entry of the room (`where`) says of one line of a record's amendments."""

    seq: int
    type: str
    sha256: str
    where: str


@dataclass
class Amended:
    """What was found. `hashes`: of every line as far as they are a chain, `whole`: to their end; `count`: of
    amendments; `kept`: files of what a crash tore off."""

    hashes: list[str] = field(default_factory=list)
    count: int = 0
    whole: bool = True
    kept: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_amendments(directory: Path, seal: str | None, sealed_lines: int, progress: Progress) -> Amended:
    """The first thing wrong with them as a chain. `seal`: hash of the last of so many lines, None if there is no seal.
    OSError, as `opened`."""
    path, found = directory / AMENDMENTS, Amended()
    if AMENDMENTS not in names(directory):
        return found
    if seal is None:
        found.whole = False
        found.problems.append(Problem(path, None, "there is no seal that amendments could follow"))
        return found
    head = seal
    with opened(path) as file:
        for number, octets in enumerate(lines(file), 1):
            progress(len(octets))
            if unfinished(octets):
                found.notes.append("amendments.jsonl: its last line is not finished (above the commit point)")
                break
            entry, problem = parsed(path, number, octets, JOURNAL_KEYS)
            problem = problem or linked(path, number, entry, "seq", sealed_lines + number - 1, head, directory.name)
            if problem is not None:
                found.whole = False
                found.problems.append(problem)
                break
            head = hashlib.sha256(octets).hexdigest()
            found.hashes.append(head)
            found.count += entry["type"] not in ("operator.command", "record.recovered")
            found.kept |= kept_file(entry["data"]) if entry["type"] == "record.recovered" else {}
    return found


def missing(path: Path, sealed_lines: int, found: Amended, announced: list[Announced] | None) -> list[Problem]:
    """What the room's later records name, and is not there."""
    problems = []
    for each in announced or []:
        number = each.seq - sealed_lines + 1
        there = found.hashes[number - 1] if 1 <= number <= len(found.hashes) else None
        if there != each.sha256:
            what = f"the amendment that {each.where} names ({each.type}, seq {each.seq}) "
            what += "is missing: it was cut off" if there is None else "was altered"
            problems.append(Problem(path, number if number > 0 else None, what, each.sha256, str(there)))
    return problems


def unannounced(sealed_lines: int, found: Amended, announced: list[Announced] | None) -> list[str]:
    """What cannot be said of their end."""
    if announced is None:
        return ["whether amendments were altered or cut off at their end was not checked"] if found.hashes else []
    if len(found.hashes) > max((each.seq - sealed_lines + 1 for each in announced), default=0):
        return ["amendments.jsonl ends with lines that no later entry names: not acknowledged"]
    return []


def kept_file(data: Any) -> dict[str, str]:
    """Where a `record.recovered` says that it kept what a crash tore off: the file's name, and its SHA-256."""
    name, digest = (data.get("kept_as"), data.get("cut_sha256")) if isinstance(data, dict) else (None, None)
    return {name: str(digest)} if isinstance(name, str) and _TORN.fullmatch(name) else {}
