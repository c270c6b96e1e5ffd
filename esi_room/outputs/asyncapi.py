"""The published contract, generated from the code: `docs/asyncapi.json` (AsyncAPI 3.0) and `docs/schemas/*.json`
(JSON Schema 2020-12, one file for each message).

    python -m esi_room.outputs.asyncapi --write docs

A test holds the files to what this says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from esi_room import __version__
from esi_room.commands import COMMANDS, Identity
from esi_room.events import PAYLOADS, Entry, Payload
from esi_room.outputs.guide import GUIDE
from esi_room.outputs.messages import Reply, Status
from esi_room.outputs.snapshots import STATES

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
Json = dict[str, Any]


LINE = "The journal line, octet for octet, its newline included: its SHA-256 is `prev` of the next line."
THEN = "While `status` says `offline` this is what was known then, whatever it says of itself."


REPLAYED = "As without `replay/{session}/`, of a record that an auditor says again with `esi-room replay`."
SIGNED = ("state.checkpoint", "state.amendment")  # what was signed at the time is not signed again


class _Channel(msgspec.Struct, frozen=True):
    """One row of the topic tree."""

    name: str
    address: str
    action: str
    """As the daemon does it: `send` or `receive`."""
    retained: bool
    messages: tuple[str, ...]
    description: str = ""


class _Message(msgspec.Struct, frozen=True):
    """A payload. `name`: of its schema, where it is JSON."""

    name: str
    summary: str
    description: str = ""
    content_type: str = "application/json"


def schemas() -> dict[str, Json]:
    """File name (without `.json`) -> a whole JSON Schema, its definitions inside."""
    named: dict[str, Any] = {f"event.{p.TYPE}": p for p in PAYLOADS}
    named |= {_state_name(topic): shape for topic, shape in STATES.items()}
    named |= {f"command.{name}": shape for name, shape in COMMANDS.items()}
    named |= {"reply": Reply, "status": Status, "private.identity": Identity}
    return {name: _whole(name, shape) for name, shape in sorted(named.items())}


def document() -> Json:
    """The AsyncAPI document. Schemas are references into `schemas/` beside it."""
    channels = _channels()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "esi_room",
            "version": __version__,
            "description": GUIDE,
        },
        "defaultContentType": "application/json",
        "channels": {c.name: _channel(c) for c in channels},
        "operations": {c.name: _operation(c) for c in channels},
        "components": {"messages": {m.name: _message(m) for m in _messages()}},
    }


def _channels() -> list[_Channel]:
    events = tuple(f"event.{payload.TYPE}" for payload in PAYLOADS)
    rows = [_Channel(name, name.replace(".", "/"), "send", False, (name,)) for name in events]
    for topic in STATES:
        address = topic + "{device}" if topic.endswith("/") else topic
        rows.append(_Channel(_state_name(topic), address, "send", True, (_state_name(topic),)))
    for command in COMMANDS:
        name = f"command.{command}"
        rows.append(_Channel(name, f"command/{command}", "receive", False, (name,)))
    shown = [
        _Channel("status", "status", "send", True, ("status",)),
        _Channel("image.last", "image/last", "send", True, ("image.last",)),
    ]
    return [
        *rows,
        *shown,
        _Channel("reply", "reply/{client}", "send", False, ("reply",)),
        _Channel("backfill", "reply/{client}/backfill", "send", False, events),
        _Channel("picture", "reply/{client}/image", "send", False, ("picture",)),
        _Channel("private.identity", "private/identity", "send", True, ("private.identity",)),
        *(_replayed(row) for row in [*rows, *shown] if row.action == "send" and row.name not in SIGNED),
    ]


def _replayed(row: _Channel) -> _Channel:
    """The same, in a replay: `esi-room replay` sends it, and not the daemon."""
    return msgspec.structs.replace(
        row, name=f"replay.{row.name}", address=f"replay/{{session}}/{row.address}", description=REPLAYED
    )


def _messages() -> list[_Message]:
    return [
        *(_described(f"event.{payload.TYPE}", payload, LINE) for payload in PAYLOADS),
        *(_described(_state_name(topic), shape, THEN) for topic, shape in STATES.items()),
        *(_described(f"command.{name}", shape) for name, shape in COMMANDS.items()),
        _described("reply", Reply),
        _described("status", Status),
        _Message(
            "private.identity",
            "The patient of the open record, for those whom the broker's access rules let see it; empty: nobody.",
        ),
        _Message("picture", "The frame that `command/frame` asked for, as JPEG.", content_type="image/jpeg"),
        _Message(
            "image.last",
            "The last image of the open record as JPEG, at most 512 KiB; empty when there is none.",
            f"`state/carm` says which object it shows. It is cleared the moment the next record is opened. {THEN}",
            "image/jpeg",
        ),
    ]


def _described(name: str, shape: type, more: str = "") -> _Message:
    """The first paragraph of the class's docstring, and the others with `more`."""
    summary, *others = (" ".join(paragraph.split()) for paragraph in (shape.__doc__ or "").split("\n\n"))
    return _Message(name, summary, "\n\n".join(filter(None, [*others, more])))


