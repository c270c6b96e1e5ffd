"""Thumbnails: the pictures of a case, small, as JPEG.

Rules:
- They are decoded in the process that the room's preview uses too: the files are whatever a device sent.
- A picture may have the patient's name burned into it. Where identity is not asked for, an object that says so, or is a
  screen capture that does not deny it, has none; one that does not say is shrunk until no writing can be read.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from esi_room.audit.export.case import Case, Said
from esi_room.carm.picture.previewer import Previewer
from esi_room.events import CarmImage

SIDE_PX = 240
COARSE_PX = 96  # of an image of 1024 pixels: writing of 20 pixels is 2 high
_QUALITY = 80
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_VALUE_BYTES = 1 << 16


class Thumbnail(NamedTuple):
    """A JPEG, or the reason why there is none."""

    jpeg: bytes | None
    reason: str | None


def thumbnails(case: Case, images: list[Said]) -> dict[str, Thumbnail]:
    """By SHA-256."""
    return asyncio.run(_made(case, images))


async def _made(case: Case, images: list[Said]) -> dict[str, Thumbnail]:
    previewer, made = Previewer(lambda _: None), dict[str, Thumbnail]()
    try:
        for said in images:
            if isinstance(said.data, CarmImage) and said.data.sha256 not in made:
                made[said.data.sha256] = await _one(previewer, case, said, said.data)
    finally:
        await previewer.end()
    return made


async def _one(previewer: Previewer, case: Case, said: Said, image: CarmImage) -> Thumbnail:
    path = case.object_of(said)
    if path is None:
        return Thumbnail(None, "the object is not there")
    side_px = SIDE_PX if case.with_identity else _side_px(path, image)
    if side_px is None:
        return Thumbnail(None, "left out: the patient's name may be burned in")
    shown = await previewer.picture(path, None)
    return Thumbnail(None, shown.reason) if shown.jpeg is None else Thumbnail(_small(shown.jpeg, side_px), None)


def _side_px(path: Path, image: CarmImage) -> int | None:
    said = _burned_in(path, image)
    if said == "NO":
        return SIDE_PX
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


def _small(jpeg: bytes, side_px: int) -> bytes:
    picture, out = Image.open(io.BytesIO(jpeg)), io.BytesIO()
    picture.thumbnail((side_px, side_px))
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
