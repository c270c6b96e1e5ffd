"""`esi-room replay --derive`: what it found, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from esi_room.audit.derive.device import Difference
from esi_room.audit.derive.record import MOST, Finding, Make, derive
from esi_room.config import RoomConfig
from esi_room.drivers import registry
from esi_room.drivers.contract import Driver

SHOWN_BYTES = 256  # of one difference; --json has all of them


def show(record: Path, configuration: RoomConfig | None, *, as_json: bool) -> int:
    """Derive the record again and say what differs; the exit status."""
    status = 0
    for finding in derive(record, drivers(configuration)):
        status = 1 if finding.differences else status
        if as_json:
            for each in (_as_dict(each) for each in finding.differences):
                click.echo(json.dumps(each))
        else:
            _print(finding)
    return status


def drivers(configuration: RoomConfig | None) -> Make:
    """With the options of the configuration, where it has this device with this driver."""
    configured = {} if configuration is None else {device.id: device for device in configuration.device}

    def make(device: str, name: str) -> Driver:
        found = configured.get(device)
        if found is not None and found.driver == name:
            return found.make()
        module = registry.load(name)
        return module.make(msgspec.convert({}, module.Options))

    return make


def _print(finding: Finding) -> None:
    name, found = finding.device or "procedure", finding.differences
    for each in found:
        click.echo(_in_words(each))
    if finding.checked is not None:
        lines = f"{finding.checked.entries} entries beside {finding.checked.lines} wire lines"
        click.echo(f"{name}: {lines}, {_count(found)}")
        for note in finding.checked.notes:
            click.echo(f"    note: {note}")
    elif finding.device is None:
        click.echo(f"{name}: alerts, deliveries, phases and completeness beside the entries, {_count(found)}")


def _count(found: tuple[Difference, ...]) -> str:
    if len(found) == MOST:
        return f"{MOST} DIFFERENCES or more (the rest was not looked at)"
    return f"{len(found)} DIFFERENCE{'S' * (len(found) > 1)}" if found else "no difference"


def _in_words(each: Difference) -> str:
    where = [] if each.seq is None else [f"journal.jsonl:{each.seq + 1} (seq {each.seq})"]
    where += [] if each.line is None else [f"wire/{each.device}.jsonl:{each.line}"]
    text = f"{each.device}: {each.what}" + (f"  {', '.join(where)}" if where else "")
    text += "" if each.recorded is None else f"\n    recorded: {each.recorded}"
    text += "" if each.derived is None else f"\n    derived:  {each.derived}"
    if each.octets:
        more = f" … {len(each.octets)} in all" if len(each.octets) > SHOWN_BYTES else ""
        text += f"\n    bytes:    {each.octets[:SHOWN_BYTES].hex(' ')}{more}"
    return text


def _as_dict(each: Difference) -> dict[str, object]:
    return each._asdict() | {"octets": each.octets.hex()}
