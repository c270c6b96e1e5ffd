"""When it happened, as the staff say it (`at`)."""

from __future__ import annotations

from esi_room.clock import NS, Stamp, parse_rfc3339
from esi_room.errors import CommandRefused

AHEAD_S = 60.0  # how far a console's clock may be ahead of the room's: further, and `at` is a mistake


def happened_ns(at: str | None, now: Stamp) -> int | None:
    """On the wall clock; None where it is not said. CommandRefused: it is no moment, or none that has been."""
    if at is None:
        return None
    try:
        happened = parse_rfc3339(at)
    except ValueError as error:
        raise CommandRefused(f"at {at}: {error}") from error
    if happened > now.wall_ns + AHEAD_S * NS:
        raise CommandRefused(f"at {at} is in the future: leave it out, or say when it was")
    return happened
