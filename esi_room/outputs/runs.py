"""The runs of a record: every irradiation event that something told of, once, in the order in which they became known.

Rules:
- An event has one place, by its Irradiation Event UID; a dose report says more of it than an image's header.
- A header without that UID is a run of its own, until a dose report tells the events of the same study: then it is one
  of those, and nobody can say which.
- Bounded: MAX_RUNS of them are shown, the last ones.
"""

from __future__ import annotations

from esi_room.events import CarmDose
from esi_room.outputs.snapshots import DoseRun

# A snapshot is one message, and a display shows a dozen; a long case has a hundred runs.
MAX_RUNS = 200
_REPORT = "dose report"


class Runs:
    """Of one record."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str | None, str], DoseRun] = {}
        self._reported: set[str | None] = set()  # studies whose events a dose report told

    def take(self, dose: CarmDose, seq: int) -> None:
        """The entry `seq` tells of these events."""
        reported = dose.provenance == _REPORT
        if reported and dose.irradiation_events and dose.study_uid not in self._reported:
            self._reported.add(dose.study_uid)
            self._drop_unnamed(dose.study_uid)
        for number, event in enumerate(dose.irradiation_events):
            if not reported and event.uid is None and dose.study_uid in self._reported:
                continue
            key = (dose.study_uid, event.uid or (event.at if reported else None) or f"{dose.sop_instance_uid} {number}")
            before = self._by_key.get(key)
            if before is None or reported or before.provenance != _REPORT:
                self._by_key[key] = DoseRun(
                    uid=event.uid,
                    at=event.at,
                    kind=event.kind,
                    dap_gy_m2=event.dap_gy_m2,
                    air_kerma_rp_gy=event.air_kerma_rp_gy,
                    duration_s=event.duration_s,
                    provenance=dose.provenance,
                    seq=seq,
                )

    def _drop_unnamed(self, study_uid: str | None) -> None:
        for key, run in list(self._by_key.items()):
            if key[0] == study_uid and run.uid is None:
                del self._by_key[key]

    def __len__(self) -> int:
        return len(self._by_key)

    def last(self) -> tuple[DoseRun, ...]:
        """Those that are shown."""
        return tuple(self._by_key.values())[-MAX_RUNS:]
