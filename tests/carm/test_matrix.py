"""Every storage class, every transfer syntax, every kind of object: stored as sent, octet for octet."""

from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import socket
import subprocess
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from esi_room.carm.listener.contexts import storage_classes, transfer_syntaxes

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

XA = "1.2.840.10008.5.1.4.1.1.12.1"
ENHANCED_XA, ENHANCED_XRF = "1.2.840.10008.5.1.4.1.1.12.1.1", "1.2.840.10008.5.1.4.1.1.12.2.1"
MULTI_FRAME_SC = "1.2.840.10008.5.1.4.1.1.7.2"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
PDF, DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.88.67"
PRIVATE = "1.3.12.2.1107.5.9.1"
CONTEXTS = 128  # of one association (PS3.8 9.3.2.2: odd identifiers from 1 to 255)


class Sent(NamedTuple):
    """An object's octets, as they go over the wire."""

    sop_class: str
    sop_instance: str
    syntax: str
    octets: bytes


def encoded(sop_class: str, syntax: str, **attributes: Any) -> Sent:
    """A small object of this class in this transfer syntax."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = sop_class, generate_uid(), "XA"
    made.SpecificCharacterSet, made.PatientName = "ISO_IR 100", "Müller"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    uid = UID(syntax)
    if uid.is_encapsulated and uid != DeflatedExplicitVRLittleEndian:
        made.PixelData = encapsulate([bytes(range(200)), b"\xff\xd9"])
        made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    implicit, little = uid == ImplicitVRLittleEndian, uid != ExplicitVRBigEndian
    octets = encode(made, implicit, little)
    assert octets is not None
    if uid == DeflatedExplicitVRLittleEndian:
        squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        octets = squeeze.compress(octets) + squeeze.flush()
        octets += b"\0" * (len(octets) % 2)
    return Sent(sop_class, str(made.SOPInstanceUID), syntax, octets)


def _send(port: int, objects: list[Sent]) -> list[int | None]:
    """Statuses of these octets, sent as they are over one association; None where their context is refused."""
    ae = AE("CARM")
    ae.requested_contexts = [build_context(each.sop_class, each.syntax) for each in objects]
    association = ae.associate("127.0.0.1", port, ae_title="ESI_ROOM")
    assert association.is_established
    association.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accepted = {(str(c.abstract_syntax), str(c.transfer_syntax[0])): c for c in association.accepted_contexts}
    statuses: list[int | None] = []
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    for number, each in enumerate(objects, 1):
        context = accepted.get((each.sop_class, each.syntax))
        if context is None:
            statuses.append(None)
            continue
        request = C_STORE()
        request.MessageID, request.Priority = number, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = each.sop_class, each.sop_instance
        request.DataSet = io.BytesIO(each.octets)
        association.dimse.send_msg(request, context.context_id)
        statuses.append(association.dimse.get_msg(block=True)[1].Status)
    association._reactor_checkpoint.set()
    association.release()
    return statuses


async def send(port: int, objects: Iterable[Sent]) -> list[int | None]:
    statuses: list[int | None] = []
    for batch in _batches(objects):
        statuses += await asyncio.to_thread(_send, port, batch)
    return statuses


def _batches(objects: Iterable[Sent]) -> Iterable[list[Sent]]:
    left = iter(objects)
    while batch := list(itertools.islice(left, CONTEXTS)):
        yield batch


def data_set(path: Path) -> bytes:
    """The octets after the file meta information."""
    octets = path.read_bytes()
    assert octets[132:138] == b"\2\0\0\0UL"
    return octets[144 + int.from_bytes(octets[140:144], "little") :]


def kept(room: Any) -> dict[str, bytes]:
    """Data sets in the record by SOP instance UID, as the entries name their files."""
    files = {path.stem: path for path in room.frames()}
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == name for name, path in files.items())
    return {entry["sop_instance_uid"]: data_set(files[entry["sha256"]]) for entry in room.entries("carm.image")}


async def test_every_class_and_every_transfer_syntax(room):
    classes, syntaxes = sorted(storage_classes()), transfer_syntaxes()
    objects = [encoded(uid, syntax) for uid, syntax in zip(classes, itertools.cycle(syntaxes), strict=False)]
    objects += [encoded(XA, syntax) for syntax in syntaxes]
    assert len(classes) > 150 and len(syntaxes) > 40
    assert set(await send(room.port, objects)) == {0x0000}
    assert kept(room) == {each.sop_instance: each.octets for each in objects}
    entries = {entry["sop_instance_uid"]: entry for entry in room.entries("carm.image")}
    for each in objects:
        entry = entries[each.sop_instance]
        assert (entry["sop_class_uid"], entry["transfer_syntax_uid"]) == (each.sop_class, each.syntax)
        assert entry["modality"] == "XA" and "unreadable" not in entry, each.syntax
        assert "ller" not in str(entry)


async def test_a_vendors_own_class_needs_the_configuration(open_room):
    private = encoded(PRIVATE, ExplicitVRLittleEndian)
    async with open_room() as room:
        assert await send(room.port, [private, encoded(XA, ExplicitVRLittleEndian)]) == [None, 0x0000]
    async with open_room(private_classes=(PRIVATE,)) as room:
        assert await send(room.port, [private]) == [0x0000]
        assert kept(room)[private.sop_instance] == private.octets
        assert room.entries("carm.image")[-1]["sop_class_uid"] == PRIVATE


# --- kinds of objects ------------------------------------------------------------------------------------------------


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


PIXELS = {
    "Rows": 4,
    "Columns": 4,
    "SamplesPerPixel": 1,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "PhotometricInterpretation": "MONOCHROME2",
}
FRAMES = [item(FrameContentSequence=[item(FrameReferenceDateTime=f"20261123093000.{n}")]) for n in (0, 5, 9)]
RUN = PIXELS | {"NumberOfFrames": 3, "PixelData": bytes(range(48))}
ENHANCED = RUN | {
    "AcquisitionDateTime": "20261123092959.5",
    "PerFrameFunctionalGroupsSequence": FRAMES,
    "SharedFunctionalGroupsSequence": [item(FrameAcquisitionSequence=[item(KVP="71")])],
}
TIMED = {"frames": 3, "frame_times_ms": [0, 500, 900], "first_frame_ms": 500, "rows": 4}
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "enhanced XA": (ENHANCED_XA, ENHANCED, TIMED | {"kvp": 71}),
    "enhanced XRF": (ENHANCED_XRF, ENHANCED, TIMED),
    "XA run": (
        XA,
        RUN | {"FrameIncrementPointer": 0x00181063, "FrameTime": "66.6"},
        {"frames": 3, "frame_times_ms": [0, 66.6, 133.2]},
    ),
    "secondary capture, multi-frame": (
        MULTI_FRAME_SC,
        RUN | {"FrameIncrementPointer": 0x00181065, "FrameTimeVector": ["0", "1", "2"]},
        {"frames": 3, "frame_times_ms": [0, 1, 3]},
    ),
    "presentation state": (
        PRESENTATION_STATE,
        {"Modality": "PR", "PresentationLUTShape": "INVERSE", "ContentLabel": "LABEL"},
        {"modality": "PR", "rows": None},
    ),
    "encapsulated PDF": (
        PDF,
        {
            "Modality": "DOC",
            "MIMETypeOfEncapsulatedDocument": "application/pdf",
            "EncapsulatedDocument": b"%PDF-1.7\n ",
        },
        {"modality": "DOC", "rows": None},
    ),
    "dose report": (
        DOSE_REPORT,
        {"Modality": "SR", "ValueType": "CONTAINER", "ContentSequence": [item(ValueType="TEXT", TextValue="x")]},
        {"modality": "SR", "rows": None},
    ),
}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
async def test_every_kind_of_object(room, syntax):
    objects = {kind: encoded(sop_class, syntax, **made) for kind, (sop_class, made, _) in KINDS.items()}
    assert set(await send(room.port, objects.values())) == {0x0000}
    assert kept(room) == {each.sop_instance: each.octets for each in objects.values()}
    entries = {entry["sop_instance_uid"]: entry for entry in room.entries("carm.image")}
    for kind, (_, _, expected) in KINDS.items():
        entry = entries[objects[kind].sop_instance]
        assert {key: entry[key] for key in expected} == expected, kind
        assert "unreadable" not in entry, kind


# --- what storescu writes --------------------------------------------------------------------------------------------


def _image(folder: Path, bits: int) -> Path:
    made = item(**PIXELS | {"Rows": 32, "Columns": 32, "BitsAllocated": 16, "BitsStored": bits, "HighBit": bits - 1})
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = XA, generate_uid()
    made.PatientName, made.StudyInstanceUID, made.SeriesInstanceUID = "Test", generate_uid(), generate_uid()
    made.PixelData = (np.arange(1024, dtype=np.uint16) % (1 << bits)).tobytes()
    path = folder / "plain.dcm"
    made.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return path


def _by(tool: str, *options: str, bits: int = 12) -> Any:
    """Encoded by one of dcmtk's programs."""

    def make(folder: Path, peers: Any) -> Path:
        coded = folder / "coded.dcm"
        subprocess.run([peers.need(tool), *options, _image(folder, bits), coded], check=True, capture_output=True)
        return coded

    return make


