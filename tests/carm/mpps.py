"""A C-arm's procedure steps for tests: data sets as table F.7.2-1 of PS3.4 asks for them, and pynetdicom as SCU."""

from __future__ import annotations

import asyncio
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import build_context
from pynetdicom.dsutils import encode

from esi_room.commands import Identity, Order, PlaceOrder

MPPS = UID("1.2.840.10008.3.1.2.3.3")
WHO = {"actor": "Dr. A", "client": "console-1"}
ERIKA = Identity(name="Mustermann^Erika", id="4711", birth_date="1960-02-03")


def item(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def created(**changes: Any) -> Dataset:
    """An N-CREATE's data set as table F.7.2-1 asks for it."""
    scheduled = item(StudyInstanceUID=generate_uid(), AccessionNumber="", ScheduledProcedureStepID="")
    whole = {
        "ScheduledStepAttributesSequence": [scheduled],
        "PatientName": "Mustermann^Erika",
        "PatientID": "4711",
        "PatientBirthDate": "19600203",
        "PatientSex": "F",
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "CARM",
        "PerformedProcedureStepStartDate": "20261123",
        "PerformedProcedureStepStartTime": "093000",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepDescription": "lumbar",
        "Modality": "XA",
        "PerformedSeriesSequence": [],
    }
    return item(**{keyword: value for keyword, value in (whole | changes).items() if value is not None})


def ended(status: str = "COMPLETED", *images: Dataset, **changes: Any) -> Dataset:
    """An N-SET's data set in the final state."""
    series = item(
        SeriesInstanceUID=generate_uid(),
        ReferencedImageSequence=[
            item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
            for image in images
        ],
        ReferencedNonImageCompositeSOPInstanceSequence=[],
    )
    whole = {
        "PerformedProcedureStepStatus": status,
        "PerformedProcedureStepEndDate": "20261123",
        "PerformedProcedureStepEndTime": "094500",
        "PerformedSeriesSequence": [series],
    }
    return item(**{keyword: value for keyword, value in (whole | changes).items() if value is not None})


class CArm:
    """MPPS as SCU; each message on an association of its own, as many C-arms do it."""

    def __init__(self, scu: Any, port: int, syntax: UID = ExplicitVRLittleEndian) -> None:
        self._scu, self.port, self._syntax = scu, port, syntax

    async def create(self, dataset: Dataset | None, uid: str | None = None) -> Dataset:
        return await self._send("create", dataset, uid)

    async def set(self, dataset: Dataset, uid: str) -> Dataset:
        return await self._send("set", dataset, uid)

    async def _send(self, message: str, dataset: Dataset | None, uid: str | None) -> Dataset:
        association = await self._scu.associate(self.port, [build_context(MPPS, self._syntax)])
        assert association.is_established
        send = association.send_n_create if message == "create" else association.send_n_set
        try:
            status, _ = await asyncio.to_thread(send, dataset, MPPS, uid)
        finally:
            await asyncio.to_thread(association.release)
        return status


async def place(room: Any, **fields: Any) -> Order:
    order = Order(**{"id": "SPS1", "identity": ERIKA, "procedure": "L4/5 interlaminar", "accession": "A1"} | fields)
    await room.service.orders.place(PlaceOrder(id=f"place {order.id}", **WHO, order=order))
    return room.service.orders.find(order.id)


def scheduled(order: Order, **changes: Any) -> list[Dataset]:
    named = {
        "StudyInstanceUID": order.study_uid,
        "AccessionNumber": order.accession,
        "ScheduledProcedureStepID": order.id,
    }
    return [item(**named | changes)]


def encoded(dataset: Dataset) -> bytes:
    octets = encode(dataset, is_implicit_vr=False, is_little_endian=True)
    assert octets is not None
    return octets
