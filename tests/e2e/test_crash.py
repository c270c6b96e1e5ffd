"""kill -9 at any moment: what was acknowledged or seen is in the record, and nobody ends with anything else."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from e2e_rig import ROOT, fill_holes, images_are_kept, published_equals_journal, until
from e2e_wire import CArm, masimo_line, masimo_number

HERE = Path(__file__).parent
SOAK = os.environ.get("ESI_ROOM_SOAK") == "1"
KILLS = 120 if SOAK else 12
DIED = 77
LAST = (
    {"any": 80, "image": 120, "listener": 30, "ftruncate": 2, "replace": 10}
    if SOAK
    else {"any": 8, "image": 14, "listener": 6, "ftruncate": 2, "replace": 1}
)
DEATHS = [(call, number) for call, last in LAST.items() for number in range(1, last + 1)]
Load = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.timeout(1800 if SOAK else 300)
@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_kill_at_random_moments(
    kind: str, make_broker: Load, make_room: Load, make_line: Load, subscribe: Load
) -> None:
    rng = Random(20261123)
    broker, line = make_broker(kind), make_line("oximeter-1")
    room = make_room(broker, {"oximeter-1": ("masimo_ascii1", line.path)})
    display = subscribe(broker.port).ready()
    line.play((masimo_line(n) for n in itertools.count()), 0.004)
    with CArm(room.dicom) as carm:
        for _ in range(KILLS):
            room.start()
            count = len(carm.stored)
            time.sleep(rng.uniform(0.0, 0.8))
            if rng.random() < 0.5:
                until(lambda count=count: len(carm.stored) > count, "an image is acknowledged")
            room.kill()
        room.start()
        count = len(carm.stored)
        until(lambda: len(carm.stored) > count, "an image after the last crash")
    line.quiet()
    published_equals_journal(room, display, in_order=False)
    assert room.stop() == 0
    published_equals_journal(room, display)
    images_are_kept(room, carm.stored)
    room.verify()
    assert len(room.entries("record.recovered")) == KILLS


@pytest.mark.slow
@pytest.mark.timeout(1800 if SOAK else 300)
def test_the_embedded_broker_dies_with_the_daemon(make_room: Load, make_line: Load, subscribe: Load) -> None:
    rng, line = Random(4), make_line("oximeter-1")
    room = make_room(None, {"oximeter-1": ("masimo_ascii1", line.path)})
    display = subscribe(room.mqtt)
    line.play((masimo_line(n) for n in itertools.count()), 0.01)
    with CArm(room.dicom) as carm:
        for _ in range(KILLS // 3):
            room.start()
            time.sleep(rng.uniform(0.0, 0.8))
            room.kill()
        room.start()
        until(lambda: carm.stored, "an image after the last crash")
        count = display.subscribed
        until(lambda: count and display.last("status").get("status") == "online", "the display is back")
    line.quiet()
    fill_holes(room, display)
    published_equals_journal(room, display, in_order=False)
    assert room.stop() == 0
    images_are_kept(room, carm.stored)
    room.verify()


@pytest.mark.slow
@pytest.mark.timeout(1800 if SOAK else 300)
@pytest.mark.parametrize("mode", ["before", "torn", "power"])
def test_death_at_each_write(mode: str, make_broker: Load, make_room: Load, make_line: Load, subscribe: Load) -> None:
    broker, line = make_broker("mosquitto"), make_line("oximeter-1")
    room = make_room(broker, {"oximeter-1": ("masimo_ascii1", line.path)})
    display = subscribe(broker.port).ready()
    line.play((masimo_line(n) for n in itertools.count()), 0.2)
    with CArm(room.dicom) as carm:
        for call, number in DEATHS:
            room.launch(sys.executable, HERE / "dying_daemon.py", room.configuration, call, number, mode)
            room.processes()
            until(lambda: room.exit_code is not None, f"{call} number {number} is made")
            assert room.exit_code == (-signal.SIGKILL if call == "listener" else DIED), room.log.read_text()[-2000:]
            room.gone()
        room.start()
        count = len(carm.stored)
        until(lambda: len(carm.stored) > count, "an image after the last crash")
    line.quiet()
    assert room.stop() == 0
    published_equals_journal(room, display)
    images_are_kept(room, carm.stored)
    room.verify()
    numbers = [masimo_number(readings) for readings in room.numeric("oximeter-1")]
    assert numbers == sorted(set(numbers)), "a value twice, or in another order than on the wire"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kill_in_the_middle_of_a_whole_case(
    make_broker: Load, make_room: Load, subscribe: Load, stack: ExitStack, tmp_path: Path
) -> None:
    """The demo's load: monitor, oximeter, pump, C-arm and staff play a case while the daemon is killed again and
    again. Every command acts once, every image that was answered 0x0000 is there."""
    rng, broker, ports, truth = Random(9), make_broker("mosquitto"), tmp_path / "ports", tmp_path / "truth.jsonl"
    devices = {"monitor-1": "ge_dri", "oximeter-1": "nellcor_ascii", "pump-1": "new_era"}
    room = make_room(broker, {name: (driver, ports / name) for name, driver in devices.items()})
    display = subscribe(broker.port).ready()
    command = (
        *(sys.executable, "-m", "simulators", "run", "--scenario", "quick", "--speed", "4", "--ports", ports),
        *("--carm", f"127.0.0.1:{room.dicom}", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--truth", truth),
    )
    with (tmp_path / "simulators.log").open("wb") as log:
        case = subprocess.Popen([*map(str, command)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stack.callback(case.kill)
    kills = 0
    while case.poll() is None and kills < KILLS:
        room.start()
        time.sleep(rng.uniform(0.2, 2.0))
        room.kill()
        kills += 1
    room.start()
    assert case.wait(120) == 0, (tmp_path / "simulators.log").read_text()
    assert room.stop() == 0
    published_equals_journal(room, display)
    sent = [line for line in map(json.loads, truth.read_text().splitlines()) if line["what"] == "c_store"]
    images_are_kept(room, {line["sop_instance_uid"]: line["dataset_sha256"] for line in sent if line["stored"]})
    said = Counter(entry.type for entry in room.entries())
    steps = [entry for entry in room.entries() if entry.type.startswith("procedure.")]
    by_staff = Counter(entry.type for entry in steps if entry.data.get("origin") == "staff")
    assert by_staff == {"procedure.started": 1, "procedure.phase": 5, "procedure.ended": 1}
    assert said["clinical.note"] == 2
    assert said["procedure.completeness"] == said["procedure.ended"]
    assert said["record.recovered"] == kills
    room.verify()
