"""A C-arm for tests: pynetdicom as SCU, and raw PDUs where a well-behaved library would not do."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from ssl import SSLContext
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE, build_context


def picture(**attributes: Any) -> Dataset:
    """A 4 x 4 secondary capture image."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.Rows = image.Columns = 4
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 7, 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = bytes(range(16))
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def _associate(port: int, contexts: Sequence[Any], calling: str, called: str, tls: SSLContext | None = None) -> Any:
    ae = AE(calling)
    ae.requested_contexts = list(contexts)
    return ae.associate("127.0.0.1", port, ae_title=called, tls_args=None if tls is None else (tls, "room"))


def _store(port: int, images: Sequence[Dataset], calling: str, tls: SSLContext | None) -> list[int]:
    contexts = {image.SOPClassUID: build_context(image.SOPClassUID, ExplicitVRLittleEndian) for image in images}
    association = _associate(port, list(contexts.values()), calling, "ESI_ROOM", tls)
    assert association.is_established
    try:
        return [association.send_c_store(image).Status for image in images]
    finally:
        association.release()


async def store(port: int, *images: Dataset, calling: str = "CARM", tls: SSLContext | None = None) -> list[int]:
    """Statuses of these objects, sent over one association."""
    return await asyncio.to_thread(_store, port, images, calling, tls)


async def associate(port: int, contexts: Sequence[Any], *, calling: str = "CARM", called: str = "ESI_ROOM") -> Any:
    return await asyncio.to_thread(_associate, port, contexts, calling, called)


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def request(*, sop_class: str = SecondaryCaptureImageStorage, calling: str = "CARM", called: str = "ESI_ROOM") -> bytes:
    """An A-ASSOCIATE-RQ with one presentation context (id 1, explicit VR little endian)."""
    context = bytes([1, 0, 0, 0]) + item(0x30, sop_class.encode()) + item(0x40, ExplicitVRLittleEndian.encode())
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3")
    body = struct.pack(">HH", 1, 0) + called.ljust(16).encode() + calling.ljust(16).encode() + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
    return pdu(1, body)


def pdu(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def pdv(control: int, fragment: bytes, context: int = 1) -> bytes:
    return pdu(4, struct.pack(">IBB", len(fragment) + 2, context, control) + fragment)


def store_command(uid: str, *, sop_class: str = SecondaryCaptureImageStorage, dataset: int = 1) -> bytes:
    """A C-STORE-RQ command set, implicit VR little endian."""

    def element(tag: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, tag, len(value)) + value

    body = (
        element(0x0002, sop_class.encode())
        + element(0x0100, struct.pack("<H", 1))
        + element(0x0110, struct.pack("<H", 1))
        + element(0x0700, struct.pack("<H", 0))
        + element(0x0800, struct.pack("<H", dataset))
        + element(0x1000, uid.encode())
    )
    return element(0, struct.pack("<I", len(body))) + body


async def read_pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await asyncio.wait_for(reader.readexactly(6), 10)
    return head[0], await asyncio.wait_for(reader.readexactly(int.from_bytes(head[2:], "big")), 10)


def status_of(body: bytes) -> int:
    """(0000,0900) of a response's PDV."""
    at = body.index(struct.pack("<HHI", 0, 0x0900, 2))
    return int.from_bytes(body[at + 8 : at + 10], "little")
