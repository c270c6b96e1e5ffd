"""Storage commitment as the caller: the room asks a destination (N-ACTION), and reports to a C-arm (N-EVENT-REPORT).

For the report the room calls, and yet is the SCP: it proposes that role for itself (PS3.7 D.3.3.4, PS3.4 J.3.3).
A destination may answer on the association on which it was asked: `handlers` takes that answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.association import Association

from esi_room.carm.caller.entity import Need, RefusedError, accepted, answered, status_of
from esi_room.carm.caller.storing import judge
from esi_room.carm.caller.worker import Line
from esi_room.carm.passing.transaction import (
    ALL_COMMITTED,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    SOME_FAILED,
    take_report,
    written,
)
from esi_room.carm.shapes import Called
from esi_room.carm.wire import Answer, Asking, Done, ReportCommitment, RequestCommitment
from esi_room.clock import Clock

_SYNTAXES = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
ASKING = Need(PUSH_MODEL, _SYNTAXES)
REPORTING = Need(PUSH_MODEL, _SYNTAXES, as_scp=True)


def request(line: Line, request: RequestCommitment) -> Done:
    """Ask the peer whether it stands for these instances; its answer comes later."""
    dataset = written(request.transaction_uid, request.instances)

    def act(association: Association) -> int:
        accepted(association, PUSH_MODEL)
        send = association.send_n_action
        status = status_of(answered(lambda: send(dataset, REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE))[0])
        judge(status)
        return status

    return Done(id=request.id, outcome="done", status=line.on(ASKING, act))


def report(line: Line, request: ReportCommitment) -> Done:
    """Tell the peer what the room stands for."""
    dataset = written(request.transaction_uid, request.committed, request.failed)
    event = SOME_FAILED if request.failed else ALL_COMMITTED

    def act(association: Association) -> int:
        if not accepted(association, PUSH_MODEL).as_scp:
            raise RefusedError("the peer does not let the room be the SCP (role selection)")
        send = association.send_n_event_report
        status = status_of(answered(lambda: send(dataset, event, PUSH_MODEL, PUSH_MODEL_INSTANCE))[0])
        judge(status)
        return status

    return Done(id=request.id, outcome="done", status=line.on(REPORTING, act))


def handlers(to: Called, ask: Callable[[Asking], Answer], clock: Clock) -> list[Any]:
    """What takes a report on an association that the room opened."""

    def on_report(event: Any) -> tuple[int, Dataset | None]:
        peer = f"{to.ae_title} @ {to.host}"
        return take_report(event, peer, to.ae_title, ask, clock), None

    return [(evt.EVT_N_EVENT_REPORT, on_report)]
