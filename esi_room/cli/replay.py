"""`esi-room replay`: a record, said again; or derived again from the bytes that were on its wires."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from esi_room.audit.replay.player import Pace, Pause, Played, play
from esi_room.audit.replay.script import Picture, Pictures, Script, opening
from esi_room.audit.replay.span import Place, place
from esi_room.audit.replay.states import Message
from esi_room.carm.picture.previewer import Previewer
from esi_room.cli import deriving
from esi_room.cli.bar import Bar, octets_below, octets_of
from esi_room.cli.places import found
from esi_room.cli.uses import used
from esi_room.config import RoomConfig, load
from esi_room.errors import CommandRefused
from esi_room.events.audit import AUDIT_LOG_USED, PROCEDURE_RECORD
from esi_room.outputs.client import BrokerSettings
from esi_room.outputs.topics import LEVEL, Topics
from esi_room.record import held
from esi_room.record.reader import JOURNAL
from esi_room.record.verify import Report
from esi_room.record.verify_room import elsewhere_of
from esi_room.room import broker_settings

EXAMPLE = """\b
Examples:
  esi-room replay data/records/20261123T093000Z-1f2e --speed 10
  esi-room replay 20261123T093000Z-1f2e --from guidance --to recovery --config room.toml
  esi-room replay data/records/20261123T093000Z-1f2e --speed max --mqtt mqtt://127.0.0.1:1883
  esi-room replay data/records/20261123T093000Z-1f2e --derive
"""
MAX = "max"


class Speed(click.ParamType[float | None]):
    """A factor, or `max`."""

    name = "N|max"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value == MAX:
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"{value!r} is neither a number above 0 nor {MAX}", param, ctx)
        return speed


@click.command(epilog=EXAMPLE)
@click.argument("record", metavar="RECORD")
@click.option("--speed", type=Speed(), default=1.0, show_default=True, help="So many times as fast as it was, or max.")
@click.option("--from", "begin", metavar="PHASE|TIME", help="Begin here: guidance, 10:35, 2026-11-23T09:35:00Z.")
@click.option("--to", "end", metavar="PHASE|TIME", help="End before this.")
@click.option("--mqtt", "url", metavar="URL", help="The broker.  [default: the one of --config]")
@click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("room.toml"), show_default=True,
    help="The room's configuration: its broker, its data directory.",
)  # fmt: skip
@click.option("--session", metavar="NAME", help="Publish below replay/NAME/.  [default: the record's id]")
@click.option("--images/--no-images", default=True, help="Make image/last, too.  [default: images]")
@click.option("--derive", is_flag=True, help="Derive it again instead, and report every difference.")
@click.option("--json", "as_json", is_flag=True, help="With --derive: one JSON object a finding, for programs.")
@click.option("--even-if-broken", is_flag=True, help="Also where the record does not verify.")
def command(
    record: str,
    *,
    speed: float | None,
    begin: str | None,
    end: str | None,
    url: str | None,
    path: Path,
    session: str | None,
    images: bool,
    derive: bool,
    as_json: bool,
    even_if_broken: bool,
) -> None:
    """Publish a record again below esi/ROOM/replay/SESSION/, every line and state as it was, with the spacing it had.

    RECORD is a record's directory, or its id in the data directory of --config. It is verified first. Ctrl-Z (SIGTSTP)
    pauses and goes on again, as does SIGCONT; Ctrl-C ends. A phase means its first entry; a time alone (HH:MM[:SS])
    is by the room's clock and zone.

    With --derive nothing is published: the bytes of wire/ go to fresh drivers, and every difference from what was
    recorded is reported, with the bytes; and whether alerts, deliveries, phases and completeness follow from the
    entries. Drivers' options are those of --config.

    Exit status 1: the record does not hold, the broker is gone, or there is a difference.
    """
    at = found(record, path)
    if derive:
        with used(at, AUDIT_LOG_USED, "R", "derived it again") as use:
            verified(at, even_if_broken=even_if_broken)
            _must_have_bytes(at)
            status = deriving.show(at, load(path) if path.is_file() else None, as_json=as_json)
            use.what += ": it differs" if status else ": no difference"
        sys.exit(status)
    with used(at, PROCEDURE_RECORD, "R", "replayed it"):
        verified(at, even_if_broken=even_if_broken)
        opened, said = opening(at)
        name = session or opened.record
        if not LEVEL.fullmatch(name):
            raise click.BadParameter("1 to 64 of A-Z a-z 0-9 _ -", param_hint="--session")
        span: list[Place | None] = [None if text is None else place(text, opened) for text in (begin, end)]
        topics = Topics(f"{said.room}/replay/{name}")
        played = asyncio.run(_play(at, span, topics, broker(url, path), speed, images=images))
    click.echo(f"replayed {played.entries} entries and {played.others} states and images below {topics('')}")


def _must_have_bytes(record: Path) -> None:
    """CommandRefused where the bytes of its devices were lawfully erased."""
    elsewhere = elsewhere_of(record.resolve())
    for name, words in ({} if elsewhere is None else elsewhere.gone).items():
        if name.startswith("wire/"):
            raise CommandRefused(f"{record.name} cannot be derived again: {name} was {words}")


def verified(record: Path, *, even_if_broken: bool) -> Report:
    """What `verify` says of it. BrokenRecord where it does not hold; with `even_if_broken` that is only said."""
    with Bar("verifying", octets_below(record)) as bar:
        report = held.report(record, progress=bar.on)
    held.demand(report, even_if_broken=even_if_broken)
    for problem in report.problems:
        click.echo(f"BROKEN  {problem}", err=True)
    return report


def broker(url: str | None, path: Path) -> BrokerSettings:
    """Where to publish, under a name that is nobody else's."""
    client_id = f"replay-{secrets.token_hex(4)}"
    if url is not None:
        return BrokerSettings(url=url, client_id=client_id)
    configuration: RoomConfig = load(path)
    return msgspec.structs.replace(broker_settings(configuration, os.environ), client_id=client_id)


async def _play(
    record: Path, span: list[Place | None], topics: Topics, to: BrokerSettings, speed: float | None, *, images: bool
) -> Played:
    pause = Pause()
    loop = asyncio.get_running_loop()
    with Bar("replaying", octets_of(record / JOURNAL), always=True) as bar:

        def signalled(act: Callable[[], None]) -> None:
            act()
            bar.say("paused: Ctrl-Z or SIGCONT goes on" if pause.held else "replaying")

        def told(message: Message) -> None:
            if message.entry:
                bar.on(len(message.payload))

        loop.add_signal_handler(signal.SIGTSTP, signalled, pause.toggle)
        loop.add_signal_handler(signal.SIGCONT, signalled, pause.go_on)
        async with _pictures(wanted=images) as pictures:
            script = Script(record, begin=span[0], end=span[1], pictures=pictures)
            return await play(script.messages(), to, topics, Pace(speed, pause), told)


@asynccontextmanager
async def _pictures(*, wanted: bool) -> AsyncIterator[Pictures | None]:
    """They are made by the preview's own process, as the room's are: an object is what somebody sent."""
    if not wanted:
        yield None
        return
    previewer = Previewer(lambda _: None)

    async def picture(path: Path) -> Picture:
        shown = await previewer.picture(path, None)
        return Picture(shown.jpeg, shown.reason)

    try:
        yield picture
    finally:
        await previewer.end()
