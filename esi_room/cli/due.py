"""`esi-room records --due`: whom to call."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console
from rich.table import Table

from esi_room.clock import NS, SystemClock
from esi_room.events import Entry, RecordOpened
from esi_room.procedure.amended import facts_of
from esi_room.procedure.follow_ups import Contact, contacts
from esi_room.record import recovery
from esi_room.record.reader import journal_path, records
from esi_room.record.removed import there
from esi_room.record.verify_lines import opened

FOUND_DUE = 1
_COLUMNS = ("record", "planned for", "contact", "state", "procedure")


def show(data: Path, on: date | None, *, as_json: bool) -> int:
    """Print the follow-ups of a data directory's procedures but those still to come; the exit status."""
    day = on or _today(data)
    found = [contact for record in there(data) for contact in _contacts(data, record, day)]
    listed = [contact for contact in found if contact.state != "to come"]
    if as_json:
        for contact in listed:
            click.echo(json.dumps(contact._asdict()))
    else:
        _print(listed)
        click.echo(_sum(found, day))
    return FOUND_DUE if any(contact.state in ("due", "late") for contact in found) else 0


def _contacts(data: Path, record: str, day: date) -> list[Contact]:
    """None where it is no procedure; one that cannot be read is said."""
    try:
        procedure = recovery.kind(data, record) == "procedure"
        return contacts(facts_of(data, record), day) if procedure else []
    except OSError as error:
        click.echo(f"{record} cannot be read, and is not among them: {error.strerror}", err=True)
        return []


def _print(listed: list[Contact]) -> None:
    table = Table(box=None, header_style="bold")
    for heading in _COLUMNS:
        table.add_column(heading, no_wrap=heading != "procedure")
    for one in listed:
        table.add_row(one.record, one.planned_for or "", one.contact or "", one.words, one.procedure or "")
    if listed:
        Console().print(table)


def _sum(found: list[Contact], day: date) -> str:
    counts = Counter(contact.state for contact in found)
    parts = [f"{counts['due'] + counts['late']} due or late on {day}"]
    parts += [f"{counts[state]} {state}" for state in ("to come", "done", "not planned") if counts[state]]
    return ", ".join(parts)


def _today(data: Path) -> date:
    """In the room's time zone, as its newest record has it."""
    now = datetime.fromtimestamp(SystemClock().now().wall_ns / NS, UTC)
    for record in reversed(records(data)):
        try:
            with opened(journal_path(data, record)) as file:
                entry = msgspec.json.decode(file.readline(), type=Entry)
            zone = ZoneInfo(msgspec.json.decode(entry.data, type=RecordOpened).timezone)
        except (OSError, msgspec.MsgspecError, ValueError, KeyError):
            continue
        return now.astimezone(zone).date()
    return now.date()
