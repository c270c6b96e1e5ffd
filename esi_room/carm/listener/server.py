"""Who may connect, how many at once, for how long. Runs in the listener's process.

Rules of this file:
- The address decides before a thread is started; the AE titles decide before an association is accepted.
- Every connection that was refused, lost or cut off is told (`Knocks`), with the rule that did it.
- A slot is freed when the association's thread ends, and nothing keeps that thread longer than its limits say.
"""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import threading
from collections.abc import Sequence
from typing import Any

from pynetdicom import _config
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import AssociationServer, RequestHandler

from esi_room.carm.listener.association import RoomAssociation, canonical
from esi_room.carm.listener.contexts import supported
from esi_room.carm.listener.incoming import Incoming
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.services import Service
from esi_room.carm.listener.storage import Storage
from esi_room.carm.settings import ADVERTISED_PDU_BYTES, CarmSettings
from esi_room.clock import NS, Clock

# A-ASSOCIATE-RJ (PS3.8 table 9-21): result, source, reason.
_REJECT_CALLING = (1, 1, 3)
_REJECT_CALLED = (1, 1, 7)
_REJECT_TOO_MANY = (2, 3, 2)
# A C-arm's services all connect at once when it boots.
_BACKLOG = 64

_config.LOG_HANDLER_LEVEL = "none"  # pynetdicom's own log names patients; what matters is told in `carm.association`


class Handler(RequestHandler):
    """Makes an association of an accepted connection. `server` narrows the parent's type."""

    def _create_association(self) -> RoomAssociation:
        server: Any = self.server
        association = RoomAssociation(server, server.ae, self.request)
        association._server = server
        association.name = f"AcceptorThread@{self.client_address[0]}"
        acceptor = association.acceptor
        acceptor.maximum_length = ADVERTISED_PDU_BYTES
        acceptor.ae_title = server.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = server.ae.implementation_class_uid
        acceptor.implementation_version_name = server.ae.implementation_version_name
        acceptor.supported_contexts = server.contexts  # shared: negotiation only reads them
        association.requestor.address_info = self.remote
        for event, handler in server.bindings:
            association.bind(event, handler)
        server.connected(association)
        return association


class Server(AssociationServer):
    """The listener. `serve_forever` runs it; `drain` ends it in order."""

    request_queue_size = _BACKLOG

    def __init__(
        self, settings: CarmSettings, storage: Storage, services: Sequence[Service], knocks: Knocks, clock: Clock
    ) -> None:
        self.bindings = [binding for service in services for binding in service.handlers]
        self.limits, self.clock, self.knocks, self.storage = settings.limits, clock, knocks, storage
        self._rules = [(rule.ae_title.strip(), ipaddress.ip_network(rule.address)) for rule in settings.peers]
        self._connections: set[RoomAssociation] = set()
        self._lock = threading.Lock()
        self._draining = False
        ae = ApplicationEntity(settings.ae_title)
        ae.maximum_pdu_size = ADVERTISED_PDU_BYTES
        ae.maximum_associations = 1 << 16  # `admit` counts
        contexts = [*supported(), *(context for service in services for context in service.contexts)]
        super().__init__(ae, settings.listen, settings.ae_title, contexts, request_handler=Handler)

    # --- connections --------------------------------------------------------------------------------------

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept. The socket never blocks for longer than a peer may be silent inside a PDU."""
        client, address = self.socket.accept()  # type: ignore[union-attr]
        client.settimeout(self.limits.request_timeout_s)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to look at this connection at all."""
        address = canonical(client_address[0])
        with self._lock:
            same = sum(each.address == address for each in self._connections)
        if not any(ipaddress.ip_address(address) in network for _, network in self._rules):
            self.knocks.say("refused", f"? @ {address}", None, "the address is not on the list of peers")
        elif same >= self.limits.connections_per_address:
            self.knocks.say("refused", f"? @ {address}", None, f"{same} connections from this address already")
        else:
            return True
        return False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection could not be served (out of threads or memory): it is closed, the rest goes on."""
        self.knocks.say("failed", f"? @ {client_address[0]}", None, "no resources for another connection")

    def connected(self, association: RoomAssociation) -> None:
        """A slot is taken."""
        with self._lock:
            self._connections.add(association)

    def admit(self, association: RoomAssociation) -> tuple[int, int, int] | None:
        """None, or how to reject this association request."""
        request: Any = association.requestor.primitive
        calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
        association.requestor.ae_title = calling
        with self._lock:
            others = sum(each.is_established for each in self._connections)
        address = ipaddress.ip_address(association.address)
        if not any(title == calling and address in network for title, network in self._rules):
            association.refusal = "the calling AE title is not on the list for this address"
            return _REJECT_CALLING
        if called != self.ae_title:
            association.refusal = f"the called AE title is not {self.ae_title}"
            return _REJECT_CALLED
        if others >= self.limits.associations or self._draining:
            association.refusal = f"{others} associations already"
            return _REJECT_TOO_MANY
        return None

    def ended(self, association: RoomAssociation) -> None:
        """The slot is free; tell how it ended unless it ended well."""
        with self._lock:
            self._connections.discard(association)
        under_way = list(association.dimse.objects)
        for incoming in under_way:
            incoming.discard()
        outcome, reason = _ending(association)
        if outcome:
            reason += " while an object was under way" if under_way else ""
            self.knocks.say(outcome, association.peer, _called(association), reason)

    # --- objects ------------------------------------------------------------------------------------------

    def begin_object(self, association: RoomAssociation, request: C_STORE_RQ) -> Incoming:
        """A C-STORE request's command set is whole."""
        return self.storage.begin(association, request)

    def store(self, association: RoomAssociation, request: C_STORE, context: Any) -> int:
        """Its data set is, too."""
        try:
            return self.storage.store(association, request, context)
        finally:
            association.dimse.objects.discard(request.DataSet)

    # --- time ---------------------------------------------------------------------------------------------

    def service_actions(self) -> None:
        """Ten times a second, in the listener's thread."""
        super().service_actions()
        self.knocks.flush()
        now_ns = self.clock.now().mono_ns
        for association in self._open():
            if now_ns - association.started.mono_ns > self.limits.association_timeout_s * NS:
                _cut(association, f"open for longer than {self.limits.association_timeout_s:.0f} s")

    def drain(self) -> None:
        """Take nobody new; let what is under way end within the grace time; then cut off what is left."""
        self._draining = True
        socketserver.BaseServer.shutdown(self)  # the loop alone: pynetdicom's own forgets its AE's list
        self.server_close()
        deadline_ns = self.clock.now().mono_ns + round(self.limits.grace_s * NS)
        waiting = threading.Event()
        while (left := self._open()) and self.clock.now().mono_ns < deadline_ns:
            for association in left:
                if not association.dimse.objects:
                    _cut(association, "the room's listener ended")
            waiting.wait(0.02)
        for association in self._open():
            _cut(association, "the room's listener ended")
        self.knocks.flush(everything=True)

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
    if association.is_aborted and not trouble:
        return "aborted", "aborted by the peer"
    return "aborted", trouble or "silent for too long"


def _called(association: Any) -> str | None:
    request = association.requestor.primitive
    return None if request is None else str(request.called_ae_title)
