"""Storage commitment's data sets: there and back, and whatever a peer sends."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom.dsutils import decode, encode

from esi_room.carm.passing.transaction import all_named, understood, written
from esi_room.carm.shapes import InstanceFailed, InstanceName

uids = st.from_regex(r"[12]\.[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){1,4}", fullmatch=True)
names = st.builds(InstanceName, uids, uids)
failures = st.builds(InstanceFailed, uids, uids, st.integers(0, 0xFFFF))


@given(uids, st.lists(names, max_size=5), st.lists(failures, max_size=5), st.booleans())
def test_there_and_back(uid: str, instances: list[InstanceName], failed: list[InstanceFailed], implicit: bool) -> None:
    octets = encode(written(uid, instances, failed), implicit, True)
    assert octets is not None
    told = understood(decode(BytesIO(octets), implicit, True))
    assert told == (uid, tuple(instances), tuple(failed))


@given(st.binary(max_size=200))
def test_no_octets_make_it_raise_anything_else(octets: bytes) -> None:
    try:
        dataset = read_dataset(BytesIO(octets), is_implicit_VR=False, is_little_endian=True)
    except Exception:
        return
    try:
        understood(dataset)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [(0x00081199, "LO", "not a sequence"), (0x00081195, "SQ", []), (0x00081198, "US", 7)],
)
def test_a_wrong_type_is_told(tag: int, vr: str, value: object) -> None:
    dataset = written("1.2.3", [])
    dataset.add_new(tag, vr, value)
    with pytest.raises(ValueError, match=r"parse|Transaction UID"):
        understood(dataset)


def test_an_instance_without_a_class_is_noticed() -> None:
    dataset = written("1.2.3", [InstanceName("1.2", "1.2.3")])
    dataset.ReferencedSOPSequence.append(Dataset())
    assert not all_named(understood(dataset).instances)
