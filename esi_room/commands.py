"""What may be asked of the room: the shapes of `command/<name>`.

Rules:
- What the staff say of the patient is a form (`esi_room.events.clinical`); its command has the same fields, and is made
  from it here.
- Unknown fields are refused, so a typo is answered with words instead of being dropped.
- The JSON Schemas in `docs/schemas` are generated from these classes, so that anybody's console can render them.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from esi_room.events import FORMS, Clinical, Phase, Plan
from esi_room.events.clinical import ClinicalNote, FollowUp
from esi_room.events.clinical.words import Date, Moment, Text, Word

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Level = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
RecordId = Annotated[str, Meta(pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{4}$")]
Seq = Annotated[int, Meta(ge=0)]
ShortText = Annotated[str, Meta(min_length=1, max_length=16)]  # value representation SH, and AE titles
Uid = Annotated[str, Meta(pattern=r"^[0-9.]{1,64}$")]
DateTime = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$")]


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
    """Who the patient is. It is kept apart from the journal, which holds a salted digest of it, and published on
    `private/identity` alone."""

    name: Word
    id: Word | None = None
    birth_date: Date | None = None


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scheduled procedure step: one line of the worklist that the C-arm is offered (PS3.4 K).

    `id`: Scheduled Procedure Step ID. `scheduled_at`: local date and time. `dataset`: the whole worklist item as
    DICOM JSON (PS3.18 F.2) where it came as DICOM; whatever the peer asks back is taken from there first.
    """

    id: ShortText
    identity: Identity
    sex: Literal["M", "F", "O"] | None = None
    accession: ShortText | None = None
    study_uid: Uid | None = None
    requested_procedure_id: ShortText | None = None
    procedure: Word | None = None
    modality: ShortText | None = None
    station_ae_title: ShortText | None = None
    physician: Word | None = None
    scheduled_at: DateTime | None = None
    plan: Plan | None = None
    """In coded words: what time-out and injection are held against."""
    origin: Literal["folder", "hospital", "command"] = "command"
    dataset: str | None = None


class Start(Command, frozen=True):
    """A procedure begins: the standby record is sealed, a procedure record opened; or the staff take over the one that
    the C-arm has opened (MPPS), which from then on ends with the staff's `end`. `procedure`: what is to be done.

    `order`: the worklist order (its `id`) that is carried out; procedure and identity come from it where the command
    gives none.
    """

    NAME: ClassVar = "start"
    procedure: Word | None = None
    identity: Identity | None = None
    order: ShortText | None = None
    plan: Plan | None = None
    """In coded words, where the order does not say."""


class EnterPhase(Command, frozen=True):
    """The procedure enters `phase`. Going back needs a reason."""

    NAME: ClassVar = "phase"
    phase: Phase
    reason: Text | None = None
    record: RecordId | None = None
    """The record that is meant, as with a form: another one's is left alone."""


class Say(Command, frozen=True):
    """Base of the forms' commands. `at`: when it happened, where that is not now. `record`: the record that is meant;
    if it is not the open one any more, the command is refused instead of going into another patient's record."""

    FORM: ClassVar[type[Clinical]]
    at: Moment | None = None
    record: RecordId | None = None

    def form(self) -> Clinical:
        """What is said, as the entry has it."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name in self.FORM.__struct_fields__}
        return self.FORM(**fields)


class Acknowledge(Command, frozen=True):
    """Somebody has seen an alert."""

    NAME: ClassVar = "acknowledge"
    alert: Word
    reason: Text | None = None
    record: RecordId | None = None


class Override(Command, frozen=True):
    """Somebody decides to go on in spite of an alert, and says why."""

    NAME: ClassVar = "override"
    alert: Word
    reason: Text
    record: RecordId | None = None


class Amend(Command, frozen=True):
    """A form for a record that is sealed already: a late score, a follow-up, a correction. `form`: its name; `fields`:
    those of its command."""

    NAME: ClassVar = "amend"
    record: RecordId
    form: Word
    fields: dict[str, Any]
    at: Moment | None = None


class End(Command, frozen=True):
    """The procedure is over: its record is sealed, a standby record opened."""

    NAME: ClassVar = "end"
    outcome: Literal["completed", "discontinued"] = "completed"
    reason: Text | None = None
    record: RecordId | None = None


class PlaceOrder(Command, frozen=True):
    """A line for the worklist that the C-arm is offered; the same `order.id` again replaces it."""

    NAME: ClassVar = "order"
    order: Order


class WithdrawOrder(Command, frozen=True):
    """The order is no longer offered."""

    NAME: ClassVar = "withdraw_order"
    order: ShortText


class ShowFrame(Command, frozen=True):
    """Which image was on at a moment: the frame that had begun last, of any object of `record` (null: the open one).

    `at`: RFC 3339, with a zone. The answer names the frame; before it the picture itself, a JPEG, comes on
    `reply/<client>/image`.
    """

    NAME: ClassVar = "frame"
    at: Moment
    record: RecordId | None = None


class Backfill(Command, frozen=True):
    """Send me lines again: those of `record` from `from_seq` on, up to `to_seq` (both included; null: to the end). Of a
    sealed record with its amendments, whose `seq` goes on behind the seal.

    They come on `reply/<client>/backfill`, octet for octet, and disturb nobody else; then the answer. At most 500
    lines or about 1 MiB at once: while the answer holds `next`, ask again from there.
    """

    NAME: ClassVar = "backfill"
    record: RecordId
    from_seq: Seq
    to_seq: Seq | None = None


def _said_by(form: type[Clinical]) -> type[Say]:
    """The command with the fields of `form`."""
    fields = [_field(f) for f in msgspec.structs.fields(form) if f.name != "actor"]
    name = form.TYPE.removeprefix("clinical.")
    made: Any = msgspec.defstruct(
        form.__name__,
        fields,
        bases=(Say,),
        namespace={"NAME": name, "FORM": form, "__doc__": form.__doc__},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
    said: type[Say] = made
    return said


def _field(field: msgspec.structs.FieldInfo) -> Any:
    if field.required:
        return field.name, field.type
    if field.default is msgspec.NODEFAULT:
        return field.name, field.type, msgspec.field(default_factory=field.default_factory)
    return field.name, field.type, field.default


Note = _said_by(ClinicalNote)

SAYINGS: dict[str, type[Say]] = {
    Note.NAME: Note,
    **{name: _said_by(form) for name, form in FORMS.items() if form not in (ClinicalNote, FollowUp)},
}
"""The forms' commands. A follow-up is said of a sealed record: with `amend`."""

COMMANDS: dict[str, type[Command]] = {
    **{
        c.NAME: c
        for c in (Start, EnterPhase, End, Acknowledge, Override, Amend, PlaceOrder, WithdrawOrder, ShowFrame, Backfill)
    },
    **SAYINGS,
}
