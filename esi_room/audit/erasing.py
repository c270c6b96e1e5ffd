"""Which files of a room say who the patient of a record is: those that `esi-room identity erase` takes away.

    private/identity.json   what the staff or the C-arm said
    private/<sha256>.mpps   the C-arm's procedure steps; one that was closed late lies in a later record
    frames/<sha256>.dcm     objects: their headers name the patient. Late ones lie in a later record
    wire/<device>.jsonl     raw bytes: some monitors send a name

Objects of another case that came while this one was open are that other case's, and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from esi_room.events import CarmImage, CarmMpps, ProcedureStarted
from esi_room.record.erasing import IDENTITY, is_erasable
from esi_room.record.reader import directory, records, tail
from esi_room.record.scan import payloads

_SEALED = b'"type":"record.sealed"'
_TAIL_BYTES = 1 << 20  # a seal has some hundred bytes a device


class Carriers(NamedTuple):
    """Files, as `<record>/private/identity.json`. `identity`: made to say who the patient is; `objects`: may say it."""

    identity: tuple[str, ...]
    objects: tuple[str, ...]


def is_open(root: Path, record: str) -> bool:
    """Whether the room still writes this record."""
    last = tail(root, record, _TAIL_BYTES)[-1:]
    return record == records(root)[-1] and not (last and _SEALED in last[0])


def carriers(root: Path, record: str) -> Carriers:
    """Of this record: what its entries name, there or not, and what lies there beside. Reads whole journals."""
    later = [other for other in records(root) if other > record]
    identity = [*_identity(root, record), *_steps(root, record, later)]
    identity += _there(root, record, "private")
    objects = [*_images(root, record, later), *_there(root, record, "wire")]
    return Carriers(tuple(dict.fromkeys(identity)), tuple(dict.fromkeys(objects)))


def _identity(root: Path, record: str) -> Iterator[str]:
    if any(said.identity_sha256 for _, said in payloads(root, record, ProcedureStarted)):
        yield f"{record}/{IDENTITY}"


def _steps(root: Path, record: str, later: list[str]) -> Iterator[str]:
    own: set[str] = set()
    for place in (record, *later):
        for _, said in payloads(root, place, CarmMpps):
            if place == record:
                own.add(said.sop_instance_uid)
            if said.sop_instance_uid in own:
                yield f"{place}/private/{said.sha256}.mpps"


def _images(root: Path, record: str, later: list[str]) -> Iterator[str]:
    others: set[str] = set()
    for _, said in payloads(root, record, CarmImage):
        if said.taken_in not in (None, record):
            others.add(f"{record}/frames/{said.sha256}.dcm")
    yield from (name for name in _there(root, record, "frames") if name not in others)
    for place in later:
        for _, said in payloads(root, place, CarmImage):
            name = f"{place}/frames/{said.sha256}.dcm"
            if said.taken_in == record and (root / "records" / name).exists():
                yield name


def _there(root: Path, record: str, folder: str) -> list[str]:
    """The files of this folder of the record, as far as they are the record's own."""
    at = directory(root, record) / folder
    if not at.is_dir() or at.is_symlink():
        return []
    return [name for path in sorted(at.iterdir()) if is_erasable(name := f"{record}/{folder}/{path.name}")]
