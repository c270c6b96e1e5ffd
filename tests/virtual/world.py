"""What would differ from one run to the next, or from machine to machine, replaced for the time of one run.

Rules:
- Everything here is of the whole process, and put back at the end: nothing else may run meanwhile.
- Chance is drawn from the seed. The disk is the real one, but nobody waits for it: a run that a power cut spoils is run
  again.
- The kernel says nothing of its clock: a record would hold the machine's synchronisation.
- pydicom's remarks on data sets are not heard, as in the helper processes: as errors they would change what is read.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import secrets
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

import esi_room.clock
from esi_room.record.thread import DiskThread
from simulators.carm import dose_report
from virtual.loop import VirtualClock

TOKEN_BYTES = 32


@contextmanager
def world(start: datetime, seed: int) -> Iterator[VirtualClock]:
    """A world whose time begins at `start`, and in which nothing happens by chance."""
    clock = VirtualClock(start)
    state = random.getstate()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name, reader in clock.readers().items():
            patch.setattr(time, name, reader)
        patch.setattr(time, "sleep", _never_here(time.sleep))
        _draw_from(seed, patch)
        _hurry_the_disk(patch)
        patch.setattr(esi_room.clock, "ctypes", SimpleNamespace(create_string_buffer=ctypes.create_string_buffer))
        try:
            yield clock
        finally:
            random.setstate(state)


def _draw_from(seed: int, patch: pytest.MonkeyPatch) -> None:
    chance = random.Random(f"virtual {seed}")
    random.seed(seed)
    patch.setattr(secrets, "token_hex", lambda nbytes=None: chance.randbytes(nbytes or TOKEN_BYTES).hex())
    patch.setattr(secrets, "token_bytes", lambda nbytes=None: chance.randbytes(nbytes or TOKEN_BYTES))
    patch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=chance.randbytes(16), version=4))
    patch.setattr(dose_report, "_DEVICE_UID", dose_report.new_uid())  # drawn when the module was imported


def _hurry_the_disk(patch: pytest.MonkeyPatch) -> None:
    for name in ("fsync", "fdatasync"):
        patch.setattr(os, name, lambda _descriptor: None)
    patch.setattr(DiskThread, "run", _at_once)


async def _at_once(_thread: DiskThread, function: Callable[..., None], *arguments: Any) -> None:
    function(*arguments)
    await asyncio.sleep(0)  # what is appended meanwhile shares the next commit, as it does with a real disk


def _never_here(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """`time.sleep` for other threads (pytest's own); this one would wait for a time that never comes."""
    here = threading.get_ident()

    def sleep_elsewhere(seconds: float) -> None:
        if threading.get_ident() == here:
            raise AssertionError("time.sleep in a virtual room")
        sleep(seconds)

    return sleep_elsewhere
