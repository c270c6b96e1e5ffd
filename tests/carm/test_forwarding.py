"""Passing on: to dcmtk and to scripted archives; dead ones, refusing ones, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE, evt

from esi_room.carm.passing import forwarding, waybill
from esi_room.carm.passing.waybill import Waybill
from esi_room.carm.settings import Destination

MPPS = "1.2.840.10008.3.1.2.3.3"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that is away is tried again soon."""
    monkeypatch.setattr(forwarding, "FIRST_PATIENCE_S", 0.05)
    monkeypatch.setattr(forwarding, "LAST_PATIENCE_S", 0.2)
    monkeypatch.setattr(forwarding, "REFUSED_PAUSE_S", 0.01)


class Archive:
    """A scripted archive: answers each C-STORE with the next of `statuses`, then with 0000; keeps what it took."""

    def __init__(self, statuses: tuple[int, ...] = ()) -> None:
        self.statuses, self.asked = list(statuses), 0
        self.stored: list[bytes] = []
        self.uids: list[str] = []

    def store(self, event: Any) -> int:
        self.asked += 1
        status = self.statuses.pop(0) if self.statuses else 0
        if status == 0:
            self.stored.append(event.request.DataSet.getvalue())
            self.uids.append(event.request.AffectedSOPInstanceUID)
        return status


@contextmanager
def listening(
    port: int, archive: Archive, *, syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian,), more: Any = ()
) -> Iterator[None]:
    ae = AE("PACS")
    ae.add_supported_context(SecondaryCaptureImageStorage, list(syntaxes))
    for context in more:
        ae.add_supported_context(context)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, archive.store)])
    try:
        yield
    finally:
        server.shutdown()


def to(port: int, **what: Any) -> Destination:
    return Destination(**{"id": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port} | what)


def states(room: Any, source: str) -> list[str]:
    lines = [line for line in room.lines() if line.type == "device.state" and line.source == source]
    return [msgspec.json.decode(line.data)["state"] for line in lines]


async def passed(archive: Archive, count: int) -> None:
    async with asyncio.timeout(15):
        while len(archive.stored) < count:
            await asyncio.sleep(0.01)


def data_set(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(140)
        file.seek(int.from_bytes(file.read(4), "little"), 1)
        return file.read()


async def test_what_is_received_is_passed_on_in_order_octet_for_octet(open_room, scu, free_port):
    archive, port = Archive(), free_port()
    images = [scu.picture(InstanceNumber=str(n)) for n in range(5)]
    with listening(port, archive):
        async with open_room(destinations=(to(port),)) as room:
            assert await scu.store(room.port, *images) == [0] * 5
            await passed(archive, 5)
            assert archive.uids == [image.SOPInstanceUID for image in images]
            assert set(archive.stored) == {data_set(frame) for frame in room.frames()}
            assert states(room, "pacs") == ["connected"]


async def test_a_dead_destination_delays_only_itself_and_its_outage_is_two_entries(open_room, scu, free_port):
    dead, alive, port, other = Archive(), Archive(), free_port(), free_port()
    destinations = (to(port), to(other, id="second", ae_title="PACS"))
    with listening(other, alive):
        async with open_room(destinations=destinations) as room:
            assert await scu.store(room.port, *(scu.picture() for _ in range(4))) == [0] * 4
            await passed(alive, 4)
            await room.entry("device.state", state="lost", port="PACS @ 127.0.0.1")
            await asyncio.sleep(0.5)
            with listening(port, dead):
                await passed(dead, 4)
                entry = await room.entry("device.state", reason="passing on again")
            assert "4 objects waited" in entry["reason"] and "tries" in entry["reason"]
            assert states(room, "pacs") == ["lost", "connected"]
            assert states(room, "second") == ["connected"]


async def test_a_restart_a_new_record_and_a_killed_caller_lose_nothing_and_keep_the_order(open_room, scu, free_port):
    archive, port = Archive(), free_port()
    settings = {"destinations": (to(port),)}
    images = [scu.picture() for _ in range(6)]
    async with open_room(**settings) as room:
        assert await scu.store(room.port, images[0]) == [0]
        await room.journal.switch("procedure", "a case begins")
        assert await scu.store(room.port, images[1]) == [0]
    with listening(port, archive):
        async with open_room(**settings) as room:
            await passed(archive, 2)
            assert await scu.store(room.port, images[2]) == [0]
            await passed(archive, 3)
            os.kill(room.service.dispatch.outgoing.pid, signal.SIGKILL)
            assert await scu.store(room.port, images[3]) == [0]
            await passed(archive, 4)
        async with open_room(**settings) as room:
            assert await scu.store(room.port, *images[4:]) == [0, 0]
            await passed(archive, 6)
            await asyncio.sleep(0.2)
    # What the killed caller had just sent is sent again: its answer was lost with it.
    assert list(dict.fromkeys(archive.uids)) == [image.SOPInstanceUID for image in images]
    assert len(archive.uids) <= len(images) + 1


async def test_a_daemon_that_dies_before_its_cursor_moved_sends_again(open_room, scu, free_port):
    archive, port = Archive(), free_port()
    settings = {"destinations": (to(port),)}
    with listening(port, archive):
        async with open_room(**settings) as room:
            file = waybill.path(room.root, "pacs")
            before = file.read_bytes()
            assert await scu.store(room.port, scu.picture()) == [0]
            await passed(archive, 1)
        file.write_bytes(before)  # what a kill -9 between the answer and the cursor leaves
        async with open_room(**settings):
            await passed(archive, 2)
    assert archive.uids[0] == archive.uids[1]


@pytest.mark.parametrize("status", [0xA700, 0x0110, 0x0213])
async def test_a_destination_out_of_resources_is_tried_until_it_takes_the_object(open_room, scu, free_port, status):
    archive, port = Archive((status,) * 5), free_port()
    with listening(port, archive):
        async with open_room(destinations=(to(port),)) as room:
            assert await scu.store(room.port, scu.picture()) == [0]
            await passed(archive, 1)
            assert archive.asked == 6
            assert room.entries("carm.forward") == []
            await room.entry("device.state", reason="passing on again")
            assert states(room, "pacs") == ["lost", "connected"]


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122, 0x0124])
async def test_a_refused_object_is_set_aside_the_next_goes_on_and_a_restart_tries_it_again(
    open_room, scu, free_port, status
):
    archive, port = Archive((status,) * forwarding.REFUSED_TRIES), free_port()
    settings = {"destinations": (to(port),)}
    first, second = scu.picture(), scu.picture()
    with listening(port, archive):
        async with open_room(**settings) as room:
            assert await scu.store(room.port, first, second) == [0, 0]
            await passed(archive, 1)
            assert archive.uids == [second.SOPInstanceUID]
            entry = await room.entry("carm.forward", destination="pacs")
            assert entry["status"] == f"{status:04X}" and entry["sop_instance_uid"] == first.SOPInstanceUID
        async with open_room(**settings) as room:
            await passed(archive, 2)
            assert archive.uids[1] == first.SOPInstanceUID
            async with asyncio.timeout(5):
                while msgspec.json.decode(waybill.path(room.root, "pacs").read_bytes(), type=Waybill).aside:
                    await asyncio.sleep(0.01)
            assert len(room.entries("carm.forward")) == 1


