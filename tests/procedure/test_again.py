"""A record followed again: what follows in it is what it says, whatever the record; and what was altered is found."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from any_payload import T0_NS, records
from hypothesis import given, settings
from procedure_rig import form, image

from esi_room.clock import NS, Stamp, rfc3339
from esi_room.events import (
    AlertRaised,
    Entry,
    Payload,
    Plan,
    ProcedureCompleteness,
    ProcedureEnded,
    ProcedurePhase,
    ProcedureStarted,
)
from esi_room.procedure import rules
from esi_room.procedure.again import mismatches
from esi_room.procedure.follower import Follower, is_derived
from esi_room.procedure.taken import Taken

BOOK = rules.load()
ENDED = ProcedureEnded(outcome="completed", origin="staff")


class Record:
    """As the observer writes it: what follows from an entry stands right behind it."""

    def __init__(self) -> None:
        self.follower, self.entries = Follower("r", BOOK), list[Entry]()

    def take(self, taken: Taken) -> None:
        if self._put(taken):
            while following := self.follower.following():
                for payload in following:
                    stamp = taken.received
                    self._put(Taken(0, stamp.wall_ns, stamp, "room", payload))

    def _put(self, taken: Taken) -> bool:
        taken = taken._replace(seq=len(self.entries))
        self.entries.append(as_entry(taken))
        return self.follower.take(taken)


def as_entry(taken: Taken) -> Entry:
    return Entry(
        v=1,
        record="r",
        seq=taken.seq,
        prev="",
        type=taken.data.TYPE,
        time=rfc3339(taken.time_ns),
        received=rfc3339(taken.received.wall_ns),
        mono_ns=taken.received.mono_ns,
        source=taken.source,
        data=msgspec.Raw(msgspec.json.encode(taken.data)),
    )


@given(records())
@settings(max_examples=60, deadline=None)
def test_any_record_followed_again_says_the_same(entries: list[Taken]) -> None:
    record = Record()
    for taken in entries:
        if not is_derived(taken.data) and not isinstance(taken.data, ProcedureEnded):
            record.take(taken)
    last = entries[-1].received if entries else Stamp(T0_NS, 0)
    record.take(Taken(0, last.wall_ns, last, "room", ENDED))
    assert list(mismatches(record.entries)) == []


def short() -> Record:
    """Started, two images and no time-out, ended."""
    record = Record()
    plan = Plan(approach="interlaminar", side="left", levels=("L4/5",))
    said: list[Payload] = [
        ProcedureStarted(procedure=None, origin="staff", plan=plan),
        image(),
        form("approach"),
        image(),
    ]
    for at_s, payload in enumerate([*said, ENDED]):
        stamp = Stamp(T0_NS + at_s * NS, at_s * NS)
        record.take(Taken(0, stamp.wall_ns, stamp, "carm" if payload.TYPE == "carm.image" else "room", payload))
    return record


def test_what_follows_from_a_short_one() -> None:
    record = short()
    types = [entry.type for entry in record.entries]
    assert types[:6] == [
        "procedure.started",
        "procedure.rules",
        "carm.image",
        "procedure.phase",
        "alert.raised",
        "alert.raised",
    ]
    assert types[-1] == ProcedureCompleteness.TYPE
    assert list(mismatches(record.entries)) == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (ProcedurePhase, {"fact": 1}),
        (AlertRaised, {"facts": [1]}),
        (AlertRaised, {"severity": "info"}),
        (ProcedureCompleteness, {"deviations": []}),
    ],
)
def test_what_was_left_out_or_altered_is_found_where_it_stood(kind: type[Payload], change: dict[str, Any]) -> None:
    entries = short().entries
    place = next(at for at, entry in enumerate(entries) if entry.type == kind.TYPE)
    without = entries[:place] + entries[place + 1 :]
    assert list(mismatches(without))
    data = msgspec.json.decode(entries[place].data) | change
    altered = msgspec.structs.replace(entries[place], data=msgspec.Raw(msgspec.json.encode(data)))
    found = list(mismatches([*entries[:place], altered, *entries[place + 1 :]]))
    assert found[0].seq == entries[place].seq
