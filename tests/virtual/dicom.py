"""The C-arm's network node without a network: an association is an object on which both ends look.

Data sets cross it as octets, in the transfer syntax that was negotiated. `Node` stands in the place of
`simulators.carm.scu.Scu`; what the simulators do on an association in a thread, and block there until the room has
answered, is a coroutine function here, see `installed`. Everything takes about as long as it does with pynetdicom.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Sequence
from io import BytesIO
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from esi_room.carm.listener.commands import StoreRequest
from simulators.carm import carm, commitment, mpps, worklist
from simulators.carm.headers import reference
from simulators.carm.scu import Job, NoAnswerError, NotOfferedError, Scu, StatusError, expect_success

HOST = "127.0.0.1"
FIRST_FREE_PORT = 11_113
ASSOCIATION_S = 0.02  # to get one
MESSAGE_S = 0.005  # for a request and its answer, all but an object
OBJECT_S, LINE_BYTES_PER_S = 0.001, 10e6  # for an object: what is left of 100 Mbit/s
_ACCEPTED = 0
_PENDING = (0xFF00, 0xFF01)


class RefusedAssociation(Exception):
    """The room does not want it."""


class Room(Protocol):
    """The room's listener."""

    def associate(self, association: Association) -> None: ...
    def ended(self, association: Association) -> None: ...
    def aborted(self, association: Association, reason: str) -> None: ...
    async def store(self, association: Association, request: StoreRequest, octets: bytes) -> int: ...
    async def handled(self, kind: Any, event: Any) -> Any: ...


class Network:
    """Who listens where."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, int], Any] = {}

    def listen(self, address: tuple[str, int], end: Any) -> tuple[str, int]:
        """`end` is there from now on; port 0 is a free one."""
        host, port = address[0] or HOST, address[1]
        while not port or (host, port) in self._ends:
            port = port + 1 if port else FIRST_FREE_PORT
        self._ends[host, port] = end
        return host, port

    def at(self, address: tuple[str, int] | None) -> Any:
        """Who is there, if anybody is."""
        return None if address is None else self._ends.get(address)

    def forget(self, end: Any) -> None:
        """It listens no more."""
        self._ends = {address: each for address, each in self._ends.items() if each is not end}


class Association:
    """Between a C-arm and the room; both ends' names for what belongs to it."""

    def __init__(self, room: Room, calling: str, called: str, proposed: Sequence[PresentationContext]) -> None:
        self._room = room
        self.requestor, self.acceptor = SimpleNamespace(ae_title=calling), SimpleNamespace(ae_title=called)
        self.address, self.peer = HOST, f"{calling} @ {HOST}"
        self.proposed = [_numbered(context, 2 * n + 1) for n, context in enumerate(proposed)]
        self.accepted_contexts: list[PresentationContext] = []
        self.is_established = False
        self.dimse = SimpleNamespace(msg_queue=queue.SimpleQueue[Any]())
        self.dul = SimpleNamespace(to_provider_queue=queue.SimpleQueue[Any]())

    def negotiate(self, offered: list[PresentationContext]) -> None:
        """What the room supports."""
        results, _ = negotiate_as_acceptor(self.proposed, offered)
        self.accepted_contexts = [context for context in results if context.result == _ACCEPTED]
        self.is_established = True

    def context(self, sop_class: str) -> PresentationContext:
        """The one for this class. NotOfferedError, NoAnswerError."""
        found = (context for context in self.accepted_contexts if context.abstract_syntax == sop_class)
        context = next(found, None)
        if context is None:
            raise NotOfferedError(f"the room does not take {sop_class}")
        if not self.is_established:
            raise NoAnswerError("the association is gone")
        return context

    def release(self) -> None:
        self.is_established = False
        self._room.ended(self)

    def abort(self) -> None:
        self.release()
        self._room.aborted(self, "aborted by the peer")

    async def store(self, job: Job, message_id: int) -> None:
        """C-STORE. PeerError unless the room says 0000."""
        sop_class = str(job.dataset.SOPClassUID)
        self.context(sop_class)
        await asyncio.sleep(OBJECT_S + len(job.octets) / LINE_BYTES_PER_S)
        status = await self._room.store(self, StoreRequest(sop_class, job.uid, message_id, True), job.octets)
        expect_success(_status(status))

    def break_off(self) -> None:
        """In the middle of an object."""
        self.release()
        self._room.aborted(self, "aborted by the peer while an object was under way")

    async def asked(self, kind: Any, sop_class: str, dataset: Dataset, **names: str) -> Any:
        """What the room's handler answers to a request of the kind N-CREATE, N-SET, N-ACTION or C-FIND."""
        await asyncio.sleep(ASSOCIATION_S + MESSAGE_S)  # each has an association of its own
        context = self.context(sop_class)
        syntax = context.transfer_syntax[0]
        octets = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian) or b""
        there = decode(BytesIO(octets), syntax.is_implicit_VR, syntax.is_little_endian)
        request = SimpleNamespace(AttributeList=BytesIO(octets), ModificationList=BytesIO(octets), **names)
        event = SimpleNamespace(
            assoc=self,
            context=SimpleNamespace(transfer_syntax=syntax),
            request=request,
            identifier=there,
            is_cancelled=False,
            action_type=1,
            action_information=there,
        )
        return await self._room.handled(kind, event)


