"""`esi-room amend` and `mark`: what goes out, and what a person is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from esi_room.cli import asking, main
from esi_room.clock import SystemClock
from esi_room.events import Event, ProcedureStarted
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerSettings
from esi_room.outputs.commands import Commands
from esi_room.outputs.publisher import Publisher, PublisherSettings
from esi_room.procedure.amending import Amending
from esi_room.record.amendments import amendments
from esi_room.record.journal import Identity, Journal
from esi_room.record.verify_room import verify_room

CASE = "20261123T093000Z-1f2e"
CLOCK = SystemClock()


def call(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture
def config(tmp_path: Path, free_port: Callable[[], int]) -> Path:
    path = tmp_path / "room.toml"
    url = f'"mqtt://127.0.0.1:{free_port()}"'
    path.write_text(f'[room]\nid = "esi-1"\ntimezone = "UTC"\ndata = "data"\n\n[mqtt]\nurl = {url}\n')
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What would have been sent; the room says yes to all of it."""
    said: list[tuple[str, dict[str, Any]]] = []

    async def ask(_: object, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        said.append((name, fields))
        return {"ok": True, "record": "20261207T080000Z-aaaa", "seq": 7}

    monkeypatch.setattr(asking, "ask", ask)
    return said


@pytest.mark.parametrize("record", [CASE, f"data/records/{CASE}", f"data/records/{CASE}/"])
def test_a_form_for_a_sealed_record(config, asked, record):
    words = ("follow_up", "date=2026-12-07", "contact=phone", "relief_pct=60", "symptoms=numbness,fever")
    said = call("amend", "-c", str(config), "--actor", "Dr. A", record, *words, "at=2026-12-07T08:00:00Z")
    assert said.exit_code == 0, said.output
    assert f"amended: {CASE}, announced as 20261207T080000Z-aaaa #7" in said.output
    fields = {"date": "2026-12-07", "contact": "phone", "relief_pct": 60, "symptoms": ["numbness", "fever"]}
    request = {"record": CASE, "form": "follow_up", "at": "2026-12-07T08:00:00Z", "fields": fields, "actor": "Dr. A"}
    assert asked == [("amend", request)]


def test_mark_sends_what_the_form_asks_for(config, asked):
    said = call("mark", "-c", str(config), "--actor", "Dr. A", "pain", "occasion=baseline", "score=7", "scale=NRS")
    assert said.exit_code == 0, said.output
    assert asked == [("pain", {"occasion": "baseline", "score": 7, "scale": "NRS", "actor": "Dr. A"})]


@pytest.mark.parametrize(
    "words", [("amend", CASE, "folow_up"), ("amend", CASE), ("mark", "amend"), ("mark", "pain", "x")]
)
def test_wrong_calls(config, asked, words):
    assert call(words[0], "-c", str(config), *words[1:]).exit_code == 2
    assert asked == []


@pytest.fixture
async def room(config: Path, tmp_path: Path) -> AsyncIterator[str]:
    """A daemon's journal, ear and broker, with one sealed procedure."""
    port = int(config.read_text().rsplit(":", 1)[1].split('"')[0])
    broker = EmbeddedBroker(tmp_path / "broker", ("127.0.0.1", port))
    await broker.start()
    settings = PublisherSettings(
        room="esi-1",
        broker=BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id="esi-room-esi-1"),
        software="test",
        configuration_sha256="0" * 64,
        devices=frozenset(),
    )
    async with Journal.open(tmp_path / "data", CLOCK, Identity(room="esi-1")) as journal:
        record = await journal.switch("procedure", "a case")
        started = ProcedureStarted(procedure="L4/5", origin="staff")
        journal.append(Event(source="room", data=started, received=CLOCK.now()))
        await journal.switch("standby", "over")
        commands = Commands(journal, {"amend": Amending(journal, CLOCK).amend})
        publisher = Publisher(journal, settings, CLOCK, commands=commands)
        publishing = asyncio.create_task(publisher.run())
        yield record
        publisher.stop("the test is over")
        await publishing
    await broker.stop()


async def test_over_the_wire(config: Path, tmp_path: Path, room: str) -> None:
    async def amend(*words: str) -> Result:
        return await asyncio.to_thread(call, "amend", "-c", str(config), room, *words)

    said = await amend("follow_up", "date=2026-12-07", "contact=phone")
    assert said.exit_code == 0, said.output
    (made,) = amendments(tmp_path / "data", room)
    assert json.loads(made.line.octets)["data"]["contact"] == "phone"
    refused = await amend("follow_up", "date=2026-12-07", "contact=pigeon")
    assert refused.exit_code == 1
    assert "$.contact" in refused.output
    assert len(amendments(tmp_path / "data", room)) == 1
    assert all(report.ok for report in verify_room(tmp_path / "data"))
