"""What all forms have in common."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from esi_room.events.base import Payload


class Clinical(Payload, frozen=True):
    """What somebody of the staff said, on a form. `actor`: who."""

    actor: str

    def problems(self) -> Iterable[str]:
        """What does not fit together, in words that say how to do it right. The types and ranges of the fields have
        been checked before."""
        return ()


def no_date(name: str, value: str | None) -> Iterable[str]:
    """`YYYY-MM-DD` that the calendar does not have."""
    if value is not None:
        try:
            date.fromisoformat(value)
        except ValueError:
            yield f"{name} {value!r} is no date of the calendar: YYYY-MM-DD"


def no_moment(name: str, value: str | None) -> Iterable[str]:
    """RFC 3339 that the calendar or the clock does not have."""
    if value is not None:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            yield f"{name} {value!r} is no moment: YYYY-MM-DDThh:mm:ss with a zone, Z or +01:00"
