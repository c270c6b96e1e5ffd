"""The phases of a procedure, as pure functions: which may follow which."""

from __future__ import annotations

from typing import get_args

from esi_room.events import Phase

ORDER: tuple[Phase, ...] = get_args(Phase)


def why_not(previous: Phase | None, phase: Phase, reason: str | None) -> str | None:
    """Why `phase` may not be entered from `previous`; None if it may. Phases may be skipped (an emergency does
    not wait for a form), but going back is said with a reason."""
    if phase == previous:
        return f"the procedure is in {phase} already"
    if previous is not None and ORDER.index(phase) < ORDER.index(previous) and not reason:
        return f"{phase} comes before {previous}: give a reason for going back"
    return None
