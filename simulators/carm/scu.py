"""The C-arm's DICOM network node: associations as a service class user. Everything here blocks; run it in a thread.

Rules of this file:
- An object's transfer syntax is fixed when it is queued, and no other is proposed: the octets that were hashed then
  are the octets that go out.
- Only status 0x0000 is a success. Anything else, and any loss of the association, raises a `PeerError`.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from ssl import SSLContext
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import UID, EnhancedSRStorage, ExplicitVRLittleEndian, XRayRadiationDoseSRStorage
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from simulators.carm.headers import SOP_CLASSES

ASSOCIATION_LIMIT_S = 5.0  # a room that does not answer an association request by then is not there
RESPONSE_LIMIT_S = 30.0  # a C-STORE answer waits for a disk
PRIVATE_REPORT_CLASS = UID("1.3.12.2.1107.5.9.1")  # Siemens CSA Non-Image Storage: a maker's own, in no standard
REPORT_CLASSES = (XRayRadiationDoseSRStorage, EnhancedSRStorage, PRIVATE_REPORT_CLASS)
FLUSH_LIMIT_S = 5.0  # how long half an object may take to leave before the cable is "cut"


class PeerError(Exception):
    """It was not done. `str()` says what the room said, or that it said nothing."""


class NoAnswerError(PeerError):
    """No association, or it was lost: worth another try."""


class StatusError(PeerError):
    """The room answered with a status that is no success."""


class NotOfferedError(PeerError):
    """The room accepted no presentation context for this: it does not have this service, and never will."""


class Job(NamedTuple):
    """An object that waits to be stored. `sha256` is of its data set as it goes over the wire (`octets`)."""

    dataset: Dataset
    octets: bytes
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset) -> Job:
        """The data set, encoded once and for all."""
        syntax = dataset.file_meta.TransferSyntaxUID
        octets = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        if octets is None:
            raise ValueError("the data set cannot be encoded")
        return cls(dataset, octets, hashlib.sha256(octets).hexdigest())

    @property
    def uid(self) -> str:
        """SOP Instance UID."""
        return str(self.dataset.SOPInstanceUID)

    @property
    def is_image(self) -> bool:
        """Or else a report."""
        return self.dataset.SOPClassUID in SOP_CLASSES.values()


class _Socket(AssociationSocket):
    """Closes the descriptor of a connection that was refused; pynetdicom 3.0.4 leaves that to the collector."""

    def connect(self, primitive: T_CONNECT) -> None:
        descriptor = self.socket
        super().connect(primitive)
        if self.socket is None and descriptor is not None:
            descriptor.close()


class _Entity(AE):
    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[SSLContext, str] | None
    ) -> AssociationSocket:
        made = _Socket(assoc, address=address)
        made.tls_args = tls_args
        return made


class Scu:
    """Calls one room. `calling`: this C-arm's AE title; `syntax`: the transfer syntax of its images."""

    def __init__(self, host: str, port: int, *, calling: str, called: str, syntax: UID) -> None:
        self.host, self.port, self.calling, self.called = host, port, calling, called
        self._storage = [build_context(sop_class, syntax) for sop_class in SOP_CLASSES.values()]
        self._storage += [build_context(sop_class, ExplicitVRLittleEndian) for sop_class in REPORT_CLASSES]
        self._open: set[Association] = set()
        # A C-arm that waits for its room is no news; what happened is in the truth log.
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

    def open(self, contexts: Sequence[PresentationContext], *, calling: str | None = None) -> Association:
        """An association. NoAnswerError if the room is absent or refuses."""
        entity = _Entity(ae_title=calling or self.calling)
        entity.acse_timeout = entity.connection_timeout = ASSOCIATION_LIMIT_S
        entity.dimse_timeout = entity.network_timeout = RESPONSE_LIMIT_S
        association = entity.associate(self.host, self.port, list(contexts), ae_title=self.called)
        if association.is_established:
            return association
        if association.is_rejected:
            raise NoAnswerError("association refused")
        # Where no context was accepted pynetdicom aborts what was established for a moment.
        if association.rejected_contexts and not association.accepted_contexts:
            raise NotOfferedError("no presentation context accepted")
        raise NoAnswerError("no answer")

    @contextmanager
    def calling_for(self, *sop_classes: UID | str) -> Iterator[Association]:
        """An association for these services; ended when the block ends. A lost one raises NoAnswerError."""
        association = self.open([build_context(sop_class) for sop_class in sop_classes])
        self._open.add(association)
        try:
            yield association
        except (RuntimeError, ValueError) as error:  # pynetdicom's words for a lost one, and for a missing context
            raise NoAnswerError(str(error)) from error
        finally:
            self._open.discard(association)
            if association.is_established:
                association.release()

    def hang_up(self) -> None:
        """Abort what is under way: the C-arm is switched off."""
        for association in list(self._open):
            cut(association)

    def storage(self) -> Association:
        """An association for images and reports."""
        return self.open(self._storage)

    def echo(self, *, calling: str | None = None) -> None:
        """C-ECHO on an association of its own. PeerError if it did not come back as 0x0000."""
        association = self.open([build_context(Verification)], calling=calling)
        try:
            status = association.send_c_echo()
        finally:
            association.release()
        expect_success(status)

    def store(self, association: Association, job: Job, message_id: int) -> None:
        """C-STORE of one object. PeerError unless the room said 0x0000."""
        _context(association, job)
        try:
            answer = association.send_c_store(job.dataset, msg_id=message_id)
        except (RuntimeError, ValueError) as error:  # the association is gone
            raise NoAnswerError(str(error)) from error
        expect_success(answer)

    def store_half(self, association: Association, job: Job, message_id: int) -> None:
        """Send the first half of an object, then abort as if the C-arm had been switched off."""
        context = _context(association, job)
        message = C_STORE_RQ()
        message.primitive_to_message(_request(job, message_id))
        parts = list(message.encode_msg(context, association.dimse.maximum_pdu_size))
        for part in parts[: max(2, len(parts) // 2)]:
            association.dul.send_pdu(part)
        until = time.monotonic() + FLUSH_LIMIT_S
        while not association.dul.to_provider_queue.empty() and time.monotonic() < until:
            time.sleep(0.005)
        association.abort()


def _request(job: Job, message_id: int) -> C_STORE:
    request = C_STORE()
    request.MessageID = message_id
    request.Priority = 2
    request.AffectedSOPClassUID = job.dataset.SOPClassUID
    request.AffectedSOPInstanceUID = job.dataset.SOPInstanceUID
    request.DataSet = BytesIO(job.octets)
    return request


def _context(association: Association, job: Job) -> int:
    for context in association.accepted_contexts:
        if context.abstract_syntax == job.dataset.SOPClassUID:
            return int(context.context_id or 0)
    if association.is_established:
        raise NotOfferedError(f"the room does not take {job.dataset.SOPClassUID.name}")
    raise NoAnswerError("the association is gone")


def cut(association: Association) -> None:
    """Abort, and wake the thread that waits for an answer; pynetdicom 3.0.4 lets it wait out its time-out."""
    association.abort()
    association.dimse.msg_queue.put((None, None))


def expect_success(answer: Dataset) -> None:
    """PeerError unless `answer` (what a DIMSE request brought back) holds status 0x0000."""
    status = getattr(answer, "Status", None)
    if status is None:
        raise NoAnswerError("no answer")
    if status != 0:
        comment = f" ({answer.ErrorComment})" if "ErrorComment" in answer else ""
        raise StatusError(f"status 0x{status:04X}{comment}")
