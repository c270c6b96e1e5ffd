"""Orders, steps and images of one patient, or of another than the one expected."""

from __future__ import annotations

import json
import re

import pytest
from msgspec.structs import replace
from pydicom.uid import generate_uid

from esi_room.carm.patients import Patients
from esi_room.carm.shapes import Patient
from esi_room.clock import SystemClock
from esi_room.commands import Identity, Start
from esi_room.events import CarmImage
from esi_room.record import journal as journal_module
from esi_room.record.journal import Journal


@pytest.fixture
def carm(room, scu, mpps):
    return mpps.CArm(scu, room.port)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ScheduledProcedureStepID": "", "StudyInstanceUID": "1.2.3"},
        {"ScheduledProcedureStepID": "", "AccessionNumber": ""},
    ],
    ids=["by id", "by accession", "by study"],
)
async def test_the_order_that_a_step_names_says_who_and_what(room, carm, changes, mpps):
    order = await mpps.place(room)
    await carm.create(
        mpps.created(ScheduledStepAttributesSequence=mpps.scheduled(order, **changes)), uid := generate_uid()
    )
    assert room.desk.identity(room.journal.record) == mpps.ERIKA
    assert room.entries("procedure.started")[0]["procedure"] == "L4/5 interlaminar"
    assert [entry["change"] for entry in room.entries("carm.order")] == ["placed", "chosen"]
    await carm.set(mpps.ended(), uid)
    assert [entry["order"] for entry in room.entries("carm.mpps")] == ["SPS1", "SPS1"]


async def test_a_step_of_another_patient_than_its_order_is_taken_marked_and_told(room, carm, mpps):
    order = await mpps.place(room)
    wrong = mpps.created(ScheduledStepAttributesSequence=mpps.scheduled(order), PatientID="9999")
    uid = generate_uid()
    assert (await carm.create(wrong, uid)).Status == 0
    entry = room.entries("carm.mpps")[0]
    assert (entry["identity"], entry["identity_differs"]) == ("mismatch", ["PatientID"])
    alert = await room.entry("alert.raised", rule="carm.identity_mismatch")
    assert alert["severity"] == "critical" and "PatientID" in alert["text"]
    await carm.set(mpps.ended(PatientID="9999"), uid)
    assert len(room.alerts()) == 1


async def test_an_image_of_another_patient_is_kept_marked_and_told_once(room, scu, mpps):
    await room.desk.start(Start(id="1", **mpps.WHO, identity=mpps.ERIKA))
    study = generate_uid()
    right = scu.picture(PatientName="MUSTERMANN^mpps.ERIKA", PatientID="4711", StudyInstanceUID=study)
    wrong = [scu.picture(PatientName="Doe^Jane", PatientID="12", StudyInstanceUID=study) for _ in range(2)]
    other = scu.picture(PatientName="Mustermann^Erica", PatientID="4711")
    nobody = scu.picture()
    assert await scu.store(room.port, right, *wrong, other, nobody) == [0] * 5
    said = [entry.get("identity", "unknown") for entry in room.entries("carm.image")]
    assert said == ["match", "mismatch", "mismatch", "mismatch", "unknown"]
    assert room.entries("carm.image")[1]["identity_differs"] == ["PatientID", "PatientName"]
    await room.journal.settled()
    alerts = room.alerts()
    assert [alert["severity"] for alert in alerts] == ["critical", "high"]
    patient = r"Doe|Jane|Mustermann|(?<![0-9a-f])4711(?![0-9a-f])"  # the number alone may be in a UID
    assert not re.search(patient, json.dumps(alerts))
    assert len(room.frames()) == 5


async def test_the_alert_is_not_raised_again_after_a_restart(open_room, scu, mpps):
    wrong = {"PatientName": "Doe^Jane", "PatientID": "12", "StudyInstanceUID": generate_uid()}
    async with open_room() as room:
        await room.desk.start(Start(id="1", **mpps.WHO, identity=mpps.ERIKA))
        await scu.store(room.port, scu.picture(**wrong))
    async with open_room() as room:
        await scu.store(room.port, scu.picture(**wrong))
        await room.journal.settled()
        assert len(room.entries("carm.image")) == 2
        assert len(room.alerts()) == 1


async def test_two_patients_in_one_procedure_that_names_none(room, scu, mpps):
    await room.desk.start(Start(id="1", **mpps.WHO))
    await scu.store(room.port, scu.picture(PatientID="1"), scu.picture(PatientID="2"), scu.picture(PatientID="1"))
    assert [entry.get("identity", "unknown") for entry in room.entries("carm.image")] == [
        "unknown",
        "mismatch",
        "match",
    ]


async def test_between_two_procedures_nobody_is_expected(room, scu):
    await scu.store(room.port, scu.picture(PatientID="1"), scu.picture(PatientID="2"))
    assert not any("identity" in entry for entry in room.entries("carm.image"))


async def test_an_image_belongs_to_the_order_of_its_study(room, scu, mpps):
    order = await mpps.place(room)
    right = {"PatientName": "Mustermann^Erika", "PatientID": "4711", "StudyInstanceUID": order.study_uid}
    await scu.store(room.port, scu.picture(**right), scu.picture(**right | {"PatientID": "1"}))
    first, second = room.entries("carm.image")
    assert (first["order"], first["identity"]) == ("SPS1", "match")
    assert (second["order"], second["identity"]) == ("SPS1", "mismatch")
    await room.desk.start(Start(id="1", **mpps.WHO))
    assert room.desk.identity(room.journal.record) == mpps.ERIKA


async def test_an_image_of_another_patients_order_does_not_change_what_is_carried_out(room, scu, mpps):
    order = await mpps.place(room)
    other = await mpps.place(room, id="SPS2", accession="A2", identity=Identity(name="Doe^Jane", id="12"))
    await room.desk.start(Start(id="1", **mpps.WHO, order="SPS1"))
    await scu.store(room.port, scu.picture(PatientName="Doe^Jane", PatientID="12", StudyInstanceUID=other.study_uid))
    entry = room.entries("carm.image")[0]
    assert (entry["order"], entry["identity"]) == ("SPS2", "mismatch")
    assert room.service.orders.chosen == order


async def test_an_image_that_comes_late_is_compared_with_the_procedure_it_was_taken_in(tmp_path):
    """A run of the last patient, sent while the next one lies on the table."""
    clock = SystemClock()
    async with Journal.open(tmp_path, clock, journal_module.Identity(room="test")) as journal:
        before, now = "20261123T090000Z-0001", journal.record
        cases = Cases({before: Identity(name="Doe^Jane", id="12"), now: Identity(name="Doe^John", id="13")})
        patients = Patients(journal, clock, cases, None)
        image = CarmImage(**dict.fromkeys(CarmImage.__struct_fields__))
        late = replace(image, taken_in=before)
        jane = Patient(name="Doe^Jane", id="12")
        assert patients.marked(late, jane, now, None).identity == "match"
        assert patients.marked(image, jane, now, None).identity_differs == ("PatientID", "PatientName")


class Cases:
    """Patients by record."""

    def __init__(self, identities: dict[str, Identity]) -> None:
        self.identity = identities.get
