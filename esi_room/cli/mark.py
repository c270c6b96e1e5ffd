"""`esi-room mark`: say something to the room, as the staff's console does."""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from esi_room.commands import COMMANDS, Backfill, ShowFrame
from esi_room.config import RoomConfig, load
from esi_room.errors import BrokerError
from esi_room.outputs.client import BrokerClient, BrokerSettings, connect
from esi_room.outputs.topics import Topics
from esi_room.room import broker_settings

ANSWER_S = 10.0
REPEAT_S = 0.5

EXAMPLE = """\b
Examples:
  esi-room mark start procedure="L4/5 interlaminar ESI" identity.name="Doe^Jane"
  esi-room mark phase phase=guidance
  esi-room mark note text="patient comfortable"
  esi-room mark end outcome=completed
"""


@click.command(epilog=EXAMPLE)
@click.argument("name", type=click.Choice([name for name in COMMANDS if name not in (Backfill.NAME, ShowFrame.NAME)]))
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("room.toml"), show_default=True,
    help="The room's configuration: it says where the broker is.",
)  # fmt: skip
@click.option("--actor", default=getpass.getuser, help="Who says it.  [default: the user logged in]")
def command(name: str, fields: tuple[str, ...], *, path: Path, actor: str) -> None:
    """Send a command to the running room and print its answer.

    It is sent over MQTT, as a console would. Exit status 1: the room refused it, and said why.
    """
    configuration = load(path)
    answer = asyncio.run(_ask(configuration, name, {**_fields(fields), "actor": actor}))
    if answer.get("ok"):
        click.echo(f"recorded: {answer['record']} #{answer['seq']}")
        return
    for problem in answer.get("problems") or [answer.get("message", "refused")]:
        click.echo(problem, err=True)
    sys.exit(1)


def _fields(words: tuple[str, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise click.UsageError(f"{word!r} is no FIELD=VALUE")
        *groups, last = key.split(".")
        place = fields
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return fields


async def _ask(configuration: RoomConfig, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The room's answer. The request is repeated until it comes: under one id it acts once."""
    topics = Topics(configuration.room.id)
    settings: BrokerSettings = broker_settings(configuration, os.environ)
    client_id = f"mark-{secrets.token_hex(4)}"
    request = {"id": secrets.token_hex(8), "client": client_id, **fields}
    async with connect(msgspec.structs.replace(settings, client_id=client_id)) as client:
        await client.listen(topics.reply(client_id))
        asking = asyncio.create_task(_repeat(client, topics(f"command/{name}"), msgspec.json.encode(request)))
        try:
            async with asyncio.timeout(ANSWER_S):
                async for message in client.received():
                    answer: dict[str, Any] = msgspec.json.decode(bytes(message.payload))
                    if answer.get("id") == request["id"]:
                        return answer
        except TimeoutError as error:
            raise BrokerError(
                f"no answer within {ANSWER_S:g} s: is `esi-room run` up for room {configuration.room.id}?"
            ) from error
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    raise BrokerError("the broker closed the connection before the room answered")


async def _repeat(client: BrokerClient, topic: str, request: bytes) -> None:
    while True:
        await client.deliver(topic, request)
        await asyncio.sleep(REPEAT_S)
