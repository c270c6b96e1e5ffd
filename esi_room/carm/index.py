"""Which objects the room holds: SOP instance UID -> where, and with which content. All records, not only the open one.

Built again at every start from the journals themselves, by their lines of type `carm.image`: there is no second store
that could disagree with the record.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from esi_room.events import CarmImage, Entry, InstanceRef
from esi_room.record.reader import journal_path, records

_MARK = b'"type":"carm.image"'


class Held(Struct, frozen=True, kw_only=True):
    """One object in one record."""

    record: str
    seq: int
    sha256: str
    content_sha256: str
    original: bool
    """False for the entry of an object that came again."""
    picture: bool
    """Whether its header has rows and columns."""

    @property
    def ref(self) -> InstanceRef:
        """Where it is."""
        return InstanceRef(record=self.record, seq=self.seq)


def held(record: str, seq: int, image: CarmImage) -> Held:
    """What the index keeps of an entry."""
    return Held(
        record=record,
        seq=seq,
        sha256=image.sha256,
        content_sha256=image.content_sha256 or image.sha256,
        original=image.duplicate_of is None,
        picture=bool(image.rows and image.columns),
    )


class Index:
    """By SOP instance UID, in the order of the entries."""

    def __init__(self) -> None:
        self._by_uid: dict[str, list[Held]] = {}
        self.last: tuple[str, Held] | None = None
        """SOP instance UID and place of the last picture that was new."""

    @classmethod
    def of(cls, root: Path) -> Index:
        """Of all journals under `root`. Reads every journal once: call it in a thread."""
        index = cls()
        for record in records(root):
            for entry in _images(journal_path(root, record)):
                image = msgspec.json.decode(entry.data, type=CarmImage)
                index.add(image.sop_instance_uid, held(entry.record, entry.seq, image))
        return index

    def add(self, sop_instance_uid: str, place: Held) -> None:
        """An entry was written."""
        self._by_uid.setdefault(sop_instance_uid, []).append(place)
        if place.picture and place.original:
            self.last = sop_instance_uid, place

    def find(self, sop_instance_uid: str) -> list[Held]:
        """Every entry of this UID, oldest first."""
        return self._by_uid.get(sop_instance_uid, [])


def _images(journal: Path) -> Iterator[Entry]:
    """The `carm.image` entries of a journal. A line that does not parse is `verify`'s business."""
    if not journal.is_file() or journal.stat().st_size == 0:
        return
    with journal.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        at = octets.find(_MARK)
        while at >= 0:
            start, end = octets.rfind(b"\n", 0, at) + 1, octets.find(b"\n", at)
            if end < 0:
                return
            try:
                entry = msgspec.json.decode(octets[start:end], type=Entry)
            except msgspec.MsgspecError:
                entry = None
            if entry is not None and entry.type == CarmImage.TYPE:
                yield entry
            at = octets.find(_MARK, end)
