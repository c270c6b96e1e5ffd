"""Conditions that a device repeats in every message, told once when they begin and once when they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from esi_room.events import DeviceAlarm


class Condition(NamedTuple):
    """What an alarm says beside its code. `advisory`: the maker does not document the meaning."""

    text: str
    priority: str | None = None
    advisory: bool = False


class Edges:
    """What stood in the last message, so that only beginnings, ends and changes are told."""

    def __init__(self) -> None:
        self._standing: dict[str, Condition] = {}

    def update(self, now: Mapping[str, Condition]) -> list[DeviceAlarm]:
        """`now`: every condition of this message, by code. Ends are told before beginnings."""
        ended = [(code, was) for code, was in self._standing.items() if code not in now]
        begun = [(code, condition) for code, condition in now.items() if self._standing.get(code) != condition]
        self._standing = dict(now)
        return [_alarm(*pair, active=False) for pair in ended] + [_alarm(*pair, active=True) for pair in begun]


def _alarm(code: str, condition: Condition, *, active: bool) -> DeviceAlarm:
    return DeviceAlarm(
        code=code,
        text=condition.text,
        active=active,
        priority=condition.priority,
        advisory=condition.advisory,
    )
