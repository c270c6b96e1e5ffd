"""What a form says once it is corrected."""

from __future__ import annotations

from typing import Any

import msgspec

from esi_room.events import Clinical
from esi_room.events.wording import in_words


def corrected(said: Clinical, fields: dict[str, Any]) -> Clinical | str:
    """`said` with these fields in place of its own (null: as if it had not been filled in); or what is wrong."""
    unknown = sorted(set(fields) - set(said.__struct_fields__) - {"actor"})
    if unknown or "actor" in fields:
        return f"{', '.join(unknown) or 'actor'} cannot be corrected: its fields are {', '.join(_own_fields(said))}"
    merged = msgspec.to_builtins(said) | fields
    merged = {key: value for key, value in merged.items() if value is not None}
    try:
        made = msgspec.convert(merged, type(said))
    except msgspec.ValidationError as error:
        return in_words(error, type(said))
    return "; ".join(made.problems()) or made


def _own_fields(form: Clinical) -> list[str]:
    return [name for name in form.__struct_fields__ if name != "actor"]
