"""The composition root: nothing else builds objects. `room` puts them together, `settings` translates for them."""

from esi_room.room.room import Room
from esi_room.room.settings import broker_settings

__all__ = ["Room", "broker_settings"]
