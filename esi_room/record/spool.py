"""The spool, `<data>/audit/`: where programs beside the daemon leave word that they used the record.

    a tool  -> <data>/audit/<id>.json, whole by its rename, durable
    daemon  -> the entry `audit.event` in the open record, durable; then the file goes

Rules:
- The journal has one writer, the daemon, and it need not run when an auditor works: what is left here waits for it.
- It is for the data directory's owner alone (0700, files 0600). A tool that root runs leaves its files to that owner.
- What the daemon finds here it does not believe: a link, a pipe, a file that is too large, not JSON or not this user's
  own is no word of a use. It says so in an entry, takes the file away, and goes on.
"""

from __future__ import annotations

import errno
import getpass
import os
import socket
import stat
from pathlib import Path

import msgspec
from msgspec import Struct

from esi_room.clock import parse_rfc3339, rfc3339
from esi_room.events import AuditEvent
from esi_room.record.disk import Disk

FOLDER = "audit"
SUFFIX = ".json"
MAX_BYTES = 2 << 20  # MOST_ERASED paths of an erasure; any other use has some hundred octets
_VERSION = 1


class Use(Struct, frozen=True, kw_only=True):
    """What a file of the spool holds. `time`: when it was (RFC 3339)."""

    v: int
    time: str
    said: AuditEvent

    @property
    def wall_ns(self) -> int:
        """`time` in ns since 1970."""
        return parse_rfc3339(self.time)


def folder(root: Path) -> Path:
    """The spool of a data directory."""
    return root / FOLDER


def is_room(root: Path) -> bool:
    """Whether a daemon keeps, or kept, its record here."""
    return (root / "lock").is_file() and (root / "records").is_dir()


def put(disk: Disk, root: Path, said: AuditEvent, wall_ns: int) -> Path:
    """Leave word of a use, durably; the file. OSError where that cannot be."""
    found = root.stat()
    if os.geteuid() not in (0, found.st_uid):
        raise PermissionError(errno.EPERM, f"it belongs to another user (uid {found.st_uid})")
    owner = (found.st_uid, found.st_gid) if os.geteuid() == 0 else None
    if not folder(root).exists():
        disk.make_directory(folder(root))
        if owner is not None:
            os.chown(folder(root), *owner)
    path = folder(root) / f"{said.id}{SUFFIX}"
    use = Use(v=_VERSION, time=rfc3339(wall_ns), said=said)
    try:
        disk.write_file(path, msgspec.json.encode(use), owner=owner)
    except OSError:
        path.with_name(path.name + ".new").unlink(missing_ok=True)
        raise
    return path


def read(path: Path) -> Use:
    """What the file says. ValueError: it is no word of a use, and why. OSError: it cannot be read."""
    octets = _octets(path)
    try:
        use = msgspec.json.decode(octets, type=Use)
        moment = use.wall_ns
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError(f"it is no use of the record as JSON: {str(error)[:200]}") from error
    if use.v != _VERSION or moment < 0 or len(rfc3339(moment)) != len(rfc3339(0)):
        raise ValueError(f"it is of another format version than {_VERSION}, or of no time")
    if path.name != f"{use.said.id}{SUFFIX}":
        raise ValueError("its name is not its id")
    return use


def login() -> str:
    """The user of this process: the one logged in, or the one behind `sudo`."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # no name for this user on this machine
        return f"uid {os.getuid()}"


def user() -> str:
    """`login`, and on which host."""
    return f"{login()}@{socket.gethostname()}"


def _octets(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(f"it cannot be opened as a file of our own: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_uid != os.geteuid():
            raise ValueError(f"it is another user's (uid {found.st_uid})")
        if found.st_size > MAX_BYTES:
            raise ValueError(f"it has {found.st_size} bytes, more than {MAX_BYTES}")
        return file.read(MAX_BYTES)
