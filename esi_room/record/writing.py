"""A record being written: its chain's head, its files, and what waits for the disk.

Nothing here decides when to write: that is the journal's.
"""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path
from typing import Literal

from esi_room.events import Event, WireHead
from esi_room.record import recovery, wire
from esi_room.record.disk import Disk
from esi_room.record.entry import encode, sha256
from esi_room.record.reader import JOURNAL, directory

Kind = Literal["standby", "procedure"]


class AppendFile:
    """One append-only file and how far it is durable (`size`): a failed write is cut back to that."""

    def __init__(self, disk: Disk, path: Path, size: int = 0) -> None:
        self._disk, self.path, self.size = disk, path, size
        self._descriptor: int | None = None
        self._dirty = True  # what a crash left behind `size` is cut at the first write

    def write(self, octets: bytes) -> None:
        if self._descriptor is None:
            self._disk.make_directory(self.path.parent)
            self._descriptor = self._disk.open_append(self.path)
        if self._dirty:
            self._disk.truncate(self._descriptor, self.size)
        self._dirty = True
        self._disk.write(self._descriptor, octets)

    def sync(self) -> None:
        if self._descriptor is not None:
            self._disk.sync(self._descriptor)

    def written(self, count: int) -> None:
        """The last `count` octets need never be written again."""
        self.size += count
        self._dirty = False

    def cut_back(self) -> None:
        """A write failed and is given up: cut what reached the file, as far as the disk still does anything."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                self._disk.truncate(self._descriptor, self.size)
                self._disk.sync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._disk.close(descriptor)


def append_durably(disk: Disk, path: Path, size_bytes: int, octets: bytes) -> None:
    """Put `octets` behind the first `size_bytes` of a file that is not kept open; what stood there goes. Durable when
    this returns; where the disk does not take it (OSError), the file is cut back and nothing was added."""
    file = AppendFile(disk, path, size_bytes)
    try:
        file.write(octets)
        file.sync()
    except OSError:
        file.cut_back()
        raise
    finally:
        file.close()


class OpenRecord:
    """One record being written: its chain's head, its files, and what waits for the disk."""

    def __init__(self, root: Path, disk: Disk, record: str, kind: Kind, *, seq: int, prev: str, size: int) -> None:
        self.id, self.kind, self.seq, self.prev = record, kind, seq, prev
        self.directory = directory(root, record)
        self._disk = disk
        self.journal = AppendFile(disk, self.directory / JOURNAL, size)
        self.committed_seq = seq
        self.lines: deque[bytes] = deque()
        self.chains: dict[str, wire.WireChain] = {}
        self.wire_files: dict[str, AppendFile] = {}
        self._wire_waiting: dict[str, bytes] = {}
        self.wire_unsynced: set[str] = set()
        self.sealed = False

    def append(self, event: Event) -> tuple[int, int]:
        """`seq` and size of the new line."""
        line = encode(event, record=self.id, seq=self.seq, prev=self.prev)
        self.lines.append(line)
        self.prev = sha256(line)
        self.seq += 1
        return self.seq - 1, len(line)

    def chain(self, device: str) -> wire.WireChain:
        if device not in self.chains:
            self.chains[device] = wire.WireChain(self.id, device)
            self.wire_files[device] = AppendFile(self._disk, self.directory / "wire" / f"{device}.jsonl")
        return self.chains[device]

    def take_wire(self) -> dict[str, bytes]:
        """The wire lines that wait for the disk, by device."""
        self._encode_wire()
        taken, self._wire_waiting = self._wire_waiting, {}
        return taken

    def give_back_wire(self, taken: dict[str, bytes]) -> None:
        """A write failed: these wait again, before what came meanwhile."""
        for device, octets in taken.items():
            self._wire_waiting[device] = octets + self._wire_waiting.get(device, b"")

    def wire_heads(self) -> dict[str, WireHead]:
        self._encode_wire()
        return {device: chain.head for device, chain in sorted(self.chains.items())}

    @property
    def work_left(self) -> bool:
        return bool(self.lines or self._wire_waiting or any(c.waiting_bytes for c in self.chains.values()))

    def _encode_wire(self) -> None:
        for device, chain in self.chains.items():
            octets = chain.take()
            if octets:
                self._wire_waiting[device] = self._wire_waiting.get(device, b"") + octets

    def adopt_wire(self, path: Path) -> int:
        """Go on with a wire file that a crash left; returns the octets torn off its end."""
        lines, prev, size, torn = recovery.examine_wire(path)
        device = path.stem
        self.chains[device] = wire.WireChain(self.id, device, lines=lines, prev=prev)
        self.wire_files[device] = AppendFile(self._disk, path, size)
        return torn

    def close(self) -> None:
        for file in (self.journal, *self.wire_files.values()):
            file.close()