async def test_a_syntax_that_the_destination_does_not_take_is_named(open_room, scu, free_port):
    archive, port = Archive(), free_port()
    with listening(port, archive, syntaxes=("1.2.840.10008.1.2.4.70",)):
        async with open_room(destinations=(to(port),)) as room:
            assert await scu.store(room.port, scu.picture()) == [0]
            entry = await room.entry("carm.forward", status="no context")
            assert "Secondary Capture Image Storage in Explicit VR Little Endian" in entry["reason"]


@pytest.mark.parametrize("harm", ["removed", "changed"])
async def test_a_frames_file_that_is_not_what_it_was_is_never_sent(open_room, scu, free_port, harm):
    archive, port = Archive(), free_port()
    settings = {"destinations": (to(port),)}
    async with open_room(**settings) as room:
        assert await scu.store(room.port, scu.picture()) == [0]
        [frame] = room.frames()
    frame.chmod(0o600)
    if harm == "removed":
        frame.unlink()
    else:
        frame.write_bytes(frame.read_bytes()[:-1] + b"x")
    with listening(port, archive):
        async with open_room(**settings) as room:
            entry = await room.entry("carm.forward", status="file")
            assert ("cannot be read" if harm == "removed" else "has changed") in entry["reason"]
            assert await scu.store(room.port, second := scu.picture()) == [0]
            await passed(archive, 1)
    assert archive.uids == [second.SOPInstanceUID]


async def test_a_new_destination_begins_when_it_is_configured_but_takes_what_is_sent_again(open_room, scu, free_port):
    archive, port = Archive(), free_port()
    old, new = scu.picture(), scu.picture()
    async with open_room() as room:
        assert await scu.store(room.port, old) == [0]
    with listening(port, archive):
        async with open_room(destinations=(to(port),)) as room:
            assert await scu.store(room.port, new, new) == [0, 0]
            assert await scu.store(room.port, old) == [0]
            await passed(archive, 2)
            await asyncio.sleep(0.2)
    assert archive.uids == [new.SOPInstanceUID, old.SOPInstanceUID]


async def test_a_torn_waybill_sends_everything_again_rather_than_nothing(open_room, scu, free_port):
    archive, port = Archive(), free_port()
    settings = {"destinations": (to(port),)}
    with listening(port, archive):
        async with open_room(**settings) as room:
            assert await scu.store(room.port, scu.picture()) == [0]
            await passed(archive, 1)
        waybill.path(room.root, "pacs").write_bytes(b'{"since":')
        async with open_room(**settings):
            await passed(archive, 2)


