"""`export --format dicom-sr`: a Procedure Log that dicom3tools, dcmtk and pydicom read; old and new; nobody named."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ProcedureLogStorage

from esi_room.audit.export.sr import vitals
from esi_room.cli import main
from esi_room.clock import NS
from esi_room.events.clinical.anytime import WHEREABOUTS_DCM


def export(directory: Path, to: Path, *more: str) -> Path:
    CliRunner().invoke(main, ["export", str(directory), "--format", "dicom-sr", "--to", str(to), *more])
    (path,) = to.iterdir()
    return path


@pytest.fixture
def document(built: Any, tmp_path: Path) -> Dataset:
    return dcmread(export(built.directory, tmp_path / "out"))


def value(item: Dataset) -> Any:
    match item.ValueType:
        case "TEXT":
            return item.TextValue
        case "CODE":
            return item.ConceptCodeSequence[0].CodeMeaning
        case "NUM":
            return float(item.MeasuredValueSequence[0].NumericValue) if item.MeasuredValueSequence else None
        case "PNAME":
            return str(item.PersonName)
        case "DATETIME":
            return item.DateTime
        case "UIDREF":
            return item.UID
    return item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID


def name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def log(document: Dataset) -> list[Dataset]:
    return [each for each in document.ContentSequence if each.RelationshipType == "CONTAINS"]


def of(document: Dataset, meaning: str) -> list[Dataset]:
    return [each for each in log(document) if name(each) == meaning]


def said(item: Dataset) -> dict[str, Any]:
    return {name(each): value(each) for each in item.get("ContentSequence", [])}


def everything(document: Dataset) -> Iterator[Dataset]:
    for item in document.get("ContentSequence", []):
        yield item
        yield from everything(item)


def text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def checked(path: Path, peers: ModuleType) -> str:
    """What dciodvfy and dsrdump say. No error of either."""
    done = subprocess.run([peers.need("dciodvfy"), "-new", path], capture_output=True, text=True, check=False)
    assert "ProcedureLog" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("Error")], done.stderr
    dump = [peers.need("dsrdump"), "+Pl", "+Pc", path]
    dumped = subprocess.run(dump, capture_output=True, check=False)
    assert dumped.returncode == 0, dumped.stderr
    assert not [line for line in dumped.stderr.decode().splitlines() if "violates" in line or line.startswith("E:")]
    return dumped.stdout.decode()


def test_other_programs_read_it_and_find_no_error(built, tmp_path, peers):
    shown = checked(export(built.directory, tmp_path / "out"), peers)
    assert "Procedure Log Document" in shown
    assert '(82573000,SCT,"Lidocaine")' in shown and "(121138,DCM" in shown


def test_with_identity_too(built, tmp_path, peers):
    path = export(built.directory, tmp_path / "out", "--identity")
    checked(path, peers)
    document = dcmread(path)
    assert (document.PatientName, document.PatientID, document.PatientBirthDate) == ("Muster^Erika", "4711", "19610412")
    assert document.StudyInstanceUID == "1.2.3"  # the images'


def test_nobody_is_named_otherwise(built, document, tmp_path):
    assert (document.PatientName, document.PatientIdentityRemoved) == ("", "YES")
    assert len(document.PatientID) == 64
    assert document.StudyInstanceUID.startswith("2.25.")
    (path,) = (tmp_path / "out").iterdir()
    assert not [each for each in ("Muster", "Erika", "19610412", "1961-04-12") if each in text(path)]


def test_it_is_a_procedure_log(document):
    assert document.SOPClassUID == ProcedureLogStorage
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "3001"
    moments = [each.ObservationDateTime for each in log(document)]
    assert moments == sorted(moments) and len(moments) > 25
    assert not [each for each in everything(document) if each.ValueType == "CONTAINER"]


def test_old_and_new_stand_in_it_and_say_which_they_are(document):
    pain = "Pain severity - 0-10 verbal numeric rating"
    scores = [said(each) for each in of(document, "Patient Status or Event") if pain in said(each)]
    assert [(each[pain], each.get("Standing of the entry")) for each in scores] == [
        (8, "Was corrected: does not count"),
        (6, "Correction: counts in place of an earlier entry"),
        (2, None),  # a follow-up, after the seal
        (5, "Correction: counts in place of an earlier entry"),
    ]
    assert "misheard: was occasion baseline; score 8" in scores[1]["Comment"]
    assert "it was 5: was occasion baseline; score 6" in scores[3]["Comment"]
    told = {value(each): said(each).get("Standing of the entry") for each in of(document, "Procedure Note")}
    assert told["note: text of another patient's"] == "Was withdrawn: does not count"


def test_phases_begin_and_end(document):
    begun = [value(each) for each in of(document, "Start Procedure Action Item")]
    ended = [value(each) for each in of(document, "End Procedure Action Item")]
    assert begun == ["procedure", "preparation", "guidance", "injection"]
    assert ended == ["preparation", "guidance", "injection", "procedure"]


def test_a_delivery_has_its_volume_and_a_drug_its_dose(document):
    (end,) = of(document, "Infusate end")
    assert (value(end), said(end)["Volume administered"]) == ("dexamethasone", 2)
    (given,) = of(document, "Drug administered")
    assert (value(given), said(given)["Undiluted dose administered"], said(given)["Concentration"]) == (
        "Lidocaine", 30, 1,
    )  # fmt: skip


def test_images_are_referred_to_and_are_the_evidence(built, document):
    assert [value(each) for each in of(document, "Image Acquired")] == ["1.2.3.1", "1.2.3.2"]
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == ("1.2.3", "1.2.3.0")
    assert [each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence] == ["1.2.3.1", "1.2.3.2"]
    late = of(document, "Image Acquired")[1]
    assert "came late" in said(late)["Comment"] and said(late)["DateTime of Recording of Log Entry"]


def test_a_value_that_the_device_marked_bad_is_no_number(built, tmp_path, monkeypatch):
    monkeypatch.setattr(vitals, "EVERY_NS", NS)
    document = dcmread(export(built.directory, tmp_path / "out"))
    spo2 = [item for item in everything(document) if name(item) == "spo2_pct"]
    assert [value(item) for item in spo2] == [98, None, 99]
    assert spo2[1].NumericValueQualifierCodeSequence[0].CodeMeaning == "Measurement failure"
    code = spo2[0].ConceptNameCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("2:19384", "MDC")  # 150456


def test_of_many_readings_it_has_the_last_in_five_minutes(document):
    spo2 = [item for item in everything(document) if name(item) == "spo2_pct"]
    assert [value(item) for item in spo2] == [98, 99]
    assert said(spo2[1])["Entry of the record: record id and seq"].endswith("#24")


def test_codes_are_published_or_of_a_scheme_that_says_that_it_is_private(document):
    schemes = {
        code.CodingSchemeDesignator
        for item in everything(document)
        for code in (*item.ConceptNameCodeSequence, *item.get("ConceptCodeSequence", []))
    }
    assert schemes <= {"DCM", "SCT", "LN", "MDC", "UCUM", "99ESIROOM"}
    (declared,) = document.CodingSchemeIdentificationSequence
    assert declared.CodingSchemeDesignator == "99ESIROOM" and "Private" in declared.CodingSchemeName


def test_every_published_code_is_the_standards():
    from pydicom.sr._concepts_dict import concepts

    from esi_room.audit.export.sr import codes as c

    known: dict[tuple[str, str], str] = {}
    for scheme, names in concepts.items():
        for found in names.values():
            known |= {(scheme, code): meaning for code, (meaning, _) in found.items()}
    ours = [each for each in vars(c).values() if isinstance(each, c.Code)]
    ours += [c.event(each) for each in (*c.EVENTS, *WHEREABOUTS_DCM.values())]
    ours += [each for table in (c._DRUGS, c._ROUTES) for each in table.values()]
    missing = {each for each in ours if each.scheme in ("DCM", "SCT") and (each.scheme, each.value) not in known}
    assert not missing
    for each in ours:
        if each.scheme == "DCM":
            assert each.meaning == known["DCM", each.value]


def test_a_broken_record_says_so(broken, tmp_path, peers):
    path = export(broken.directory, tmp_path / "out", "--even-if-broken")
    assert ".BROKEN." in path.name
    checked(path, peers)
    document = dcmread(path)
    for each in (document.StudyDescription, document.SeriesDescription, document.CompletionFlagDescription):
        assert each.startswith("BROKEN: ")
    assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    first = log(document)[0]
    assert value(first).startswith("BROKEN: ") and "journal.jsonl:" in value(first)
    context = {name(each): value(each) for each in document.ContentSequence if each.RelationshipType != "CONTAINS"}
    assert context["Verification of the record"].startswith("BROKEN: ")


def test_it_is_the_same_every_time_and_another_when_more_was_said(built, tmp_path):
    first, again = export(built.directory, tmp_path / "a"), export(built.directory, tmp_path / "b")
    assert first.read_bytes() == again.read_bytes() and first.stat().st_mode & 0o777 == 0o600
    one = dcmread(first)
    amendments = built.directory / "amendments.jsonl"
    amendments.write_bytes(amendments.read_bytes().splitlines(keepends=True)[0])
    other = dcmread(export(built.directory, tmp_path / "c", "--even-if-broken"))
    assert one.SOPInstanceUID != other.SOPInstanceUID and one.SOPInstanceUID.startswith("2.25.")
    assert one.SeriesInstanceUID == other.SeriesInstanceUID


def test_an_image_whose_uids_are_none_is_told_of_and_not_referred_to(built, tmp_path):
    path = built.directory / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"series_uid":"1.2.3.0"', b'"series_uid":"once..0"'))
    document = dcmread(export(built.directory, tmp_path / "out", "--even-if-broken"))
    assert len(of(document, "Image Acquired")) == 1
    assert [each for each in of(document, "Tech Note") if "cannot be referred to" in value(each)]


def test_a_played_case(record, tmp_path, peers):
    """With a pump's delivery, forms of every phase and the demo's devices."""
    shown = checked(export(record, tmp_path / "out"), peers)
    assert "Infusate end" in shown and "pulse_rate_bpm" in shown


def test_two_objects_under_one_uid_are_one_piece_of_evidence(built, tmp_path, peers):
    later = max((built.root / "records").iterdir()) / "journal.jsonl"
    later.write_bytes(later.read_bytes().replace(b'"sop_instance_uid":"1.2.3.2"', b'"sop_instance_uid":"1.2.3.1"'))
    path = export(built.directory, tmp_path / "out", "--even-if-broken")
    checked(path, peers)
    document = dcmread(path)
    assert [value(each) for each in of(document, "Image Acquired")] == ["1.2.3.1", "1.2.3.1"]
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    assert len(study.ReferencedSeriesSequence[0].ReferencedSOPSequence) == 1
