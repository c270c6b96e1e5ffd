"""`esi-room demo`: the whole room on one machine, with nothing else installed."""

from esi_room.cli.demo.command import command

__all__ = ["command"]
