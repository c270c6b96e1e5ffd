"""How far a destination is: what is on disk survives, and what is wrong there never skips an object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esi_room.carm.passing import waybill
from esi_room.carm.passing.waybill import Aside, Waybill
from esi_room.clock import SystemClock
from esi_room.record.entry import Cursor
from esi_room.record.journal import Identity, Journal

RECORDS = ["20260101T000000Z-0000", "20260102T000000Z-0000", "20260103T000000Z-0000"]


@pytest.fixture
async def journal(tmp_path):
    async with Journal.open(tmp_path / "data", SystemClock(), Identity(room="test")) as opened:
        await opened.settled()
        yield opened


async def test_it_begins_where_the_journal_ends_and_that_is_on_disk_at_once(journal):
    made = waybill.load(journal, "pacs")
    assert made.since == made.cursor == journal.committed
    file = waybill.path(journal.root, "pacs")
    assert file == journal.root / "forward" / "pacs.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_bytes())["cursor"]["record"] == journal.record
    assert waybill.load(journal, "pacs") == made


async def test_what_was_saved_is_loaded(journal):
    way = Waybill(since=journal.committed, cursor=journal.committed, aside=(Aside("r", 7, "A900", "no"),))
    waybill.save(journal.root, "pacs", way)
    assert waybill.load(journal, "pacs") == way


@pytest.mark.parametrize("octets", [b"", b"{", b'{"since":1}', b"\xff\xfe"])
async def test_an_unreadable_one_begins_with_the_rooms_first_record(journal, octets):
    waybill.load(journal, "pacs")
    waybill.path(journal.root, "pacs").write_bytes(octets)
    assert waybill.load(journal, "pacs").cursor == Cursor(journal.record, 0, 0)


async def test_one_ahead_of_an_older_copy_of_the_data_goes_on_at_its_end(journal):
    ahead = Cursor("29990101T000000Z-0000", 5, 5000)
    waybill.save(journal.root, "pacs", Waybill(since=journal.committed, cursor=ahead))
    assert waybill.load(journal, "pacs").cursor == journal.committed


@pytest.mark.parametrize(
    ("record", "seq", "passed"),
    [(0, 9, False), (1, 4, False), (1, 5, True), (1, 6, False), (1, 10, True), (2, 2, True), (2, 3, False)],
)
def test_what_the_destination_has(record: int, seq: int, passed: bool) -> None:
    way = Waybill(
        since=Cursor(RECORDS[1], 5, 0), cursor=Cursor(RECORDS[2], 3, 0), aside=(Aside(RECORDS[1], 6, "A900", "no"),)
    )
    assert way.passed(RECORDS[record], seq) is passed


def test_a_disk_that_does_not_take_it_raises(tmp_path: Path) -> None:
    (tmp_path / "forward").write_text("a file where the folder should be")
    way = Waybill(since=Cursor("r", 0, 0), cursor=Cursor("r", 0, 0))
    with pytest.raises(OSError, match="Not a directory"):
        waybill.save(tmp_path, "pacs", way)
