"""The configuration of a room: one TOML file, and every mistake in it found at once, with its line.

Rules:
- A mistake reads `room.toml:LINE: what is wrong; allowed: what is allowed`. All of them are found in one go.
- No mistake is survived: a daemon never starts on half a configuration.
- Relative paths begin where the file lies, not where somebody stood when starting the daemon.

`lines` knows where things stand, `values` what a value may be, `model` (with `carm`, `display`, `table`) what a table
may hold, `rules` and `devices` what must fit together, `notes` what is worth a word, `load` puts them together,
`schema` tells editors.
"""

from esi_room.config.carm import Carm, CarmPeer
from esi_room.config.display import Display
from esi_room.config.load import Finding, Findings, examine, load
from esi_room.config.model import Device, Mqtt, Room, RoomConfig
from esi_room.config.values import Listen

__all__ = [
    "Carm",
    "CarmPeer",
    "Device",
    "Display",
    "Finding",
    "Findings",
    "Listen",
    "Mqtt",
    "Room",
    "RoomConfig",
    "examine",
    "load",
]
