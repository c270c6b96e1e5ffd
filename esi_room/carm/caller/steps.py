"""MPPS passed on (PS3.4 F.7): the C-arm's N-CREATE and N-SET again, with its own data set and SOP instance UID.

A request is repeated when its answer was lost. An N-CREATE that the peer holds already (0111) is therefore done.
"""

from __future__ import annotations

from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.sop_class import ModalityPerformedProcedureStep  # type: ignore[attr-defined]

from esi_room.carm.caller.entity import Need, accepted, answered, status_of
from esi_room.carm.caller.storing import judge
from esi_room.carm.caller.worker import Line
from esi_room.carm.wire import Done, RelayStep

DUPLICATE_INSTANCE = 0x0111
NEED = Need(ModalityPerformedProcedureStep, (ExplicitVRLittleEndian, ImplicitVRLittleEndian))


def relay(line: Line, request: RelayStep) -> Done:
    """Create or change the step at the peer."""
    try:
        dataset = dcmread(request.path)
    except OSError as error:
        return Done(id=request.id, outcome="broken", comment=f"its file cannot be read: {error.strerror}")
    uid = UID(request.sop_instance_uid)

    def act(association: Association) -> int:
        accepted(association, ModalityPerformedProcedureStep)
        send = association.send_n_create if request.message == "create" else association.send_n_set
        status = status_of(answered(lambda: send(dataset, ModalityPerformedProcedureStep, uid))[0])
        if not (request.message == "create" and status == DUPLICATE_INSTANCE):
            judge(status)
        return status

    return Done(id=request.id, outcome="done", status=line.on(NEED, act))
