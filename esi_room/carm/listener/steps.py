"""MPPS (PS3.4 annex F): what a C-arm says of the procedure step that it performs. Runs in the listener's process.

    N-CREATE  it begins    -> StepCreated to the daemon -> status
    N-SET     it goes on, it is COMPLETED or DISCONTINUED -> StepChanged -> status

Rules of this file:
- The daemon knows the steps and their states; here a data set becomes plain values, and an answer a response.
- A data set is read as far as it can be. What is missing (table F.7.2-1), may not be set, or makes no sense is named in
  `problems`, and costs nothing else: a step that is refused is a step that nobody records.
- Every status but 0000 is an entry (`carm.association`, outcome `failed`).

    0000  it is in the record, durable              0112  no step with this UID
    0106  the status is none, or not allowed here   0117  the UID is no UID
    0110  the step is over (Error ID A710), or an error of ours
    0111  there is a step with this UID already     0120  it has no status, or an empty one
    0213  not kept: disk full, record not writable, daemon gone or too slow
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator, read_dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.presentation import build_context

from esi_room.carm.dose import steps as dose
from esi_room.carm.listener import moments
from esi_room.carm.listener.incoming import file_meta
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.look import Look
from esi_room.carm.listener.patient import patient
from esi_room.carm.listener.services import Ask, Service
from esi_room.carm.listener.storage import OUT_OF_RESOURCES
from esi_room.carm.shapes import InstanceName, Step
from esi_room.carm.wire import Answer, StepChanged, StepCreated
from esi_room.clock import Clock

MPPS = "1.2.840.10008.3.1.2.3.3"
TRANSFER_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
INVALID_INSTANCE = 0x0117
RESOURCE_LIMITATION = 0x0213  # PS3.7 C.5.18: what A700 is to storage

# An ESI has a hundred images, of 110 bytes each here. Status, order and patient stand in front of them.
MAX_READ_BYTES = 1 << 20
# Items of sequences, one an image; reading one takes 50 us.
MAX_ITEMS = 5_000
MAX_COMMENT = 64  # value representation LO
# PS3.5 section 9.1, without its ban on leading zeros, which real devices break.
_UID = re.compile(r"[0-9.]{1,64}")

# Type 1 in table F.7.2-1: of the N-CREATE, and in the final state.
_AT_CREATE = (
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "Modality",
)
_AT_END = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedSeriesSequence")
_FINAL = ("COMPLETED", "DISCONTINUED")
# "Not allowed" in the N-SET column of table F.7.2-1.
_NOT_TO_BE_SET = (
    "ScheduledStepAttributesSequence",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "Modality",
    "StudyID",
)


def service(ask: Ask, clock: Clock, knocks: Knocks) -> Service:
    """MPPS as SCP."""
    steps = Steps(ask, clock, knocks)
    context = build_context(MPPS, list(TRANSFER_SYNTAXES))
    return Service((context,), ((evt.EVT_N_CREATE, steps.create), (evt.EVT_N_SET, steps.change)))


class Steps:
    """Answers N-CREATE and N-SET."""

    def __init__(self, ask: Ask, clock: Clock, knocks: Knocks) -> None:
        self._ask, self._clock, self._knocks = ask, clock, knocks

    def create(self, event: Any) -> tuple[Dataset, Dataset | None]:
        """EVT_N_CREATE. A peer that gives no SOP instance UID is given one (PS3.7 10.1.5.1.4)."""
        given = str(event.request.AffectedSOPInstanceUID or "")
        uid = given or str(generate_uid(None))
        answer = self._asked(event, uid, event.request.AttributeList, StepCreated)
        assigned = Dataset()
        assigned.AffectedSOPInstanceUID = uid
        return self._status("N-CREATE", event, answer), None if given else assigned

    def change(self, event: Any) -> tuple[Dataset, Dataset | None]:
        """EVT_N_SET."""
        uid = str(event.request.RequestedSOPInstanceUID or "")
        answer = self._asked(event, uid, event.request.ModificationList, StepChanged)
        return self._status("N-SET", event, answer), None

    def _asked(
        self, event: Any, uid: str, sent: io.BytesIO | None, kind: type[StepCreated] | type[StepChanged]
    ) -> Answer:
        at = self._clock.now()
        if _UID.fullmatch(uid) is None:
            return Answer(id=0, status=INVALID_INSTANCE, comment="the SOP instance UID is no UID")
        octets, syntax = sent.getvalue() if sent else b"", str(event.context.transfer_syntax)
        try:
            dataset, problem = parsed(octets[:MAX_READ_BYTES], UID(syntax))
            if len(octets) > MAX_READ_BYTES:
                problem = f"only the first {MAX_READ_BYTES >> 20} MiB are read"
            step = read(dataset, uid, creating=kind is StepCreated, problem=problem)
            whole = file_meta(MPPS, uid, syntax) + octets
            return self._ask(kind(id=0, peer=event.assoc.peer, at=at, step=step, dataset=whole))
        except Exception as error:  # noqa: BLE001 - the peer must get an answer, and the entry a reason
            return Answer(id=0, status=PROCESSING_FAILURE, comment=type(error).__name__)

    def _status(self, name: str, event: Any, answer: Answer) -> Dataset:
        status = Dataset()
        status.Status = RESOURCE_LIMITATION if answer.status == OUT_OF_RESOURCES else answer.status
        if answer.status != SUCCESS:
            called = str(event.assoc.acceptor.ae_title)
            reason = f"{name} answered {status.Status:04X}: {answer.comment}"
            self._knocks.say("failed", event.assoc.peer, called, reason)
            status.ErrorComment = answer.comment.encode("ascii", "replace").decode()[:MAX_COMMENT]
        if answer.error_id is not None:
            status.ErrorID = answer.error_id
        return status


def parsed(octets: bytes, syntax: UID) -> tuple[Dataset, str | None]:
    """The data set up to where it stops making sense, and why it stops there. Never raises for its content."""
    problem, whole_bytes, source = None, 0, io.BytesIO(octets)
    try:
        for _ in data_element_generator(source, syntax.is_implicit_VR, syntax.is_little_endian):
            whole_bytes = source.tell()
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever it stumbles over
        problem = f"the data set does not parse after {whole_bytes} bytes: {type(error).__name__}"
    try:
        return read_dataset(io.BytesIO(octets[:whole_bytes]), syntax.is_implicit_VR, syntax.is_little_endian), problem
    except Exception as error:  # noqa: BLE001 - the same
        return Dataset(), f"the data set does not parse: {type(error).__name__}"


def read(dataset: Dataset, uid: str, *, creating: bool, problem: str | None = None) -> Step:
    """What an N-CREATE's or N-SET's data set says."""
    return _Reader(dataset).step(uid, creating=creating, problem=problem)


class _Reader:
    """One data set, with all that is inside its sequences."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self._top = dataset, Look(dataset)
        self._looks = [self._top]

    def step(self, uid: str, *, creating: bool, problem: str | None) -> Step:
        top = self._top
        status = top.text("PerformedProcedureStepStatus")
        scheduled = list(self._inside(top, "ScheduledStepAttributesSequence"))
        images = tuple(self._images())
        problems = [] if problem is None else [problem]
        problems += self._rules_broken(status, creating=creating)
        if len(self._looks) > MAX_ITEMS:
            problems.append(f"only its first {MAX_ITEMS} items are read")
        step = Step(
            sop_instance_uid=uid,
            status=status,
            started=moments.stated(top, "PerformedProcedureStepStart"),
            ended=moments.stated(top, "PerformedProcedureStepEnd"),
            description=top.text("PerformedProcedureStepDescription"),
            procedure_step_id=top.text("PerformedProcedureStepID"),
            orders=_texts(scheduled, "ScheduledProcedureStepID"),
            study_uids=_texts(scheduled, "StudyInstanceUID"),
            accessions=_texts(scheduled, "AccessionNumber"),
            images=images,
            discontinuation_reason=self._reason(),
            patient=patient(top),
            dose=dose.report(self._dataset),
        )
        unreadable = sorted(set().union(*(look.unreadable for look in self._looks)))
        problems += [f"not readable: {', '.join(unreadable)}"] if unreadable else []
        return replace(step, problems=tuple(problems))

    def _rules_broken(self, status: str | None, *, creating: bool) -> Iterator[str]:
        required = (*(_AT_CREATE if creating else ()), *(_AT_END if status in _FINAL else ()))
        missing = [keyword for keyword in required if not self._top.present(keyword)]
        if missing:
            yield f"missing: {', '.join(missing)}"
        unwanted = [] if creating else [keyword for keyword in _NOT_TO_BE_SET if self._top.present(keyword)]
        if unwanted:
            yield f"may not be set: {', '.join(unwanted)}"

    def _images(self) -> Iterator[InstanceName]:
        for series in self._inside(self._top, "PerformedSeriesSequence"):
            for keyword in ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence"):
                for image in self._inside(series, keyword):
                    uid = image.text("ReferencedSOPInstanceUID")
                    if uid is not None:
                        yield InstanceName(image.text("ReferencedSOPClassUID") or "", uid)

    def _reason(self) -> str | None:
        """A code as `110514 DCM (…)`: value and scheme are what counts, the meaning is for people."""
        for code in self._inside(self._top, "PerformedProcedureStepDiscontinuationReasonCodeSequence"):
            value, scheme = code.text("CodeValue"), code.text("CodingSchemeDesignator")
            meaning = code.text("CodeMeaning")
            words = [word for word in (value, scheme, f"({meaning})" if meaning else None) if word]
            return " ".join(words) or None
        return None

    def _inside(self, look: Look, keyword: str) -> Iterator[Look]:
        for item in look.items(keyword):
            if len(self._looks) > MAX_ITEMS:
                return
            inner = Look(item)
            self._looks.append(inner)
            yield inner


def _texts(looks: list[Look], keyword: str) -> tuple[str, ...]:
    """Each once, in their order."""
    return tuple(dict.fromkeys(text for look in looks if (text := look.text(keyword))))
