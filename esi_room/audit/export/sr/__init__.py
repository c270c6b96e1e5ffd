"""`dicom-sr`: one DICOM Procedure Log SR (SOP class 1.2.840.10008.5.1.4.1.1.88.40, TID 3001), `<record>.sr.dcm`.

    codes    values of PS3.16, and of a private scheme that says so     entry     what every entry of the log has
    items    content items as data sets                                 log, forms, vitals    the entries

Rules:
- The patient is a pseudonym, the salted digest that the journal holds, unless identity was asked for. Then the document
  is of the images' study; a pseudonymous one is of a study of its own: an archive holds one patient a study.
- UIDs are 2.25 and follow from the record; that of the document follows from its octets, so that what an amendment
  changes is another document.
- Nobody has signed it in the sense of DICOM: it is UNVERIFIED always. Whether the record verifies is said in words;
  where it does not, in the descriptions of study and series, in the context of the title and as the log's first entry.
- Images are referred to, and listed as evidence.
"""

from __future__ import annotations

import io
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ProcedureLogStorage

from esi_room.audit.export.case import Case
from esi_room.audit.export.files import named, written
from esi_room.audit.export.sr import codes as c
from esi_room.audit.export.sr import items as i
from esi_room.audit.export.sr.entry import ROOM, observing_device
from esi_room.audit.export.sr.log import entries, usable
from esi_room.clock import parse_rfc3339
from esi_room.events import CarmImage, DeviceState

_UTC_FRAME = "1.2.840.10008.15.1.1"  # Universal Coordinated Time, a well-known frame of reference
_VERIFICATION = c.own("verification", "Verification of the record")
_MAKER = "esi_room"
_PSEUDONYM = "pseudonym: salted digest, from the journal"


def export(case: Case, to: Path) -> list[Path]:
    """The document."""
    path = named(case, to, "sr.dcm")
    with written(path) as file:
        file.write(encoded(document(case)))
    return [path]


def encoded(document: Dataset) -> bytes:
    """Part 10, with the UID that follows from the octets without it."""
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    document.save_as(out, enforce_file_format=False)
    document.SOPInstanceUID = i.uid_of(out.getvalue())
    out = io.BytesIO()
    document.save_as(out, enforce_file_format=True)
    return out.getvalue()


def document(case: Case) -> Dataset:
    """All but its own UID."""
    made = Dataset()
    made.SpecificCharacterSet, made.TimezoneOffsetFromUTC = "ISO_IR 192", "+0000"
    made.SOPClassUID = ProcedureLogStorage
    made.CodingSchemeIdentificationSequence = [_scheme()]
    _patient(made, case)
    _study(made, case)
    _equipment(made, case)
    _state(made, case)
    _evidence(made, case)
    _content(made, case)
    return made


def _scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeUID = c.PRIVATE, i.uid("coding-scheme")
    scheme.CodingSchemeName = "Private codes of esi_room: the words that its records use"
    scheme.CodingSchemeResponsibleOrganization = _MAKER
    return scheme


def _patient(made: Dataset, case: Case) -> None:
    who = case.identity
    made.PatientName = "" if who is None else c.line(who.name)
    made.PatientBirthDate = (who.birth_date or "").replace("-", "") if who is not None else ""
    made.PatientSex = ""
    if who is not None:
        made.PatientID = c.line(who.id or "")
        return
    digest = case.facts.started.data.identity_sha256 if case.facts.started is not None else None
    made.PatientID = digest or case.record
    made.PatientIdentityRemoved, made.DeidentificationMethod = "YES", _PSEUDONYM


def _study(made: Dataset, case: Case) -> None:
    studies = [each.study_uid for each in _referred(case)]
    own = case.identity is None or not studies
    made.StudyInstanceUID = i.uid(f"{case.record}/study") if own else max(studies, key=studies.count)
    made.StudyDate, made.StudyTime = _date(case.began), _time(case.began)
    made.StudyID = case.record[:16]  # the moment in it
    made.ReferringPhysicianName = made.AccessionNumber = ""
    procedure = case.facts.procedure or "no procedure was said"
    made.StudyDescription = c.line(f"{_mark(case)}{procedure}")
    made.Modality, made.SeriesNumber = "SR", 1
    made.SeriesInstanceUID = i.uid(f"{case.record}/series")
    made.SeriesDescription = c.line(f"{_mark(case)}Procedure record {case.record}")
    made.ReferencedPerformedProcedureStepSequence = []


