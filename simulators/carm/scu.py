"""The C-arm's DICOM network node: associations as a service class user. Everything here blocks; run it in a thread.

Rules of this file:
- An object's transfer syntax is fixed when it is queued, and no other is proposed: the octets that were hashed then
  are the octets that go out.
- Only status 0x0000 is a success. Anything else, and any loss of the association, raises `NotStoredError`.
"""

from __future__ import annotations

import hashlib
import logging
import time
from io import BytesIO
from ssl import SSLContext
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from simulators.carm.headers import SOP_CLASSES

ASSOCIATION_LIMIT_S = 5.0  # a room that does not answer an association request by then is not there
RESPONSE_LIMIT_S = 30.0  # a C-STORE answer waits for a disk
FLUSH_LIMIT_S = 5.0  # how long half an object may take to leave before the cable is "cut"


class NotStoredError(Exception):
    """The room did not say 0x0000. `str()` says what it said."""


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
    """Calls one room. `calling`: this C-arm's AE title."""

    def __init__(self, host: str, port: int, *, calling: str, called: str) -> None:
        self.host, self.port, self.calling, self.called = host, port, calling, called
        # A C-arm that waits for its room is no news; what happened is in the truth log.
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

    def open(self, transfer_syntax: UID, *, calling: str | None = None) -> Association:
        """An association. NotStoredError if the room is absent or refuses."""
        entity = _Entity(ae_title=calling or self.calling)
        entity.acse_timeout = entity.connection_timeout = ASSOCIATION_LIMIT_S
        entity.dimse_timeout = entity.network_timeout = RESPONSE_LIMIT_S
        entity.add_requested_context(Verification)
        for sop_class in SOP_CLASSES.values():
            entity.add_requested_context(sop_class, transfer_syntax)
        association = entity.associate(self.host, self.port, ae_title=self.called)
        if association.is_established:
            return association
        raise NotStoredError("association refused" if association.is_rejected else "no answer")

    def echo(self, transfer_syntax: UID, *, calling: str | None = None) -> None:
        """C-ECHO on an association of its own. NotStoredError if it did not come back as 0x0000."""
        association = self.open(transfer_syntax, calling=calling)
        try:
            status = association.send_c_echo()
        finally:
            association.release()
        if getattr(status, "Status", None) != 0:
            raise NotStoredError(_said(getattr(status, "Status", None)))

    def store(self, association: Association, job: Job, message_id: int) -> None:
        """C-STORE of one object. NotStoredError unless the room said 0x0000."""
        try:
            answer = association.send_c_store(job.dataset, msg_id=message_id)
        except (RuntimeError, ValueError) as error:  # the association is gone, or has no context for the object
            raise NotStoredError(str(error)) from error
        status = getattr(answer, "Status", None)
        if status != 0:
            raise NotStoredError(_said(status))

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
    raise NotStoredError(f"the room does not take {job.dataset.SOPClassUID.name}")


def _said(status: int | None) -> str:
    return "no answer" if status is None else f"status 0x{status:04X}"
