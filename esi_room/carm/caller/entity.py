"""An association that the room opens: pynetdicom's, with what it lacks as a requestor.

Rules of this file:
- Whatever goes wrong ends in `UnavailableError` (try again later) or `RefusedError` (not this one), with words.
- Every wait has its limit: name, connection, TLS, association, answer, and a peer that stops reading.
- Of an object only a few PDUs are in memory: pynetdicom queues a whole object before it sends the first octet.
- A connection that failed is closed here; pynetdicom leaves its descriptor to the collector.
"""

from __future__ import annotations

import queue
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from pydicom.uid import UID
from pynetdicom import AE, build_role
from pynetdicom import _config as pynetdicom_config
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from esi_room.carm import tls
from esi_room.carm.settings import CarmSettings
from esi_room.carm.shapes import Called
from esi_room.errors import ConfigurationError

# TCP and TLS on a hospital's network take milliseconds; a firewall that drops silently takes for ever.
CONNECT_S = 10.0
# For the A-ASSOCIATE-AC; archives that start a process a connection take some seconds.
ASSOCIATE_S = 20.0
# For the answer to a request, counted from its last octet: an archive that writes 2 GB to tape robots.
ANSWER_S = 120.0
# A peer that takes no octet for this long is gone.
STALL_S = 60.0
# pynetdicom's idle timer; the worker releases long before.
IDLE_S = 600.0
# The longest PDU we send; a peer that says 0 ("no limit") would be sent 2 GB as one.
MAX_SENT_PDU_BYTES = 256 << 10
# PDUs that wait for the socket.
QUEUED_PDUS = 8
_LOOK_S = 0.2

VERIFICATION = "1.2.840.10008.1.1"

pynetdicom_config.LOG_HANDLER_LEVEL = "none"  # its log names patients
pynetdicom_config.STORE_SEND_CHUNKED_DATASET = True


class UnavailableError(Exception):
    """Nobody there, or not now; the text says why. It may work later."""


