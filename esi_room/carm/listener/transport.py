"""The upper layer of an association (PS3.8): pynetdicom's socket and its thread, with what they lack.

Rules of this file:
- A length is looked at before anything is read for it; a PDU has a time by which it must be whole.
- A thread waits for something to happen (a descriptor, a queue); pynetdicom's own sleeps 1 ms a turn and reads 4 KiB
  at a time, which costs half its throughput.
- Whatever a peer sends, the thread ends by itself, and `RoomDul.trouble` says why.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.transport import AssociationSocket

from esi_room.carm.settings import MAX_PDU_BYTES, MAX_REQUEST_BYTES
from esi_room.clock import NS, Clock

if TYPE_CHECKING:
    from esi_room.carm.listener.association import RoomAssociation

# How often a waiting thread looks at its timers (ARTIM, idle) and at `kill`.
TURN_S = 0.1
_PDU_HEADER_BYTES = 6
# dcmtk's and Orthanc's longest PDU, and what most others send.
_PDU_BYTES = _PDU_HEADER_BYTES + (128 << 10)
_PDU_TYPES = range(0x01, 0x08)
_P_DATA = 0x04
_ABORT_SOURCE_PROVIDER = 2
_ASSOCIATE_RQ, _TLS_HANDSHAKE = b"\x01", b"\x16\x03"
# From being cut off to the end of the connection, for a peer that does not even read its A-ABORT.
_CUT_S = 1.0
# What an event of PS3.8 table 9-10 means where nothing else is known.
_TROUBLES = {"Evt16": "aborted by the peer"}
# The action of PS3.8 table 9-9 that answers a PDU which the state of the association has no place for.
_PROTOCOL_ERROR = "AA-8"


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

    def fill(self, view: memoryview) -> int:
        """Octets from the peer into all of `view`; how many came before the connection ended. TimeoutError past the
        deadline."""
        peer, got = self.socket, 0
        if peer is None:
            raise ConnectionError("the connection is closed")
        while got < len(view):
            size = peer.recv_into(view[got:])
            if size == 0:
                break
            got += size
            if got < len(view) and self._clock.now().mono_ns > self.deadline_ns:
                raise TimeoutError("too slow")
        return got

    def handshake(self, context: ssl.SSLContext) -> None:
        """TLS from here on; before the upper layer's thread starts. OSError where it fails or takes too long."""
        plain = cast(socket.socket, self.socket)
        if plain.recv(1, socket.MSG_PEEK) == _ASSOCIATE_RQ:
            raise ConnectionError("plain DICOM on the port for TLS")
        self.socket = context.wrap_socket(plain, server_side=True)

    def hang_up(self, how: int) -> None:
        """From another thread: what the socket's own thread waits for ends. That one alone closes it: once closed,
        the descriptor may be another peer's, and TLS takes one thread at a time."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.socket, how)

    @property
    def buffered(self) -> bool:
        """Whether TLS holds octets that it has decrypted already: `select` does not see them."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0


