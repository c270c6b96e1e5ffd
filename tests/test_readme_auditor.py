"""The auditor's path, as the README has it: every command of that section, in its order, on a room with a case in it.

As written but for the record's id, the broker's port, and the speed of a replay (a case takes minutes). Two lines are
tested elsewhere, since they need a room that signs meanwhile: `witness`, and `verify --witness` (tests/cli/test_keys).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from virtual.room import play

from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerClient, BrokerSettings, connect
from simulators import scenario

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
RECORD = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
ELSEWHERE = ("witness --mqtt", "--witness")
ROOM = '[room]\nid = "esi-1"\ntimezone = "Europe/Berlin"\ndata = "data"\n[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n'


def commands() -> list[str]:
    section = README.split("## For the auditor")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("esi-room ") and not any(word in line for word in ELSEWHERE)]


@pytest_asyncio.fixture
async def broker(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[int]:
    port = free_port()
    broker = EmbeddedBroker(tmp_path / "broker", ("127.0.0.1", port))
    await broker.start()
    yield port
    await broker.stop()


async def test_every_command_of_the_auditor_does_what_it_says(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, broker: int
) -> None:
    done = await asyncio.to_thread(play, scenario.load("quick"), tmp_path_factory.mktemp("played"), pictures=True)
    shutil.copytree(done.data, tmp_path / "data")
    (record,) = done.procedures
    (tmp_path / "room.toml").write_text(ROOM.format(port=broker))

    lines = (tmp_path / "data" / "records" / record / "journal.jsonl").read_bytes().splitlines(keepends=True)
    received = datetime.fromisoformat(json.loads(lines[-1])["received"])
    moment = f"{received.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}"  # as the clock in the room showed it
    replayed: list[tuple[str, bytes]] = []

    async def listen(subscriber: BrokerClient) -> None:
        async for message in subscriber.received():
            replayed.append((str(message.topic), bytes(message.payload)))

    settings = BrokerSettings(url=f"mqtt://127.0.0.1:{broker}", client_id="subscriber")
    async with connect(settings) as subscriber:
        await subscriber.listen("esi/esi-1/replay/#")
        listening = asyncio.create_task(listen(subscriber))
        for line in commands():
            await run(as_here(line, record, broker, moment), tmp_path)
        listening.cancel()

    events = [payload for topic, payload in replayed if f"/replay/{record}/event/" in topic]
    assert events[: len(lines)] == lines, "the whole record, octet for octet"
    made = {path.name.removeprefix(f"{record}.") for path in tmp_path.glob(f"{record}.*")}
    formats = {"csv", "parquet", "json", "dcm", "html", "pdf", "zip"}
    assert formats <= {name.rpartition(".")[2] for name in made}, made
    assert not (tmp_path / "data" / "records" / record / "private" / "identity.json").exists()
    await run(["verify", "data"], tmp_path)


def as_here(line: str, record: str, port: int, moment: str) -> list[str]:
    words = shlex.split(RECORD.sub(record, line), comments=True)[1:]
    words = [word.replace("127.0.0.1:1883", f"127.0.0.1:{port}") for word in words]
    if words[0] == "replay" and "--derive" not in words:
        words = [word for word in words if word not in ("--speed", "10", "max")] + ["--speed", "max"]
        words = [moment if re.fullmatch(r"\d\d:\d\d", word) else word for word in words]
    return words


async def run(words: list[str], folder: Path) -> str:
    """In the folder that holds `data`; exit status 0."""
    environment = os.environ | {"HOME": str(folder)}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "esi_room.cli", *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout
