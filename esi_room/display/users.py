"""The file of users: who may log in at the pages, and as what.

    NAME:ROLE:scrypt$N$R$P$SALT$HASH      with a password; salt and hash in base64
    NAME:ROLE:-                           with a client certificate of this common name alone

Rules:
- Mode 0600, written whole beside the old one and put in its place. It is read again when it has changed, so whoever is
  taken out of it is out at once.
- A name that is not in it costs as much time as a wrong password: nobody learns from here who is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

from esi_room.errors import ConfigurationError
from esi_room.outputs.access import PAGE_ROLES

NAME = re.compile(r"[A-Za-z0-9_.@-](?:[A-Za-z0-9_.@ -]{0,62}[A-Za-z0-9_.@-])?")
NAME_IN_WORDS = "1 to 64 of A-Z a-z 0-9 _ . @ - and spaces between them"
PASSWORD_MIN_CHARACTERS = 10
PASSWORD_MAX_BYTES = 1024
FILE_MAX_BYTES = 1 << 20
CERTIFICATE_ALONE = "-"

# About 0.1 s and 32 MiB a try (RFC 7914, section 2: N a power of two, memory 128 * N * r).
SCRYPT = (2**15, 8, 1)
SCRYPT_MAX_BYTES = 64 << 20
SALT_BYTES = 16
HASH_BYTES = 32


log = structlog.get_logger()


class User(NamedTuple):
    """One line. `secret`: as it stands there."""

    name: str
    role: str
    secret: str

    def __repr__(self) -> str:
        return f"User({self.name!r}, {self.role!r})"


class Users:
    """The file, as it is now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = (0, 0, 0)  # of the file that was read; None: it was not there
        self._users: Mapping[str, User] = {}

    def get(self, name: str) -> User | None:
        """The user of this name; None where there is none. Nobody is in a file that cannot be read."""
        try:
            found = self.path.stat()
            stamp = (found.st_ino, found.st_ctime_ns, found.st_size)
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._users, self._stamp = self._read(), stamp
        return self._users.get(name)

    def _read(self) -> dict[str, User]:
        try:
            return read(self.path)
        except ConfigurationError as error:
            log.error("display_users_unreadable", reason=str(error), hint="nobody is logged in until it is mended")
            return {}

    def verify(self, name: str, password: str) -> User | None:
        """The user, if the password is right. Takes the time of a scrypt, whatever is wrong: call it in a thread."""
        user = self.get(name)
        secret = NOBODY if user is None or user.secret == CERTIFICATE_ALONE else user.secret
        right = matches(secret, password)
        return user if right and secret is not NOBODY else None


def read(path: Path) -> dict[str, User]:
    """Every user. ConfigurationError with all that is wrong with the file."""
    try:
        mode, octets = path.stat().st_mode, path.read_bytes()
        lines = octets[:FILE_MAX_BYTES].decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: the users cannot be read: {error}"]) from error
    problems = [f"{path}: others may read it: chmod 600 it"] if mode & 0o077 else []
    users: dict[str, User] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        role, _, secret = rest.partition(":")
        if not NAME.fullmatch(name) or role not in PAGE_ROLES or not _is_secret(secret) or name in users:
            problems.append(f"{path}:{number}: this is no user; `esi-room display passwd` writes this file")
        users[name] = User(name, role, secret)
    if problems:
        raise ConfigurationError(problems)
    return users


def write(path: Path, users: Mapping[str, User]) -> None:
    """The whole file, sorted, durable."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - the descriptor carries the mode
        os.fchmod(file.fileno(), 0o600)  # also where a .new was left behind with another
        file.write("".join(":".join(user) + "\n" for _, user in sorted(users.items())))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def hashed(password: str, cost: tuple[int, int, int] = SCRYPT) -> str:
    """As it stands in the file."""
    salt = secrets.token_bytes(SALT_BYTES)
    return "$".join(("scrypt", *map(str, cost), _text(salt), _text(_scrypt(password, salt, cost))))


def matches(secret: str, password: str) -> bool:
    """Whether `secret` was made of `password`. Takes the time of a scrypt."""
    _, *numbers, salt, wanted = secret.split("$")
    n, r, p = map(int, numbers)
    made = _scrypt(password, base64.b64decode(salt), (n, r, p))
    return hmac.compare_digest(made, base64.b64decode(wanted))


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    octets = password.encode()[:PASSWORD_MAX_BYTES]
    return hashlib.scrypt(octets, salt=salt, n=n, r=r, p=p, maxmem=SCRYPT_MAX_BYTES, dklen=HASH_BYTES)


def _is_secret(text: str) -> bool:
    form = r"scrypt\$\d{1,7}\$\d{1,2}\$\d{1,2}\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+"
    return text == CERTIFICATE_ALONE or re.fullmatch(form, text) is not None


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


NOBODY = "$".join(("scrypt", *map(str, SCRYPT), _text(bytes(SALT_BYTES)), _text(bytes(HASH_BYTES))))
"""What a name that is not there is checked against: no password makes this hash."""
