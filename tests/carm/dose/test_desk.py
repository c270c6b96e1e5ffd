"""Dose in a running room: from what is sent over DICOM to the entries, through restarts, switches and late reports."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep

from esi_room.carm.dose.ledger import Ledger

STUDY = "1.2.840.99.1"


def shot(scu: Any, dgy_cm2: Any = "10", *, study: str = STUDY, **more: Any) -> Dataset:
    given = {"SOPClassUID": XRayAngiographicImageStorage, "StudyInstanceUID": study, "Modality": "XA"}
    return scu.picture(**(given | {"ImageAndFluoroscopyAreaDoseProduct": dgy_cm2} | more))


def report(rdsr: Any, *, study: str = STUDY, dap: Any = 3e-4, seconds: Any = 21.0) -> Dataset:
    events = (rdsr.event("1.9.1", dap=1e-4), rdsr.event("1.9.2", dap=2e-4))
    return rdsr.document(rdsr.totals(dap=dap, seconds=seconds), *events, StudyInstanceUID=study)


async def test_from_the_first_image_to_the_report(room: Any, scu: Any, rdsr: Any) -> None:
    assert await scu.store(room.port, shot(scu, "10", TotalTimeOfFluoroscopy=4), shot(scu, "20")) == [0, 0]
    assert await scu.store(room.port, report(rdsr)) == [0]
    first, second, last = room.entries("carm.dose")
    assert (first["dap_gy_m2"], first["total"]["dap_gy_m2"], first["total"]["fluoro_time_s"]) == (1e-4, 1e-4, 4.0)
    assert (first["scope"], first["provenance"], second["total"]["dap_gy_m2"]) == ("image", "image header", 3e-4)
    assert second["total"]["provenance"]["dap_gy_m2"] == "image headers"
    assert (last["provenance"], last["fluoro_time_s"], last["air_kerma_rp_gy"]) == ("dose report", 21.0, 3e-4)
    assert (last["total"]["provenance"]["dap_gy_m2"], last["total"]["irradiation_events"]) == ("dose report, totals", 2)
    lines = room.lines()
    facts = {line.seq: line.type for line in lines}
    dose = [(line.seq, json.loads(bytes(line.data))["fact"]) for line in lines if line.type == "carm.dose"]
    assert [(seq - fact, facts[fact]) for seq, fact in dose] == [(1, "carm.image")] * 3
    patient = re.compile(rb"Nobody|(?<![0-9a-f])4711(?![0-9a-f])")  # the number alone may be in a UID
    assert not any(patient.search(bytes(line.data)) for line in lines)


async def test_after_a_restart_the_account_goes_on(open_room: Any, scu: Any) -> None:
    async with open_room() as room:
        await scu.store(room.port, shot(scu, "10"), shot(scu, "10"))
        assert room.entries("carm.dose")[-1]["total"]["dap_gy_m2"] == 2e-4
    async with open_room() as room:
        await scu.store(room.port, shot(scu, "10"))
        assert room.entries("carm.dose")[-1]["total"]["dap_gy_m2"] == 3e-4
        await room.journal.switch("procedure", "a case begins")
        await scu.store(room.port, shot(scu, "20", study="1.2.840.99.2"))
        assert room.entries("carm.dose")[-1]["total"]["dap_gy_m2"] == 2e-4


async def test_what_is_sent_again_adds_nothing_to_this_record_or_the_next(room: Any, scu: Any, rdsr: Any) -> None:
    image, document = shot(scu), report(rdsr)
    await scu.store(room.port, image, image)
    await scu.store(room.port, document)
    await scu.store(room.port, document)
    assert len(room.entries("carm.dose")) == 2
    await room.journal.switch("standby", "the case is over")
    await scu.store(room.port, image)
    await scu.store(room.port, document)
    assert len(room.entries("carm.image")) == 6
    assert len(room.entries("carm.dose")) == 2


async def test_a_report_whose_entry_a_crash_cut_off_counts_when_it_is_sent_again(
    room: Any, scu: Any, rdsr: Any
) -> None:
    """It was not acknowledged: the C-arm sends it again, and the object itself is held already."""
    document = report(rdsr)
    await scu.store(room.port, document)
    room.service._dose._ledger = Ledger()  # as after a restart with the object's line, and without that of its dose
    await scu.store(room.port, document)
    assert [dose["total"]["dap_gy_m2"] for dose in room.entries("carm.dose")] == [3e-4, 3e-4]
    await scu.store(room.port, document)
    assert len(room.entries("carm.dose")) == 2


async def test_a_report_that_comes_after_its_case_is_not_the_next_patients(open_room: Any, scu: Any, rdsr: Any) -> None:
    async with open_room() as room:
        case = await room.journal.switch("procedure", "a case begins")
        await scu.store(room.port, shot(scu))
        await room.journal.switch("standby", "the case is over")
        await scu.store(room.port, report(rdsr))
        late = room.entries("carm.dose")[-1]
        assert (late["provenance"], late["dap_gy_m2"], late["taken_in"]) == ("dose report", 3e-4, case)
        assert late["total"]["dap_gy_m2"] is None
    async with open_room() as room:
        await room.journal.switch("procedure", "the next case begins")
        await scu.store(room.port, report(rdsr), calling="CARM")
        assert room.entries("carm.dose")[-1]["taken_in"] == case
        await scu.store(room.port, report(rdsr, study="1.2.840.99.2"))
        assert room.entries("carm.dose")[-1]["total"]["dap_gy_m2"] == 3e-4


@pytest.mark.parametrize(
    ("build", "unreadable"),
    [
        (lambda r: r.document(), "the report names no dose"),
        (lambda r: r.document(r.totals(dap="-1")), "Dose Area Product Total (113722): no number of this quantity"),
        (lambda r: r.document(r.container("113702", r.num("113730", "3", "furlong"))), "no unit of s"),
    ],
)
async def test_a_report_that_cannot_be_read_is_kept_and_named(
    room: Any, scu: Any, rdsr: Any, build: Any, unreadable: str
) -> None:
    assert await scu.store(room.port, build(rdsr)) == [0]
    (dose,) = room.entries("carm.dose")
    assert any(unreadable in words for words in dose["unreadable"])
    assert len(room.frames()) == 1


async def test_a_report_of_a_private_class_is_read(open_room: Any, scu: Any, rdsr: Any) -> None:
    document = report(rdsr)
    document.SOPClassUID = private = "1.3.12.2.1107.5.9.1"
    async with open_room(private_classes=(private,)) as room:
        assert await scu.store(room.port, document) == [0]
        assert room.entries("carm.dose")[0]["dap_gy_m2"] == 3e-4


@pytest.mark.parametrize("option", ["-xe", "-xi", "-xb", "-xd"])
async def test_dcmtk_sends_a_report(room: Any, rdsr: Any, run: Any, peers: Any, tmp_path: Any, option: str) -> None:
    document = report(rdsr)
    document.ensure_file_meta()
    path = tmp_path / "report.dcm"
    document.save_as(path, enforce_file_format=True)
    code, out = await run(peers.need("storescu"), option, "-aec", "ESI_ROOM", "127.0.0.1", str(room.port), path)
    assert code == 0, out
    (dose,) = room.entries("carm.dose")
    assert (dose["dap_gy_m2"], dose["fluoro_time_s"], dose["unreadable"]) == (3e-4, 21.0, [])
    assert [event["uid"] for event in dose["irradiation_events"]] == ["1.9.1", "1.9.2"]


def step(status: str, **attributes: Any) -> Dataset:
    said = Dataset()
    said.PerformedProcedureStepStatus = status
    for keyword, value in attributes.items():
        setattr(said, keyword, value)
    return said


def _send_step(port: int, uid: str, created: Dataset | None, changed: Dataset | None) -> None:
    ae = AE("CARM")
    ae.add_requested_context(ModalityPerformedProcedureStep, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title="ESI_ROOM")
    assert association.is_established
    try:
        if created is not None:
            assert association.send_n_create(created, ModalityPerformedProcedureStep, uid)[0].Status == 0
        if changed is not None:
            assert association.send_n_set(changed, ModalityPerformedProcedureStep, uid)[0].Status == 0
    finally:
        association.release()


async def test_a_step_tells_its_dose_to_the_record_that_it_began_in(room: Any, scu: Any) -> None:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = STUDY
    created = step("IN PROGRESS", ScheduledStepAttributesSequence=[scheduled])
    uid = generate_uid()
    changed = step("IN PROGRESS", ImageAndFluoroscopyAreaDoseProduct="30", TotalTimeOfFluoroscopy=12)
    await asyncio.to_thread(_send_step, room.port, uid, created, changed)
    await scu.store(room.port, shot(scu, "10"))
    said, image = room.entries("carm.dose")
    assert (said["provenance"], said["scope"], said["total"]["fluoro_time_s"]) == ("mpps", "step", 12.0)
    assert (image["total"]["dap_gy_m2"], image["total"]["provenance"]["dap_gy_m2"]) == (3e-4, "mpps")
    case = room.journal.record
    await room.journal.switch("standby", "the case is over")
    ended = step("COMPLETED", ImageAndFluoroscopyAreaDoseProduct="40")
    await asyncio.to_thread(_send_step, room.port, uid, None, ended)
    late = room.entries("carm.dose")[-1]
    assert (late["dap_gy_m2"], late["taken_in"], late["total"]["dap_gy_m2"]) == (4e-4, case, None)
