"""`python dying_daemon.py CONFIG CALL N MODE`: the daemon, but its N-th CALL is its last.

CALL is `write` (of the record), a function of `os` that makes something durable, `any` of them, `image`: any of them
from the first image's entry on, or `listener`: one that makes an object durable in the listener's process (see
`dying_listener`). MODE:

before  the process ends instead of the call
torn    half of what is to be written reaches the file; other calls are done, and then the process ends
power   as `before`, and half of what was written since the last sync is lost with the power
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from esi_room.carm import child
from esi_room.cli import logs
from esi_room.config import load
from esi_room.record import checkpoints, journal
from esi_room.record.disk import Disk
from esi_room.room import Room

DIED = 77
DYING_S = 0.1  # the disk hangs before the end: whoever acknowledges without waiting for it is found out


class Death:
    """Counts; decides which call is the last."""

    def __init__(self, call: str, number: int, mode: str) -> None:
        self._call, self._number, self.mode = call, number, mode
        self.images = False
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self.synced: dict[int, int] = {}

    def due(self, call: str) -> bool:
        with self._lock:
            counts = self._call in (call, "any") or (self._call == "image" and self.images)
            return counts and next(self._count) == self._number

    def now(self, call: str) -> None:
        print(f"dies in {call}", file=sys.stderr, flush=True)
        time.sleep(DYING_S)
        if self.mode == "power":
            for descriptor, synced_bytes in self.synced.items():
                size_bytes = os.fstat(descriptor).st_size
                os.truncate(f"/proc/self/fd/{descriptor}", synced_bytes + (size_bytes - synced_bytes) // 2)
        os._exit(DIED)


class DyingDisk(Disk):
    """The record's disk."""

    death: Death

    def open_append(self, path: Path) -> int:
        descriptor = super().open_append(path)
        self.death.synced[descriptor] = os.fstat(descriptor).st_size
        return descriptor

    def write(self, descriptor: int, octets: bytes) -> None:
        self.death.images |= b'"type":"carm.image"' in octets
        if self.death.due("write"):
            if self.death.mode == "torn":
                super().write(descriptor, octets[: len(octets) // 2])
            self.death.now("write")
        super().write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.death.synced[descriptor] = os.fstat(descriptor).st_size

    def close(self, descriptor: int) -> None:
        self.death.synced.pop(descriptor, None)
        super().close(descriptor)


def deadly(call: Callable[..., Any], death: Death) -> Callable[..., Any]:
    """`call`, which may be the last."""

    def called(*arguments: Any, **more: Any) -> Any:
        if not death.due(call.__name__):
            return call(*arguments, **more)
        if death.mode == "torn":
            with contextlib.suppress(OSError):
                call(*arguments, **more)
        return death.now(call.__name__)

    return called


def dying_listener(number: str, mode: str) -> None:
    """From here on it is started in the listener's place."""
    os.environ |= {"DYING": f"{number} {mode}", "PYTHONPATH": str(Path(__file__).parent)}
    real = child.Child.start

    async def start(module: str) -> child.Child:
        return await real("dying_listener" if module == "esi_room.carm.listener" else module)

    child.Child.start = start  # type: ignore[method-assign]


def main() -> None:
    path, call, number, mode = sys.argv[1:]
    if call == "listener":
        dying_listener(number, mode)
    DyingDisk.death = death = Death(call, int(number), mode)
    journal.Disk = checkpoints.Disk = DyingDisk  # type: ignore[misc]
    for name in ("fsync", "fdatasync", "ftruncate", "link", "replace", "mkdir"):
        setattr(os, name, deadly(getattr(os, name), death))
    logs.configure(as_json=True)
    asyncio.run(Room(load(Path(path))).run(asyncio.Event()))


if __name__ == "__main__":
    main()