class Hospital:
    """A scripted MPPS provider: `statuses` come first, then 0000."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.messages = list(statuses), []

    def created(self, event: Any) -> tuple[int, Dataset | None]:
        return self._answer("create", event.request.AffectedSOPInstanceUID, event.attribute_list)

    def changed(self, event: Any) -> tuple[int, Dataset | None]:
        return self._answer("set", event.request.RequestedSOPInstanceUID, event.modification_list)

    def _answer(self, kind: str, uid: str, dataset: Dataset) -> tuple[int, Dataset | None]:
        status = self.statuses.pop(0) if self.statuses else 0
        if status in (0, 0x0111):
            self.messages.append((kind, uid, dataset))
        return status, None

    @contextmanager
    def listening(self, port: int) -> Iterator[None]:
        ae = AE("HIS")
        ae.add_supported_context(MPPS)
        handlers = [(evt.EVT_N_CREATE, self.created), (evt.EVT_N_SET, self.changed)]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()


def perform_step(port: int) -> tuple[str, Dataset]:
    """N-CREATE and N-SET to the room: the step's UID and what was created."""
    uid, begun, over = generate_uid(), Dataset(), Dataset()
    begun.PerformedProcedureStepStatus, begun.PerformedProcedureStepID = "IN PROGRESS", "PPS1"
    begun.PerformedProcedureStepStartDate, begun.PerformedProcedureStepStartTime = "20261123", "093000"
    begun.SpecificCharacterSet, begun.PatientName = "ISO_IR 100", "M\xfcller^Eva"
    begun.Modality, begun.ScheduledStepAttributesSequence, begun.PerformedSeriesSequence = "XA", [Dataset()], []
    over.PerformedProcedureStepStatus = "COMPLETED"
    ae = AE("CARM")
    ae.add_requested_context(MPPS)
    association = ae.associate("127.0.0.1", port, ae_title="ESI_ROOM")
    try:
        assert association.send_n_create(begun, MPPS, uid)[0].Status == 0
        assert association.send_n_set(over, MPPS, uid)[0].Status in (0, 0x0116)
    finally:
        association.release()
    return uid, begun


@pytest.mark.parametrize("statuses", [(), (0x0111,), (0x0213, 0x0213)], ids=["at once", "it has it already", "later"])
async def test_steps_are_passed_on_in_order_to_the_hospital_and_only_there(open_room, scu, free_port, statuses):
    hospital, archive, port, other = Hospital(*statuses), Archive(), free_port(), free_port()
    steps = to(port, id="his", ae_title="HIS", images=False, mpps=True)
    with hospital.listening(port), listening(other, archive):
        async with open_room(destinations=(steps, to(other))) as room:
            uid, begun = await asyncio.to_thread(perform_step, room.port)
            assert await scu.store(room.port, scu.picture()) == [0]
            async with asyncio.timeout(15):
                while len(hospital.messages) < 2:
                    await asyncio.sleep(0.01)
            await passed(archive, 1)
            assert [(kind, to_uid) for kind, to_uid, _ in hospital.messages] == [("create", uid), ("set", uid)]
            assert hospital.messages[0][2] == begun
            assert hospital.messages[1][2].PerformedProcedureStepStatus == "COMPLETED"
            assert room.entries("carm.forward") == []


async def test_a_record_just_opened_says_how_its_destinations_are(open_room, free_port, scu):
    async with open_room(destinations=(to(free_port()),)) as room:
        room.journal.at_opening(room.service.say_again)
        assert await scu.store(room.port, scu.picture()) == [0]
        await room.entry("device.state", state="lost", port="PACS @ 127.0.0.1")
        await room.journal.switch("procedure", "a case begins")
        async with asyncio.timeout(5):
            while states(room, "pacs") != ["lost", "lost"]:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def storescp(program: str, port: int, folder: Path) -> AsyncIterator[None]:
    folder.mkdir(exist_ok=True)
    command = (program, "+xa", "+B", "-od", str(folder), str(port))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def test_dcmtk_as_a_destination_killed_and_started_again(open_room, scu, free_port, peers, tmp_path):
    port, folder, program = free_port(), tmp_path / "archive", peers.need("storescp")
    async with open_room(destinations=(to(port),)) as room:
        async with storescp(program, port, folder):
            assert await scu.store(room.port, *(scu.picture() for _ in range(3))) == [0] * 3
            await _files(folder, 3)
        assert await scu.store(room.port, scu.picture()) == [0]
        await room.entry("device.state", state="lost", port="PACS @ 127.0.0.1")
        async with storescp(program, port, folder):
            await _files(folder, 4)
            await room.entry("device.state", reason="passing on again")
        assert {data_set(path) for path in folder.iterdir()} == {data_set(frame) for frame in room.frames()}


async def _files(folder: Path, count: int) -> None:
    async with asyncio.timeout(15):
        while not folder.exists() or len(list(folder.iterdir())) < count:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)
