"""`esi-room keys`: what a room signs its checkpoints with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from esi_room.audit import trail
from esi_room.cli.uses import say
from esi_room.errors import RecordError, SigningError
from esi_room.events.audit import SECURITY_ALERT
from esi_room.record.disk import Disk
from esi_room.record.keys import Keys, SigningKey
from esi_room.record.verify_checkpoints import read_keys

EXAMPLE = """\b
Examples:
  esi-room keys show data
  esi-room keys rotate data
"""

_DATA = click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))


@click.group(epilog=EXAMPLE)
def command() -> None:
    """Make, show and rotate the key that a room signs its checkpoints with.

    The daemon makes the first key at its first start. Keys lie in DATA/keys: the private one is for the daemon's user
    alone, public ones are kept for ever, so that old records verify. Write a key's id down elsewhere.
    """


@command.command(epilog="\b\nExample:\n  esi-room keys show data")
@_DATA
@click.option("--json", "as_json", is_flag=True, help="One JSON object a key, for programs.")
def show(data: Path, *, as_json: bool) -> None:
    """List the room's public keys, and which of them signs now.

    Exit status 1: none signs, and why.
    """
    signing, problem = "", "there is no key"
    try:
        signing = Keys(data, Disk()).current().id
    except SigningError as error:
        problem = str(error)
    for name, public in sorted((read_keys(data) or {}).items()):
        if as_json:
            click.echo(json.dumps({"key": name, "public_key": public.hex(), "signs": name == signing}))
        else:
            click.echo(f"{name}  {'signs now' if name == signing else 'former   '}  {public.hex()}")
    if not signing:
        click.echo(problem, err=True)
        sys.exit(1)


@command.command(epilog="\b\nExample:\n  esi-room keys make data")
@_DATA
def make(data: Path) -> None:
    """Make a room's first key, before its daemon does.

    Exit status 1: it has, or had, one.
    """
    _say(data, rotate=False)


@command.command(epilog="\b\nExample:\n  esi-room keys rotate data")
@_DATA
def rotate(data: Path) -> None:
    """Make the room's next key, and throw the private key before it away.

    A running daemon signs with it from its next checkpoint on; what the former key signed still verifies.
    """
    _say(data, rotate=True)
    say(trail.note(data, SECURITY_ALERT, "E", "made the next signing key, and threw the one before it away"))


def _say(data: Path, *, rotate: bool) -> None:
    keys = Keys(data, Disk())
    try:
        key: SigningKey = keys.rotate() if rotate else keys.make()
    except OSError as error:
        raise RecordError(f"no key can be kept in {keys.folder}: {error.strerror or error}") from error
    click.echo(f"{key.id} signs from now on: {keys.folder / key.id}.pem")
