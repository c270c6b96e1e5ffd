"""Storage commitment, of the room and of destinations: scripted C-arms and archives, and Orthanc both ways."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE, build_role, evt

from esi_room.carm import PeerRule
from esi_room.carm.passing import commitments, pledges
from esi_room.carm.settings import Destination

PUSH_MODEL, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers that are away are tried again soon; quiet is short."""
    for module in (commitments, pledges):
        monkeypatch.setattr(module, "FIRST_PATIENCE_S", 0.05)
        monkeypatch.setattr(module, "LAST_PATIENCE_S", 0.2)
    monkeypatch.setattr(commitments, "QUIET_S", 0.1)
    monkeypatch.setattr(commitments, "FAILED_PAUSE_S", 0.1)
    monkeypatch.setattr(commitments, "_LOOK_S", 0.1)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def referenced(*images: tuple[str, str]) -> list[Dataset]:
    items = []
    for sop_class, uid in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        items.append(item)
    return items


def request(*images: tuple[str, str], uid: str | None = None) -> Dataset:
    dataset = Dataset()
    dataset.TransactionUID = uid or generate_uid()
    dataset.ReferencedSOPSequence = referenced(*images)
    return dataset


# --- the room is asked ------------------------------------------------------------------------------------


class CArm:
    """Asks the room, and listens for its report."""

    def __init__(self, port: int) -> None:
        self.port, self.reports = port, []
        self.status = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        ae = AE("CARM")
        ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)]
        )
        try:
            yield
        finally:
            server.shutdown()

    def _report(self, event: Any) -> tuple[int, None]:
        if self.status == 0:
            self.reports.append((event.event_type, event.event_information, event.assoc.requestor.ae_title))
        return self.status, None

    def ask(self, port: int, dataset: Dataset, *, action: int = 1, instance: str = INSTANCE) -> int:
        ae = AE("CARM")
        ae.add_requested_context(PUSH_MODEL)
        association = ae.associate("127.0.0.1", port, ae_title="ESI_ROOM")
        assert association.is_established
        try:
            status, _ = association.send_n_action(dataset, action, PUSH_MODEL, instance)
        finally:
            association.release()
        return int(status.Status)


@pytest.fixture
def carm(free_port) -> CArm:
    return CArm(free_port())


def with_port(carm: CArm) -> dict[str, Any]:
    return {"peers": (PeerRule(ae_title="CARM", address="127.0.0.1", port=carm.port),)}


def names(dataset: Dataset, keyword: str) -> set[str]:
    return {str(item.ReferencedSOPInstanceUID) for item in dataset.get(keyword) or ()}


async def test_the_room_commits_to_what_it_has_and_names_what_it_has_not(open_room, scu, carm):
    good, other, harmed, unknown = scu.picture(), scu.picture(), scu.picture(), generate_uid()
    async with open_room(**with_port(carm)) as room:
        assert await scu.store(room.port, good, other) == [0, 0]
        before = set(room.frames())
        assert await scu.store(room.port, harmed) == [0]
        [frame] = set(room.frames()) - before
        frame.chmod(0o600)
        frame.write_bytes(frame.read_bytes()[:-1] + b"x")
        secondary = SecondaryCaptureImageStorage
        asked = request(
            (secondary, good.SOPInstanceUID),
            ("1.2.840.10008.5.1.4.1.1.12.1", other.SOPInstanceUID),
            (secondary, harmed.SOPInstanceUID),
            (secondary, unknown),
        )
        with carm.listening():
            assert await asyncio.to_thread(carm.ask, room.port, asked) == 0
            await until(lambda: carm.reports)
        [(kind, told, calling)] = carm.reports
        assert kind == 2 and calling.strip() == "ESI_ROOM" and told.TransactionUID == asked.TransactionUID
        assert names(told, "ReferencedSOPSequence") == {good.SOPInstanceUID}
        reasons = {str(item.ReferencedSOPInstanceUID): item.FailureReason for item in told.FailedSOPSequence}
        assert reasons == {other.SOPInstanceUID: 0x0119, harmed.SOPInstanceUID: 0x0110, unknown: 0x0112}
        await room.entry("carm.commitment", state="delivered")
        said = room.entries("carm.commitment")
        assert [entry["state"] for entry in said] == ["asked", "reported", "delivered"]
        assert said[0]["peer"] == "CARM @ 127.0.0.1" and len(said[0]["instances"]) == 4
        assert said[1]["committed"] == [good.SOPInstanceUID] and "no such object" in said[1]["failed"][unknown]


