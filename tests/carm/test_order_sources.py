"""Where orders come from: files in a folder, and the hospital's worklist, which is dcmtk's wlmscpfs."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import ModalityWorklistInformationFind

from esi_room.carm.caller import folder
from esi_room.carm.caller.entity import UnavailableError
from esi_room.carm.settings import Hospital
from esi_room.carm.wire import OrdersRead, ReadFolder
from esi_room.carm.worklist import sources as order_sources
from esi_room.commands import Identity, Order

TODAY = f"{datetime.now():%Y%m%d}"


def item(name: str = "S1", who: str = "Doe^Jane", **fields: Any) -> Dataset:
    """A worklist item that every server takes: all of type 1 and 2 that wlmscpfs asks for."""
    step = Dataset()
    step.ScheduledStationAETitle, step.Modality = "CARM", fields.pop("modality", "XA")
    step.ScheduledProcedureStepStartDate = fields.pop("date", TODAY)
    step.ScheduledProcedureStepStartTime = "093000"
    step.ScheduledPerformingPhysicianName = "Weiss^Anna"
    step.ScheduledProcedureStepDescription = "Epidural steroid injection"
    step.ScheduledProcedureStepID = name
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = who, "P1", "19600203", "F"
    dataset.StudyInstanceUID, dataset.AccessionNumber = "1.2.3", "A1"
    dataset.RequestedProcedureID, dataset.RequestedProcedureDescription = "R1", "ESI L4/5"
    dataset.ScheduledProcedureStepSequence = Sequence([step])
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def write(path: Path, dataset: Dataset) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = ModalityWorklistInformationFind
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.save_as(path, enforce_file_format=True)
    return path


def read(path: Path, seen: str = "") -> OrdersRead:
    return folder.read(None, ReadFolder(id=0, to=None, path=str(path), seen=seen))


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(folder, "SETTLE_S", 0.02)
    monkeypatch.setattr(order_sources, "FOLDER_POLL_S", 0.1)


# --- the folder --------------------------------------------------------------------------------------------


def test_every_kind_of_file(tmp_path):
    write(tmp_path / "a.wl", item("WL", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg"))
    write(tmp_path / "b.DCM", item("DCM"))
    (tmp_path / "c.toml").write_text(
        """
        id = "TOML"
        procedure = "ESI"
        scheduled_at = 2026-11-23T09:30:00
        identity = { name = "Doe^Jane", id = "P1", birth_date = 1960-02-03 }
        """
    )
    (tmp_path / "d.toml").write_text(
        '[[order]]\nid = "T1"\nidentity.name = "A"\n[[order]]\nid = "T2"\nidentity.name = "B"\n'
    )
    (tmp_path / "e.json").write_text('{"id": "JSON", "identity": {"name": "山田^太郎"}}')
    (tmp_path / "f.json").write_text('{"order": [{"id": "J1", "identity": {"name": "A"}}]}')
    (tmp_path / "g.json").write_text('[{"id": "J2", "identity": {"name": "A"}}]')
    (tmp_path / "README.txt").write_text("not an order")
    (tmp_path / ".h.json").write_text("{")
    (tmp_path / "i.json").mkdir()
    found = read(tmp_path)
    assert found.problems == {}
    assert [each.id for each in found.orders] == ["WL", "DCM", "TOML", "T1", "T2", "JSON", "J1", "J2"]
    dicom, toml = found.orders[0], found.orders[2]
    assert dicom.identity == Identity(name="Müller^Jörg", id="P1", birth_date="1960-02-03")
    assert (dicom.accession, dicom.study_uid, dicom.requested_procedure_id) == ("A1", "1.2.3", "R1")
    assert (dicom.procedure, dicom.modality, dicom.station_ae_title) == ("ESI L4/5", "XA", "CARM")
    assert dicom.scheduled_at == f"{TODAY[:4]}-{TODAY[4:6]}-{TODAY[6:]}T09:30:00"
    assert toml.scheduled_at == "2026-11-23T09:30:00" and toml.identity.birth_date == "1960-02-03"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.toml", b'id = "S2"\nidentity = \n', "at line 2"),
        ("x.toml", b'id = "S2"\n', "missing required field `identity`"),
        ("x.toml", b'id = "S2"\nidentity.name = "A"\nprocedur = "B"\n', "unknown field `procedur`"),
        ("x.toml", b'id = 2\nidentity.name = "A"\n', "Expected `str`, got `int` - at `$.id`"),
        ("x.toml", b"\xff\xfe", "utf-8"),
        ("x.json", b'{"id": "S2",\n "identity"', "line 2"),
        ("x.json", b"[" * 100_000, "recursion"),
        ("x.json", b"3", "Expected `object`, got `int`"),
        ("x.wl", b"", "no Scheduled Procedure Step Sequence"),
        ("x.wl", b"\0" * 200, "no "),
        ("x.dcm", b"id = 3", "no "),
        ("x.json", b" " * (folder.MAX_FILE_BYTES + 1), "larger than 1 MiB"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_broken_file_is_named_and_costs_no_other_order(tmp_path, name, content, problem):
    write(tmp_path / "good.wl", item())
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path)
    assert [each.id for each in found.orders] == ["S1"]
    assert problem in found.problems[name], found.problems


def test_a_broken_order_is_named_and_its_neighbours_stay(tmp_path):
    (tmp_path / "x.json").write_text('[{"id": "A"}, {"id": "B", "identity": {"name": "N"}}]')
    found = read(tmp_path)
    assert [each.id for each in found.orders] == ["B"]
    assert found.problems == {"x.json": "order 1: Object missing required field `identity`"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"PatientName": ""}, "Patient's Name"),
        ({"ScheduledProcedureStepSequence": []}, "no Scheduled Procedure Step Sequence"),
        ({"PatientComments": "x" * 17_000}, "larger than 16 KiB"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_worklist_file_without_what_makes_an_order(tmp_path, change, problem):
    write(tmp_path / "x.wl", item(**change))
    found = read(tmp_path)
    assert found.orders == () and problem in found.problems["x.wl"]
    assert "Doe" not in str(found.problems)


@pytest.mark.filterwarnings("ignore")
def test_a_mistyped_field_costs_itself_alone(tmp_path):
    step = {"ScheduledProcedureStepID": "", "ScheduledProcedureStepStartDate": "soon"}
    dataset = item(PatientSex="FEMALE", PatientBirthDate="1960", AccessionNumber="A" * 30, StudyInstanceUID="x.y")
    for keyword, value in step.items():
        setattr(dataset.ScheduledProcedureStepSequence[0], keyword, value)
    write(tmp_path / "x.wl", dataset)
    [found] = read(tmp_path).orders
    assert found.id == "R1" and found.scheduled_at is None and found.sex is None
    assert found.identity == Identity(name="Doe^Jane", id="P1") and found.accession is None and found.study_uid is None


@pytest.mark.filterwarnings("ignore")
def test_any_octets_in_a_worklist_file_are_told_and_never_raise(tmp_path):
    whole = write(tmp_path / "good.wl", item()).read_bytes()
    chance = random.Random(3)
    for number in range(60):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        (tmp_path / f"{number}.wl").write_bytes(broken[: chance.randrange(len(broken))])
    found = read(tmp_path)
    assert "S1" in [each.id for each in found.orders]


def test_the_folder_is_read_again_when_it_changes_and_only_then(tmp_path):
    path = write(tmp_path / "a.wl", item())
    first = read(tmp_path)
    assert read(tmp_path, first.seen).orders is None
    write(path, item("S2"))
    second = read(tmp_path, first.seen)
    assert [each.id for each in second.orders] == ["S2"]
    path.unlink()
    assert read(tmp_path, second.seen).orders == ()


def test_half_a_file_is_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text('{"id": "S')
    rests = iter(['1", "identity": ', '{"name": "A"}}'])

    def go_on(_seconds: float) -> None:
        with path.open("a") as file:
            file.write(next(rests, ""))

    monkeypatch.setattr(folder.threading, "Event", lambda: SimpleNamespace(wait=go_on))
    found = read(tmp_path)
    assert [each.id for each in found.orders] == ["S1"] and not found.problems


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UnavailableError, match="No such file"):
        read(tmp_path / "nowhere")


async def test_a_room_takes_what_is_dropped_and_lets_go_of_what_is_removed(open_room, tmp_path, capsys):
    dropped = tmp_path / "orders"
    dropped.mkdir()
    write(dropped / "a.wl", item())
    async with open_room(orders_folder=str(dropped)) as room:
        await room.entry("carm.order", order="S1", change="placed", origin="folder")
        (dropped / "b.json").write_text('{"id": "S2"')
        (dropped / "c.toml").write_text('id = "S3"\nidentity.name = "Roe^Richard"\n')
        await room.entry("carm.order", order="S3", change="placed")
        (dropped / "b.json").write_text('{"id": "S2", "identity": {"name": "Roe^Jim"}}')
        await room.entry("carm.order", order="S2", change="placed")
        (dropped / "a.wl").unlink()
        await room.entry("carm.order", order="S1", change="withdrawn")
        shutil.move(dropped, tmp_path / "away")
        lost = await room.entry("device.state", state="lost", reason="folder cannot be read")
        assert "its orders stay" in lost["reason"]
        assert {each.id for each in room.service.orders.offer.orders} == {"S2", "S3"}
        shutil.move(tmp_path / "away", dropped)
        await until(lambda: states(room, "orders")[-1] == "connected")
        assert states(room, "orders") == ["connected", "lost", "connected"]
        assert "Roe" not in str(room.lines()) and "Doe" not in str(room.lines())
    said = capsys.readouterr()
    assert said.out.count("order_unreadable") == 1 and "b.json" in said.out
    assert "Roe" not in said.out + said.err and "Doe" not in said.out + said.err


# --- the hospital ------------------------------------------------------------------------------------------


def told(room: Any, source: str) -> list[dict[str, Any]]:
    lines = [line for line in room.lines() if line.type == "device.state" and line.source == source]
    return [json.loads(bytes(line.data)) for line in lines]


def states(room: Any, source: str) -> list[str]:
    return [each["state"] for each in told(room, source)]


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(15):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


@pytest.fixture
def wlmscpfs(peers, tmp_path) -> Callable[..., Any]:
    """`async with wlmscpfs(port):` the hospital's worklist, its items the files in `tmp_path / "his" / "HIS"`."""
    (tmp_path / "his" / "HIS").mkdir(parents=True)
    (tmp_path / "his" / "HIS" / "lockfile").touch()

    @asynccontextmanager
    async def running(port: int):
        command = (peers.need("wlmscpfs"), "-s", "-csk", "-dfp", tmp_path / "his", str(port))
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return running


