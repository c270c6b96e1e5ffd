"""What the room answers and says of itself: the shapes of `reply/<client>` and `status`.

The JSON Schemas in `docs/schemas` are generated from these classes.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Position(Struct, frozen=True, kw_only=True):
    """A line of a record."""

    record: str
    seq: int


class FrameFound(Struct, frozen=True, kw_only=True):
    """A frame: of the object that the entry `record`, `seq` names. `number` counts from 1; null where the object does
    not tell when each of its frames was taken. `taken_at`: when it began, by the room's clock."""

    record: str
    seq: int
    sha256: str
    number: int | None
    taken_at: str


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one command.

    `id`: the command's; null where it could not be read. `ok`: it was done. `record`, `seq`: the entry it made (of
    a backfill: the first line sent). `message`: one sentence. `problems`: everything that was wrong, in words.
    """

    id: str | None
    ok: bool
    record: str | None
    seq: int | None
    message: str
    problems: tuple[str, ...]
    count: int | None = None
    """Of a backfill: lines sent."""
    next: Position | None = None
    """Of a backfill: where to ask on; absent when nothing more is committed."""
    frame: FrameFound | None = None
    """Of a frame: which one it is."""
    answered_at: str | None = None
    """The room's clock at the answer: a page sets its own by it, since whatever else it receives may be old."""


class Status(Struct, frozen=True, kw_only=True):
    """`status`, retained: birth and death of the daemon.

    `offline` is also the will, which the broker publishes when the daemon vanishes; then `since` and `record` are
    null, for nobody knows. While it says `offline`, everything retained is what was known then, values with `stale`
    false included: after a kill nobody is left to mark them. `problem`: what a person should look at now (the record
    cannot be written, the broker refuses something), or why it went offline.
    """

    status: Literal["online", "offline"]
    software: str
    configuration_sha256: str
    since: str | None
    record: str | None
    problem: str | None
