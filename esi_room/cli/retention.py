"""`esi-room records --retention`: what would go, before it goes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Table

from esi_room.clock import SystemClock, synchronisation
from esi_room.config import load
from esi_room.record.retention import Plan, Waiting, in_words
from esi_room.room.retention import look, needs_of, policy_of, today_in

_COLUMNS = ("record", "what", "frees", "why")


def show(data: Path, path: Path, *, as_json: bool) -> int:
    """Print what `[retention]` of the configuration in `path` would take away of `data` now, and what waits; the exit
    status. ConfigurationError."""
    configuration, clock = load(path), SystemClock()
    policy = policy_of(configuration)
    if policy.keeps_all:
        click.echo(f"{path} removes nothing: [retention] has neither keep_days, keep_images_days nor max_bytes")
        return 0
    zone = ZoneInfo(str(configuration.room.timezone))
    needs = needs_of(configuration, data, lambda: today_in(zone, clock))
    found = look(data, policy, needs, clock.now().wall_ns)
    if as_json:
        for step in found.steps:
            click.echo(json.dumps(step._asdict() | {"goes": True}))
        for waiting in found.waiting:
            click.echo(json.dumps(waiting._asdict() | {"goes": False}))
    else:
        _print(found)
        if any(step.rule != "max_bytes" for step in found.steps) and not synchronisation().synchronised:
            words = "What goes for its age stays while the clock of the machine is not synchronised; here it is not."
            click.echo(words)
    return 0


def _print(found: Plan) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for heading in _COLUMNS:
        table.add_column(heading, no_wrap=heading != "why", min_width=21 if heading == "record" else None)
    for step in found.steps:
        table.add_row(step.record, step.what, in_words(step.freed_bytes), step.reason)
    for waiting in found.waiting:
        table.add_row(waiting.record, waiting.what, "waits", _why(waiting))
    if table.row_count:
        Console().print(table)
    freed = sum(step.freed_bytes for step in found.steps)
    whats = Counter(step.what for step in found.steps)
    click.echo(
        f"{whats['record']} record(s) and the images of {whats['images']} would go now: {in_words(freed)} of "
        f"{in_words(found.size_bytes)}. Nothing was touched; each is verified before it goes."
    )
    if found.over_bytes:
        over = in_words(found.over_bytes)
        click.echo(f"{over} beyond max_bytes stay: the records wait, or were sealed less than a day ago.")


def _why(waiting: Waiting) -> str:
    return f"{waiting.rule}: {waiting.why}"
