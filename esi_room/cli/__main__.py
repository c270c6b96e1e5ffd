"""`python -m esi_room.cli` is `esi-room`: how the demo starts the daemon, from a clone or from a wheel."""

from esi_room.cli import main

main(prog_name="esi-room")
