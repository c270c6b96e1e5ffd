"""MPPS: a scripted C-arm against the running service; what it makes of the record, and of the procedure."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import build_context
from pynetdicom.dsutils import encode

from esi_room.carm.listener.steps import MPPS, parsed, read
from esi_room.commands import EnterPhase, Identity, Order, PlaceOrder, Start
from esi_room.record.verify import verify_room

CLASS = UID(MPPS)
WHO = {"actor": "Dr. A", "client": "console-1"}
ERIKA = Identity(name="Mustermann^Erika", id="4711", birth_date="1960-02-03")


def item(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def created(**changes: Any) -> Dataset:
    """An N-CREATE's data set as table F.7.2-1 asks for it."""
    scheduled = item(StudyInstanceUID=generate_uid(), AccessionNumber="", ScheduledProcedureStepID="")
    whole = {
        "ScheduledStepAttributesSequence": [scheduled],
        "PatientName": "Mustermann^Erika",
        "PatientID": "4711",
        "PatientBirthDate": "19600203",
        "PatientSex": "F",
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "CARM",
        "PerformedProcedureStepStartDate": "20261123",
        "PerformedProcedureStepStartTime": "093000",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepDescription": "lumbar",
        "Modality": "XA",
        "PerformedSeriesSequence": [],
    }
    return item(**{keyword: value for keyword, value in (whole | changes).items() if value is not None})


def ended(status: str = "COMPLETED", *images: Dataset, **changes: Any) -> Dataset:
    """An N-SET's data set in the final state."""
    series = item(
        SeriesInstanceUID=generate_uid(),
        ReferencedImageSequence=[
            item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
            for image in images
        ],
        ReferencedNonImageCompositeSOPInstanceSequence=[],
    )
    whole = {
        "PerformedProcedureStepStatus": status,
        "PerformedProcedureStepEndDate": "20261123",
        "PerformedProcedureStepEndTime": "094500",
        "PerformedSeriesSequence": [series],
    }
    return item(**{keyword: value for keyword, value in (whole | changes).items() if value is not None})


class CArm:
    """MPPS as SCU; each message on an association of its own, as many C-arms do it."""

    def __init__(self, scu: Any, port: int, syntax: UID = ExplicitVRLittleEndian) -> None:
        self._scu, self.port, self._syntax = scu, port, syntax

    async def create(self, dataset: Dataset | None, uid: str | None = None) -> Dataset:
        return await self._send("create", dataset, uid)

    async def set(self, dataset: Dataset, uid: str) -> Dataset:
        return await self._send("set", dataset, uid)

    async def _send(self, message: str, dataset: Dataset | None, uid: str | None) -> Dataset:
        association = await self._scu.associate(self.port, [build_context(CLASS, self._syntax)])
        assert association.is_established
        send = association.send_n_create if message == "create" else association.send_n_set
        try:
            status, _ = await asyncio.to_thread(send, dataset, CLASS, uid)
        finally:
            await asyncio.to_thread(association.release)
        return status


@pytest.fixture
def carm(room, scu) -> CArm:
    return CArm(scu, room.port)


async def test_a_step_opens_a_procedure_and_its_end_closes_it(room, carm, scu):
    uid, image = generate_uid(), scu.picture(PatientName="MUSTERMANN^ERIKA", PatientID="4711")
    unsent = scu.picture()
    standby = room.journal.record
    assert (await carm.create(created(), uid)).Status == 0
    case = room.journal.record
    assert (room.journal.kind, case != standby) == ("procedure", True)
    assert await scu.store(room.port, image) == [0]
    assert (await carm.set(ended("COMPLETED", image, unsent), uid)).Status == 0
    assert (room.journal.kind, room.desk.under_way) == ("standby", False)
    kinds = [line.type for line in room.lines() if line.record == case]
    wanted = ("procedure.started", "carm.mpps", "carm.image", "carm.mpps", "procedure.ended", "record.sealed")
    assert [kind for kind in kinds if kind in wanted] == list(wanted)
    begun, over = room.entries("carm.mpps")
    assert (begun["status"], begun["message"], begun["started"]) == ("IN PROGRESS", "create", "2026-11-23T09:30:00")
    assert (over["status"], over["ended"], over["images"]) == ("COMPLETED", "2026-11-23T09:45:00", 2)
    assert over["missing"] == [unsent.SOPInstanceUID]
    assert (begun["identity"], room.entries("carm.image")[0]["identity"]) == ("match", "match")
    assert room.entries("procedure.started")[0]["procedure"] == "lumbar"
    assert room.entries("procedure.ended")[0] == {"outcome": "completed", "origin": "carm"}
    assert all(report.ok for report in verify_room(room.root))


