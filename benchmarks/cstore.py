"""C-STORE throughput: esi_room against dcmtk's storescp and Orthanc, one sender, one run.

    python benchmarks/cstore.py [--rounds N]

The sender is dcmtk's storescu with TCP_NODELAY=1, one association, explicit VR little endian. Every receiver gets
the same files: 300 of 256 KiB, then 100 of 2 MiB, on the same disk. What each has done when it answers 0000:

- esi_room: file fsynced, linked, directory fsynced, journal line written and fdatasynced; digests of file and data set
- storescp: file written (no fsync)
- Orthanc: file fsynced (SyncStorageArea, its default since 1.7.4) and indexed in SQLite

Needs the Debian packages dcmtk and orthanc; a peer that is missing is left out and said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import structlog
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

sys.path.insert(0, str(Path(__file__).parents[1]))

from esi_room.carm import CarmService, CarmSettings, PeerRule
from esi_room.clock import SystemClock
from esi_room.record.journal import Identity, Journal

SETS = ((300, 256), (100, 2048))  # objects, KiB of pixels each
NODELAY = os.environ | {"TCP_NODELAY": "1"}
SENDER = "STORESCU"


def make_objects(folder: Path, count: int, kib: int) -> None:
    """`count` objects of `kib` KiB of noise: nothing compresses, nothing repeats."""
    folder.mkdir()
    columns = 512
    noise = np.random.default_rng(kib)
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = Dataset()
        image.file_meta = meta
        image.SOPClassUID = SecondaryCaptureImageStorage
        image.SOPInstanceUID = generate_uid()
        image.PatientID, image.PatientName = "BENCH", "Bench^Mark"
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.Modality, image.InstanceNumber = "OT", number + 1
        image.Rows, image.Columns = kib * 1024 // columns, columns
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit, image.PixelRepresentation = 7, 0
        image.PixelData = noise.integers(0, 256, kib * 1024, dtype=np.uint8).tobytes()
        image.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


async def send(folder: Path, called: str, port: int) -> float:
    """Seconds to send every file of `folder`; SystemExit if one is not acknowledged."""
    command = ["storescu", "-xe", "+sd", "-aet", SENDER, "-aec", called, "127.0.0.1", str(port), str(folder)]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, env=NODELAY, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise SystemExit(f"storescu to {called}: {errors.decode()[-500:]}")
    return time.perf_counter() - started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_open(port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@asynccontextmanager
async def esi_room(data: Path) -> AsyncIterator[tuple[str, int]]:
    clock = SystemClock()
    peers = (PeerRule(ae_title=SENDER, address="127.0.0.1"),)
    settings = CarmSettings(listen=("127.0.0.1", 0), peers=peers)
    async with Journal.open(data, clock, Identity(room="bench")) as journal:
        service = CarmService(settings, journal, clock, on_preview=lambda _: None)
        running = asyncio.create_task(service.run())
        while service.address is None:
            await asyncio.sleep(0.02)
        yield settings.ae_title, service.address[1]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def process(command: list[str], port: int, called: str) -> AsyncIterator[tuple[str, int]]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    peer = await asyncio.create_subprocess_exec(*command, env=NODELAY, **quiet)
    try:
        await until_open(port)
        yield called, port
    finally:
        peer.terminate()
        await peer.wait()


def storescp(data: Path):
    data.mkdir()
    port = free_port()
    return process(["storescp", "+xa", "-pdu", "131072", "-od", str(data), str(port)], port, "STORESCP")


def orthanc(data: Path):
    data.mkdir()
    port = free_port()
    configuration = {
        "Name": "bench",
        "StorageDirectory": str(data),
        "IndexDirectory": str(data),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpServerEnabled": False,
        "DicomCheckCalledAet": False,
        "Plugins": [],
    }
    path = data / "orthanc.json"
    path.write_text(json.dumps(configuration))
    return process([shutil.which("Orthanc", path="/usr/bin:/usr/sbin") or "Orthanc", str(path)], port, "ORTHANC")


RECEIVERS = (
    ("esi_room", "fsync of object, directory and journal before 0000", esi_room, None),
    ("dcmtk storescp", "no fsync", storescp, "storescp"),
    ("Orthanc", "fsync of the object; SQLite index", orthanc, "Orthanc"),
)


async def main() -> None:
    arguments = argparse.ArgumentParser(description="C-STORE throughput", epilog="python benchmarks/cstore.py")
    arguments.add_argument("--rounds", type=int, default=3, help="the best of this many is printed")
    rounds = arguments.parse_args().rounds
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # only the table
    path = "/usr/bin:/usr/sbin:" + os.environ.get("PATH", "")
    with tempfile.TemporaryDirectory(prefix="cstore-", dir=Path.cwd()) as folder:
        work = Path(folder)
        for count, kib in SETS:
            make_objects(work / f"{kib}", count, kib)
        print("| receiver | durable before 0000 | " + " | ".join(f"{n} x {kib} KiB" for n, kib in SETS) + " |")
        print("|---|---|" + "---|" * len(SETS))
        for name, what, receiver, program in RECEIVERS:
            if program is not None and shutil.which(program, path=path) is None:
                print(f"| {name} | not installed |" + " |" * len(SETS))
                continue
            cells = []
            for count, kib in SETS:
                best = float("inf")
                for number in range(rounds):
                    data = work / f"{program or 'room'}-{kib}-{number}"
                    async with receiver(data) as (called, port):
                        best = min(best, await send(work / f"{kib}", called, port))
                    shutil.rmtree(data)
                cells.append(f"{count / best:.0f} objects/s, {count * kib / 1024 / best:.0f} MiB/s")
            print(f"| {name} | {what} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
