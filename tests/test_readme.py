"""The README tells the truth: its commands exist and its shell check of a record finds what it should."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from esi_room.cli import COMMANDS
from esi_room.clock import ManualClock
from esi_room.events import ClinicalNote, Event
from esi_room.record.checkpoints import Checkpoints
from esi_room.record.disk import Disk
from esi_room.record.entry import sha256
from esi_room.record.journal import Identity, Journal

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
IMAGE = b"\0" * 128 + b"DICM"


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_every_command_exists():
    called = {name for block in blocks() for name in re.findall(r"^.*?\besi-room (\w+)", block, re.MULTILINE)}
    assert called
    assert called <= set(COMMANDS)


def test_what_is_named_as_missing_is_missing():
    missing = README.split("Not there yet")[1]
    assert not {name for name in COMMANDS if f"`{name}`" in missing or f"`esi-room {name}`" in missing}


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_into_the_project_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


async def _build(root: Path) -> Path:
    clock = ManualClock()
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        for n in range(5):
            note = ClinicalNote(text=f'note {n} with a \\ and a "quote"', actor="Dr. Ä")
            await journal.commit(Event(source="room", data=note, received=clock.now()))
        (journal.directory / "frames").mkdir()
        (journal.directory / "frames" / f"{sha256(IMAGE)}.dcm").write_bytes(IMAGE)
        checkpoints = Checkpoints(root, Disk())
        checkpoints.keys.make()
        checkpoints.sign_up_to(journal.committed, clock.now().wall_ns)
        return journal.directory


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return asyncio.run(_build(tmp_path))


def check(record: Path, tool: str = "sha256sum") -> str:
    (script,) = (block for block in blocks() if tool in block)
    lines = [line for line in script.splitlines() if not line.startswith("cd ")]
    done = subprocess.run(["sh", "-c", "\n".join(lines)], cwd=record, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_shell_check_is_silent_on_a_record_that_holds(record):
    assert check(record) == ""


@pytest.mark.parametrize("line", [1, 3])
def test_the_shell_check_names_the_line_after_an_altered_one(record, line):
    path = record / "journal.jsonl"
    octets = path.read_bytes().splitlines(keepends=True)
    octets[line] = octets[line].replace(b"note", b"NOTE")
    path.write_bytes(b"".join(octets))
    assert f'BROKEN at: {{"v":1,"record":"{record.name}","seq":{line + 1},' in check(record)


def test_the_shell_check_finds_a_replaced_image(record):
    next((record / "frames").iterdir()).write_bytes(IMAGE + b"x")
    assert "FAILED" in check(record)


def test_the_shell_check_of_a_signature_holds_and_finds_a_forged_one(record, peers):
    peers.need("openssl")
    assert "Signature Verified Successfully" in check(record, "openssl")
    path = record / "checkpoints.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seq":5', b'"seq":4'))
    assert "Signature Verification Failure" in check(record, "openssl")
