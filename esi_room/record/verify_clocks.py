"""Verifying the room's two clocks. The standard library and nothing else.

- `received` is the wall clock. That it was set back is lawful (a time server, a hand), if the record says so itself: a
  `clock.step` follows, or stands before, within SAID_WITHIN_S. Then it is a note; else something is wrong.
- `mono_ns` measures, and never runs backwards until the daemon starts again (`record.recovered`).
- A line may say that it was received before the line above it, on both clocks: it was on its way for longer.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from esi_room.record.verify_lines import Problem

STEP_S = 0.25  # the daemon's own limit: less is how a clock is slewed, or two threads that read it at the same time
SAID_WITHIN_S = 60.0  # the daemon looks every 5 s; a disk may be slow
LATEST_S = 3600.0  # nothing is on its way to the record for so long
_NS = 1_000_000_000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class _SetBack(NamedTuple):
    number: int
    mono_ns: int
    before: str
    after: str


class Clocks:
    """Of the lines of a journal, each in turn."""

    def __init__(self) -> None:
        self.first, self._received, self._mono_ns, self._latest_ns = "", "", 0, 0
        self._unsaid: list[_SetBack] = []
        self._said_ns = -(1 << 63)
        self._notes: list[str] = []

    def take(self, path: Path, number: int, entry: dict[str, Any]) -> Problem | None:
        """The next line: what is wrong with its times."""
        received, mono_ns = entry["received"], entry["mono_ns"]
        if not isinstance(received, str) or _TIME.fullmatch(received) is None:
            return Problem(path, number, "received is no time", "RFC 3339, UTC, microseconds", str(received)[:40])
        if type(mono_ns) is not int:
            return Problem(path, number, "mono_ns is no whole number", "nanoseconds", str(mono_ns)[:40])
        if entry["type"] == "record.recovered":
            self._latest_ns = mono_ns  # the machine may have started again, too
        elif mono_ns < self._latest_ns - LATEST_S * _NS:
            what = "the room's monotonic clock ran backwards, and nothing says that the daemon started again"
            return Problem(path, number, what, f"about {self._latest_ns}", str(mono_ns))
        elif entry["type"] == "clock.step":
            self._said_ns = mono_ns
        if received < self._received:
            self._set_back(number, received, mono_ns, restarted=entry["type"] == "record.recovered")
        self.first = self.first or received
        self._received, self._mono_ns, self._latest_ns = received, mono_ns, max(mono_ns, self._latest_ns)
        return self._first_unsaid(path) if self._unsaid else None

    @property
    def last(self) -> str:
        """`received` of the last line; `first`: of the first."""
        return self._received

    def notes(self) -> list[str]:
        """Of what is no problem."""
        return self._notes + [_note(each, "the record ends before it could say so") for each in self._unsaid]

    def _set_back(self, number: int, received: str, mono_ns: int, *, restarted: bool) -> None:
        if _seconds(self._received, received) < STEP_S:
            return
        back = _SetBack(number, mono_ns, self._received, received)
        if restarted:
            self._notes.append(_note(back, "while the daemon was away"))
        elif mono_ns >= self._mono_ns:
            self._unsaid.append(back)

    def _first_unsaid(self, path: Path) -> Problem | None:
        back = self._unsaid[0]
        if abs(self._said_ns - back.mono_ns) <= SAID_WITHIN_S * _NS:
            self._notes.append(_note(back, "a clock.step says so"))
            del self._unsaid[0]
        elif self._latest_ns - back.mono_ns > SAID_WITHIN_S * _NS:
            what = "the room's clock ran backwards, and no clock.step says so"
            return Problem(path, back.number, what, f"received at {back.before} or later", back.after)
        return None


def between(before: str, after: str) -> list[str]:
    """A note where the clock was set back between the end of a record and the beginning of the next: the machine may
    have been off."""
    if not before or not after or after >= before or _seconds(before, after) < STEP_S:
        return []
    return [f"the room's clock ran backwards between the record before and this one, from {before} to {after}"]


def _note(back: _SetBack, why: str) -> str:
    return f"line {back.number}: the room's clock ran backwards, from {back.before} to {back.after} ({why})"


def _seconds(before: str, after: str) -> float:
    """How far `after` lies before `before`."""
    try:
        return (datetime.fromisoformat(before) - datetime.fromisoformat(after)).total_seconds()
    except ValueError:  # a thirteenth month
        return 0.0