def _channel(row: _Channel) -> Json:
    parameters = {"room": {"description": "The room's id, [A-Za-z0-9_-]."}}
    if "{device}" in row.address:
        parameters["device"] = {"description": "The device's id, [A-Za-z0-9_-]."}
    if "{client}" in row.address:
        parameters["client"] = {"description": "MQTT client id of whoever asked, [A-Za-z0-9_-]."}
    if "{session}" in row.address:
        parameters["session"] = {
            "description": "Of one replay, [A-Za-z0-9_-]; the record's id if nothing else was said."
        }
    said: Json = {"description": row.description} if row.description else {}
    return said | {
        "address": f"esi/{{room}}/{row.address}",
        "parameters": parameters,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in row.messages},
    }


def _operation(row: _Channel) -> Json:
    operation: Json = {
        "action": row.action,
        "channel": {"$ref": f"#/channels/{row.name}"},
        "messages": [{"$ref": f"#/channels/{row.name}/messages/{message}"} for message in row.messages],
        "bindings": {"mqtt": {"qos": 1, "retain": row.retained, "bindingVersion": "0.2.0"}},
    }
    if row.action == "receive":
        operation["reply"] = {"channel": {"$ref": "#/channels/reply"}}
    return operation


def _message(message: _Message) -> Json:
    said: Json = {"summary": message.summary, "contentType": message.content_type}
    if message.description:
        said["description"] = message.description
    if message.content_type == "application/json":
        said["payload"] = {"$ref": f"schemas/{message.name}.json"}
    return said


def _whole(name: str, shape: Any) -> Json:
    if isinstance(shape, type) and issubclass(shape, Payload):
        body, definitions = _line_schema(shape)
    else:
        (body,), definitions = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    return {"$schema": SCHEMA_DIALECT, "title": name, **body, "$defs": definitions}


def _line_schema(payload: type[Payload]) -> tuple[Json, Json]:
    """The journal line of this payload: the envelope, with `type` fixed and `data` filled in."""
    (_, data), definitions = msgspec.json.schema_components([Entry, payload], ref_template="#/$defs/{name}")
    envelope = definitions.pop("Entry")
    properties = dict(envelope["properties"]) | {"type": {"const": payload.TYPE}, "data": data}
    return {**envelope, "title": payload.TYPE, "properties": properties}, definitions


def _state_name(topic: str) -> str:
    return topic.strip("/").replace("/", ".")


def write(folder: Path) -> None:
    """Write both into `folder`; schemas of shapes that are gone are removed."""
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    wanted = {folder / "schemas" / f"{name}.json": schema for name, schema in schemas().items()}
    for path in set((folder / "schemas").glob("*.json")) - set(wanted):
        path.unlink()
    for path, content in {**wanted, folder / "asyncapi.json": document()}.items():
        path.write_text(text(content), encoding="utf-8")


def text(content: Json) -> str:
    """As it stands in the file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """`--write FOLDER`; exit code 2 if the call is wrong."""
    if len(arguments) != 2 or arguments[0] != "--write":
        sys.stderr.write("usage: python -m esi_room.outputs.asyncapi --write docs\n")
        return 2
    write(Path(arguments[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
