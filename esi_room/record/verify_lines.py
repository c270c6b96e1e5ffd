"""Verifying lines: what a line of a record is, and that it follows the one before it.

    {"v":1,"record":…,"seq":…,"prev":…,"type":…,"time":…,"received":…,"mono_ns":…,"source":…, … "data":{…}}

- `prev` is the SHA-256 of the octets of the line before it, newline included. Nothing is parsed and written again to
  check that. This is so in every version of the format.
- `v` is the version of the format, 1. It goes up only when a reader of the version before would read a line wrongly;
  new types of entries and new keys in `data` do not raise it. A line of another version is not read: that is said, and
  nothing that follows it is believed.
- A record is read and never followed out of: what is no regular file in a directory of the record (a symbolic link, a
  pipe, a device) is not opened, and nothing waits for it.

The standard library and nothing else.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

VERSION = 1
ZEROS = "0" * 64
MAX_LINE_BYTES = 16 << 20  # a longer "line" is no line: memory stays bounded whatever the file holds
HASH = re.compile(r"[0-9a-f]{64}")
JOURNAL_KEYS = {"v", "record", "seq", "prev", "type", "time", "received", "mono_ns", "source", "data"}
WIRE_KEYS = {"v", "record", "device", "n", "prev", "received", "mono_ns", "dir", "b64"}

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
        return plain(f"{where}: {self.what}{detail}")


def plain(text: str) -> str:
    """For a terminal: what stands in a record may hold control characters, and halves of characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def opened(path: Path) -> BinaryIO:
    """A regular file in a real directory, to be read. OSError: it is none, is not there, or may not be read."""
    if not stat.S_ISDIR(os.lstat(path.parent).st_mode):
        raise OSError(errno.ENOTDIR, "its directory is no directory", str(path))
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def is_regular(path: Path) -> bool:
    """Whether `opened` would open it, if it may be read."""
    try:
        return stat.S_ISDIR(os.lstat(path.parent).st_mode) and stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def names(folder: Path) -> list[str]:
    """What is in a directory of a record; nothing if there is none. OSError: it is something else."""
    try:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise OSError(errno.ENOTDIR, "it is no directory", str(folder))
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []


def unreadable(path: Path, error: OSError) -> Problem:
    """What `error` says of this file, or of the one that it names."""
    where = Path(error.filename) if isinstance(error.filename, str) else path
    return Problem(where, None, "is missing" if error.errno == errno.ENOENT else f"cannot be read: {error.strerror}")


def lines(file: BinaryIO, longest_bytes: int = 0) -> Iterator[bytes]:
    """The lines of a file, their newlines included. One that is longer comes in pieces, the first without a newline."""
    return iter(partial(file.readline, longest_bytes or MAX_LINE_BYTES), b"")


def unfinished(octets: bytes, longest_bytes: int = 0) -> bool:
    """The end of a file that was cut off in the middle of a line, or is being written."""
    return not octets.endswith(b"\n") and len(octets) < (longest_bytes or MAX_LINE_BYTES)


def last_head(head: str, octets: bytes, file: BinaryIO) -> str:
    """Behind a broken line nothing is believed, but the next record may still follow the last line as it stands."""
    for line in itertools.chain([octets], lines(file)):
        if line.endswith(b"\n"):
            head = hashlib.sha256(line).hexdigest()
    return head


def parsed(path: Path, number: int, octets: bytes, keys: set[str]) -> tuple[dict[str, Any], Problem | None]:
    """The line as an object, or what is wrong with it as a line."""
    if not octets.endswith(b"\n"):
        what = "the line is too long" if len(octets) == MAX_LINE_BYTES else "the last line is cut off"
        return {}, Problem(path, number, what)
    try:
        text = octets.decode("utf-8")
        entry, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError) as error:
        return {}, Problem(path, number, f"not one JSON object: {str(error)[:100]}")
    if not isinstance(entry, dict) or end != len(text) - 1:
        return {}, Problem(path, number, "not one JSON object")
    if entry.get("v") != VERSION or type(entry["v"]) is not int:
        what = "a line of another format version, which this program does not know"
        return {}, Problem(path, number, what, f"v {VERSION}", f"v {str(entry.get('v'))[:20]}")
    if not keys <= entry.keys():
        return {}, Problem(path, number, f"keys are missing: {', '.join(sorted(keys - entry.keys()))}")
    return entry, None


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON allows a key twice; two readers could then read two truths."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands there twice")
    return result


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_no_doubles, parse_constant=_no_number)


def linked(
    path: Path, number: int, entry: dict[str, Any], counter: str, count: int, head: str | None, record: str
) -> Problem | None:
    """Is this the next line of this record, and does it name the one before it?"""
    if entry["record"] != record:
        return Problem(path, number, "the line belongs to another record", record, str(entry["record"])[:40])
    if entry[counter] != count or type(entry[counter]) is not int:
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
    """SHA-256 of a file, in hex. OSError, as `opened`."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while chunk := file.read(1 << 20):
            progress(len(chunk))
            digest.update(chunk)
    return digest.hexdigest()
