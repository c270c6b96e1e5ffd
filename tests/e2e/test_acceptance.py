"""Real input through the running daemon: what dcmtk and Orthanc send, what real devices said, what mosquitto_sub
prints. The expected values stand in the vectors and are compared here, apart from the drivers' own tests."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pydicom
import pydicom.data
import pytest
from e2e_rig import Room, data_set_octets, published_equals_journal, until

Make = Callable[..., Any]
FILES = Path(pydicom.data.__file__).parent / "test_files"  # what the wheel ships; nothing is downloaded
STORESCU = {  # transfer syntax -> the option of storescu that proposes it
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


# --- images -----------------------------------------------------------------------------------------------


def shipped() -> Iterator[tuple[Path, pydicom.Dataset]]:
    """pydicom's own images that name what a C-STORE has to name."""
    for path in sorted(FILES.glob("*.dcm")):
        try:
            read = pydicom.dcmread(path, stop_before_pixels=True)
        except pydicom.errors.InvalidDicomError:
            continue
        if read.get("SOPInstanceUID") and read.get("SOPClassUID") and "TransferSyntaxUID" in read.file_meta:
            yield path, read


@pytest.fixture
def reference(stack: ExitStack, peers: ModuleType, free_port: Callable[[], int], tmp_path: Path) -> tuple[int, Path]:
    """dcmtk's storescp, which writes bit for bit what it gets: its port and its folder. (Senders encode a data set
    anew: what is on the wire is what another receiver gets, not the file that was read.)"""
    port, folder = free_port(), tmp_path / "reference"
    folder.mkdir()
    command = [peers.need("storescp"), "+xa", "+B", "+uf", "-od", folder, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    echo = [peers.need("echoscu"), "127.0.0.1", str(port)]
    until(lambda: subprocess.run(echo, capture_output=True, check=False).returncode == 0, "storescp listens")
    return port, folder


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's remarks on its own broken files
def test_storescu_sends_pydicoms_images(make_room: Make, peers: ModuleType, reference: tuple[int, Path]) -> None:
    room = make_room().start()
    by_syntax: dict[str, dict[Path, pydicom.Dataset]] = {}
    for path, read in shipped():
        by_syntax.setdefault(read.file_meta.TransferSyntaxUID, {})[path] = read
    assert set(by_syntax) == set(STORESCU)
    for syntax, files in by_syntax.items():
        for called, port in (("ESI_ROOM", room.dicom), ("REFERENCE", reference[0])):
            command = [peers.need("storescu"), "-nh", "-R", STORESCU[syntax], "-aec", called, "127.0.0.1", str(port)]
            subprocess.run([*command, *files], capture_output=True, check=False, timeout=60)
    sent = {hashlib.sha256(data_set_octets(path)).hexdigest() for path in reference[1].iterdir()}
    assert len(sent) > 60
    assert set(room.frames()) == sent
    entries, checked = [entry.data for entry in room.entries("carm.image")], 0
    for read in (read for files in by_syntax.values() for read in files.values()):
        syntax = read.file_meta.TransferSyntaxUID
        mine = [
            e for e in entries if (e["sop_instance_uid"], e["transfer_syntax_uid"]) == (read.SOPInstanceUID, syntax)
        ]
        frames = str(read.get("NumberOfFrames") or 1)  # one of the files says "1A"
        size = (read.get("Rows"), read.get("Columns"), int(frames) if frames.isdecimal() else 1)
        told = [(e["sop_class_uid"], e["rows"], e["columns"], e["frames"] or 1) for e in mine]
        checked += bool(mine)  # storescu leaves out what it cannot parse
        assert not mine or (read.SOPClassUID, *size) in told
    assert checked > 60
    assert {e["peer"] for e in entries} == {"STORESCU @ 127.0.0.1"}
    for entry in entries:
        [file] = (room.data / "records").glob(f"*/frames/{entry['sha256']}.dcm")
        octets = file.read_bytes()
        assert (hashlib.sha256(octets).hexdigest(), len(octets)) == (entry["sha256"], entry["size_bytes"])
    assert room.stop() == 0
    room.verify()


def ask(port: int, path: str, body: bytes | None = None) -> bytes:
    """Orthanc's REST interface."""
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", body), timeout=20) as reply:
        octets: bytes = reply.read()
        return octets


def answers(port: int) -> bool:
    try:
        return bool(ask(port, "/system"))
    except OSError:
        return False


def test_orthanc_forwards_a_study(
    make_room: Make, peers: ModuleType, stack: ExitStack, free_port: Callable[[], int], tmp_path: Path,
    reference: tuple[int, Path],
) -> None:  # fmt: skip
    room, port = make_room().start(), free_port()
    configuration = {
        **{"Name": "test", "StorageDirectory": str(tmp_path / "o"), "IndexDirectory": str(tmp_path / "o")},
        **{"DicomAet": "ORTHANC", "DicomPort": free_port(), "HttpPort": port, "Plugins": []},
        **{"RemoteAccessAllowed": False, "AuthenticationEnabled": False},
        "DicomModalities": {
            "room": ["ESI_ROOM", "127.0.0.1", room.dicom],
            "reference": ["REFERENCE", "127.0.0.1", reference[0]],
        },
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
    command = [peers.need("Orthanc"), str(tmp_path / "orthanc.json")]
    orthanc = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(orthanc.wait)
    stack.callback(orthanc.terminate)
    until(lambda: answers(port), "Orthanc answers")
    names = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "examples_ybr_color.dcm")
    held = {}
    for name in names:
        instance = json.loads(ask(port, "/instances", (FILES / name).read_bytes()))["ID"]
        (tmp_path / "held").write_bytes(ask(port, f"/instances/{instance}/file"))
        read = pydicom.dcmread(tmp_path / "held")
        held[read.SOPInstanceUID] = (read.file_meta.TransferSyntaxUID, read.PixelData)
    for study in json.loads(ask(port, "/studies")):
        for modality in ("room", "reference"):
            told = json.loads(ask(port, f"/modalities/{modality}/store", json.dumps([study]).encode()))
            assert told["FailedInstancesCount"] == 0
    entries = room.entries("carm.image")
    assert len(entries) == len(names)
    assert {entry.data["peer"] for entry in entries} == {"ORTHANC @ 127.0.0.1"}
    files = room.frames()
    assert set(files) == {hashlib.sha256(data_set_octets(path)).hexdigest() for path in reference[1].iterdir()}
    kept = [pydicom.dcmread(path) for path in files.values()]
    assert {read.SOPInstanceUID: (read.file_meta.TransferSyntaxUID, read.PixelData) for read in kept} == held


# --- devices ----------------------------------------------------------------------------------------------


def expected(vectors: Path, folder: str) -> dict[str, dict[str, Any]]:
    """The device's frames of a folder of vectors by their id."""
    lines = (vectors / folder / "frames.jsonl").read_text().splitlines()
    frames = {frame["id"]: frame for frame in map(json.loads, lines) if frame["dir"] == "device"}
    return {name: frame | {"octets": bytes.fromhex(frame["hex"])} for name, frame in frames.items()}


def readings(data: dict[str, Any]) -> dict[str, Any]:
    return {reading["name"]: reading["value"] for reading in data["readings"]}


def test_the_nellcor_capture(make_room: Make, make_line: Make, vectors: Path) -> None:
    line = make_line("oximeter-1")
    room = make_room(None, {"oximeter-1": ("nellcor_ascii", line.path)}).start()
    folder = vectors / "nellcor_n560"
    line.play((folder / "capture_n560_cosmopusher.crlf.bin").read_bytes().splitlines(keepends=True), 0.005)
    wanted = [e for e in json.loads((folder / "expected_cosmopusher.json").read_text()) if "time" in e]
    until(lambda: len(room.entries("vitals.numeric")) >= len(wanted), "every line of the capture")
    entries = room.entries("vitals.numeric")
    assert len(entries) == len(wanted)
    for entry, want in zip(entries, wanted, strict=True):
        # Disconnected, off or searching: the old numbers are printed on and are nobody's now.
        worth = not {"SD", "SO", "PS", "LP", "LM"} & set(want["status"])
        values = {name: want[key] if worth else None for name, key in NELLCOR.items()}
        assert readings(entry.data) == values, want
        assert json.loads(entry.octets)["device_time"] == want["time"]
        assert len(entry.data.get("conditions", ())) >= len(want["status"])
    room.until_entry("device.rejected", "oximeter-1")  # the capture begins with garbage


NELLCOR = {"spo2_pct": "spo2", "pulse_rate_bpm": "bpm", "pulse_amplitude": "pa"}
MASIMO = {"spo2_pct": "SPO2", "pulse_rate_bpm": "BPM", "perfusion_index_pct": "PI"}


def test_the_masimo_lines(make_room: Make, make_line: Make, vectors: Path) -> None:
    line = make_line("oximeter-1")
    room = make_room(None, {"oximeter-1": ("masimo_ascii1", line.path)}).start()
    frames = list(expected(vectors, "masimo_ascii1").values())
    line.play([frame["octets"] for frame in frames], 0.01)
    until(lambda: len(room.entries("vitals.numeric")) >= len(frames), "every line")
    for entry, frame in zip(room.entries("vitals.numeric"), frames, strict=True):
        want = frame["expected"]
        values = readings(entry.data)
        assert all(values[name] == want[key] for name, key in MASIMO.items() if key in want), frame["id"]
        if "time" in want:
            assert json.loads(entry.octets)["device_time"] == want["time"]
            assert entry.data["readings"][0]["status"] == "ok"
    room.until_entry("device.state", "oximeter-1", identity="0000145838")
    room.until_entry("device.alarm", "oximeter-1", code="EXC 001", text="no sensor")


GE = {
    **{"heart_rate_bpm": "HR_bpm", "impedance_respiratory_rate_bpm": "imp_rr", "nibp_systolic_mmhg": "NIBP_sys"},
    **{"nibp_diastolic_mmhg": "NIBP_dia", "nibp_mean_mmhg": "NIBP_mean", "nibp_pulse_rate_bpm": "NIBP_pr"},
    **{"temperature_1_cel": "T1_C", "spo2_pct": "SpO2_pct", "pulse_rate_bpm": "PR_bpm", "etco2_mmhg": "EtCO2_mmHg"},
    "respiratory_rate_bpm": "RR",
}
GE_WORDS = {"NIBP_measuring": "nibp_measuring", "NIBP_stale60": "nibp_older_than_60_s", "CO2_apnea": "apnea"}


def test_the_ge_frames(make_room: Make, make_line: Make, vectors: Path) -> None:
    line = make_line("monitor-1")
    room = make_room(None, {"monitor-1": ("ge_dri", line.path)}).start()
    frames = expected(vectors, "ge_dri")
    until(line.receive, "the subscription request")
    line.play([frame["octets"] for frame in frames.values()], 0.05)
    values = [f for f in frames.values() if f["checksum_ok"] and f["expected"].get("maintype", 0) == 0]
    values = [f for f in values if f["id"] != "syn_alarm_status"]
    until(lambda: len(room.entries("vitals.numeric")) >= len(values), "every record")
    for entry, frame in zip(room.entries("vitals.numeric"), values, strict=True):
        want, got = frame["expected"]["subrecords"][0], readings(entry.data)
        for name, key in GE.items():
            if key == "NIBP_sys" and want.get("NIBP_stale60"):
                assert name not in got, "a measurement is told once, and not again when it is a minute old"
            elif key in want:
                assert got.get(name) == (want[key] and pytest.approx(want[key], abs=0.001)), frame["id"]
        for key, word in GE_WORDS.items():
            if key in want:
                assert (word in entry.data.get("conditions", ())) == want[key], frame["id"]
    special = readings(room.entries("vitals.numeric")[3].data)
    assert (special.get("spo2_pct"), special.get("pulse_rate_bpm")) == (None, None)  # under and over range
    room.until_entry("device.alarm", "monitor-1", text=frames["syn_alarm_status"]["expected"]["alarms"][-1]["text"])
    waves = [entry.data for entry in room.entries("vitals.waveform")]
    assert [(wave["rate_hz"], len(wave["samples"])) for wave in waves] == [(300, 75), (100, 25), (300, 15)]
    assert waves[0]["samples"][0] == -100 and waves[0]["gap_before"]
    assert waves[1]["samples"][-1] == pytest.approx(0.96)
    assert waves[2]["samples"].count(None) == 5
    alarms = {entry.data["text"] for entry in room.entries("device.alarm")}
    assert {alarm["text"] for alarm in frames["syn_alarm_status"]["expected"]["alarms"]} <= alarms
    assert room.stop() == 0
    [rejected] = room.entries("device.rejected")
    assert sum(rejected.data["counts"].values()) == 1, "the one frame with a wrong checksum"


def test_the_new_era_replies(make_room: Make, make_line: Make, vectors: Path) -> None:
    line = make_line("pump-1")
    octets = {name: frame["octets"] for name, frame in expected(vectors, "new_era").items()}
    stopped = {
        b"VER": octets["basic_00SNE1000V3_923"],
        b"DIS": octets["basic_00SI0_000W0_000UL"],
        b"RAT": octets["basic_00S500_0MH"],
        b"DIA": octets["basic_00S14_43"],
        b"": octets["buran_00S"],
    }
    running = {b"DIS": octets["basic_00II0_974W0_959ML"], b"DIR": octets["buran_00IWDR"], b"": octets["basic_00I"]}
    phase: dict[str, Any] = {"answers": {}, "else": octets["basic_00A_R"]}
    line.serve(lambda asked: phase["answers"].get(asked.rstrip(b"\r").lstrip(b"0123456789"), phase["else"]))
    room = make_room(None, {"pump-1": ("new_era", line.path)}).start()
    assert room.until_entry("pump.alarm", "pump-1", code="A?R").data["active"] is True
    phase.update(answers=stopped, **{"else": octets["basic_00S_NA"]})
    room.until_entry("device.state", "pump-1", identity="3.923")
    room.until_entry("pump.status", "pump-1", rate_ml_h=500.0, diameter_mm=14.43, delivered_ml=0.0)
    assert room.entries("pump.alarm")[-1].data["active"] is False
    phase.update(answers=running, **{"else": b"\x0200I?NA\x03"})
    room.until_entry("pump.started", "pump-1")
    room.until_entry("pump.status", "pump-1", state="infusing", delivered_ml=0.974, withdrawn_ml=0.959)
    phase.update(answers={}, **{"else": octets["buran_00A_S"]})
    room.until_entry("pump.alarm", "pump-1", code="A?S", text="stall")
    assert room.until_entry("pump.stopped", "pump-1").data["delivered_ml"] == 0.974
    assert not room.entries("pump.completed")


# --- mosquitto_sub ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mosquitto", "nats", "embedded"])
def test_mosquitto_sub_prints_the_journal(
    kind: str, make_broker: Make, make_room: Make, make_line: Make, subscribe: Make, peers: ModuleType,
    stack: ExitStack, tmp_path: Path, vectors: Path,
) -> None:  # fmt: skip
    program, line = peers.need("mosquitto_sub"), make_line("oximeter-1")
    broker = None if kind == "embedded" else make_broker(kind)
    room: Room = make_room(broker, {"oximeter-1": ("masimo_ascii1", line.path)})
    if broker is None:
        room.start()
    # -N: the payload is the line with its newline, and another is not wanted.
    command = [program, "-p", str(room.mqtt), "-q", "1", "-N", "-t", "esi/esi-1/event/#"]
    with (tmp_path / "printed").open("wb") as file:
        printing = subprocess.Popen(command, stdout=file)
    stack.callback(printing.wait)
    stack.callback(printing.kill)
    time.sleep(0.5)  # nothing tells that it has subscribed; what comes before is not in its output
    if broker is not None:
        room.start()
    frames = [frame["octets"] for frame in expected(vectors, "masimo_ascii1").values()]
    line.play(frames, 0.01)
    until(lambda: len(room.entries("vitals.numeric")) == len(frames), "the device's lines")
    newest = room.journal()[-1]
    witness = subscribe(room.mqtt).ready()
    until(lambda: witness.last("state/vitals"), "the states")
    until(lambda: newest in (tmp_path / "printed").read_bytes(), "mosquitto_sub prints the newest line")
    printed, journal = (tmp_path / "printed").read_bytes(), b"".join(room.journal())
    assert journal.startswith(printed) if broker is not None else printed in journal
    assert room.stop() == 0


def test_the_display_gets_every_line_of_a_procedure(make_room: Make, make_broker: Make, subscribe: Make) -> None:
    broker = make_broker("nats")
    display = subscribe(broker.port).ready()
    room = make_room(broker).start()
    until(lambda: display.last("status").get("status") == "online", "online")
    display.ask("start", procedure="L4/5 interlaminar", identity={"name": "DOE^JANE", "id": "H-4711"})
    display.ask("phase", phase="evaluation")
    display.ask("end")
    assert room.stop() == 0
    published_equals_journal(room, display)
    assert [e.type for e in room.entries() if e.type.startswith("procedure.")] == [
        "procedure.started",
        "procedure.rules",
        "procedure.phase",
        "procedure.ended",
        "procedure.completeness",
    ]
    assert not re.search(
        rb"DOE|(?<![0-9a-f])4711(?![0-9a-f])", b"".join(room.journal())
    )  # the number alone may be in a UID
    told = {topic for topic, octets in display.got if b"DOE" in octets or b"4711" in octets}
    assert told <= {"esi/esi-1/private/identity", "esi/esi-1/command/start"}
    room.verify()
