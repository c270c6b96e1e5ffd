"""pynetdicom's association, with what its listener lacks: bounds, and no waiting by sleeping.

Rules of this file:
- A length is looked at before anything is read for it; a PDU has a time by which it must be whole.
- What a peer may leave with us before it gets an answer is bounded: command sets, small data sets, requests.
- A C-STORE data set goes to the disk as it arrives (`Incoming`), never into memory.
- The two threads of an association wait for something to happen (a descriptor, a queue); pynetdicom's own sleep 1 ms
  a turn and read 4 KiB at a time, which costs half its throughput.
- However an association ends, `Association.run_reactor` returns, and the server hears of it once, with the reason.
"""

from __future__ import annotations

import ipaddress
import os
import queue
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, Protocol, cast

from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from esi_room.carm.incoming import Incoming
from esi_room.carm.settings import MAX_PDU_BYTES, MAX_REQUEST_BYTES, Limits
from esi_room.clock import NS, Clock

# How often a waiting thread looks at its timers (ARTIM, idle) and at `kill`.
TURN_S = 0.1
# The longest command set of the standard is under 1 KiB; fragments of one may come without end.
MAX_COMMAND_BYTES = 64 << 10
# Data sets other than objects (queries, worklist items, MPPS) are a few KiB.
MAX_DATASET_BYTES = MAX_PDU_BYTES
# A peer waits for its answer before it asks again (asynchronous operations are not negotiated).
MAX_WAITING_REQUESTS = 2
_PDU_HEADER_BYTES = 6
_PDU_TYPES = range(0x01, 0x08)
_ABORT_SOURCE_PROVIDER = 2


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


class _Waker:
    """An eventfd to be waited for beside a socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wake(self) -> None:
        with self._lock:
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        os.eventfd_read(self.fd)

    def close(self) -> None:
        with self._lock:
            if self.fd >= 0:
                os.close(self.fd)
            self.fd = -1


class _TellingQueue(queue.Queue[Any]):
    """A queue that says so when something is put into it."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._told()


class RoomSocket(AssociationSocket):
    """Large reads, and a time by which what is being read must be there (`deadline_ns`, monotonic)."""

    def __init__(self, association: RoomAssociation, client: socket.socket, clock: Clock) -> None:
        super().__init__(association, client_socket=client)
        self._clock = clock
        self.deadline_ns = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """`nr_bytes` from the peer, or less at the end of the connection. TimeoutError past the deadline."""
        peer = self.socket
        if peer is None:
            raise ConnectionError("the connection is closed")
        octets = bytearray(nr_bytes)
        view, got = memoryview(octets), 0
        while got < nr_bytes:
            size = peer.recv_into(view[got:])
            if size == 0:
                return octets[:got]
            got += size
            if got < nr_bytes and self._clock.now().mono_ns > self.deadline_ns:
                raise TimeoutError("too slow")
        return octets


