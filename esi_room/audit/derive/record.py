"""A whole record derived again: each device from its bytes, and the procedure from its entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from esi_room.audit.derive.device import Checked, DeviceCheck, Difference, Known, known
from esi_room.audit.derive.wires import devices, wire
from esi_room.audit.entries import entries
from esi_room.drivers.contract import Driver
from esi_room.procedure.again import mismatches

MOST = 100  # differences of one device: whoever has read so many knows what is the matter

Make = Callable[[str, str], Driver]
"""A fresh driver for a device, by its id and its driver's name."""


class Finding(NamedTuple):
    """Of one device, or (`device` None) of the procedure. `checked` None: nothing could be compared."""

    device: str | None
    differences: tuple[Difference, ...]
    checked: Checked | None


def derive(record: Path, make: Make) -> Iterator[Finding]:
    """Everything in the record in this directory that rests on something else in it."""
    facts = known(record)
    for device in sorted({*devices(record), *facts.sources}):
        yield _device(record, device, facts, make)
    if facts.ruled:
        yield _procedure(record)


def _device(record: Path, device: str, facts: Known, make: Make) -> Finding:
    drivers = sorted(facts.drivers.get(device, ()))
    if len(drivers) != 1:
        named = ", ".join(drivers) or "none"
        return Finding(device, (Difference(device, f"which driver read it cannot be told: {named}"),), None)
    check = DeviceCheck(wire(record, device), lambda: make(device, drivers[0]), facts)
    return Finding(device, tuple(islice(check.differences(), MOST)), check.checked)


def _procedure(record: Path) -> Finding:
    found = mismatches(line.entry for line in entries(record))
    differences = tuple(Difference("room", each.what, each.seq) for each in islice(found, MOST))
    return Finding(None, differences, None)
