"""Objects on the room's time axis: where they were taken, whenever they come."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from esi_room.carm.time_axis.placing import Placer
from esi_room.clock import NS, ManualClock, Stamp, parse_rfc3339, rfc3339
from esi_room.events import CarmImage, CarmMpps, Event, InstanceRef
from esi_room.record.journal import Identity, Journal
from esi_room.record.scan import read_back

NOON_NS = parse_rfc3339("2026-11-23T12:00:00Z")


def image(device_s: float | None, *, peer: str = "CARM @ 10.0.0.1", **attributes: Any) -> CarmImage:
    """Taken `device_s` after noon by the device's own clock."""
    taken = None if device_s is None else rfc3339(NOON_NS + round(device_s * NS))[:-1]
    nothing = dict.fromkeys(("study_uid", "series_uid", "duplicate_of", "frames"))
    known = {"sop_class_uid": "1.2", "sop_instance_uid": "1.2.3", "transfer_syntax_uid": "1.2", "sha256": "0" * 64}
    size = {"size_bytes": 1, "rows": 4, "columns": 4, "dose": {}}
    return CarmImage(**{**nothing, **known, **size, "peer": peer, "acquired": taken, **attributes})


def at(room_s: float) -> Stamp:
    return Stamp(NOON_NS + round(room_s * NS), 0)


def taken_s(placed: Any) -> float:
    return (placed.happened_wall_ns - NOON_NS) / NS


def test_a_late_image_is_placed_where_it_was_taken(tmp_path):
    placer = Placer(tmp_path)
    first = placer.place(image(100.0), at(40.0), "r")  # its clock is a minute ahead
    assert taken_s(first) == 40 and first.device_offset_s == -60 and first.offset.offset_s == -60
    late = placer.place(image(130.0), at(900.0), "r")
    assert taken_s(late) == 70 and late.offset is None


def test_never_after_it_came_and_at_its_arrival_without_a_time(tmp_path):
    placer = Placer(tmp_path)
    placer.place(image(0.0), at(5.0), "r")
    for acquired_s in (None, 10 * 365 * 86_400.0, 11.0):
        assert taken_s(placer.place(image(acquired_s), at(10.0), "r")) <= 10
    assert taken_s(placer.place(image(None), at(10.0), "r")) == 10
    assert placer.place(image(None), at(10.0), "r").device_offset_s is None


def test_a_run_lies_before_its_arrival_with_all_its_frames(tmp_path):
    run = {"frames": 3, "frame_times_ms": (0.0, 1000.0, 4000.0), "first_frame_ms": 500.0}
    assert taken_s(Placer(tmp_path).place(image(None, **run), at(10.0), "r")) == 5.5
    placer = Placer(tmp_path)
    assert placer.place(image(0.0, **run), at(10.0), "r").device_offset_s == 5.5


def test_peers_have_clocks_of_their_own(tmp_path):
    placer = Placer(tmp_path)
    placer.place(image(100.0), at(40.0), "r")
    assert placer.place(image(100.0, peer="OTHER @ 10.0.0.2"), at(100.0), "r").device_offset_s == 0


def test_a_step_that_begins_tells_the_clock(tmp_path):
    placer = Placer(tmp_path)
    said = placer.began("CARM @ 10.0.0.1", rfc3339(NOON_NS)[:-1], NOON_NS + 3 * NS)
    assert said is not None and said.offset_s == 3
    assert placer.began("CARM @ 10.0.0.1", None, NOON_NS) is None
    assert taken_s(placer.place(image(20.0), at(500.0), "r")) == 23


async def written(root: Path) -> tuple[ManualClock, str, str]:
    """A room where a procedure took place from 12:00:10 to 12:01:40, in which an image came at once."""
    clock = ManualClock(wall_ns=NOON_NS)
    async with Journal.open(root, clock, Identity(room="test")) as journal:
        clock.advance(10)
        case = await journal.switch("procedure", "test")
        clock.advance(20)
        data = image(90.0)
        event = Event(source="carm", data=data, received=clock.now(), device_time=data.acquired)
        await journal.commit(event)
        clock.advance(70)
        standby = await journal.switch("standby", "test")
        await journal.settled()
        clock.advance(100)
    return clock, case, standby


async def test_what_was_taken_in_a_procedure_that_is_over_says_so_after_a_restart_too(tmp_path):
    clock, case, standby = await written(tmp_path)
    placer = Placer(tmp_path)
    read_back(tmp_path, {CarmImage: (placer.remember_image,), CarmMpps: (placer.remember_step,)})
    late = placer.place(image(100.0), clock.now(), standby)
    assert taken_s(late) == 40 and late.image.taken_in == case and late.device_offset_s == -60
    assert late.offset is None  # it was said before the restart
    between = placer.place(image(170.0), clock.now(), standby)
    assert taken_s(between) == 110 and between.image.taken_in is None
    before = placer.place(image(65.0), clock.now(), standby)
    assert taken_s(before) == 5 and before.image.taken_in is None


# --- the whole way ------------------------------------------------------------------------------------------------


def dicom(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%S.%f}"


@pytest.mark.parametrize("fast_s", [0.0, 3600.0, -125.0])
async def test_sent_over_the_wire(room, scu, fast_s):
    """A C-arm whose clock is `fast_s` ahead sends one image at once, then a run that it took before."""

    def device(seconds: float) -> str:
        return dicom(datetime.now(UTC) + timedelta(seconds=fast_s + seconds))

    now = scu.picture(AcquisitionDateTime=device(0))
    earlier_wall = datetime.now(UTC) - timedelta(seconds=50)
    run = scu.picture(AcquisitionDateTime=device(-50), NumberOfFrames=3, FrameTime="500", PixelData=bytes(48))
    assert await scu.store(room.port, now, run) == [0, 0]
    lines = [line for line in room.lines() if line.type == "carm.image"]
    off_s = (parse_rfc3339(lines[1].time) / NS) - earlier_wall.timestamp()
    assert abs(off_s) < 1.5
    assert lines[1].received > lines[1].time and lines[0].time <= lines[0].received
    assert lines[1].device_offset_s == pytest.approx(-fast_s, abs=1.5)
    [offset] = room.entries("clock.offset")
    assert offset["device"] == "CARM @ 127.0.0.1" and offset["offset_s"] == lines[0].device_offset_s


async def test_the_picture_taken_last_is_the_one_shown(room, scu):
    moment = datetime.now(UTC)
    new = scu.picture(AcquisitionDateTime=dicom(moment))
    old = scu.picture(AcquisitionDateTime=dicom(moment - timedelta(seconds=30)))
    assert await scu.store(room.port, new) == [0]
    async with asyncio.timeout(10):
        while not room.previews:
            await asyncio.sleep(0.01)
    assert await scu.store(room.port, old) == [0]
    newest = scu.picture(AcquisitionDateTime=dicom(datetime.now(UTC)))
    assert await scu.store(room.port, newest) == [0]
    async with asyncio.timeout(10):
        while room.previews[-1].sop_instance_uid != newest.SOPInstanceUID:
            await asyncio.sleep(0.01)
    assert [each.sop_instance_uid for each in room.previews] == [new.SOPInstanceUID, newest.SOPInstanceUID]


async def test_a_duplicate_teaches_and_says_nothing_wrong(tmp_path):
    placer = Placer(tmp_path)
    placer.place(image(0.0), at(1.0), "r")
    again = placer.place(image(0.0, duplicate_of=InstanceRef(record="r", seq=1)), at(500.0), "r")
    assert taken_s(again) == 1 and again.offset is None
