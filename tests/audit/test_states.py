"""Staleness and the axis, with entries made for it."""

from __future__ import annotations

import json

from msgspec import Raw
from msgspec import json as msgjson

from esi_room.audit.replay.axis import Axis
from esi_room.audit.replay.states import Message, States
from esi_room.clock import NS, rfc3339
from esi_room.events import Entry, Payload, Reading, RecordOpened, RecordRecovered, VitalsNumeric

BEGAN_NS = 1_700_000_000 * NS
PULSE = Reading(code=149530, name="pulse_rate_per_min", value=61, unit="/min", status="ok")
OPENED = RecordOpened(
    kind="procedure",
    room="esi-1",
    timezone="Europe/Berlin",
    previous=None,
    software="0.1.0",
    configuration_sha256="",
    clock_synchronised=None,
    clock_max_error_s=None,
)


def entry(seq: int, data: Payload, wall_s: float, mono_s: float) -> Entry:
    at = rfc3339(BEGAN_NS + round(wall_s * NS))
    raw = Raw(msgjson.encode(data))
    mono_ns = round(mono_s * NS)
    source = "oximeter-1" if isinstance(data, VitalsNumeric) else "room"
    fields = {"v": 1, "record": "r", "seq": seq, "prev": "", "type": data.TYPE, "time": at, "received": at}
    return Entry(**fields, mono_ns=mono_ns, source=source, data=raw)


def said(*entries: Entry, until_s: float) -> list[Message]:
    axis, states, messages = Axis(), States(), []
    for each in entries:
        moment = axis.place(each)
        messages += [*states.until(moment.at_ns), *states.take(each, moment)]
    return [*messages, *states.until(round(until_s * NS))]


def vitals(messages: list[Message]) -> list[tuple[float, bool, str]]:
    """When, whether it is stale, and the room's clock then."""
    found = [(m.at_ns / NS, json.loads(m.payload)) for m in messages if m.topic == "state/vitals"]
    return [(at_s, s["values"][0]["stale"], s["published_at"][17:19]) for at_s, s in found if s["values"]]


def pulse(seq: int, wall_s: float, mono_s: float) -> Entry:
    return entry(seq, VitalsNumeric(readings=(PULSE,), stale_after_s=5.0), wall_s, mono_s)


def test_a_value_goes_stale_when_it_did_and_at_no_entrys_moment() -> None:
    messages = said(entry(0, OPENED, 0, 100), pulse(1, 1, 101), until_s=120)
    assert vitals(messages) == [(101, False, "21"), (106, True, "26")]


def test_a_step_of_the_wall_clock_makes_nothing_stale_and_moves_no_line() -> None:
    messages = said(entry(0, OPENED, 0, 100), pulse(1, 1, 101), pulse(2, 3600, 102), until_s=103)
    assert [(at_s, stale) for at_s, stale, _ in vitals(messages)] == [(101, False), (102, False)]


def test_one_topic_comes_at_most_ten_times_a_second_and_its_last_change_always() -> None:
    many = [pulse(n, 1 + n / 100, 101 + n / 100) for n in range(1, 16)]
    moments = [round(at_s, 2) for at_s, _, _ in vitals(said(entry(0, OPENED, 0, 100), *many, until_s=104))]
    assert moments == [101.01, 101.11, 101.21]


def test_after_a_reboot_the_wall_clock_says_how_long_the_daemon_was_away() -> None:
    again = RecordRecovered(reason="power cut", cut_bytes=0, cut_sha256=None, kept_as=None)
    axis = Axis()
    moments = [axis.place(e) for e in (entry(0, OPENED, 0, 900), entry(1, again, 60, 7), pulse(2, 61, 8))]
    assert [moment.at_ns / NS for moment in moments] == [900, 960, 961]


def test_a_line_that_came_late_stands_where_it_was_published_and_is_as_old_as_it_is() -> None:
    axis = Axis()
    axis.place(entry(0, OPENED, 2, 102))
    moment = axis.place(pulse(1, 1, 101))
    assert (moment.at_ns / NS, moment.observed_ns / NS) == (102, 101)
