"""The order book: three origins, commands, restarts, what is chosen and used up; nobody's name outside its file."""

from __future__ import annotations

import itertools
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from esi_room.carm.wire import Offer
from esi_room.carm.worklist.orders import EXPIRE_S, MAX_ORDERS, OrderBook
from esi_room.clock import NS, ManualClock
from esi_room.commands import Identity as Patient
from esi_room.commands import Order, PlaceOrder, WithdrawOrder
from esi_room.errors import CommandRefused, RecordError
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path, records

NOW_NS = 1_795_424_400 * NS  # 2026-11-23T09:00:00Z, 10:00 in Berlin
_numbers = itertools.count(1)


def order(name: str = "S1", who: str = "Doe^Jane", **fields: Any) -> Order:
    return Order(**{"id": name, "identity": Patient(name=who, id="SECRET-7")} | fields)


def placing(placed: Order, **fields: Any) -> PlaceOrder:
    return PlaceOrder(**{"id": f"c{next(_numbers)}", "actor": "nurse", "client": "console", "order": placed} | fields)


def withdrawing(name: str) -> WithdrawOrder:
    return WithdrawOrder(id=f"c{next(_numbers)}", actor="nurse", client="console", order=name)


class Desk:
    """A book, its journal, and what it offered."""

    def __init__(self, journal: Journal, clock: ManualClock) -> None:
        self.journal, self.clock = journal, clock
        self.offers: list[Offer] = []
        self.book = OrderBook(journal, clock, self.offers.append)

    @property
    def offered(self) -> list[str]:
        return [each.id for each in self.book.offer.orders]

    async def said(self, kind: str = "carm.order") -> list[dict[str, Any]]:
        await self.journal.settled()
        lines = [
            msgspec.json.decode(line)
            for record in records(self.journal.root)
            for line in journal_path(self.journal.root, record).read_bytes().splitlines()
        ]
        return [line["data"] for line in lines if line["type"] == kind]

    async def changes(self) -> list[tuple[str, str, str]]:
        return [(data["order"], data["change"], data["origin"]) for data in await self.said()]

    async def turn(self) -> None:
        """One round of `run`."""
        async with self.book._one_at_a_time:
            await self.book._keep_anyway(self.book._settled(self.book._book))


@pytest.fixture
def at(tmp_path) -> Callable[..., Any]:
    """`async with at() as desk`: a room, and the same room again."""
    clock = ManualClock(wall_ns=NOW_NS)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Desk]:
        async with Journal.open(tmp_path / "data", clock, Identity(room="test", timezone="Europe/Berlin")) as journal:
            yield Desk(journal, clock)

    return opened


async def test_a_placed_order_is_offered_and_said_without_identity(at, tmp_path):
    async with at() as desk:
        receipt = await desk.book.place(placing(order(procedure="ESI L4/5")))
        assert desk.offered == ["S1"] and desk.offers[-1].orders == desk.book.offer.orders
        assert desk.offers[-1].timezone == "Europe/Berlin"
        [said] = await desk.said()
        assert said["order"] == "S1" and said["change"] == "placed" and said["procedure"] == "ESI L4/5"
        assert receipt.record == desk.journal.record
        [command] = await desk.said("operator.command")
        assert command["name"] == "order"
        journal = journal_path(desk.journal.root, desk.journal.record).read_bytes()
        assert b"Doe" not in journal and b"SECRET" not in journal
    file = tmp_path / "data" / "private" / "worklist.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_the_book_survives_a_restart(at):
    async with at() as desk:
        await desk.book.place(placing(order("C1")))
        await desk.book.take("hospital", [order("H1")])
        await desk.book.take("folder", [order("F1")])
        before, changes = desk.book.offer, await desk.changes()
    async with at() as desk:
        assert desk.book.offer == before
        await desk.book.take("hospital", [order("H1")])
        await desk.book.take("folder", [order("F1")])
        assert await desk.changes() == changes, "what is still there is not said again"
        assert desk.book.answered == "2026-11-23T09:00:00.000000Z"


