"""An object on its way in: octets to the disk, in pieces that no heartbeat has to wait for long behind."""

from __future__ import annotations

import ctypes
import errno
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest

from esi_room.carm.listener import incoming as incoming_module
from esi_room.carm.listener.incoming import BEHIND_BYTES, HEAD_BYTES, WRITE_OUT_BYTES, Incoming, file_meta
from esi_room.clock import SystemClock

META = file_meta("1.2.840.10008.5.1.4.1.1.12.1", "1.2.3", "1.2.840.10008.1.2.1")


@pytest.fixture
def incoming(tmp_path: Path):
    made = Incoming(tmp_path / "1.dcm", META, started=SystemClock().now(), max_bytes=1 << 30)
    yield made
    made.discard()


def test_a_run_is_written_out_while_it_arrives(incoming, monkeypatch):
    begun, awaited = [], []

    def write_out(fd: int, offset: int, size: int, flags: int) -> int:
        (begun if flags == 2 else awaited).append((offset, offset + size))
        return real(fd, offset, size, flags)

    real = incoming_module._libc.sync_file_range
    monkeypatch.setattr(incoming_module._libc, "sync_file_range", write_out)
    for _ in range(4 * (BEHIND_BYTES // WRITE_OUT_BYTES) * 2):
        incoming.write(b"\1" * (WRITE_OUT_BYTES // 4))
    assert incoming.problem is None
    assert incoming.size_bytes - begun[-1][1] < WRITE_OUT_BYTES
    assert begun[-1][1] - awaited[-1][1] == BEHIND_BYTES, "the disk is never further behind"
    for pieces in (begun, awaited):
        assert all(before[1] == after[0] for before, after in pairwise(pieces)), "no gap"


def test_a_disk_that_does_not_take_a_piece_refuses_the_object_and_reads_on(incoming, monkeypatch):
    def full(*_: int) -> int:
        ctypes.set_errno(errno.ENOSPC)
        return -1

    monkeypatch.setattr(incoming_module._libc, "sync_file_range", full)
    assert incoming.write(b"\1" * WRITE_OUT_BYTES) == WRITE_OUT_BYTES
    assert incoming.problem == "cannot write: No space left on device"
    assert incoming.write(b"\1" * 100) == 100


@pytest.mark.parametrize("piece_bytes", [1, 1000, HEAD_BYTES, 3 * HEAD_BYTES])
def test_what_an_object_begins_with_stays_in_memory(incoming, piece_bytes):
    octets = bytes(range(256)) * (2 * HEAD_BYTES // 256)
    for at in range(0, len(octets), piece_bytes):
        incoming.write(memoryview(octets[at : at + piece_bytes]))
    assert incoming.head == octets[:HEAD_BYTES]


def test_a_whole_object_gets_its_name_among_the_frames(incoming, tmp_path):
    frames = tmp_path / "frames"
    incoming.write(b"octets")
    assert not incoming.link(frames), "there is no such directory"
    frames.mkdir()
    assert incoming.link(frames)
    incoming.sync()
    incoming.sync_name()
    [kept] = frames.iterdir()
    assert kept.name == f"{hashlib.sha256(META + b'octets').hexdigest()}.dcm"
    incoming.discard()
    assert kept.read_bytes() == META + b"octets"
    assert not incoming.path.exists()


def test_a_name_that_is_taken_is_left_alone(incoming, tmp_path):
    incoming.write(b"octets")
    other = tmp_path / f"{incoming.sha256}.dcm"
    other.write_bytes(b"torn by a crash")
    assert not incoming.link(tmp_path)
    incoming.unlink()
    assert other.read_bytes() == b"torn by a crash"


def test_an_object_refused_after_all_leaves_no_name(incoming, tmp_path):
    incoming.write(b"octets")
    assert incoming.link(tmp_path)
    incoming.unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["1.dcm"]
