"""A C-arm that points all its services at the room, an archive behind it: processes, as they are in a hospital."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from e2e_rig import ROOT, data_set_octets, published_equals_journal, until
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

Make = Callable[..., Any]
C_ARM = "OEC_9900"
ORDER = {
    "id": "ESI-7001",
    "identity": {"name": "Muster^Erika", "id": "E2E-4711", "birth_date": "1961-04-12"},
    "procedure": "Interlaminar epidural steroid injection L4/5",
    "accession": "A-7001",
}
IDENTITY = (b"Muster", b"Erika", b"E2E-4711", b"1961-04-12", b"19610412", b"A-7001")


def destination(archive: int, *, committing: bool = False) -> str:
    asked = "commitment = true\n" if committing else ""
    where = f'address = "127.0.0.1:{archive}"\n'
    return f'\n[[carm.destination]]\nid = "pacs"\nae_title = "ORTHANC"\n{where}{asked}'


def rest(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as reply:
        return json.loads(reply.read())


@pytest.fixture
def orthanc(
    stack: ExitStack, peers: ModuleType, free_port: Callable[[], int], tmp_path: Path
) -> Callable[[int, int], int]:
    """`orthanc(dicom, room)`: an archive on these ports; the port of its REST interface."""
    program = peers.need("Orthanc")

    def start(dicom: int, room: int) -> int:
        http = free_port()
        configuration = {
            "Name": "test", "StorageDirectory": str(tmp_path / "orthanc"), "IndexDirectory": str(tmp_path / "orthanc"),
            "DicomAet": "ORTHANC", "DicomPort": dicom, "HttpPort": http, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "Plugins": [], "DicomAlwaysAllowStore": True,
            "DicomModalities": {"room": {"AET": "ESI_ROOM", "Host": "127.0.0.1", "Port": room}},
        }  # fmt: skip
        (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
        null = subprocess.DEVNULL
        process = subprocess.Popen([program, str(tmp_path / "orthanc.json")], stdout=null, stderr=null)
        stack.callback(process.wait)
        stack.callback(process.terminate)

        def answers() -> bool:
            try:
                return bool(rest(http, "/system"))
            except OSError:
                return False

        until(answers, "Orthanc answers")
        return http

    return start


def test_a_c_arm_finds_all_its_peers_in_the_room(
    make_room: Make, make_broker: Make, subscribe: Make, orthanc: Any, free_port: Callable[[], int]
) -> None:
    commitment, archive = free_port(), free_port()
    broker = make_broker("mosquitto")
    display = subscribe(broker.port).ready()
    room = make_room(broker, extra=destination(archive, committing=True), reports_to={C_ARM: commitment}).start()
    http = orthanc(archive, room.dicom)
    display.ask("order", order=ORDER)
    c_arm = subprocess.run(
        [
            sys.executable, "-m", "simulators", "carm", "--to", f"127.0.0.1:{room.dicom}", "--ae", C_ARM,
            "--worklist", "--mpps", "--dose-report", "end", "--commitment", str(commitment),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert c_arm.returncode == 0, c_arm.stdout + c_arm.stderr
    case = room.until_entry("procedure.ended", outcome="completed", origin="carm").record

    [started] = [entry.data for entry in room.entries("procedure.started")]
    assert (started["procedure"], started["origin"]) == (ORDER["procedure"], "carm")
    assert json.loads((room.data / "records" / case / "private" / "identity.json").read_bytes())["id"] == "E2E-4711"
    images = room.entries("carm.image")
    assert len(images) >= 4
    assert {entry.data["identity"] for entry in images} == {"match"}
    assert {entry.data["order"] for entry in images} == {"ESI-7001"}
    # The staff have said nothing yet: the rules miss that, and nothing is wrong with what came.
    assert {entry.data["rule"] for entry in room.entries("alert.raised")} == {"R1", "R2"}

    # The total over all sources is what the C-arm's own report says.
    [told] = [entry.data for entry in room.entries("carm.dose") if entry.data["provenance"] == "dose report"]
    last = room.entries("carm.dose")[-1].data["total"]
    for quantity in ("dap_gy_m2", "air_kerma_rp_gy", "fluoro_time_s"):
        assert last[quantity] == pytest.approx(told[quantity], rel=0.01) and told[quantity] > 0

    # The room stands for all of it to the C-arm, and the archive to the room.
    uids = {entry.data["sop_instance_uid"] for entry in images}
    assert set(room.until_entry("carm.commitment", by="room", state="reported").data["committed"]) == uids
    room.until_entry("carm.commitment", by="room", state="delivered")
    archived = lambda: {  # noqa: E731
        uid
        for entry in room.entries("carm.commitment")
        if entry.data["by"] == "destination"
        for uid in entry.data.get("committed", ())
    }
    until(lambda: archived() == uids, "the archive stands for every object")
    assert {
        rest(http, f"/instances/{each}/simplified-tags")["SOPInstanceUID"] for each in rest(http, "/instances")
    } == uids

    # No identity anywhere but where it belongs.
    assert not [word for word in IDENTITY for line in room.journal() if word in line]
    assert not [word for word in IDENTITY if word in room.log.read_bytes()]
    open_topics = [payload for topic, payload in display.got if "private/" not in topic and "command/" not in topic]
    assert not [word for word in IDENTITY for payload in open_topics if word in payload]

    published_equals_journal(room, display)
    assert room.stop() == 0
    room.verify()


def test_whatever_the_c_arm_gets_wrong_costs_nothing(
    make_room: Make, make_broker: Make, free_port: Callable[[], int], tmp_path: Path
) -> None:
    """The scenario of faults: another patient's images, a clock that is set, an object that breaks off, one UID twice,
    late images, dose reports wrong in every way that is known, a report of commitment refused, a step ended twice."""
    commitment, broker, ports = free_port(), make_broker("mosquitto"), tmp_path / "ports"
    devices = {"monitor-1": ("ge_dri", ports / "monitor-1"), "pump-1": ("new_era", ports / "pump-1")}
    room = make_room(broker, devices, reports_to={C_ARM: commitment}).start()
    told = subprocess.run(
        [
            sys.executable, "-m", "simulators", "run", "--scenario", "carm_faults", "--speed", "8",
            "--ports", ports, "--carm", f"127.0.0.1:{room.dicom}", "--mqtt", f"mqtt://127.0.0.1:{broker.port}",
            "--commitment-port", str(commitment), "--truth", tmp_path / "truth.jsonl",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    case = room.until_entry("procedure.ended").record

    stored = {line["dataset_sha256"] for line in truth if line["what"] == "c_store" and line["stored"]}
    assert set(room.frames()) == stored and len(stored) > 20

    # Every exposure is counted once, whatever the reports look like. (0.1 dGy.cm2 are 1e-6 Gy.m2.)
    exposures = [line for line in truth if line["what"] == "beam_off"]
    total = [entry.data["total"] for entry in room.entries("carm.dose") if entry.record == case][-1]
    assert total["dap_gy_m2"] == pytest.approx(sum(line["dap_dgy_cm2"] for line in exposures) * 1e-5, rel=1e-3)
    assert total["irradiation_events"] == len(exposures)

    alerts = {entry.data["rule"] for entry in room.entries("alert.raised")}
    assert alerts == {"carm.identity_mismatch", "carm.uid_conflict", "R1", "R2"}
    marked = [entry for entry in room.entries("carm.image") if entry.data.get("identity") == "mismatch"]
    assert len(marked) == sum(line.get("objects", 0) for line in truth if line["what"] == "wrong_patient_armed")
    delivered = [entry for entry in room.entries("carm.commitment") if entry.data["state"] == "delivered"]
    assert len(delivered) == len([line for line in truth if line["what"] == "commitment"]) > 0
    assert room.stop() == 0
    room.verify()


@pytest.fixture
def archive(
    stack: ExitStack, peers: ModuleType, free_port: Callable[[], int], tmp_path: Path
) -> tuple[int, Path, Callable[[], None]]:
    """dcmtk's storescp: its port, its folder, and what starts it."""
    program, port, folder = peers.need("storescp"), free_port(), tmp_path / "archive"
    folder.mkdir()

    def start() -> None:
        command = [program, "+xa", "+B", "+uf", "-od", folder, str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.terminate)

    return port, folder, start


