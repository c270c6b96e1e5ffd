"""What may be filled in: the fields of a command, in words, from the schema that consoles are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

_ENVELOPE = ("id", "actor", "client")  # the command line fills these in
Schema = dict[str, Any]


def describe(shape: type[msgspec.Struct]) -> str:
    """The command's own words, then a line for each field: its name, what it may be, whether it must be there."""
    (root,), known = msgspec.json.schema_components([shape], ref_template="{name}")
    schema = known[root["$ref"]]
    rows = list(_fields(schema, known, ""))
    width = max((len(name) for name, _ in rows), default=0)
    words = " ".join((shape.__doc__ or "").split())
    return "\n".join([words, "", *(f"  {name:<{width}}  {what}" for name, what in rows)])


def _fields(schema: Schema, known: dict[str, Schema], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in schema.get("properties", {}).items():
        if name in _ENVELOPE and not prefix:
            continue
        must = "" if name not in schema.get("required", ()) else ", required"
        path = f"{prefix}{name}"
        inner, many = _group(field, known)
        if inner is None:
            yield path, f"{_words(field, known)}{must}"
        else:
            yield path, f"{'a list of groups' if many else 'a group'}{must}:"
            yield from _fields(inner, known, f"{path}.{'N.' if many else ''}")


def _options(field: Schema) -> list[Schema]:
    return [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]


def _group(field: Schema, known: dict[str, Schema]) -> tuple[Schema | None, bool]:
    """The fields within, and whether there may be many of them; None where it is a value."""
    for option in _options(field):
        many = option.get("type") == "array"
        reference = (option.get("items", {}) if many else option).get("$ref")
        if reference is not None and "properties" in known[reference]:
            return known[reference], many
    return None, False


def _words(field: Schema, known: dict[str, Schema]) -> str:
    return " or ".join(_value(option, known) for option in _options(field))


def _value(field: Schema, known: dict[str, Schema]) -> str:
    if "$ref" in field:
        field = known[field["$ref"]]
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    match field.get("type"):
        case "boolean":
            return "yes | no"
        case "number" | "integer":
            return _number(field)
        case "array":
            return f"ONE,TWO,… of {_value(field.get('items', {}), known)}"
        case "object":
            return "an object"
    return str(field.get("description") or "text")


def _number(field: Schema) -> str:
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum")
    span = "" if low is None and high is None else f" {low:g} to {high:g}" if high is not None else f" from {low:g}"
    more = f" above {low:g}" if "exclusiveMinimum" in field and high is None else span
    unit = field.get("description", "")
    return f"{'a number' if field['type'] == 'number' else 'a whole number'}{more}{f' ({unit})' if unit else ''}"
