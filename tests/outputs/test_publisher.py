"""The room on MQTT, against real brokers: nothing lost, nothing changed, nothing old shown as fresh."""

from __future__ import annotations

import asyncio
import errno
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiomqtt
import msgspec
import pytest
from outputs_rig import (
    CLOCK,
    Cable,
    Mosquitto,
    Nats,
    Subscriber,
    event,
    image,
    lines,
    pulse,
    running,
    settings,
    subscribed,
    until,
)
from structlog.testing import capture_logs

from esi_room.events import ClinicalNote, DeviceState
from esi_room.outputs.commands import Commands
from esi_room.outputs.publisher import Publisher
from esi_room.record.disk import Disk
from esi_room.record.entry import Cursor
from esi_room.record.journal import Identity, Journal

Broker = Mosquitto | Nats


async def test_a_subscriber_gets_the_octets_on_disk(broker: Broker, journal: Journal) -> None:
    await broker.start()
    async with subscribed(broker.port) as seen, running(Publisher(journal, settings(broker.port), CLOCK)):
        for value in range(60, 160):
            journal.append(pulse(value))
        await journal.switch("procedure", "test")
        await journal.commit(pulse(99))
        await until(lambda: len(seen.events()) >= len(lines(journal)))
        assert seen.events() == lines(journal)
        assert {topic for topic, _, _ in seen.got if "/event/" in topic} == {
            "esi/esi-1/event/record/opened",
            "esi/esi-1/event/record/sealed",
            "esi/esi-1/event/vitals/numeric",
        }


async def test_a_late_subscriber_is_right_in_one_message(broker: Broker, journal: Journal) -> None:
    await broker.start()
    async with running(Publisher(journal, settings(broker.port), CLOCK)) as publisher:
        await journal.commit(image("ab" * 32))
        publisher.set_image(b"\xff\xd8jpeg", "ab" * 32)
        receipt = await journal.commit(pulse(72))
        async with subscribed(broker.port, "esi/esi-1/state/vitals", "early") as early:
            await until(lambda: early.vital().get("value") == 72)
        async with subscribed(broker.port) as late:
            await until(lambda: late.last("state/vitals") and late.last("status"))
            vitals = [m for m in late.got if m[0].endswith("state/vitals")]
            assert len(vitals) == 1 and vitals[0][2]
            snapshot = late.last("state/vitals")
            assert snapshot["as_of"] == {"record": receipt.record, "seq": receipt.seq}
            assert (snapshot["values"][0]["value"], snapshot["values"][0]["stale"]) == (72, False)
            assert late.last("status")["status"] == "online"
            await until(lambda: any(o == b"\xff\xd8jpeg" for _, o, _ in late.got))
            await until(lambda: late.last("state/carm")["shown_sha256"] == "ab" * 32)
    async with subscribed(broker.port) as after:
        await until(lambda: after.last("status") and after.last("state/vitals"))
        assert after.last("status")["status"] == "offline"
        assert after.last("status")["problem"] == "the test is over"
        assert after.vital().get("stale"), "nobody keeps it up any more"


async def test_a_cancelled_daemon_says_offline(broker: Broker, journal: Journal) -> None:
    await broker.start()
    async with subscribed(broker.port) as seen:
        async with running(Publisher(journal, settings(broker.port), CLOCK), stop=False):
            await until(lambda: seen.last("status") and seen.last("status")["status"] == "online")
        await until(lambda: seen.last("status")["problem"] == "the daemon was stopped")
        assert seen.last("status")["status"] == "offline"


