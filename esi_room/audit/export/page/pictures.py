"""The pictures of a case, small, as JPEG.

Rules:
- They are decoded in the process that the room's preview uses too: the files are whatever a device sent.
- A picture may have the patient's name burned into it. Where identity is not asked for, an object that says so, or is a
  screen capture that does not deny it, has none; one that does not say is shrunk until no writing can be read.
"""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from esi_room.audit.export.case import Case, Said
from esi_room.carm.picture.previewer import Previewer
from esi_room.events import CarmImage

FULL_PX = 1024  # what the preview makes at most
SIDE_PX = 240
COARSE_PX = 96  # of an image of 1024 pixels: writing of 20 pixels is 2 high
_QUALITY = 80
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_VALUE_BYTES = 1 << 16


class Thumbnail(NamedTuple):
    """A JPEG, or the reason why there is none. `url`: where it is, if it is not to stand in the page itself."""

    jpeg: bytes | None
    reason: str | None
    url: str | None = None

    @property
    def source(self) -> str | None:
        """As the page names it."""
        return self.url if self.jpeg is None else f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


class Wanted(NamedTuple):
    """A picture to be made: frame `frame` (None: the last one) of an image, at most `side_px` wide and high."""

    said: Said
    frame: int | None
    side_px: int


def thumbnails(case: Case, images: list[Said]) -> dict[str, Thumbnail]:
    """By SHA-256."""
    distinct = {said.data.sha256: said for said in images if isinstance(said.data, CarmImage)}
    made = asyncio.run(_listed(case, [Wanted(said, None, SIDE_PX) for said in distinct.values()]))
    return dict(zip(distinct, made, strict=True))


async def _listed(case: Case, wanted: list[Wanted]) -> list[Thumbnail]:
    return [each async for each in taken(case, wanted)]


async def taken(case: Case, wanted: Iterable[Wanted]) -> AsyncGenerator[Thumbnail]:
    """One after the other, as they are asked for."""
    previewer = Previewer(lambda _: None)
    try:
        for each in wanted:
            yield await _one(previewer, case, each)
    finally:
        await previewer.end()


async def _one(previewer: Previewer, case: Case, wanted: Wanted) -> Thumbnail:
    allowed_px, reason = allowed(case, wanted.said)
    path = case.object_of(wanted.said)
    if allowed_px is None or path is None:
        return Thumbnail(None, reason)
    shown = await previewer.picture(path, wanted.frame)
    if shown.jpeg is None:
        return Thumbnail(None, shown.reason)
    return Thumbnail(small(shown.jpeg, min(allowed_px, wanted.side_px)), None)


class Allowed(NamedTuple):
    """How many pixels wide and high an image may be shown; None: not at all, and why."""

    side_px: int | None
    reason: str | None


def allowed(case: Case, said: Said) -> Allowed:
    """Of an image, by what its header says of names in it."""
    path, image = case.object_of(said), said.data
    if path is None or not isinstance(image, CarmImage):
        return Allowed(None, "the object is not there")
    side_px = FULL_PX if case.with_identity else _side_px(path, image)
    return Allowed(side_px, None if side_px else "left out: the patient's name may be burned in")


def _side_px(path: Path, image: CarmImage) -> int | None:
    said = _burned_in(path, image)
    if said == "NO":
        return FULL_PX
    if said == "YES" or image.sop_class_uid.startswith(_SECONDARY_CAPTURE):
        return None
    return COARSE_PX


def _burned_in(path: Path, image: CarmImage) -> str | None:
    """What the header says (0028,0301); what cannot be read may say anything."""
    if image.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:  # it would have to be inflated, to any size
        return "YES"
    try:
        header = dcmread(path, stop_before_pixels=True, defer_size=_VALUE_BYTES, specific_tags=["BurnedInAnnotation"])
        return str(header.get("BurnedInAnnotation") or "") or None
    except Exception:  # noqa: BLE001 - the parser raises whatever the octets make it
        return "YES"


def small(jpeg: bytes, side_px: int) -> bytes:
    """The same picture, so many pixels wide or high; one that is no larger stays as it is."""
    picture, out = Image.open(io.BytesIO(jpeg)), io.BytesIO()
    if max(picture.size) <= side_px:
        return jpeg
    picture.thumbnail((side_px, side_px))
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
