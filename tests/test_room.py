"""The room put together: what its records begin with, what a changed configuration leaves, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from esi_room import config
from esi_room.audit import trail
from esi_room.cli import main
from esi_room.cli.asking import ask
from esi_room.clock import ManualClock, Synchronisation
from esi_room.errors import BrokerError, RecordError
from esi_room.outputs.client import connect
from esi_room.record import spool
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path, records
from esi_room.record.verify_room import verify_room
from esi_room.room import room

TEXT = """
[room]
id = "esi-1"
timezone = "Europe/Berlin"
data = "data"

[mqtt]
url = "embedded"
listen = "127.0.0.1:{port}"

[[device]]
id = "oximeter-1"
driver = "masimo_ascii1"
port = "{device}"
"""


@pytest.fixture
def written(tmp_path: Path, free_port: Callable[[], int]) -> Path:
    path = tmp_path / "room.toml"
    path.write_text(TEXT.format(port=free_port(), device=tmp_path / "absent"))
    return path


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[config.RoomConfig]:
    stop = asyncio.Event()
    configuration = config.load(path)
    task = asyncio.create_task(room.Room(configuration).run(stop))
    try:
        yield configuration
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def say(configuration: config.RoomConfig, name: str, **fields: Any) -> dict[str, Any]:
    for _ in range(100):
        with contextlib.suppress(BrokerError):
            return await ask(configuration, name, {"actor": "Dr. A", **fields})
        await asyncio.sleep(0.05)
    raise AssertionError("the room never answered")


def entries(root: Path, record: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal_path(root, record).read_bytes().splitlines()]


async def test_a_procedure_record_begins_with_the_state_of_every_device(written):
    async with running(written) as configuration:
        answer = await say(configuration, "start", procedure="L4/5")
        assert answer["ok"]
        root = configuration.room.data
        opened, device, *_ = entries(root, answer["record"])
        assert (opened["type"], opened["data"]["timezone"]) == ("record.opened", "Europe/Berlin")
        assert (device["type"], device["source"]) == ("device.state", "oximeter-1")
        assert device["data"]["state"] == "lost"
        refused = await say(configuration, "phase", phase="lunch")
        assert not refused["ok"]
        assert "lunch" in refused["problems"][0]
        assert (await say(configuration, "end"))["ok"]
    assert all(report.ok for report in verify_room(root))


async def test_another_configuration_on_the_same_record_is_an_entry(written):
    async with running(written) as configuration:
        await say(configuration, "note", text="hello")
        root = configuration.room.data
    async with running(written) as configuration:
        await say(configuration, "note", text="the same configuration again")
    written.write_text(written.read_text().replace("Europe/Berlin", "Europe/Paris"))
    async with running(written) as configuration:
        await say(configuration, "note", text="changed")
        changed = configuration.sha256
    (record,) = records(root)
    said = [e["data"]["configuration_sha256"] for e in entries(root, record) if e["type"] == "config.changed"]
    assert said == [changed]
    assert [e["type"] for e in entries(root, record)].count("record.recovered") == 2


async def test_the_daemon_says_that_it_starts_and_that_it_was_stopped_in_order(written):
    for _ in range(2):
        async with running(written) as configuration:
            await say(configuration, "note", text="hello")
    (record,) = records(configuration.room.data)
    said = [e["data"] for e in entries(configuration.room.data, record) if e["type"] == "audit.event"]
    assert [(each["event"], each["event_type"]) for each in said] == [("110100", "110120"), ("110100", "110121")] * 2
    assert entries(configuration.room.data, record)[-1]["data"]["what"] == "the daemon was stopped"


async def test_who_used_the_record_is_an_entry_while_the_daemon_runs_and_when_it_starts_again(written):
    async def used(root: Path) -> list[str]:
        for _ in range(200):
            events = [e["data"] for r in records(root) for e in entries(root, r) if e["type"] == "audit.event"]
            found = [said["what"] for said in events if said["event"] == "110101"]
            if not list(spool.folder(root).iterdir()):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError("the room never took it in")

    async with running(written) as configuration:
        root = configuration.room.data
        await say(configuration, "note", text="hello")
        assert await asyncio.to_thread(trail.note, root, "110101", "R", "verified while it runs") is None
        assert await used(root) == ["verified while it runs"]
    trail.note(root, "110101", "R", "verified while it is away")
    async with running(written):
        assert await used(root) == ["verified while it runs", "verified while it is away"]
    assert all(report.ok for report in verify_room(root))


async def retained(configuration: config.RoomConfig) -> dict[str, bytes]:
    """What somebody who comes now is told of the patient, as far as the room's status."""
    found: dict[str, bytes] = {}
    settings = msgspec.structs.replace(room.broker_settings(configuration, {}), client_id="late-1")
    async with connect(settings) as client:
        await client.listen("esi/esi-1/private/identity")
        await client.listen("esi/esi-1/status")
        async with asyncio.timeout(10):
            async for message in client.received():
                found[str(message.topic).rpartition("/")[2]] = bytes(message.payload)
                if "status" in found:
                    break
    return found


