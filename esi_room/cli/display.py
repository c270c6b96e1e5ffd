"""`esi-room display`: the pages for displays, console and auditor."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import click
import msgspec

from esi_room.cli import logs
from esi_room.config import Listen, RoomConfig, load
from esi_room.display import site, users
from esi_room.display.server import run
from esi_room.display.settings import DisplaySettings, display_settings
from esi_room.errors import ConfigurationError
from esi_room.outputs.access import PAGE_ROLES

EXAMPLE = """\b
Examples:
  esi-room display --config config/room.toml
  esi-room display passwd --config config/room.toml --role console "Erika Muster"
  esi-room display users --config config/room.toml
  esi-room display --config config/room.toml --write /var/www/room --mqtt wss://broker.example.org:9001/mqtt
"""

_CONFIG = click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("room.toml"), show_default=True,
    help="The room's configuration.",
)  # fmt: skip


@click.group(epilog=EXAMPLE, invoke_without_command=True)
@_CONFIG
@click.option("--listen", metavar="ADDRESS:PORT", help="Instead of what [display] says.")
@click.option(
    "--write", "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Serve nothing: write the pages into DIR, for a web server of your own.",
)  # fmt: skip
@click.option("--mqtt", metavar="URL", help="With --write: where a browser reaches the broker, ws:// or wss://.")
@click.pass_context
def command(ctx: click.Context, path: Path, *, listen: str | None, folder: Path | None, mqtt: str | None) -> None:
    """Serve the pages until SIGTERM, SIGINT (Ctrl-C) or SIGHUP.

    It needs neither the daemon nor the broker to start: the pages show that they are away, and come back with them.
    On this machine alone nobody logs in; for the network it takes TLS and users, see [display] in config/room.toml.
    """
    if ctx.invoked_subcommand is not None:
        return
    configuration = load(path)
    settings = display_settings(configuration)
    if folder is not None:
        _write(settings, configuration, folder, mqtt)
        return
    if mqtt is not None:
        raise click.UsageError("--mqtt goes with --write")
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


def _write(settings: DisplaySettings, configuration: RoomConfig, folder: Path, mqtt: str | None) -> None:
    websocket = configuration.mqtt.websocket_listen
    if mqtt is None and settings.broker.url.startswith(("ws://", "wss://")):
        mqtt = settings.broker.url
    elif mqtt is None and configuration.mqtt.embedded and websocket is not None:
        mqtt = f"ws://{websocket}/mqtt"
    if mqtt is None:
        raise click.UsageError("where does a browser reach the broker? --mqtt wss://HOST:PORT/mqtt")
    if not mqtt.startswith(("ws://", "wss://")):
        raise click.BadParameter("a browser speaks ws:// or wss:// alone", param_hint="--mqtt")
    count = site.write(settings, folder, mqtt)
    click.echo(f"{count} files in {folder}; the page is {folder / 'index.html'}, the broker {mqtt}")
    click.echo("Who may see what is for that broker to say: see config/mosquitto.acl.")


@command.command(epilog='\b\nExample:\n  esi-room display passwd --role console "Erika Muster"')
@_CONFIG
@click.option("--role", type=click.Choice(list(PAGE_ROLES)), help="Needed for somebody new.")
@click.option("--certificate", is_flag=True, help="No password: NAME logs in with a client certificate of that name.")
@click.option("--remove", is_flag=True, help="NAME may no longer log in, and is logged out.")
@click.argument("name")
def passwd(path: Path, *, role: str | None, certificate: bool, remove: bool, name: str) -> None:
    """Let NAME log in at the pages, change its password or role, or end that.

    display: a wall display, which stays logged in. console: gives commands, sees the patient. auditor: reads records.
    engineer: sees the devices. The password is asked for, or read from standard input.
    """
    file = _users_file(path)
    known = users.read(file) if file.exists() else {}
    if remove:
        if known.pop(name, None) is None:
            raise ConfigurationError([f"{file}: there is no {name}"])
    else:
        if users.NAME.fullmatch(name) is None:
            raise click.BadParameter(f"a name is {users.NAME_IN_WORDS}", param_hint="NAME")
        role = role or (known[name].role if name in known else None)
        if role is None:
            raise click.UsageError(f"{name} is new: --role says what for")
        secret = users.CERTIFICATE_ALONE if certificate else users.hashed(_password(name))
        known[name] = users.User(name, role, secret)
    users.write(file, known)
    click.echo(f"{file}: {name} {'may no longer log in' if remove else f'is {known[name].role}'}")


@command.command("users", epilog="\b\nExample:\n  esi-room display users --config config/room.toml")
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object a user, for programs.")
def show(path: Path, *, as_json: bool) -> None:
    """List who may log in at the pages, and as what."""
    for user in sorted(users.read(_users_file(path)).values()):
        how = "certificate" if user.secret == users.CERTIFICATE_ALONE else "password"
        said = {"name": user.name, "role": user.role, "by": how}
        click.echo(json.dumps(said) if as_json else f"{user.role:<9} {how:<12} {user.name}")


def _users_file(path: Path) -> Path:
    configuration = load(path)
    file = None if configuration.display is None else configuration.display.users_file
    if file is None:
        raise ConfigurationError([f'{path}: [display] names no users_file; add: users_file = "display.users"'])
    return file


def _password(name: str) -> str:
    if sys.stdin.isatty():
        password: str = click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt="Again")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < users.PASSWORD_MIN_CHARACTERS:
        raise click.UsageError(f"a password has at least {users.PASSWORD_MIN_CHARACTERS} characters")
    if len(password.encode()) > users.PASSWORD_MAX_BYTES:
        raise click.UsageError(f"a password has at most {users.PASSWORD_MAX_BYTES} bytes")
    return password
