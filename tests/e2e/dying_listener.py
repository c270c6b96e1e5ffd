"""The listener, but its N-th call that makes an object durable is the last of the whole room: `dying_daemon` starts
this in the listener's place. `DYING` in the environment: N and the mode, as there."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from esi_room.carm.listener import __main__ as listener

DYING_S = 0.1  # the disk hangs before the end: whoever acknowledges without waiting for it is found out
FILES = Path("/proc/self/fd")


class Death:
    """Counts; decides which call is the last."""

    def __init__(self, number: int, mode: str) -> None:
        self._number, self._mode = number, mode
        self._count = itertools.count(1)
        self._synced: set[int] = set()

    def deadly(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, which may be the last."""

        def called(*arguments: Any) -> Any:
            last = next(self._count) == self._number
            if last and self._mode != "torn":
                self._die()
            call(*arguments)
            if call.__name__ == "fsync":
                self._synced.add(os.fstat(arguments[0]).st_ino)
            if last:
                self._die()

        return called

    def _die(self) -> None:
        time.sleep(DYING_S)
        if self._mode == "power":
            self._lose()
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(1)

    def _lose(self) -> None:
        """Half of each object that is open and not synced."""
        for link in FILES.iterdir():
            if link.exists() and link.resolve().suffix == ".dcm":
                status = link.stat()
                if status.st_ino not in self._synced:
                    os.truncate(link, status.st_size // 2)


if __name__ == "__main__":
    number, mode = os.environ["DYING"].split()
    death = Death(int(number), mode)
    os.link, os.fsync = death.deadly(os.link), death.deadly(os.fsync)
    sys.exit(listener.main())