async def test_all_committed_is_event_1_without_failed_ones(open_room, scu, carm):
    image = scu.picture()
    async with open_room(**with_port(carm)) as room:
        assert await scu.store(room.port, image) == [0]
        with carm.listening():
            asked = request((SecondaryCaptureImageStorage, image.SOPInstanceUID))
            assert await asyncio.to_thread(carm.ask, room.port, asked) == 0
            await until(lambda: carm.reports)
    [(kind, told, _)] = carm.reports
    assert kind == 1 and "FailedSOPSequence" not in told


async def test_a_report_is_kept_through_absence_refusal_and_a_restart_until_it_is_delivered(open_room, scu, carm):
    image = scu.picture()
    async with open_room(**with_port(carm)) as room:
        assert await scu.store(room.port, image) == [0]
        asked = request((SecondaryCaptureImageStorage, image.SOPInstanceUID))
        assert await asyncio.to_thread(carm.ask, room.port, asked) == 0
        await room.entry("carm.association", outcome="failed", reason="report cannot be delivered")
        await asyncio.sleep(0.3)
        assert len(room.entries("carm.association")) == 1
    async with open_room(**with_port(carm)) as room:
        carm.status = 0x0110
        with carm.listening():
            await asyncio.sleep(0.5)
            assert not [e for e in room.entries("carm.commitment") if e["state"] == "delivered"]
            carm.status = 0
            await room.entry("carm.commitment", state="delivered")
        assert len(carm.reports) == 1
        assert [e["state"] for e in room.entries("carm.commitment")] == ["asked", "reported", "delivered"]
    async with open_room(**with_port(carm)):
        with carm.listening():
            await asyncio.sleep(0.3)
        assert len(carm.reports) == 1


async def test_the_same_request_again_is_reported_again_another_under_its_uid_is_refused(open_room, scu, carm):
    image = scu.picture()
    async with open_room(**with_port(carm)) as room:
        assert await scu.store(room.port, image) == [0]
        asked = request((SecondaryCaptureImageStorage, image.SOPInstanceUID))
        with carm.listening():
            assert await asyncio.to_thread(carm.ask, room.port, asked) == 0
            await until(lambda: len(carm.reports) == 1)
            await room.entry("carm.commitment", state="delivered")
            assert await asyncio.to_thread(carm.ask, room.port, asked) == 0
            await until(lambda: len(carm.reports) == 2)
            other = request((SecondaryCaptureImageStorage, generate_uid()), uid=asked.TransactionUID)
            assert await asyncio.to_thread(carm.ask, room.port, other) == 0x0115


@pytest.mark.parametrize(
    ("dataset", "options", "status"),
    [
        (request(), {}, 0x0115),
        (Dataset(), {}, 0x0115),
        (request(("", "1.2.3")), {}, 0x0115),
        (request((SecondaryCaptureImageStorage, "1.2.3")), {"action": 2}, 0x0123),
        (request((SecondaryCaptureImageStorage, "1.2.3")), {"instance": "1.2.3.4"}, 0x0112),
    ],
    ids=["no instances", "nothing", "no class", "another action", "another instance"],
)
async def test_a_request_that_is_none_is_refused_and_leaves_no_entry(open_room, carm, dataset, options, status):
    if "TransactionUID" not in dataset:
        dataset.PatientID = ""
    async with open_room(**with_port(carm)) as room:
        assert await asyncio.to_thread(lambda: carm.ask(room.port, dataset, **options)) == status
        assert room.entries("carm.commitment") == []