class Node(Scu):
    """A C-arm that calls the room at (host, port)."""

    network: Network

    def open(self, contexts: Sequence[PresentationContext], *, calling: str | None = None) -> Any:
        room = self.network.at((self.host, self.port))
        if room is None:
            raise NoAnswerError("no answer")
        association = Association(room, calling or self.calling, self.called, contexts)
        try:
            room.associate(association)
        except RefusedAssociation as error:
            raise NoAnswerError("association refused") from error
        if not association.accepted_contexts:
            association.release()
            raise NotOfferedError("no presentation context accepted")
        return association

    async def storage(self) -> Any:
        await asyncio.sleep(ASSOCIATION_S)
        return super().storage()

    async def echo(self, *, calling: str | None = None) -> None:
        await asyncio.sleep(ASSOCIATION_S + MESSAGE_S)
        self.open([build_context(Verification)], calling=calling).release()

    async def store(self, association: Any, job: Job, message_id: int) -> None:
        await association.store(job, message_id)

    async def store_half(self, association: Any, job: Job, message_id: int) -> None:
        association.context(str(job.dataset.SOPClassUID))
        association.break_off()


class Ears:
    """In the place of pynetdicom's AE where the C-arm listens for storage commitment."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._report: Callable[[Any], tuple[int, None]] | None = None

    def add_supported_context(self, *_: object, **__: object) -> None:
        """Whatever comes is of this class."""

    def start_server(self, address: tuple[str, int], *, block: bool, evt_handlers: list[Any]) -> Ears:
        ((_, self._report),) = evt_handlers
        self.server_address = self._network.listen(address, self._report)
        return self

    def shutdown(self) -> None:
        self._network.forget(self._report)


def installed(network: Network, patch: pytest.MonkeyPatch) -> None:
    """Every C-arm that is made from now on calls and listens in `network`."""
    patch.setattr(carm, "Scu", type("Node", (Node,), {"network": network}))
    patch.setattr(commitment, "AE", lambda _ae_title: Ears(network))
    patch.setattr(commitment.Commitment, "_request", _request_commitment)
    patch.setattr(mpps, "send_created", _send_created)
    patch.setattr(mpps, "send_ended", _send_ended)
    patch.setattr(worklist, "find", _find)


async def _find(scu: Node, asked: Dataset) -> list[Any]:
    with scu.calling_for(ModalityWorklistInformationFind) as association:
        answers = await association.asked(evt.EVT_C_FIND, ModalityWorklistInformationFind, asked)
        lines = []
        for status, line in answers:
            code = status if isinstance(status, int) else int(status.Status)
            if code not in _PENDING:
                raise StatusError(f"status 0x{code:04X}")
            lines.append(worklist.read(line))
        return lines


async def _send_created(scu: Node, uid: str, step: Dataset) -> None:
    with scu.calling_for(ModalityPerformedProcedureStep) as association:
        asked = association.asked(evt.EVT_N_CREATE, ModalityPerformedProcedureStep, step, AffectedSOPInstanceUID=uid)
        status, _ = await asked
        if status.Status != mpps._DUPLICATE:
            expect_success(status)


async def _send_ended(scu: Node, uid: str, step: Dataset) -> None:
    with scu.calling_for(ModalityPerformedProcedureStep) as association:
        asked = association.asked(evt.EVT_N_SET, ModalityPerformedProcedureStep, step, RequestedSOPInstanceUID=uid)
        status, _ = await asked
        expect_success(status)


async def _request_commitment(self: Any, transaction_uid: str, stored: list[Job]) -> None:
    asked = Dataset()
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = [reference(str(job.dataset.SOPClassUID), job.uid) for job in stored]
    with self._scu.calling_for(StorageCommitmentPushModel) as association:
        status, _ = await association.asked(
            evt.EVT_N_ACTION,
            StorageCommitmentPushModel,
            asked,
            RequestedSOPInstanceUID=StorageCommitmentPushModelInstance,
        )
        expect_success(status)


def _numbered(context: PresentationContext, number: int) -> PresentationContext:
    made = build_context(context.abstract_syntax or "", context.transfer_syntax)
    made.context_id = number
    return made


def _status(code: int) -> Dataset:
    status = Dataset()
    status.Status = code
    return status
