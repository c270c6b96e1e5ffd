"""`esi-room`: the command line.

Rules of every command:
- It lives in a module of its own, `cli/<name>.py`, as `command`, and is imported only when it is called:
  `esi-room --help` reads the table below and nothing else.
- Its `--help` shows an example. What a program may want to read is there as `--json`.
- It exits with 0 when all is well, 1 when it found something wrong, 2 when the call or the configuration is wrong.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from esi_room import __version__
from esi_room.errors import ConfigurationError, EsiRoomError

FOUND_WRONG = 1
CALLED_WRONG = 2

COMMANDS: dict[str, str] = {
    "demo": "Run the whole simulated room on this machine, to a verified record.",
    "run": "Run the daemon for a room.",
    "display": "Serve the pages: wall display, console and records.",
    "mark": "Say something to the running room, as the staff do.",
    "amend": "Say something of a record that is sealed: a follow-up, a late score, a correction.",
    "check": "Name every mistake in a room's configuration.",
    "drivers": "List what can be connected, and how.",
    "records": "List the records of a data directory.",
    "verify": "Verify a record, or every record of a data directory.",
    "replay": "Publish a record again as it was, or derive it again from the bytes on its wires.",
    "identity": "Show, or lawfully erase, who the patient of a record was.",
    "keys": "Make, show and rotate the key that the room signs its checkpoints with.",
    "witness": "Keep rooms' signed checkpoints elsewhere, against somebody who rewrites a room's disk.",
    "export": "Take a record away, as files that other programs read.",
}


class Commands(click.Group):
    """The table above as a click group."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"esi_room.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """A problem that this package knows is said in a line or a few, without a traceback."""
        try:
            return super().invoke(ctx)
        except EsiRoomError as problem:
            click.echo(str(problem), err=True)
            ctx.exit(CALLED_WRONG if isinstance(problem, ConfigurationError) else FOUND_WRONG)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="esi-room")
def main() -> None:
    """One verifiable record of an epidural steroid injection: images, vitals and pump on one clock.

    It observes: it commands no device and is no medical device. Exit status: 0 all is well, 1 something is wrong,
    2 the call or the configuration is wrong.
    """