async def test_its_data_set_is_kept_as_it_came_and_readable_by_nobody_else(room, carm):
    sent = created()
    await carm.create(sent, generate_uid())
    entry = room.entries("carm.mpps")[0]
    kept = room.journal.directory / "private" / f"{entry['sha256']}.mpps"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert dcmread(kept) == sent
    for line in (room.root / "records" / room.journal.record / "journal.jsonl").read_bytes().splitlines():
        assert b"Mustermann" not in line and b"4711" not in line


@pytest.mark.parametrize(
    ("dataset", "status"),
    [
        (created(PerformedProcedureStepStatus="COMPLETED"), 0x0106),
        (created(PerformedProcedureStepStatus="DISCONTINUED"), 0x0106),
        (created(PerformedProcedureStepStatus="in progress"), 0x0106),
        (created(PerformedProcedureStepStatus=None), 0x0120),
        (created(PerformedProcedureStepStatus=""), 0x0120),
        (None, 0x0120),
    ],
)
async def test_a_step_begins_in_progress(room, carm, dataset, status):
    answer = await carm.create(dataset, generate_uid())
    assert answer.Status == status and answer.ErrorComment
    refused = await room.entry("carm.association", outcome="failed", reason=f"N-CREATE answered {status:04X}")
    assert refused["peer"].startswith("CARM @")
    assert (room.entries("carm.mpps"), room.journal.kind) == ([], "standby")


async def test_the_state_rules(room, carm):
    uid = generate_uid()
    assert (await carm.set(ended(), uid)).Status == 0x0112
    assert (await carm.create(created(), uid)).Status == 0
    assert (await carm.create(created(), uid)).Status == 0x0111
    assert (await carm.set(ended("PAUSED"), uid)).Status == 0x0106
    assert (await carm.set(item(PerformedProcedureStepDescription="C6/7"), uid)).Status == 0
    assert (await carm.set(ended("IN PROGRESS"), uid)).Status == 0
    assert (await carm.set(ended("DISCONTINUED"), uid)).Status == 0
    for status in ("COMPLETED", "DISCONTINUED", "IN PROGRESS"):
        answer = await carm.set(ended(status), uid)
        assert (answer.Status, answer.ErrorID) == (0x0110, 0xA710)
        assert answer.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    assert (await carm.create(created(), "1.2.x")).Status == 0x0117
    said = [(entry["message"], entry["status"]) for entry in room.entries("carm.mpps")]
    assert said == [
        ("create", "IN PROGRESS"),
        ("set", "IN PROGRESS"),
        ("set", "IN PROGRESS"),
        ("set", "DISCONTINUED"),
    ]


async def test_a_step_without_a_uid_is_given_one(room, scu):
    association = await scu.associate(room.port, [build_context(CLASS, ExplicitVRLittleEndian)])
    status, _ = await asyncio.to_thread(association.send_n_create, created(), CLASS, None)
    await asyncio.to_thread(association.release)
    assert status.Status == 0
    uid = room.entries("carm.mpps")[0]["sop_instance_uid"]
    assert UID(uid).is_valid
    assert (await CArm(scu, room.port).set(ended(), uid)).Status == 0


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
async def test_every_way_to_encode_it(room, scu, syntax):
    carm, uid = CArm(scu, room.port, syntax), generate_uid()
    assert (await carm.create(created(), uid)).Status == 0
    assert (await carm.set(ended(), uid)).Status == 0
    begun = room.entries("carm.mpps")[0]
    assert (begun["procedure"], begun["started"], begun.get("problems", [])) == ("lumbar", "2026-11-23T09:30:00", [])


async def test_a_final_state_that_says_too_little_is_taken_and_what_lacks_is_named(room, carm):
    uid = generate_uid()
    await carm.create(created(PerformedStationAETitle=None, Modality=""), uid)
    bare = item(PerformedProcedureStepStatus="COMPLETED", PatientName="Mustermann^Erika", Modality="XA")
    assert (await carm.set(bare, uid)).Status == 0
    begun, over = room.entries("carm.mpps")
    assert begun["problems"] == ["missing: PerformedStationAETitle, Modality"]
    assert over["problems"] == [
        "missing: PerformedProcedureStepEndDate, PerformedProcedureStepEndTime, PerformedSeriesSequence",
        "may not be set: PatientName, Modality",
    ]


