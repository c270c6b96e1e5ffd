"""`esi-room keys` and `verify --witness` as they are called."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from esi_room.cli import main
from esi_room.clock import ManualClock
from esi_room.config import load
from esi_room.events import ClinicalNote, Event
from esi_room.outputs.witness import Kept
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import records
from esi_room.room import Room

ROOM = """
[room]
id = "esi-1"
timezone = "Europe/Berlin"
data = "data"

[mqtt]
url = "embedded"
listen = "127.0.0.1:{port}"
"""


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_keys_are_made_shown_and_rotated(tmp_path):
    status, said = call("keys", "show", tmp_path)
    assert (status, "esi-room keys rotate" in said) == (1, True)
    status, said = call("keys", "make", tmp_path)
    first = said.split()[0]
    assert (status, said) == (0, f"{first} signs from now on: {tmp_path}/keys/{first}.pem\n")
    assert call("keys", "make", tmp_path)[0] == 1
    second = call("keys", "rotate", tmp_path)[1].split()[0]
    status, said = call("keys", "show", tmp_path, "--json")
    shown = {key["key"]: key["signs"] for key in map(json.loads, said.splitlines())}
    assert (status, shown) == (0, {first: False, second: True})
    assert f"{first}  former" in call("keys", "show", tmp_path)[1]
    (tmp_path / "keys" / "private.pem").unlink()
    status, said = call("keys", "show", tmp_path)
    assert (status, f"{second}  former" in said, "cannot be read" in said) == (1, True, True)


async def _build(root: Path, witness: Path | None, text: str) -> None:
    """Two records of a room, with this said; a witness keeps every checkpoint."""
    clock = ManualClock()
    checkpoints = Checkpoints(root, Disk())
    checkpoints.keys.begin()
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        for said in ("before", text):
            clock.advance(1)
            await journal.commit(Event(source="room", data=ClinicalNote(text=said, actor="a"), received=clock.now()))
            signed = checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)
            if witness is not None and signed is not None:
                line = signed.octets.decode().removesuffix("\n")
                kept = Kept(witnessed=signed.time, public_key=signed.public.hex(), checkpoint=line)
                with witness.open("ab") as file:
                    file.write(msgspec.json.encode(kept) + b"\n")
            if said == "before":
                await journal.switch("procedure", "a case")


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    return tmp_path / "witness.jsonl"


@pytest.fixture
def data(tmp_path: Path, witness: Path) -> Path:
    asyncio.run(_build(tmp_path / "data", witness, "the dose was 4 mg"))
    return tmp_path / "data"


def test_a_room_that_is_as_it_was_witnessed(data, witness):
    status, said = call("verify", data, "--witness", witness)
    assert status == 0
    assert f"Held to 2 checkpoints of {witness}; the last is of {records(data)[1]}, line 2." in said
    assert "signed up to line 2" in said
    assert call("verify", data / "records" / records(data)[1], "--witness", witness)[0] == 0


def _replace(data: Path, tmp_path: Path) -> None:
    """The insider: the records written anew under their own names, chained and signed with the room's own key."""
    other = tmp_path / "other"
    shutil.copytree(data / "keys", other / "keys")
    asyncio.run(_build(other, None, "the dose was 8 mg"))
    for mine, forged in zip(records(data), records(other), strict=True):
        for path in (other / "records" / forged).glob("*.jsonl"):
            path.write_bytes(path.read_bytes().replace(forged.encode(), mine.encode()))
    _sign_anew(data, other)


def _sign_anew(data: Path, other: Path) -> None:
    checkpoints = Checkpoints(other, Disk())
    head = "0" * 64
    for mine, forged in zip(records(data), records(other), strict=True):
        folder = (other / "records" / forged).rename(other / "records" / mine)
        head = _chain_anew(folder / "journal.jsonl", head)
        (folder / "checkpoints.jsonl").unlink()
        seq = len((folder / "journal.jsonl").read_bytes().splitlines()) - 1
        checkpoints._append("esi-1", mine, seq, head, "2023-11-14T22:13:22.000000Z")
    shutil.rmtree(data)
    other.rename(data)


def _chain_anew(path: Path, head: str) -> str:
    import hashlib

    made = b""
    for line in path.read_bytes().splitlines():
        entry = json.loads(line) | {"prev": head}
        octets = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        made, head = made + octets, hashlib.sha256(octets).hexdigest()
    path.write_bytes(made)
    return head


def test_somebody_who_rewrote_everything_with_the_rooms_own_key(data, witness, tmp_path):
    _replace(data, tmp_path)
    assert call("verify", data)[0] == 0, "without a witness this cannot be seen"
    status, said = call("verify", data, "--witness", witness)
    assert status == 1
    assert f"journal.jsonl:2: this line or one before it was altered since {witness}:2 named it" in said.replace(
        "\n", ""
    )
    record = data / "records" / records(data)[1]
    assert call("verify", record, "--witness", witness)[0] == 1


def test_the_newest_record_cut_off_or_removed_with_its_checkpoints(data, witness):
    record = data / "records" / records(data)[1]
    journal, checkpoints = record / "journal.jsonl", record / "checkpoints.jsonl"
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    checkpoints.unlink()
    assert call("verify", data)[0] == 0, "without a witness this cannot be seen"
    status, said = call("verify", data, "--witness", witness)
    assert (status, f"lines were cut off behind this one: {witness}:2" in said.replace("\n", "")) == (1, True)
    shutil.rmtree(record)
    status, said = call("verify", data, "--witness", witness)
    assert (status, f"the record that {witness}:2 names is missing" in said.replace("\n", "")) == (1, True)


def test_a_witness_of_another_room_proves_nothing_and_a_forged_one_is_named(data, witness, tmp_path):
    octets = witness.read_bytes()
    witness.write_bytes(octets.replace(b'\\"seq\\":1', b'\\"seq\\":0'))
    status, said = call("verify", data, "--witness", witness)
    assert (status, f"{witness}:1: forged" in said.replace("\n", "") or ":2: forged" in said) == (1, True)
    witness.write_bytes(b"")
    status, said = call("verify", data, "--witness", witness)
    assert (status, "it proves nothing of it" in said) == (1, True)


def test_a_room_that_was_never_signed_says_so(tmp_path):
    async def build() -> None:
        async with Journal.open(tmp_path, ManualClock(), Identity(room="esi-1")) as journal:
            await journal.settled()

    asyncio.run(build())
    status, said = call("verify", tmp_path)
    assert (status, "Nothing here is signed" in said) == (0, True)


async def test_a_witness_keeps_what_a_running_room_signs(tmp_path, free_port, witness):
    """The program itself, ended as an init system does."""
    port = free_port()
    (tmp_path / "room.toml").write_text(ROOM.format(port=port))
    stop = asyncio.Event()
    room = asyncio.create_task(Room(load(tmp_path / "room.toml")).run(stop))
    command = [sys.executable, "-m", "esi_room.cli", "witness", "--mqtt", f"mqtt://127.0.0.1:{port}"]
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen([*command, "--keep", str(witness)], env=os.environ, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while not (witness.exists() and witness.read_bytes().endswith(b"\n")):
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            await asyncio.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        stop.set()
        await room
        assert await asyncio.to_thread(process.wait, 10) == 0
        log.close()
    status, said = call("verify", tmp_path / "data", "--witness", witness)
    assert (status, "Held to " in said) == (0, True)
