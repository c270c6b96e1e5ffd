"""An object while it arrives: a Part 10 file on the store's own disk, digested as it is written.

    128 zeros, "DICM"
    (0002,0000) UL  length of the rest of this group
    (0002,0001) OB  00 01
    (0002,0002) UI  SOP class, as the C-STORE request names it
    (0002,0003) UI  SOP instance, likewise
    (0002,0010) UI  transfer syntax of the presentation context
    (0002,0012) UI  implementation class: ours
    the data set, octet for octet as received

Nothing about the peer, the time or the version of this software is in the header: the same object sent twice is the
same file. The file's name is ours (a counter); a UID is only ever content.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
import struct
from pathlib import Path

from esi_room.clock import Stamp
from esi_room.record.disk import FILE_MODE, Disk

# Never to change: a resent object would no longer be the same file.
IMPLEMENTATION_CLASS_UID = "2.25.257908642192783447698415860259105275808"
_DISK = Disk()
# The disk begins to write after this much, not at the end: the fsync of 2 MiB then takes 0.4 ms instead of 1.2.
WRITE_OUT_BYTES = 512 << 10
# The disk may be this far behind: the file system's log commits a file's new octets along with the journal's line, so
# a heartbeat that comes during the fsync of a 50 MiB run would wait 30 ms for it.
BEHIND_BYTES = 4 << 20
# Kept to read the header from: a C-arm's is 2 to 10 KiB, as a rule. A longer one is read from the file.
HEAD_BYTES = 16 << 10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_WAIT_BEFORE, _WRITE = 1, 2  # SYNC_FILE_RANGE_*, see sync_file_range(2)


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    """One explicit VR little endian element of group 2, short form."""
    return struct.pack("<HH2sH", 2, tag, vr, len(value)) + value


def _uid(text: str) -> bytes:
    octets = text.encode("ascii", "replace")
    return octets + b"\0" * (len(octets) % 2)


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta information."""
    group = (
        struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2)
        + b"\0\1"
        + _element(0x02, b"UI", _uid(sop_class_uid))
        + _element(0x03, b"UI", _uid(sop_instance_uid))
        + _element(0x10, b"UI", _uid(transfer_syntax_uid))
        + _element(0x12, b"UI", _uid(IMPLEMENTATION_CLASS_UID))
    )
    return b"\0" * 128 + b"DICM" + _element(0, b"UL", struct.pack("<I", len(group))) + group


class Incoming(io.BytesIO):
    """Takes the place of the buffer in which pynetdicom collects a data set (it insists on a BytesIO), and holds
    none of it. A failing disk is remembered, not raised: the rest of the object must be read off the line before
    the peer can be told."""

    def __init__(self, path: Path, meta: bytes, *, started: Stamp, max_bytes: int, problem: str | None = None) -> None:
        super().__init__()
        self.path, self.started = path, started
        self.meta_bytes, self.size_bytes = len(meta), 0
        self.problem = problem
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self._fd, self._begun_bytes = -1, 0
        self._name: Path | None = None
        self.head = b""
        """What the data set begins with: its first pieces, until they are HEAD_BYTES."""
        if problem is None:
            self._open(meta)

    def _open(self, meta: bytes) -> None:
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            self._put(meta)
        except OSError as error:
            self.problem = f"cannot write: {error.strerror}"

    @property
    def sha256(self) -> str:
        """Of the whole file so far. It decides what is the same object: the header in front is made of the request."""
        return self._digest.hexdigest()

    def write(self, octets: bytes | memoryview) -> int:  # type: ignore[override]
        """The next piece of the data set."""
        if self.problem is None and self.size_bytes + len(octets) > self._max_bytes:
            self.problem = f"larger than {self._max_bytes} bytes"
        if len(self.head) < HEAD_BYTES:
            self.head += octets[: HEAD_BYTES - len(self.head)]
        if self.problem is None:
            try:
                self._put(octets)
            except OSError as error:
                self.problem = f"cannot write: {error.strerror}"
        return len(octets)

    def _put(self, octets: bytes | memoryview) -> None:
        rest = memoryview(octets)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._digest.update(octets)
        self.size_bytes += len(octets)
        if self.size_bytes - self._begun_bytes >= WRITE_OUT_BYTES:
            _write_out(self._fd, self._begun_bytes, self.size_bytes)
            self._begun_bytes = self.size_bytes

    def link(self, frames: Path) -> bool:
        """The whole object becomes `<frames>/<sha256>.dcm`. False where that is for the daemon to do (`keeper.link`):
        the directory is not there yet, or the name is taken."""
        name = frames / f"{self.sha256}.dcm"
        try:
            os.link(self.path, name)
        except OSError:
            return False
        self._name = name
        return True

    def sync(self) -> None:
        """The octets are durable. After the link, not before: the file system's log then commits octets, size and name
        at one go. OSError where the disk fails: what an fsync fails for is lost, though the next may not say so."""
        os.fsync(self._fd)

    def sync_name(self) -> None:
        """The name that `link` gave is durable. After `sync`, whose commit held it already: in a thread beside that, it
        takes longer to wake than it saves."""
        if self._name is not None:
            _DISK.sync_directory(self._name.parent)

    def unlink(self) -> None:
        """It is refused after all."""
        if self._name is not None:
            self._name.unlink(missing_ok=True)

    def finish(self) -> None:
        """No more octets."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """The object is kept elsewhere, or refused, or was cut off."""
        self.finish()
        self.path.unlink(missing_ok=True)


def _write_out(fd: int, begin: int, end: int) -> None:
    """Begin to write these octets of the file to the disk; wait for those that are BEHIND_BYTES older. OSError where
    the disk fails. Nothing is durable by it: that takes `Incoming.sync`."""
    ranges = (begin, _WRITE), (begin - BEHIND_BYTES, _WAIT_BEFORE)
    for offset, flags in ranges:
        if offset >= 0 and _libc.sync_file_range(fd, offset, end - begin, flags):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
