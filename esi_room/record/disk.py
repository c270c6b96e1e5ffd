"""The few calls by which the record reaches the disk, in one place, so that a test can make each of them fail,
or end the process in the middle of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
_ERASE_BYTES = 1 << 20  # of zeros at a time: an object may have gigabytes


class Disk:
    """The real disk. Every method raises OSError as the kernel gives it."""

    def make_directory(self, path: Path) -> None:
        """`path` with its parents, 0700, its name durable in its parent."""
        for folder in reversed([path, *path.parents]):
            if not folder.exists():
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(mode=DIRECTORY_MODE)
                self.sync_directory(folder.parent)

    def open_append(self, path: Path) -> int:
        """A descriptor that appends to `path` (made 0600 if it is new), the name durable in its directory."""
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        if new:
            self.sync_directory(path.parent)
        return descriptor

    def write(self, descriptor: int, octets: bytes) -> None:
        """All of `octets`, or OSError."""
        rest = memoryview(octets)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """What was written is durable when this returns."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """Cut the file back to `size_bytes`."""
        os.ftruncate(descriptor, size_bytes)

    def close(self, descriptor: int) -> None:
        """The descriptor is done with."""
        os.close(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Names made in `path` are durable when this returns."""
        _fsync(path, os.O_DIRECTORY)

    def sync_file(self, path: Path) -> None:
        """What somebody else has written into `path` is durable, with its size, when this returns."""
        _fsync(path, 0)

    def write_file(self, path: Path, octets: bytes, *, owner: tuple[int, int] | None = None) -> None:
        """A small file, whole or not at all, 0600, durable. `owner`: the user and group that it is left to."""
        temporary = path.with_name(path.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            self.write(descriptor, octets)
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        self.sync_directory(path.parent)

    def erase_file(self, path: Path) -> None:
        """A file is no more: overwritten first, durably, then its name is taken away; a link's name alone. Missing is
        well. Its name is not durably gone before `sync_directory`."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a pipe: nothing to overwrite
                raise
        else:
            try:
                self._overwrite(descriptor)
            finally:
                os.close(descriptor)
        path.unlink(missing_ok=True)

    def _overwrite(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:  # of another name, too: that one keeps its content
            return
        rest = found.st_size
        while rest:
            self.write(descriptor, bytes(min(rest, _ERASE_BYTES)))
            rest -= min(rest, _ERASE_BYTES)
        os.fsync(descriptor)

    def unlink(self, path: Path) -> None:
        """This name is gone; a link is not followed."""
        path.unlink(missing_ok=True)

    def remove_directory(self, path: Path) -> None:
        """This empty directory is gone."""
        path.rmdir()


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
