"""The topic tree `esi/<room>/…`, in one place.

Levels and client ids are `[A-Za-z0-9_-]`, so that every broker takes them (NATS refuses spaces and dots).
"""

from __future__ import annotations

import re
from typing import NamedTuple

LEVEL = re.compile(r"[A-Za-z0-9_-]{1,64}")

PROCEDURE = "state/procedure"
VITALS = "state/vitals"
PUMP = "state/pump"
CARM = "state/carm"
DOSE = "state/dose"
ALERTS = "state/alerts"
CHECKPOINT = "state/checkpoint"
AMENDMENT = "state/amendment"
DEVICE = "state/device/"  # + id
DEVICES = "state/device/+"
IMAGE = "image/last"
STATUS = "status"
IDENTITY = "private/identity"
COMMANDS = "command/+"


class Topics(NamedTuple):
    """The tree of one room. Every method returns a full topic."""

    room: str

    def __call__(self, relative: str) -> str:
        """`esi/<room>/<relative>`."""
        return f"esi/{self.room}/{relative}"

    def event(self, entry_type: str) -> str:
        """Where an entry's line is published: its type with `/` for `.`."""
        return self(f"event/{entry_type.replace('.', '/')}")

    def reply(self, client: str) -> str:
        """Where a command of `client` is answered."""
        return self(f"reply/{client}")

    def backfill(self, client: str) -> str:
        """Where the lines that `client` asked for again are sent."""
        return self(f"reply/{client}/backfill")

    def picture(self, client: str) -> str:
        """Where the frame that `client` asked for is sent."""
        return self(f"reply/{client}/image")

    def command_name(self, topic: str) -> str | None:
        """The command that `topic` names; None if it is no command topic."""
        start = self("command/")
        return topic[len(start) :] if topic.startswith(start) else None

    def device(self, topic: str) -> str | None:
        """The device whose state `topic` is; None if it is no such topic."""
        start = self(DEVICE)
        return topic[len(start) :] if topic.startswith(start) else None