class RefusedError(Exception):
    """The peer will not take this one: `status` where it gave one, the text says why."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Need(NamedTuple):
    """A presentation context that is needed. `as_scp`: the room is the SCP in it, though it calls (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    transfer_syntax_uids: tuple[str, ...]
    as_scp: bool = False


class _BoundedQueue(queue.Queue[Any]):
    """Holds up the sender while the socket is behind; ConnectionError once nobody empties it any more."""

    def __init__(self, association: Association) -> None:
        super().__init__(QUEUED_PDUS)
        self._dul = association.dul

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if not isinstance(item, P_DATA):
            self._put_urgent(item)
            return
        for _ in range(round(STALL_S / _LOOK_S)):
            if not self._dul.is_alive() or self._dul.state_machine.current_state != "Sta6":
                raise ConnectionError("the connection was lost")
            try:
                super().put(item, timeout=_LOOK_S)
            except queue.Full:
                continue
            return
        raise ConnectionError("the peer takes no more octets")

    def _put_urgent(self, item: Any) -> None:
        """A-ASSOCIATE, A-RELEASE, A-ABORT never wait."""
        with self.mutex:
            self._put(item)
            self.unfinished_tasks += 1
            self.not_empty.notify()


class _Dimse(DIMSEServiceProvider):
    """Sends PDUs of a sensible size, whatever the peer would take."""

    @property
    def maximum_pdu_size(self) -> int:
        return min(super().maximum_pdu_size or MAX_SENT_PDU_BYTES, MAX_SENT_PDU_BYTES)


class _Socket(AssociationSocket):
    """Connects within its time, says why it could not, and leaves nothing open."""

    problem: str | None = None

    def connect(self, primitive: T_CONNECT) -> None:
        """In the association's upper-layer thread; like pynetdicom's, and it closes what failed."""
        raw = cast(socket.socket, self.socket)
        try:
            self.socket = self._connected(raw, primitive)
            self._is_connected = True
            primitive.result = "Evt2"
        except (OSError, ValueError) as error:
            self.problem = _words(error)
            raw.close()
            self.socket = None
            primitive.result = "Evt17"
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()

    def _connected(self, raw: socket.socket, primitive: T_CONNECT) -> socket.socket:
        raw.settimeout(CONNECT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        raw.connect(primitive.address_info.as_tuple)
        connected = raw
        if self.tls_args:
            context, host = self.tls_args
            connected = context.wrap_socket(raw, server_hostname=host)
        self.assoc.requestor.address_info = AddressInformation.from_tuple(connected.getsockname())
        connected.settimeout(STALL_S)
        return connected

    def close(self) -> None:
        """Also where shutting down fails because the peer was faster: pynetdicom then leaves the descriptor open."""
        descriptor = self.socket
        super().close()
        if descriptor is not None:
            descriptor.close()


def _words(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return tls.why(error)
    if isinstance(error, TimeoutError):
        return "no answer to the connection request"
    return str(getattr(error, "strerror", None) or error)


class _Application(AE):
    """Makes associations with the parts above."""

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> AssociationSocket:
        assoc.dul.to_provider_queue = _BoundedQueue(assoc)
        assoc.dimse = _Dimse(assoc)
        made = _Socket(assoc, address=address)
        made.tls_args = tls_args
        return made


class Entity:
    """The room as it calls: its AE title, its certificate."""

    def __init__(self, settings: CarmSettings) -> None:
        self._settings = settings

    def open(self, to: Called, needs: Sequence[Need], handlers: Sequence[Any] = ()) -> Association:
        """An established association, to be released or aborted. UnavailableError, RefusedError."""
        application = self._application()
        for need in needs:
            application.add_requested_context(UID(need.sop_class_uid), [UID(uid) for uid in need.transfer_syntax_uids])
        try:
            association = application.associate(
                to.host,
                to.port,
                ae_title=to.ae_title,
                ext_neg=[build_role(UID(need.sop_class_uid), scp_role=True) for need in needs if need.as_scp],
                tls_args=self._tls(to),
                evt_handlers=list(handlers),
            )
        except (OSError, ValueError) as error:
            raise UnavailableError(_words(error)) from error
        if association.is_established:
            return association
        raise _failure(association, needs)

    def _application(self) -> AE:
        application = _Application(ae_title=self._settings.ae_title)
        application.connection_timeout = CONNECT_S
        application.acse_timeout = ASSOCIATE_S
        application.dimse_timeout = ANSWER_S
        application.network_timeout = IDLE_S
        return application

    def _tls(self, to: Called) -> tuple[ssl.SSLContext, str] | None:
        if not to.tls:
            return None
        if self._settings.tls is None:
            raise UnavailableError("TLS is asked for, but the room has no certificate ([carm.tls])")
        try:
            return tls.client_context(self._settings.tls), to.host
        except ConfigurationError as error:
            raise UnavailableError(str(error)) from error


def _failure(association: Association, needs: Sequence[Need]) -> UnavailableError | RefusedError:
    """Why there is no association."""
    answer: Any = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return UnavailableError(f"the association is rejected: {answer.reason_str}")
    if answer is not None and not association.accepted_contexts:
        return not_taken(needs[-1].sop_class_uid, *needs[-1].transfer_syntax_uids[:1])
    problem = getattr(association.dul.socket, "problem", None)
    return UnavailableError(problem or "no answer to the association request")


def accepted(association: Association, sop_class_uid: str, transfer_syntax_uid: str = "") -> Any:
    """The accepted presentation context for this class (and syntax). RefusedError where there is none."""
    for context in association.accepted_contexts:
        if str(context.abstract_syntax) == sop_class_uid and transfer_syntax_uid in ("", context.transfer_syntax[0]):
            return context
    raise not_taken(sop_class_uid, transfer_syntax_uid)


def not_taken(sop_class_uid: str, transfer_syntax_uid: str = "") -> RefusedError:
    """No presentation context for this was accepted."""
    syntax = f" in {UID(transfer_syntax_uid).name}" if transfer_syntax_uid else ""
    return RefusedError(f"the peer takes no {UID(sop_class_uid).name}{syntax}")


def answered(call: Callable[[], Any]) -> Any:
    """What a `send_…` of pynetdicom returns. UnavailableError where the connection did not last."""
    try:
        return call()
    except (OSError, RuntimeError) as error:  # RuntimeError: the association was over before
        raise UnavailableError(str(error)) from error


def status_of(answer: Any) -> int:
    """The status in a peer's answer (its elements of group 0). UnavailableError where none came."""
    status = getattr(answer, "Status", None)
    if status is None:
        raise UnavailableError("no answer to the request")
    return int(status)


def close(association: Association) -> None:
    """Release it if it can be released."""
    try:
        if association.is_established:
            association.release()
    except (OSError, RuntimeError, AttributeError):  # pynetdicom's, where the peer closes at the same moment
        pass
    if association.is_established or association.is_alive():
        association.abort()
