"""The published contract: fresh, whole, and true of what is really sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from outputs_rig import lines, pulse

from esi_room.events import PAYLOADS, Entry
from esi_room.outputs import asyncapi
from esi_room.outputs.commands import Commands
from esi_room.outputs.guide import GUIDE
from esi_room.outputs.messages import Reply, Status
from esi_room.outputs.state import Projection
from esi_room.record.journal import Journal

DOCS = Path(__file__).parents[2] / "docs"
STALE = "generated documents are old: python -m esi_room.outputs.asyncapi --write docs"


def check(instance: Any, name: str) -> None:
    schema = asyncapi.schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(instance, schema, cls=jsonschema.Draft202012Validator)


def test_the_files_are_what_the_code_says() -> None:
    assert (DOCS / "asyncapi.json").read_text() == asyncapi.text(asyncapi.document()), STALE
    found = {path.stem: path.read_text() for path in (DOCS / "schemas").glob("*.json")}
    assert found == {name: asyncapi.text(schema) for name, schema in asyncapi.schemas().items()}, STALE


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/"):
                at: Any = document
                for step in reference[2:].split("/"):
                    at = at[step]
            elif isinstance(reference, str):
                assert (DOCS / reference).is_file(), reference
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
    assert document["asyncapi"] == "3.0.0"
    assert {f"event.{payload.TYPE}" for payload in PAYLOADS} <= set(document["channels"])
    for channel in document["channels"].values():
        assert channel["address"].startswith("esi/{room}/")
        named = {part[1:-1] for part in channel["address"].split("/") if part.startswith("{")}
        assert named == set(channel["parameters"])


def test_a_replay_has_the_same_tree_but_for_what_was_signed_and_who_the_patient_is() -> None:
    channels = asyncapi.document()["channels"]
    replayed = {name.removeprefix("replay.") for name in channels if name.startswith("replay.")}
    sent = {name for name in channels if name.partition(".")[0] in ("event", "state", "status", "image")}
    assert replayed == sent - {"state.checkpoint", "state.amendment"}
    for name in replayed:
        other = channels[name]["address"].replace("esi/{room}/", "esi/{room}/replay/{session}/")
        assert channels[f"replay.{name}"]["address"] == other
        assert channels[f"replay.{name}"]["messages"] == channels[name]["messages"]


def test_the_document_keeps_to_the_rules_of_asyncapi_3() -> None:
    """Those that a JSON Schema of the document cannot hold: what an operation names must be its channel's."""
    document = asyncapi.document()
    key = re.compile(r"[A-Za-z0-9._-]+")
    named = set()
    for name, operation in document["operations"].items():
        assert key.fullmatch(name)
        channel_name = operation["channel"]["$ref"].removeprefix("#/channels/")
        messages = {f"#/channels/{channel_name}/messages/{m}" for m in document["channels"][channel_name]["messages"]}
        assert {message["$ref"] for message in operation["messages"]} == messages
        assert ("reply" in operation) == (operation["action"] == "receive")
        named.add(channel_name)
    assert named == set(document["channels"])
    addresses = [channel["address"] for channel in document["channels"].values()]
    assert len(set(addresses)) == len(addresses)
    used = {message for channel in document["channels"].values() for message in channel["messages"]}
    assert used == set(document["components"]["messages"])


def test_everything_retained_says_what_it_is_worth_while_the_room_is_offline() -> None:
    document = asyncapi.document()
    for name in ("status", "image.last", *(name for name in document["channels"] if name.startswith("state."))):
        message = document["components"]["messages"][name]
        assert "what was known then" in message["summary"] + message.get("description", ""), name


async def test_the_example_in_the_guide_is_a_request(journal: Journal) -> None:
    request = re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert request is not None
    check(json.loads(request[1]), "command.backfill")
    answer = await Commands(journal, {}).answer("backfill", request[1].encode())
    assert answer.reply.problems == ("record 20260314T091500Z-4be1 has no line 118",)


@pytest.mark.parametrize("name", sorted(asyncapi.schemas()))
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(asyncapi.schemas()[name])


async def test_real_messages_keep_to_their_schemas(journal: Journal) -> None:
    await journal.commit(pulse(72))
    projection = Projection()
    for octets in lines(journal):
        line = json.loads(octets)
        check(line, f"event.{line['type']}")
        projection.apply(msgspec.json.decode(octets, type=Entry))
    for topic in projection.topics:
        snapshot = json.loads(msgspec.json.encode(projection.snapshot(topic, 0)))
        check(snapshot, topic.replace("/", "."))
    reply = Reply(id=None, ok=False, record=None, seq=None, message="m", problems=("p",))
    check(json.loads(msgspec.json.encode(reply)), "reply")
    status = Status(status="offline", software="1", configuration_sha256="", since=None, record=None, problem="x")
    check(json.loads(msgspec.json.encode(status)), "status")


def test_a_schema_refuses_what_the_room_refuses() -> None:
    good = {"id": "1", "actor": "a", "client": "c", "phase": "guidance"}
    check(good, "command.phase")
    for bad in ({"phase": "lunch"}, {"client": "a.b"}, {"id": ""}, {"surprise": 1}):
        with pytest.raises(jsonschema.ValidationError):
            check(good | bad, "command.phase")
