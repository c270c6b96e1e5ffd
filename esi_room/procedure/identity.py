"""Who the patient of a record is: `private/identity.json`, apart from the journal, which holds a digest of it.

The salt in it makes the digest unguessable: names and birth dates are few. Erasing the file leaves the chain whole.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import structlog

from esi_room.commands import Identity
from esi_room.record.disk import Disk
from esi_room.record.entry import sha256
from esi_room.record.reader import directory
from esi_room.record.verify_lines import opened

FILE = "identity.json"

log = structlog.get_logger()


def path(root: Path, record: str) -> Path:
    """Where it lies."""
    return directory(root, record) / "private" / FILE


def keep(disk: Disk, root: Path, record: str, identity: Identity) -> str:
    """Write it, durably; the digest that the journal may hold. OSError. Blocks: call it in a thread."""
    salted = {"salt": secrets.token_hex(16), **msgspec.to_builtins(identity)}
    octets = msgspec.json.encode(salted) + b"\n"
    file = path(root, record)
    disk.make_directory(file.parent)
    disk.write_file(file, octets)
    return sha256(octets)


def digest(root: Path, record: str) -> str | None:
    """Of the file that is there."""
    try:
        return sha256(path(root, record).read_bytes())
    except FileNotFoundError:
        return None


def read(root: Path, record: str) -> Identity | None:
    """The patient; None where there is none, or no more."""
    return read_file(path(root, record))


def read_file(file: Path) -> Identity | None:
    """The patient whom this `identity.json` names; None where it is not there, or is none."""
    try:
        with opened(file) as octets:
            kept = msgspec.json.decode(octets.read(), type=dict[str, str | None])
        kept.pop("salt", None)
        return msgspec.convert(kept, Identity)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError):
        log.warning("identity_unreadable", file=str(file))
        return None
