"""Refusals for the record: told at once, then counted."""

from __future__ import annotations

from esi_room.carm.listener.knocks import MAX_KINDS, QUIET_S, Knocks
from esi_room.clock import ManualClock


def knocks():
    clock, told = ManualClock(), []
    return clock, told, Knocks(clock, lambda association, _at: told.append((association.peer, association.count)))


def test_the_first_is_told_at_once_and_the_rest_once_a_minute():
    clock, told, door = knocks()
    for _ in range(1000):
        door.say("refused", "X @ 10.0.0.1", "PACS", "why")
    assert told == [("X @ 10.0.0.1", 1)]
    door.flush()
    assert len(told) == 1
    clock.advance(QUIET_S)
    door.flush()
    assert told[1:] == [("X @ 10.0.0.1", 999)]
    clock.advance(QUIET_S)
    door.flush()
    door.say("refused", "X @ 10.0.0.1", "PACS", "why")
    assert told[2:] == [("X @ 10.0.0.1", 1)]


def test_a_scanner_that_invents_names_costs_bounded_memory_and_entries():
    clock, told, door = knocks()
    for number in range(5000):
        door.say("refused", f"{number} @ 10.0.0.1", None, "why")
    assert len(told) == MAX_KINDS + 1
    clock.advance(QUIET_S)
    door.flush()
    assert told[-1] == ("others", 5000 - MAX_KINDS - 1)
    assert sum(count for _, count in told) == 5000


def test_what_is_learned_of_a_caller_is_told_once_and_not_of_those_beyond_telling_apart():
    clock, told = ManualClock(), []
    door = Knocks(clock, lambda association, _at: told.append(association.learned))
    for number in range(MAX_KINDS + 10):
        for _ in range(2):
            door.say("refused", f"{number} @ 10.0.0.1", None, "why", wants=("Storage: 1",), learned=f"peer {number}")
    clock.advance(QUIET_S)
    door.flush()
    assert told == [f"peer {number}" for number in range(MAX_KINDS)] + [None] * (MAX_KINDS + 2)