async def test_the_broker_keeps_no_patient_of_a_procedure_that_is_over_and_an_erased_one_comes_back_nowhere(written):
    async with running(written) as configuration:
        answer = await say(configuration, "start", procedure="L4/5", identity={"name": "Doe^Jane", "id": "4711"})
        for _ in range(200):
            if b"Doe^Jane" in (await retained(configuration)).get("identity", b""):
                break
        record = configuration.room.data / "records" / answer["record"]
        refused = await asyncio.to_thread(erased, record)
        assert refused.exit_code == 1 and "is open" in refused.stderr
        assert (await say(configuration, "end"))["ok"]
        done = await asyncio.to_thread(erased, record)
        assert done.exit_code == 0 and "until the daemon is started again" in done.output
        while list(spool.folder(configuration.room.data).iterdir()):
            await asyncio.sleep(0.05)
        for _ in range(200):
            if "identity" not in (told := await retained(configuration)):
                break
        assert "identity" not in told
    async with running(written) as configuration:
        await say(configuration, "note", text="the next day")
        assert "identity" not in await retained(configuration)
    octets = [path.read_bytes() for path in configuration.room.data.rglob("*") if path.is_file()]
    assert not [each for each in octets if b"Doe^Jane" in each]
    assert all(report.ok for report in verify_room(configuration.room.data))


def erased(record: Path) -> Result:
    return CliRunner().invoke(main, ["identity", "erase", str(record), "--reason", "request no. 17"])


async def test_a_second_daemon_on_the_same_data_says_who_is_there(written):
    async with running(written) as configuration:
        await say(configuration, "note", text="hello")
        with pytest.raises(RecordError, match="another esi-room"):
            await room.Room(configuration).run(asyncio.Event())


async def test_a_port_in_use_ends_the_start_with_words_and_lets_go_of_the_record(written):
    configuration = config.load(written)
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", configuration.mqtt.listen.port)
    async with server:
        with pytest.raises(BrokerError, match=str(configuration.mqtt.listen.port)):
            await room.Room(configuration).run(asyncio.Event())
    async with running(written):
        await say(configuration, "note", text="now it is free")


async def test_old_records_go_at_the_start_and_the_rest_is_whole(written, monkeypatch):
    monkeypatch.setattr(room, "synchronisation", lambda: Synchronisation(True, 0.001))
    written.write_text(written.read_text() + "[retention]\nkeep_days = 30\n")
    root, clock = config.load(written).room.data, ManualClock()  # of three years ago
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        signing = Checkpoints(root, Disk())
        signing.begin()
        await journal.switch("procedure", "a case")
        await journal.switch("standby", "over")
        signing.sign_up_to(journal.committed, clock.now().wall_ns)
    old = records(root)
    async with running(written) as configuration, asyncio.timeout(20):
        while journal_path(root, old[1]).exists():
            await asyncio.sleep(0.05)
        refused = await say(configuration, "backfill", record=old[1], from_seq=0)
        assert "was removed on 20" in refused["problems"][0]
        refused = await say(configuration, "amend", record=old[1], form="note", fields={"text": "late"})
        assert "it cannot be amended" in refused["problems"][0]
        assert entries(root, old[2])[-1]["type"] in ("record.removed", "operator.command")
    found = list(verify_room(root))
    assert all(report.ok for report in found)
    assert [bool(report.removed) for report in found] == [True, True, False]


async def test_a_standby_record_does_not_grow_for_ever(written, monkeypatch):
    monkeypatch.setattr(room, "STANDBY_MAX_BYTES", 2000)
    monkeypatch.setattr(room, "STANDBY_LOOK_S", 0.05)
    async with running(written) as configuration:
        for n in range(10):
            await say(configuration, "note", text=f"{n}" * 300)
        root = configuration.room.data
    assert len(records(root)) > 1
    texts = [e["data"]["text"][0] for r in records(root) for e in entries(root, r) if e["type"] == "clinical.note"]
    assert texts == [str(n) for n in range(10)]
    assert all(report.ok for report in verify_room(root))
