"""Verifying checkpoints. It stands beside `verify.py` and alone like that: the standard library and, for the
signatures only, the library `cryptography`. Where that is missing a note says so, and all else is checked the same.

A checkpoint is a line of `checkpoints.jsonl`, and its keys stand in this order:

    {"v":1,"room":…,"record":…,"n":…,"seq":…,"sha256":…,"time":…,"key":…,"signature":…}

    n          0, 1, 2 … in its file: none can be taken out of the middle
    seq        a line of the journal or, behind its seal, of the amendments; `sha256` the SHA-256 of its octets, newline
               included. As every line names the one before it, this speaks of all lines up to there
    key        the first 16 hex digits of the SHA-256 of the public key's 32 octets: `keys/<key>.pem` of the room
    signature  Ed25519 (RFC 8032), in hex, of the octets of this line before `,"signature":`

The room signs in order: the checkpoint of a record's seal comes before any of a later record. Those of its amendments
come when these are made.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from esi_room.record.verify_lines import Problem, lines, names, opened, unfinished, unreadable

CHECKPOINTS = "checkpoints.jsonl"
MAX_CHECKPOINT_BYTES = 1024
MAX_WITNESSED_BYTES = 4096
MAX_KEY_BYTES = 4096
_KEY_FILE = re.compile(r"[0-9a-f]{16}\.pem")
_LINE = re.compile(
    rb'(\{"v":1,"room":"([A-Za-z0-9_-]{1,64})","record":"(\d{8}T\d{6}Z-[0-9a-f]{4})","n":(\d{1,12}),"seq":(\d{1,12}),'
    rb'"sha256":"([0-9a-f]{64})","time":"([0-9T:.Z-]{1,40})","key":"([0-9a-f]{16})"),"signature":"([0-9a-f]{128})"\}\n'
)
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")
_PEM_PREFIX = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: an Ed25519 key of 32 octets follows


@dataclass(frozen=True)
class Checkpoint:
    """One line of `file`, taken apart. `signed`: the octets that `signature` is of."""

    file: Path
    line: int
    room: str
    record: str
    n: int
    seq: int
    sha256: str
    time: str
    key: str
    signed: bytes
    signature: bytes

    @property
    def where(self) -> str:
        return f"{self.file.name}:{self.line}"


@dataclass
class Found:
    """The checkpoints of a file as far as they hold, and what is wrong or to be said of the others."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    problem: Problem | None = None
    notes: list[str] = field(default_factory=list)
    read_bytes: int = 0


@dataclass(frozen=True)
class Signing:
    """What the room says of its signatures. `keys`: public keys by their ids, None where they are not at hand.
    `signed_after`: a later record of the room has a checkpoint. `witnessed`: what a witness kept of this record."""

    keys: dict[str, bytes] | None
    signed_after: bool
    witnessed: tuple[Checkpoint, ...] = ()


def parse(file: Path, number: int, octets: bytes) -> Checkpoint | None:
    """The line, if it is a checkpoint."""
    match = _LINE.fullmatch(octets)
    if match is None:
        return None
    room, record, n, seq, sha256, time, key, signature = (part.decode() for part in match.groups()[1:])
    signed = match[1]
    return Checkpoint(file, number, room, record, int(n), int(seq), sha256, time, key, signed, bytes.fromhex(signature))


def read_keys(data: Path) -> dict[str, bytes] | None:
    """The room's public keys, the former ones too; None where there is no folder of keys. A file that holds no key,
    or another than its name says, counts for none: what it signed is then signed with an unknown key."""
    folder, keys = data / "keys", dict[str, bytes]()
    if not folder.is_dir():
        return None
    with contextlib.suppress(OSError):  # what is signed with a key that cannot be read is signed with an unknown key
        for name in names(folder):
            raw = _key_in(folder / name) if _KEY_FILE.fullmatch(name) else None
            if raw is not None and name == f"{hashlib.sha256(raw).hexdigest()[:16]}.pem":
                keys[name.removesuffix(".pem")] = raw
    return keys


