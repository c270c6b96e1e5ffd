"""Values that a JSON Schema of ours allows, as a hypothesis strategy: what a form must be able to say."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
Values = st.SearchStrategy[Any]

ENVELOPE = {"id", "actor", "client"}
LONG = 60  # characters of a text: longer ones are no other case

_DAYS = st.dates(min_value=datetime(1900, 1, 1).date(), max_value=datetime(2100, 1, 1).date())
_ZONES = st.sampled_from([timezone.utc, timezone(timedelta(hours=1)), timezone(timedelta(hours=-9, minutes=-30))])  # noqa: UP017


def values(schema: Json) -> Values:
    """Of the object that a whole schema describes, without what every command carries."""
    definition = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    fields = {name: each for name, each in definition["properties"].items() if name not in ENVELOPE}
    return _object({**definition, "properties": fields}, schema)


def _value(schema: Json, root: Json) -> Values:
    if "$ref" in schema:
        return _value(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return st.one_of([_value(each, root) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 10_000))
        case "number":
            return _number(schema)
        case "string":
            return _text(schema)
        case "array":
            most = min(schema.get("maxItems", 3), 3)
            unique = {"unique": True} if "enum" in schema["items"] else {}
            return st.lists(_value(schema["items"], root), min_size=schema.get("minItems", 0), max_size=most, **unique)
        case "object" if "properties" in schema:
            return _object(schema, root)
        case _:
            numbers = st.integers(-(2**53), 2**53)  # as far as a browser counts
            return st.dictionaries(st.text("abc", min_size=1), numbers | st.booleans(), max_size=2)


def _object(schema: Json, root: Json) -> Values:
    fields = {n: _value(each, root) for n, each in schema["properties"].items()}
    needed = {name: each for name, each in fields.items() if name in schema["required"]}
    return st.fixed_dictionaries(needed, optional={n: each for n, each in fields.items() if n not in needed})


def _number(schema: Json) -> Values:
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    return st.floats(least, schema["maximum"], exclude_min="exclusiveMinimum" in schema, allow_subnormal=False)


def _text(schema: Json) -> Values:
    pattern = schema.get("pattern", "")
    if pattern == r"^\d{4}-\d{2}-\d{2}$":
        return _DAYS.map(lambda day: day.isoformat())
    if "T" in pattern and "(Z|" in pattern:
        return st.builds(_moment, _DAYS, st.integers(0, 86_399_999), _ZONES)
    if "T\\d{2}" in pattern and "Z" not in pattern:
        return st.builds(lambda day, minute: f"{day}T{minute // 60:02}:{minute % 60:02}", _DAYS, st.integers(0, 1439))
    if pattern and pattern != r"\S":
        return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True).filter(lambda text: "\n" not in text)
    characters = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufeff")
    most = min(schema.get("maxLength", LONG), LONG)
    return st.text(characters, min_size=1, max_size=most).filter(lambda text: text.strip() != "")


def _moment(day: Any, ms: int, zone: timezone) -> str:
    moment = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
