"""What is asked of the room and what it answers: the shapes of `command/<name>`, `reply/<client>` and `status`.

The JSON Schemas in `docs/schemas` are generated from these classes.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from esi_room.events import Phase

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Level = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
RecordId = Annotated[str, Meta(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{4}$")]
Seq = Annotated[int, Meta(ge=0)]
Words = Annotated[str, Meta(max_length=4000)]


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every command carries.

    `id`: chosen by the sender, never used twice for two things; the same `id` again is the same command, acts once
    and is answered with the first answer: repeat it until answered. `actor`: the person. `client`: the sender's
    MQTT client id; the answer goes to `reply/<client>`.
    """

    NAME: ClassVar[str]
    id: Id
    actor: Id
    client: Level


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the patient is. It is kept apart from the record and published on `private/identity` alone."""

    name: Words
    id: Words
    birth_date: Words | None = None


class Start(Command, frozen=True):
    """Open a procedure record. `procedure`: what is to be done, in words."""

    NAME: ClassVar = "start"
    procedure: Words | None = None
    identity: Identity | None = None


class SetPhase(Command, frozen=True):
    """The procedure enters `phase`."""

    NAME: ClassVar = "phase"
    phase: Phase
    reason: Words | None = None


class Note(Command, frozen=True):
    """A free text for the record. No patient identity."""

    NAME: ClassVar = "note"
    text: Annotated[str, Meta(min_length=1, max_length=4000)]


class End(Command, frozen=True):
    """The procedure is over; its record is sealed."""

    NAME: ClassVar = "end"
    outcome: Literal["completed", "discontinued"]
    reason: Words | None = None


class Backfill(Command, frozen=True):
    """Send me lines again: those of `record` from `from_seq` on, up to `to_seq` (both included; null: to the end).

    They come on `reply/<client>/backfill`, octet for octet, and disturb nobody else; then the answer. At most 500
    lines or about 1 MiB at once: while the answer holds `next`, ask again from there.
    """

    NAME: ClassVar = "backfill"
    record: RecordId
    from_seq: Seq
    to_seq: Seq | None = None


COMMANDS: dict[str, type[Command]] = {c.NAME: c for c in (Start, SetPhase, Note, End, Backfill)}


class Position(Struct, frozen=True, kw_only=True):
    """A line of a record."""

    record: str
    seq: int


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


class Status(Struct, frozen=True, kw_only=True):
    """`status`, retained: birth and death of the daemon.

    `offline` is also the will, which the broker publishes when the daemon vanishes; then `since` and `record` are
    null, for nobody knows. While it says `offline`, no retained state is kept up. `problem`: what a person should
    look at now (the record cannot be written, the broker refuses something), or why it went offline.
    """

    status: Literal["online", "offline"]
    software: str
    configuration_sha256: str
    since: str | None
    record: str | None
    problem: str | None
