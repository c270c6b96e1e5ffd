"""Storage commitment's data sets (PS3.4 J.3.2, J.3.3; PS3.3 C.14.1.1): both ends, from plain values and to them.

    (0008,1195) Transaction UID
    (0008,1199) Referenced SOP Sequence       > (0008,1150) class, (0008,1155) instance
    (0008,1198) Failed SOP Sequence           > the same, (0008,1197) Failure Reason

For the helper processes: the daemon loads no DICOM library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import UID

from esi_room.carm.shapes import InstanceFailed, InstanceName
from esi_room.carm.wire import Answer, Asking, CommitmentReported
from esi_room.clock import Clock

PUSH_MODEL = UID("1.2.840.10008.1.20.1")
PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Well-known: the one instance of the class that requests and reports are about (PS3.4 J.3.5)."""
REQUEST = 1  # action type ID
ALL_COMMITTED, SOME_FAILED = 1, 2  # event type IDs
NO_SUCH_EVENT, INVALID_ARGUMENT = 0x0113, 0x0115  # PS3.7 annex C


class Transaction(NamedTuple):
    """A request (nothing failed) or a report."""

    uid: str
    instances: tuple[InstanceName, ...]
    failed: tuple[InstanceFailed, ...]


def written(uid: str, instances: Sequence[InstanceName], failed: Sequence[InstanceFailed] = ()) -> Dataset:
    """The data set of a request or a report. An empty sequence is left out (both are type 1C)."""
    dataset = Dataset()
    dataset.TransactionUID = uid
    if instances:
        dataset.ReferencedSOPSequence = [_item(each.sop_class_uid, each.sop_instance_uid) for each in instances]
    if failed:
        dataset.FailedSOPSequence = [_failed_item(each) for each in failed]
    return dataset


def understood(dataset: Dataset) -> Transaction:
    """What a request or a report says. ValueError with words where it does not say."""
    try:
        uid = str(dataset.get("TransactionUID") or "")
        instances = tuple(InstanceName(*_names(item)) for item in dataset.get("ReferencedSOPSequence") or ())
        failed = tuple(
            InstanceFailed(*_names(item), int(item.get("FailureReason") or 0))
            for item in dataset.get("FailedSOPSequence") or ()
        )
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError, OverflowError, EOFError) as error:
        raise ValueError(f"the data set does not parse: {type(error).__name__}") from error
    if not uid:
        raise ValueError("no Transaction UID")
    return Transaction(uid, instances, failed)


def all_named(instances: Iterable[InstanceName]) -> bool:
    """Whether each names a class and an instance."""
    return all(each.sop_class_uid and each.sop_instance_uid for each in instances)


def _item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item


def _failed_item(failed: InstanceFailed) -> Dataset:
    item = _item(failed.sop_class_uid, failed.sop_instance_uid)
    item.FailureReason = failed.reason
    return item


def _names(item: Dataset) -> tuple[str, str]:
    return str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or "")


def take_report(event: Any, peer: str, ae_title: str, ask: Callable[[Asking], Answer], clock: Clock) -> int:
    """The status for a destination's N-EVENT-REPORT; 0000 once the daemon has it in the record."""
    if event.event_type not in (ALL_COMMITTED, SOME_FAILED):
        return NO_SUCH_EVENT
    try:
        told = understood(event.event_information)
    except Exception:  # noqa: BLE001 - pydicom raises whatever it stumbles over
        return INVALID_ARGUMENT
    return ask(
        CommitmentReported(
            id=0,
            peer=peer,
            ae_title=ae_title,
            at=clock.now(),
            transaction_uid=told.uid,
            committed=told.instances,
            failed=told.failed,
        )
    ).status
