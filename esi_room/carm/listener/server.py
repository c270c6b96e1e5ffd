"""The doors of the listener's process, and what goes in and out there.

Rules of this file:
- The address decides before a thread is started; the AE titles decide before an association is accepted (`access`).
- Every connection that was refused, lost or cut off is told (`Knocks`), with the rule that did it.
- A slot is freed when the association's thread ends, and nothing keeps that thread longer than its limits say.
- The door for TLS is a listener of its own. It only accepts: hands are shaken in the connection's thread.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Sequence
from typing import Any

from pynetdicom import _config
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationServer, RequestHandler

from esi_room.carm.listener.access import CONGESTED, Access, Caller, Rejection
from esi_room.carm.listener.association import Arrival, RoomAssociation, canonical
from esi_room.carm.listener.commands import StoreRequest
from esi_room.carm.listener.contexts import supported
from esi_room.carm.listener.incoming import Incoming
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.services import Service
from esi_room.carm.listener.storage import Storage
from esi_room.carm.listener.transport import TURN_S
from esi_room.carm.settings import ADVERTISED_PDU_BYTES, MAX_CONNECTIONS, CarmSettings
from esi_room.carm.tls import server_context
from esi_room.clock import NS, Clock

# A C-arm's services all connect at once when it boots.
_BACKLOG = 64
# For those that are cut off at the end to be told so.
_LAST_WORDS_S = 0.5
_LOOK_S = 0.02

_config.LOG_HANDLER_LEVEL = "none"  # pynetdicom's own log names patients; what matters is told in `carm.association`


class Handler(RequestHandler):
    """Makes an association of an accepted connection. `server` narrows the parent's type."""

    def handle(self) -> None:
        """Start its thread. RuntimeError where the machine has none left."""
        association = self._create_association()
        room: Server = self.server.room  # type: ignore[attr-defined]
        room.connected(association)
        try:
            association.start()
        except RuntimeError:
            association.dul.kill_dul()
            room.gone(association)
            raise

    def _create_association(self) -> RoomAssociation:
        door: Any = self.server
        association = RoomAssociation(door.room, door.ae, self.request, door.tls)
        association._server = door
        association.name = f"AcceptorThread@{self.client_address[0]}"
        acceptor = association.acceptor
        acceptor.maximum_length = ADVERTISED_PDU_BYTES
        acceptor.ae_title = door.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = door.ae.implementation_class_uid
        acceptor.implementation_version_name = door.ae.implementation_version_name
        acceptor.supported_contexts = door.contexts  # shared: negotiation only reads them
        association.requestor.address_info = self.remote
        for event, handler in door.room.bindings:
            association.bind(event, handler)
        return association


