"""Storage commitment where peers connect (PS3.4 annex J, push model): requests to the room, destinations' reports.

    N-ACTION 1        a peer asks: 0000 once the daemon has it in the record; the report follows on an association
                      of its own, whatever becomes of this one
    N-EVENT-REPORT    a destination answers the room. It called, and yet is the SCP: it proposes that role for
                      itself (PS3.7 D.3.3.4), which is accepted beside the usual one

What is answered (PS3.7 annex C):

    0000  it is in the record, durable
    0110  the room does not know the peer's port, where the report would go
    0112  another SOP instance than the well-known one
    0113  another event than 1 and 2
    0115  the data set names no transaction or no instance
    0123  another action than 1
    0213  more instances than MAX_INSTANCES, or no answer of the record's
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.presentation import PresentationContext

from esi_room.carm.listener.services import Ask, Service
from esi_room.carm.passing.transaction import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    all_named,
    take_report,
    understood,
)
from esi_room.carm.wire import Answer, CommitmentAsked
from esi_room.clock import Clock

TRANSFER_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
NO_SUCH_INSTANCE, NO_SUCH_ACTION, INVALID_ARGUMENT, RESOURCES = 0x0112, 0x0123, 0x0115, 0x0213
# Their entry in the record is 1.4 MB then. A long case has some hundred objects.
MAX_INSTANCES = 10_000


def service(ask: Ask, clock: Clock) -> Service:
    """Both ends of storage commitment, as an acceptor."""

    def on_action(event: Any) -> tuple[Dataset, None]:
        answer = _asked(event, ask, clock)
        status = Dataset()
        status.Status = answer.status
        if answer.comment:
            status.ErrorComment = answer.comment[:64]  # LO
        return status, None

    def on_report(event: Any) -> tuple[int, None]:
        association = event.assoc
        return take_report(event, association.peer, association.requestor.ae_title.strip(), ask, clock), None

    return Service((_context(),), ((evt.EVT_N_ACTION, on_action), (evt.EVT_N_EVENT_REPORT, on_report)))


def _context() -> PresentationContext:
    context = build_context(PUSH_MODEL, list(TRANSFER_SYNTAXES))
    context.scu_role = context.scp_role = True
    return context


def _asked(event: Any, ask: Ask, clock: Clock) -> Answer:
    """The answer to an N-ACTION."""
    if event.request.RequestedSOPInstanceUID != PUSH_MODEL_INSTANCE:
        return Answer(id=0, status=NO_SUCH_INSTANCE)
    if event.action_type != REQUEST:
        return Answer(id=0, status=NO_SUCH_ACTION)
    try:
        said = understood(event.action_information)
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever it stumbles over
        return Answer(id=0, status=INVALID_ARGUMENT, comment=str(error) if type(error) is ValueError else "")
    if not said.instances or not all_named(said.instances):
        return Answer(id=0, status=INVALID_ARGUMENT, comment="no instances, or one without a name")
    if len(said.instances) > MAX_INSTANCES:
        return Answer(id=0, status=RESOURCES, comment=f"more than {MAX_INSTANCES} instances at once")
    association = event.assoc
    return ask(
        CommitmentAsked(
            id=0,
            peer=association.peer,
            ae_title=association.requestor.ae_title.strip(),
            address=association.address,
            at=clock.now(),
            transaction_uid=said.uid,
            instances=said.instances,
        )
    )
