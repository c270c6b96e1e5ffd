"""`esi-room records --uses`: who used the record."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from esi_room.audit import trail
from esi_room.audit.trail import Used
from esi_room.cli import FOUND_WRONG
from esi_room.cli.uses import say
from esi_room.events.audit import AUDIT_LOG_USED

_ENDED = {4: "cut short", 8: "failed", 12: "failed"}


def show(at: Path, *, as_json: bool) -> int:
    """Print the uses of a data directory's records, or of one record; the exit status."""
    root, of = trail.place(at)
    if root is None:
        click.echo(f"{at} does not lie in a room's data directory: who used it is not known here", err=True)
        return FOUND_WRONG
    found = trail.uses(root, of[0] if of else None)
    if as_json:
        for each in found:
            place = (None, None) if each.entry is None else (each.entry.record, each.entry.seq)
            where = {"time": each.time, "record": place[0], "seq": place[1]}
            click.echo(json.dumps(where | {"use": msgspec.to_builtins(each.said)}))
    else:
        for each in found:
            click.echo(_printable(_in_words(each)))
        click.echo(f"{len(found)} use(s)")
    say(trail.note(at, AUDIT_LOG_USED, "R", "listed who used the record"))
    return 0


def _in_words(used: Used) -> str:
    """`2026-12-01 00:01:23  Dr. A (erika@ward-3): replayed it, of 20261123T093000Z-1f2e  [#4 of 20261201T…]`."""
    said = used.said
    ended = f" ({_ENDED[said.outcome]})" if said.outcome else ""
    why = "" if said.reason is None else f": {said.reason}"
    of = f", of {' '.join(said.records) or 'all records'}" if said.records or used.of_room else ""
    when = used.time[:19].replace("T", " ")
    return f"{when}  {said.actor} ({said.user}): {said.what}{ended}{why}{of}  [{used.where}]"


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
