"""Thumbnails: no picture that may name the patient, unless that is asked for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from esi_room.audit.export.case import load
from esi_room.audit.export.page.pictures import COARSE_PX, FULL_PX, _side_px, thumbnails
from esi_room.events import CarmImage

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def entry(**more: Any) -> CarmImage:
    fields: dict[str, Any] = dict.fromkeys(
        ("study_uid", "series_uid", "rows", "columns", "frames", "acquired", "duplicate_of")
    )
    fields |= {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.12.1", "sop_instance_uid": "1.2", "sha256": "0" * 64}
    fields |= {"transfer_syntax_uid": "1.2.840.10008.1.2.1", "size_bytes": 1, "dose": {}, "peer": "p"}
    return CarmImage(**(fields | more))


def part10(tmp_path: Path, burned_in: str | None) -> Path:
    from pydicom.dataset import Dataset, FileMetaDataset

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    header.file_meta.MediaStorageSOPClassUID, header.file_meta.MediaStorageSOPInstanceUID = "1.2", "1.2.3"
    if burned_in is not None:
        header.BurnedInAnnotation = burned_in
    path = tmp_path / "object.dcm"
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("burned_in", "more", "side_px"),
    [
        ("NO", {}, FULL_PX),
        (None, {}, COARSE_PX),
        ("YES", {}, None),
        (None, {"sop_class_uid": SECONDARY_CAPTURE}, None),
        ("NO", {"sop_class_uid": SECONDARY_CAPTURE}, FULL_PX),
        ("NO", {"transfer_syntax_uid": "1.2.840.10008.1.2.1.99"}, None),
    ],
)
def test_how_much_of_a_picture_is_shown(tmp_path, burned_in, more, side_px):
    assert _side_px(part10(tmp_path, burned_in), entry(**more)) == side_px


def test_a_header_that_cannot_be_read_may_say_anything(tmp_path):
    path = tmp_path / "object.dcm"
    path.write_bytes(b"\0" * 500)
    assert _side_px(path, entry()) is None


def test_they_are_pictures(built):
    case = load(built.directory)
    made = thumbnails(case, case.images())
    assert len(made) == 2
    for each in made.values():
        assert each.jpeg is not None
        picture = Image.open(io.BytesIO(each.jpeg))
        assert picture.format == "JPEG" and picture.getpixel((32, 32)) > picture.getpixel((2, 2))


def test_an_object_that_no_decoder_reads_costs_its_picture_alone(built):
    case = load(built.directory)
    first = case.object_of(case.images()[0])
    assert first is not None
    first.write_bytes(first.read_bytes()[:-2000])
    made = list(thumbnails(case, case.images()).values())
    assert made[0].jpeg is None and made[0].reason
    assert made[1].jpeg is not None
