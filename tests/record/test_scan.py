"""Entries found by their octets: the same, however the journal falls into the windows that are searched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from esi_room.events import PAYLOADS, ClinicalNote, Event, RecordOpened, RecordSealed
from esi_room.record import scan
from esi_room.record.journal import Journal
from esi_room.record.reader import journal_path


@pytest.fixture
async def record(open_journal: Callable[..., Journal], note: Callable[..., Event]) -> str:
    async with open_journal() as journal:
        for n in range(40):
            await journal.commit(note(f'note {n} {"x" * (7 * n)} "type":"clinical.note"'))
        sealed = journal.record
        await journal.switch("procedure", "a case")
    return sealed


@pytest.mark.parametrize("window_bytes", [*range(65, 110, 4), 300, 1000, 1 << 20])
async def test_every_entry_is_found_once(
    tmp_path: Path, record: str, monkeypatch: pytest.MonkeyPatch, window_bytes: int
):
    monkeypatch.setattr(scan, "WINDOW_BYTES", window_bytes)
    whole = journal_path(tmp_path, record).read_bytes().splitlines(keepends=True)
    found = list(scan.lines(tmp_path, record, RecordOpened, ClinicalNote, RecordSealed))
    assert [octets for octets, _ in found] == whole
    assert [entry.type for _, entry in scan.lines(tmp_path, record, RecordSealed)] == ["record.sealed"]


def test_no_type_is_longer_than_two_windows_share() -> None:
    assert max(len(f'"type":"{each.TYPE}"') for each in PAYLOADS) < scan.MARK_BYTES
