"""What `room.toml` may hold: a class a table, a field a key.

Rules of this file:
- A field's description says what is allowed, in words fit to follow "allowed: ": mistakes are reported with it and
  the JSON Schema carries it into editors.
- Defaults are closed: loopback listeners, no DICOM peer, nobody let in who was not named.
- No secret stands in the file: `password_file` and `password_env` say where it is.
- What spans several keys is checked in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import Field

from esi_room.config.carm import Carm
from esi_room.config.display import Display
from esi_room.config.table import ID_IN_WORDS, ID_PATTERN, LISTEN_IN_WORDS, Table
from esi_room.config.values import (
    EMBEDDED,
    BrokerUrl,
    DevicePort,
    Directory,
    ExistingFile,
    Listen,
    Origin,
    TimeZone,
)
from esi_room.drivers import registry
from esi_room.drivers.contract import Driver
from esi_room.errors import ConfigurationError
from esi_room.line import LineSettings

# Room for a prefix around a room's id; every broker we know takes it, though MQTT 3.1.1 promises only 23.
CLIENT_ID_MAX_CHARACTERS = 64
# A few runs of a C-arm: less would empty a room that was set up with a zero too few.
QUOTA_MIN_BYTES = 1 << 30
# A password file holds one line: anything much longer is another file named by mistake.
PASSWORD_MAX_BYTES = 4096

_CLIENT_ID_PATTERN = rf"^[A-Za-z0-9_-]{{1,{CLIENT_ID_MAX_CHARACTERS}}}$"


class Room(Table):
    """The room itself."""

    id: str = Field(pattern=ID_PATTERN, description=ID_IN_WORDS)
    timezone: TimeZone = Field(
        description='a name of the IANA time zone database, such as "Europe/Berlin" or "America/New_York"'
    )
    data: Directory = Field(
        description="the directory that the records are kept in; relative to this file; made where it is absent"
    )


class Mqtt(Table):
    """Where events go out and commands come in."""

    url: BrokerUrl = Field(
        description='mqtt://HOST:PORT, mqtts:// (TLS), ws:// or wss:// (WebSocket); or "embedded": a broker of its own'
    )
    username: str | None = Field(
        default=None, min_length=1, description="the user name that the broker knows this room by"
    )
    password_file: ExistingFile | None = Field(
        default=None, description="a file whose first line is the password; relative to this file"
    )
    password_env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="the name of the environment variable that holds the password",
    )
    ca_file: ExistingFile | None = Field(
        default=None, description="certificates (PEM) of whoever signed the broker's; the system's own where absent"
    )
    cert_file: ExistingFile | None = Field(default=None, description="this room's certificate (PEM), with key_file")
    key_file: ExistingFile | None = Field(default=None, description="the private key of cert_file (PEM, not encrypted)")
    client_id: str | None = Field(
        default=None,
        pattern=_CLIENT_ID_PATTERN,
        description=f'1 to {CLIENT_ID_MAX_CHARACTERS} of A-Z a-z 0-9 _ -; "esi-room-" and the room\'s id where absent',
    )
    listen: Listen = Field(
        default=Listen("127.0.0.1:1883"), description=f"embedded broker: {LISTEN_IN_WORDS.format(port=1883)}"
    )
    websocket_listen: Listen | None = Field(
        default=None,
        description=f"embedded broker, for browsers: {LISTEN_IN_WORDS.format(port=9001)}; none where absent",
    )
    websocket_origins: tuple[Origin, ...] = Field(
        default=(),
        strict=False,
        description='embedded broker: whose pages may use websocket_listen, such as ["http://displays.example.org"]',
    )

    @property
    def embedded(self) -> bool:
        """Whether the daemon starts a broker of its own."""
        return self.url == EMBEDDED

    def password(self, environ: Mapping[str, str]) -> str | None:
        """The password, read now; None where there is none. ConfigurationError where it cannot be had."""
        if self.password_env is not None:
            if self.password_env not in environ:
                raise ConfigurationError([f"mqtt.password_env: the environment holds no {self.password_env}"])
            return environ[self.password_env]
        if self.password_file is None:
            return None
        try:
            octets = self.password_file.read_bytes()[:PASSWORD_MAX_BYTES]
            password = octets.decode().splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as problem:
            raise ConfigurationError([f"mqtt.password_file: {self.password_file}: {problem}"]) from problem
        return password


class Device(Table):
    """A monitor or pump on a line of its own."""

    id: str = Field(pattern=ID_PATTERN, description=ID_IN_WORDS)
    driver: str = Field(description='a driver\'s name, from the list that "esi-room drivers" prints')
    port: DevicePort = Field(
        description="/dev/serial/by-id/…, another device path, socket://HOST:PORT or rfc2217://HOST:PORT"
    )
    listen_only: bool = Field(default=False, description="true: nothing is ever sent (a receive-only cable)")
    line: dict[str, Any] = Field(default={}, description="line settings that differ from the driver's")
    options: dict[str, Any] = Field(default={}, description='the driver\'s options, from "esi-room drivers NAME"')

    def make(self) -> Driver:
        """The driver, with this device's options."""
        module = registry.load(self.driver)
        return module.make(msgspec.convert(self.options, module.Options))

    def settings(self, driver: Driver) -> LineSettings:
        """The driver's line settings with this device's own on top."""
        return msgspec.structs.replace(driver.info.line, **self.line)


class Procedure(Table):
    """How procedures are recorded."""

    rules: ExistingFile | None = Field(
        default=None, description="a file of rules like config/rules.toml; relative to this file"
    )
    close_after_idle_min: float = Field(
        default=120.0, ge=1, description="minutes without a word, an image or a pump's doing; at least 1"
    )


class Retention(Table):
    """How long records are kept. Without this table: for ever."""

    keep_days: int | None = Field(
        default=None, ge=1, description="whole days; records sealed longer ago are removed; at least 1"
    )
    keep_images_days: int | None = Field(
        default=None, ge=1, description="whole days; images of records sealed longer ago are removed; at least 1"
    )
    max_bytes: int | None = Field(
        default=None,
        ge=QUOTA_MIN_BYTES,
        description="bytes that all records may have together; beyond them the oldest images go, then the oldest "
        f"records; at least {QUOTA_MIN_BYTES}",
    )
    only_archived: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="a list of ids of [[carm.destination]]: nothing is removed before each of them has its images",
    )


class RoomFile(Table):
    """All that a `room.toml` may hold."""

    room: Room = Field(description="the table [room] with id, timezone and data")
    mqtt: Mqtt = Field(description="the table [mqtt] with url")
    carm: Carm | None = Field(default=None, description="the table [carm] with ae_title")
    device: tuple[Device, ...] = Field(default=(), strict=False, description="tables [[device]], one for each device")
    procedure: Procedure = Field(default=Procedure(), description="the table [procedure]")
    retention: Retention = Field(default=Retention(), description="the table [retention]")
    display: Display | None = Field(default=None, description="the table [display] with listen")


class RoomConfig(RoomFile):
    """A room's configuration without a mistake in it, and the file it came from."""

    path: Path
    sha256: str
    """Of the file's octets, in hex: what records name as `configuration_sha256`."""

    @property
    def client_id(self) -> str:
        """The MQTT client id."""
        return self.mqtt.client_id or f"esi-room-{self.room.id}"
