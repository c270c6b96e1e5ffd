"""What the open record says of the procedure: a fold over its lines.

Who may end a procedure follows from who is in charge of it:

- One that a device began (its first MPPS message) is ended by that device's last one, as long as nobody of the staff
  has done anything in it.
- Once somebody of the staff has started it, entered a phase, or written a note, it is the staff's to end: recovery
  goes on long after the last image.
- Orders placed or withdrawn meanwhile are of other procedures, and change nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from esi_room.commands import PlaceOrder, WithdrawOrder
from esi_room.events import (
    BY_TYPE,
    Entry,
    OperatorCommand,
    Payload,
    Phase,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureStarted,
)
from esi_room.record.reader import journal_path

STAFF: Literal["staff"] = "staff"
_OF_THE_WORKLIST = {PlaceOrder.NAME, WithdrawOrder.NAME}
_MARKS = (b'"type":"procedure.', b'"type":"operator.command"')


class Case(NamedTuple):
    """How far the procedure in the open record is.

    `opened_by`: `staff` or the device's id. `claimed`: somebody of the staff has started it, or started what a device
    had opened. `attended`: somebody of the staff has done anything in it.
    """

    started: bool = False
    ended: bool = False
    phase: Phase | None = None
    opened_by: str | None = None
    procedure: str | None = None
    claimed: bool = False
    attended: bool = False

    def after(self, payload: Payload) -> Case:
        """The case once this is written."""
        match payload:
            case ProcedureStarted(origin=origin, procedure=procedure):
                by_staff = origin == STAFF
                return self._replace(
                    started=True,
                    procedure=procedure or self.procedure,
                    opened_by=self.opened_by or origin,
                    claimed=self.claimed or by_staff,
                    attended=self.attended or by_staff,
                )
            case ProcedurePhase(phase=phase, origin=origin):
                return self._replace(phase=phase, attended=self.attended or origin == STAFF)
            case ProcedureEnded():
                return self._replace(ended=True)
            case OperatorCommand(name=name) if self.started and name not in _OF_THE_WORKLIST:
                return self._replace(attended=True)
        return self


def case_of(root: Path, record: str) -> Case:
    """The case in `record`, as its journal has it on disk."""
    case = Case()
    try:
        with journal_path(root, record).open("rb") as file:
            for line in file:
                if any(mark in line for mark in _MARKS):
                    entry = msgspec.json.decode(line, type=Entry)
                    if entry.type in BY_TYPE:
                        case = case.after(msgspec.json.decode(entry.data, type=BY_TYPE[entry.type]))
    except FileNotFoundError:
        pass
    return case
