"""`esi-room records`: what a data directory holds."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from esi_room.cli import due, used
from esi_room.cli import retention as what_goes
from esi_room.record.amendments import amendments
from esi_room.record.reader import directory, journal_path, records
from esi_room.record.removed import Removal, removal
from esi_room.record.verify_lines import JOURNAL_KEYS, is_regular, lines, opened, parsed, plain

EXAMPLE = """\b
Examples:
  esi-room records data
  esi-room records data --due --on 2026-12-07
  esi-room records data --retention --config room.toml
  esi-room records data/records/20261123T093000Z-1f2e --uses
"""


@click.command(epilog=EXAMPLE)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.option("--due", "follow_ups", is_flag=True, help="List follow-ups instead: due, late, done, not planned.")
@click.option("--uses", is_flag=True, help="List who used the records, or the one that DATA is, instead.")
@click.option("--retention", is_flag=True, help="List what [retention] of --config would take away now, instead.")
@click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), help="With --retention: the room's configuration.",
)  # fmt: skip
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="With --due: as of this day.  [default: today]")
def command(
    data: Path,
    *,
    as_json: bool,
    follow_ups: bool,
    uses: bool,
    retention: bool,
    path: Path | None,
    on: datetime | None,
) -> None:
    """List the records of a data directory, oldest first.

    It reads and does not verify: `esi-room verify` does. With --due, exit status 1: a follow-up is due or late. With
    --uses: who verified, replayed, exported a record, or looked at or erased who the patient was; that you
    looked is one, too. With --retention: what would go, and what waits for what; nothing is touched.
    """
    if uses + follow_ups + retention > 1:
        raise click.UsageError("one of --due, --uses and --retention")
    if retention != (path is not None):
        raise click.UsageError("--retention and --config go together")
    if on is not None and not follow_ups:
        raise click.UsageError("--on goes with --due")
    if follow_ups:
        sys.exit(due.show(data, None if on is None else on.date(), as_json=as_json))
    if uses:
        sys.exit(used.show(data, as_json=as_json))
    if path is not None:
        sys.exit(what_goes.show(data, path, as_json=as_json))
    summaries = summarised(data)
    if as_json:
        for one in summaries:
            click.echo(json.dumps(one))
        return
    if not summaries:
        click.echo(f"{data} holds no record", err=True)
        sys.exit(1)
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for heading in _COLUMNS:
        width = ID_WIDTH if heading == "record" else None
        table.add_column(heading, no_wrap=heading != "procedure", min_width=width)
    for one in summaries:
        table.add_row(*(escape(str("" if one[k] is None else one[k])) for k in _COLUMNS))
    Console().print(table)


_COLUMNS = ("record", "kind", "state", "entries", "images", "alerts", "gaps", "amended", "procedure")
ID_WIDTH = 21  # holds the start; in a narrow terminal the procedure is cut, and not this


def summarised(data: Path) -> list[dict[str, Any]]:
    """Every record in figures, oldest first; of one that was removed, what is left to be said."""
    shed: dict[str, str] = {}
    found = [summary(data, record, shed) for record in records(data)]
    for one in found:
        if one["record"] in shed:
            one["state"] += f", images shed {shed[one['record']]}"
    return found


def _summary_of_removed(data: Path, gone: Removal) -> dict[str, Any]:
    said = gone.said
    return {
        "record": said.record,
        "path": str(directory(data, said.record)),
        "kind": said.kind,
        "procedure": None,
        "opened": _short(said.opened),
        "last": _short(said.closed),
        "entries": said.entries,
        "images": said.images,
        "alerts": None,
        "gaps": None,
        "amended": said.amendments,
        "state": f"removed {gone.entry.time[:10]}",
        "reason": said.reason,
    }


def summary(data: Path, record: str, shed: dict[str, str]) -> dict[str, Any]:
    """One record in figures, as far as its journal can be read. `shed` gets the days on which it took the images of
    others away."""
    gone = removal(data, record)
    if gone is not None:
        return _summary_of_removed(data, gone)
    counts: Counter[str] = Counter()
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    procedure = None
    for entry in _entries(journal_path(data, record)):
        counts["unreadable" if entry is None else entry["type"]] += 1
        if entry is not None:
            first = first or entry
            last = entry
            if entry["type"] == "record.shed":
                shed[entry["data"].get("record", "")] = str(entry.get("time"))[:10]
            if entry["type"] == "procedure.started":
                procedure = _text(entry["data"], "procedure")
    state = "sealed" if last.get("type") == "record.sealed" else "open"
    return {
        "record": record,
        "path": str(directory(data, record)),
        "kind": _text(first.get("data", {}), "kind"),
        "procedure": procedure,
        "opened": _short(_text(first, "time")),
        "last": _short(_text(last, "time")),
        "entries": counts.total(),
        "images": counts["carm.image"],
        "alerts": counts["alert.raised"],
        "gaps": counts["device.gap"],
        "amended": _amended(data, record),
        "state": f"{state}, {counts['unreadable']} unreadable lines" if counts["unreadable"] else state,
    }


def _entries(path: Path) -> Iterator[dict[str, Any] | None]:
    """Each line, or None where there is none that can be read; nothing where the journal is no file."""
    if not is_regular(path):
        return
    try:
        with opened(path) as file:
            for number, octets in enumerate(lines(file), 1):
                entry, problem = parsed(path, number, octets, JOURNAL_KEYS)
                whole = isinstance(entry.get("type"), str) and isinstance(entry.get("data"), dict)
                yield entry if problem is None and whole else None
    except OSError:
        yield None


def _amended(data: Path, record: str) -> int | None:
    try:
        return len(amendments(data, record))
    except OSError:
        return None


def _text(said: dict[str, Any], key: str) -> str | None:
    return plain(said[key]) if isinstance(said.get(key), str) else None


def _short(time: str | None) -> str | None:
    return None if time is None else time[:19].replace("T", " ")
