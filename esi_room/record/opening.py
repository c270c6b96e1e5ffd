"""Which record is the open one: a new one, or the last one taken up where a stop or a crash left it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from esi_room import __version__
from esi_room.clock import synchronisation
from esi_room.events import RecordOpened, RecordRecovered
from esi_room.record import recovery
from esi_room.record.disk import Disk
from esi_room.record.entry import NO_PREVIOUS, new_record_id, sha256
from esi_room.record.reader import directory, journal_path, records
from esi_room.record.writing import Kind, OpenRecord


class Identity(Struct, frozen=True, kw_only=True):
    """What every record of this room says of the room in its first line."""

    room: str
    timezone: str = "UTC"
    configuration_sha256: str = ""


class Opened(NamedTuple):
    """A record to be written, and what must be appended to it first."""

    record: OpenRecord
    first: list[RecordOpened | RecordRecovered]


def begin(
    root: Path,
    disk: Disk,
    identity: Identity,
    wall_ns: int,
    *,
    kind: Kind,
    previous: str | None,
    prev: str,
    broken: str | None = None,
) -> Opened:
    """A new record behind `previous`, whose last line has the hash `prev`."""
    name = new_record_id(wall_ns, previous, secrets.token_hex(2))
    record = OpenRecord(root, disk, name, kind, seq=0, prev=prev, size=0)
    return Opened(record, [_opened(identity, kind, previous, broken)])


def resume(root: Path, disk: Disk, identity: Identity, wall_ns: int) -> Opened:
    """The record to go on with when the daemon starts. OSError as the disk gives it."""
    ids = records(root)
    if not ids:
        return begin(root, disk, identity, wall_ns, kind="standby", previous=None, prev=NO_PREVIOUS)
    last, previous = ids[-1], ids[-2] if len(ids) > 1 else None
    before = NO_PREVIOUS if previous is None else recovery.head_of(root, previous)
    found = recovery.examine(root, last, before)
    if found.broken is not None:
        head, broken = recovery.head_of(root, last), f"{last}: {found.broken}"
        return begin(root, disk, identity, wall_ns, kind="standby", previous=last, prev=head, broken=broken)
    kept = _keep_torn(root, disk, last, found)
    if found.sealed:
        return begin(root, disk, identity, wall_ns, kind="standby", previous=last, prev=found.prev)
    return _take_up(root, disk, identity, last, previous, found, kept)


def _take_up(
    root: Path,
    disk: Disk,
    identity: Identity,
    name: str,
    previous: str | None,
    found: recovery.Found,
    kept: str | None,
) -> Opened:
    kind: Kind = "procedure" if found.kind == "procedure" else "standby"
    record = OpenRecord(root, disk, name, kind, seq=found.lines, prev=found.prev, size=found.size_bytes)
    torn_wires = {path.stem: record.adopt_wire(path) for path in sorted((record.directory / "wire").glob("*.jsonl"))}
    recovered = RecordRecovered(
        reason="the daemon ended in the middle of a write" if found.torn else "the daemon started again",
        cut_bytes=len(found.torn),
        cut_sha256=sha256(found.torn) if found.torn else None,
        kept_as=kept,
        wire_cut_bytes={device: torn for device, torn in torn_wires.items() if torn},
        last_received=found.last_received,
    )
    opened = [] if found.lines else [_opened(identity, kind, previous, None)]
    return Opened(record, [*opened, recovered])


def _keep_torn(root: Path, disk: Disk, name: str, found: recovery.Found) -> str | None:
    """Put what was torn into a file of its own, then cut it off the journal; the file's name."""
    if not found.torn:
        return None
    kept = f"torn-{found.lines}-{sha256(found.torn)[:8]}"
    disk.write_file(directory(root, name) / kept, found.torn)
    descriptor = disk.open_append(journal_path(root, name))
    try:
        disk.truncate(descriptor, found.size_bytes)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    return kept


def _opened(identity: Identity, kind: Kind, previous: str | None, broken: str | None) -> RecordOpened:
    sync = synchronisation()
    return RecordOpened(
        kind=kind,
        room=identity.room,
        timezone=identity.timezone,
        previous=previous,
        software=__version__,
        configuration_sha256=identity.configuration_sha256,
        clock_synchronised=sync.synchronised,
        clock_max_error_s=sync.max_error_s,
        broken=broken,
    )
