"""FIELD=VALUE words become what the form asks for, or go out as they were written."""

from __future__ import annotations

from typing import Any

import click
import msgspec
import pytest

from esi_room.cli.fields import fields_of
from esi_room.commands import COMMANDS
from esi_room.events import FORMS


@pytest.mark.parametrize(
    ("form", "words", "fields"),
    [
        (
            "pain",
            "occasion=after score=2.5 scale=NRS relief_pct=60",
            {"occasion": "after", "score": 2.5, "scale": "NRS", "relief_pct": 60},
        ),
        ("note", "text=3", {"text": "3"}),
        ("note", "text=a=b", {"text": "a=b"}),
        (
            "consent",
            "given=yes written=false told=risks,benefit",
            {"given": True, "written": False, "told": ["risks", "benefit"]},
        ),
        ("consent", 'told=["risks"]', {"told": ["risks"]}),
        ("motor_sensory", "bromage=2 side=left", {"bromage": 2, "side": "left"}),
        (
            "follow_up",
            "next_appointment=null relief_duration_days=14",
            {"next_appointment": None, "relief_duration_days": 14},
        ),
        ("allergies", "known.substance=latex", {"known": [{"substance": "latex"}]}),
        (
            "drawn_up",
            "syringe=A components.1.drug=water components.0.drug=lidocaine components.0.volume_ml=2"
            " components.1.volume_ml=1",
            {
                "syringe": "A",
                "components": [{"drug": "lidocaine", "volume_ml": 2}, {"drug": "water", "volume_ml": 1}],
            },
        ),
        ("drug_given", 'component={"drug":"water","volume_ml":1}', {"component": {"drug": "water", "volume_ml": 1}}),
        (
            "contrast",
            "component.drug=iohexol component.volume_ml=2",
            {"component": {"drug": "iohexol", "volume_ml": 2}},
        ),
        (
            "correction",
            "seq=4 fields.score=3 fields.scale=VAS fields.relief_pct=null",
            {"seq": 4, "fields": {"score": 3, "scale": "VAS", "relief_pct": None}},
        ),
    ],
)
def test_values_are_what_the_form_asks_for(form: str, words: str, fields: dict[str, Any]) -> None:
    assert fields_of(tuple(words.split(" ")), FORMS[form]) == fields


@pytest.mark.parametrize(
    ("form", "words", "fields"),
    [
        ("pain", ("score=much", "scor=3"), {"score": "much", "scor": "3"}),
        (
            "consent",
            ("given=perhaps", "told=[risks", "written.x=1"),
            {"given": "perhaps", "told": "[risks", "written": {"x": "1"}},
        ),
        ("needle", ("level.x=1", "gauge_g=null"), {"level": {"x": "1"}, "gauge_g": None}),
        ("drug_given", ("component=water",), {"component": "water"}),
    ],
)
def test_what_does_not_fit_goes_out_as_it_was_written(form, words, fields):
    assert fields_of(words, FORMS[form]) == fields


@pytest.mark.parametrize("words", [("text",), ("=x",), ("a..b=x",), ("text=a", "text=b"), ("a=1", "a.b=2")])
def test_what_is_no_field_and_value_is_a_wrong_call(words):
    with pytest.raises(click.UsageError):
        fields_of(words, FORMS["note"])


def test_a_command_with_a_group() -> None:
    said = fields_of(("procedure=L4/5", "identity.name=Doe^Jane", "plan.levels=L4/5"), COMMANDS["start"])
    assert said == {"procedure": "L4/5", "identity": {"name": "Doe^Jane"}, "plan": {"levels": ["L4/5"]}}
    msgspec.convert(said | {"id": "1", "actor": "a", "client": "c"}, COMMANDS["start"])
