"""One peer's association above the upper layer: who is let in, requests put together, C-STORE answered.

Rules of this file:
- What a peer may leave with us before it gets an answer is bounded: command sets, small data sets, requests.
- A C-STORE data set goes to the disk as it arrives (`Incoming`), never into memory.
- However an association ends, its thread's `run_reactor` returns, and the server hears of it once, with the reason.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import struct
from typing import Any, Protocol

from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL, C_STORE
from pynetdicom.pdu_primitives import P_DATA

from esi_room.carm.listener.incoming import Incoming
from esi_room.carm.listener.transport import TURN_S, RoomDul, RoomSocket
from esi_room.carm.settings import MAX_PDU_BYTES, Limits
from esi_room.carm.tls import why
from esi_room.clock import Clock

# The longest command set of the standard is under 1 KiB; fragments of one may come without end.
MAX_COMMAND_BYTES = 64 << 10
# Data sets other than objects (queries, worklist items, MPPS) are a few KiB.
MAX_DATASET_BYTES = MAX_PDU_BYTES
# A peer waits for its answer before it asks again (asynchronous operations are not negotiated).
MAX_WAITING_REQUESTS = 2
# Of requests under way; there is one at a time.
_MAX_CANCELS = 10
_FRAGMENT_AT = 12


class Services(Protocol):
    """What an association needs of the server that accepted it."""

    clock: Clock
    limits: Limits

    def admit(self, association: RoomAssociation) -> tuple[int, int, int] | None:
        """None, or result, source and reason of the A-ASSOCIATE-RJ."""

    def begin_object(self, association: RoomAssociation, request: C_STORE_RQ) -> Incoming:
        """A C-STORE request came in; where its data set goes."""

    def store(self, association: RoomAssociation, request: C_STORE, context: Any) -> int:
        """The object is whole: the status for the peer."""

    def ended(self, association: RoomAssociation) -> None:
        """The association's thread is about to end."""


class RoomDimse(DIMSEServiceProvider):
    """Puts messages together. An object's data set goes where the server says."""

    def __init__(self, association: RoomAssociation) -> None:
        super().__init__(association)
        self.objects: set[Incoming] = set()
        """What is arriving, or arrived and is not answered yet."""

    def get_msg(self, block: bool = False) -> Any:
        """The next message; waits a turn for it where pynetdicom would sleep and look again."""
        try:
            return self.msg_queue.get(timeout=self.dimse_timeout if block else TURN_S)
        except queue.Empty:
            return None, None

    def take(self, octets: bytearray) -> bool:
        """A whole P-DATA-TF PDU that is one fragment from the middle of an object, straight to its file; False for
        any other, which goes the long way. Nearly all octets of an object come here.

            04 00 LLLLLLLL  llllllll CC 00  fragment      L: PDU length, l: L - 4, C: context, 00: control
        """
        incoming = self.message.data_set if self.message is not None else None
        if not isinstance(incoming, Incoming) or len(octets) <= _FRAGMENT_AT:
            return False
        pdv_bytes = int.from_bytes(octets[6:10], "big")
        if pdv_bytes != len(octets) - 10 or octets[11] & 0x03:
            return False
        with memoryview(octets) as view:
            incoming.write(view[_FRAGMENT_AT:])
        return True

    def receive_primitive(self, primitive: P_DATA) -> None:
        """The PDVs of one P-DATA-TF, one at a time."""
        for value in primitive.presentation_data_value_list:
            if self.msg_queue.qsize() > MAX_WAITING_REQUESTS:
                self.dul.give_up("asks again without waiting for an answer")  # type: ignore[attr-defined]
                return
            single = P_DATA()
            single.presentation_data_value_list.append(value)
            self._receive(single)
            if self.message is not None and not self._bounded(self.message):
                return

    def _receive(self, value: P_DATA) -> None:
        """A PDV to its message; the message to the queue once it is whole. Like pynetdicom's, but it says what is
        wrong with a message, and N-EVENT-REPORTs wait their turn (pynetdicom starts a thread for each)."""
        if self.message is None:
            self.message = DIMSEMessage()
        if not self.message.decode_msg(value, self.assoc):
            return
        message, self.message = self.message, None
        try:
            primitive: Any = message.message_to_primitive()
        except Exception as error:  # noqa: BLE001 - whatever pynetdicom's setters raise of a peer's values
            kind = type(message).__name__.replace("_", "-")
            self.dul.give_up(f"a {kind} with a value that DICOM forbids: {type(error).__name__}")  # type: ignore[attr-defined]
            return
        if isinstance(primitive, C_CANCEL) and len(self.cancel_req) < _MAX_CANCELS:
            self.cancel_req[int(primitive.MessageIDBeingRespondedTo or 0)] = primitive
        else:
            self.msg_queue.put((message.context_id or 0, primitive))

    def _bounded(self, message: DIMSEMessage) -> bool:
        """False where the peer was given up. Gives a C-STORE its file once its command set is whole."""
        if isinstance(message, C_STORE_RQ):
            if not isinstance(message.data_set, Incoming):
                message.data_set = incoming = self.assoc.services.begin_object(self.assoc, message)  # type: ignore[attr-defined]
                self.objects.add(incoming)
            return True
        if message.encoded_command_set.tell() > MAX_COMMAND_BYTES:
            self.dul.give_up("a command set without end")  # type: ignore[attr-defined]
            return False
        if message.data_set is not None and message.data_set.tell() > MAX_DATASET_BYTES:
            self.dul.give_up("a data set without end")  # type: ignore[attr-defined]
            return False
        return True