async def test_why_it_was_discontinued(room, carm):
    uid = generate_uid()
    await carm.create(created(), uid)
    code = item(CodeValue="110514", CodingSchemeDesignator="DCM", CodeMeaning="Incorrect worklist entry selected")
    await carm.set(ended("DISCONTINUED", PerformedProcedureStepDiscontinuationReasonCodeSequence=[code]), uid)
    assert room.entries("procedure.ended")[0] == {
        "outcome": "discontinued",
        "origin": "carm",
        "reason": "110514 DCM (Incorrect worklist entry selected)",
    }


# --- the procedure ----------------------------------------------------------------------------------------


async def test_what_the_staff_have_taken_over_the_c_arm_does_not_end(room, carm):
    uid = generate_uid()
    await carm.create(created(), uid)
    case = room.journal.record
    await room.desk.enter(EnterPhase(id="1", **WHO, phase="recovery"))
    assert (await carm.set(ended(), uid)).Status == 0
    assert (room.journal.record, room.desk.under_way, room.entries("procedure.ended")) == (case, True, [])
    assert room.entries("carm.mpps")[-1]["status"] == "COMPLETED"


async def test_a_step_joins_the_procedure_that_the_staff_have_started(room, carm):
    await room.desk.start(Start(id="1", **WHO, identity=ERIKA))
    case, uid = room.journal.record, generate_uid()
    await carm.create(created(), uid)
    await carm.set(ended(), uid)
    assert (room.journal.record, room.entries("procedure.ended")) == (case, [])
    assert [entry.get("identity") for entry in room.entries("carm.mpps")] == ["match", None]


async def test_the_last_of_two_steps_ends_the_procedure(room, carm):
    first, second = generate_uid(), generate_uid()
    await carm.create(created(), first)
    await carm.create(created(), second)
    await carm.set(ended(), first)
    assert room.desk.under_way
    await carm.set(ended("DISCONTINUED"), second)
    assert not room.desk.under_way
    assert room.entries("procedure.ended")[0]["outcome"] == "discontinued"


async def test_a_step_of_an_earlier_record_ends_no_later_procedure(room, carm):
    early, late = generate_uid(), generate_uid()
    await carm.create(created(), early)
    await room.desk.enter(EnterPhase(id="1", **WHO, phase="recovery"))
    await room.journal.switch("standby", "the staff ended it")
    await room.desk.resume()
    await carm.create(created(), late)
    case = room.journal.record
    assert (await carm.set(ended(), early)).Status == 0
    assert (room.journal.record, room.desk.under_way) == (case, True)


async def test_a_step_survives_a_restart_and_still_ends_its_procedure(open_room, scu):
    uid = generate_uid()
    async with open_room() as room:
        await CArm(scu, room.port).create(created(), uid)
        case = room.journal.record
    async with open_room() as room:
        assert (room.journal.record, room.desk.under_way) == (case, True)
        carm = CArm(scu, room.port)
        assert (await carm.create(created(), uid)).Status == 0x0111
        assert (await carm.set(ended(), uid)).Status == 0
        assert not room.desk.under_way
    async with open_room() as room:
        assert (await CArm(scu, room.port).set(ended(), uid)).Status == 0x0110


async def test_staff_before_a_restart_are_staff_after_it(open_room, scu):
    uid = generate_uid()
    async with open_room() as room:
        await CArm(scu, room.port).create(created(), uid)
        await room.desk.enter(EnterPhase(id="1", **WHO, phase="injection"))
    async with open_room() as room:
        await CArm(scu, room.port).set(ended(), uid)
        assert room.desk.under_way


async def test_an_end_that_a_crash_cut_short_is_made_at_the_next_start(open_room, scu, monkeypatch):
    uid = generate_uid()
    async with open_room() as room:
        await CArm(scu, room.port).create(created(), uid)

        async def crashed(*_: Any, **__: Any) -> bool:
            raise OSError("the power is gone")

        monkeypatch.setattr(room.desk, "finish", crashed)
        assert (await CArm(scu, room.port).set(ended("DISCONTINUED"), uid)).Status == 0
        assert room.desk.under_way
    async with open_room() as room:
        assert not room.desk.under_way
        assert room.entries("procedure.ended")[0]["outcome"] == "discontinued"
        assert all(report.ok for report in verify_room(room.root))


async def test_the_listener_dies_between_the_two(room, carm):
    uid = generate_uid()
    await carm.create(created(), uid)
    os.kill(room.service.listener_pid, signal.SIGKILL)
    await room.entry("device.state", state="lost", reason="process ended")
    async with asyncio.timeout(15):
        while room.service.address is None:
            await asyncio.sleep(0.02)
    carm.port = room.port
    assert (await carm.set(ended(), uid)).Status == 0
    assert not room.desk.under_way


