"""C-STORE: what is acknowledged is in the record, and what is in the record is what was sent."""

from __future__ import annotations

import asyncio
import hashlib
import stat
import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    generate_uid,
)
from pynetdicom import build_context

from esi_room.carm import keeper
from esi_room.carm.listener.contexts import storage_classes, transfer_syntaxes
from esi_room.record.verify_room import verify_room


async def test_an_acknowledged_object_is_in_the_record_as_sent(room, scu):
    image = scu.picture(KVP="71.5", PositionerPrimaryAngle="-12")
    assert await scu.store(room.port, image) == [0x0000]
    [entry] = room.entries("carm.image")  # no wait: it was durable before the answer
    [frame] = room.frames()
    assert frame.name == f"{entry['sha256']}.dcm"
    assert hashlib.sha256(frame.read_bytes()).hexdigest() == entry["sha256"]
    assert frame.stat().st_size == entry["size_bytes"]
    assert stat.S_IMODE(frame.stat().st_mode) == 0o600
    assert stat.S_IMODE(frame.parent.stat().st_mode) == 0o700
    kept = dcmread(frame)
    assert kept.PixelData == image.PixelData and kept.SOPInstanceUID == image.SOPInstanceUID
    assert kept.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert entry["peer"] == "CARM @ 127.0.0.1"
    assert (entry["kvp"], entry["primary_angle_deg"], entry["rows"]) == (71.5, -12.0, 4)
    assert entry["duplicate_of"] is None
    assert room.incoming() == []


async def test_the_record_with_images_verifies(room, scu):
    same = scu.picture()
    await scu.store(room.port, scu.picture(), same, same)
    await room.journal.close()
    reports = list(verify_room(room.root))
    assert [problem for report in reports for problem in report.problems] == []
    assert sum(report.images for report in reports) == 2


async def test_the_same_object_again_is_one_file_and_an_entry_that_says_so(room, scu):
    image = scu.picture()
    assert await scu.store(room.port, image) == [0]
    assert await scu.store(room.port, image, calling="STORESCU") == [0]
    first, second = room.entries("carm.image")
    seq = next(line.seq for line in room.lines() if line.type == "carm.image")
    assert second["duplicate_of"] == {"record": room.journal.record, "seq": seq}
    assert first["sha256"] == second["sha256"]
    assert len(room.frames()) == 1
    assert room.entries("alert.raised") == []


async def test_one_uid_with_two_contents_keeps_both_and_raises_one_alert(room, scu):
    uid = generate_uid()
    one = scu.picture(SOPInstanceUID=uid)
    other = scu.picture(SOPInstanceUID=uid, PixelData=bytes(16))
    assert await scu.store(room.port, one, other, other, one) == [0, 0, 0, 0]
    assert len(room.frames()) == 2
    alert = await room.entry("alert.raised", rule="carm.uid_conflict")
    seqs = [line.seq for line in room.lines() if line.type == "carm.image"]
    assert alert["facts"] == seqs[:2] and alert["severity"] == "high"
    assert len(room.entries("alert.raised")) == 1
    duplicates = [entry["duplicate_of"]["seq"] for entry in room.entries("carm.image")[2:]]
    assert duplicates == [seqs[1], seqs[0]]


