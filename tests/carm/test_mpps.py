"""MPPS: a scripted C-arm against the running service; what it makes of the record, and of the procedure."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import build_context

from esi_room.commands import EnterPhase, Start
from esi_room.record.verify_room import verify_room

# pydicom warns of what it is told to write; a C-arm does not.
BADLY_WRITTEN = pytest.mark.filterwarnings("ignore:Invalid value:UserWarning", "ignore:Value:UserWarning")


async def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(what)


@pytest.fixture
def carm(room, scu, mpps):
    return mpps.CArm(scu, room.port)


async def test_a_step_opens_a_procedure_and_its_end_closes_it(room, carm, scu, mpps):
    uid, image = generate_uid(), scu.picture(PatientName="MUSTERMANN^mpps.ERIKA", PatientID="4711")
    late = scu.picture(PatientID="4711")
    standby = room.journal.record
    assert (await carm.create(mpps.created(), uid)).Status == 0
    case = room.journal.record
    assert (room.journal.kind, case != standby) == ("procedure", True)
    assert await scu.store(room.port, image) == [0]
    assert (await carm.set(mpps.ended("COMPLETED", image, late), uid)).Status == 0
    assert room.journal.record == case, "an object that the step named is on its way"
    assert await scu.store(room.port, late) == [0]
    await until(lambda: room.journal.kind == "standby" and not room.desk.under_way, "the procedure ends")
    kinds = [line.type for line in room.lines() if line.record == case]
    order = ("procedure.started", "carm.mpps", "carm.image", "carm.mpps", "carm.image", "procedure.ended")
    wanted = (*order, "record.sealed")
    assert [kind for kind in kinds if kind in wanted] == list(wanted)
    begun, over = room.entries("carm.mpps")
    assert (begun["status"], begun["message"], begun["started"]) == ("IN PROGRESS", "create", "2026-11-23T09:30:00")
    assert (over["status"], over["ended"], over["images"]) == ("COMPLETED", "2026-11-23T09:45:00", 2)
    assert over["missing"] == [late.SOPInstanceUID]
    assert (begun["identity"], room.entries("carm.image")[0]["identity"]) == ("match", "match")
    assert room.entries("procedure.started")[0]["procedure"] == "lumbar"
    assert room.entries("procedure.ended")[0] == {"outcome": "completed", "origin": "carm"}
    assert all(report.ok for report in verify_room(room.root))


async def test_a_procedure_does_not_wait_for_ever_for_what_never_comes(room, carm, scu, mpps, monkeypatch):
    monkeypatch.setattr("esi_room.carm.steps.GRACE_S", 0.6)
    uid = generate_uid()
    await carm.create(mpps.created(), uid)
    assert (await carm.set(mpps.ended("COMPLETED", scu.picture()), uid)).Status == 0
    assert room.desk.under_way
    await until(lambda: not room.desk.under_way, "the procedure ends")


async def test_its_data_set_is_kept_as_it_came_and_readable_by_nobody_else(room, carm, mpps):
    sent = mpps.created()
    await carm.create(sent, generate_uid())
    entry = room.entries("carm.mpps")[0]
    kept = room.journal.directory / "private" / f"{entry['sha256']}.mpps"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert dcmread(kept) == sent
    for line in (room.root / "records" / room.journal.record / "journal.jsonl").read_bytes().splitlines():
        assert not re.search(rb"Mustermann|(?<![0-9a-f])4711(?![0-9a-f])", line)  # the number alone may be in a UID


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "DISCONTINUED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "in progress"}, 0x0106),
        ({"PerformedProcedureStepStatus": None}, 0x0120),
        ({"PerformedProcedureStepStatus": ""}, 0x0120),
        (None, 0x0120),
    ],
    ids=str,
)
@BADLY_WRITTEN
async def test_a_step_begins_in_progress(room, carm, changes, status, mpps):
    dataset = None if changes is None else mpps.created(**changes)
    answer = await carm.create(dataset, generate_uid())
    assert answer.Status == status and answer.ErrorComment
    refused = await room.entry("carm.association", outcome="failed", reason=f"N-CREATE answered {status:04X}")
    assert refused["peer"].startswith("CARM @")
    assert (room.entries("carm.mpps"), room.journal.kind) == ([], "standby")


@BADLY_WRITTEN
async def test_the_state_rules(room, carm, mpps):
    uid = generate_uid()
    assert (await carm.set(mpps.ended(), uid)).Status == 0x0112
    assert (await carm.create(mpps.created(), uid)).Status == 0
    assert (await carm.create(mpps.created(), uid)).Status == 0x0111
    assert (await carm.set(mpps.ended("PAUSED"), uid)).Status == 0x0106
    assert (await carm.set(mpps.item(PerformedProcedureStepDescription="C6/7"), uid)).Status == 0
    assert (await carm.set(mpps.ended("IN PROGRESS"), uid)).Status == 0
    assert (await carm.set(mpps.ended("DISCONTINUED"), uid)).Status == 0
    for status in ("COMPLETED", "DISCONTINUED", "IN PROGRESS"):
        answer = await carm.set(mpps.ended(status), uid)
        assert (answer.Status, answer.ErrorID) == (0x0110, 0xA710)
        assert answer.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    assert (await carm.create(mpps.created(), "1.2.x")).Status == 0x0117
    said = [(entry["message"], entry["status"]) for entry in room.entries("carm.mpps")]
    assert said == [
        ("create", "IN PROGRESS"),
        ("set", "IN PROGRESS"),
        ("set", "IN PROGRESS"),
        ("set", "DISCONTINUED"),
    ]


async def test_a_step_without_a_uid_is_given_one(room, scu, mpps):
    association = await scu.associate(room.port, [build_context(mpps.MPPS, ExplicitVRLittleEndian)])
    status, _ = await asyncio.to_thread(association.send_n_create, mpps.created(), mpps.MPPS, None)
    await asyncio.to_thread(association.release)
    assert status.Status == 0
    uid = room.entries("carm.mpps")[0]["sop_instance_uid"]
    assert UID(uid).is_valid
    assert (await mpps.CArm(scu, room.port).set(mpps.ended(), uid)).Status == 0


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
async def test_every_way_to_encode_it(room, scu, syntax, mpps):
    carm, uid = mpps.CArm(scu, room.port, syntax), generate_uid()
    assert (await carm.create(mpps.created(), uid)).Status == 0
    assert (await carm.set(mpps.ended(), uid)).Status == 0
    begun = room.entries("carm.mpps")[0]
    assert (begun["procedure"], begun["started"], begun.get("problems", [])) == ("lumbar", "2026-11-23T09:30:00", [])


async def test_a_final_state_that_says_too_little_is_taken_and_what_lacks_is_named(room, carm, mpps):
    uid = generate_uid()
    await carm.create(mpps.created(PerformedStationAETitle=None, Modality=""), uid)
    bare = mpps.item(PerformedProcedureStepStatus="COMPLETED", PatientName="Mustermann^Erika", Modality="XA")
    assert (await carm.set(bare, uid)).Status == 0
    begun, over = room.entries("carm.mpps")
    assert begun["problems"] == ["missing: PerformedStationAETitle, Modality"]
    assert over["problems"] == [
        "missing: PerformedProcedureStepEndDate, PerformedProcedureStepEndTime, PerformedSeriesSequence",
        "may not be set: PatientName, Modality",
    ]


async def test_why_it_was_discontinued(room, carm, mpps):
    uid = generate_uid()
    await carm.create(mpps.created(), uid)
    code = mpps.item(CodeValue="110514", CodingSchemeDesignator="DCM", CodeMeaning="Incorrect worklist entry selected")
    await carm.set(mpps.ended("DISCONTINUED", PerformedProcedureStepDiscontinuationReasonCodeSequence=[code]), uid)
    assert room.entries("procedure.ended")[0] == {
        "outcome": "discontinued",
        "origin": "carm",
        "reason": "110514 DCM (Incorrect worklist entry selected)",
    }


# --- the procedure ----------------------------------------------------------------------------------------


async def test_what_the_staff_have_taken_over_the_c_arm_does_not_end(room, carm, mpps):
    uid = generate_uid()
    await carm.create(mpps.created(), uid)
    case = room.journal.record
    await room.desk.enter(EnterPhase(id="1", **mpps.WHO, phase="recovery"))
    assert (await carm.set(mpps.ended(), uid)).Status == 0
    assert (room.journal.record, room.desk.under_way, room.entries("procedure.ended")) == (case, True, [])
    assert room.entries("carm.mpps")[-1]["status"] == "COMPLETED"


async def test_a_step_joins_the_procedure_that_the_staff_have_started(room, carm, mpps):
    await room.desk.start(Start(id="1", **mpps.WHO, identity=mpps.ERIKA))
    case, uid = room.journal.record, generate_uid()
    await carm.create(mpps.created(), uid)
    await carm.set(mpps.ended(), uid)
    assert (room.journal.record, room.entries("procedure.ended")) == (case, [])
    assert [entry.get("identity") for entry in room.entries("carm.mpps")] == ["match", None]


async def test_a_procedure_that_the_c_arm_forgot_to_end_takes_no_other_patient(room, carm, mpps):
    await carm.create(mpps.created(), generate_uid())
    first = room.journal.record
    next_one = mpps.created(PatientName="Doe^Jane", PatientID="12", PatientBirthDate="19800101")
    assert (await carm.create(next_one, generate_uid())).Status == 0
    assert (room.journal.kind, room.journal.record != first) == ("procedure", True)
    assert room.desk.identity(room.journal.record).id == "12"
    ended = room.entries("procedure.ended")
    assert [(each["outcome"], each["reason"]) for each in ended] == [
        ("discontinued", "the step of another patient began")
    ]
    assert room.alerts() == []


async def test_what_the_staff_attend_to_is_not_ended_by_another_patients_step(room, carm, mpps):
    await carm.create(mpps.created(), generate_uid())
    case = room.journal.record
    await room.desk.enter(EnterPhase(id="1", **mpps.WHO, phase="recovery"))
    await carm.create(mpps.created(PatientName="Doe^Jane", PatientID="12"), generate_uid())
    await room.journal.settled()
    assert room.journal.record == case
    assert [alert["rule"] for alert in room.alerts()] == ["carm.identity_mismatch"]


async def test_a_step_that_was_altered_is_found_and_one_that_is_gone(room, carm, mpps):
    uid = generate_uid()
    await carm.create(mpps.created(), uid)
    case = room.journal.directory
    await carm.set(mpps.ended(), uid)
    step = next(file for file in (case / "private").glob("*.mpps") if b"Erika" in file.read_bytes())
    step.write_bytes(step.read_bytes().replace(b"Erika", b"Erica"))
    (problem,) = [problem for report in verify_room(room.root, being_written=True) for problem in report.problems]
    assert problem.file == step
    assert "is not the procedure step that journal line" in problem.what
    for file in (case / "private").iterdir():
        file.unlink()
    problems = [problem for report in verify_room(room.root, being_written=True) for problem in report.problems]
    assert [("no entry says that it was erased" in problem.what) for problem in problems] == [True] * 3


async def test_the_last_of_two_steps_ends_the_procedure(room, carm, mpps):
    first, second = generate_uid(), generate_uid()
    await carm.create(mpps.created(), first)
    await carm.create(mpps.created(), second)
    await carm.set(mpps.ended(), first)
    assert room.desk.under_way
    await carm.set(mpps.ended("DISCONTINUED"), second)
    assert not room.desk.under_way
    assert room.entries("procedure.ended")[0]["outcome"] == "discontinued"


async def test_a_step_of_an_earlier_record_ends_no_later_procedure(room, carm, mpps):
    early, late = generate_uid(), generate_uid()
    await carm.create(mpps.created(), early)
    await room.desk.enter(EnterPhase(id="1", **mpps.WHO, phase="recovery"))
    await room.journal.switch("standby", "the staff ended it")
    await room.desk.resume()
    await carm.create(mpps.created(), late)
    case = room.journal.record
    assert (await carm.set(mpps.ended(), early)).Status == 0
    assert (room.journal.record, room.desk.under_way) == (case, True)


async def test_a_step_survives_a_restart_and_still_ends_its_procedure(open_room, scu, mpps):
    uid = generate_uid()
    async with open_room() as room:
        await mpps.CArm(scu, room.port).create(mpps.created(), uid)
        case = room.journal.record
    async with open_room() as room:
        assert (room.journal.record, room.desk.under_way) == (case, True)
        carm = mpps.CArm(scu, room.port)
        assert (await carm.create(mpps.created(), uid)).Status == 0x0111
        assert (await carm.set(mpps.ended(), uid)).Status == 0
        assert not room.desk.under_way
    async with open_room() as room:
        assert (await mpps.CArm(scu, room.port).set(mpps.ended(), uid)).Status == 0x0110


async def test_staff_before_a_restart_are_staff_after_it(open_room, scu, mpps):
    uid = generate_uid()
    async with open_room() as room:
        await mpps.CArm(scu, room.port).create(mpps.created(), uid)
        await room.desk.enter(EnterPhase(id="1", **mpps.WHO, phase="injection"))
    async with open_room() as room:
        await mpps.CArm(scu, room.port).set(mpps.ended(), uid)
        assert room.desk.under_way


async def test_an_end_that_a_crash_cut_short_is_made_at_the_next_start(open_room, scu, monkeypatch, mpps):
    uid = generate_uid()
    async with open_room() as room:
        await mpps.CArm(scu, room.port).create(mpps.created(), uid)

        async def crashed(*_: Any, **__: Any) -> bool:
            raise OSError("the power is gone")

        monkeypatch.setattr(room.desk, "finish", crashed)
        assert (await mpps.CArm(scu, room.port).set(mpps.ended("DISCONTINUED"), uid)).Status == 0
        assert room.desk.under_way
    async with open_room() as room:
        assert not room.desk.under_way
        assert room.entries("procedure.ended")[0]["outcome"] == "discontinued"
        assert all(report.ok for report in verify_room(room.root))


async def test_the_listener_dies_between_the_two(room, carm, mpps):
    uid = generate_uid()
    await carm.create(mpps.created(), uid)
    os.kill(room.service.listener_pid, signal.SIGKILL)
    await room.entry("device.state", state="lost", reason="process ended")
    async with asyncio.timeout(15):
        while room.service.address is None:
            await asyncio.sleep(0.02)
    carm.port = room.port
    assert (await carm.set(mpps.ended(), uid)).Status == 0
    assert not room.desk.under_way


async def test_a_record_that_cannot_be_written_takes_no_step(room, carm, monkeypatch, mpps):
    await room.journal.settled()  # a commit that succeeds says that the disk is well again
    monkeypatch.setattr(room.journal, "problem", "the disk is full")
    answer = await carm.create(mpps.created(), uid := generate_uid())
    assert (answer.Status, answer.ErrorComment) == (0x0213, "the disk is full")
    monkeypatch.setattr(room.journal, "problem", None)
    assert (await carm.create(mpps.created(), uid)).Status == 0
