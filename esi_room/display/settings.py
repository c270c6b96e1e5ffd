"""From what `room.toml` says to what the server takes; and what it refuses to do, whoever asks."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from esi_room.config import RoomConfig
from esi_room.config.display import Display
from esi_room.errors import ConfigurationError
from esi_room.outputs.access import LOGINS_FILE
from esi_room.outputs.client import BrokerSettings

OPEN_TO_THE_NETWORK = (
    "the pages are not opened to the network at {host}:{port} without {lacking}: give a loopback address, or set "
    "cert_file and key_file (TLS) and users_file (who may log in) in [display], see config/room.toml"
)


class TlsFiles(Struct, frozen=True, kw_only=True):
    """The server's certificate, and who signed the clients'."""

    cert_file: str
    key_file: str
    ca_file: str | None = None


class DisplaySettings(Struct, frozen=True, kw_only=True):
    """What the server needs to know of the room.

    `users`: the file of users; None: nobody logs in, and whoever reaches the server may see everything.
    `logins`: the file of the broker's roles; None: the broker knows none.
    """

    room: str
    timezone: str
    data: Path
    host: str
    port: int
    broker: BrokerSettings
    logins: Path | None = None
    tls: TlsFiles | None = None
    users: Path | None = None
    session_s: float = 12 * 3600.0
    idle_s: float = 3600.0

    def check(self) -> None:
        """ConfigurationError where this would open the pages to people who should not see them."""
        lacking = [what for what, there in (("TLS", self.tls), ("users", self.users)) if there is None]
        if lacking and not ipaddress.ip_address(self.host).is_loopback:
            text = OPEN_TO_THE_NETWORK.format(host=self.host, port=self.port, lacking=" and ".join(lacking))
            raise ConfigurationError([text])
        if self.users is not None and not self.users.is_file():
            raise ConfigurationError(
                [f"{self.users} is not there: `esi-room display passwd --role console NAME` makes it"]
            )


def display_settings(configuration: RoomConfig, environ: Mapping[str, str] = os.environ) -> DisplaySettings:
    """The server's settings, defaults included where there is no [display]. It never goes by the room's own name."""
    display, mqtt = configuration.display or Display(), configuration.mqtt
    host = "127.0.0.1" if mqtt.listen.host in {"0.0.0.0", "::"} else mqtt.listen.host  # noqa: S104 - where to connect
    own = display.broker
    return DisplaySettings(
        room=configuration.room.id,
        timezone=str(configuration.room.timezone),
        data=configuration.room.data,
        host=display.listen.host,
        port=display.listen.port,
        broker=BrokerSettings(
            url=f"mqtt://{host}:{mqtt.listen.port}" if mqtt.embedded else str(mqtt.url),
            client_id="",
            ca_file=None if mqtt.ca_file is None else str(mqtt.ca_file),
            cert_file=None if own.cert_file is None else str(own.cert_file),
            key_file=None if own.key_file is None else str(own.key_file),
        ),
        logins=configuration.room.data / "broker" / LOGINS_FILE if mqtt.embedded else own.logins_file,
        tls=None
        if display.cert_file is None or display.key_file is None
        else TlsFiles(
            cert_file=str(display.cert_file),
            key_file=str(display.key_file),
            ca_file=None if display.ca_file is None else str(display.ca_file),
        ),
        users=display.users_file,
        session_s=display.session_h * 3600,
        idle_s=display.idle_min * 60,
    )


def server_tls(files: TlsFiles | None) -> ssl.SSLContext | None:
    """TLS 1.2 at least. A client may show a certificate where `ca_file` says whose; it need not."""
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.cert_file, files.key_file)
        if files.ca_file is not None:
            context.load_verify_locations(files.ca_file)
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:
        names = ", ".join(filter(None, (files.cert_file, files.key_file, files.ca_file)))
        raise ConfigurationError([f"the certificates of the pages ({names}) cannot be loaded: {error}"]) from error
    return context
