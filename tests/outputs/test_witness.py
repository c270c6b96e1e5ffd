"""The witness: it keeps what a room signed, once, and says what is forged or contradicts itself."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from outputs_rig import CLOCK, pulse, running, settings, subscribed, until

from esi_room.clock import ManualClock
from esi_room.events import RecordAmended
from esi_room.outputs.publisher import Publisher
from esi_room.outputs.snapshots import AsOf, CheckpointState
from esi_room.outputs.witness import Witness
from esi_room.record.checkpoints import Checkpoints, Signed
from esi_room.record.disk import Disk
from esi_room.record.entry import Cursor
from esi_room.record.journal import Journal
from esi_room.record.verify_checkpoints import read_witnessed

TOPIC = "esi/esi-1/state/checkpoint"


class FullDisk(Disk):
    """Takes ten octets, and no more."""

    full = False

    def write(self, descriptor: int, octets: bytes) -> None:
        if self.full:
            super().write(descriptor, octets[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(descriptor, octets)


def said(signed: Signed) -> bytes:
    """As it is published."""
    state = CheckpointState(
        as_of=AsOf(record=signed.record, seq=signed.seq),
        published_at="2026-11-23T09:30:00.000000Z",
        sha256=signed.sha256,
        time=signed.time,
        key=signed.key,
        public_key=signed.public.hex(),
        line=signed.octets.decode().removesuffix("\n"),
    )
    return msgspec.json.encode(state)


@pytest.fixture
def sign(journal: Journal) -> Callable[[], bytes]:
    """Sign the committed head, as a message."""
    checkpoints = Checkpoints(journal.root, Disk())
    checkpoints.keys.make()

    def made(head: Cursor | None = None) -> bytes:
        signed = checkpoints.sign_up_to(head or journal.committed, CLOCK.now().wall_ns)
        assert signed is not None
        return said(signed)

    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "witness.jsonl"


@pytest.fixture
def witness(file: Path) -> Witness:
    return Witness(file, ManualClock(), Disk())


async def test_a_checkpoint_is_kept_once_and_after_a_restart_too(journal, sign, file, witness):
    first = sign()
    assert [witness.take(TOPIC, first).word for _ in range(2)] == ["kept", "known"]
    await journal.commit(pulse(1))
    assert witness.take(TOPIC, sign()).word == "kept"
    again = Witness(file, ManualClock(), Disk())
    found = read_witnessed(file)
    assert found.problem is None
    assert [(each.room, each.record, each.seq) for each in found.checkpoints] == [
        ("esi-1", journal.record, 1),
        ("esi-1", journal.record, 2),
    ]
    await journal.switch("procedure", "a case")
    assert again.take(TOPIC, sign()).word == "kept"
    assert file.stat().st_mode & 0o777 == 0o600


async def test_what_is_forged_is_refused_and_not_kept(sign, file, witness):
    message = sign()
    for wrong, topic in (
        (b"", TOPIC),
        (b"not json", TOPIC),
        (message.replace(b'\\"seq\\":1', b'\\"seq\\":9'), TOPIC),
        (message.replace(b'"public_key":"', b'"public_key":"ff', 1), TOPIC),
        (message, "esi/esi-2/state/checkpoint"),
    ):
        judged = witness.take(topic, wrong)
        assert (judged.word, bool(judged.why)) == ("refused", True)
    assert not file.exists()


async def test_an_amendment_of_an_old_record_is_kept_and_contradicts_nothing(journal, sign, witness):
    """Also where the witness began later than that record."""
    old = journal.record
    await journal.switch("procedure", "a case")
    assert witness.take(TOPIC, sign()).word == "kept"
    announced = RecordAmended(record=old, seq=9, type="clinical.note", sha256="0" * 64)
    late = said(Checkpoints(journal.root, Disk()).sign_amendment(announced, CLOCK.now().wall_ns))
    assert witness.take("esi/esi-1/state/amendment", late).word == "kept"
    assert witness.take("esi/esi-1/state/amendment", late).word == "known"


async def test_a_rotated_key_is_kept_and_said(journal, sign, witness):
    witness.take(TOPIC, sign())
    Checkpoints(journal.root, Disk()).keys.rotate()
    await journal.commit(pulse(1))
    judged = witness.take(TOPIC, sign())
    assert (judged.word, "and before with" in judged.why) == ("new key", True)


async def test_a_room_that_contradicts_itself_is_kept_as_evidence(journal, sign, file, witness):
    await journal.commit(pulse(1))
    early = sign()
    path = journal.root / "records" / journal.record
    (path / "checkpoints.jsonl").unlink()
    journal_file = path / "journal.jsonl"
    journal_file.write_bytes(journal_file.read_bytes().replace(b'"value":1,', b'"value":2,'))
    assert witness.take(TOPIC, early).word == "kept"
    judged = witness.take(TOPIC, sign())
    assert (judged.word, "written anew" in judged.why) == ("contradiction", True)
    assert len(read_witnessed(file).checkpoints) == 2


async def test_a_full_disk_keeps_the_file_whole_and_the_message_comes_again(sign, file):
    disk = FullDisk()
    witness, message = Witness(file, ManualClock(), disk), sign()
    disk.full = True
    with pytest.raises(OSError, match="No space"):
        witness.take(TOPIC, message)
    assert file.read_bytes() == b""
    disk.full = False
    assert witness.take(TOPIC, message).word == "kept"
    assert len(read_witnessed(file).checkpoints) == 1


@pytest.mark.parametrize("left", [1, 100])
async def test_a_torn_last_line_is_cut_at_the_next_line(journal, sign, file, witness, left):
    witness.take(TOPIC, sign())
    await journal.commit(pulse(1))
    witness.take(TOPIC, sign())
    file.write_bytes(file.read_bytes()[:-left])
    again = Witness(file, ManualClock(), Disk())
    await journal.commit(pulse(2))
    assert again.take(TOPIC, sign()).word == "kept"
    assert [each.seq for each in read_witnessed(file).checkpoints] == [1, 3]


def test_a_file_of_something_else_is_not_written_to(file):
    file.write_bytes(b"dear diary\n")
    with pytest.raises(ValueError, match=r"witness\.jsonl:1: not a checkpoint that a witness kept"):
        Witness(file, ManualClock(), Disk())
    assert file.read_bytes() == b"dear diary\n"


async def test_the_room_retains_its_checkpoint_for_a_witness_that_comes_later(journal, sign, broker, witness):
    checkpoints = Checkpoints(journal.root, Disk())
    checkpoints.keys.begin()
    await broker.start()
    publisher = Publisher(journal, settings(broker.port), CLOCK)
    checkpoints.keys.rotate()
    signed = checkpoints.sign_up_to(journal.committed, CLOCK.now().wall_ns)
    async with running(publisher):
        publisher.set_checkpoint(signed)
        publisher.set_unsigned("the record is not signed: a test")
        async with subscribed(broker.port, "esi/+/state/checkpoint") as early:
            await until(lambda: early.got, "the checkpoint")
        async with subscribed(broker.port, "esi/#", "late") as late:
            await until(lambda: late.last("state/checkpoint") and late.last("status"), "what is retained")
            assert late.last("state/checkpoint")["line"].encode() + b"\n" == signed.octets
            assert late.last("status")["problem"] == "the record is not signed: a test"
    assert witness.take(TOPIC, early.got[0][1]).word == "kept"
