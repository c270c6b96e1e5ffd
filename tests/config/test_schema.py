"""`docs/room.schema.json`: fresh, a schema, and of one mind with what checks a room.toml."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from esi_room.carm.settings import Limits
from esi_room.config.carm import CarmLimits
from esi_room.config.schema import schema

ROOT = Path(__file__).parents[2]
GOOD = '[room]\nid = "esi-1"\ntimezone = "Europe/Berlin"\ndata = "data"\n[mqtt]\nurl = "embedded"\n'
PUMP = '[[device]]\nid = "p"\ndriver = "new_era"\nport = "/dev/ttyS0"\n'


def wrong(text: str) -> list[Any]:
    return [
        list(error.absolute_path)
        for error in Draft202012Validator(json.loads(schema())).iter_errors(tomllib.loads(text))
    ]


def test_it_is_fresh() -> None:
    committed = (ROOT / "docs" / "room.schema.json").read_text()
    assert committed == schema(), "run: esi-room check --schema > docs/room.schema.json"


def test_it_is_a_schema_and_takes_the_example() -> None:
    Draft202012Validator.check_schema(json.loads(schema()))
    assert wrong((ROOT / "config" / "room.toml").read_text()) == []


def test_overrides_and_options_are_taken() -> None:
    assert wrong(GOOD + PUMP + "line.baud = 9600\noptions.address = 3\n") == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (GOOD.replace('id = "esi-1"', 'id = "esi 1"'), ["room", "id"]),
        (GOOD + 'usrname = "u"\n', ["mqtt"]),
        (GOOD + PUMP.replace("new_era", "new_area"), ["device", 0, "driver"]),
        (GOOD + PUMP + "options.adress = 3\n", ["device", 0, "options"]),
        (GOOD + PUMP + 'line.parity = "evn"\n', ["device", 0, "line", "parity"]),
    ],
)
def test_it_finds_what_an_editor_should_underline(text: str, where: list[str | int]) -> None:
    assert wrong(text) == [where]


def test_the_limits_are_the_listeners_own() -> None:
    """The two sides of the house do not import each other: their names and the example's defaults must agree."""
    defaults = msgspec.to_builtins(Limits())
    assert set(CarmLimits.model_fields) <= set(defaults)
    example = (ROOT / "config" / "room.toml").read_text()
    for name in CarmLimits.model_fields:
        (line,) = [line for line in example.splitlines() if line.startswith(f"# {name} = ")]
        assert tomllib.loads(line.removeprefix("# "))[name] == defaults[name]
