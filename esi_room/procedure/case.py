"""What the open record says of the procedure: a fold over its lines."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from esi_room.events import Entry, Phase, ProcedurePhase
from esi_room.record.reader import journal_path


class Case(NamedTuple):
    """How far the procedure in the open record is."""

    started: bool = False
    ended: bool = False
    phase: Phase | None = None

    def after(self, entry: Entry) -> Case:
        """The case once `entry` is written."""
        match entry.type:
            case "procedure.started":
                return self._replace(started=True)
            case "procedure.phase":
                return self._replace(phase=msgspec.json.decode(entry.data, type=ProcedurePhase).phase)
            case "procedure.ended":
                return self._replace(ended=True)
        return self


def case_of(root: Path, record: str) -> Case:
    """The case in `record`, as its journal has it on disk."""
    case = Case()
    try:
        with journal_path(root, record).open("rb") as file:
            for line in file:
                if b'"type":"procedure.' in line:
                    case = case.after(msgspec.json.decode(line, type=Entry))
    except FileNotFoundError:
        pass
    return case
