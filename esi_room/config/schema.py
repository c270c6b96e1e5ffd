"""`docs/room.schema.json`: what editors check a `room.toml` against while it is typed.

Made from the same classes that check it, so it cannot know less than they do; what must fit together across keys is
left to `esi-room check`.
"""

from __future__ import annotations

import json
from inspect import cleandoc
from typing import Any

import msgspec

from esi_room.config.model import RoomFile
from esi_room.drivers import registry
from esi_room.line import LineSettings


def schema() -> str:
    """The JSON Schema (draft 2020-12) of `room.toml`, with a newline at its end."""
    document = RoomFile.model_json_schema()
    definitions = document["$defs"]
    device = definitions["Device"]
    device["properties"]["driver"]["enum"] = list(registry.DRIVERS)
    device["properties"]["line"] |= _struct(LineSettings, "line", definitions)
    # A device overrides what it wants to; the rest is the driver's.
    definitions["line.LineSettings"].pop("required", None)
    device["allOf"] = [_options(driver, definitions) for driver in registry.DRIVERS]
    top = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "esi_room: room.toml"}
    return json.dumps(top | {key: value for key, value in document.items() if key != "title"}, indent=2) + "\n"


def _options(driver: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """With this driver, `options` are these."""
    reference = _struct(registry.load(driver).Options, driver, definitions)
    return {
        "if": {"properties": {"driver": {"const": driver}}},
        "then": {"properties": {"options": reference}},
    }


def _struct(struct: type[msgspec.Struct], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the schema of `struct`, which is put among `definitions` under `prefix`."""
    (reference,), components = msgspec.json.schema_components([struct], ref_template=f"#/$defs/{prefix}.{{name}}")
    for name, component in components.items():
        # A docstring: Python takes its indentation off from 3.13 on.
        component["description"] = cleandoc(component.get("description", ""))
        definitions[f"{prefix}.{name}"] = component
    return reference