async def test_an_order_without_study_gets_one_that_stays(at):
    async with at() as desk:
        await desk.book.place(placing(order()))
        [first] = desk.book.offer.orders
        await desk.book.place(placing(order(procedure="another")))
        await desk.book.place(placing(order("S2")))
        await desk.book.place(placing(order("S3", study_uid="1.2.3")))
        uids = {each.id: each.study_uid for each in desk.book.offer.orders}
        assert uids["S1"] == first.study_uid and len(first.study_uid) <= 64
        assert len(set(uids.values())) == 3 and uids["S3"] == "1.2.3"
        await desk.book.withdraw(withdrawing("S1"))
        await desk.book.place(placing(order("S1", who="Roe^Richard")))
        assert desk.book.find("S1").study_uid != first.study_uid, "another patient under the same id"


async def test_what_an_origin_no_longer_holds_is_withdrawn(at):
    async with at() as desk:
        await desk.book.take("folder", [order("F1"), order("F2")])
        await desk.book.take("folder", [order("F2", procedure="changed"), order("F3")])
        assert desk.offered == ["F2", "F3"]
        assert (await desk.changes())[2:] == [
            ("F2", "replaced", "folder"),
            ("F3", "placed", "folder"),
            ("F1", "withdrawn", "folder"),
        ]


async def test_the_hospital_counts_before_the_folder_and_the_folder_before_a_command(at):
    async with at() as desk:
        await desk.book.place(placing(order(procedure="command")))
        await desk.book.take("folder", [order(procedure="folder")])
        await desk.book.take("hospital", [order(procedure="hospital")])
        assert [each.procedure for each in desk.book.offer.orders] == ["hospital"]
        with pytest.raises(CommandRefused, match="comes from the hospital: change it there"):
            await desk.book.place(placing(order(procedure="again")))
        with pytest.raises(CommandRefused, match="comes from the hospital: withdraw it there"):
            await desk.book.withdraw(withdrawing("S1"))
        await desk.book.take("hospital", [])
        assert [each.procedure for each in desk.book.offer.orders] == ["folder"]
        await desk.book.take("folder", [])
        assert [each.procedure for each in desk.book.offer.orders] == ["command"]
        await desk.book.withdraw(withdrawing("S1"))
        assert desk.offered == []
        with pytest.raises(CommandRefused, match="no order 'S1'"):
            await desk.book.withdraw(withdrawing("S1"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scheduled_at": "2026-11-20T09:00"}, "more than 24 h ago"),
        ({"dataset": "["}, "no DICOM JSON"),
        ({"dataset": '{"00100010": 3}'}, "no DICOM JSON"),
        ({"dataset": '{"a": {"vr": "' + "x" * 20_000 + '"}}'}, "larger than 16 KiB"),
    ],
)
async def test_a_command_is_refused_with_words(at, fields, words):
    async with at() as desk:
        with pytest.raises(CommandRefused, match=words):
            await desk.book.place(placing(order(**fields)))
        assert desk.offered == [] and not desk.offers and not await desk.said("operator.command")


async def test_the_book_is_bounded(at):
    async with at() as desk:
        await desk.book.take("hospital", [order(f"H{n}") for n in range(MAX_ORDERS + 5)])
        assert len(desk.offered) == MAX_ORDERS


async def test_an_order_expires_in_the_rooms_own_time(at):
    async with at() as desk:
        await desk.book.place(placing(order("S1", scheduled_at="2026-11-22T10:30")))
        await desk.book.take("folder", [order("F1", scheduled_at="2026-11-22T10:30"), order("F2")])
        assert desk.offered == ["F2", "F1", "S1"]
        desk.clock.advance(29 * 60)
        await desk.turn()
        assert desk.offered == ["F2", "F1", "S1"]
        desk.clock.advance(2 * 60)
        await desk.turn()
        assert desk.offered == ["F2"], "09:31 UTC is 10:31 in Berlin"
        assert [each.id for each in desk.offers[-1].orders] == ["F2"]


