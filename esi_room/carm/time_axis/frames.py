"""Which image was on at a moment, and its picture: for whoever asks the running room. Runs in the daemon.

The images of a record are those of its own entries, and those that came too late for it and say so (`taken_in`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from esi_room.carm.picture.previewer import Previewer
from esi_room.carm.time_axis.timeline import Frame, Timeline
from esi_room.events import CarmImage, Entry
from esi_room.record.reader import directory, records
from esi_room.record.removed import removal
from esi_room.record.scan import payloads


class Found(NamedTuple):
    """A frame, and its picture or the reason why there is none."""

    frame: Frame | None
    jpeg: bytes | None
    problem: str | None


class Frames:
    """Of the records under `root`."""

    def __init__(self, root: Path, previewer: Previewer) -> None:
        self._root, self._previewer = root, previewer

    async def at(self, wall_ns: int, record: str) -> Found:
        """The frame that was on at `wall_ns` in `record`."""
        if record not in records(self._root):
            return Found(None, None, f"there is no record {record}")
        gone = removal(self._root, record)
        if gone is not None:
            return Found(None, None, f"record {record} {gone.words}")
        timeline = await asyncio.to_thread(self._timeline, record)
        frame = timeline.at(wall_ns)
        if frame is None:
            return Found(None, None, "no image had been taken by then in this record")
        path = directory(self._root, frame.entry.record) / "frames" / f"{frame.sha256}.dcm"
        if not path.exists():
            return Found(frame, None, "its image is not kept any more: `esi-room verify` says since when, and why")
        shown = await self._previewer.picture(path, frame.number)
        return Found(frame, shown.jpeg, shown.reason)

    def _timeline(self, record: str) -> Timeline:
        return Timeline(self._images(record))

    def _images(self, record: str) -> Iterator[tuple[Entry, CarmImage]]:
        for other in records(self._root):
            if other < record:
                continue
            for entry, image in payloads(self._root, other, CarmImage):
                if (image.taken_in or other) == record:
                    yield entry, image