async def test_a_peer_without_a_port_is_refused_and_the_record_says_what_to_configure(open_room, scu, carm):
    async with open_room(peers=(PeerRule(ae_title="CARM", address="127.0.0.0/8"),)) as room:
        for _ in range(2):
            asked = request((SecondaryCaptureImageStorage, "1.2.3"))
            assert await asyncio.to_thread(carm.ask, room.port, asked) == 0x0110
        await room.entry("carm.association", peer="CARM @ 127.0.0.1", reason="give `port`")
        assert len(room.entries("carm.association")) == 1
        assert room.entries("carm.commitment") == []


# --- the room asks ----------------------------------------------------------------------------------------


class Archive:
    """Stores, and answers each request as `verdict` says: the SOP instance UIDs that fail, with their reasons."""

    def __init__(self, port: int, *, same_association: bool = False) -> None:
        self.port, self.room_port, self.same = port, 0, same_association
        self.stored: list[str] = []
        self.requests: list[Dataset] = []
        self.verdicts: list[dict[str, int] | None] = []
        self.answers: list[int] = []
        self.status = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        ae = AE("PACS")
        ae.add_supported_context(SecondaryCaptureImageStorage)
        ae.add_supported_context(PUSH_MODEL)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._asked)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _asked(self, event: Any) -> tuple[int, None]:
        if self.status == 0:
            dataset = event.action_information
            self.requests.append(dataset)
            verdict = self.verdicts.pop(0) if self.verdicts else {}
            if verdict is not None:
                told = (dataset, verdict, event.assoc if self.same else None)
                threading.Thread(target=self._report, args=told).start()
        return self.status, None

    def _report(self, asked: Dataset, verdict: dict[str, int], association: Any) -> None:
        told = Dataset()
        told.TransactionUID = asked.TransactionUID
        good = [i for i in asked.ReferencedSOPSequence if i.ReferencedSOPInstanceUID not in verdict]
        bad = [i for i in asked.ReferencedSOPSequence if i.ReferencedSOPInstanceUID in verdict]
        for item in bad:
            item.FailureReason = verdict[item.ReferencedSOPInstanceUID]
        if good:
            told.ReferencedSOPSequence = good
        if bad:
            told.FailedSOPSequence = bad
        self.tell(told, association)

    def tell(self, told: Dataset, association: Any = None) -> None:
        opened = None
        if association is None:
            opened = association = self._associate()
            assert association.accepted_contexts[0].as_scp
        kind = 2 if "FailedSOPSequence" in told else 1
        status, _ = association.send_n_event_report(told, kind, PUSH_MODEL, INSTANCE)
        self.answers.append(int(status.Status))
        if opened is not None:
            opened.release()

    def _associate(self) -> Any:
        """With the room, once the test has said where it is."""
        ae = AE("PACS")
        ae.add_requested_context(PUSH_MODEL)
        role = build_role(PUSH_MODEL, scp_role=True)
        while not self.room_port:
            time.sleep(0.01)
        association = ae.associate("127.0.0.1", self.room_port, ae_title="ESI_ROOM", ext_neg=[role])
        assert association.is_established
        return association


def asking(archive: Archive) -> dict[str, Any]:
    archive.room_port = 0
    pacs = Destination(id="pacs", ae_title="PACS", host="127.0.0.1", port=archive.port, commitment=True)
    peers = tuple(PeerRule(ae_title=title, address="127.0.0.1") for title in ("CARM", "PACS"))
    return {"destinations": (pacs,), "peers": peers}