async def test_a_record_that_cannot_be_written_takes_no_step(room, carm, monkeypatch):
    monkeypatch.setattr(room.journal, "problem", "the disk is full")
    answer = await carm.create(created(), uid := generate_uid())
    assert (answer.Status, answer.ErrorComment) == (0x0213, "the disk is full")
    monkeypatch.setattr(room.journal, "problem", None)
    assert (await carm.create(created(), uid)).Status == 0


# --- orders and patients ----------------------------------------------------------------------------------


async def place(room: Any, **fields: Any) -> Order:
    order = Order(**{"id": "SPS1", "identity": ERIKA, "procedure": "L4/5 interlaminar", "accession": "A1"} | fields)
    await room.service.orders.place(PlaceOrder(id=f"place {order.id}", **WHO, order=order))
    return room.service.orders.find(order.id)


def scheduled(order: Order, **changes: Any) -> list[Dataset]:
    named = {
        "StudyInstanceUID": order.study_uid,
        "AccessionNumber": order.accession,
        "ScheduledProcedureStepID": order.id,
    }
    return [item(**named | changes)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ScheduledProcedureStepID": "", "StudyInstanceUID": "1.2.3"},
        {"ScheduledProcedureStepID": "", "AccessionNumber": ""},
    ],
    ids=["by id", "by accession", "by study"],
)
async def test_the_order_that_a_step_names_says_who_and_what(room, carm, changes):
    order = await place(room)
    await carm.create(created(ScheduledStepAttributesSequence=scheduled(order, **changes)), uid := generate_uid())
    assert room.desk.identity(room.journal.record) == ERIKA
    assert room.entries("procedure.started")[0]["procedure"] == "L4/5 interlaminar"
    assert [entry["change"] for entry in room.entries("carm.order")] == ["placed", "chosen"]
    await carm.set(ended(), uid)
    assert [entry["order"] for entry in room.entries("carm.mpps")] == ["SPS1", "SPS1"]


async def test_a_step_of_another_patient_than_its_order_is_taken_marked_and_told(room, carm):
    order = await place(room)
    wrong = created(ScheduledStepAttributesSequence=scheduled(order), PatientID="9999")
    uid = generate_uid()
    assert (await carm.create(wrong, uid)).Status == 0
    entry = room.entries("carm.mpps")[0]
    assert (entry["identity"], entry["identity_differs"]) == ("mismatch", ["PatientID"])
    alert = await room.entry("alert.raised", rule="carm.identity_mismatch")
    assert alert["severity"] == "critical" and "PatientID" in alert["text"]
    await carm.set(ended(PatientID="9999"), uid)
    assert len(room.entries("alert.raised")) == 1


async def test_an_image_of_another_patient_is_kept_marked_and_told_once(room, scu):
    await room.desk.start(Start(id="1", **WHO, identity=ERIKA))
    study = generate_uid()
    right = scu.picture(PatientName="MUSTERMANN^ERIKA", PatientID="4711", StudyInstanceUID=study)
    wrong = [scu.picture(PatientName="Doe^Jane", PatientID="12", StudyInstanceUID=study) for _ in range(2)]
    other = scu.picture(PatientName="Mustermann^Erica", PatientID="4711")
    nobody = scu.picture()
    assert await scu.store(room.port, right, *wrong, other, nobody) == [0] * 5
    said = [entry.get("identity", "unknown") for entry in room.entries("carm.image")]
    assert said == ["match", "mismatch", "mismatch", "mismatch", "unknown"]
    assert room.entries("carm.image")[1]["identity_differs"] == ["PatientID", "PatientName"]
    await room.journal.settled()
    alerts = room.entries("alert.raised")
    assert [alert["severity"] for alert in alerts] == ["critical", "high"]
    assert not any(name in json.dumps(alerts) for name in ("Doe", "Jane", "Mustermann", "4711"))
    assert len(room.frames()) == 5


async def test_the_alert_is_not_raised_again_after_a_restart(open_room, scu):
    wrong = {"PatientName": "Doe^Jane", "PatientID": "12", "StudyInstanceUID": generate_uid()}
    async with open_room() as room:
        await room.desk.start(Start(id="1", **WHO, identity=ERIKA))
        await scu.store(room.port, scu.picture(**wrong))
    async with open_room() as room:
        await scu.store(room.port, scu.picture(**wrong))
        await room.journal.settled()
        assert len(room.entries("carm.image")) == 2
        assert len(room.entries("alert.raised")) == 1