def test_what_is_passed_on_outlives_kills_of_the_daemon(
    make_room: Make, archive: Any, peers: ModuleType, tmp_path: Path
) -> None:
    """The archive is away at first; the daemon dies before, while and after it passes on what waited."""
    port, folder, start = archive
    room = make_room(None, extra=destination(port)).start()
    states = lambda: [entry.data["state"] for entry in room.entries("device.state", "pacs")]  # noqa: E731
    objects = tmp_path / "objects"
    objects.mkdir()
    for number in range(60):
        picture(number).save_as(objects / f"{number:03}.dcm", enforce_file_format=True)
    send = [peers.need("storescu"), "-xe", "-aet", "STORESCU", "-aec", "ESI_ROOM", "+sd", "127.0.0.1", str(room.dicom)]
    subprocess.run([*send, str(objects)], check=True, capture_output=True, timeout=60)
    sent = set(room.frames())
    assert len(sent) == 60
    until(lambda: states()[:1] == ["lost"], "the archive said to be away")
    room.kill()
    room.start()
    start()
    for reached in (5, 30):
        until(lambda reached=reached: len(list(folder.iterdir())) >= reached, f"{reached} objects at the archive")
        room.kill()
        room.start()
    complete = lambda: {sha256(path) for path in folder.iterdir() if path.stat().st_size > 132} >= sent  # noqa: E731
    until(complete, "every object at the archive")
    until(lambda: states()[-1] == "connected", "the archive said to be there")
    assert room.stop() == 0
    room.verify()


def sha256(path: Path) -> str:
    try:
        return hashlib.sha256(data_set_octets(path)).hexdigest()
    except (AssertionError, IndexError):  # storescp is still writing it
        return ""


def picture(number: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    image.StudyInstanceUID = image.SeriesInstanceUID = generate_uid()
    image.Modality, image.InstanceNumber = "OT", number
    image.Rows = image.Columns = 256
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 7, 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = bytes([number]) * 65536
    return image
