"""`esi-room records`: what a data directory holds."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from esi_room.record.reader import directory, journal_path, records

EXAMPLE = """\b
Example:
  esi-room records data
"""


@click.command(epilog=EXAMPLE)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record, for programs.")
def command(data: Path, *, as_json: bool) -> None:
    """List the records of a data directory, oldest first.

    It reads and does not verify: `esi-room verify` does.
    """
    summaries = [summary(data, record) for record in records(data)]
    if as_json:
        for one in summaries:
            click.echo(json.dumps(one))
        return
    if not summaries:
        click.echo(f"{data} holds no record", err=True)
        sys.exit(1)
    table = Table(box=None, header_style="bold")
    for heading in _COLUMNS:
        table.add_column(heading, no_wrap=heading != "procedure")
    for one in summaries:
        table.add_row(*(str("" if one[k] is None else one[k]) for k in _COLUMNS))
    Console().print(table)


_COLUMNS = ("record", "kind", "state", "entries", "images", "alerts", "gaps", "procedure")  # the id holds the start


def summary(data: Path, record: str) -> dict[str, Any]:
    """One record in figures, as far as its journal can be read."""
    counts: Counter[str] = Counter()
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    procedure = None
    with journal_path(data, record).open("rb") as file:
        for line in file:
            try:
                entry = json.loads(line)
                counts[entry["type"]] += 1
            except (ValueError, KeyError, TypeError):
                counts["unreadable"] += 1
                continue
            first = first or entry
            last = entry
            if entry["type"] == "procedure.started":
                procedure = entry["data"].get("procedure")
    state = "sealed" if last.get("type") == "record.sealed" else "open"
    return {
        "record": record,
        "path": str(directory(data, record)),
        "kind": first.get("data", {}).get("kind"),
        "procedure": procedure,
        "opened": _short(first.get("time")),
        "last": _short(last.get("time")),
        "entries": counts.total(),
        "images": counts["carm.image"],
        "alerts": counts["alert.raised"],
        "gaps": counts["device.gap"],
        "state": f"{state}, {counts['unreadable']} unreadable lines" if counts["unreadable"] else state,
    }


def _short(time: str | None) -> str | None:
    return None if time is None else time[:19].replace("T", " ")
