"""The album: the pictures that the page shows, and how it names them.

    embedded    in the page itself, as data URIs: it opens offline. Small, and not all frames of a long case
    linked      by URL, on the server: every frame, in full quality

Rules:
- Each image has its last frame, then the runs get more of theirs, all of them evenly, as far as there is room. What is
  left out the page says; the script shows the frame before it, and says that.
- Whether a picture may be shown at all, and how fine, says `pictures`: the same rule for both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.page.pictures import SIDE_PX, Thumbnail, Wanted, allowed, small, taken
from esi_room.events import CarmImage

FRAME_PX = 480  # as wide as the panel shows it
MOST_BYTES = 24 << 20  # of frames as JPEG: a page that mail and browsers still take; 500 images of 40 KB
MOST_FRAMES = 1000  # some 30 a second are decoded

NO_ROOM = "left out: this file has no room for more"

Frames = list[tuple[int, str]]
"""Of one image: a frame's number, and its picture's URI; in the order of the numbers."""


class Album(NamedTuple):
    """`thumbnails` by SHA-256. `data`: what the script gets as `pictures`. `reasons`: of each image, why it has no
    picture. `note`: what was left out."""

    thumbnails: dict[str, Thumbnail]
    data: dict[str, Any]
    reasons: list[str | None]
    note: str | None


def linked(case: Case, images: list[Said], base: str) -> Album:
    """`base`: where the server shows the frames of this record, without the query."""
    rules = [allowed(case, said) for said in images]
    thumbnails = {
        said.data.sha256: Thumbnail(
            None, rule.reason, None if rule.reason else f"{base}?sha256={said.data.sha256}&small=1"
        )
        for said, rule in zip(images, rules, strict=True)
        if isinstance(said.data, CarmImage)
    }
    data = {"url": f"{base}?sha256={{sha256}}&frame={{frame}}"}
    return Album(thumbnails, data, [rule.reason for rule in rules], None)


def embedded(case: Case, images: list[Said]) -> Album:
    """Everything inside."""
    return asyncio.run(_embedded(case, images))


async def _embedded(case: Case, images: list[Said]) -> Album:
    kept: list[Frames] = [[] for _ in images]
    thumbnails, reasons = dict[str, Thumbnail](), list[str | None](NO_ROOM for _ in images)
    size_bytes, order = 0, list(_in_order([_frames(said) for said in images]))
    async with aclosing(taken(case, (Wanted(images[n], frame, FRAME_PX) for n, frame in order))) as pictures:
        done = 0
        async for picture in pictures:
            n, frame = order[done]
            _keep_thumbnail(thumbnails, images[n], picture)
            if picture.jpeg is None:
                reasons[n] = None if kept[n] else picture.reason
            elif size_bytes < MOST_BYTES:
                size_bytes, reasons[n] = size_bytes + len(picture.jpeg), None
                kept[n].append((frame, picture.source or ""))
            done += 1
            if size_bytes >= MOST_BYTES and done >= len(images):  # every image has its thumbnail
                break
    all_frames, shown = sum(_frames(said) for said in images), sum(map(len, kept))
    left_out = NO_ROOM in reasons or done < all_frames
    note = f"{shown} of {all_frames} frames are in this file" if left_out else None
    return Album(thumbnails, {"kept": [sorted(each) for each in kept]}, reasons, note)


def _keep_thumbnail(thumbnails: dict[str, Thumbnail], said: Said, picture: Thumbnail) -> None:
    """Of the first picture of an image, which is that of its last frame."""
    if isinstance(said.data, CarmImage) and said.data.sha256 not in thumbnails:
        jpeg = None if picture.jpeg is None else small(picture.jpeg, SIDE_PX)
        thumbnails[said.data.sha256] = Thumbnail(jpeg, picture.reason)


def _frames(said: Said) -> int:
    return (said.data.frames or 1) if isinstance(said.data, CarmImage) else 1


def _in_order(frames: list[int]) -> Iterator[tuple[int, int]]:
    """Which image, which frame: the last of each image, then the first, then those in the middle of what is there."""
    yield from enumerate(frames)
    more = zip_longest(*(_spread(each) for each in frames))
    turns = ((n, frame) for turn in more for n, frame in enumerate(turn) if frame is not None)
    yield from islice(turns, max(0, MOST_FRAMES - len(frames)))


def _spread(frames: int) -> Iterator[int]:
    """All but the last: the first, the middle one, those in the middle of the halves …"""
    if frames == 1:
        return
    yield 1
    seen, spans = {1, frames}, [(1, frames)]
    while spans:
        halves = list[tuple[int, int]]()
        for low, high in spans:
            middle = (low + high) // 2
            if middle not in seen:
                seen.add(middle)
                yield middle
                halves += [(low, middle), (middle, high)]
        spans = halves
