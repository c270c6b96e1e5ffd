"""C-STORE's command sets by hand, against pynetdicom's reading and writing of the same."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode

from esi_room.carm.listener.commands import StoreRequest, store_request, store_response

UIDS = st.from_regex(r"[12]\.[1-9][0-9]{0,5}(\.[1-9][0-9]{0,7}){0,5}", fullmatch=True)


def command_set(message, primitive) -> bytes:
    message.primitive_to_message(primitive)
    [value, *_] = next(message.encode_msg(1, 0)).presentation_data_value_list
    return bytes(value[1][1:])


def request(sop_class: str, sop_instance: str, message_id: int) -> bytes:
    primitive = C_STORE()
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = sop_class, sop_instance
    primitive.MessageID, primitive.Priority = message_id, 2
    primitive.DataSet = io.BytesIO(b"\0\0")
    return command_set(C_STORE_RQ(), primitive)


@given(UIDS, UIDS, st.integers(0, 0xFFFF))
def test_a_request_is_read_as_pynetdicom_writes_it(sop_class, sop_instance, message_id):
    read = store_request(request(sop_class, sop_instance, message_id))
    assert read == StoreRequest(sop_class, sop_instance, message_id, has_dataset=True)


@given(UIDS, UIDS, st.integers(0, 0xFFFF), st.sampled_from([0x0000, 0xA700, 0xC000, 0x0117]))
def test_a_response_is_written_as_pynetdicom_reads_it(sop_class, sop_instance, message_id, status):
    octets = store_response(StoreRequest(sop_class, sop_instance, message_id, has_dataset=True), status)
    message = C_STORE_RSP()
    message.command_set = decode(io.BytesIO(octets), True, True)
    assert message.command_set.CommandGroupLength == len(octets) - 12
    answer = message.message_to_primitive()
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (sop_class, sop_instance)
    assert (answer.MessageIDBeingRespondedTo, answer.Status) == (message_id, status)


def test_what_the_peer_left_out_is_empty(scu):
    octets = scu.store_command("1.2.3", dataset=0x0101)
    read = store_request(octets)
    assert read is not None and not read.has_dataset
    bare = store_request(b"\0\0\0\1\2\0\0\0\1\0")
    assert bare == StoreRequest("", "", 0, has_dataset=True)


def echo() -> bytes:
    primitive = C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 1, "1.2.840.10008.1.1"
    return command_set(C_ECHO_RQ(), primitive)


@pytest.mark.parametrize(
    "octets",
    [b"", b"\xff" * 60, echo(), request("1.2", "1.3", 1)[:-1], request("1.2", "1.3", 1) + b"\0"],
    ids=["nothing", "nonsense", "another command", "cut off", "more than its elements"],
)
def test_anything_else_is_none_of_ours(octets):
    assert store_request(octets) is None


@given(st.binary(max_size=200))
def test_no_octets_raise(octets):
    store_request(octets)
