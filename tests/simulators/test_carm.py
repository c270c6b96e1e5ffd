"""The C-arm against rooms that take its objects, refuse them, are absent, or lose the association."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from simulators.carm.carm import CArm
from simulators.carm.case import Identity
from simulators.carm.encoders import TRANSFER_SYNTAXES
from simulators.clock import ScenarioClock
from simulators.truth import TruthLog

IDENTITY = Identity("DEMO^ESI^^^", "SIM-4711", "19610412", "F", 78.0)
Make = Callable[..., CArm]


class Room:
    """A storage SCP that keeps what it got; `answer(n)` is its status for the n-th C-STORE."""

    def __init__(self, answer: Callable[[int], int] = lambda _: 0) -> None:
        self.stored: list[Dataset] = []
        self.digests: list[str] = []
        self.requests = self.echoes = self.aborts = self.refused = 0
        self._answer = answer

    def store(self, event: Any) -> int:
        status = self._answer(self.requests)
        self.requests += 1
        if status == 0:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.digests.append(hashlib.sha256(event.request.DataSet.getvalue()).hexdigest())
            self.stored.append(dataset)
        return status

    def echo(self, _: Any) -> int:
        self.echoes += 1
        return 0

    def aborted(self, _: Any) -> None:
        self.aborts += 1

    def rejected(self, _: Any) -> None:
        self.refused += 1

    @contextmanager
    def open(self, port: int) -> Iterator[Room]:
        entity = AE("ESI_ROOM")
        entity.require_calling_aet = ["OEC_9900"]
        entity.require_called_aet = True
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, list(TRANSFER_SYNTAXES.values()))
        entity.add_supported_context(Verification)
        handlers = [
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_C_ECHO, self.echo),
            (evt.EVT_ABORTED, self.aborted),
            (evt.EVT_REJECTED, self.rejected),
        ]
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            yield self
        finally:
            server.shutdown()


@asynccontextmanager
async def running(carm: CArm) -> AsyncIterator[CArm]:
    task = asyncio.create_task(carm.run())
    try:
        yield carm
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


@pytest.fixture
def make(port: int) -> Make:
    def build(**settings: Any) -> CArm:
        settings = {"seed": 1, "matrix": 64, "retry_s": 0.05, **settings}
        return CArm(("127.0.0.1", port), IDENTITY, ScenarioClock(100.0), TruthLog(), **settings)

    return build


async def test_a_shot_arrives_with_a_complete_header(make: Make, port: int) -> None:
    with Room().open(port) as room:
        async with running(make()) as carm:
            await carm.do("fluoro", fluoro_s=3.0)
            await carm.do("shot", view="lateral", kv=82, ma=4.2, fluoro_s=2.0, needle_depth_mm=40.0)
            assert await carm.queue.drain(10)
    (image,) = room.stored
    assert image.SOPClassUID.name == "X-Ray Radiofluoroscopic Image Storage"
    assert (image.PatientName, image.PatientID, image.PatientBirthDate) == ("DEMO^ESI^^^", "SIM-4711", "19610412")
    assert (image.Rows, image.Columns, image.BitsAllocated, image.BitsStored) == (64, 64, 16, 12)
    assert (image.KVP, image.XRayTubeCurrent, image.XRayTubeCurrentInuA) == (82, 4, 4200)
    assert (image.PositionerPrimaryAngle, image.PositionerSecondaryAngle) == (90, 0)
    assert image.TotalTimeOfFluoroscopy == 5
    assert 2 < image.ImageAndFluoroscopyAreaDoseProduct < 10  # the unkept fluoroscopy is in it, dGy.cm2
    assert image.ImagerPixelSpacing == [pytest.approx(230 / 64, rel=1e-4)] * 2
    assert image.Manufacturer and image.DistanceSourceToDetector == 1000 and image.CollimatorShape == "CIRCULAR"
    assert image.pixel_array.max() < 4096
    assert carm.truth.of("carm", "c_store")[0]["dataset_sha256"] == room.digests[0]


@pytest.mark.parametrize("vector", [False, True])
async def test_a_run_tells_each_frames_time(make: Make, port: int, vector: bool) -> None:
    """By the C-arm's own clock: a case that is played at a hundred times the speed has frames every 1.25 ms."""
    with Room().open(port) as room:
        async with running(make(frame_time_vector=vector)) as carm:
            await carm.do("run", frames=6, fps=8, needle_depth_mm=67, contrast_from_ml=0, contrast_to_ml=2.5)
            assert await carm.queue.drain(10)
    (run,) = room.stored
    assert run.SOPClassUID.name == "X-Ray Angiographic Image Storage"
    assert run.NumberOfFrames == 6 and run.pixel_array.shape == (6, 64, 64)
    if vector:
        assert run.FrameIncrementPointer == 0x00181065 and len(run.FrameTimeVector) == 6
        assert run.FrameTimeVector[0] == 0 and all(1.24 < step < 1.26 for step in run.FrameTimeVector[1:])
    else:
        assert run.FrameIncrementPointer == 0x00181063 and run.FrameTime == pytest.approx(1.25, abs=0.005)
    first, last = run.pixel_array[0].astype(float), run.pixel_array[-1].astype(float)
    assert last[24:40, 24:40].mean() < first[24:40, 24:40].mean() - 20  # contrast came in