def _equipment(made: Dataset, case: Case) -> None:
    made.Manufacturer = made.ManufacturerModelName = _MAKER
    opened = case.opened
    if opened is not None:
        made.StationName = c.line(opened.room, 16)
        made.SoftwareVersions = c.line(opened.software)
    synchronised = opened is not None and opened.clock_synchronised is True
    made.SynchronizationFrameOfReferenceUID = _UTC_FRAME if synchronised else i.uid(f"{case.record}/clock")
    made.SynchronizationTrigger = "NO TRIGGER"
    made.AcquisitionTimeSynchronized = "Y" if synchronised else "N"


def _state(made: Dataset, case: Case) -> None:
    last = max((case.until, *(said.entry.received for said in case.events)))
    made.InstanceNumber = 1
    made.ContentDate, made.ContentTime = _date(last), _time(last)
    whole = case.report.sealed and case.broken is None
    made.CompletionFlag, made.VerificationFlag = "COMPLETE" if whole else "PARTIAL", "UNVERIFIED"
    if not whole:
        made.CompletionFlagDescription = c.line(f"BROKEN: {case.broken}" if case.broken else "the record is still open")
    made.PerformedProcedureCodeSequence = []


def _evidence(made: Dataset, case: Case) -> None:
    """By study and series (PS3.3 C.17.2.3); once each, also where another object came under the same UID."""
    found: dict[str, dict[str, list[Dataset]]] = {}
    for each in {each.sop_instance_uid: each for each in _referred(case)}.values():
        series = found.setdefault(each.study_uid or "", {}).setdefault(each.series_uid or "", [])
        series.append(i.reference(each.sop_class_uid, each.sop_instance_uid))
    if not found:
        return
    made.CurrentRequestedProcedureEvidenceSequence = []
    for uid, by_series in found.items():
        study = Dataset()
        study.StudyInstanceUID, study.ReferencedSeriesSequence = uid, []
        for series_uid, references in by_series.items():
            item = Dataset()
            item.SeriesInstanceUID, item.ReferencedSOPSequence = series_uid, references
            study.ReferencedSeriesSequence.append(item)
        made.CurrentRequestedProcedureEvidenceSequence.append(study)


def _referred(case: Case) -> list[CarmImage]:
    return [said.data for said in case.images() if isinstance(said.data, CarmImage) and usable(said.data)]


def _content(made: Dataset, case: Case) -> None:
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [i.coded(c.TITLE)]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "3001"
    made.ContentTemplateSequence = [template]
    log = entries(case)
    made.ContentSequence = [*_context(case), *_warning(case, log), *log]


def _context(case: Case) -> list[Dataset]:
    """TID 1002, the room that observes; TID 3601; the room and its devices; whether the record verifies."""
    found = [*observing_device(case, ROOM), i.text(i.OBS, c.DEVICE_MAKER, _MAKER)]
    found.append(i.text(i.OBS, _VERIFICATION, _verdict(case)))
    found.append(i.text(i.ACQ, c.DESCRIPTION, case.facts.procedure or "not said"))
    if case.opened is not None:
        found.append(i.text(i.ACQ, c.ROOM, case.opened.room))
    found += [i.text(i.ACQ, c.EQUIPMENT, each) for each in _devices(case)]
    return found


def _devices(case: Case) -> list[str]:
    """Each as it names itself."""
    told = {source: source for source in sorted(case.sources) if source != ROOM}
    for said in case.events:
        if isinstance(said.data, DeviceState) and said.data.identity:
            told[said.entry.source] = f"{said.entry.source}: {said.data.identity}"
    return list(told.values())


def _warning(case: Case, log: list[Dataset]) -> list[Dataset]:
    """Stands before everything else, at the moment of the first entry."""
    if case.broken is None:
        return []
    warning = i.text(i.CONTAINS, c.TECH_NOTE, _verdict(case))
    warning.ObservationDateTime = log[0].ObservationDateTime if log else i.dt(parse_rfc3339(case.began))
    return [warning]


def _verdict(case: Case) -> str:
    if case.broken is not None:
        return f"BROKEN: the record does not verify, what is here may have been altered: {case.broken}"
    report = case.report
    return (
        f"Verified when this was made: {report.lines} entries and {report.amendments} amendments; "
        f"SHA-256 of the last line {report.head}"
    )


def _mark(case: Case) -> str:
    return "" if case.broken is None else "BROKEN: "


def _date(when: str) -> str:
    return i.dt(parse_rfc3339(when))[:8]


def _time(when: str) -> str:
    return i.dt(parse_rfc3339(when))[8:21]
