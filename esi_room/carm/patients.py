"""Whether what arrives is of the patient who is expected, and the alert where it is not.

Expected is, as far as it is known:

    1  the patient of the record that the object belongs to (the staff's, or the order's that opened it)
    2  in a procedure record without one: the patient of the order chosen, else of the first object in this record;
       two patients in one procedure are a mismatch, whoever is right
    3  always also: the patient of the order that the object itself names

Between two cases nobody is expected: a standby record holds late images of one patient and early ones of the next.

A mismatch marks the object and raises an alert, once a record for each study and device. It refuses nothing: an image
that is thrown away during a procedure helps nobody. Identities stay in memory; entries name attributes, not values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal

from msgspec.structs import replace

from esi_room.carm import identity
from esi_room.carm.cases import Cases, Orders
from esi_room.carm.identity import Verdict
from esi_room.carm.shapes import Patient
from esi_room.clock import Clock
from esi_room.commands import Order
from esi_room.events import AlertRaised, CarmImage, CarmMpps, Event
from esi_room.record.entry import sha256
from esi_room.record.journal import Journal, Receipt
from esi_room.record.scan import payloads

SOURCE = "carm"
RULE = "carm.identity_mismatch"


class Patients:
    """Of one room. `cases` and `orders`: None where there is nobody to ask."""

    def __init__(self, journal: Journal, clock: Clock, cases: Cases | None, orders: Orders | None) -> None:
        self._journal, self._clock, self._cases, self._orders = journal, clock, cases, orders
        self._raised: set[str] = set()
        self._first: tuple[str, Patient] = ("", Patient())  # a record and the patient of its first object

    async def resume(self) -> None:
        """After a start of the daemon: which alerts the open record holds already."""
        self._raised = await asyncio.to_thread(set, self._alerts(self._journal.record))

    async def order_of(self, said: Patient, study_uid: str | None) -> Order | None:
        """The order that an image names by its study or its accession number; it is chosen thereby."""
        if self._orders is None:
            return None
        order = self._orders.find(study_uid=study_uid, accession=said.accession)
        if order is not None:
            await self.choose(order, "image")
        return order

    async def choose(self, order: Order, origin: Literal["mpps", "image"]) -> None:
        """`order` is the one carried out, unless the procedure under way is another patient's, or its order is known
        and its patient is not."""
        if self._orders is None:
            return
        if self._journal.kind == "procedure":
            known = self._cases.identity(self._journal.record) if self._cases is not None else None
            if known is None and self._orders.chosen is not None:
                return
            if known is not None and identity.differences(order.identity, known):
                return
        await self._orders.choose(order, origin)

    def marked(self, image: CarmImage, said: Patient, record: str, order: Order | None) -> CarmImage:
        """`image`, saying to which order it belongs, and whether it is of the patient expected."""
        verdict = self.judge(said, image.taken_in or record, order)
        named = None if order is None else order.id
        return replace(image, identity=verdict.verdict, identity_differs=verdict.differs, order=named)

    def judge(self, said: Patient, record: str, order: Order | None) -> Verdict:
        """What `said` is against whom `record` and `order` lead to expect."""
        return identity.against_all(said, self._expected(said, record, order))

    def alert(self, marked: CarmImage | CarmMpps, receipt: Receipt) -> None:
        """Raise the alert for a mismatch in the entry `receipt`, unless it has been."""
        if marked.identity != "mismatch":
            return
        name = f"carm-identity-{sha256(f'{receipt.record} {marked.study_uid} {marked.peer}'.encode())[:16]}"
        if name in self._raised:
            return
        self._raised.add(name)
        alert = AlertRaised(
            alert=name,
            rule=RULE,
            severity=identity.severity(marked.identity_differs),
            text=f"The C-arm names another patient than the one expected: {', '.join(marked.identity_differs)} differ. "
            "What it sends is kept and marked.",
            facts=(receipt.seq,),
            actor=None,
            reason=f"study {marked.study_uid or 'without UID'}, from {marked.peer}",
        )
        self._journal.append(Event(source=SOURCE, data=alert, received=self._clock.now()))

    def _expected(self, said: Patient, record: str, order: Order | None) -> Iterator[Patient]:
        known = self._cases.identity(record) if self._cases is not None else None
        if known is not None:
            yield identity.patient_of(known)
        elif record == self._journal.record and self._journal.kind == "procedure":
            yield self._first_in(record, said)
        if order is not None:
            yield identity.patient_of(order.identity)

    def _first_in(self, record: str, said: Patient) -> Patient:
        chosen = self._orders.chosen if self._orders is not None else None
        if chosen is not None:
            return identity.patient_of(chosen.identity)
        if self._first[0] != record and identity.names_somebody(said):
            self._first = record, said
            return Patient()
        return self._first[1] if self._first[0] == record else Patient()

    def _alerts(self, record: str) -> Iterator[str]:
        for _, alert in payloads(self._journal.root, record, AlertRaised):
            if alert.rule == RULE:
                yield alert.alert
