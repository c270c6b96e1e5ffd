"""`esi-room display`: the pages for displays, console and auditor."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click
import msgspec

from esi_room.cli import logs
from esi_room.config import Listen, load
from esi_room.display.server import run
from esi_room.display.settings import DisplaySettings, display_settings

EXAMPLE = """\b
Examples:
  esi-room display --config config/room.toml
"""


@click.group(epilog=EXAMPLE, invoke_without_command=True)
@click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("room.toml"), show_default=True,
    help="The room's configuration.",
)  # fmt: skip
@click.option("--listen", metavar="ADDRESS:PORT", help="Instead of what [display] says.")
@click.pass_context
def command(ctx: click.Context, path: Path, *, listen: str | None) -> None:
    """Serve the pages until SIGTERM, SIGINT (Ctrl-C) or SIGHUP.

    It needs neither the daemon nor the broker to start: the pages show that they are away, and come back with them.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = display_settings(load(path))
    if listen is not None:
        try:
            address = Listen(listen)
        except ValueError as error:
            raise click.BadParameter(f"{listen} {error}", param_hint="--listen") from error
        settings = msgspec.structs.replace(settings, host=address.host, port=address.port)
    logs.configure()
    asyncio.run(_run(settings))


async def _run(settings: DisplaySettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop)
