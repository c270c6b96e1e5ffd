"""Whether a value that stands in a TOML file may be given where a Python type is declared."""

from __future__ import annotations

import inspect
import types
import typing
from typing import Literal

_GIVEN_BY_THE_ROOM = frozenset({"seed", "name", "study"})
_WORDS = {float: "a number", int: "a whole number", str: "a text in quotes", bool: "true or false"}


def settings_of(kind: type) -> dict[str, object]:
    """The keyword settings of a device class and those it inherits, with their types."""
    found: dict[str, object] = {}
    for made in (vars(base).get("__init__") for base in kind.__mro__ if base is not object):
        if made is not None:
            hints = typing.get_type_hints(made)
            keywords = inspect.signature(made).parameters.values()
            found |= {p.name: hints[p.name] for p in keywords if p.kind is inspect.Parameter.KEYWORD_ONLY}
    return {name: hint for name, hint in found.items() if name not in _GIVEN_BY_THE_ROOM}


def is_json(value: object) -> bool:
    """Whether JSON has a word for it: TOML's dates and times it has not."""
    if isinstance(value, dict):
        return all(map(is_json, value.values()))
    return all(map(is_json, value)) if isinstance(value, list) else isinstance(value, str | int | float)


def fits(value: object, hint: object) -> bool:
    """Whether a TOML value may be given where `hint` is declared."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def allowed(hint: object) -> str:
    """In words, what may be given there."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(allowed(option) for option in typing.get_args(hint) if option is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    return _WORDS.get(hint, str(hint)) if isinstance(hint, type) else str(hint)
