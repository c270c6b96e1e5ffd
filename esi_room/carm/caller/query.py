"""The hospital's worklist: C-FIND as the caller (PS3.4 annex K). Every attribute of Table K.6-1 is asked for that a
C-arm may ask of the room; what the hospital answers is kept whole (`Order.dataset`)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association

from esi_room.carm.caller.entity import Need, UnavailableError, accepted, status_of
from esi_room.carm.caller.worker import Line
from esi_room.carm.settings import Hospital
from esi_room.carm.wire import AskWorklist, OrdersRead
from esi_room.carm.worklist.items import NoOrder, orders_of
from esi_room.carm.worklist.keys import MODALITY_WORKLIST, ORDER, STEP
from esi_room.commands import Order

NEED = Need(MODALITY_WORKLIST, (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)))
# A room's day has 30; a hospital that answers with everything is not asked rightly.
MAX_ITEMS = 500
PENDING = (0xFF00, 0xFF01)
SUCCESS = 0x0000


def ask(line: Line, request: AskWorklist) -> OrdersRead:
    """The hospital's answer. UnavailableError where it gives none or not the whole, RefusedError where it will not."""
    first = datetime.strptime(request.first_day, "%Y%m%d").date()  # noqa: DTZ007 - the room's local day
    answered = line.on(NEED, lambda association: _find(association, _identifier(request.hospital, first)))
    orders: list[Order] = []
    problems: dict[str, str] = {}
    for number, each in enumerate(answered, start=1):
        try:
            orders += orders_of(each)
        except NoOrder as error:
            problems[f"item {number}"] = str(error)
        except Exception as error:  # noqa: BLE001 - pydicom raises whatever it stumbles over, and quotes values
            problems[f"item {number}"] = f"cannot be read ({type(error).__name__})"
    if len(answered) == MAX_ITEMS:
        problems["the answer"] = f"cut off at {MAX_ITEMS} items: ask for one modality or station"
    return OrdersRead(id=request.id, orders=tuple(orders), problems=problems)


def _identifier(hospital: Hospital, first: date) -> Dataset:
    step = _empty(STEP)
    step.ScheduledStationAETitle = hospital.station_ae_title
    step.Modality = hospital.modality
    last = first + timedelta(days=max(hospital.days, 1) - 1)
    step.ScheduledProcedureStepStartDate = f"{first:%Y%m%d}" if last == first else f"{first:%Y%m%d}-{last:%Y%m%d}"
    identifier = _empty(ORDER)
    identifier.ScheduledProcedureStepSequence = Sequence([step])
    return identifier


def _empty(keywords: str) -> Dataset:
    """Return keys (K.2.2.1.2)."""
    dataset = Dataset()
    for keyword in keywords.split():
        setattr(dataset, keyword, [] if keyword.endswith("Sequence") else None)
    return dataset


def _find(association: Association, identifier: Dataset) -> list[Dataset]:
    accepted(association, MODALITY_WORKLIST)
    found: list[Dataset] = []
    try:
        for answer, item in association.send_c_find(identifier, MODALITY_WORKLIST):
            status = status_of(answer)
            if status == SUCCESS:
                return found
            if status not in PENDING:
                raise UnavailableError(f"the worklist query is answered {status:04X}{_comment(answer)}")
            if item is not None and len(found) < MAX_ITEMS:
                found.append(item)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: the association was over before
        raise UnavailableError(str(error)) from error
    raise UnavailableError("the answer has no end")


def _comment(answer: Any) -> str:
    words = str(answer.get("ErrorComment") or "").strip()
    return f" ({words})" if words else ""
