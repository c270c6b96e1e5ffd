"""The drivers, one line each. A module is imported when it is asked for, and not before."""

from __future__ import annotations

import difflib
import importlib
from typing import cast

from esi_room.drivers.contract import DriverModule
from esi_room.errors import ConfigurationError

DRIVERS: dict[str, str] = {
    "ge_dri": "esi_room.drivers.ge_dri",  # GE / Datex-Ohmeda S/5 Computer Interface
    "masimo_ascii1": "esi_room.drivers.masimo_ascii1",  # Masimo Rad-8, Radical-7
    "nellcor_ascii": "esi_room.drivers.nellcor_ascii",  # Nellcor N-560, N-595, N-600x
    "new_era": "esi_room.drivers.new_era",  # New Era NE-1000, WPI Aladdin
}


def load(name: str) -> DriverModule:
    """The driver's module. ConfigurationError if there is none of this name, with the nearest that there is."""
    if name not in DRIVERS:
        near = difflib.get_close_matches(name, DRIVERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError([f"no driver {name!r}{hint} Known: {', '.join(sorted(DRIVERS))}"])
    return cast("DriverModule", importlib.import_module(DRIVERS[name]))