async def test_the_broker_may_come_late_die_and_forget(broker: Broker, journal: Journal) -> None:
    """Absent at the start, killed with its store wiped, long gone: every line arrives, in order."""
    publisher = Publisher(journal, settings(broker.port), CLOCK)
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running(publisher))
            await until(lambda: any(entry["event"] == "broker_away" for entry in logs))
            for value in range(3000):
                journal.append(pulse(value))
            await broker.start()
            async with subscribed(broker.port) as seen:
                await until(lambda: publisher._outbox.waiting == 0)
                await until(lambda: seen.vital().get("value") == 2999)
            await broker.kill()
            for value in range(3000, 5000):
                journal.append(pulse(value))
            await asyncio.sleep(0.2)
            await broker.start()
            async with subscribed(broker.port) as again:
                await until(lambda: publisher._outbox.waiting == 0)
                await until(lambda: again.vital().get("value") == 4999)
                assert again.last("status")["status"] == "online"
                numbers = [json.loads(octets)["seq"] for octets in again.events()]
                assert numbers == sorted(numbers)
    assert sum(entry["event"] == "broker_away" for entry in logs) <= 2, "an outage is one line at its start"


async def test_everything_arrives_however_often_the_line_is_cut(
    broker: Broker, journal: Journal, free_port: Callable[[], int]
) -> None:
    await broker.start()
    chance = random.Random(7)
    async with subscribed(broker.port) as seen, Cable(free_port(), broker.port) as cable:
        publisher = Publisher(journal, settings(cable.port), CLOCK)
        async with running(publisher):
            for value in range(3000):
                journal.append(pulse(value))
                if value % 300 == 0:
                    await asyncio.sleep(chance.uniform(0.0, 0.15))
                    cable.cut()
            await until(lambda: publisher._outbox.waiting == 0)
            await until(lambda: len(seen.first_seen()) == len(lines(journal)))
            assert seen.first_seen() == lines(journal)


async def test_the_cursor_outlives_the_daemon(broker: Broker, tmp_path: Path) -> None:
    await broker.start()
    async with Journal.open(tmp_path / "data", CLOCK, Identity(room="esi-1")) as journal:
        await journal.commit(pulse(1))
        async with subscribed(broker.port) as seen, running(Publisher(journal, settings(broker.port), CLOCK)):
            await until(lambda: len(seen.events()) == 2)
        await journal.commit(pulse(2))
    cursor = msgspec.json.decode((tmp_path / "data/cursors/mqtt.json").read_bytes(), type=Cursor)
    assert cursor.seq == 2
    async with (
        Journal.open(tmp_path / "data", CLOCK, Identity(room="esi-1")) as journal,
        subscribed(broker.port) as seen,
        running(Publisher(journal, settings(broker.port), CLOCK)),
    ):
        await until(lambda: len(seen.events()) >= 2)
        await asyncio.sleep(0.1)
        assert [json.loads(octets)["seq"] for octets in seen.events()] == [2, 3]


@pytest.mark.parametrize("content", [b"", b"{", b'{"record":"29990101T000000Z-0000","seq":9,"offset":9}'])
async def test_a_bad_cursor_costs_duplicates_not_lines(
    content: bytes, journal: Journal, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    path = journal.root / "cursors" / "mqtt.json"
    path.parent.mkdir()
    path.write_bytes(content)
    publisher = Publisher(journal, settings(free_port()), CLOCK)
    assert publisher._outbox.cursor == Cursor(journal.record, 0, 0)


async def test_a_cursor_in_the_middle_of_a_line_costs_duplicates_not_the_daemon(
    journal: Journal, free_port: Callable[[], int]
) -> None:
    """A disk that lied about a sync: the cursor outlived the lines it counts, and others stand there now."""
    await journal.commit(pulse(1))
    path = journal.root / "cursors" / "mqtt.json"
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode(Cursor(journal.record, 1, journal.committed.offset - 5)))
    publisher = Publisher(journal, settings(free_port()), CLOCK)
    assert publisher._outbox.cursor == Cursor(journal.record, 0, 0)


async def test_staleness_is_published_when_it_happens(broker: Broker, journal: Journal) -> None:
    await broker.start()
    async with subscribed(broker.port) as seen, running(Publisher(journal, settings(broker.port), CLOCK)):
        await journal.commit(pulse(71, stale_after_s=0.5))
        await until(lambda: seen.vital().get("value") == 71)
        assert not seen.vital().get("stale")
        await until(lambda: seen.vital().get("stale"))
        assert seen.vital().get("value") == 71
        await journal.commit(pulse(72))
        await until(lambda: not seen.vital().get("stale"))
        await journal.commit(event(DeviceState(state="lost", reason="unplugged")))
        await until(lambda: seen.vital().get("stale"))
        assert seen.last("state/device/monitor-1")["state"] == "lost"


