"""What the staff may say, as typed forms: the fields of `command/<name>` beside `id`, `actor` and `client`.

Unknown fields are refused, so a typo is answered with words instead of being dropped. Their JSON Schemas are
published, so that anybody's console can render them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from esi_room.events import Phase

Text = Annotated[str, Meta(min_length=1, max_length=4000)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the patient is. Kept in `private/identity.json` alone; the journal holds a salted digest of it."""

    name: Word
    id: Word | None = None
    birth_date: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command/start`: a procedure begins. The standby record is sealed, a procedure record opened."""

    procedure: Word | None = None
    identity: Identity | None = None


class EnterPhase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command/phase`: the procedure enters a phase. Going back needs a reason."""

    phase: Phase
    reason: Text | None = None


class Note(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command/note`: free text, into whichever record is open."""

    text: Text


class End(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command/end`: the procedure is over. Its record is sealed, a standby record opened."""

    outcome: Literal["completed", "discontinued"] = "completed"
    reason: Text | None = None


FORMS: dict[str, type[Struct]] = {"start": Start, "phase": EnterPhase, "note": Note, "end": End}
