"""Who may read and write what: the roles, as `config/mosquitto.acl` gives them to Mosquitto, for the embedded broker.

Rules:
- A role is a user of the broker, and the broker decides: whoever connects as `display` is shown no patient, however
  it got there.
- What is not allowed is denied. A test holds this table and `config/mosquitto.acl` to each other.
- The logins that programs of this package use lie in a file of lines `ROLE USER PASSWORD`, mode 0600. For the embedded
  broker the daemon makes it; for another broker somebody writes it.
- NATS has no rule like Mosquitto's `reply/%c`: it lets each role read all of `reply/`. Whoever passes other people's
  connections on to it (the display's server) lets nobody subscribe to another's.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from esi_room.errors import BrokerError

PASSWORD_BYTES = 32
LOGINS_FILE = "logins"  # beside the embedded broker's store
FILE_MAX_BYTES = 64 << 10  # anything longer is another file named by mistake

_ALL = ("event/#", "state/#", "image/last", "status", "replay/#")
_ASKING = ("command/backfill", "command/frame")
_DEVICES = ("event/device/#", "event/record/#", "event/clock/#", "event/config/#", "state/device/+", "status")


class Access(NamedTuple):
    """Topic filters below `esi/<room>/`. Besides, everybody reads `reply/<its client id>/#`."""

    read: tuple[str, ...]
    write: tuple[str, ...]


ROLES: Mapping[str, Access] = {
    "display": Access(_ALL, _ASKING),
    "console": Access((*_ALL, "private/identity"), ("command/+",)),
    "engineer": Access(_DEVICES, ()),
    "auditor": Access(_ALL, ("replay/#", *_ASKING)),
    "witness": Access(("state/checkpoint", "state/amendment"), ()),
}


PAGE_ROLES = tuple(role for role in ROLES if role != "witness")
"""Of people who look at pages."""


class Login(NamedTuple):
    """How a role logs in to the broker."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r})"  # a password has no place in a log


def read_logins(path: Path) -> dict[str, Login]:
    """Role -> login. BrokerError says what is wrong with the file."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BrokerError(f"{path} holds passwords and others may read it: chmod 600 it")
        lines = path.read_bytes()[:FILE_MAX_BYTES].decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerError(f"the broker's logins cannot be read from {path}: {error}") from error
    found: dict[str, Login] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        role, *rest = line.split()
        if role not in ROLES or len(rest) != 2 or role in found:
            raise BrokerError(
                f"{path}:{number}: this is no line ROLE USER PASSWORD, with a role of its own out of {', '.join(ROLES)}"
            )
        found[role] = Login(*rest)
    return found


def keep_logins(path: Path) -> dict[str, Login]:
    """The embedded broker's logins; made where there are none, or not for every role."""
    if path.exists() and set(logins := read_logins(path)) == set(ROLES):
        return logins
    logins = {role: Login(role, secrets.token_urlsafe(PASSWORD_BYTES)) for role in ROLES}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - the descriptor carries the mode
        file.write("".join(f"{role} {login.username} {login.password}\n" for role, login in logins.items()))
    new.replace(path)
    return logins


def subjects(topic_filter: str) -> list[str]:
    """A filter below `esi/+/` as subjects of NATS, which writes levels with dots and means less by its `>`."""
    levels = ["esi", "*", *("*" if level == "+" else level for level in topic_filter.split("/"))]
    if levels[-1] != "#":
        return [".".join(levels)]
    above = ".".join(levels[:-1])
    return [above, f"{above}.>"]
