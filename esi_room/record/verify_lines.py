"""Verifying lines: what a line of a record is, and that it follows the one before it.

    {"v":1,"record":…,"seq":…,"prev":…,"type":…,"time":…,"received":…,"mono_ns":…,"source":…, … "data":{…}}

`prev` is the SHA-256 of the octets of the line before it, newline included. Nothing is parsed and written again to
check that. The standard library and nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

ZEROS = "0" * 64
MAX_LINE_BYTES = 16 << 20  # a longer "line" is no line: memory stays bounded whatever the file holds
HASH = re.compile(r"[0-9a-f]{64}")
JOURNAL_KEYS = ("v", "record", "seq", "prev", "type", "time", "received", "mono_ns", "source", "data")
WIRE_KEYS = ("v", "record", "device", "n", "prev", "received", "mono_ns", "dir", "b64")

Progress = Callable[[int], None]  # called with the number of bytes just read


@dataclass(frozen=True)
class Problem:
    """The first thing wrong with a file. `line` counts from 1; None where the file as a whole is meant."""

    file: Path
    line: int | None
    what: str
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}" if self.line is None else f"{self.file}:{self.line}"
        detail = f" (expected {self.expected}, found {self.found})" if self.expected is not None else ""
        return f"{where}: {self.what}{detail}"


def lines(file: BinaryIO, longest_bytes: int = 0) -> Iterator[bytes]:
    """The lines of a file, their newlines included. One that is longer comes in pieces, the first without a newline."""
    while octets := file.readline(longest_bytes or MAX_LINE_BYTES):
        yield octets


def unfinished(octets: bytes, longest_bytes: int = 0) -> bool:
    """The end of a file that was cut off in the middle of a line, or is being written."""
    return not octets.endswith(b"\n") and len(octets) < (longest_bytes or MAX_LINE_BYTES)


def last_head(head: str, octets: bytes, file: BinaryIO) -> str:
    """Behind a broken line nothing is believed, but the next record may still follow the last line as it stands."""
    for line in itertools.chain([octets], lines(file)):
        if line.endswith(b"\n"):
            head = hashlib.sha256(line).hexdigest()
    return head


def parsed(path: Path, number: int, octets: bytes, keys: tuple[str, ...]) -> tuple[dict[str, Any], Problem | None]:
    """The line as an object, or what is wrong with it as a line."""
    if not octets.endswith(b"\n"):
        what = "the line is too long" if len(octets) == MAX_LINE_BYTES else "the last line is cut off"
        return {}, Problem(path, number, what)
    try:
        entry = json.loads(octets.decode("utf-8"), object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        return {}, Problem(path, number, f"not one JSON object: {str(error)[:100]}")
    if not isinstance(entry, dict) or not all(key in entry for key in keys):
        missing = [k for k in keys if not isinstance(entry, dict) or k not in entry]
        return {}, Problem(path, number, f"keys are missing: {', '.join(missing)}")
    if entry["v"] != 1:
        return {}, Problem(path, number, "another format version", "1", str(entry["v"])[:20])
    return entry, None


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON allows a key twice; two readers could then read two truths."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands there twice")
    return result


def linked(
    path: Path, number: int, entry: dict[str, Any], counter: str, count: int, head: str | None, record: str
) -> Problem | None:
    """Is this the next line of this record, and does it name the one before it?"""
    if entry["record"] != record:
        return Problem(path, number, "the line belongs to another record", record, str(entry["record"])[:40])
    if entry[counter] != count:
        return Problem(path, number, f"wrong {counter}", str(count), str(entry[counter])[:40])
    prev = entry["prev"]
    if not isinstance(prev, str) or HASH.fullmatch(prev) is None:
        return Problem(path, number, "prev is not a SHA-256")
    if head is not None and prev != head:
        what = f"line {number - 1} was altered, or lines were removed or inserted before this one"
        if number == 1 and counter == "seq":
            what = "does not follow the room's record before it: that record was altered, cut off or removed"
            what = what if count == 0 else "does not follow the record's seal: that was altered, or lines were removed"
        return Problem(path, number, what, f"prev {head}", prev)
    return None


def file_digest(path: Path, progress: Progress = lambda _: None) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            progress(len(chunk))
            digest.update(chunk)
    return digest.hexdigest()
