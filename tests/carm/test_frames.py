"""Any frame can be asked for by its time."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from esi_room.clock import NS, parse_rfc3339

FRAME_MS = 100.0
SECOND_NS = NS


def taken(image, moment):
    image.ContentDate, image.ContentTime = f"{moment:%Y%m%d}", f"{moment:%H%M%S.%f}"
    return image


def run(scu, moment, *, frames=5):
    """Each frame is one grey: 10, 60, 110 …"""
    image = scu.picture(NumberOfFrames=frames, FrameTime=FRAME_MS, FrameIncrementPointer=0x00181063)
    image.Rows = image.Columns = 16
    image.PixelData = b"".join(bytes([10 + 50 * index]) * 256 for index in range(frames))
    return taken(image, moment)


def grey(jpeg):
    return round(float(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).mean()))


@pytest.fixture
def earlier():
    """A moment some seconds ago, on the C-arm's clock, which is the room's."""
    return datetime.now(UTC) - timedelta(seconds=30)


async def test_the_frame_that_was_on_is_found_and_shown(room, scu, earlier):
    await scu.store(room.port, taken(scu.picture(), datetime.now(UTC)))
    await scu.store(room.port, run(scu, earlier))
    entry = [entry for entry in room.lines() if entry.type == "carm.image"][-1]
    began_ns = parse_rfc3339(entry.time)
    for number in range(1, 6):
        at_ns = began_ns + round(((number - 1) * FRAME_MS + FRAME_MS / 2) * 1e6)
        found = await room.service.frames.at(at_ns, room.journal.record)
        assert (found.frame.entry.seq, found.frame.number) == (entry.seq, number)
        assert abs(grey(found.jpeg) - (10 + 50 * (number - 1))) <= 2
    hold = await room.service.frames.at(began_ns + 5 * SECOND_NS, room.journal.record)
    assert hold.frame.number == 5


async def test_before_the_first_image_there_is_none(room, scu, earlier):
    await scu.store(room.port, run(scu, earlier))
    found = await room.service.frames.at(parse_rfc3339("2020-01-01T00:00:00Z"), room.journal.record)
    assert (found.frame, found.jpeg) == (None, None)
    assert "no image had been taken by then" in found.problem


async def test_a_record_that_is_none_is_said(room):
    found = await room.service.frames.at(0, "20200101T000000Z-0000")
    assert "there is no record 20200101T000000Z-0000" in found.problem


async def test_an_object_that_cannot_be_shown_is_named_with_the_reason(room, scu):
    image = scu.picture(PhotometricInterpretation="YBR_FULL", SamplesPerPixel=3)
    image.SOPClassUID = SecondaryCaptureImageStorage
    image.PixelData = bytes(2)
    await scu.store(room.port, taken(image, datetime.now(UTC)))
    found = await room.service.frames.at(parse_rfc3339("2100-01-01T00:00:00Z"), room.journal.record)
    assert found.frame is not None
    assert found.jpeg is None
    assert found.problem


async def test_an_image_that_came_after_its_record_was_sealed_is_found_in_it(room, scu):
    await room.journal.switch("procedure", "a case begins")
    case = room.journal.record
    moment = datetime.now(UTC)
    await scu.store(room.port, taken(scu.picture(), moment))
    late = run(scu, datetime.now(UTC), frames=1)
    await asyncio.sleep(0.5)  # longer than the first image took to come: by that much the C-arm's clock is uncertain
    await room.journal.switch("standby", "the case ends")
    await scu.store(room.port, late)
    entry = [entry for entry in room.lines() if entry.type == "carm.image"][-1]
    assert entry.record != case
    found = await room.service.frames.at(parse_rfc3339("2100-01-01T00:00:00Z"), case)
    assert (found.frame.entry.record, found.frame.entry.seq) == (entry.record, entry.seq)
    assert found.jpeg
