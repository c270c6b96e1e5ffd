"""`export --format fhir`: it is FHIR by somebody else's model, nothing in it is invented, and nobody is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fhir.resources.R4B.bundle import Bundle

from esi_room.cli import main


def export(built: Any, to: Path, *more: str) -> dict[str, Any]:
    CliRunner().invoke(main, ["export", str(built.directory), "--format", "fhir", "--to", str(to), *more])
    (path,) = to.iterdir()
    Bundle.model_validate_json(path.read_bytes())
    made: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return made


@pytest.fixture
def bundle(built: Any, tmp_path: Path) -> dict[str, Any]:
    return export(built, tmp_path / "out")


def of(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


def test_every_kind_is_there(bundle):
    kinds = {each["resource"]["resourceType"] for each in bundle["entry"]}
    assert kinds == {
        *("Patient", "Device", "Procedure", "MedicationAdministration"),
        *("ImagingStudy", "Observation", "Provenance"),
    }


def test_every_reference_leads_to_an_entry(bundle):
    there = {each["fullUrl"] for each in bundle["entry"]}
    assert len(there) == len(bundle["entry"])

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["reference"]} if "reference" in node else set()
            return own.union(*map(references, node.values()))
        return set().union(*map(references, node)) if isinstance(node, list) else set()

    assert references(bundle["entry"]) <= there


def test_the_patient_is_a_pseudonym(bundle):
    text = json.dumps(bundle)
    assert not [each for each in ("Muster", "Erika", "4711", "1961-04-12") if each in text]
    assert bundle["meta"]["security"][0]["code"] == "PSEUDED"


def test_the_patient_where_that_is_asked_for(built, tmp_path):
    bundle = export(built, tmp_path / "out", "--identity")
    (patient,) = of(bundle, "Patient")
    assert patient["name"][0]["family"] == "Muster" and patient["name"][0]["given"] == ["Erika"]
    assert (patient["birthDate"], patient["identifier"][0]["value"]) == ("1961-04-12", "4711")
    assert "security" not in bundle.get("meta", {})


def test_a_value_that_the_device_marked_bad_is_no_number(bundle):
    spo2 = [
        part
        for each in of(bundle, "Observation")
        for part in each.get("component", [])
        if part["code"]["text"] == "spo2_pct"
    ]
    assert [part.get("valueQuantity", {}).get("value") for part in spo2] == [98, None, 99]
    assert spo2[1]["dataAbsentReason"]["text"] == "invalid"
    assert spo2[0]["code"]["coding"] == [
        {"system": "urn:iso:std:iso:11073:10101", "code": "150456", "display": "spo2_pct"}
    ]


def test_a_corrected_form_has_its_new_value_and_the_old_one_in_a_note(bundle):
    pains = [each for each in of(bundle, "Observation") if "Pain" in each["code"]["text"]]
    assert [(each["status"], each["valueQuantity"]["value"]) for each in pains] == [("corrected", 5), ("final", 2)]
    notes = " ".join(note["text"] for note in pains[0]["note"])
    assert '"score":8' in notes and "misheard" in notes and "it was 5" in notes


def test_medication_is_what_was_delivered_and_given(bundle):
    pump, skin = sorted(of(bundle, "MedicationAdministration"), key=lambda each: "effectiveDateTime" in each)
    assert pump["medicationCodeableConcept"]["text"] == "dexamethasone"
    assert pump["dosage"]["dose"] == {
        "value": 2.0, "unit": "mL", "system": "http://unitsofmeasure.org", "code": "mL",
    }  # fmt: skip
    assert skin["dosage"]["text"] == "lidocaine 1 % 3 mL (30 mg)"


def test_late_images_and_their_dose_belong_to_the_case(bundle):
    (study,) = of(bundle, "ImagingStudy")
    assert study["numberOfInstances"] == 2
    dap = [each for each in of(bundle, "Observation") if each["code"]["text"] == "Dose Area Product Total"]
    assert [each["valueQuantity"]["value"] for each in dap] == [2.5e-5, 1e-5]


def test_a_broken_record_says_so(broken, tmp_path):
    bundle = export(broken, tmp_path / "out", "--even-if-broken")
    assert bundle["meta"]["tag"][0]["code"] == "BROKEN"
    (provenance,) = of(bundle, "Provenance")
    assert "BROKEN: journal.jsonl:" in provenance["entity"][0]["what"]["display"]


def test_it_is_the_same_every_time(built, bundle, tmp_path):
    assert export(built, tmp_path / "again") == bundle


def test_who_used_the_record_are_audit_events(used, tmp_path):
    bundle = export(used, tmp_path / "out")
    test_every_reference_leads_to_an_entry(bundle)
    room, patient, replay = sorted(of(bundle, "AuditEvent"), key=lambda each: each["type"]["code"])
    assert room["type"] == {
        "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110101", "display": "Audit Log Used",
    }  # fmt: skip
    assert (room["action"], room["outcome"], room["agent"][0]["who"]["display"]) == ("R", "0", "Auditor B")
    assert room["entity"][0]["description"] == "verified: 3 record(s) hold"
    assert room["entity"][0]["what"]["identifier"]["value"] == used.record
    newest = sorted(each.name for each in used.directory.parent.iterdir())[-1]
    assert room["entity"][0]["detail"][0]["valueString"].startswith(f"{newest}#")
    assert [each["role"]["display"] for each in patient["entity"]] == ["Report", "Patient"]
    assert patient["purposeOfEvent"] == [{"text": "call back"}]
    assert (replay["outcome"], replay["outcomeDesc"]) == ("4", "not done to its end")
    (provenance,) = of(bundle, "Provenance")
    assert f"urn:uuid:{replay['id']}" in {each["reference"] for each in provenance["target"]}