class Door(AssociationServer):
    """One address where peers connect; with TLS where it has a context for that."""

    request_queue_size = _BACKLOG

    def __init__(self, room: Server, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self.room, self.tls = room, tls
        super().__init__(room.ae, address, room.ae.ae_title, room.contexts, request_handler=Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept. The socket never blocks for longer than a peer may be silent inside a PDU."""
        client, address = self.socket.accept()  # type: ignore[union-attr]
        client.settimeout(self.room.limits.request_timeout_s)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to look at this connection at all."""
        return self.room.let_connect(canonical(client_address[0]))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection could not be served (out of threads or memory): it is closed, the rest goes on."""
        reason = "no resources for another connection"
        self.room.knocks.say("failed", f"? @ {canonical(client_address[0])}", None, reason)

    def service_actions(self) -> None:
        """Ten times a second, in the door's own thread."""
        super().service_actions()
        self.room.look_round(self)


class Server:
    """All doors, and the associations behind them. `start` opens the doors, `drain` ends it in order.

    ConfigurationError where the files for TLS cannot be used, OSError where nothing can listen.
    """

    def __init__(
        self, settings: CarmSettings, storage: Storage, services: Sequence[Service], knocks: Knocks, clock: Clock
    ) -> None:
        self.bindings = [binding for service in services for binding in service.handlers]
        beside = [context for service in services for context in service.contexts]
        self.contexts = [*supported(settings.private_classes), *beside]
        self.limits, self.clock, self.knocks, self.storage = settings.limits, clock, knocks, storage
        self.ae = ApplicationEntity(settings.ae_title)
        self.ae.maximum_pdu_size = ADVERTISED_PDU_BYTES
        self.ae.maximum_associations = 1 << 16  # `admit` counts
        self._access = Access(settings, clock)
        self._lock = threading.Lock()
        self._connections: set[RoomAssociation] = set()
        self._admitted: set[RoomAssociation] = set()
        self._draining = False
        secure = settings.tls if settings.tls is not None and settings.tls.listen is not None else None
        context = None if secure is None else server_context(secure)
        self._plain = None if settings.listen is None else Door(self, settings.listen, None)
        self._secure = None if secure is None or secure.listen is None else Door(self, secure.listen, context)

    def start(self) -> None:
        """Open the doors, each in a thread."""
        for door in self._doors:
            threading.Thread(target=door.serve_forever, args=(TURN_S,), daemon=True, name="accept").start()

    @property
    def address(self) -> tuple[str, int] | None:
        """Where plain DICOM is spoken."""
        return None if self._plain is None else self._plain.server_address[:2]

    @property
    def tls_address(self) -> tuple[str, int] | None:
        """Where it is spoken over TLS."""
        return None if self._secure is None else self._secure.server_address[:2]

    @property
    def _doors(self) -> list[Door]:
        return [door for door in (self._plain, self._secure) if door is not None]

    # --- connections --------------------------------------------------------------------------------------

    def let_connect(self, address: str) -> bool:
        """Whether to look at a connection from there at all."""
        connections = self._open()
        refusal = self._access.refuse_connection(address, [each.address for each in connections])
        if refusal is not None:
            self.knocks.say("refused", f"? @ {address}", None, refusal)
        elif len(connections) >= MAX_CONNECTIONS:
            self._make_room(connections)
        return refusal is None

    def _make_room(self, connections: list[RoomAssociation]) -> None:
        with self._lock:
            waiting = [each for each in connections if each not in self._admitted and each.cause is None]
        if waiting:
            oldest = min(waiting, key=lambda each: each.started.mono_ns)
            _cut(oldest, f"made room for another: {len(connections)} connections")

    def connected(self, association: RoomAssociation) -> None:
        """A slot is taken."""
        with self._lock:
            self._connections.add(association)

    def admit(self, association: RoomAssociation) -> tuple[int, int, int] | None:
        """None, or how to reject this association request."""
        request: Any = association.requestor.primitive
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        association.requestor.ae_title = calling
        caller = Caller(calling, called, association.address, association.secure)
        with self._lock:
            if self._draining:
                rejection: Rejection | None = Rejection(CONGESTED, "the room's listener ends")
            else:
                rejection = self._access.refuse(caller, request, [each.peer for each in self._admitted])
            if rejection is None:
                self._admitted.add(association)
                return None
        association.refusal = rejection.reason
        association.wants, association.learned = rejection.wants, rejection.learned
        return rejection.answer

    def gone(self, association: RoomAssociation) -> None:
        """The slot is free."""
        with self._lock:
            self._connections.discard(association)
            self._admitted.discard(association)

    def ended(self, association: RoomAssociation) -> None:
        """The slot is free; tell how it ended unless it ended well."""
        self.gone(association)
        under_way = association.dimse.arrival
        if under_way is not None:
            self._count(association, under_way)
        outcome, reason = _ending(association)
        if outcome:
            reason += " while an object was under way" if under_way else ""
            called = _called(association)
            self.knocks.say(
                outcome, association.peer, called, reason, wants=association.wants, learned=association.learned
            )

    # --- objects ------------------------------------------------------------------------------------------

    def begin_object(
        self, association: RoomAssociation, context: PresentationContext, request: StoreRequest
    ) -> Incoming:
        """A C-STORE request's command set is whole."""
        with self._lock:
            spent = self._access.quota.spent(association.peer)
        return self.storage.begin(context, request, self._access.quota.reason if spent else None)

    def store(self, association: RoomAssociation, arrived: Arrival) -> int:
        """Its data set is, too."""
        try:
            return self.storage.store(association, arrived)
        finally:
            self._count(association, arrived)

    def _count(self, association: RoomAssociation, arrived: Arrival) -> None:
        if arrived.incoming is not None:
            with self._lock:
                self._access.quota.add(association.peer, arrived.incoming.size_bytes)

    # --- time ---------------------------------------------------------------------------------------------

    def look_round(self, door: Door) -> None:
        """Tell what is due, end what is too old. The first door's thread does it for all."""
        if door is not self._doors[0]:
            return
        self.knocks.flush()
        now_ns = self.clock.now().mono_ns
        for association in self._open():
            if now_ns - association.started.mono_ns > self.limits.association_timeout_s * NS:
                _cut(association, f"open for longer than {self.limits.association_timeout_s:.0f} s")

    def drain(self) -> None:
        """Take nobody new; let what is under way end within the grace time; then cut off what is left."""
        self._draining = True
        for door in self._doors:
            socketserver.BaseServer.shutdown(door)  # the loop alone: pynetdicom's own forgets its AE's list
            door.server_close()
        deadline_ns = self.clock.now().mono_ns + round(self.limits.grace_s * NS)
        while self._open() and self.clock.now().mono_ns < deadline_ns:
            self._cut_all(idle_alone=True)
        last_ns = self.clock.now().mono_ns + round(_LAST_WORDS_S * NS)
        while self._open() and self.clock.now().mono_ns < last_ns:
            self._cut_all(idle_alone=False)
        self.knocks.flush(everything=True)

    def _cut_all(self, *, idle_alone: bool) -> None:
        for association in self._open():
            if not (idle_alone and association.dimse.arrival):
                _cut(association, "the room's listener ended")
        threading.Event().wait(_LOOK_S)

    def _open(self) -> list[RoomAssociation]:
        with self._lock:
            return list(self._connections)


def _cut(association: RoomAssociation, cause: str) -> None:
    association.cause = association.cause or cause
    association.dul.give_up(cause)


def _ending(association: RoomAssociation) -> tuple[str, str]:
    """Outcome and reason of an association that ended; ("", "") for one that was released."""
    trouble = association.cause or association.dul.trouble
    if association.refusal:
        return "refused", association.refusal
    if association.is_released:
        return "", ""
    if association.requestor.primitive is None:
        return "refused", f"no association request: {trouble or 'silent'}"
    return "aborted", trouble or "silent for too long"


def _called(association: Any) -> str | None:
    request = association.requestor.primitive
    return None if request is None else str(request.called_ae_title)
