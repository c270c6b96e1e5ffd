"""How mistakes are worded: values as TOML writes them, types as people say them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import inspect

from esi_room.config.values import did_you_mean, quoted

# Longer values are cut in messages: the line number is there for the rest.
SHOWN_MAX_CHARACTERS = 60
_SECRET = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
_NOT_IN_THIS_FILE = (
    "must not stand in this file: put it alone into a file of mode 0600 and name that in mqtt.password_file, "
    "or into the environment and name the variable in mqtt.password_env"
)

_SIMPLE: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text in quotes",
    inspect.DictType: "a table",
}


def shown(value: Any) -> str:
    """`value` as TOML writes it, cut to a length, without what stands before the @ of a URL."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if not isinstance(value, str):
        return str(value)
    text = re.sub(r"//.*@", "//…@", value, flags=re.DOTALL)
    return quoted(text if len(text) <= SHOWN_MAX_CHARACTERS else text[:SHOWN_MAX_CHARACTERS] + "…")


def unknown_key(table: str, key: str, known: Iterable[str]) -> str:
    """What to say of a key that `table` does not have. Its value is never shown."""
    known = list(known)
    if _SECRET.search(key):
        return f"{table}{'.' if table else ''}{key} {_NOT_IN_THIS_FILE}"
    where = f"in {table}" if table else "at the top"
    return f"unknown key {quoted(key)} {where}{did_you_mean(key, known)}; allowed: {', '.join(known) or 'none'}"


def kind(annotation: Any) -> str:
    """What a msgspec type takes, in words: `one of "none", "even", "odd"`, `a whole number from 5 to 3600`."""
    return _kind(inspect.type_info(annotation))


def _kind(info: inspect.Type) -> str:
    match info:
        case inspect.LiteralType(values):
            return f"one of {', '.join(shown(value) for value in values)}"
        case inspect.IntType() | inspect.FloatType():
            return _SIMPLE[type(info)] + _bounds(info)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"a list, each {_kind(item)}"
        case inspect.UnionType(types):
            return " or ".join(_kind(one) for one in types if not isinstance(one, inspect.NoneType))
        case _:
            return _SIMPLE.get(type(info), "a value of another kind")


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    parts = [
        f" {word} {bound:g}"
        for word, bound in (("from", info.ge), ("above", info.gt), ("to", info.le), ("below", info.lt))
        if bound is not None
    ]
    return "".join(parts)
