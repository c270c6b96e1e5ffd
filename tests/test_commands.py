"""The shapes of `command/<name>`: each form's command has its fields, its schema says what the room does, and what is
not of its shape is refused whole."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
import msgspec
import pytest

from esi_room.commands import COMMANDS, SAYINGS, Amend, Command, Say
from esi_room.events import FORMS
from esi_room.events.clinical import Clinical
from esi_room.outputs import asyncapi

WHO = {"id": "1", "actor": "Dr. A", "client": "console-1"}
RECORD = "20261123T093000Z-4be1"
STEROID = {"drug": "dexamethasone", "volume_ml": 1, "concentration": 10, "concentration_unit": "mg/mL"}
IOHEXOL = {"drug": "iohexol", "volume_ml": 2, "concentration": 240, "concentration_unit": "mg{I}/mL"}
TIME_OUT = {"identity": True, "procedure": True, "approach": "interlaminar", "side": "left", "levels": ["L4/5"]}

# One of each command: its own fields. Those of the forms are looked at more closely beside the forms.
EXAMPLES: dict[str, dict[str, Any]] = {
    "start": {
        "procedure": "L4/5",
        "identity": {"name": "A^B", "id": "4711", "birth_date": "1960-02-03"},
        "order": "A-1",
    },
    "phase": {"phase": "guidance", "reason": "needle repositioned"},
    "end": {"outcome": "discontinued", "reason": "INR 3"},
    "acknowledge": {"alert": "R1", "reason": "emergency"},
    "override": {"alert": "R14-injection~2", "reason": "the other side hurts more"},
    "amend": {
        "record": RECORD,
        "form": "follow_up",
        "fields": {"date": "2026-12-07"},
        "at": "2026-12-07T10:00:00+01:00",
    },
    "order": {"order": {"id": "A-1", "identity": {"name": "A^B"}, "plan": {"side": "left", "levels": ["L4/5"]}}},
    "withdraw_order": {"order": "A-1"},
    "frame": {"at": "2026-11-23T09:30:00.123Z", "record": RECORD},
    "backfill": {"record": RECORD, "from_seq": 0, "to_seq": 9},
    "assessment": {"weight_kg": 72, "glucose_mg_dl": 140},
    "indication": {"diagnosis": "Radiculopathy", "levels": ["L4/5"]},
    "prior_imaging": {"modality": "MR", "date": "2026-10-12"},
    "pain": {"occasion": "baseline", "score": 7, "scale": "NRS"},
    "earlier_injections": {"sessions_12_months": 1, "last_levels": ["L4/5"]},
    "allergies": {"known": [{"substance": "contrast", "reaction": "mild"}]},
    "anticoagulants": {"decision": "stopped_in_time", "drugs": [{"drug": "ASS"}], "inr": 1.1},
    "consent": {"given": True, "told": ["risks"]},
    "sign_in": {"identity": True, "consent": True, "allergies": True},
    "time_out": TIME_OUT | {"team": ["Dr. A"]},
    "sign_out": {"procedure_recorded": True, "sharps_complete": True},
    "positioning": {
        "position": "prone",
        "skin_preparation": "alcohol",
        "draped": True,
        "mask": True,
        "sterile_gloves": True,
    },
    "monitoring": {"connected": ["ecg", "spo2"]},
    "iv_access": {"placed": True, "gauge_g": 20},
    "sedation": {"level": "none"},
    "drawn_up": {"syringe": "A", "components": [STEROID], "pump": "pump-1"},
    "drug_given": {"component": STEROID, "route": "epidural"},
    "drug_discarded": {"syringe": "A", "volume_ml": 1},
    "approach": {"approach": "interlaminar", "side": "left", "levels": ["L4/5"]},
    "needle": {"action": "placed", "gauge_g": 20, "length_mm": 90},
    "loss_of_resistance": {"obtained": True, "medium": "saline", "depth_mm": 68},
    "aspiration": {"result": "negative"},
    "contrast": {"given": True, "component": IOHEXOL, "imaging": "dsa"},
    "view": {"projection": "ap", "contrast": True},
    "hand_injection": {"state": "end", "volume_ml": 3},
    "injection_pressure": {"pressure_mmhg": 190, "method": "transducer"},
    "sensation": {"kind": "pressure"},
    "closure": {"haemostasis": True, "dressing": True},
    "complication": {"kind": "vasovagal", "severity": "mild"},
    "motor_sensory": {"motor": "normal", "sensory": "normal", "bromage": 0},
    "padss": {"vital_signs": 2, "activity": 2, "nausea_vomiting": 2, "pain": 2, "bleeding": 2, "total": 10},
    "instructions": {"written": True, "restrictions": ["rest"]},
    "discharge": {"to": "home", "escort": True},
    "follow_up_plan": {"due": "2026-12-07", "contact": "phone"},
    "sign_off": {"signer": "Dr. A", "meaning": "author"},
    "note": {"text": "tolerated well"},
    "patient": {"state": "alert"},
    "correction": {"seq": 17, "reason": "slip", "fields": {"score": 6}},
}
# A whole number written as 3.0 is one for JSON Schema and none for the room: nobody's console writes it so.
ODD: tuple[Any, ...] = (
    None,
    "",
    "x",
    " ",
    -1,
    0,
    0.5,
    3,
    1_000_000,
    True,
    [],
    ["x"],
    [1],
    {},
    {"x": 1},
    "2026-11-23",
    "L4/5",
)


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """Of the published schema."""
    schema = asyncapi.schemas()[f"command.{name}"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def asked(name: str, fields: dict[str, Any]) -> Command | None:
    """What the room makes of a request; None where it refuses the shape."""
    try:
        return msgspec.convert(msgspec.json.decode(json.dumps({**WHO, **fields})), COMMANDS[name])
    except msgspec.ValidationError:
        return None


def agrees(name: str, fields: dict[str, Any]) -> bool:
    """Whether the schema says of a request what the room does."""
    return (asked(name, fields) is not None) == validator(name).is_valid({**WHO, **fields})


# --- the shapes ----------------------------------------------------------------------------------------------------


def test_every_command_has_an_example() -> None:
    assert set(EXAMPLES) == set(COMMANDS)
    assert {name: command.NAME for name, command in COMMANDS.items()} == {name: name for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_is_taken_and_the_schema_accepts_it(name: str) -> None:
    command = asked(name, EXAMPLES[name])
    assert command is not None
    validator(name).validate({**WHO, **EXAMPLES[name]})
    assert (command.id, command.actor, command.client) == ("1", "Dr. A", "console-1")
    assert (type(command).__doc__ or "").strip()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_schema_refuses_what_the_room_refuses_and_nothing_else(name: str) -> None:
    example = EXAMPLES[name]
    fields = [field for field in COMMANDS[name].__struct_fields__ if field not in WHO]
    for field in fields:
        for odd in ODD:
            assert agrees(name, example | {field: odd}), (field, odd)
        without = {key: value for key, value in example.items() if key != field}
        assert agrees(name, without), f"without {field}"
    for key in WHO:
        for odd in ODD:
            assert agrees(name, example | {key: odd}), (key, odd)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_field_that_it_does_not_know_is_refused(name: str) -> None:
    for unknown in ("surprise", "code", "type", "Actor", ""):
        assert asked(name, EXAMPLES[name] | {unknown: 1}) is None, unknown
        assert agrees(name, EXAMPLES[name] | {unknown: 1}), unknown


@pytest.mark.parametrize(
    "name", ["drawn_up", "drug_given", "contrast", "allergies", "anticoagulants", "start", "order"]
)
def test_nor_one_inside_of_a_field(name: str) -> None:
    def with_a_surprise(value: Any) -> Any:
        if isinstance(value, dict):
            return value | {"surprise": 1}
        return [with_a_surprise(each) for each in value] if isinstance(value, list) else value

    for field, value in EXAMPLES[name].items():
        odd = EXAMPLES[name] | {field: with_a_surprise(value)}
        assert agrees(name, odd)
        assert (asked(name, odd) is None) == (odd != EXAMPLES[name])


# --- what the staff say --------------------------------------------------------------------------------------------


def test_every_form_can_be_said_but_one_that_is_said_of_a_sealed_record() -> None:
    assert set(FORMS) - set(SAYINGS) == {"follow_up"}
    assert set(SAYINGS) < set(COMMANDS)


@pytest.mark.parametrize("name", SAYINGS)
def test_a_command_has_the_fields_of_its_form_and_makes_it(name: str) -> None:
    command = asked(name, EXAMPLES[name] | {"at": "2026-11-23T09:30:00Z", "record": RECORD})
    assert isinstance(command, Say)
    own = set(type(command).__struct_fields__) - {"id", "actor", "client", "at", "record"}
    assert own | {"actor"} == set(FORMS[name].__struct_fields__)
    form = command.form()
    assert form == msgspec.convert({"actor": "Dr. A", **EXAMPLES[name]}, FORMS[name])
    assert isinstance(form, Clinical)
    assert list(form.problems()) == []
    assert (command.at, command.record) == ("2026-11-23T09:30:00Z", RECORD)


@pytest.mark.parametrize("name", SAYINGS)
def test_what_a_form_does_not_need_its_command_does_not_need(name: str) -> None:
    for field in msgspec.structs.fields(FORMS[name]):
        without = {key: value for key, value in EXAMPLES[name].items() if key != field.name}
        assert (asked(name, without) is None) == (field.required and field.name != "actor"), field.name


def test_a_correction_that_withdraws_needs_no_fields() -> None:
    command = asked("correction", {"seq": 17, "reason": "other patient", "withdrawn": True})
    assert isinstance(command, Say)
    assert list(command.form().problems()) == []


@pytest.mark.parametrize("at", ["yesterday", "2026-11-23", "2026-11-23T09:30:00", "2026-11-23 09:30:00Z", 0, ""])
def test_a_moment_has_a_zone(at: Any) -> None:
    assert asked("note", {"text": "x", "at": at}) is None


@pytest.mark.parametrize("record", ["yesterday", "20261123T093000Z", "../20261123T093000Z-4be1", "", 5])
def test_a_record_is_named_by_its_id(record: Any) -> None:
    assert asked("note", {"text": "x", "record": record}) is None
    assert asked("amend", EXAMPLES["amend"] | {"record": record}) is None


def test_units_are_in_the_published_schemas() -> None:
    said = json.dumps(asyncapi.schemas()["command.assessment"])
    assert '"x-unit": "kg"' in said
    assert '"x-unit": "mg/dL"' in said
    assert '"x-unit": "mL"' in json.dumps(asyncapi.schemas()["command.drawn_up"])
    assert '"x-unit": "mm[Hg]"' in json.dumps(asyncapi.schemas()["command.injection_pressure"])


# --- bad input -----------------------------------------------------------------------------------------------------

LONG = "x" * 1_000_000


@pytest.mark.parametrize("name", COMMANDS)
def test_no_text_is_a_megabyte_long(name: str) -> None:
    for field in COMMANDS[name].__struct_fields__:
        if name == "order" and field == "order":
            continue
        assert asked(name, EXAMPLES[name] | {field: LONG}) is None, field
        assert asked(name, EXAMPLES[name] | {field: [LONG]}) is None, field


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
@pytest.mark.parametrize(("name", "field"), [("note", "text"), ("override", "reason"), ("correction", "reason")])
def test_a_reason_or_a_note_is_not_blank(name: str, field: str, text: str) -> None:
    assert asked(name, EXAMPLES[name] | {field: text}) is None


@pytest.mark.parametrize("name", COMMANDS)
def test_who_asks_is_always_said(name: str) -> None:
    for key in WHO:
        nameless = {field: value for field, value in {**WHO, **EXAMPLES[name]}.items() if field != key}
        with pytest.raises(msgspec.ValidationError, match=key):
            msgspec.convert(nameless, COMMANDS[name])
        assert not validator(name).is_valid(nameless)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 400])
def test_no_number_is_infinite(number: bytes) -> None:
    request = b'{"id":"1","actor":"a","client":"c","occasion":"after","scale":"NRS","score":' + number + b"}"
    with pytest.raises(msgspec.MsgspecError):
        msgspec.json.decode(request, type=COMMANDS["pain"])


def test_an_amendment_takes_any_fields_and_checks_them_by_the_form() -> None:
    command = asked("amend", EXAMPLES["amend"])
    assert isinstance(command, Amend)
    assert asked("amend", EXAMPLES["amend"] | {"fields": []}) is None
    assert asked("amend", EXAMPLES["amend"] | {"fields": {"anything": [1, {"x": None}]}}) is not None
