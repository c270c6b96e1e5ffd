"""The phases of a procedure, as pure functions: which may follow which, and which a device's doing hints at."""

from __future__ import annotations

from typing import NamedTuple, get_args

from esi_room.events import CarmImage, CarmMpps, Payload, Phase, PumpStarted

ORDER: tuple[Phase, ...] = get_args(Phase)


class Hint(NamedTuple):
    """The phase that must have begun, by what a device does."""

    phase: Phase
    reason: str


def why_not(previous: Phase | None, phase: Phase, reason: str | None, *, hinted: bool = False) -> str | None:
    """Why `phase` may not be entered from `previous`; None if it may. Phases may be skipped (an emergency does
    not wait for a form), but going back is said with a reason. `hinted`: the present phase was a device's hint, which
    the staff may confirm, or take back without one."""
    if phase == previous:
        return None if hinted else f"the procedure is in {phase} already"
    if previous is not None and ORDER.index(phase) < ORDER.index(previous) and not reason and not hinted:
        return f"{phase} comes before {previous}: give a reason for going back"
    return None


def hint(payload: Payload) -> Hint | None:
    """What a device's entry says of the phase."""
    match payload:
        case CarmMpps(status="IN PROGRESS", message="create", identity=identity) if identity != "mismatch":
            return Hint("preparation", "the C-arm began the procedure step")
        case CarmImage(rows=int(), duplicate_of=None, taken_in=None, identity=identity) if identity != "mismatch":
            return Hint("guidance", "the first image")
        case PumpStarted(state="infusing"):
            return Hint("injection", "the pump started")
    return None


def is_ahead(phase: Phase, of: Phase | None) -> bool:
    """Whether it comes after the present one: a hint never leads back."""
    return of is None or ORDER.index(phase) > ORDER.index(of)