def _stream(uid: str) -> Any:
    """Video: an encapsulated stream, which nobody looks into."""

    def make(folder: Path, _peers: Any) -> Path:
        made = dcmread(_image(folder, 8))
        made.file_meta.TransferSyntaxUID = uid
        made.NumberOfFrames = 25
        made.PixelData = encapsulate([b"\0\0\1\xb3" + bytes(range(256)) * 40])
        made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
        made.save_as(folder / "video.dcm", implicit_vr=False, little_endian=True, enforce_file_format=True)
        return folder / "video.dcm"

    return make


def _shipped(name: str) -> Any:
    """One of the files that come with pydicom."""

    def make(_folder: Path, _peers: Any) -> Path:
        path = get_testdata_file(name, download=False)
        if path is None:
            pytest.skip(f"this pydicom does not ship {name}")
        return Path(str(path))

    return make


_VIDEO = "1.2.840.10008.1.2.4."
STORESCU = {
    "-xe": _by("dcmconv", "+te"),
    "-xi": _by("dcmconv", "+ti"),
    "-xb": _by("dcmconv", "+tb"),
    "-xd": _by("dcmconv", "+td"),
    "-xs": _by("dcmcjpeg", "+e1"),
    "-xy": _by("dcmcjpeg", "+eb", bits=8),
    "-xx": _by("dcmcjpeg", "+ee"),
    "-xt": _by("dcmcjpls", "+el"),
    "-xu": _by("dcmcjpls", "+en"),
    "-xr": _by("dcmcrle"),
    "-xv": _shipped("MR_small_jp2klossless.dcm"),
    "-xw": _shipped("JPEG2000.dcm"),
    "-xm": _stream(_VIDEO + "100"),
    "-xh": _stream(_VIDEO + "101"),
    "-xn": _stream(_VIDEO + "102"),
    "-xl": _stream(_VIDEO + "103"),
    "-x2": _stream(_VIDEO + "104"),
    "-x3": _stream(_VIDEO + "105"),
    "-xo": _stream(_VIDEO + "106"),
    "-x4": _stream(_VIDEO + "107"),
    "-x5": _stream(_VIDEO + "108"),
}


async def test_storescu_with_each_syntax_it_can_write(room, run, peers, tmp_path):
    sent = {}
    for option, make in STORESCU.items():
        folder = tmp_path / option.strip("-")
        folder.mkdir()
        path = make(folder, peers)
        code, said = await run(
            peers.need("storescu"), "-v", "-R", option, "-aec", "ESI_ROOM", "127.0.0.1", str(room.port), path
        )
        assert code == 0 and "(Success)" in said, (option, said)
        sent[option] = dcmread(path)
    files = {path.stem: path for path in room.frames()}
    entries = room.entries("carm.image")
    assert len(entries) == len(STORESCU)
    for (option, original), entry in zip(sent.items(), entries, strict=True):
        stored = dcmread(files[entry["sha256"]])
        assert stored.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID, option
        assert stored.PixelData == original.PixelData, option
        assert "unreadable" not in entry
