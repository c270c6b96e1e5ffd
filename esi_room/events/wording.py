"""What does not fit a type, in words that say how to do it right: msgspec's errors for people who fill in forms.

Invalid enum value 'L6/7' - at `$.levels[0]`     ->  levels[0] cannot be 'L6/7': one of C2/3, C3/4 …
Expected `float` <= 10.0 - at `$.score`          ->  score does not fit: a number from 0 to 10, 0 (none) to 10 (worst)
Object missing required field `scale`            ->  scale is missing: one of NRS, VAS, VRS, FACES
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from msgspec import ValidationError, inspect

MOST_CHARACTERS = 64  # of what was sent, given back

_PLACE = re.compile(r"(?P<what>.*?)(?: - at (?:the key in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_VALUE = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)
_LIKE = {
    r"\S": "a text that is not blank",
    r"^[A-Za-z0-9_-]{1,64}$": "A-Z a-z 0-9 _ - and at most 64 of them",
    r"^[0-9.]{1,64}$": "a DICOM UID, digits and dots",
}


def in_words(error: ValidationError, cls: type) -> str:
    """What is wrong with something that should have been a `cls`."""
    found = _PLACE.fullmatch(str(error))
    what, path = (found["what"], (found["path"] or "").lstrip(".")) if found else (str(error), "")
    kinds = _at(inspect.type_info(cls), path)
    fields = {field.name: field for kind in kinds if isinstance(kind, inspect.StructType) for field in kind.fields}
    if missing := _MISSING.fullmatch(what):
        field = fields.get(missing[1])
        is_what = f": {_described([field.type])}" if field else ""
        return f"{_joined(path, missing[1])} is missing{is_what}"
    if unknown := _UNKNOWN.fullmatch(what):
        name = unknown[1][:MOST_CHARACTERS]
        near = difflib.get_close_matches(name, list(fields), 1)
        hint = f"did you mean {near[0]}?" if near else f"its fields are {', '.join(fields)}"
        return f"there is no field {name}{f' in {path}' if path else ''}: {hint}"
    value = _VALUE.fullmatch(what)
    wrong = f"cannot be {value[1][:MOST_CHARACTERS]}" if value else "does not fit"
    return f"{path or 'it'} {wrong}: {_described(kinds) if kinds else what}"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(kind: inspect.Type, path: str) -> list[inspect.Type]:
    """What may stand at `path`."""
    kinds = [kind]
    for step in _STEP.finditer(f".{path}" if path else ""):
        kinds = [inner for each in kinds for inner in _inner(each, step[1])]
    return [each for kind in kinds for each in (kind.types if isinstance(kind, inspect.UnionType) else (kind,))]


def _inner(kind: inspect.Type, field: str | None) -> Iterable[inspect.Type]:
    match kind:
        case inspect.Metadata(type=inner):
            yield from _inner(inner, field)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _inner(each, field)
        case inspect.StructType(fields=fields):
            yield from (each.type for each in fields if each.encode_name == field)
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner) if field is None:
            yield inner
        case inspect.DictType(value_type=inner):
            yield inner


def _described(kinds: Iterable[inspect.Type]) -> str:
    words = dict.fromkeys(word for kind in kinds for word in _words(kind))
    return " or ".join(words)


def _words(kind: inspect.Type, more: str = "") -> Iterable[str]:
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            yield from _words(inner, (schema or {}).get("description", ""))
        case inspect.UnionType(types=types):
            for each in types:
                yield from _words(each)
        case inspect.LiteralType(values=values):
            yield f"one of {', '.join(map(str, values))}"
        case inspect.BoolType():
            yield "true or false"
        case inspect.IntType() | inspect.FloatType():
            yield _number(kind, more)
        case inspect.StrType():
            yield _text(kind, more)
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
            yield f"a list{_sized(kind)}, each {_described([inner])}"
        case inspect.StructType(fields=fields):
            yield f"an object with {', '.join(field.encode_name for field in fields)}"
        case inspect.DictType():
            yield "an object"


def _number(kind: inspect.IntType | inspect.FloatType, more: str) -> str:
    parts = ["a whole number" if isinstance(kind, inspect.IntType) else "a number"]
    for limit, word in ((kind.ge, "from"), (kind.gt, "above"), (kind.le, "to"), (kind.lt, "below")):
        parts += [] if limit is None else [f"{word} {limit:g}"]
    return " ".join(parts) + (f", {more}" if more else "")


def _text(kind: inspect.StrType, more: str) -> str:
    like = more or _LIKE.get(kind.pattern or "") or (f"a text like {kind.pattern}" if kind.pattern else "a text")
    return like if kind.max_length is None else f"{like}, at most {kind.max_length} characters"


def _sized(kind: inspect.Type) -> str:
    least = getattr(kind, "min_length", None)
    return f" of {least} at least" if least else ""
