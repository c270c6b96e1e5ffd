"""Whether a text gives the patient away. The record is published and cannot be taken back: no name belongs into it.

Rules:
- A name counts from MIN_LETTERS letters on, as a whole word, in whatever case. An ordinary word that is also the
  patient's name is refused with the others: it can be said differently, and a name cannot be erased.
- Who of the staff did what is no text, and not looked at.
- Coded words (`left`, `follow_up`) are of the form's lists, and no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from esi_room.commands import Identity

TELLS_WHO = "holds the patient's name, birth date or number, and is published: leave it out"
PEOPLE = frozenset({"actor", "team", "drawn_up_by", "checked_by", "witness", "decided_by", "signer"})
"""Fields that name somebody of the staff, who may have the patient's name."""
MIN_LETTERS = 3  # shorter ones (Li, von, de) are in every other sentence

_WORD = re.compile(r"\w+")
_CODED = re.compile(r"[a-z][a-z0-9_]*")


def giving_away(identity: Identity, fields: dict[str, Any]) -> list[str]:
    """The fields that hold part of the patient's name, the birth date or the hospital number."""
    return sorted({path for path, text in _texts(fields) if _gives_away(identity, text)})


def _texts(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in it, and its place. Not recursive: how deep it goes is the sender's choice."""
    left: list[tuple[str, Any]] = list(fields.items())
    while left:
        path, value = left.pop()
        if path.rpartition(".")[2] in PEOPLE:
            continue
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            left += [(f"{path}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(path, inner) for inner in value]


def _gives_away(identity: Identity, text: str) -> bool:
    numbers = [number for number in (identity.id, identity.birth_date) if number is not None]
    if any(re.search(rf"(?<!\w){re.escape(number)}(?!\w)", text) for number in numbers):
        return True
    names = {word.casefold() for word in _WORD.findall(identity.name) if len(word) >= MIN_LETTERS}
    words = set() if _CODED.fullmatch(text) else {word.casefold() for word in _WORD.findall(text)}
    return bool(names & words)