async def test_the_chosen_order_is_offered_until_its_procedure_is_over(at):
    async with at() as desk:
        await desk.book.take("hospital", [order("H1"), order("H2")])
        wanted = desk.book.find("H1")
        await desk.book.choose(wanted, "staff")
        await desk.book.choose(wanted, "mpps")
        assert desk.book.chosen == wanted and desk.offered == ["H1", "H2"]
        await desk.journal.switch("procedure", "test")
        await desk.turn()
        assert desk.offered == ["H1", "H2"] and desk.book.chosen == wanted, "the C-arm has yet to ask"
        await desk.book.take("hospital", [order("H2")])
        assert desk.book.find("H1") == wanted, "the hospital lists it no longer; its images still come"
    async with at() as desk:
        assert desk.book.chosen == wanted and desk.offered == ["H2"]
        await desk.journal.switch("standby", "test")
        await desk.turn()
        assert desk.book.chosen is None and desk.offered == ["H2"]
        await desk.book.choose(desk.book.find("H1"), "image")
        assert desk.book.chosen is None, "an image that came late"
        await desk.book.take("hospital", [order("H1"), order("H2")])
        assert desk.offered == ["H2"]
        await desk.book.choose(desk.book.find("H1"), "staff")
        assert desk.offered == ["H1", "H2"], "taken up again on purpose"
    async with at() as desk:
        chosen = [change for change in await desk.changes() if change[1] == "chosen"]
        assert chosen == [("H1", "chosen", "staff"), ("H1", "chosen", "staff")]


async def test_an_order_chosen_during_the_procedure_is_used_with_it(at):
    async with at() as desk:
        await desk.book.place(placing(order()))
        await desk.journal.switch("procedure", "test")
        await desk.book.choose(desk.book.find("S1"), "mpps")
        assert desk.offered == ["S1"] and desk.book.chosen.id == "S1"
        await desk.journal.switch("standby", "test")
        assert desk.offered == [] and desk.book.chosen is None


async def test_a_chosen_order_that_never_began_is_forgotten_with_its_day(at):
    async with at() as desk:
        await desk.book.take("folder", [order(scheduled_at="2026-11-23T11:00")])
        await desk.book.choose(desk.book.find("S1"), "staff")
        desk.clock.advance(EXPIRE_S + 3601)
        await desk.turn()
        assert desk.book.chosen is None


async def test_find_by_id_study_and_accession(at):
    async with at() as desk:
        await desk.book.take(
            "hospital",
            [
                order("A", accession="1", study_uid="1.1"),
                order("B", accession="1", study_uid="1.2"),
                order("C", accession="3", study_uid="1.2"),
            ],
        )
        find = desk.book.find
        assert find("A").id == "A" and find(study_uid="1.1").id == "A" and find(accession="3").id == "C"
        assert find("X", study_uid="1.1").id == "A"
        assert find(study_uid="1.2") is None and find(accession="1") is None and find() is None
        await desk.book.choose(find("B"), "mpps")
        assert find(study_uid="1.2").id == "B" and find(accession="1").id == "B"


async def test_a_full_disk_refuses_the_command_and_keeps_the_rest(at, monkeypatch):
    async with at() as desk:
        await desk.book.place(placing(order("S1")))

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(desk.book._disk, "write_file", full)
        with pytest.raises(RecordError, match="No space left"):
            await desk.book.place(placing(order("S2")))
        assert desk.offered == ["S1"]
        await desk.book.take("folder", [order("F1")])
        assert desk.offered == ["F1", "S1"], "a folder's orders count all the same: they can be read again"


async def test_a_broken_file_is_said_and_begun_anew(at, tmp_path, capsys):
    async with at() as desk:
        await desk.book.place(placing(order()))
    (tmp_path / "data" / "private" / "worklist.json").write_bytes(b'{"salt": "x", "command": [{"identity": "Doe')
    async with at() as desk:
        assert desk.offered == []
        await desk.book.place(placing(order()))
    said = capsys.readouterr().out
    assert "worklist_unreadable" in said and "Doe" not in said