async def test_two_patients_in_one_procedure_that_names_none(room, scu):
    await room.desk.start(Start(id="1", **WHO))
    await scu.store(room.port, scu.picture(PatientID="1"), scu.picture(PatientID="2"), scu.picture(PatientID="1"))
    assert [entry.get("identity", "unknown") for entry in room.entries("carm.image")] == [
        "unknown",
        "mismatch",
        "match",
    ]


async def test_between_two_procedures_nobody_is_expected(room, scu):
    await scu.store(room.port, scu.picture(PatientID="1"), scu.picture(PatientID="2"))
    assert not any("identity" in entry for entry in room.entries("carm.image"))


async def test_an_image_belongs_to_the_order_of_its_study(room, scu):
    order = await place(room)
    right = {"PatientName": "Mustermann^Erika", "PatientID": "4711", "StudyInstanceUID": order.study_uid}
    await scu.store(room.port, scu.picture(**right), scu.picture(**right | {"PatientID": "1"}))
    first, second = room.entries("carm.image")
    assert (first["order"], first["identity"]) == ("SPS1", "match")
    assert (second["order"], second["identity"]) == ("SPS1", "mismatch")
    await room.desk.start(Start(id="1", **WHO))
    assert room.desk.identity(room.journal.record) == ERIKA


async def test_an_image_of_another_patients_order_does_not_change_what_is_carried_out(room, scu):
    order = await place(room)
    other = await place(room, id="SPS2", accession="A2", identity=Identity(name="Doe^Jane", id="12"))
    await room.desk.start(Start(id="1", **WHO, order="SPS1"))
    await scu.store(room.port, scu.picture(PatientName="Doe^Jane", PatientID="12", StudyInstanceUID=other.study_uid))
    entry = room.entries("carm.image")[0]
    assert (entry["order"], entry["identity"]) == ("SPS2", "mismatch")
    assert room.service.orders.chosen == order


# --- what devices write -----------------------------------------------------------------------------------


def test_a_name_is_decoded_by_the_data_sets_own_character_set():
    dataset = created(PatientName="Müller^Jörg")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    octets = encoded(dataset)
    back, problem = parsed(octets, ExplicitVRLittleEndian)
    assert problem is None
    assert read(back, "1.2.3", creating=True).patient.name == "Müller^Jörg"


def encoded(dataset: Dataset) -> bytes:
    octets = encode(dataset, is_implicit_vr=False, is_little_endian=True)
    assert octets is not None
    return octets


def test_what_stands_before_broken_octets_is_read():
    octets = encoded(created())
    at = octets.index(b"\x40\x00\x70\x02")  # (0040,0270), behind status and start
    back, problem = parsed(octets[:at] + b"\x40\x00\x70\x02ZZ\xff\xff\xff\xff", ExplicitVRLittleEndian)
    step = read(back, "1.2.3", creating=True, problem=problem)
    assert (step.status, step.started) == ("IN PROGRESS", "2026-11-23T09:30:00")
    assert step.problems


@pytest.mark.parametrize(
    "changes",
    [
        {"PerformedProcedureStepStartTime": "9 o'clock"},
        {"PerformedProcedureStepStartDate": "yesterday"},
        {"PerformedSeriesSequence": [item(ReferencedImageSequence=[item(ReferencedSOPClassUID="1.2")])]},
        {"PerformedSeriesSequence": None},
        {"ScheduledStepAttributesSequence": [item()]},
    ],
)
def test_what_makes_no_sense_costs_itself_alone(changes):
    step = read(created(**changes), "1.2.3", creating=True)
    assert (step.status, step.description, step.patient.id) == ("IN PROGRESS", "lumbar", "4711")
    assert step.images == ()


def test_a_sequence_that_is_none_is_named():
    dataset = created(ScheduledStepAttributesSequence=None)
    dataset.add_new("ScheduledStepAttributesSequence", "LO", "no sequence")
    step = read(dataset, "1.2.3", creating=True)
    assert any("ScheduledStepAttributesSequence" in problem for problem in step.problems)


@given(st.binary(max_size=300), st.integers(0, 600))
def test_no_octets_make_the_reader_raise(noise, at):
    octets = encoded(created())
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        dataset, problem = parsed(octets[:at] + noise + octets[at:], syntax)
        assert read(dataset, "1.2.3", creating=True, problem=problem).sop_instance_uid == "1.2.3"