@pytest.mark.parametrize("same_association", [False, True])
async def test_a_destination_is_asked_after_passing_on_and_its_word_is_in_the_record(
    open_room, scu, free_port, same_association
):
    archive = Archive(free_port(), same_association=same_association)
    images = [scu.picture() for _ in range(3)]
    with archive.listening():
        async with open_room(**asking(archive)) as room:
            archive.room_port = room.port
            assert room.service.dispatch.commitments.stands(images[0].SOPInstanceUID) == frozenset()
            assert await scu.store(room.port, *images) == [0] * 3
            await room.entry("carm.commitment", state="reported", by="destination", peer="pacs")
            uids = {image.SOPInstanceUID for image in images}
            await until(lambda: {u for e in room.entries("carm.commitment") for u in e.get("committed", ())} == uids)
            stands = room.service.dispatch.commitments.stands
            await until(lambda: all(stands(uid) == {"pacs"} for uid in uids))
            await until(lambda: archive.answers)
            assert set(archive.answers) == {0}
        async with open_room(**asking(archive)) as room:
            await until(lambda: room.service.dispatch.commitments.stands(images[2].SOPInstanceUID) == {"pacs"})
            asked = len(archive.requests)
            await asyncio.sleep(0.5)
            assert len(archive.requests) == asked


async def test_what_is_not_committed_is_sent_and_asked_for_again(open_room, scu, free_port):
    archive, image = Archive(free_port()), scu.picture()
    uid = image.SOPInstanceUID
    archive.verdicts = [{uid: 0x0112}]
    with archive.listening():
        async with open_room(**asking(archive)) as room:
            archive.room_port = room.port
            assert await scu.store(room.port, image) == [0]
            await until(lambda: room.service.dispatch.commitments.stands(uid) == {"pacs"})
            assert archive.stored == [uid, uid] and len(archive.requests) == 2
            assert archive.requests[0].TransactionUID != archive.requests[1].TransactionUID
            assert [e.get("failed") for e in room.entries("carm.commitment")] == [None, {uid: "0112"}, None, None]


async def test_asking_again_has_an_end_and_that_is_said(open_room, scu, free_port):
    archive, image = Archive(free_port()), scu.picture()
    uid = image.SOPInstanceUID
    archive.verdicts = [{uid: 0x0110}] * 20
    with archive.listening():
        async with open_room(**asking(archive)) as room:
            archive.room_port = room.port
            assert await scu.store(room.port, image) == [0]
            await room.entry("carm.forward", status="not committed", reason=f"asked {commitments.MAX_ASKS} times")
            await asyncio.sleep(0.4)
            assert len(archive.requests) == commitments.MAX_ASKS
            assert room.service.dispatch.commitments.stands(uid) == frozenset()


async def test_no_answer_in_time_is_asked_again_and_a_late_one_counts(open_room, scu, free_port, monkeypatch):
    archive, image = Archive(free_port()), scu.picture()
    archive.verdicts = [None] * 10
    monkeypatch.setattr(commitments, "ANSWER_S", 0.5)
    with archive.listening():
        async with open_room(**asking(archive)) as room:
            archive.room_port = room.port
            assert await scu.store(room.port, image) == [0]
            await until(lambda: len(archive.requests) >= 2)
            assert archive.requests[0].TransactionUID != archive.requests[1].TransactionUID
            await asyncio.to_thread(archive.tell, archive.requests[0])
            assert room.service.dispatch.commitments.stands(image.SOPInstanceUID) == {"pacs"}


async def test_an_answer_after_a_restart_counts_and_one_that_was_never_asked_for_does_not(open_room, scu, free_port):
    archive, image = Archive(free_port()), scu.picture()
    archive.verdicts = [None]
    with archive.listening():
        async with open_room(**asking(archive)) as room:
            assert await scu.store(room.port, image) == [0]
            await until(lambda: archive.requests)
        async with open_room(**asking(archive)) as room:
            archive.room_port = room.port
            await asyncio.to_thread(archive.tell, archive.requests[0])
            await asyncio.to_thread(archive.tell, archive.requests[0])
            strange = request((SecondaryCaptureImageStorage, image.SOPInstanceUID))
            await asyncio.to_thread(archive.tell, strange)
            assert archive.answers == [0, 0, 0x0115]
            assert room.service.dispatch.commitments.stands(image.SOPInstanceUID) == {"pacs"}
            assert len([e for e in room.entries("carm.commitment") if e["state"] == "reported"]) == 1


