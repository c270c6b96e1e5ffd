"""A device's wire file, read for a driver: from the last opening of its line on.

A line is opened once and then stays open over many records. What a driver knows at a record's beginning it has from the
bytes before it, so reading begins in the record in which the line was opened, where that is still there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.clock import Stamp, parse_rfc3339
from esi_room.record.entry import RECORD_ID
from esi_room.record.verify_lines import is_regular, lines, opened
from esi_room.record.wire import Direction, WireLine

_decoder = msgspec.json.Decoder(WireLine)


class Piece(NamedTuple):
    """One line of a wire file. `number` counts from 1; `own`: it is of the record in question, not of one before it."""

    number: int
    direction: Direction
    stamp: Stamp
    octets: bytes
    own: bool = True


class Wire(NamedTuple):
    """Where a device's bytes are. `before`: further records, oldest first, that the line was open in. `whole`: the
    opening is among them."""

    device: str
    record: Path
    before: tuple[Path, ...]
    whole: bool

    def pieces(self) -> Iterator[Piece]:
        """From the opening on, in their order."""
        for each in self.before:
            first = _last_opening(each, self.device) if each is self.before[0] else None
            for piece in _pieces(each, self.device):
                if first is None or piece.number >= first.number:
                    yield piece._replace(own=False)
        yield from _pieces(self.record, self.device)

    def began(self) -> Piece | None:
        """The opening, where it is in a record before."""
        return _last_opening(self.before[0], self.device) if self.before else None


def wire(record: Path, device: str) -> Wire:
    """Of this device in the record of this directory."""
    first = next(_pieces(record, device), None)
    if first is None or first.direction == "open":
        return Wire(device, record, (), whole=True)
    before: list[Path] = []
    for earlier in reversed(_earlier(record)):
        before.insert(0, earlier)
        if _last_opening(earlier, device) is not None:
            return Wire(device, record, tuple(before), whole=True)
    return Wire(device, record, (), whole=False)


def devices(record: Path) -> list[str]:
    """Those that have a wire file."""
    return sorted(path.stem for path in (record / "wire").glob("*.jsonl"))


def _earlier(record: Path) -> list[Path]:
    if record.parent.name != "records":
        return []
    return sorted(p for p in record.parent.iterdir() if RECORD_ID.fullmatch(p.name) and p.name < record.name)


def _last_opening(record: Path, device: str) -> Piece | None:
    found = None
    for piece in _pieces(record, device):
        found = piece if piece.direction == "open" else found
    return found


def _pieces(record: Path, device: str) -> Iterator[Piece]:
    """A line that is none (the last one of a crash) ends it."""
    path = record / "wire" / f"{device}.jsonl"
    if not is_regular(path):  # only in a record that does not hold
        return
    with opened(path) as file:
        for number, octets in enumerate(lines(file), 1):
            try:
                line = _decoder.decode(octets)
                stamp = Stamp(parse_rfc3339(line.received), line.mono_ns)
                yield Piece(number, line.dir, stamp, base64.b64decode(line.b64, validate=True))
            except (msgspec.MsgspecError, ValueError, binascii.Error):
                return
