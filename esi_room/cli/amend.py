"""`esi-room amend`: say something of a record that is sealed already."""

from __future__ import annotations

from pathlib import Path

import click

from esi_room.cli import asking
from esi_room.cli.fields import fields_of
from esi_room.commands import Amend
from esi_room.config import load
from esi_room.events import FORMS

EXAMPLE = """\b
Examples:
  esi-room amend 20261123T093000Z-1f2e follow_up date=2026-12-07 contact=phone relief_pct=60 \\
      pain_score=3 pain_scale=NRS symptoms=axial_pain
  esi-room amend 20261123T093000Z-1f2e pain occasion=after score=2 scale=NRS at=2026-11-23T11:05:00Z
  esi-room amend 20261123T093000Z-1f2e correction seq=42 reason="read off wrongly" fields.score=3
"""


@click.command(epilog=EXAMPLE)
@click.argument("record", metavar="RECORD")
@click.argument("form", type=click.Choice(list(FORMS)), metavar="FORM")
@click.argument("words", nargs=-1, metavar="[FIELD=VALUE]...")
@asking.options
def command(record: str, form: str, words: tuple[str, ...], *, path: Path, actor: str) -> None:
    """Amend a sealed record of the running room: FORM is any that `mark` knows, or follow_up.

    RECORD is its id or its directory; at=MOMENT (RFC 3339) says when it happened, where that is not now. The record
    stays as it is: this goes on behind its seal, in amendments.jsonl. Exit status 1: the room refused it, and said why.
    """
    fields = fields_of(words, FORMS[form])
    request = {
        "record": Path(record).name,
        "form": form,
        "at": fields.pop("at", None),
        "fields": fields,
        "actor": actor,
    }
    answer = asking.say(load(path), Amend.NAME, request)
    click.echo(f"amended: {request['record']}, announced as {answer['record']} #{answer['seq']}")
