"""What msgspec finds wrong, in words for people who fill in forms."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from esi_room.commands import COMMANDS
from esi_room.events import FORMS
from esi_room.events.wording import in_words

WHO = {"id": "1", "actor": "Dr. A", "client": "console-1"}
STEROID = {"drug": "triamcinolone", "volume_ml": 2}


def said(name: str, fields: dict[str, Any]) -> str:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({**WHO, **fields}, COMMANDS[name])
    return in_words(caught.value, COMMANDS[name])


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("pain", {"occasion": "after", "score": 3}, "scale is missing: one of FACES, NRS, VAS, VRS"),
        (
            "pain",
            {"occasion": "after", "score": 11, "scale": "NRS"},
            "score does not fit: a number from 0 to 10, 0 (none) to 10 (worst)",
        ),
        (
            "pain",
            {"occasion": "after", "score": "3", "scale": "NRS"},
            "score does not fit: a number from 0 to 10, 0 (none) to 10 (worst)",
        ),
        (
            "pain",
            {"occasion": "later", "score": 3, "scale": "NRS"},
            "occasion cannot be 'later': one of after, baseline",
        ),
        ("consent", {"given": "yes"}, "given does not fit: true or false"),
        ("consent", {"given": True, "tolld": []}, "there is no field tolld: did you mean told?"),
        ("sedation", {"level": "none", "xyz": 1}, "there is no field xyz: its fields are at, record, id, "),
        ("note", {"text": "x" * 5000}, "text does not fit: a text that is not blank, at most 4000 characters"),
        ("note", {"text": "  "}, "text does not fit: a text that is not blank, at most 4000 characters"),
        (
            "drawn_up",
            {"syringe": "A B", "components": [STEROID]},
            "syringe does not fit: A-Z a-z 0-9 _ - and at most 64",
        ),
        (
            "drawn_up",
            {"syringe": "A", "components": {}},
            "components does not fit: a list, each an object with drug, volume",
        ),
        (
            "drawn_up",
            {"syringe": "A", "components": [STEROID, {"drug": "water", "volume_ml": 0}]},
            "components[1].volume_ml does not fit: a number above 0 to 100, mL",
        ),
        (
            "drawn_up",
            {"syringe": "A", "components": [{"volume_ml": 2}]},
            "components[0].drug is missing: one of adrenaline, antihistamine, ",
        ),
        (
            "drawn_up",
            {"syringe": "A", "components": [STEROID | {"lott": "X"}]},
            "there is no field lott in components[0]: did you mean lot?",
        ),
        ("time_out", {"levels": "L4/5"}, "levels does not fit: a list of 1 at least, each one of C2/3, "),
        ("indication", {"diagnosis": "x", "levels": ["L6/7"]}, "levels[0] cannot be 'L6/7': one of C2/3, C3/4, "),
        ("prior_imaging", {"modality": "MR", "date": "12.10.2026"}, "date does not fit: YYYY-MM-DD"),
        ("view", {"projection": "ap", "sop_instance_uid": "x"}, "sop_instance_uid does not fit: a DICOM UID"),
        ("padss", {"vital_signs": 3}, "vital_signs does not fit: a whole number from 0 to 2"),
        (
            "motor_sensory",
            {"motor": "normal", "sensory": "normal", "bromage": 4},
            "bromage cannot be 4: one of 0, 1, 2, 3",
        ),
        ("note", {"text": "x", "at": "yesterday"}, "at does not fit: RFC 3339, with a zone"),
        ("start", {"identity": {"id": "4711"}}, "identity.name is missing: a text that is not blank"),
        ("backfill", {"record": "yesterday", "from_seq": 0}, r"record does not fit: a text like ^\d{8}T"),
        ("start", {"plan": {"side": "up"}}, "plan.side cannot be 'up': one of both, left, midline, right"),
    ],
)
def test_what_is_wrong_and_what_is_right(name: str, fields: dict[str, Any], words: str) -> None:
    assert said(name, fields).startswith(words)


def test_what_was_sent_comes_back_no_longer_than_a_line() -> None:
    assert len(said("pain", {"occasion": "x" * 100_000})) < 120
    assert len(said("sedation", {"level": "none", "y" * 100_000: 1})) < 250


@pytest.mark.parametrize("name", FORMS)
def test_something_can_be_said_of_any_nonsense(name: str) -> None:
    form = FORMS[name]
    for odd in (None, 7, "x", [], [1], {}):
        for fields in (odd, *({field: odd, "actor": "x"} for field in form.__struct_fields__)):
            try:
                msgspec.convert(fields, form)
            except msgspec.ValidationError as error:
                words = in_words(error, form)
                assert "`" not in words and words.rpartition(": ")[2], (error, words)
