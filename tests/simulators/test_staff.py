"""The staff's console against real brokers and a recorder that answers late, wrongly, or not at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import aiomqtt
import pytest

from simulators.carm.case import Identity
from simulators.clock import ScenarioClock
from simulators.staff import Staff, dated
from simulators.truth import TruthLog

IDENTITY = Identity("DEMO^ESI", "SIM-4711", "19610412", "F")
Answer = Callable[[int, str, dict[str, Any]], list[dict[str, Any]]]


def agree(_n: int, _name: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": request["id"], "ok": True, "record": "R", "seq": 1, "message": "done", "problems": []}]


@contextmanager
def mosquitto(program: str, folder: Path, port: int) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def nats(program: str, folder: Path, port: int, other_port: int) -> Iterator[None]:
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: "staff-test"\nlisten: "127.0.0.1:{other_port}"\n'
        f'jetstream {{\n  store_dir: "{folder / "store"}"\n}}\nmqtt {{\n  listen: "127.0.0.1:{port}"\n}}\n'
    )
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@asynccontextmanager
async def recorder(port: int, answer: Answer = agree) -> AsyncIterator[list[tuple[str, dict[str, Any]]]]:
    """Keeps the commands it gets, answers each with what `answer(n, name, request)` gives."""
    got: list[tuple[str, dict[str, Any]]] = []
    ready = asyncio.Event()

    async def serve() -> None:
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port, identifier="recorder", timeout=2) as client:
                    await client.subscribe("esi/esi-1/command/+", qos=1)
                    ready.set()
                    async for message in client.messages:
                        request = json.loads(message.payload)  # type: ignore[arg-type]
                        name = message.topic.value.rpartition("/")[2]
                        got.append((name, request))
                        for reply in answer(len(got), name, request):
                            topic = f"esi/esi-1/reply/{request['client']}"
                            await client.publish(topic, json.dumps(reply), qos=1)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(serve())
    try:
        await asyncio.wait_for(ready.wait(), 10)
        yield got
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def console(port: int) -> AsyncIterator[tuple[Staff, TruthLog]]:
    truth = TruthLog()
    staff = Staff(
        f"mqtt://127.0.0.1:{port}",
        "esi-1",
        ScenarioClock(),
        truth,
        actor="Dr. A",
        identity=IDENTITY,
        procedure="ESI L4/5",
        answer_limit_s=0.4,
    )
    task = asyncio.create_task(staff.run())
    try:
        yield staff, truth
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def program(peers: ModuleType) -> str:
    return str(peers.need("mosquitto"))


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


async def a_whole_case(port: int) -> None:
    async with recorder(port) as got, console(port) as (staff, truth):
        for action, params in (
            ("start", {}),
            ("phase", {"phase": "guidance", "reason": "ready", "actor": "Nurse B"}),
            ("note", {"text": "Grüße"}),
            ("end", {"outcome": "discontinued", "reason": "vasovagal"}),
        ):
            answer = await asyncio.wait_for(staff.do(action, **params), 10)
            assert answer["ok"]
    names = [name for name, _ in got]
    assert names == ["start", "phase", "note", "end"]
    start, phase, note, end = (request for _, request in got)
    assert start["procedure"] == "ESI L4/5"
    assert start["identity"] == {"name": "DEMO^ESI", "id": "SIM-4711", "birth_date": "1961-04-12"}
    assert (phase["phase"], phase["reason"], phase["actor"]) == ("guidance", "ready", "Nurse B")
    assert (note["text"], note["actor"]) == ("Grüße", "Dr. A")
    assert (end["outcome"], end["reason"]) == ("discontinued", "vasovagal")
    assert len({request["id"] for _, request in got}) == 4
    assert [line["command"] for line in truth.of("staff", "answered")] == names


async def test_a_case_over_mosquitto(program: str, port: int, tmp_path: Path) -> None:
    with mosquitto(program, tmp_path, port):
        await a_whole_case(port)


async def test_a_case_over_nats(port: int, free_port: Callable[[], int], tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "nats-server"
    with nats(str(program), tmp_path, port, free_port()):
        await a_whole_case(port)


async def test_orders(program: str, port: int, tmp_path: Path) -> None:
    with mosquitto(program, tmp_path, port):
        async with recorder(port) as got, console(port) as (staff, _):
            for action, params in (
                ("order", {"order": "7", "accession": "A-7", "modality": "RF", "scheduled_at": "2026-11-23T09:30"}),
                ("order", {"order": "8", "name": "OTHER^NAME", "patient_id": "SIM-8", "procedure": "Facet joint"}),
                ("start", {"order": "7"}),
                ("withdraw_order", {"order": "8"}),
            ):
                await asyncio.wait_for(staff.do(action, **params), 10)
    own, others, start, withdrawn = (request for _, request in got)
    assert own["order"] == {
        "id": "7",
        "identity": {"name": "DEMO^ESI", "id": "SIM-4711", "birth_date": "1961-04-12"},
        "sex": "F",
        "accession": "A-7",
        "procedure": "ESI L4/5",
        "modality": "RF",
        "scheduled_at": "2026-11-23T09:30",
    }
    assert others["order"]["identity"] == {"name": "OTHER^NAME", "id": "SIM-8"} and "sex" not in others["order"]
    assert start["order"] == "7" and "identity" not in start and "procedure" not in start
    assert withdrawn["order"] == "8"
    assert [name for name, _ in got] == ["order", "order", "start", "withdraw_order"]


async def test_a_command_keeps_its_id_until_it_is_answered(program: str, port: int, tmp_path: Path) -> None:
    def third_time(n: int, name: str, request: dict[str, Any]) -> list[dict[str, Any]]:
        return agree(n, name, request) if n == 3 else []

    with mosquitto(program, tmp_path, port):
        async with recorder(port, third_time) as got, console(port) as (staff, truth):
            await asyncio.wait_for(staff.do("note", text="x"), 10)
    assert len(got) == 3 and len({request["id"] for _, request in got}) == 1
    assert truth.of("staff", "answered")[0]["attempts"] == 3


async def test_no_is_an_answer(program: str, port: int, tmp_path: Path) -> None:
    def refuse(_n: int, _name: str, request: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"id": request["id"], "ok": False, "message": "no procedure", "problems": ["no procedure is open"]}]

    with mosquitto(program, tmp_path, port):
        async with recorder(port, refuse) as got, console(port) as (staff, _):
            answer = await asyncio.wait_for(staff.do("note", text="x"), 10)
    assert answer["ok"] is False and len(got) == 1


async def test_replies_that_are_no_reply_are_survived(program: str, port: int, tmp_path: Path) -> None:
    def noise(n: int, name: str, request: dict[str, Any]) -> list[Any]:
        return ["text", [], {"id": "of somebody else", "ok": True}, {"ok": True}, *agree(n, name, request)]

    with mosquitto(program, tmp_path, port):
        async with recorder(port, noise), console(port) as (staff, truth):
            assert (await asyncio.wait_for(staff.do("note", text="x"), 10))["message"] == "done"
    assert len(truth.of("staff", "unreadable_reply")) == 3


async def test_an_absent_broker_is_waited_for_and_a_restarted_one_found_again(
    program: str, port: int, tmp_path: Path
) -> None:
    async with console(port) as (staff, truth):
        first = asyncio.create_task(staff.do("note", text="first"))
        await asyncio.sleep(0.3)
        assert not first.done()
        with mosquitto(program, tmp_path, port):
            async with recorder(port) as got:
                await asyncio.wait_for(first, 10)
        second = asyncio.create_task(staff.do("note", text="second"))
        await asyncio.sleep(0.2)
        with mosquitto(program, tmp_path, port):
            async with recorder(port) as got_later:
                await asyncio.wait_for(second, 15)
    assert [request["text"] for _, request in got] == ["first"]
    assert {request["text"] for _, request in got_later} == {"second"}
    assert len(truth.of("staff", "offline")) <= 3  # an outage is a line, not a line a second


def test_a_url_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="mqtt://host:port"):
        Staff("http://x", "r", ScenarioClock(), TruthLog(), actor="a", identity=IDENTITY, procedure="p")


async def test_any_command_with_its_fields_as_they_are(program: str, port: int, tmp_path: Path) -> None:
    said = {"action": "placed", "components": [{"drug": "lidocaine", "volume_ml": 2.5}], "levels": ["L4/5"]}
    with mosquitto(program, tmp_path, port):
        async with recorder(port) as got, console(port) as (staff, _):
            await asyncio.wait_for(staff.do("drawn_up", actor="Nurse B", **said), 10)
            await asyncio.wait_for(staff.do("follow_up_plan", due="today+14", contact="phone"), 10)
    (first, drawn_up), (_, plan) = got
    assert first == "drawn_up" and drawn_up["actor"] == "Nurse B"
    assert {key: drawn_up[key] for key in said} == said
    assert plan["due"] == (datetime.now(UTC).date() + timedelta(days=14)).isoformat()


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("today", "2026-03-01"),
        ("today-1", "2026-02-28"),
        ("today+366", "2027-03-02"),
        ("today-3T20:00:00Z", "2026-02-26T20:00:00Z"),
        ({"drugs": [{"last_dose": "today", "drug": "today or tomorrow"}]}, None),
        (7, 7),
    ],
)
def test_days_are_told_from_the_day_it_is(said: Any, sent: Any) -> None:
    wanted = {"drugs": [{"last_dose": "2026-03-01", "drug": "today or tomorrow"}]} if sent is None else sent
    assert dated(said, date(2026, 3, 1)) == wanted
