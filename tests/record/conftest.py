"""Fixtures for the record's tests: a room's journal, events, and a disk that fails on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from esi_room.clock import ManualClock
from esi_room.events import ClinicalNote, Event
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal


class FaultyDisk(Disk):
    """A disk that raises `error` at its `fail_at`-th call of `method`, `times` times in a row."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.methods: set[str] = set()
        self.calls: list[str] = []
        self.partial = 0  # bytes that still reach the file before a failing write fails

    def _maybe(self, method: str) -> None:
        self.calls.append(method)
        if self.error is not None and method in self.methods:
            raise self.error

    def write(self, descriptor: int, octets: bytes) -> None:
        if self.error is not None and "write" in self.methods and self.partial:
            super().write(descriptor, octets[: self.partial])
        self._maybe("write")
        super().write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        self._maybe("sync")
        super().sync(descriptor)

    def open_append(self, path: Path) -> int:
        self._maybe("open")
        return super().open_append(path)

    def make_directory(self, path: Path) -> None:
        self._maybe("mkdir")
        super().make_directory(path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def note(clock: ManualClock) -> Callable[..., Event]:
    def make(text: str = "hello") -> Event:
        return Event(source="room", data=ClinicalNote(text=text, actor="Dr. A"), received=clock.now())

    return make


@pytest.fixture
def open_journal(tmp_path: Path, clock: ManualClock) -> Callable[..., Journal]:
    def make(disk: Disk | None = None) -> Journal:
        return Journal.open(tmp_path, clock, Identity(room="esi-1"), disk=disk)

    return make
