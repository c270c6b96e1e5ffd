"""A record of which anything was altered is exported all the same, in every format, where somebody insists."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from esi_room.audit.export import FORMATS, exporter
from esi_room.audit.export import case as case_module
from esi_room.audit.export.case import Case, load
from esi_room.errors import BrokenRecord

EDITS = 12  # of one octet each, and then one more


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are decoded in a process of their own, which takes a second each time."""
    monkeypatch.setattr(Case, "object_of", lambda case, said: None)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("file", ["journal.jsonl", "amendments.jsonl"])
def test_any_octet_may_be_another(built: Any, tmp_path: Path, file: str) -> None:
    chosen, path = random.Random(file), built.directory / file
    whole = path.read_bytes()
    for number in range(EDITS):
        octets = bytearray(whole)
        for _ in range(1 + number % 3):
            octets[chosen.randrange(len(octets))] ^= chosen.randrange(1, 256)
        path.write_bytes(bytes(octets))
        with pytest.raises(BrokenRecord):
            load(built.directory)
        case = load(built.directory, even_if_broken=True)
        for name in FORMATS:
            for made in exporter(name)(case, tmp_path):
                assert ".BROKEN." in made.name and made.stat().st_size > 0


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"started_at":"2026', b'"started_at":"once'),
        (b'"from":"2026', b'"from":"2 26'),
        (b'"received":"2026', b'"received":"9999'),
        (b'"received":"2026-03', b'"received":"2026-99'),
        (b'"time":"2026', b'"time":"0001'),
        (b'"sop_class_uid":"1.', b'"sop_class_uid":"1|'),
        (b'"text":"no', b'"text":"\xff\xfe'),
    ],
)
def test_nor_must_what_it_says_make_sense(built: Any, tmp_path: Path, old: bytes, new: bytes) -> None:
    path = built.directory / "journal.jsonl"
    octets = path.read_bytes()
    assert old in octets
    path.write_bytes(octets.replace(old, new))
    case = load(built.directory, even_if_broken=True)
    for name in FORMATS:
        assert exporter(name)(case, tmp_path)


def test_of_many_problems_the_first_are_told_and_the_rest_counted(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_module, "MOST_PROBLEMS", 1)
    later = max((built.root / "records").iterdir())
    for path in [*(built.directory / "frames").iterdir(), *(later / "frames").iterdir()]:
        path.unlink()
    broken = load(built.directory, even_if_broken=True).broken
    assert broken is not None and broken.count("; ") == 1
    assert broken.endswith("and 1 more, which `esi-room verify` names")
