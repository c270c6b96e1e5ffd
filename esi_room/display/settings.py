"""From what `room.toml` says to what the server takes."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from esi_room.config import RoomConfig
from esi_room.config.model import Display


class DisplaySettings(Struct, frozen=True, kw_only=True):
    """What the server needs to know of the room."""

    room: str
    timezone: str
    data: Path
    host: str
    port: int
    broker: tuple[str, int]


def display_settings(configuration: RoomConfig) -> DisplaySettings:
    """The server's settings, defaults included where there is no [display]."""
    display, mqtt = configuration.display or Display(), configuration.mqtt
    return DisplaySettings(
        room=configuration.room.id,
        timezone=str(configuration.room.timezone),
        data=configuration.room.data,
        host=display.listen.host,
        port=display.listen.port,
        broker=(mqtt.listen.host, mqtt.listen.port),
    )
