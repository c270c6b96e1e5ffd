"""`esi-room witness`: somebody else remembers what a room signed."""

from __future__ import annotations

import asyncio
import secrets
import signal
from pathlib import Path

import click
import structlog

from esi_room.cli import logs
from esi_room.clock import SystemClock
from esi_room.errors import BrokerError, RecordError
from esi_room.outputs.client import BrokerSettings, connect, parse_url
from esi_room.outputs.tasks import until_first
from esi_room.outputs.witness import AMENDMENTS, TOPIC, Judged, Witness
from esi_room.record.disk import Disk

AGAIN_S = (0.5, 30.0)  # first and longest pause between two attempts to reach the broker

log = structlog.get_logger()

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

EXAMPLE = """\b
Examples:
  esi-room witness --mqtt mqtt://broker.example:1883 --keep witness.jsonl
  esi-room verify data --witness witness.jsonl
"""


@click.command(epilog=EXAMPLE)
@click.option("--mqtt", "url", required=True, metavar="URL", help="The broker of the rooms: mqtt, mqtts, ws, wss.")
@click.option("--keep", "path", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file.")
@click.option("--username", help="The user name at the broker.")
@click.option("--password-file", type=_FILE, help="A file whose first line is the password.")
@click.option("--ca-file", type=_FILE, help="Who signed the broker's certificate.")
@click.option("--cert-file", type=_FILE, help="The witness's own certificate.")
@click.option("--key-file", type=_FILE, help="The private key of --cert-file.")
def command(
    *,
    url: str,
    path: Path,
    username: str | None,
    password_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
) -> None:
    """Keep the signed checkpoints of every room on a broker, until SIGTERM or Ctrl-C.

    Run it on a machine to which nobody of the room has access. `esi-room verify DATA --witness FILE` then finds what
    somebody rewrote on the room's own disk, even with the room's key.
    """
    logs.configure(as_json=None)
    parse_url(url)
    settings = BrokerSettings(
        url=url,
        client_id=f"witness-{secrets.token_hex(4)}",
        username=username,
        password=None if password_file is None else (password_file.read_text("utf-8").splitlines() or [""])[0],
        ca_file=None if ca_file is None else str(ca_file),
        cert_file=None if cert_file is None else str(cert_file),
        key_file=None if key_file is None else str(key_file),
    )
    try:
        witness = Witness(path, SystemClock(), Disk())
    except (ValueError, OSError) as error:
        raise RecordError(f"{path} is no file that a witness can go on with: {error}") from error
    try:
        asyncio.run(_run(settings, witness))
    finally:
        witness.close()


async def _run(settings: BrokerSettings, witness: Witness) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await until_first(_keep(settings, witness), _wait(stop))


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


async def _keep(settings: BrokerSettings, witness: Witness) -> None:
    """For ever. An outage of the broker is one line at its start and one at its end."""
    pause_s, away = AGAIN_S[0], False
    while True:
        try:
            async with connect(settings) as client:
                await client.listen(TOPIC)
                await client.listen(AMENDMENTS)
                log.info("witness_listens", url=settings.url)
                pause_s, away = AGAIN_S[0], False
                async for message in client.received():
                    octets = message.payload if isinstance(message.payload, bytes) else b""
                    if octets:
                        _say(await asyncio.to_thread(witness.take, str(message.topic), octets))
        except BrokerError as error:
            if not away:
                log.warning("broker_away", reason=str(error))
            away = True
        except OSError as error:  # the message is retained: it comes again with the next connection
            log.error("checkpoint_not_kept", reason=error.strerror or str(error))
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, AGAIN_S[1])


def _say(judged: Judged) -> None:
    told = {"room": judged.room, "record": judged.record, "seq": judged.seq}
    match judged.word:
        case "kept":
            log.info("checkpoint_kept", **told)
        case "known":
            return
        case "new key":
            log.warning("checkpoint_kept_new_key", reason=judged.why, **told)
        case "contradiction":
            log.error("checkpoint_kept_contradiction", reason=judged.why, **told)
        case _:
            log.error("checkpoint_refused", reason=judged.why, room=judged.room)
