"""How long each format of `esi-room export` takes for a record of eight hours, beside plain loops over its journal.

    python benchmarks/export.py [--hours 8] [--dir .]

Makes a procedure record as a long day makes it: seven numbers of a monitor and two of an oximeter every second, a cuff
pressure every five minutes, a pump that says every five seconds how it stands, an image every ten minutes, a note a
minute, an alert and a gap an hour.
Each format runs as `esi-room export` does, in a process of its own: start, verification, reading, writing. The memory
is that process' at its highest. Ratios are of processor time: they hold on a machine that does other work meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import structlog
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage

from esi_room import events as e
from esi_room.audit.export import FORMATS
from esi_room.clock import ManualClock, rfc3339
from esi_room.events.clinical import ClinicalNote
from esi_room.record.entry import sha256
from esi_room.record.journal import Identity, Journal

SIDE_PX = 512
BATCH_S = 100
MONITOR = (
    ("heart_rate_bpm", 147842, "/min", 72), ("spo2_pct", 150456, "%", 97), ("pulse_rate_bpm", 149530, "/min", 72),
    ("respiratory_rate_bpm", 151594, "/min", 14), ("etco2_mmhg", 151708, "mm[Hg]", 36),
    ("temperature_1_cel", 150364, "Cel", 36.6), ("nibp_systolic_mmhg", 150021, "mm[Hg]", 128),
    ("nibp_diastolic_mmhg", 150022, "mm[Hg]", 76), ("nibp_mean_mmhg", 150023, "mm[Hg]", 93),
    ("perfusion_index_pct", 150448, "%", 3.4),
)  # fmt: skip


async def build(data: Path, hours: float) -> Path:
    clock = ManualClock()
    async with Journal.open(data, clock, Identity(room="bench")) as journal:
        record = await journal.switch("procedure", "bench")
        directory = journal.directory
        (directory / "frames").mkdir()
        say(journal, clock, "room", e.ProcedureStarted(procedure="Interlaminar ESI L4/5", origin="staff"))
        say(journal, clock, "room", e.ProcedurePhase(phase="guidance", previous=None, origin="staff", reason=None))
        for second in range(round(hours * 3600)):
            clock.advance(1)
            for source, payload in said(second, directory, clock):
                say(journal, clock, source, payload)
            if second % BATCH_S == 0:
                await journal.settled()
        say(journal, clock, "room", e.ProcedureEnded(outcome="completed", origin="staff"))
        await journal.settled()
        await journal.switch("standby", "bench")
    assert directory.name == record
    return directory


def say(journal: Journal, clock: ManualClock, source: str, payload: e.Payload) -> None:
    journal.append(e.Event(source=source, data=payload, received=clock.now()))


def said(second: int, directory: Path, clock: ManualClock) -> Iterator[tuple[str, e.Payload]]:
    wave = second % 7
    shown = [each for each in MONITOR if second % 300 == 0 or not each[0].startswith("nibp")]
    readings = [e.Reading(code=c, name=n, value=at + wave, unit=u, status="ok") for n, c, u, at in shown]
    yield "monitor-1", e.VitalsNumeric(readings=tuple(readings), stale_after_s=15)
    yield "oximeter-1", e.VitalsNumeric(readings=tuple(readings[1:3]), stale_after_s=4)
    if second % 5 == 0:
        pump = {"rate_ml_h": 5.0, "delivered_ml": second / 720, "target_ml": 60.0}
        yield "pump-1", e.PumpStatus(state="infusing", pressure_mmhg=12.0 + wave, drug=None, **pump)
    if second % 60 == 0:
        yield "room", ClinicalNote(text=f"note of minute {second // 60}, with a few words in it", actor="Dr. Example")
    if second % 600 == 0:
        yield "carm", image(second // 600, directory)
    if second % 3600 == 1800:
        begin = rfc3339(clock.now().wall_ns - 20_000_000_000)
        yield "oximeter-1", e.DeviceGap(from_=begin, to=rfc3339(clock.now().wall_ns), reason="silent")
        alert = {"alert": f"R10-{second}", "rule": "R10", "severity": "medium", "text": "no blood pressure for 5 min"}
        yield "room", e.AlertRaised(facts=(1,), actor=None, reason=None, **alert)


def image(number: int, directory: Path) -> e.CarmImage:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = XRayAngiographicImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = f"1.2.3.{number}"
    header.BurnedInAnnotation, header.Modality = "NO", "XA"
    header.Rows = header.Columns = SIDE_PX
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit = 7
    down, across = np.mgrid[:SIDE_PX, :SIDE_PX]
    header.PixelData = ((down * across // 1024 + number) % 256).astype(np.uint8).tobytes()
    out = io.BytesIO()
    header.save_as(out, enforce_file_format=True)
    octets = out.getvalue()
    digest = sha256(octets)
    (directory / "frames" / f"{digest}.dcm").write_bytes(octets)
    fields: dict[str, object] = dict.fromkeys(("frames", "acquired", "duplicate_of"))
    fields |= {"sop_class_uid": str(XRayAngiographicImageStorage), "sop_instance_uid": f"1.2.3.{number}"}
    fields |= {"study_uid": "1.2.3", "series_uid": "1.2.3.0", "transfer_syntax_uid": str(ExplicitVRLittleEndian)}
    fields |= {"sha256": digest, "size_bytes": len(octets), "rows": SIDE_PX, "columns": SIDE_PX, "dose": {}}
    return e.CarmImage(peer="BENCH @ 127.0.0.1", modality="XA", **fields)  # type: ignore[arg-type]


def line_loop(journal: Path) -> None:
    with journal.open("rb") as file:
        sum(len(line) for line in file)


def json_loop(journal: Path) -> None:
    """What any script does that reads such a file."""
    with journal.open("rb") as file:
        sum(json.loads(line)["seq"] for line in file)


def in_process(command: list[str]) -> tuple[float, float, int]:
    """Seconds, seconds of a processor, and MiB at the highest."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10


def run(folder: Path, hours: float) -> None:
    record = asyncio.run(build(folder / "data", hours))
    journal = record / "journal.jsonl"
    with journal.open("rb") as file:
        lines = sum(1 for _ in file)
    print(f"{hours:g} hours: {lines:,} entries, {journal.stat().st_size >> 20} MiB\n")
    print("| what | seconds | of a processor | times the json loop | on disk MiB | highest memory MiB |")
    print("|---|---|---|---|---|---|")
    base_s = 1.0
    for name, loop in (("a plain loop, line by line", line_loop), ("the same, json.loads of each", json_loop)):
        start, start_cpu = time.perf_counter(), time.process_time()
        loop(journal)
        took_s, base_s = time.perf_counter() - start, time.process_time() - start_cpu
        print(f"| {name} | {took_s:.2f} | {base_s:.2f} | | | |")
    esi_room = str(Path(sys.executable).parent / "esi-room")
    for name in ["verify", *FORMATS]:
        to = folder / name
        export = ["export", str(record), "--format", name, "--to", str(to)]
        took_s, cpu_s, peak_mib = in_process([esi_room, *(["verify", str(record)] if name == "verify" else export)])
        size_mib = sum(path.stat().st_size for path in to.glob("*")) / (1 << 20)
        row = f"{took_s:.1f} | {cpu_s:.1f} | {cpu_s / base_s:.1f} | {size_mib:.1f} | {peak_mib}"
        print(f"| {name} | {row} |", flush=True)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to be measured")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-export-", dir=arguments.dir)).resolve()
    try:
        run(folder, arguments.hours)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