def _key_in(path: Path) -> bytes | None:
    try:
        with opened(path) as file:
            return public_key(file.read(MAX_KEY_BYTES))
    except OSError:
        return None


def public_key(pem: bytes) -> bytes | None:
    """The 32 octets of an Ed25519 public key in PEM."""
    match = _PEM.fullmatch(pem)
    try:
        der = base64.b64decode(b"".join(match[1].split()), validate=True) if match else b""
    except binascii.Error:
        return None
    return der[len(_PEM_PREFIX) :] if der.startswith(_PEM_PREFIX) and len(der) == len(_PEM_PREFIX) + 32 else None


def signature_holds(checkpoint: Checkpoint, key: bytes) -> bool | None:
    """None: nobody here can tell, the library is missing."""
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - it may be missing
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(checkpoint.signature, checkpoint.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_checkpoints(directory: Path, keys: dict[str, bytes] | None) -> Found:
    """Those of the record in `directory`. Read them before its journal: the room may be writing both."""
    path, found = directory / CHECKPOINTS, Found()
    try:
        with opened(path) as file:
            _read(path, file, directory.name, keys, found)
    except FileNotFoundError:
        return found
    except OSError as error:
        found.problem = unreadable(path, error)
    return found


def _read(path: Path, file: BinaryIO, record: str, keys: dict[str, bytes] | None, found: Found) -> None:
    unchecked = ""
    for number, octets in enumerate(lines(file, MAX_CHECKPOINT_BYTES), 1):
        found.read_bytes += len(octets)
        if unfinished(octets, MAX_CHECKPOINT_BYTES):
            found.notes.append(f"{CHECKPOINTS}: its last line is not finished (it was cut off, or never signed)")
            break
        checkpoint = parse(path, number, octets)
        found.problem = _fits(path, number, checkpoint, record, found.checkpoints)
        if found.problem is not None or checkpoint is None:
            return
        found.problem, why = _genuine(checkpoint, keys)
        if found.problem is not None:
            return
        unchecked = unchecked or why
        found.checkpoints.append(checkpoint)
    if unchecked:
        found.notes.append(f"the signatures of its checkpoints were not checked: {unchecked}")
    found.notes += _backwards(found.checkpoints)


def _fits(
    path: Path, number: int, checkpoint: Checkpoint | None, record: str, before: list[Checkpoint]
) -> Problem | None:
    """Is this the next checkpoint of this record?"""
    if checkpoint is None:
        return Problem(path, number, "not a checkpoint of format version 1")
    if checkpoint.record != record:
        return Problem(path, number, "a checkpoint of another record", record, checkpoint.record)
    if checkpoint.n != len(before):
        what = "wrong n: checkpoints were removed, doubled or swapped"
        return Problem(path, number, what, str(len(before)), str(checkpoint.n))
    if before and checkpoint.seq <= before[-1].seq:
        what = "signs no more lines than the checkpoint before it"
        return Problem(path, number, what, f"a seq above {before[-1].seq}", str(checkpoint.seq))
    return None


def _genuine(checkpoint: Checkpoint, keys: dict[str, bytes] | None) -> tuple[Problem | None, str]:
    """What is wrong with the signature; else why it was not checked, empty if it was."""
    if keys is None:
        return None, "the room's public keys are not at hand"
    key = keys.get(checkpoint.key)
    if key is None:
        what = "forged, or a key was removed: it is signed with a key that is not among the room's"
        expected = "one of " + ", ".join(sorted(keys)) if keys else "a key in keys/"
        return Problem(checkpoint.file, checkpoint.line, what, expected, checkpoint.key), ""
    holds = signature_holds(checkpoint, key)
    if holds is None:
        return None, "that needs the library `cryptography`"
    if not holds:
        what = "forged: the signature is not of this line by this key"
        return Problem(checkpoint.file, checkpoint.line, what, f"a signature by {checkpoint.key}", "another"), ""
    return None, ""


def _backwards(checkpoints: list[Checkpoint]) -> list[str]:
    return [
        f"{after.where}: the room's clock ran backwards, from {before.time} to {after.time}"
        for before, after in itertools.pairwise(checkpoints)
        if after.time < before.time
    ]


class Chain(Protocol):
    """A journal that is a whole chain: the room that it says it is of, its lines, and whether the last one seals it."""

    room: str | None
    lines: int
    sealed: bool


def compare(
    directory: Path, journal: Chain, heads: dict[int, str], checkpoints: Iterable[Checkpoint]
) -> Problem | None:
    """Does the record in `directory` still hold what these say? `heads`: SHA-256 by `seq`, amendments included."""
    for each in checkpoints:
        if each.room != journal.room:
            return Problem(each.file, each.line, "a checkpoint of another room", str(journal.room)[:64], each.room)
        late = journal.sealed and each.seq >= journal.lines
        path = directory / ("amendments.jsonl" if late else "journal.jsonl")
        number = each.seq + 1 - (journal.lines if late else 0)
        found = heads.get(each.seq)
        if found is None:
            left = sum(seq >= journal.lines for seq in heads) if late else journal.lines
            what = f"lines were cut off behind this one: {each.file}:{each.line} names line {number}"
            return Problem(path, left or None, what, f"at least {number} lines", f"{left}")
        if found != each.sha256:
            what = f"this line or one before it was altered since {each.file}:{each.line} named it"
            return Problem(path, number, what, each.sha256, found)
    return None


def unsigned_seal(directory: Path, lines: int, checkpoints: list[Checkpoint], *, signed_after: bool) -> Problem | None:
    """A sealed record of so many lines whose seal has no checkpoint although the room went on signing."""
    before = [each for each in checkpoints if each.seq < lines]
    if not signed_after or (before and before[-1].seq == lines - 1):
        return None
    found = f"seq {before[-1].seq}" if before else "none"
    what = "the last checkpoint, that of the seal, is missing, and a later record of the room has one"
    return Problem(directory / CHECKPOINTS, len(before) or None, what, f"seq {lines - 1}", found)


def removed(directory: Path, found: Found, witnessed: Iterable[Checkpoint]) -> Problem | None:
    """A checkpoint that a witness kept and the record has no more: the room publishes none that it has not kept."""
    kept = {each.signature for each in found.checkpoints}
    for each in witnessed:
        if each.signature not in kept:
            what = f"a checkpoint is missing: {each.file}:{each.line} keeps it"
            at = len(found.checkpoints) or None
            return Problem(directory / CHECKPOINTS, at, what, f"seq {each.seq}", f"{len(kept)} others")
    return None


def read_witnessed(path: Path) -> Found:
    """What `esi-room witness` kept, of every room: a line each, with the public key that it came with."""
    found = Found()
    with path.open("rb") as file:
        for number, octets in enumerate(lines(file, MAX_WITNESSED_BYTES), 1):
            if unfinished(octets, MAX_WITNESSED_BYTES):
                found.notes.append(f"{path}: its last line is not finished")
                break
            checkpoint, key = _witnessed(path, number, octets)
            if checkpoint is None or hashlib.sha256(key).hexdigest()[:16] != checkpoint.key:
                found.problem = Problem(path, number, "not a checkpoint that a witness kept, with its key")
                return found
            if signature_holds(checkpoint, key) is False:
                found.problem = Problem(path, number, "forged: the signature is not of this line by this key")
                return found
            found.checkpoints.append(checkpoint)
    return found


def _witnessed(path: Path, number: int, octets: bytes) -> tuple[Checkpoint | None, bytes]:
    try:
        kept = json.loads(octets)
        return parse(path, number, kept["checkpoint"].encode() + b"\n"), bytes.fromhex(kept["public_key"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, b""