async def test_duplicates_are_known_across_records_and_restarts(open_room, scu):
    image = scu.picture()
    async with open_room() as room:
        assert await scu.store(room.port, image) == [0]
        await room.journal.switch("procedure", "test")
    async with open_room() as room:
        assert await scu.store(room.port, image) == [0]
        again = room.entries("carm.image")[-1]
        assert again["duplicate_of"] is not None
        assert len(room.frames()) == 2, "each record holds what its entries name"
        await room.journal.close()
        assert [p for report in verify_room(room.root) for p in report.problems] == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"AffectedSOPInstanceUID": "1.2.3.4"}, 0xA900),
        ({"AffectedSOPInstanceUID": "../../../etc/passwd"}, 0x0117),
        ({"AffectedSOPInstanceUID": "/tmp/x"}, 0x0117),
        ({"AffectedSOPClassUID": CTImageStorage}, 0x0122),
    ],
)
async def test_a_request_that_contradicts_its_object_is_refused_and_recorded(room, scu, change, status):
    image = scu.picture()
    uid = change.get("AffectedSOPInstanceUID", image.SOPInstanceUID)
    sop_class = change.get("AffectedSOPClassUID", SecondaryCaptureImageStorage)
    octets = _encoded(image)
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(scu.request())
    assert (await scu.read_pdu(reader))[0] == 2
    writer.write(scu.pdv(3, scu.store_command(uid, sop_class=sop_class)) + scu.pdv(2, octets))
    kind, body = await scu.read_pdu(reader)
    assert kind == 4 and scu.status_of(body) == status
    writer.close()
    await room.entry("carm.association", outcome="failed", reason=f"{status:04X}")
    assert room.frames() == [] and room.entries("carm.image") == []
    assert room.incoming() == []


def _encoded(image: Dataset) -> bytes:
    from pynetdicom.dsutils import encode

    octets = encode(image, False, True)
    assert octets is not None
    return octets


async def test_a_store_request_without_a_data_set_gets_an_answer(room, scu):
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(scu.request())
    await scu.read_pdu(reader)
    writer.write(scu.pdv(3, scu.store_command("1.2.3", dataset=0x0101)))
    _, body = await scu.read_pdu(reader)
    assert scu.status_of(body) == 0xC000
    writer.close()


async def test_an_object_that_does_not_parse_is_kept_as_received(room, scu):
    octets = b"this is no data set at all, and never was" * 3
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(scu.request())
    await scu.read_pdu(reader)
    writer.write(scu.pdv(3, scu.store_command("1.2.3.4")) + scu.pdv(0, octets[:50]) + scu.pdv(2, octets[50:]))
    _, body = await scu.read_pdu(reader)
    assert scu.status_of(body) == 0
    writer.close()
    [entry] = room.entries("carm.image")
    assert "does not parse" in entry["unreadable"]
    assert room.frames()[0].read_bytes().endswith(octets)
    assert entry["sha256"] == hashlib.sha256(room.frames()[0].read_bytes()).hexdigest()


@pytest.mark.parametrize("limits", [{"disk_reserve_bytes": 1 << 62}, {"object_bytes": 600}])
async def test_no_room_on_the_disk_is_out_of_resources(open_room, scu, limits):
    async with open_room(**limits) as room:
        assert await scu.store(room.port, scu.picture(PixelData=bytes(16) * 100)) == [0xA700]
        await room.entry("carm.association", outcome="failed", reason="A700")
        assert room.frames() == [] and room.incoming() == []


async def test_a_record_that_cannot_be_written_is_out_of_resources_and_the_peer_may_retry(room, scu):
    image = scu.picture()
    frames = room.journal.directory / "frames"
    frames.write_text("a file where the directory should be")
    assert await scu.store(room.port, image) == [0xA700]
    assert room.entries("carm.image") == []
    frames.unlink()
    assert await scu.store(room.port, image) == [0]
    assert room.entries("carm.image")[0]["duplicate_of"] is None


async def test_a_disk_that_fails_under_the_journal_is_out_of_resources(room, scu, monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.journal._disk, "sync", fails)
    image = scu.picture()
    assert await scu.store(room.port, image) == [0xA700]
    assert await scu.store(room.port, image) == [0xA700]
    monkeypatch.undo()
    async with asyncio.timeout(10):
        while room.journal.problem is not None:
            await asyncio.sleep(0.05)
    assert await scu.store(room.port, image) == [0]
    assert len(room.frames()) == 1


