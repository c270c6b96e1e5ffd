"""C-FIND of the Modality Worklist (PS3.4 annex K). Runs in the listener's process, in the thread of the association.

    daemon: the order book changed -> Offer -> `offer`
    C-arm: C-FIND -> keys read, matched with the items of the last offer -> pending answers, 0000

What the peer is told:

    FF00  an item; FF01 an item, and a key that is not supported for existence or for matching
    0000  that was all
    FE00  the peer cancelled
    A700  MAX_ANSWERS items were sent and more match: ask for less
    A900  the identifier is no worklist query
    C000  the identifier cannot be read

An order that names no station, modality or time is for whichever C-arm of the room asks, today: it matches these keys,
and is answered as it was asked, because all of them are of type 1 (K.6.1.2.2).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from esi_room.carm.listener import matching
from esi_room.carm.listener.knocks import Knocks
from esi_room.carm.listener.matching import BadQuery, Key
from esi_room.carm.listener.services import Service
from esi_room.carm.wire import Offer
from esi_room.carm.worklist import items
from esi_room.carm.worklist.keys import MODALITY_WORKLIST
from esi_room.clock import NS, Clock
from esi_room.commands import Order

# No deflated syntax: a query of 1 KiB could inflate to 1 GiB.
TRANSFER_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
# More than anybody scrolls through on a C-arm's screen; a room's day has 30.
MAX_ANSWERS = 200
# A mobile C-arm's modality in its images (PS3.3 C.7.3.1.1.1), where nobody says which.
MODALITY = "XA"

# An answer takes 0.3 ms to leave.
LOOK_S = 0.0005
_pause = threading.Event()  # never set

CANCELLED, OUT_OF_RESOURCES = 0xFE00, 0xA700
PENDING, PENDING_UNSUPPORTED = 0xFF00, 0xFF01
_STEPS, _STATION, _MODALITY = 0x00400100, 0x00400001, 0x00080060
_START_DATE, _START_TIME = 0x00400002, 0x00400003
# ErrorComment is LO.
_COMMENT_LETTERS = 64

Response = tuple[int | Dataset, Dataset | None]


class Worklist:
    """Answers C-FIND from the orders of the last `offer`."""

    def __init__(self, knocks: Knocks, clock: Clock) -> None:
        self._knocks, self._clock = knocks, clock
        self._offer = Offer(orders=())
        self._made: tuple[Offer, list[Dataset]] = (self._offer, [])

    def service(self) -> Service:
        """What the listener negotiates and calls."""
        context = build_context(MODALITY_WORKLIST, list(TRANSFER_SYNTAXES))
        return Service(contexts=(context,), handlers=((evt.EVT_C_FIND, self.find),))

    def offer(self, offer: Offer) -> None:
        """From now on this is the worklist."""
        self._offer = offer

    def find(self, event: Any) -> Iterator[Response]:
        """One C-FIND: its pending responses, and the last one unless that is 0000."""
        association = event.assoc
        try:
            keys, asked = _read(event)
        except BadQuery as bad:
            self._say(association, bad.status, str(bad))
            yield _failed(bad.status, str(bad)), None
            return
        station = str(association.requestor.ae_title).strip()
        for sent, (answer, status) in enumerate(self._answers(keys, station)):
            _let_out(association)
            if event.is_cancelled:
                yield CANCELLED, None
                return
            if sent == MAX_ANSWERS:
                reason = f"more than {MAX_ANSWERS} orders match: ask for less"
                self._say(association, OUT_OF_RESOURCES, reason)
                yield _failed(OUT_OF_RESOURCES, reason), None
                return
            items.write_in(answer, asked)
            yield status, answer

    def _answers(self, keys: tuple[Key, ...], station: str) -> Iterator[tuple[Dataset, int]]:
        offer = self._offer
        today = datetime.fromtimestamp(self._clock.now().wall_ns / NS, UTC).astimezone(ZoneInfo(offer.timezone))
        for item in self._items(offer):
            complete = _complete(item, keys, station, f"{today:%Y%m%d}")
            answer = matching.answer(keys, complete)
            if answer is not None:
                if "SpecificCharacterSet" in item:
                    answer.SpecificCharacterSet = item.SpecificCharacterSet
                yield items.fresh(answer), PENDING_UNSUPPORTED if matching.unsupported(keys, complete) else PENDING

    def _items(self, offer: Offer) -> list[Dataset]:
        """The offer as items, made at the first query after it changed: not in the thread that takes offers, which
        hands every C-STORE its answer."""
        made, made_items = self._made
        if made is not offer:
            made_items = [_item(order) for order in sorted(offer.orders, key=_when)]
            self._made = offer, made_items
        return made_items

    def _say(self, association: Any, status: int, reason: str) -> None:
        called = str(association.acceptor.ae_title)
        self._knocks.say("failed", association.peer, called, f"C-FIND answered {status:04X}: {reason}")


def _read(event: Any) -> tuple[tuple[Key, ...], Any]:
    """The query's keys, and the character set that whoever asks writes in."""
    try:
        identifier = event.identifier
        asked = identifier.get("SpecificCharacterSet")
    except Exception as error:  # pynetdicom's and pydicom's, whatever they stumble over
        reason = f"the identifier cannot be read ({type(error).__name__})"
        raise BadQuery(matching.UNABLE_TO_PROCESS, reason) from error
    return matching.read(identifier), asked


def _item(order: Order) -> Dataset:
    """Its item; of its plain fields alone where a console gave it a data set that cannot be written to a peer."""
    item = items.item(order)
    trial = items.fresh(item)
    return item if encode(trial, False, True) else items.item(replace(order, dataset=None))


def _let_out(association: Any) -> None:
    """Wait until the answers so far have left: while any waits, the association's upper layer reads nothing, and would
    see a C-CANCEL when all is said."""
    while association.is_established and not association.dul.to_provider_queue.empty():
        _pause.wait(LOOK_S)


def _when(order: Order) -> str:
    return order.scheduled_at or ""


def _complete(item: Dataset, keys: tuple[Key, ...], station: str, today: str) -> Dataset:
    """The item with what its order leaves open filled in as it is asked for; the item itself is not changed."""
    asked = {key.tag: key.example for steps in keys if steps.tag == _STEPS for key in steps.items}
    step = Dataset()
    step.update(item[_STEPS].value[0])
    for tag, vr, value in (
        (_STATION, "AE", asked.get(_STATION) or station),
        (_START_DATE, "DA", today),
        (_START_TIME, "TM", asked.get(_START_TIME) or "000000"),
        (_MODALITY, "CS", asked.get(_MODALITY) or MODALITY),
    ):
        if not items.text_of(step, tag):
            step.add_new(tag, vr, value)
    complete = Dataset()
    complete.update(item)
    complete.add_new(_STEPS, "SQ", Sequence([step]))
    return complete


def _failed(status: int, reason: str) -> Dataset:
    response = Dataset()
    response.Status = status
    response.ErrorComment = reason[:_COMMENT_LETTERS]
    return response
