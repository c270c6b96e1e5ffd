"""A bar for long work over files, on the terminal only: what is piped stays free of it."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LONG_WORK_BYTES = 64 << 20  # below that it is done before a bar is drawn
_STEP_BYTES = 1 << 18  # a bar that is told of every line costs more than the line


def octets_below(path: Path) -> int:
    """What there is to verify below a directory, about. Links are not followed; what cannot be looked at counts for
    nothing."""
    paths = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    return sum(octets_of(each) for each in paths if each.suffix in {".jsonl", ".dcm"})


def octets_of(path: Path) -> int:
    """The size of a file, for a bar."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


class Bar(Progress):
    """One bar over so many octets, for the time of a `with`. `always`: also where there are few of them. `console`:
    where what is found is printed meanwhile, too."""

    def __init__(self, what: str, total_bytes: int, *, always: bool = False, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        hidden = not console.is_terminal or (total_bytes < LONG_WORK_BYTES and not always)
        super().__init__(*columns, console=console, transient=True, disable=hidden)
        self._only: TaskID = self.add_task(what, total=total_bytes)
        self._waiting_bytes, self._step_bytes = 0, min(_STEP_BYTES, total_bytes // 200)

    def on(self, count: int) -> None:
        """So many octets more."""
        self._waiting_bytes += count
        if self._waiting_bytes >= self._step_bytes:
            self.advance(self._only, self._waiting_bytes)
            self._waiting_bytes = 0

    def say(self, what: str) -> None:
        """What is being done now; where there is no terminal, as a line."""
        self.update(self._only, description=what)
        if self.disable:
            self.console.print(what)