@pytest.mark.parametrize("syntax", list(TRANSFER_SYNTAXES))
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
async def test_every_transfer_syntax_carries_the_same_picture(
    make: Make, port: int, syntax: str, photometric: str
) -> None:
    with Room().open(port) as room:
        async with running(make(transfer_syntax=syntax, photometric=photometric)) as carm:
            await carm.do("shot", fluoro_s=0)
            assert await carm.queue.drain(10)
    (image,) = room.stored
    assert image.file_meta.TransferSyntaxUID == TRANSFER_SYNTAXES[syntax]
    pixels = image.pixel_array if photometric == "MONOCHROME2" else 4095 - image.pixel_array
    assert pixels[:4, :4].max() < 100 < np.median(pixels)
    assert carm.truth.of("carm", "c_store")[0]["dataset_sha256"] == room.digests[0]


async def test_secondary_capture(make: Make, port: int) -> None:
    with Room().open(port) as room:
        async with running(make()) as carm:
            await carm.do("shot", kind="sc", fluoro_s=0)
            assert await carm.queue.drain(10)
    assert room.stored[0].SOPClassUID.name == "Secondary Capture Image Storage"
    assert room.stored[0].ConversionType == "DI"


async def test_objects_wait_for_an_absent_room_and_come_in_order(make: Make, port: int) -> None:
    async with running(make()) as carm:
        for n in range(3):
            await carm.do("shot", fluoro_s=0, comment=f"shot {n}")
        assert not await carm.queue.drain(0.3)
        with Room().open(port) as room:
            assert await carm.queue.drain(10)
    assert [image.ImageComments for image in room.stored] == ["shot 0", "shot 1", "shot 2"]
    attempts = carm.truth.of("carm", "c_store")
    assert sum(attempt["stored"] for attempt in attempts) == 3
    assert attempts[0]["stored"] is False and attempts[0]["reason"] == "no answer"


@pytest.mark.parametrize("status", [0xA700, 0xC000, 0xB000])
async def test_only_0x0000_takes_an_object_off_the_queue(make: Make, port: int, status: int) -> None:
    with Room(lambda n: status if n < 2 else 0).open(port) as room:
        async with running(make()) as carm:
            await carm.do("shot", fluoro_s=0, comment="first")
            await carm.do("shot", fluoro_s=0, comment="second")
            assert await carm.queue.drain(10)
    assert room.requests == 4
    assert [image.ImageComments for image in room.stored] == ["first", "second"]
    assert f"0x{status:04X}" in carm.truth.of("carm", "c_store")[0]["reason"]


async def test_a_broken_association_loses_nothing(make: Make, port: int) -> None:
    with Room().open(port) as room:
        async with running(make(matrix=256)) as carm:
            await carm.do("abort_mid_object")
            await carm.do("shot", fluoro_s=0)
            assert await carm.queue.drain(10)
    assert room.requests == 1 and len(room.stored) == 1  # the half object never became a C-STORE
    assert room.aborts == 1
    assert [line["stored"] for line in carm.truth.of("carm", "c_store")] == [False, True]


async def test_the_same_uid_twice_with_the_same_and_with_other_content(make: Make, port: int) -> None:
    with Room().open(port) as room:
        async with running(make()) as carm:
            await carm.do("shot", fluoro_s=0)
            await carm.do("resend")
            await carm.do("same_uid_other_content")
            assert await carm.queue.drain(10)
    first, again, other = room.digests
    assert first == again != other
    assert len({image.SOPInstanceUID for image in room.stored}) == 1


async def test_echo_and_a_stranger(make: Make, port: int) -> None:
    with Room().open(port) as room:
        carm = make()
        await carm.do("echo")
        await carm.do("wrong_ae")
    known, stranger = carm.truth.of("carm", "c_echo")
    assert known["ok"] and room.echoes == 1
    assert not stranger["ok"] and stranger["reason"] == "association refused" and room.refused == 1


async def test_its_clock_is_its_own(make: Make, port: int) -> None:
    with Room().open(port) as room:
        async with running(make(clock_offset_s=-3600.0)) as carm:
            await carm.do("shot", fluoro_s=0)
            await carm.do("set_clock", offset_s=86_400.0)
            await carm.do("shot", fluoro_s=0)
            assert await carm.queue.drain(10)
    before, after = (
        datetime.strptime(f"{i.ContentDate}{i.ContentTime}", "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC) for i in room.stored
    )
    now = datetime.now(UTC)
    assert abs((before - now).total_seconds() + 3600) < 60
    assert abs((after - now).total_seconds() - 86_400) < 60


@pytest.mark.parametrize(
    ("action", "params", "says"),
    [
        ("x_ray", {}, "one of"),
        ("shot", {"view": "sideways"}, "sideways"),
        ("run", {"frames": 0}, "frames"),
        ("resend", {}, "no image"),
    ],
)
async def test_mistakes_in_a_script_are_named(make: Make, action: str, params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await make().do(action, **params)


async def test_dcmtk_takes_and_reads_it(make: Make, port: int, peers: ModuleType, tmp_path: Path) -> None:
    storescp, dcmdump, dcm2pnm = (peers.need(program) for program in ("storescp", "dcmdump", "dcm2pnm"))
    command = [storescp, "-aet", "ESI_ROOM", "-od", str(tmp_path), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as room:
        try:
            async with running(make(matrix=128)) as carm:
                await carm.do("shot", fluoro_s=0)
                await carm.do("run", frames=3, fps=8, contrast_to_ml=1.0)
                assert await carm.queue.drain(20)
        finally:
            room.terminate()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    for file in files:
        dump = subprocess.run([dcmdump, str(file)], capture_output=True, text=True, check=True)
        assert "PositionerPrimaryAngle" in dump.stdout and dump.stderr == ""
        picture = tmp_path / "picture.pgm"
        subprocess.run([dcm2pnm, "+Wi", "1", str(file), str(picture)], check=True, capture_output=True)
        assert picture.read_bytes().startswith(b"P5")
        assert pydicom.dcmread(file).PatientID == "SIM-4711"