def hospital(port: int, **fields: Any) -> Hospital:
    return Hospital(**{"ae_title": "HIS", "host": "127.0.0.1", "port": port, "poll_s": 0.2} | fields)


async def test_the_hospitals_answer_is_kept_through_its_outage_and_our_restart(
    open_room, wlmscpfs, free_port, tmp_path
):
    port, files = free_port(), tmp_path / "his" / "HIS"
    write(files / "a.wl", item("H1", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg"))
    write(files / "b.wl", item("H2", "山田", SpecificCharacterSet="ISO_IR 192"))
    write(files / "c.wl", item("CT", modality="CT"))
    write(files / "d.wl", item("LATER", date="20991231"))
    settings = {"hospital": hospital(port, modality="XA", days=2)}
    async with open_room(**settings) as room:
        async with wlmscpfs(port):
            await room.entry("carm.order", order="H2", change="placed", origin="hospital")
            kept = room.service.orders.offer.orders
            assert [each.identity.name for each in kept] == ["Müller^Jörg", "山田"]
            assert all(each.dataset is not None for each in kept)
        lost = await room.entry("device.state", state="lost", reason="its answer of ")
        assert "stays" in lost["reason"] and room.service.orders.offer.orders == kept
        await asyncio.sleep(0.5)
        async with wlmscpfs(port):
            (files / "a.wl").unlink()
            await room.entry("carm.order", order="H1", change="withdrawn")
            assert states(room, "worklist")[-3:] == ["connected", "lost", "connected"]
        assert "ller" not in str(room.lines())
    async with open_room(**settings) as room:
        assert [each.id for each in room.service.orders.offer.orders] == ["H2"]
        await until(lambda: states(room, "worklist")[-1] == "lost")
        assert "its answer of " in told(room, "worklist")[-1]["reason"]


@pytest.fixture
def scripted(free_port) -> Iterator[Callable[..., Any]]:
    """A hospital that answers with these statuses and items."""
    servers: list[Any] = []

    def start(*responses: tuple[int, Dataset | None]) -> SimpleNamespace:
        queries: list[Dataset] = []

        def find(event: Any) -> Any:
            queries.append(event.identifier)
            yield from responses

        ae = AE("HIS")
        ae.add_supported_context(ModalityWorklistInformationFind)
        server = ae.start_server(("127.0.0.1", free_port()), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
        servers.append(server)
        return SimpleNamespace(port=server.server_address[1], queries=queries)

    yield start
    for server in servers:
        server.shutdown()


async def test_both_kinds_of_pending_answers_are_taken_and_a_bad_item_costs_itself(open_room, scripted, capsys):
    bad = item("", RequestedProcedureID="")
    his = scripted((0xFF00, item("H1")), (0xFF01, item("H2")), (0xFF00, bad))
    async with open_room(hospital=hospital(his.port, station_ae_title="CARM", days=3)) as room:
        await room.entry("carm.order", order="H2", change="placed")
        assert [each.id for each in room.service.orders.offer.orders] == ["H1", "H2"]
        [step] = his.queries[0].ScheduledProcedureStepSequence
        assert step.ScheduledStationAETitle == "CARM" and len(step.ScheduledProcedureStepStartDate) == 17
        assert step["Modality"].is_empty and his.queries[0]["PatientName"].is_empty
        await until(lambda: len(his.queries) > 2)
    said = capsys.readouterr().out
    assert said.count("order_unreadable") == 1 and "item 3" in said and "Doe" not in said


@pytest.mark.parametrize(
    ("responses", "words"),
    [
        (((0xFF00, item("NEW")), (0xA700, None)), "answered A700"),
        (((0xC001, None),), "answered C001"),
    ],
)
async def test_an_answer_that_is_not_whole_changes_nothing(open_room, scripted, responses, words):
    his = scripted(*responses)
    async with open_room(hospital=hospital(his.port)) as room:
        lost = await room.entry("device.state", state="lost", reason=words)
        assert "it has never answered" in lost["reason"] and room.service.orders.offer.orders == ()


async def test_a_c_arm_gets_the_hospitals_item_as_the_hospital_has_it(open_room, scripted, run, peers, tmp_path):
    his = scripted((0xFF00, item("H1", PatientWeight="71.5", Allergies="Latex", MedicalAlerts="Pacemaker")))
    async with open_room(hospital=hospital(his.port)) as room:
        await room.entry("carm.order", order="H1", change="placed")
        keys = itertools.chain.from_iterable(("-k", key) for key in ("PatientWeight", "Allergies", "PatientName"))
        (tmp_path / "out").mkdir()
        command = (peers.need("findscu"), "-W", "-X", "-od", tmp_path / "out", "-aet", "CARM", "-aec", "ESI_ROOM")
        code, said = await run(*command, *keys, "127.0.0.1", str(room.port))
        assert code == 0, said
        answer = dcmread(tmp_path / "out" / "rsp0001.dcm")
        assert (answer.PatientWeight, answer.Allergies, answer.PatientName) == (71.5, "Latex", "Doe^Jane")


def test_the_example_is_an_order_with_every_field(tmp_path):
    example = (Path(__file__).parents[2] / "config" / "order.toml").read_text()
    (tmp_path / "as_it_is.toml").write_text(example)
    (tmp_path / "whole.toml").write_text(re.sub(r"^# (?=[a-z_]+ = )", "", example, flags=re.MULTILINE))
    found = read(tmp_path)
    assert found.problems == {} and len(found.orders) == 2
    unset = {name for name in Order.__struct_fields__ if getattr(found.orders[1], name) is None}
    assert unset == {"dataset"}
