"""The room's Ed25519 keys, under `<data>/keys`: what checkpoints are signed with.

Rules:
- `private.pem` (PKCS #8, 0600) is the one key that signs. One that others may read is not used.
- `<id>.pem` is a public key; its id is the first 16 hex digits of the SHA-256 of its 32 octets. They are kept for ever,
  so that old records verify. The private key is there before its public key, and that before anything it signs.
- A key that is gone is not made anew by itself: only a person knows whether somebody took it. `rotate` makes the next.
"""

from __future__ import annotations

import hashlib
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from esi_room.errors import SigningError
from esi_room.record.disk import Disk

PRIVATE = "private.pem"
_SEED_BYTES = 32  # RFC 8032, 5.1.5: an Ed25519 private key is 32 octets of chance
_ID_CHARACTERS = 16  # 64 bits, to tell a room's few keys apart: nothing is trusted for its id


class SigningKey(NamedTuple):
    """A key to sign with."""

    id: str
    public: bytes
    private: Ed25519PrivateKey

    def sign(self, octets: bytes) -> bytes:
        return self.private.sign(octets)

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class Keys:
    """The keys of one data directory. Every call blocks. SigningError: there is none to be had; OSError: the disk."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.folder = root / "keys"
        self._private = self.folder / PRIVATE
        self._disk = disk

    @property
    def public(self) -> list[Path]:
        """The public keys, by id."""
        return sorted(path for path in self.folder.glob("*.pem") if path.name != PRIVATE)

    def current(self) -> SigningKey:
        """The key that signs now, its public key beside it."""
        try:
            pem = self._private.read_bytes()
            mode = stat.S_IMODE(self._private.stat().st_mode)
        except OSError as error:
            raise SigningError(
                f"the signing key cannot be read: {self._private}: {error.strerror}; put it back, "
                "or make the next with `esi-room keys rotate`"
            ) from error
        if mode & 0o077:
            raise SigningError(
                f"others may read the signing key {self._private} (mode {mode:04o}): chmod 600 it, "
                "or, if somebody did, make the next with `esi-room keys rotate`"
            )
        key = _key(_loaded(self._private, pem))
        self._publish(key)
        return key

    def make(self) -> SigningKey:
        """The room's first key. SigningError if there is, or was, one."""
        if self._private.exists() or self.public:
            raise SigningError(f"{self.folder} holds keys already: `esi-room keys rotate` makes the next")
        return self._new()

    def rotate(self) -> SigningKey:
        """The next key: from now on it signs, and the one before it is gone but for its public key."""
        if self._private.exists():
            try:
                self.current()  # its public key must be there for ever; one that nobody can read signed nothing new
            except SigningError:
                if not self.public:
                    raise
        return self._new()

    def begin(self) -> bool:
        """Make a key if this is the room's first start; whether one was made."""
        if self._private.exists() or self.public:
            return False
        self._new()
        return True

    def _new(self) -> SigningKey:
        self._disk.make_directory(self.folder)
        private = Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(_SEED_BYTES))
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._disk.write_file(self._private, pem)  # a crash behind this: `current` makes the public key
        key = _key(private)
        self._publish(key)
        return key

    def _publish(self, key: SigningKey) -> None:
        path = self.folder / f"{key.id}.pem"
        if not path.exists():
            self._disk.write_file(path, key.public_pem)


def _key(private: Ed25519PrivateKey) -> SigningKey:
    public = private.public_key().public_bytes_raw()
    return SigningKey(key_id(public), public, private)


def key_id(public: bytes) -> str:
    """How a key is called."""
    return hashlib.sha256(public).hexdigest()[:_ID_CHARACTERS]


def _loaded(path: Path, pem: bytes) -> Ed25519PrivateKey:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningError(f"{path} holds no key that can be read: put the right one back, or rotate") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningError(f"{path} is no Ed25519 key")
    return private
