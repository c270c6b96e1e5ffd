"""Writes what is known of dose behind the entry that it comes from: `carm.dose`. What is too much, the rules say.

Rules of this file:
- Into the record that the object or step is in, in the same turn of the event loop: no other record can come between.
- The ledger is the open record's. A record that opens begins a new one; after a restart it is made again from the
  record's own entries.
- What came too late for its own record (an image by its time, a step by its beginning, a report by its study) has its
  entry, which names that record, and no part in this one's total.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from esi_room.carm.dose.homes import Homes, is_report
from esi_room.carm.dose.ledger import Ledger, Origin
from esi_room.carm.shapes import DoseReport, Step
from esi_room.clock import Clock
from esi_room.events import CarmDose, CarmImage, Event
from esi_room.record.journal import Journal, Receipt
from esi_room.record.scan import entries

SOURCE = "carm"


class DoseDesk:
    """The dose of the open record. `begin` once, before anything is received."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self._record: str | None = None
        self._ledger = Ledger()
        self._homes = Homes()

    async def begin(self) -> None:
        """Take up the open record where it was left."""
        record = self._journal.record
        self._ledger = await asyncio.to_thread(_left, self._journal.root, record)
        self._homes = await asyncio.to_thread(Homes.of, self._journal.root)
        self._record = record

    def on_image(self, image: CarmImage, receipt: Receipt, report: DoseReport | None) -> Receipt:
        """The entry `receipt` of an object was just appended; `report`: what it says, where it is a dose report.

        The last entry that was appended: once it is durable, all of them are. RecordError where the record is full.
        """
        ledger = self._ledger_of(receipt.record)
        said = ledger.add_image(image, receipt.seq)
        # What came in another record is that record's; what came in this one may still lack its entry (a crash).
        here = image.duplicate_of is None or image.duplicate_of.record == receipt.record
        if report is not None and here:
            late = image.taken_in or self._homes.elsewhere(image.study_uid, receipt.record)
            origin = Origin(image.sop_instance_uid, image.study_uid, receipt.seq, late)
            said = ledger.add(report, "dose report", origin)
        elif image.taken_in is None and not is_report(image.sop_class_uid, image.modality):
            self._came(image.study_uid, receipt)
        return receipt if said is None else self._write(said)

    def on_step(self, step: Step, receipt: Receipt, began_in: str) -> Receipt:
        """The entry `receipt` of an MPPS message was just appended, of a step that began in the record `began_in`: the
        dose is that record's. As `on_image`."""
        study_uid = step.study_uids[0] if step.study_uids else None
        late = None if began_in == receipt.record else began_in
        if late is None:
            self._came(study_uid, receipt)
        if step.dose is None:
            return receipt
        origin = Origin(step.sop_instance_uid, study_uid, receipt.seq, late)
        said = self._ledger_of(receipt.record).add(step.dose, "mpps", origin)
        return receipt if said is None else self._write(said)

    def _came(self, study_uid: str | None, receipt: Receipt) -> None:
        if self._journal.kind == "procedure":
            self._homes.came(study_uid, receipt.record)

    def _ledger_of(self, record: str) -> Ledger:
        if record != self._record:
            self._record, self._ledger = record, Ledger()
        return self._ledger

    def _write(self, dose: CarmDose) -> Receipt:
        return self._journal.append(Event(source=SOURCE, data=dose, received=self._clock.now()))


def _left(root: Path, record: str) -> Ledger:
    """What the record says so far."""
    return Ledger.of(entries(root, record, CarmImage, CarmDose))
