"""FIELD=VALUE words of the command line, as the fields of a command or a form.

    score=3                                     a number, true or false where the field is one; else a text
    levels=L4/5,L5/S1                           a list; `[…]` is one as JSON
    identity.name="Doe^Jane"                    a field of a group; `{…}` is one as JSON
    components.0.drug=lidocaine                 a field of a group in a list, counted from 0
    components.drug=lidocaine                   without the number: of the only one
    next_appointment=null                       nothing

Nothing is judged here: a value that does not fit goes out as it was written, and the room says what is wrong with it.
"""

from __future__ import annotations

from typing import Any

import click
import msgspec
from msgspec import inspect

_WORDS = {"true": True, "false": False, "yes": True, "no": False}


def fields_of(words: tuple[str, ...], shape: type[msgspec.Struct]) -> dict[str, Any]:
    """What the words say of a `shape`."""
    fields: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not all(key.split(".")):
            raise click.UsageError(f"{word!r} is no FIELD=VALUE")
        _put(fields, key, value)
    shaped: dict[str, Any] = _shaped(fields, inspect.type_info(shape))
    return shaped


def _put(fields: dict[str, Any], key: str, value: str) -> None:
    *groups, last = key.split(".")
    place = fields
    for group in groups:
        place = place.setdefault(group, {})
        if not isinstance(place, dict):
            raise click.UsageError(f"{key}: {group} has a value of its own already")
    if last in place:
        raise click.UsageError(f"{key} is said twice: a list is {last}=ONE,TWO")
    place[last] = value


def _shaped(value: Any, kind: inspect.Type) -> Any:
    """What is meant where a `kind` is asked for."""
    if isinstance(kind, inspect.Metadata):
        return _shaped(value, kind.type)
    if isinstance(kind, inspect.UnionType):
        return _one_of(value, kind.types)
    return _read(value, kind) if isinstance(value, str) else _group(value, kind)


def _group(value: dict[str, Any], kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.StructType):
        kinds = {field.name: field.type for field in kind.fields}
        return {key: _shaped(inner, kinds.get(key, inspect.StrType())) for key, inner in value.items()}
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        counted = all(key.isdecimal() for key in value)
        rows = [value[key] for key in sorted(value, key=int)] if counted else [value]
        return [_shaped(row, kind.item_type) for row in rows]
    inside = kind.value_type if isinstance(kind, inspect.DictType) else kind
    return {key: _shaped(inner, inside) for key, inner in value.items()}


def _one_of(value: Any, kinds: tuple[inspect.Type, ...]) -> Any:
    if value == "null" and any(isinstance(kind, inspect.NoneType) for kind in kinds):
        return None
    shaped = (_shaped(value, kind) for kind in kinds if not isinstance(kind, inspect.NoneType))
    return next((each for each in shaped if each != value), value)


def _read(text: str, kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.BoolType):
        return _WORDS.get(text, text)
    if isinstance(kind, inspect.IntType | inspect.FloatType | inspect.AnyType):
        return _json(text)
    if isinstance(kind, inspect.LiteralType):
        return next((known for known in kind.values if str(known) == text), text)
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return _json(text) if text.startswith("[") else [_shaped(item, kind.item_type) for item in text.split(",")]
    if isinstance(kind, inspect.StructType | inspect.DictType):
        return _json(text)
    return text


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
