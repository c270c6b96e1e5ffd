"""Who still needs a record: archives, peers that were promised something, a broker that was away, a follow-up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest
from retention_rig import Builder, Kept, problems

from esi_room.carm.passing import waybill
from esi_room.carm.passing.waybill import Aside, Waybill
from esi_room.config import load
from esi_room.events import (
    CarmCommitment,
    CarmForward,
    CarmImage,
    InstanceRef,
    Payload,
    ProcedureEnded,
    ProcedureStarted,
)
from esi_room.events.clinical import FollowUpPlan
from esi_room.record.entry import Cursor
from esi_room.record.reader import records
from esi_room.record.retention import Policy, Waits
from esi_room.record.scan import payloads
from esi_room.room.retention import needs_of

TEXT = """
[room]
id = "esi-1"
timezone = "Europe/Berlin"
data = "."
[mqtt]
url = "embedded"
[carm]
ae_title = "A"
[[carm.destination]]
id = "pacs"
ae_title = "P"
address = "a:104"
commitment = {commitment}
[[carm.destination]]
id = "copy"
ae_title = "C"
address = "a:105"
[retention]
keep_days = 1
only_archived = [{only}]
"""
END = Cursor("29990101T000000Z-0000", 0, 0)
DAY = date(2027, 1, 20)


@pytest.fixture
def needs(built: Builder, tmp_path: Path) -> Callable[..., Waits]:
    def make(only: str = '"pacs"', *, commitment: bool = False) -> Waits:
        path = tmp_path / "room.toml"
        path.write_text(TEXT.format(only=only, commitment=str(commitment).lower()))
        return needs_of(load(path), built.root, lambda: DAY)

    return make


def way(built: Builder, destination: str, cursor: Cursor, *aside: Aside) -> None:
    since = Cursor(records(built.root)[0], 0, 0)
    waybill.save(built.root, destination, Waybill(since=since, cursor=cursor, aside=aside))


def images(built: Builder, record: str) -> list[tuple[int, CarmImage]]:
    return [(entry.seq, image) for entry, image in payloads(built.root, record, CarmImage)]


def said(state: str, uids: list[str], by: str = "destination", peer: str = "pacs") -> CarmCommitment:
    return msgspec.convert(
        {
            "by": by,
            "peer": peer,
            "transaction_uid": "2.25.1",
            "state": state,
            "instances": dict.fromkeys(uids, "1.2") if state == "asked" else {},
            "committed": tuple(uids) if state == "reported" else (),
        },
        CarmCommitment,
    )


async def test_an_archive_that_was_never_reached_keeps_the_images(built, needs):
    case = records(built.root)[1]
    assert needs()(case, "images") == "2 of its images were never passed on to pacs"
    assert needs("")(case, "images") is None
    standby = records(built.root)[0]
    assert needs()(standby, "record") is None


async def test_what_is_still_to_be_passed_on_waits_whoever_it_is_for(built, needs):
    ids = records(built.root)
    way(built, "pacs", END)
    way(built, "copy", Cursor(ids[1], images(built, ids[1])[1][0], 0))
    assert needs()(ids[1], "images") == "1 of its objects are still to be passed on to copy"
    assert needs()(ids[3], "images") == "2 of its objects are still to be passed on to copy"
    way(built, "copy", END)
    assert needs()(ids[1], "images") is None


async def test_what_an_archive_would_not_take_waits(built, needs):
    case = records(built.root)[1]
    aside = Aside(case, images(built, case)[0][0], "A900", "no")
    way(built, "pacs", END)
    way(built, "copy", END, aside)
    assert needs()(case, "images") == "1 of its objects are still to be passed on to copy"


async def test_an_archive_that_is_asked_to_commit_has_what_it_committed_itself_to(built, needs):
    case = records(built.root)[1]
    uids = [image.sop_instance_uid for _, image in images(built, case)]
    way(built, "pacs", END)
    assert needs(commitment=True)(case, "images") == "pacs has not committed itself to 2 of its images"
    assert needs("", commitment=True)(case, "images") == "pacs has not committed itself to 2 of its images"
    await built.say(said("reported", uids[:1]), "pacs")
    assert needs(commitment=True)(case, "images") == "pacs has not committed itself to 1 of its images"
    never = CarmForward(
        destination="pacs", sop_instance_uid=uids[1], status="not committed", reason="asked 5 times",
        fact=InstanceRef(case, 3),
    )  # fmt: skip
    await built.say(never, "pacs")
    assert needs(commitment=True)(case, "images") == "pacs has not committed itself to 1 of its images"
    assert needs("", commitment=True)(case, "images") is None, "nobody waits for an answer any more"
    await built.say(said("reported", uids), "pacs")
    assert needs(commitment=True)(case, "images") is None


async def test_an_archives_word_is_kept_as_long_as_what_it_speaks_of(built, needs):
    case = records(built.root)[1]
    uids = [image.sop_instance_uid for _, image in images(built, case)]
    await built.say(said("reported", uids), "pacs")
    standby = built.journal.record
    await built.seal("procedure", 3)
    waits = needs()
    assert waits(standby, "record") == f"an archive's word for images of {case}, which is still there, stands in it"
    way(built, "pacs", END)
    way(built, "copy", END)
    await Kept(built, Policy(keep_days=1), needs(commitment=True)).look()
    assert not (built.root / "records" / case / "journal.jsonl").exists()
    assert waits(standby, "record") is None
    assert problems(built.root) == []


async def test_an_image_that_came_again_was_passed_on_with_the_first(built, needs):
    case = records(built.root)[1]
    seq, image = images(built, case)[0]
    again = msgspec.structs.replace(image, duplicate_of=InstanceRef(case, seq))
    await built.say(again, "carm")
    last = built.journal.record
    way(built, "pacs", Cursor(last, 0, 0))
    assert needs()(last, "images") is None


async def test_a_peer_that_waits_for_the_rooms_word_is_told_first(built, needs):
    case = records(built.root)[1]
    uids = [image.sop_instance_uid for _, image in images(built, case)]
    await built.say(said("asked", uids, by="room", peer="OEC @ 10.1.2.3"), "carm")
    assert needs("")(case, "images") == "a peer waits to hear whether the room stands for its objects"
    await built.say(said("reported", uids, by="room", peer="OEC @ 10.1.2.3"), "carm")
    assert needs("")(case, "images") is None


async def test_lines_that_a_broker_never_took_wait_for_it(built, needs):
    ids = records(built.root)
    assert needs("")(ids[2], "record") is None
    (built.root / "cursors").mkdir()
    (built.root / "cursors" / "mqtt.json").write_bytes(msgspec.json.encode(Cursor(ids[2], 1, 100)))
    assert needs("")(ids[1], "record") is None
    assert needs("")(ids[2], "record") == "not all of its lines were published: the broker was away"
    assert needs("")(ids[2], "images") is None


async def test_a_follow_up_that_is_planned_keeps_its_record_and_not_for_ever(built, needs):
    case = await built.seal("procedure")
    said: list[Payload] = [
        ProcedureStarted(procedure="ESI", origin="staff"),
        FollowUpPlan(due="2027-01-19", contact="phone", actor="A"),
        ProcedureEnded(outcome="completed", origin="staff"),
    ]
    for payload in said:
        await built.say(payload)
    await built.seal("standby")
    waits = needs("")
    assert waits(case, "record") == "the follow-up planned for 2027-01-19 is not entered"
    assert waits(case, "images") is None
    later = needs_of(load(built.root / "room.toml"), built.root, lambda: date(2027, 2, 19))
    assert later(case, "record") is None


async def test_what_was_archived_goes_and_what_was_not_stays(built, needs):
    """The whole of it: the daemon's look, over waybills and entries."""
    ids = records(built.root)
    way(built, "copy", END)
    way(built, "pacs", Cursor(ids[3], 0, 0))
    kept = Kept(built, Policy(keep_days=1), needs())
    await kept.look()
    left = [record for record in ids if (built.root / "records" / record / "journal.jsonl").exists()]
    assert ids[3] in left
    assert ids[1] not in left
    assert problems(built.root) == []
    way(built, "pacs", END)
    await kept.look()
    assert not (built.root / "records" / ids[3] / "journal.jsonl").exists()
    assert problems(built.root) == []
