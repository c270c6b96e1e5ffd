"""A device that knows when a procedure begins and ends, and the staff, who may take it over; orders that say whose it
is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from esi_room.clock import ManualClock
from esi_room.commands import End, EnterPhase, Identity, Note, Order, PlaceOrder, Start
from esi_room.errors import CommandRefused
from esi_room.events import CarmOrder, Event, OperatorCommand
from esi_room.procedure import rules
from esi_room.procedure.desk import Desk
from esi_room.procedure.observer import Observer
from esi_room.record import journal as journal_module
from esi_room.record.journal import Journal
from esi_room.record.reader import journal_path
from esi_room.record.verify_room import verify_room

WHO = {"id": "1", "actor": "Dr. A", "client": "console-1"}
ERIKA, MAX = Identity(name="Mustermann^Erika", id="4711"), Identity(name="Mustermann^Max", id="4712")


class Worklist:
    """Orders as the desk sees them."""

    def __init__(self, *orders: Order) -> None:
        self.orders = {order.id: order for order in orders}
        self.chosen: Order | None = None

    def find(self, order_id: str) -> Order | None:
        return self.orders.get(order_id)

    async def choose(self, order: Order, origin: str) -> None:
        self.chosen = order


def differs(said: Identity, expected: Identity) -> tuple[str, ...]:
    return () if said == expected else ("PatientID",)


class Room:
    def __init__(self, root: Path, journal: Journal, desk: Desk) -> None:
        self.root, self.journal, self.desk = root, journal, desk
        self.worklist = Worklist(Order(id="A", identity=ERIKA, procedure="L4/5"), Order(id="B", identity=MAX))
        desk.use_worklist(self.worklist)

    def said(self, kind: str, record: str | None = None) -> list[dict[str, Any]]:
        path = journal_path(self.root, record or self.journal.record)
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        return [line["data"] for line in lines if line["type"] == kind]


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Room]:
    clock = ManualClock()
    async with Journal.open(root, clock, journal_module.Identity(room="esi-1")) as journal:
        desk = Desk(journal, clock, Observer(journal, clock, rules.load()), differs=differs)
        await desk.resume()
        yield Room(root, journal, desk)
        await journal.settled()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with opened(tmp_path) as opened_room:
        yield opened_room


async def test_a_device_opens_a_procedure_and_ends_it(room):
    assert await room.desk.begin("carm", procedure="L4/5", identity=ERIKA)
    case = room.journal.record
    assert (room.journal.kind, room.desk.under_way, room.desk.identity(case)) == ("procedure", True, ERIKA)
    started = room.said("procedure.started")[0]
    assert (started["origin"], started["procedure"], started.get("actor")) == ("carm", "L4/5", None)
    assert not await room.desk.finish("another device", outcome="completed")
    assert await room.desk.finish("carm", outcome="discontinued", reason="110514 DCM")
    ended = room.said("procedure.ended", case)[0]
    assert (ended["outcome"], ended["origin"], ended["reason"]) == ("discontinued", "carm", "110514 DCM")
    assert (room.journal.kind, room.desk.under_way, room.desk.identity(room.journal.record)) == ("standby", False, None)
    assert room.desk.identity(case) == ERIKA
    assert all(report.ok for report in verify_room(room.root))


async def test_a_device_joins_the_procedure_under_way_and_does_not_end_it(room):
    await room.desk.start(Start(**WHO, identity=MAX))
    case = room.journal.record
    assert not await room.desk.begin("carm", procedure="L4/5", identity=ERIKA)
    assert not await room.desk.finish("carm", outcome="completed")
    assert (room.journal.record, room.desk.identity(case)) == (case, MAX)
    assert not room.said("alert.raised")


async def attend(room: Room, how: str) -> None:
    match how:
        case "phase":
            await room.desk.enter(EnterPhase(**WHO, phase="injection"))
        case "note":
            await room.desk.say(Note(**WHO, text="tolerated well"))
        case "start":
            await room.desk.start(Start(**WHO))
        case "order":  # placed by staff for another procedure: said in the record that happens to be open
            asked = OperatorCommand(id="2", name=PlaceOrder.NAME, actor="Dr. A", client="console-1")
            placed = CarmOrder(order="C", change="placed", origin="command", procedure=None, scheduled_at=None)
            for payload in (asked, placed):
                await room.journal.commit(Event(source="room", data=payload, received=ManualClock().now()))


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
@pytest.mark.parametrize(
    ("how", "is_the_staffs"), [("phase", True), ("note", True), ("start", True), ("order", False), ("nothing", False)]
)
async def test_who_ends_it_is_who_is_in_charge(tmp_path, how, is_the_staffs, restarted):
    async with opened(tmp_path) as room:
        await room.desk.begin("carm", procedure=None, identity=None)
        await attend(room, how)
        if not restarted:
            assert await room.desk.finish("carm", outcome="completed") != is_the_staffs
    if restarted:
        async with opened(tmp_path) as room:
            assert await room.desk.finish("carm", outcome="completed") != is_the_staffs


async def test_the_staff_take_over_what_a_device_opened(room):
    await room.desk.begin("carm", procedure="L4/5", identity=ERIKA)
    case = room.journal.record
    await room.desk.start(Start(**WHO))
    assert room.journal.record == case
    first, second = room.said("procedure.started")
    assert (second["origin"], second["procedure"]) == ("staff", "L4/5")
    assert first["identity_sha256"] == second["identity_sha256"]
    with pytest.raises(CommandRefused, match="under way"):
        await room.desk.start(Start(**WHO))
    await room.desk.end(End(**WHO))
    assert all(report.ok for report in verify_room(room.root))


async def test_the_staffs_patient_counts_and_a_difference_is_an_alert(room):
    await room.desk.begin("carm", procedure="L4/5", identity=ERIKA)
    case = room.journal.record
    await room.desk.start(Start(**WHO, identity=MAX, procedure="C6/7"))
    assert room.desk.identity(case) == MAX
    await room.journal.settled()
    alert = room.said("alert.raised")[0]
    assert alert["severity"] == "critical" and "PatientID" in alert["text"] and "Mustermann" not in json.dumps(alert)
    await room.desk.end(End(**WHO))
    assert all(report.ok for report in verify_room(room.root))


async def test_a_start_names_its_order(room):
    await room.desk.start(Start(**WHO, order="A"))
    assert room.desk.identity(room.journal.record) == ERIKA
    assert room.said("procedure.started")[0]["procedure"] == "L4/5"
    assert room.worklist.chosen.id == "A"
    assert not room.said("alert.raised")


async def test_an_order_that_nobody_knows_is_refused_with_words_and_leaves_nothing(room):
    before = room.journal.record
    with pytest.raises(CommandRefused, match="no order 'Z' on the worklist"):
        await room.desk.start(Start(**WHO, order="Z"))
    assert (room.journal.record, room.desk.under_way) == (before, False)


async def test_the_order_chosen_at_the_c_arm_is_what_a_start_without_one_carries_out(room):
    room.worklist.chosen = room.worklist.orders["A"]
    await room.desk.start(Start(**WHO))
    assert room.desk.identity(room.journal.record) == ERIKA
    assert room.said("procedure.started")[0]["procedure"] == "L4/5"


@pytest.mark.parametrize("named", [True, False], ids=["named", "chosen at the C-arm"])
async def test_another_patient_than_the_orders_is_an_alert_and_no_refusal(room, named):
    if not named:
        room.worklist.chosen = room.worklist.orders["A"]
    await room.desk.start(Start(**WHO, identity=MAX, order="A" if named else None))
    await room.journal.settled()
    assert room.desk.identity(room.journal.record) == MAX
    assert [alert["rule"] for alert in room.said("alert.raised")] == ["procedure.identity_mismatch"]
    assert room.said("procedure.started")[0]["procedure"] == ("L4/5" if named else None)


async def test_an_identity_left_by_a_start_cut_short_is_nobodys(tmp_path):
    async with opened(tmp_path) as room:
        await room.journal.switch("procedure", "a procedure begins")
        folder = room.journal.directory / "private"
        folder.mkdir()
        (folder / "identity.json").write_text('{"salt":"00","name":"Mustermann^Erika","id":null,"birth_date":null}\n')
    async with opened(tmp_path) as room:
        await room.desk.start(Start(**WHO))
        assert room.desk.identity(room.journal.record) is None
        assert "identity_sha256" not in room.said("procedure.started")[0]