async def test_a_flood_is_thinned_and_its_last_value_goes_out(broker: Broker, journal: Journal) -> None:
    await broker.start()
    async with (
        subscribed(broker.port, "esi/esi-1/state/vitals") as seen,
        running(Publisher(journal, settings(broker.port), CLOCK)),
    ):
        for value in range(100):
            await journal.commit(pulse(value))
            await asyncio.sleep(0.005)
        await until(lambda: seen.vital().get("value") == 99)
        assert len(seen.got) < 30


class FullDisk(Disk):
    """Takes nothing while `full`."""

    full = False

    def write(self, descriptor: int, octets: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(descriptor, octets)


async def test_the_record_in_trouble_is_said_in_status(broker: Broker, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("esi_room.record.journal.RETRY_S", 0.02)
    await broker.start()
    disk = FullDisk()
    async with (
        Journal.open(tmp_path / "data", CLOCK, Identity(room="esi-1"), disk=disk) as journal,
        subscribed(broker.port) as seen,
        running(Publisher(journal, settings(broker.port), CLOCK)),
    ):
        await until(lambda: seen.last("status"))
        disk.full = True
        receipt = journal.append(pulse(71))
        await until(lambda: "No space left" in (seen.last("status")["problem"] or ""))
        disk.full = False
        await until(lambda: seen.last("status")["problem"] is None)
        await receipt.durable()


async def test_a_late_will_does_not_leave_us_offline(broker: Broker, journal: Journal) -> None:
    await broker.start()
    async with subscribed(broker.port) as seen, running(Publisher(journal, settings(broker.port), CLOCK)):
        await until(lambda: seen.last("status"))
        async with aiomqtt.Client("127.0.0.1", broker.port, identifier="ghost") as ghost:
            await ghost.publish("esi/esi-1/status", b'{"status":"offline"}', 1, True)
        await until(lambda: any(o == b'{"status":"offline"}' for _, o, _ in seen.got))
        await until(lambda: seen.last("status")["status"] == "online")


async def test_the_next_patient_does_not_see_the_last_ones_values(broker: Broker, journal: Journal) -> None:
    await broker.start()
    async with subscribed(broker.port) as seen, running(Publisher(journal, settings(broker.port), CLOCK)) as publisher:
        await journal.commit(image("ab" * 32))
        publisher.set_image(b"\xff\xd8old", "ab" * 32)
        await until(lambda: any(o == b"\xff\xd8old" for _, o, _ in seen.got) and seen.last("state/vitals"))
        record = await journal.switch("procedure", "the next case")
        for topic in ("state/procedure", "state/vitals", "state/carm"):
            await until(lambda t=topic: seen.last(t)["as_of"]["record"] == record)
        await until(lambda: seen.last("status")["record"] == record)
        await until(lambda: [o for n, o, _ in seen.got if n.endswith("image/last")][-1] == b"")
        assert seen.last("state/vitals")["values"] == []
        assert seen.last("state/carm")["shown_sha256"] is None


async def test_a_picture_waits_for_its_entry_and_is_not_shown_in_the_next_record(
    broker: Broker, journal: Journal
) -> None:
    """A picture takes longer than an entry, and the case may end meanwhile."""

    def pictures(seen: Subscriber) -> list[bytes]:
        return [octets for topic, octets, _ in seen.got if topic.endswith("image/last") and octets]

    await broker.start()
    async with subscribed(broker.port) as seen, running(Publisher(journal, settings(broker.port), CLOCK)) as publisher:
        publisher.set_image(b"one", "11" * 32)
        await journal.commit(image("11" * 32))
        await until(lambda: pictures(seen) == [b"one"])
        await journal.commit(image("22" * 32))
        await journal.switch("procedure", "the next case")
        publisher.set_image(b"two", "22" * 32)
        await journal.commit(pulse(71))
        await until(lambda: seen.vital().get("value") == 71)
        publisher.set_image(None, "22" * 32, "the object cannot be decoded")
        await journal.commit(image("33" * 32))
        publisher.set_image(b"three", "33" * 32)
        await until(lambda: pictures(seen)[-1] == b"three")
        assert pictures(seen) == [b"one", b"three"]
        await until(lambda: seen.last("state/carm")["shown_sha256"] == "33" * 32)
        assert all(json.loads(o)["preview_problem"] is None for n, o, _ in seen.got if n.endswith("state/carm"))


async def test_a_picture_finished_during_the_switch_is_not_shown(broker: Broker, journal: Journal) -> None:
    """The next record is open, but its first line is not on disk yet: the snapshots still follow the last one."""
    await broker.start()
    async with subscribed(broker.port) as seen, running(Publisher(journal, settings(broker.port), CLOCK)) as publisher:
        await journal.commit(image("11" * 32))
        await until(lambda: (seen.last("state/carm") or {}).get("image"))
        switching = asyncio.create_task(journal.switch("procedure", "the next case"))
        await asyncio.sleep(0)
        assert journal.kind == "procedure"
        publisher.set_image(b"one", "11" * 32)
        record = await switching
        await until(lambda: (seen.last("state/carm") or {})["as_of"]["record"] == record)
        await journal.commit(pulse(71))
        await until(lambda: seen.vital().get("value") == 71)
        assert not [octets for topic, octets, _ in seen.got if topic.endswith("image/last") and octets]


async def test_a_device_that_is_configured_no_more_has_no_state(broker: Broker, tmp_path: Path) -> None:
    """Removed from the configuration; the broker still keeps what the last daemon said of it, as does the record."""
    await broker.start()
    port = broker.port

    @asynccontextmanager
    async def daemon(*devices: str) -> AsyncIterator[Journal]:
        async with Journal.open(tmp_path / "data", CLOCK, Identity(room="esi-1")) as journal:
            for device in devices:
                await journal.commit(event(DeviceState(state="connecting", reason="the daemon started"), device))
            async with running(Publisher(journal, settings(port, devices), CLOCK)):
                yield journal

    async with daemon("monitor-1", "pump-1"), subscribed(port) as seen:
        await until(lambda: seen.last("state/device/monitor-1") and seen.last("state/device/pump-1"))
    async with daemon("monitor-1"), subscribed(port) as seen:
        await until(lambda: any(n.endswith("state/device/pump-1") and not o for n, o, _ in seen.got))
    async with subscribed(port) as late:
        await until(lambda: late.last("state/device/monitor-1"))
        await asyncio.sleep(0.1)
        assert not [name for name, _, _ in late.got if name.endswith("pump-1")]


async def test_a_command_comes_back_answered(broker: Broker, journal: Journal) -> None:
    await broker.start()
    commands = Commands(journal, {})
    publisher = Publisher(journal, settings(broker.port), CLOCK, commands=commands)
    async with subscribed(broker.port) as seen, running(publisher):
        await until(lambda: seen.last("status"))
        request = {"id": "1", "actor": "Dr. A", "client": "display", "record": journal.record, "from_seq": 0}
        async with aiomqtt.Client("127.0.0.1", broker.port, identifier="console") as console:
            await console.publish("esi/esi-1/command/backfil", json.dumps(request), 1)
            await until(lambda: seen.last("reply/display"))
            assert "did you mean backfill" in seen.last("reply/display")["message"]
            await console.publish("esi/esi-1/command/backfill", json.dumps(request | {"id": "2"}), 1)
            await until(lambda: seen.last("reply/display")["id"] == "2")
        await until(lambda: [o for n, o, _ in seen.got if n.endswith("reply/display/backfill")] == lines(journal))
        assert seen.last("reply/display")["count"] == 2


async def test_mosquitto_sub_prints_the_very_lines(
    journal: Journal, tmp_path: Path, free_port: Callable[[], int], peers: ModuleType
) -> None:
    program = peers.need("mosquitto_sub")
    broker = Mosquitto(peers.need("mosquitto"), tmp_path / "m", free_port())
    await broker.start()
    arguments = ["-p", str(broker.port), "-t", "esi/esi-1/event/#", "-q", "1", "-N", "-C", "12", "-W", "10"]
    sub = await asyncio.create_subprocess_exec(program, *arguments, stdout=asyncio.subprocess.PIPE)
    await asyncio.sleep(0.3)
    for value in range(10):
        await journal.commit(event(ClinicalNote(text=f'Überdruck {value} \u2028 "quoted"', actor="ü")))
    async with running(Publisher(journal, settings(broker.port), CLOCK)):
        printed, _ = await sub.communicate()
    await broker.stop()
    assert printed == b"".join(lines(journal))


async def test_a_refused_event_is_kept_said_and_sent_later(
    journal: Journal, tmp_path: Path, free_port: Callable[[], int], peers: ModuleType, monkeypatch: Any
) -> None:
    """Mosquitto acknowledges in 3.1.1 what its access rules deny; MQTT 5 tells."""
    monkeypatch.setattr("esi_room.outputs.outbox.REFUSED_S", 0.1)
    folder = tmp_path / "m"
    rules = "allow_anonymous true\nacl_file acl"
    broker = Mosquitto(peers.need("mosquitto"), folder, free_port(), rules)
    (folder / "acl").write_text(
        "topic read #\n" + "".join(f"topic write esi/esi-1/{t}\n" for t in ("status", "state/#", "image/#"))
    )
    await broker.start()
    publisher = Publisher(journal, settings(broker.port), CLOCK)
    with capture_logs() as logs:
        async with running(publisher):
            async with subscribed(broker.port) as seen:
                await until(lambda: seen.last("status") and seen.last("status")["problem"])
                assert "refuses" in seen.last("status")["problem"]
                assert publisher._outbox.cursor.seq == 0
                await asyncio.sleep(0.5)
            (folder / "acl").write_text("topic readwrite #\n")
            await broker.stop()
            await broker.start()
            async with subscribed(broker.port) as seen:
                await until(lambda: publisher._outbox.waiting == 0)
                await until(lambda: (seen.last("status") or {"problem": "?"})["problem"] is None)
    await broker.stop()
    assert sum(entry["event"] == "broker_refuses_event" for entry in logs) == 1


async def test_a_bad_password_is_said_once(
    journal: Journal, tmp_path: Path, free_port: Callable[[], int], peers: ModuleType
) -> None:
    broker = Mosquitto(peers.need("mosquitto"), tmp_path / "m", free_port(), "allow_anonymous false")
    await broker.start()
    publisher = Publisher(journal, settings(broker.port, username="u", password="secret"), CLOCK)
    with capture_logs() as logs:
        async with running(publisher):
            await until(lambda: publisher._attempts > 4)
    await broker.stop()
    away = [entry for entry in logs if entry["event"] == "broker_away"]
    assert len(away) == 1
    assert "uthori" in away[0]["reason"]
    assert "secret" not in str(logs)


async def test_a_broker_that_says_nothing_is_given_up(
    journal: Journal, monkeypatch: Any, free_port: Callable[[], int]
) -> None:
    monkeypatch.setattr("esi_room.outputs.client.CONNECT_TIMEOUT_S", 0.2)

    async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = free_port()
    mute = await asyncio.start_server(listen_only, "127.0.0.1", port)
    publisher = Publisher(journal, settings(port), CLOCK)
    async with running(publisher):
        await until(lambda: publisher._attempts >= 2)
    mute.close()
    await mute.wait_closed()


async def test_a_cursor_that_cannot_be_saved_is_said_once(journal: Journal) -> None:
    (journal.root / "cursors").write_text("in the way")
    publisher = Publisher(journal, settings(1), CLOCK)
    with capture_logs() as logs:
        for _ in range(3):
            publisher._outbox.save()
    assert [entry["event"] for entry in logs] == ["cursor_not_saved"]
