"""The last image as JPEG. Runs in the daemon; the decoding is done by one helper process (`preview`).

A process of its own, because decoders are native code that meets whatever a device sends: one that crashes, hangs or
takes gigabytes must cost a picture, not the listener. One that stays, because starting Python and numpy takes half a
second of one of our two cores. At low priority, and only ever for the newest image: what was overtaken is skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from msgspec import Struct

from esi_room.carm.child import Child
from esi_room.carm.wire import Show, Shown

# The helper ends itself sooner (preview.DECODE_S); this is for one that cannot even do that.
PATIENCE_S = 15.0
# Between two previews: five a second is what a retained picture is good for, a run of 30 would take a core.
PAUSE_S = 0.2

log = structlog.get_logger()


class Preview(Struct, frozen=True, kw_only=True):
    """Of the last image: a JPEG of at most 512 KiB, or the reason why there is none."""

    sha256: str
    sop_instance_uid: str
    jpeg: bytes | None
    reason: str | None


class Previewer:
    """Latest wins."""

    def __init__(self, on_preview: Callable[[Preview], None]) -> None:
        self._on_preview = on_preview
        self._newest: tuple[str, str, Path] | None = None
        self._wake = asyncio.Event()
        self._child: Child | None = None
        self._one_at_a_time = asyncio.Lock()

    def show(self, sha256: str, sop_instance_uid: str, path: Path) -> None:
        """`path` is the last image from now on."""
        self._newest = (sha256, sop_instance_uid, path)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._ready()  # so that the first image need not wait for Python to start
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._newest is not None:
                    (sha256, uid, path), self._newest = self._newest, None
                    shown = await self.picture(path, None)
                    self._on_preview(Preview(sha256=sha256, sop_instance_uid=uid, jpeg=shown.jpeg, reason=shown.reason))
                    await asyncio.sleep(PAUSE_S)
        finally:
            await self.end()

    async def picture(self, path: Path, frame: int | None) -> Shown:
        """One frame (from 1; None: the last) of the object at `path`, for whoever asks."""
        async with self._one_at_a_time:
            return await self._asked(path, frame)

    async def _asked(self, path: Path, frame: int | None) -> Shown:
        child = await self._ready()
        if child is None:
            return Shown(jpeg=None, reason="no process for decoding can be started")
        child.send(Show(path=str(path), frame=frame))
        try:
            shown: Shown = await asyncio.wait_for(child.read(Shown), PATIENCE_S)
        except (EOFError, TimeoutError, ValueError):
            log.warning("preview_failed", file=path.name)
            await self.end()
            return Shown(jpeg=None, reason="the decoder crashed or took too long")
        return shown

    async def _ready(self) -> Child | None:
        if self._child is None:
            try:
                self._child = await Child.start("esi_room.carm.picture.preview")
            except OSError as error:
                log.error("preview_not_started", reason=error.strerror)
        return self._child

    async def end(self) -> None:
        """Its process ends."""
        if self._child is not None:
            child, self._child = self._child, None
            await child.end()