class RoomDul(DULServiceProvider):
    """The upper layer's thread: one socket, one state machine. `trouble` says what went wrong with the peer."""

    socket: RoomSocket

    def __init__(self, association: RoomAssociation) -> None:
        self._waker = _Waker()  # before the rest: the queues tell it
        super().__init__(association)
        self.daemon = True
        self.to_provider_queue = _TellingQueue(self._waker.wake)
        self.to_user_queue = _TellingQueue(lambda: association.dimse.msg_queue.put((None, None)))
        self.trouble: str | None = None
        self._services = association.services

    def kill_dul(self) -> None:
        """End the thread."""
        super().kill_dul()
        self._waker.wake()

    def run_reactor(self) -> None:
        """The thread's loop: a primitive to send, else a PDU to read, then whatever event came of it."""
        self._idle_timer.start()
        self.assoc._dul_ready.set()
        try:
            while not self._kill_thread:
                self._turn()
        except Exception as error:  # noqa: BLE001 - whatever a peer's octets made pynetdicom raise costs this association alone
            self.give_up(f"not understood: {type(error).__name__}")
            self.assoc.is_established = False
            self.assoc._kill = True
            self.assoc.dimse.msg_queue.put((None, None))
        finally:
            self._waker.close()
            self.to_user_queue.put(cast(Any, None))  # whoever waits there for a request need not wait out its timeout

    def _turn(self) -> None:
        if self.artim_timer.expired:
            self.trouble = self.trouble or "silent"
            self.event_queue.put("Evt18")
        if not self._process_recv_primitive() and self._is_transport_event():
            self._idle_timer.restart()
        try:
            event = self.event_queue.get(block=False)
        except queue.Empty:
            self._wait()
        else:
            self.state_machine.do_action(event)

    def _wait(self) -> None:
        peer = self.socket.socket
        sources: list[Any] = [self._waker.fd] if peer is None else [self._waker.fd, peer]
        try:
            ready, _, _ = select.select(sources, [], [], TURN_S)
        except (OSError, ValueError):
            return  # closed meanwhile: the state machine says what follows
        if self._waker.fd in ready:
            self._waker.clear()

    def _read_pdu_data(self) -> None:
        """Read one PDU, having looked at its length, and put its event."""
        unassociated = self.state_machine.current_state == "Sta2"
        limits = self._services.limits
        seconds = limits.request_timeout_s if unassociated else limits.pdu_timeout_s
        self.socket.deadline_ns = self._services.clock.now().mono_ns + round(seconds * NS)
        try:
            octets = self.socket.recv(_PDU_HEADER_BYTES)
            if len(octets) < _PDU_HEADER_BYTES:
                self._closed("closed inside a PDU" if octets else "closed")
                return
            size = int.from_bytes(octets[2:], "big")
            if octets[0] not in _PDU_TYPES:
                self.give_up("not DICOM")
            elif size > (MAX_REQUEST_BYTES if unassociated else MAX_PDU_BYTES):
                self.give_up(f"a PDU of {size} bytes")
            else:
                self._read_body(octets, size)
        except TimeoutError:
            self.give_up("silent inside a PDU")
        except OSError as error:
            self._closed(f"connection lost: {error.strerror or error}")

    def _read_body(self, octets: bytearray, size: int) -> None:
        octets += self.socket.recv(size)
        if len(octets) < _PDU_HEADER_BYTES + size:
            self._closed("closed inside a PDU")
            return
        try:
            pdu, event = self._decode_pdu(octets)
        except Exception as error:  # noqa: BLE001 - pynetdicom raises whatever its parser stumbles over
            self.trouble = f"a PDU that does not parse: {type(error).__name__}"
            self.event_queue.put("Evt19")
        else:
            self._recv_pdu.put(pdu)
            self.event_queue.put(event)

    def _closed(self, trouble: str) -> None:
        self.trouble = self.trouble or trouble
        self.event_queue.put("Evt17")

    def give_up(self, trouble: str) -> None:
        """Abort and close: nothing this peer sends from here on is looked at."""
        self.trouble = self.trouble or trouble
        abort = A_ABORT_RQ()
        abort.source, abort.reason_diagnostic = _ABORT_SOURCE_PROVIDER, 0
        if self.socket.socket is not None:
            self.socket.send(abort.encode())
            self.socket.close()
        self.event_queue.put("Evt17")


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

    def receive_primitive(self, primitive: P_DATA) -> None:
        """The PDVs of one P-DATA-TF, one at a time."""
        for value in primitive.presentation_data_value_list:
            if self.msg_queue.qsize() > MAX_WAITING_REQUESTS:
                self.dul.give_up("asks again without waiting for an answer")  # type: ignore[attr-defined]
                return
            single = P_DATA()
            single.presentation_data_value_list.append(value)
            super().receive_primitive(single)
            if self.message is not None and not self._bounded(self.message):
                return

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
    """One peer's association. `refusal` is why it was rejected, `cause` why we ended it."""

    dul: RoomDul
    dimse: RoomDimse

    def __init__(self, services: Services, ae: Any, client: socket.socket) -> None:
        self.services = services
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
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - see RoomDul.run_reactor
            self.cause = self.cause or f"not understood: {type(error).__name__}"
        finally:
            self.dul.kill_dul()
            self.dul.socket.close()
            self.services.ended(self)

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