class RoomAcse(ACSE):
    """Negotiation: the server's rules come before pynetdicom's. Whatever they raise ends the association."""

    def _negotiate_as_acceptor(self) -> None:
        association: Any = self.assoc
        rejection = association.services.admit(association)
        if rejection is None:
            super()._negotiate_as_acceptor()
        else:
            self.send_reject(*rejection)
            association.kill()


class RoomAssociation(Association):
    """One peer's association. `refusal` is why it was rejected (`wants`, `learned`: see `access`), `cause` why we
    ended it."""

    dul: RoomDul
    dimse: RoomDimse

    def __init__(self, services: Services, ae: Any, client: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self.services, self._tls = services, tls
        super().__init__(ae, "acceptor")
        self.dul = RoomDul(self)
        self.dimse = RoomDimse(self)
        self.acse = RoomAcse(self)
        # Set again: these setters hand the times on to the upper layer's timers.
        self.acse_timeout = services.limits.request_timeout_s
        self.network_timeout = services.limits.idle_timeout_s
        self.set_socket(RoomSocket(self, client, services.clock))
        self.started = services.clock.now()
        self.refusal: str | None = None
        self.cause: str | None = None
        self.wants: tuple[str, ...] = ()
        self.learned: str | None = None

    @property
    def address(self) -> str:
        """The peer's IP address."""
        return canonical(self.requestor.address_info.address)  # type: ignore[union-attr]

    @property
    def peer(self) -> str:
        """Calling AE title @ address, as far as it is known."""
        return f"{self.requestor.ae_title or '?'} @ {self.address}"

    def run_reactor(self) -> None:
        """From the first PDU to the end."""
        try:
            if self._secured():
                super().run_reactor()
        except Exception as error:  # noqa: BLE001 - see RoomDul.run_reactor
            self.cause = self.cause or f"not understood: {type(error).__name__}"
        finally:
            self.dul.kill_dul()
            self.dul.socket.close()
            self.services.ended(self)

    @property
    def secure(self) -> bool:
        """Whether it came by the door for TLS."""
        return self._tls is not None

    def _secured(self) -> bool:
        """Shake hands where this door asks for TLS; here, in the connection's own thread, where it delays nobody."""
        if self._tls is None:
            return True
        try:
            self.dul.socket.handshake(self._tls)
        except OSError as error:
            self.refusal = f"no TLS: {self.cause or why(error)}"
        return self.refusal is None

    def _run_reactor(self) -> None:
        """Requests, one after the other, until the association is over. Like pynetdicom's, without its sleeps and
        without its pauses for an acceptor that sends requests."""
        while not self._kill:
            context_id, message = self.dimse.get_msg()
            if message is not None:
                self._serve_request(message, context_id)
            if self.is_established and self.acse.is_release_requested():
                self.acse.send_release(is_response=True)
                self.is_released, self.is_established = True, False
                self.kill()
            elif self.acse.is_aborted():
                self.is_aborted, self.is_established = True, False
                self.kill()
            elif not self.dul.is_alive():
                self.kill()
            elif self.dul.idle_timer_expired():
                self.cause = "silent for too long"
                self.abort()

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Every storage class, in pynetdicom's tables or not, goes to our C-STORE service."""
        if not isinstance(msg, C_STORE):
            super()._serve_request(msg, context_id)
        elif context_id not in self._accepted_cx:
            self.cause = "a C-STORE in a presentation context that was not accepted"
            self.abort()
        else:
            self._answer_store(msg, context_id)

    def _answer_store(self, request: C_STORE, context_id: int) -> None:
        status = self.services.store(self, request, self._accepted_cx[context_id])
        if self.is_established:
            answer = P_DATA()
            answer.presentation_data_value_list.append((context_id, b"\3" + _store_response(request, status)))
            self.dul.send_pdu(answer)


def _store_response(request: C_STORE, status: int) -> bytes:
    """The command set of a C-STORE-RSP (PS3.7 9.3.1.2), implicit VR little endian. By hand: pynetdicom takes 0.5 ms
    for it, on the way of every acknowledgement.

        (0000,0000) UL length of the rest       (0000,0120) US message id answered
        (0000,0002) UI SOP class                (0000,0800) US 0101: no data set
        (0000,0100) US 8001                     (0000,0900) US status
                                                (0000,1000) UI SOP instance
    """

    def element(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHI", 0, tag, len(value)) + value

    def uid(text: object) -> bytes:
        octets = str(text or "").encode("ascii", "replace")
        return octets + b"\0" * (len(octets) % 2)

    def short(number: int) -> bytes:
        return struct.pack("<H", number)

    rest = (
        element(0x0002, uid(request.AffectedSOPClassUID))
        + element(0x0100, short(0x8001))
        + element(0x0120, short(request.MessageID or 0))
        + element(0x0800, short(0x0101))
        + element(0x0900, short(status))
        + element(0x1000, uid(request.AffectedSOPInstanceUID))
    )
    return element(0x0000, struct.pack("<I", len(rest))) + rest


def canonical(address: str) -> str:
    """An IP address in the one form that compares: IPv4 even where the listener's socket is IPv6."""
    parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
