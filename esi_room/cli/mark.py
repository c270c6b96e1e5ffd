"""`esi-room mark`: say something to the room, as the staff's console does."""

from __future__ import annotations

from pathlib import Path

import click

from esi_room.cli import asking
from esi_room.cli.fields import fields_of
from esi_room.cli.shapes import describe
from esi_room.commands import COMMANDS, Amend, Backfill, ShowFrame
from esi_room.config import load

_NOT_SAID_HERE = (Amend.NAME, Backfill.NAME, ShowFrame.NAME)

EXAMPLE = """\b
Examples:
  esi-room mark start procedure="L4/5 interlaminar ESI" identity.name="Doe^Jane"
  esi-room mark phase phase=guidance
  esi-room mark pain --fields
  esi-room mark pain occasion=baseline score=7 scale=NRS
  esi-room mark correction seq=118 reason="misheard" fields.score=6
  esi-room mark end outcome=completed
"""


@click.command(epilog=EXAMPLE)
@click.argument("name", type=click.Choice([name for name in COMMANDS if name not in _NOT_SAID_HERE]))
@click.argument("words", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--fields", "explain", is_flag=True, help="Say what can be filled in, and send nothing.")
@asking.options
def command(name: str, words: tuple[str, ...], *, explain: bool, path: Path, actor: str) -> None:
    """Send a command to the running room and print its answer.

    It is sent over MQTT, as a console would. Exit status 1: the room refused it, and said why.
    """
    if explain:
        click.echo(describe(COMMANDS[name]))
        return
    fields = {**fields_of(words, COMMANDS[name]), "actor": actor}
    answer = asking.say(load(path), name, fields)
    click.echo(f"recorded: {answer['record']} #{answer['seq']}")
