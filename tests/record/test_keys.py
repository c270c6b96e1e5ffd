"""Keys: one that signs, kept from others; public ones for ever; none made behind anybody's back."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from pathlib import Path

import pytest

from esi_room.errors import SigningError
from esi_room.record.disk import Disk
from esi_room.record.keys import Keys
from esi_room.record.verify_checkpoints import public_key, read_keys


class PowerCut(BaseException):
    """The machine is gone: nothing is tidied up."""


class DyingDisk(Disk):
    """Ends in its `number`-th call; of a write half reaches the disk."""

    def __init__(self, number: int) -> None:
        self.left = number

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise PowerCut

    def make_directory(self, path: Path) -> None:
        self._count()
        super().make_directory(path)

    def write(self, descriptor: int, octets: bytes) -> None:
        if self.left == 1:
            super().write(descriptor, octets[: len(octets) // 2])
        self._count()
        super().write(descriptor, octets)

    def sync_directory(self, path: Path) -> None:
        self._count()
        super().sync_directory(path)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path, Disk())


def test_the_private_key_is_for_its_owner_alone(keys):
    key = keys.make()
    assert (keys.folder / "private.pem").stat().st_mode & 0o777 == 0o600
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    assert keys.current().id == key.id == hashlib.sha256(key.public).hexdigest()[:16]


def test_a_rotated_key_leaves_its_public_key(keys, tmp_path):
    first, second = keys.make(), keys.rotate()
    assert first.id != second.id == keys.current().id
    assert read_keys(tmp_path) == {first.id: first.public, second.id: second.public}
    assert first.private.private_bytes_raw() not in b"".join(p.read_bytes() for p in keys.folder.iterdir())


def test_a_first_key_is_made_once(keys):
    assert keys.begin()
    assert not keys.begin()
    with pytest.raises(SigningError, match="rotate"):
        keys.make()


def test_a_key_that_is_gone_is_said_and_not_made_anew(keys):
    first = keys.make()
    (keys.folder / "private.pem").unlink()
    assert not keys.begin()
    with pytest.raises(SigningError, match=r"private\.pem: No such file.*rotate"):
        keys.current()
    with pytest.raises(SigningError):
        keys.make()
    assert keys.rotate().id != first.id
    assert len(keys.public) == 2


@pytest.mark.parametrize(
    "octets", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_key_is_said(keys, octets):
    keys.make()
    (keys.folder / "private.pem").write_bytes(octets)
    with pytest.raises(SigningError, match="holds no key that can be read"):
        keys.current()
    keys.rotate()
    assert keys.current()


def test_a_key_that_others_may_read_does_not_sign(keys):
    keys.make()
    (keys.folder / "private.pem").chmod(0o640)
    with pytest.raises(SigningError, match="mode 0640"):
        keys.current()


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("number", range(1, 8))
def test_a_crash_at_any_call_leaves_a_key_that_signs(tmp_path, number, rotate):
    """The former one or the new one, its public key beside it, and no public key lost."""
    before = [Keys(tmp_path, Disk()).make().id] if rotate else []
    dying = Keys(tmp_path, DyingDisk(number))
    with contextlib.suppress(PowerCut):
        dying.rotate() if rotate else dying.begin()
    keys = Keys(tmp_path, Disk())
    keys.begin()
    key = keys.current()
    assert set(before) | {key.id} <= set(read_keys(tmp_path))
    assert (keys.folder / "private.pem").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_the_former_key(tmp_path, disk):
    first = Keys(tmp_path, Disk()).make()
    disk.error, disk.methods, disk.partial = OSError(errno.ENOSPC, "No space left on device"), {"write"}, 10
    with pytest.raises(OSError, match="No space"):
        Keys(tmp_path, disk).rotate()
    assert Keys(tmp_path, Disk()).current().id == first.id


@pytest.mark.parametrize("octets", [b"", b"\xff" * 300, b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_public_key_counts_for_none(keys, tmp_path, octets):
    key = keys.make()
    (keys.folder / "0123456789abcdef.pem").write_bytes(octets)
    (keys.folder / "another.pem").write_bytes(key.public_pem)
    assert read_keys(tmp_path) == {key.id: key.public}
    assert public_key(octets) is None
