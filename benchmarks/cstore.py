"""C-STORE throughput: esi_room against a bare receiver, dcmtk's storescp and Orthanc, one sender, one run.

    python benchmarks/cstore.py [--rounds N] [--large-mib N]

The sender is dcmtk's storescu with TCP_NODELAY=1, one association, explicit VR little endian. Every receiver gets
the same files: 300 of 256 KiB, then 100 of 2 MiB, on the same disk, the receivers in turn in every round. The ratio is
that of the best rounds, to the bare receiver. What each has done when it answers 0000:

- bare: object written, hashed and fsynced (peers/bare_store.py)
- esi_room: object written, hashed, fsynced, linked, directory fsynced, header read, journal line fdatasynced
- storescp: object written (no fsync)
- Orthanc: object fsynced (SyncStorageArea, its default since 1.7.4) and indexed in SQLite

Last, one multi-frame object of 2 GiB, and what it costs the daemon's processes in memory.

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
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

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
COLUMNS = 512
FRAME_BYTES = 1 << 20
SETTLE_S = 2.0  # the daemon's other processes still start when its port opens, and would share the two cores


def make_objects(folder: Path, count: int, kib: int) -> None:
    """`count` objects of `kib` KiB of noise: nothing compresses, nothing repeats."""
    folder.mkdir()
    noise = np.random.default_rng(kib)
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        image = picture(kib * 1024 // COLUMNS)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.InstanceNumber = number + 1
        image.PixelData = noise.integers(0, 256, kib * 1024, dtype=np.uint8).tobytes()
        image.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


def make_large(path: Path, mib: int) -> None:
    """One object of `mib` frames of 1 MiB, written in pieces: it need not fit into memory."""
    image = picture(FRAME_BYTES // COLUMNS)
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.NumberOfFrames = mib
    image.save_as(path, enforce_file_format=True)
    frame = np.random.default_rng(mib).integers(0, 256, FRAME_BYTES, dtype=np.uint8).tobytes()
    with path.open("ab") as file:
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, mib * FRAME_BYTES))
        for _ in range(mib):
            file.write(frame)


def picture(rows: int) -> Dataset:
    """All but the pixels."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = SecondaryCaptureImageStorage
    image.SOPInstanceUID = generate_uid()
    image.PatientID, image.PatientName = "BENCH", "Bench^Mark"
    image.Modality = "OT"
    image.Rows, image.Columns = rows, COLUMNS
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    return image


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


class Receiver(NamedTuple):
    called: str
    port: int
    pid: int


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


async def serve(data: Path, port: int) -> None:
    """The C-arm's side of a room, for ever."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # only the table
    clock = SystemClock()
    peers = (PeerRule(ae_title=SENDER, address="127.0.0.1"),)
    settings = CarmSettings(listen=("127.0.0.1", port), peers=peers)
    async with Journal.open(data, clock, Identity(room="bench")) as journal:
        await CarmService(settings, journal, clock, on_preview=lambda _: None).run()


def esi_room(data: Path):
    port = free_port()
    return process([sys.executable, __file__, "--serve", str(data), str(port)], port, "ESI_ROOM")


def bare(data: Path):
    data.mkdir()
    port = free_port()
    script = Path(__file__).with_name("peers") / "bare_store.py"
    return process([sys.executable, str(script), str(port), str(data)], port, "BARE")


@asynccontextmanager
async def process(command: list[str], port: int, called: str) -> AsyncIterator[Receiver]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    peer = await asyncio.create_subprocess_exec(*command, env=NODELAY, **quiet)
    try:
        await until_open(port)
        await asyncio.sleep(SETTLE_S)
        yield Receiver(called, port, peer.pid)
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
    ("bare", "fsync of the object", bare, None),
    ("esi_room", "fsync of object, directory and journal", esi_room, None),
    ("dcmtk storescp", "nothing", storescp, "storescp"),
    ("Orthanc", "fsync of the object; SQLite index", orthanc, "Orthanc"),
)


async def best_of(rounds: int, count: int, kib: int, work: Path, names: set[str]) -> dict[str, float]:
    """Seconds of the best round of each receiver; they take turns, so that a busy minute falls on all of them."""
    best: dict[str, float] = {}
    for number in range(rounds):
        for name, _, receiver, _ in RECEIVERS:
            if name in names:
                data = work / f"data-{kib}-{number}"
                async with receiver(data) as (called, port, _):
                    seconds = await send(work / f"{kib}", called, port)
                shutil.rmtree(data)
                best[name] = min(best.get(name, seconds), seconds)
    return best


def peak_mib(pid: int) -> float:
    """Most memory that a process ever had, since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def processes(pid: int) -> dict[str, int]:
    """The daemon and its listener."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"esi_room.carm.listener" in Path(f"/proc/{child}/cmdline").read_bytes():
            return {"listener": int(child), "daemon": pid}
    raise SystemExit("the daemon has no listener")


async def large(work: Path, mib: int) -> str:
    """One object of `mib` MiB; a line of what it cost."""
    (work / "warm").mkdir()
    (work / "large").mkdir()
    make_large(work / "warm" / "warm.dcm", 8)
    make_large(work / "large" / "large.dcm", mib)
    async with esi_room(work / "data-large") as (called, port, pid):
        await send(work / "warm", called, port)
        members = processes(pid)
        before = {name: peak_mib(member) for name, member in members.items() if forget_peak(member) is None}
        seconds = await send(work / "large", called, port)
        memory = ", ".join(
            f"{name} {before[name]:.0f} MiB before, at most {peak_mib(member):.0f} MiB"
            for name, member in members.items()
        )
    return f"One object of {mib} MiB: {mib / seconds:.0f} MiB/s; memory: {memory}."


def table(results: list[tuple[int, int, dict[str, float]]]) -> None:
    print(
        "| receiver | durable before 0000 | " + " | ".join(f"{n} x {kib} KiB | ratio" for n, kib, _ in results) + " |"
    )
    print("|---|---|" + "---|---|" * len(results))
    for name, what, _, program in RECEIVERS:
        cells = [
            f"{count / best[name]:.0f} objects/s, {count * kib / 1024 / best[name]:.0f} MiB/s"
            f" | {best['bare'] / best[name]:.2f}"
            if name in best
            else f"{program} is not installed | "
            for count, kib, best in results
        ]
        print(f"| {name} | {what} | " + " | ".join(cells) + " |")


async def main(rounds: int, large_mib: int) -> None:
    path = "/usr/bin:/usr/sbin:" + os.environ.get("PATH", "")
    names = {name for name, _, _, program in RECEIVERS if program is None or shutil.which(program, path=path)}
    with tempfile.TemporaryDirectory(prefix="cstore-", dir=Path.cwd()) as folder:
        work, results = Path(folder), []
        for count, kib in SETS:
            make_objects(work / f"{kib}", count, kib)
            results.append((count, kib, await best_of(rounds, count, kib, work, names)))
        table(results)
        print()
        print(await large(work, large_mib))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="C-STORE throughput", epilog="python benchmarks/cstore.py")
    parser.add_argument("--rounds", type=int, default=3, help="the best of this many is printed")
    parser.add_argument("--large-mib", type=int, default=2048, help="size of the large object")
    parser.add_argument("--serve", nargs=2, metavar=("DATA", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(Path(arguments.serve[0]), int(arguments.serve[1])))
    else:
        asyncio.run(main(arguments.rounds, arguments.large_mib))