async def test_a_restart_does_not_ask_again_for_what_is_asked_again_already(open_room, scu, free_port):
    archive, image = Archive(free_port()), scu.picture()
    archive.verdicts = [{image.SOPInstanceUID: 0x0112}, None]
    with archive.listening():
        async with open_room(**asking(archive)) as room:
            archive.room_port = room.port
            assert await scu.store(room.port, image) == [0]
            await until(lambda: len(archive.requests) == 2)
        async with open_room(**asking(archive)) as room:
            await asyncio.sleep(0.6)
            assert len(archive.requests) == 2 and len(archive.stored) == 2
            archive.room_port = room.port
            await asyncio.to_thread(archive.tell, archive.requests[1])
            assert room.service.dispatch.commitments.stands(image.SOPInstanceUID) == {"pacs"}


async def test_a_destination_that_refuses_such_requests_is_asked_again_at_the_next_start(open_room, scu, free_port):
    archive, image = Archive(free_port()), scu.picture()
    archive.status = 0x0124
    with archive.listening():
        async with open_room(**asking(archive)) as room:
            assert await scu.store(room.port, image) == [0]
            entry = await room.entry("carm.commitment", state="reported")
            assert "refused" in entry["failed"][image.SOPInstanceUID]
        archive.status = 0
        async with open_room(**asking(archive)) as room:
            archive.room_port = room.port
            await until(lambda: room.service.dispatch.commitments.stands(image.SOPInstanceUID) == {"pacs"})
            assert archive.stored == [image.SOPInstanceUID]


# --- Orthanc ----------------------------------------------------------------------------------------------


def _rest(port: int, path: str, body: Any = None) -> Any:
    octets = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", octets), timeout=20) as reply:
        return json.loads(reply.read())


@asynccontextmanager
async def orthanc(program: str, folder: Path, dicom: int, http: int, room: int) -> AsyncIterator[None]:
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {"room": {"AET": "ESI_ROOM", "Host": "127.0.0.1", "Port": room}},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, folder / "orthanc.json", stdout=null, stderr=null)
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    await asyncio.to_thread(_rest, http, "/system")
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_orthanc_stores_commits_and_asks_the_room_to(open_room, scu, peers, free_port, tmp_path):
    program, dicom, http = peers.need("Orthanc"), free_port(), free_port()
    pacs = Destination(id="orthanc", ae_title="ORTHANC", host="127.0.0.1", port=dicom, commitment=True)
    rules = (
        PeerRule(ae_title="CARM", address="127.0.0.1"),
        PeerRule(ae_title="ORTHANC", address="127.0.0.1", port=dicom),
    )
    images = [scu.picture(PatientID="X") for _ in range(3)]
    async with (
        open_room(destinations=(pacs,), peers=rules) as room,
        orthanc(program, tmp_path, dicom, http, room.port),
    ):
        assert await scu.store(room.port, *images) == [0] * 3
        uids = {image.SOPInstanceUID for image in images}
        stands = room.service.dispatch.commitments.stands
        await until(lambda: all(stands(uid) == {"orthanc"} for uid in uids))
        ids = await asyncio.to_thread(_rest, http, "/instances")
        assert len(ids) == 3
        body = {"DicomInstances": [{"SOPClassUID": SecondaryCaptureImageStorage, "SOPInstanceUID": u} for u in uids]}
        body["DicomInstances"].append({"SOPClassUID": SecondaryCaptureImageStorage, "SOPInstanceUID": "1.2.3.4"})
        made = await asyncio.to_thread(_rest, http, "/modalities/room/storage-commitment", body)
        async with asyncio.timeout(20):
            while True:
                report = await asyncio.to_thread(_rest, http, made["Path"])
                if report["Status"] != "Pending":
                    break
                await asyncio.sleep(0.1)
        assert report["Status"] == "Failure"
        assert {item["SOPInstanceUID"] for item in report["Success"]} == uids
        assert [item["SOPInstanceUID"] for item in report["Failures"]] == ["1.2.3.4"]
        assert report["Failures"][0]["FailureReason"] == 0x0112, report
        await room.entry("carm.commitment", by="room", state="delivered", peer="ORTHANC @ 127.0.0.1")
