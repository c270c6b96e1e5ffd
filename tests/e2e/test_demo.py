"""`esi-room demo`: the whole simulated room to a verified record, and Ctrl-C at any moment. What the simulators say
they did (`truth.jsonl`) against what is in the record: nothing invented, nothing lost beyond what the lines lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from e2e_rig import DEADLINE_S, ESI_ROOM, ROOT, Room, alive, call, family, until

IDENTITY = ("SIMULATED", "SIM-0002")  # of the scenario `quick`
DRIVEN = [*ESI_ROOM, "demo", "--scenario", "quick", "--data"]


class Demo:
    """A demo's folder, once it has ended; reads like a room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room = Room.__new__(Room)
        self.room.folder, self.room.data = folder, folder / "data"

    def truth(self, device: str, what: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.folder / "truth.jsonl").read_text().splitlines()]
        return [line for line in lines if (line["device"], line["what"]) == (device, what)]

    def case(self) -> str:
        """The procedure's record."""
        return self.room.entries("procedure.started")[0].record


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A whole case."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*DRIVEN, str(folder), "--speed", "8"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "verified" in done.stdout and str(folder) in done.stdout
    assert re.fullmatch(r"display http://127\.0\.0\.1:\d+/ .*", done.stdout.splitlines()[1])
    return Demo(folder)


def test_it_ends_with_a_sealed_verified_record(demo: Demo) -> None:
    said = call("verify", "--json", demo.folder / "data")
    assert said.returncode == 0, said.stdout
    [report] = [r for r in map(json.loads, said.stdout.splitlines()) if r["record"] == demo.case()]
    assert report["sealed"] is True
    kinds = [entry.type for entry in demo.room.entries() if entry.record == demo.case()]
    assert kinds[0] == "record.opened" and kinds[-1] == "record.sealed"
    assert kinds.count("carm.image") == 4 and kinds.count("procedure.phase") == 5
    assert {"pump.started", "pump.stopped", "pump.completed", "vitals.numeric", "clinical.note"} <= set(kinds)


def test_its_display_listened_and_ended_in_order(demo: Demo) -> None:
    said = [json.loads(line)["event"] for line in (demo.folder / "display.log").read_text().splitlines()]
    assert said == ["display_listens", "display_open"]


def test_without_its_display_the_demo_goes_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*DRIVEN, str(tmp_path), "--speed", "60"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        log = tmp_path / "display.log"
        until(lambda: log.is_file() and "display_listens" in log.read_text(), "the display is there")
        for child in family(process.pid):
            if b"display\0--config" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
        said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    assert "the display ended by itself; the room goes on" in said and "verified" in said


def test_a_fast_demo_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DRIVEN, str(tmp_path), "--speed", "60"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert call("verify", tmp_path / "data").returncode == 0


def test_every_image_that_the_c_arm_may_forget_is_kept(demo: Demo) -> None:
    stored = [line for line in demo.truth("carm", "c_store") if line["stored"]]
    assert stored and {line["dataset_sha256"] for line in stored} == set(demo.room.frames())
    entries = demo.room.entries("carm.image")
    assert [e.data["sop_instance_uid"] for e in entries] == [line["sop_instance_uid"] for line in stored]


ROWS = {
    "monitor-1": {
        **{"heart_rate_bpm": "heart_rate", "spo2_pct": "spo2_pct", "pulse_rate_bpm": "pulse_rate"},
        **{"respiratory_rate_bpm": "resp_rate", "temperature_1_cel": "temp_c"},
    },
    "oximeter-1": {"spo2_pct": "spo2_pct", "pulse_rate_bpm": "pulse_rate"},
}


@pytest.mark.parametrize("device", ROWS)
def test_the_vitals_are_those_that_were_sent(demo: Demo, device: str) -> None:
    sent = [line for line in demo.truth(device, "sent") if line.get("kind", "values") == "values"]
    intact = [line for line in sent if line["delivered"] and not line["damage"] and line.get("valid", True)]
    names = ROWS[device]
    told = [[line[key] for key in names.values()] for line in intact]
    got = []
    for entry in demo.room.entries("vitals.numeric", device):
        values = {reading["name"]: reading["value"] for reading in entry.data["readings"]}
        got.append([values.get(name) for name in names])
    assert got and _is_within(got, told), "a reading that the device did not send"
    assert len(got) >= len(told) - 1, "readings lost that the line had delivered"


def _is_within(got: list[Any], told: list[Any]) -> bool:
    """Whether `got` is `told` with at most some left out."""
    rest = iter(told)
    return all(any(one == other for other in rest) for one in got)


def test_the_pump_did_what_the_record_says(demo: Demo) -> None:
    pump = [json.loads(line) for line in (demo.folder / "truth.jsonl").read_text().splitlines()]
    pump = [line for line in pump if line["device"] == "pump-1"]
    [completed] = demo.room.entries("pump.completed", "pump-1")
    assert completed.data["delivered_ml"] == completed.data["target_ml"] == 2.0
    replies = {line["text"] for line in pump if line["what"] == "sent" and line["delivered"]}
    volumes = {float(found[1]) for text in replies if (found := re.search(r"I(\d+\.?\d*)W", text))}
    recorded = {e.data["delivered_ml"] for e in demo.room.entries(source="pump-1") if "delivered_ml" in e.data}
    assert recorded - {None} <= volumes, "a volume that the pump did not say"
    starts = len(demo.room.entries("pump.started", "pump-1"))
    assert starts == 2, "started, paused, and started again"


def test_the_commands_are_entries(demo: Demo) -> None:
    answered = [line for line in demo.truth("staff", "answered") if line["ok"]]
    commands = [entry.data["id"] for entry in demo.room.entries("operator.command")]
    assert commands == [line["id"] for line in answered], "each command once"
    places = {(entry.record, entry.seq) for entry in demo.room.entries()}
    assert all((line["record"], line["seq"]) in places for line in answered)


def test_no_patient_identity_but_where_it_belongs(demo: Demo) -> None:
    allowed = ("frames", "private", "broker")
    for path in demo.folder.rglob("*"):
        assert not any(word in path.name for word in IDENTITY), path
        if path.is_file() and not set(path.relative_to(demo.folder).parts) & set(allowed):
            octets = path.read_bytes()
            assert not any(word.encode() in octets for word in IDENTITY), path
    private = demo.folder / "data" / "records" / demo.case() / "private"
    assert "SIMULATED^QUICK" in (private / "identity.json").read_text()
    assert private.stat().st_mode & 0o777 == 0o700
    assert (private / "identity.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("seed", range(4))
def test_ctrl_c_at_any_moment(tmp_path: Path, seed: int) -> None:
    after_s = Random(seed).uniform(0.0, 1.0) + seed * 1.5
    with (tmp_path / "output").open("w+") as output:
        process = subprocess.Popen([*DRIVEN, str(tmp_path), "--speed", "10"], cwd=ROOT, stdout=output, stderr=output)
        end = time.monotonic() + after_s
        everybody: set[int] = set()
        while time.monotonic() < end:
            everybody |= family(process.pid)
            time.sleep(0.02)
        everybody |= family(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_S)
    until(lambda: not alive(everybody), "everybody ends")
    said = (tmp_path / "output").read_text()
    assert process.returncode in (130, -signal.SIGINT) or said.strip() == "Aborted!", (
        said
    )  # before anything was started
    assert "Traceback" not in said or process.returncode == -signal.SIGINT
    if (tmp_path / "data" / "records").exists():
        verified = call("verify", tmp_path / "data")
        assert verified.returncode == 0, verified.stdout + verified.stderr
