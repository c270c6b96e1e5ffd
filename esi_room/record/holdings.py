"""What each record of a room holds, since when it is sealed, and of which older ones it speaks: retention goes by that.

- A sealed journal never changes, so each is read once; files are counted at every look.
- A record speaks of an older one where its entries say what `verify` needs of that: an amendment, images that were shed
  or erased, an image that came too late for it. It is needed as long as the older one is there.
- Everything here reads whole journals: call it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from esi_room.clock import parse_rfc3339
from esi_room.events import AuditEvent, CarmImage, RecordAmended, RecordOpened, RecordRemoved, RecordSealed, RecordShed
from esi_room.record.reader import directory, records
from esi_room.record.removed import Removal, parsed, removal
from esi_room.record.scan import lines, payloads
from esi_room.record.verify_retention import REMOVED

FRAMES = "frames"
_SUFFIX = ".dcm"


class Holding(NamedTuple):
    """One record that is there. `sealed_ns`: when it was sealed; None: it is open, or ends without a seal."""

    record: str
    kind: str | None
    sealed_ns: int | None
    size_bytes: int
    images: tuple[str, ...]
    image_bytes: int
    late_of: frozenset[str]
    """Older records that some of its images belong to."""
    speaks_of: frozenset[str]
    """Older records, those of `late_of` with them."""


class Holdings(NamedTuple):
    """Of a room, oldest record first. `shed`, `removed`: what entries say was taken away, in their order."""

    there: tuple[Holding, ...]
    shed: tuple[RecordShed, ...]
    removed: tuple[Removal, ...]
    gone: dict[str, dict[str, str]]
    """Files that were taken out of a record lawfully, with the entry's type, by record."""


class _Said(Struct):
    """What a journal says."""

    kind: str | None = None
    sealed_ns: int | None = None
    late_of: set[str] = field(default_factory=set)
    speaks_of: set[str] = field(default_factory=set)
    shed: list[RecordShed] = field(default_factory=list)
    removed: list[Removal] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)


class Survey:
    """Of the records under `root`. OSError."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sealed: dict[str, _Said] = {}

    def take(self) -> Holdings:
        """How it is now."""
        ids = records(self._root)
        said = {record: self._said(record) for record in ids}
        left = {record: left for record in ids if (left := removal(self._root, record)) is not None}
        told = {each.said.record: each for one in said.values() for each in one.removed}
        # A file alone is believed where the journal that said so went in its turn: anybody can put one there.
        removed = {record: each for record, each in left.items() if each.entry.record in left} | told
        gone: dict[str, dict[str, str]] = {}
        for one in said.values():
            for name, what in _gone(one):
                record, _, rest = name.partition("/")
                gone.setdefault(record, {})[rest] = what
        return Holdings(
            tuple(self._holding(record, said[record]) for record in ids if record not in removed),
            tuple(each for one in said.values() for each in one.shed if each.record not in removed),
            tuple(sorted(removed.values(), key=lambda each: each.place)),
            gone,
        )

    def _holding(self, record: str, said: _Said) -> Holding:
        folder = directory(self._root, record)
        images = {entry.name.removesuffix(_SUFFIX): entry.stat().st_size for entry in _images(folder / FRAMES)}
        size_bytes = sum(entry.stat(follow_symlinks=False).st_size for entry in files(folder))
        return Holding(
            record=record,
            kind=said.kind,
            sealed_ns=said.sealed_ns,
            size_bytes=size_bytes,
            images=tuple(sorted(images)),
            image_bytes=sum(images.values()),
            late_of=frozenset(said.late_of),
            speaks_of=frozenset(said.speaks_of | said.late_of),
        )

    def _said(self, record: str) -> _Said:
        said = self._sealed.get(record)
        if said is None:
            said = _read(self._root, record)
            if said.sealed_ns is not None:
                self._sealed[record] = said
        return said


def files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every file below a directory; no link is followed."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from files(Path(entry.path))
        else:
            yield entry


def unfinished(root: Path, record: str) -> bool:
    """Whether files of a removed record are there that are to go."""
    kept = {REMOVED, "checkpoints.jsonl"}
    try:
        return {entry.name for entry in os.scandir(directory(root, record))} != kept
    except FileNotFoundError:
        return False


def _images(frames: Path) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in files(frames) if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False))


def _read(root: Path, record: str) -> _Said:
    said = _Said()
    kinds = (RecordOpened, RecordSealed, RecordAmended, RecordShed, CarmImage, AuditEvent)
    for entry, payload in payloads(root, record, *kinds):
        match payload:
            case RecordOpened():
                said.kind = payload.kind
            case RecordSealed():
                said.sealed_ns = parse_rfc3339(entry.received)
            case RecordAmended():
                said.speaks_of.add(payload.record)
            case RecordShed():
                said.shed.append(payload)
                said.speaks_of.add(payload.record)
            case CarmImage(taken_in=str(case)):
                said.late_of.add(case)
            case AuditEvent(erased=erased):
                said.erased += erased
                said.speaks_of |= {name.partition("/")[0] for name in erased} - {record}
    found = (parsed(octets) for octets, _ in lines(root, record, RecordRemoved))
    said.removed = [each for each in found if each is not None]
    return said


def _gone(said: _Said) -> Iterator[tuple[str, str]]:
    for shed in said.shed:
        yield from ((f"{shed.record}/{FRAMES}/{digest}{_SUFFIX}", RecordShed.TYPE) for digest in shed.images)
    yield from ((name, AuditEvent.TYPE) for name in said.erased)