class RoomDul(DULServiceProvider):
    """The upper layer's thread: one socket, one state machine. `trouble` says what went wrong with the peer."""

    socket: RoomSocket
    assoc: RoomAssociation

    def __init__(self, association: RoomAssociation) -> None:
        self._waker = _Waker()  # before the rest: the queues tell it
        super().__init__(association)
        self.daemon = True
        self.to_provider_queue = _TellingQueue(self._waker.wake)
        self.to_user_queue = _TellingQueue(lambda: association.dimse.msg_queue.put((None, None)))
        self.trouble: str | None = None
        self._services = association.services
        self._troubles = dict(_TROUBLES)  # what each event means; several may be read before they are acted on
        self._octets = memoryview(bytearray(_PDU_BYTES))  # of the PDU being read; grows to the largest one
        self._cut_ns: int | None = None

    def kill_dul(self) -> None:
        """End the thread."""
        super().kill_dul()
        self._waker.wake()
        if self.ident is None:
            self._waker.close()  # it was never started

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
            self.assoc.dimse.abandon()
            self._waker.close()
            self.to_user_queue.put(cast(Any, None))  # whoever waits there for a request need not wait out its timeout

    def _turn(self) -> None:
        if self._cut_ns is not None and self.socket.socket is not None:
            self._abort()
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
            self._note(event)
            self.state_machine.do_action(event)

    def _note(self, event: str) -> None:
        """What goes wrong with this event, if nothing did before it."""
        trouble = self._troubles.get(event)
        if trouble is None and TRANSITION_TABLE.get((event, self.state_machine.current_state)) == _PROTOCOL_ERROR:
            trouble = "a PDU that does not belong here"
        self.trouble = self.trouble or trouble

    def _wait(self) -> None:
        peer = self.socket.socket
        if self.socket.buffered:
            return
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
            header = self._octets[:_PDU_HEADER_BYTES]
            got = self.socket.fill(header)
            if got < _PDU_HEADER_BYTES:
                self._closed("closed inside a PDU" if got else "closed")
                return
            size = int.from_bytes(header[2:], "big")
            if header[0] not in _PDU_TYPES:
                tls = header[:2] == _TLS_HANDSHAKE
                self.give_up("TLS on the port for plain DICOM" if tls else "not DICOM")
            elif size > (MAX_REQUEST_BYTES if unassociated else MAX_PDU_BYTES):
                self.give_up(f"a PDU of {size} bytes")
            else:
                self._read_body(_PDU_HEADER_BYTES + size)
        except TimeoutError:
            self.give_up("silent inside a PDU")
        except OSError as error:
            self._closed(f"connection lost: {error.strerror or error}")

    def _read_body(self, size: int) -> None:
        if size > len(self._octets):
            header, self._octets = self._octets[:_PDU_HEADER_BYTES], memoryview(bytearray(size))
            self._octets[:_PDU_HEADER_BYTES] = header
        pdu = self._octets[:size]
        if self.socket.fill(pdu[_PDU_HEADER_BYTES:]) < size - _PDU_HEADER_BYTES:
            self._closed("closed inside a PDU")
        elif pdu[0] == _P_DATA and self.state_machine.current_state == "Sta6":
            self.assoc.dimse.take(pdu[_PDU_HEADER_BYTES:])
        else:
            self._decode(bytearray(pdu))

    def _decode(self, octets: bytearray) -> None:
        """Any other PDU: pynetdicom's."""
        try:
            pdu, event = self._decode_pdu(octets)
        except Exception as error:  # noqa: BLE001 - pynetdicom raises whatever its parser stumbles over
            self._troubles["Evt19"] = f"a PDU that does not parse: {type(error).__name__}"
            self.event_queue.put("Evt19")
        else:
            self._recv_pdu.put(pdu)
            self.event_queue.put(event)

    def send_value(self, context_id: int, control: int, fragment: bytes) -> None:
        """A P-DATA-TF PDU of one presentation data value (PS3.8 section 9.3.5), in this thread."""
        if self.socket.socket is not None:
            size = len(fragment) + 2
            self.socket.send(struct.pack(">BBIIBB", _P_DATA, 0, size + 4, size, context_id, control) + fragment)

    def _closed(self, trouble: str) -> None:
        self._troubles["Evt17"] = trouble
        if self._cut_ns is not None:
            self._abort()
        else:
            self.event_queue.put("Evt17")

    def give_up(self, trouble: str) -> None:
        """Abort and close: nothing this peer sends from here on is looked at. Any thread may say so."""
        self.trouble = self.trouble or trouble
        if threading.current_thread() is self:
            self._abort()
            return
        now_ns = self._services.clock.now().mono_ns
        if self._cut_ns is None:
            self._cut_ns = now_ns
            self.socket.hang_up(socket.SHUT_RD)
        elif now_ns - self._cut_ns > _CUT_S * NS:
            self.socket.hang_up(socket.SHUT_RDWR)
        self._waker.wake()

    def _abort(self) -> None:
        if self.socket.socket is None:
            self.event_queue.put("Evt17")
            return
        abort = A_ABORT_RQ()
        abort.source, abort.reason_diagnostic = _ABORT_SOURCE_PROVIDER, 0
        self.socket.send(abort.encode())
        self.socket.close()  # which puts Evt17
