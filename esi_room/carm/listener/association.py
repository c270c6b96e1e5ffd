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
from typing import Any, NamedTuple, Protocol

from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import PresentationContext

from esi_room.carm.listener.commands import StoreRequest, store_request, store_response
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
# A presentation data value: its length, then context and control, then the fragment.
_PDV_LENGTH_BYTES, _PDV_HEAD_BYTES = 4, 6
_COMMAND, _LAST = 0x01, 0x02


class Services(Protocol):
    """What an association needs of the server that accepted it."""

    clock: Clock
    limits: Limits

    def admit(self, association: RoomAssociation) -> tuple[int, int, int] | None:
        """None, or result, source and reason of the A-ASSOCIATE-RJ."""

    def begin_object(
        self, association: RoomAssociation, context: PresentationContext, request: StoreRequest
    ) -> Incoming:
        """A C-STORE request came in; where its data set goes."""

    def store(self, association: RoomAssociation, arrived: Arrival) -> int:
        """The object is whole: the status for the peer."""

    def ended(self, association: RoomAssociation) -> None:
        """The association's thread is about to end."""


class Arrival(NamedTuple):
    """A C-STORE request, and its data set as far as it has come; None where it has none."""

    request: StoreRequest
    context: PresentationContext
    incoming: Incoming | None


class RoomDimse(DIMSEServiceProvider):
    """Puts messages together, in the upper layer's thread. A C-STORE is served there as well: each thread that an
    object passes through costs it 0.1 ms, and its peer waits for the answer anyway. All else goes to pynetdicom."""

    assoc: RoomAssociation
    dul: RoomDul

    def __init__(self, association: RoomAssociation) -> None:
        super().__init__(association)
        self.arrival: Arrival | None = None
        """The object that is arriving, or arrived and is not answered yet."""
        self._command = bytearray()

    def get_msg(self, block: bool = False) -> Any:
        """The next message; waits a turn for it where pynetdicom would sleep and look again."""
        try:
            return self.msg_queue.get(timeout=self.dimse_timeout if block else TURN_S)
        except queue.Empty:
            return None, None

    def take(self, values: memoryview) -> None:
        """The presentation data values of a whole P-DATA-TF PDU (PS3.8 section 9.3.5.1, annex E.2), one at a time.

        LLLLLLLL CC HH fragment      L: length of the rest, C: context, H: 01 command (00 data set), 02 last
        """
        at = 0
        while at < len(values):
            end = at + _PDV_LENGTH_BYTES + int.from_bytes(values[at : at + _PDV_LENGTH_BYTES], "big")
            if at + _PDV_HEAD_BYTES > end or end > len(values):
                self.dul.give_up("a PDV that does not fit into its PDU")
                return
            context_id, control = values[at + _PDV_LENGTH_BYTES : at + _PDV_HEAD_BYTES]
            if not self._take_value(context_id, control, values[at + _PDV_HEAD_BYTES : end]):
                return
            at = end

    def _take_value(self, context_id: int, control: int, fragment: memoryview) -> bool:
        """False where the peer was given up."""
        if control & _COMMAND:
            return self._take_command(context_id, control, fragment)
        if self.arrival is None or self.arrival.incoming is None:
            return self._pass_on(context_id, control, fragment)
        self.arrival.incoming.write(fragment)
        if control & _LAST:
            self._serve(context_id, self.arrival)
        return True

    def _take_command(self, context_id: int, control: int, fragment: memoryview) -> bool:
        if self.arrival is not None:
            return self._give_up("a command inside a data set")
        self._command += fragment
        if len(self._command) > MAX_COMMAND_BYTES:
            return self._give_up("a command set without end")
        if not control & _LAST:
            return True
        command, self._command = bytes(self._command), bytearray()
        request = store_request(command)
        if request is None:
            return self._pass_on(context_id, control, command)
        context = self.assoc._accepted_cx.get(context_id)
        if context is None:
            return self._give_up("a C-STORE in a presentation context that was not accepted")
        incoming = self.assoc.services.begin_object(self.assoc, context, request) if request.has_dataset else None
        self.arrival = Arrival(request, context, incoming)
        if incoming is None:
            self._serve(context_id, self.arrival)
        return True

    def _serve(self, context_id: int, arrived: Arrival) -> None:
        """The object is whole. Its temporary name goes after the answer: the peer need not wait for that."""
        status = self.assoc.services.store(self.assoc, arrived)
        if status:
            self.abandon()
        self.dul.send_value(context_id, _COMMAND | _LAST, store_response(arrived.request, status))
        self.abandon()
        self.arrival = None

    def abandon(self) -> None:
        """What was arriving is kept by now, or refused, or cut off. In the upper layer's thread: no other may close a
        file that it writes to."""
        if self.arrival is not None and self.arrival.incoming is not None:
            self.arrival.incoming.discard()

    def _give_up(self, trouble: str) -> bool:
        self.dul.give_up(trouble)
        return False

    def _pass_on(self, context_id: int, control: int, fragment: bytes | memoryview) -> bool:
        """A PDV of any other message, to pynetdicom; False where the peer was given up."""
        if self.msg_queue.qsize() > MAX_WAITING_REQUESTS:
            return self._give_up("asks again without waiting for an answer")
        value = P_DATA()
        value.presentation_data_value_list.append((context_id, bytes([control]) + fragment))
        self._receive(value)
        dataset = self.message.data_set if self.message is not None else None
        if dataset is not None and dataset.tell() > MAX_DATASET_BYTES:
            return self._give_up("a data set without end")
        return True

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
            self.dul.give_up(f"a {kind} with a value that DICOM forbids: {type(error).__name__}")
            return
        if isinstance(primitive, C_CANCEL) and len(self.cancel_req) < _MAX_CANCELS:
            self.cancel_req[int(primitive.MessageIDBeingRespondedTo or 0)] = primitive
        else:
            self.msg_queue.put((message.context_id or 0, primitive))


class RoomAcse(ACSE):
    """Negotiation: the server's rules come before pynetdicom's. Whatever they raise ends the association."""

    _release_requested = False

    def is_release_requested(self) -> bool:
        """Whether the peer wants to end. Once true it stays so: a service of pynetdicom that asks while it answers
        takes the request away, and nobody would ever answer that."""
        self._release_requested = self._release_requested or super().is_release_requested()
        return self._release_requested

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


def canonical(address: str) -> str:
    """An IP address in the one form that compares: IPv4 even where the listener's socket is IPv6."""
    parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
