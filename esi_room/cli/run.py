"""`esi-room run`: the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from pathlib import Path

import click
import structlog

from esi_room.cli import logs
from esi_room.config import RoomConfig, load
from esi_room.room import Room

log = structlog.get_logger()

EXAMPLE = """\b
Example:
  esi-room check config/room.toml
  esi-room run --config config/room.toml
"""


@click.command(epilog=EXAMPLE)
@click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("room.toml"), show_default=True,
    help="The room's configuration.",
)  # fmt: skip
@click.option("--log", "log_format", type=click.Choice(["auto", "json", "text"]), default="auto", show_default=True)
def command(path: Path, *, log_format: str) -> None:
    """Run the daemon until SIGTERM, SIGINT (Ctrl-C) or SIGHUP.

    It ends in order: devices first, then what is still to be published, then the record. A second signal ends it
    at once; the record then goes on at the next start as after a power cut.
    """
    configuration = load(path)
    logs.configure(as_json={"auto": None, "json": True, "text": False}[log_format])
    gc.freeze()  # modules and configuration stay: a full collection that walks them holds up a heartbeat for 20 ms
    asyncio.run(_run(configuration))


async def _run(configuration: RoomConfig) -> None:
    stop = asyncio.Event()

    def asked(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, asked, number)
    with contextlib.suppress(asyncio.CancelledError):
        await Room(configuration).run(stop)
