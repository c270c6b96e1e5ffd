"""Which objects the room holds: SOP instance UID -> where, and with which content. All records, not only the open one.

Built again at every start from the journals themselves, by their lines of type `carm.image`: there is no second store
that could disagree with the record.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from esi_room.events import CarmImage, Entry, InstanceRef


class Held(Struct, frozen=True, kw_only=True):
    """One object in one record."""

    record: str
    seq: int
    sop_class_uid: str
    time: str
    """When it was taken (RFC 3339, as its entry says)."""
    sha256: str
    original: bool
    """False for the entry of an object that came again."""
    picture: bool
    """Whether its header has rows and columns, and it was not taken in an earlier record."""

    @property
    def ref(self) -> InstanceRef:
        """Where it is."""
        return InstanceRef(record=self.record, seq=self.seq)


def held(record: str, seq: int, time: str, image: CarmImage) -> Held:
    """What the index keeps of an entry."""
    return Held(
        record=record,
        seq=seq,
        time=time,
        sop_class_uid=image.sop_class_uid,
        sha256=image.sha256,
        original=image.duplicate_of is None,
        picture=bool(image.rows and image.columns) and image.taken_in is None,
    )


class Index:
    """By SOP instance UID, in the order of the entries."""

    def __init__(self) -> None:
        self._by_uid: dict[str, list[Held]] = {}
        self.last: tuple[str, Held] | None = None
        """SOP instance UID and place of the picture that was taken last, in the last record that has one of its own."""

    def remember(self, entry: Entry, image: CarmImage) -> None:
        """An entry of the room's journals, oldest first."""
        self.add(image.sop_instance_uid, held(entry.record, entry.seq, entry.time, image))

    def add(self, sop_instance_uid: str, place: Held) -> None:
        """An entry was written."""
        self._by_uid.setdefault(sop_instance_uid, []).append(place)
        if place.picture and place.original:
            before = None if self.last is None else self.last[1]
            if before is None or (before.record, before.time) <= (place.record, place.time):
                self.last = sop_instance_uid, place

    def __iter__(self) -> Iterator[tuple[str, list[Held]]]:
        """Every SOP instance UID with its entries."""
        return iter(self._by_uid.items())

    def find(self, sop_instance_uid: str) -> list[Held]:
        """Every entry of this UID, oldest first."""
        return self._by_uid.get(sop_instance_uid, [])
