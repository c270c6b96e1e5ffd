"""Which procedure's record a study belongs to: a dose report often comes when that record is closed already.

C-arms make their report when the step is over, and the end of the step may end the procedure (MPPS): the report then
arrives in the standby record, or in the next patient's. Its study says whose it is. A study of which nothing but
reports came in a procedure's record has no home; what comes of it counts where it comes.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from esi_room.events import CarmImage, CarmMpps, RecordOpened
from esi_room.record.reader import records
from esi_room.record.scan import entries

STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."  # the SOP classes that begin so (PS3.4 table B.5-1)
# A report comes minutes after its case: procedure, standby, procedure, standby is a morning.
LOOKED_BACK_RECORDS = 6


class _Named(Struct):
    """What counts of an entry's data."""

    sop_class_uid: str = ""
    modality: str | None = None
    study_uid: str | None = None
    taken_in: str | None = None


def is_report(sop_class_uid: str, modality: str | None) -> bool:
    """Whether an object is a structured report: by its class, or, where that is private, by what it says it is."""
    return sop_class_uid.startswith(STRUCTURED_REPORTS) or modality == "SR"


class Homes:
    """The last procedure's record in which something of a study came, by study."""

    def __init__(self) -> None:
        self._by_study: dict[str, str] = {}

    @classmethod
    def of(cls, root: Path) -> Homes:
        """Of the last records under `root`. Reads their journals: call it in a thread."""
        homes = cls()
        for record in records(root)[-LOOKED_BACK_RECORDS:]:
            opened = next(entries(root, record, RecordOpened), None)
            if opened is None or msgspec.json.decode(opened.data, type=RecordOpened).kind != "procedure":
                continue
            for entry in entries(root, record, CarmImage, CarmMpps):
                named = msgspec.json.decode(entry.data, type=_Named)
                if named.taken_in is None and not is_report(named.sop_class_uid, named.modality):
                    homes.came(named.study_uid, record)
        return homes

    def came(self, study_uid: str | None, record: str) -> None:
        """A step or object of the study came in the record of a procedure; no report, which may be late."""
        if study_uid is not None:
            self._by_study[study_uid] = record

    def elsewhere(self, study_uid: str | None, record: str) -> str | None:
        """The record that the study belongs to, where that is not `record`."""
        home = None if study_uid is None else self._by_study.get(study_uid)
        return None if home == record else home