async def test_a_torn_file_left_by_a_crash_is_replaced(room, scu):
    image = scu.picture()
    assert await scu.store(room.port, image) == [0]
    whole = room.frames()[0]
    octets = whole.read_bytes()
    await room.journal.switch("procedure", "test")
    frames = room.journal.directory / "frames"
    frames.mkdir()
    (frames / whole.name).write_bytes(octets[:100])
    assert await scu.store(room.port, image) == [0]
    assert (frames / whole.name).read_bytes() == octets
    assert [path.name for path in frames.iterdir()] == [whole.name]


async def test_an_object_under_way_while_the_record_switches_lies_where_its_entry_is(room, scu):
    images = [scu.picture() for _ in range(30)]
    sending = asyncio.create_task(scu.store(room.port, *images))
    for _ in range(5):
        await asyncio.sleep(0.02)
        await room.journal.switch("procedure", "test")
    assert await sending == [0] * 30
    await room.journal.close()
    assert [p for report in verify_room(room.root) for p in report.problems] == []


async def test_every_storage_class_is_accepted(room, scu):
    classes = sorted(storage_classes())
    assert len(classes) > 200 and UltrasoundImageStorage in classes
    for start in range(0, len(classes), 128):
        contexts = [build_context(uid, ExplicitVRLittleEndian) for uid in classes[start : start + 128]]
        association = await scu.associate(room.port, contexts)
        assert association.rejected_contexts == []
        await asyncio.to_thread(association.release)


async def test_every_transfer_syntax_is_accepted_and_an_object_of_each_class_stored(room, scu):
    contexts = [build_context(SecondaryCaptureImageStorage, syntax) for syntax in transfer_syntaxes()]
    association = await scu.associate(room.port, contexts)
    assert association.rejected_contexts == []
    await asyncio.to_thread(association.release)
    images = [scu.picture(SOPClassUID=uid) for uid in sorted(storage_classes())[-60:]]
    assert set(await scu.store(room.port, *images)) == {0}


async def test_of_several_transfer_syntaxes_one_without_loss_is_taken(room, scu):
    lossy_first = build_context(
        SecondaryCaptureImageStorage, ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2"]
    )
    association = await scu.associate(room.port, [lossy_first])
    assert association.accepted_contexts[0].transfer_syntax == ["1.2.840.10008.1.2"]
    await asyncio.to_thread(association.release)


async def test_the_listener_links_by_itself_and_the_daemon_where_it_cannot(room, scu, monkeypatch):
    linked: list[str] = []
    real = keeper.link
    monkeypatch.setattr(keeper, "link", lambda *arguments: (linked.append(arguments[2]), real(*arguments)))
    images = [scu.picture() for _ in range(3)]
    assert await scu.store(room.port, *images) == [0, 0, 0]
    assert len(linked) == 1, "the record had no frames before its first image"
    await room.journal.switch("procedure", "test")
    assert await scu.store(room.port, *images) == [0, 0, 0]
    assert len(linked) == 2 and len(room.frames()) == 6


LARGE_MIB = 300


async def test_a_large_run_costs_no_memory(room, scu):
    assert await scu.store(room.port, scu.picture()) == [0]
    pid = room.service.listener_pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak so far
    before_kib = _peak_kib(pid)
    image = scu.picture(NumberOfFrames=LARGE_MIB)
    del image.PixelData
    header = _encoded(image) + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, LARGE_MIB << 20)
    frame = scu.pdv(0, bytes(1 << 19)) * 2
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(scu.request())
    assert (await scu.read_pdu(reader))[0] == 2
    writer.write(scu.pdv(3, scu.store_command(image.SOPInstanceUID)) + scu.pdv(0, header))
    for _ in range(LARGE_MIB):
        writer.write(frame)
        await writer.drain()
    writer.write(scu.pdv(2, b""))
    _, body = await asyncio.wait_for(scu.read_pdu(reader), 60)
    assert scu.status_of(body) == 0
    writer.close()
    assert room.entries("carm.image")[-1]["size_bytes"] > LARGE_MIB << 20
    assert _peak_kib(pid) - before_kib < 8 << 10


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
