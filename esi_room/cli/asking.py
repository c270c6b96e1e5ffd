"""Saying something to a running room over MQTT, as a console does: what `mark` and `amend` share."""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from esi_room.config import RoomConfig
from esi_room.errors import BrokerError
from esi_room.outputs.client import BrokerClient, BrokerSettings, connect
from esi_room.outputs.topics import Topics
from esi_room.room import broker_settings

ANSWER_S = 10.0
REPEAT_S = 0.5

_Command = Callable[..., Any]


def options(command: _Command) -> _Command:
    """`--config` as `path`, and `--actor`."""
    path = click.option(
        "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("room.toml"), show_default=True,
        help="The room's configuration: it says where the broker is.",
    )  # fmt: skip
    actor = click.option("--actor", default=getpass.getuser, help="Who says it.  [default: the user logged in]")
    return path(actor(command))


def say(configuration: RoomConfig, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Send the command and return the room's answer. Where the room refused it, print why and end with status 1."""
    answer = asyncio.run(ask(configuration, name, fields))
    if answer.get("ok"):
        return answer
    for problem in answer.get("problems") or [answer.get("message", "refused")]:
        click.echo(problem, err=True)
    sys.exit(1)


async def ask(configuration: RoomConfig, name: str, fields: dict[str, Any]) -> dict[str, Any]:
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
