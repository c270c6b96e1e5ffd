"""Where things stand in a scenario's file, times, and one scenario told as another with differences."""

from __future__ import annotations

from typing import Any

import pytest

from simulators import notation
from simulators.notation import Sheet

BASE = """\
title = "t"  # step = [ {at = "0:00"} ]
patient = {name = "A^B", note = '''[[device]]
{''', weight_kg = 70}
device = [ {id = "pump-1", kind = "new_era"},
  {id = "carm", kind = "carm"},
]
step = [
  {at = "0:05", who = "staff", do = "note", text = "one ] {"},
  {at = "0:05", who = "staff", do = "note", text = "two"}, {at = "1:00", who = "carm", do = "shot"},

  {at = "1:30", who = "staff", do = "drawn_up", components = [
    {drug = "x"}, {drug = "y"}]},
  {at = "2:00", who = "pump-1", do = "start"},
]
"""


def sheet(text: str, origin: str = "base.toml") -> Sheet:
    problems: list[str] = []
    read = notation.read(text, origin, problems)
    assert problems == []
    return read


def merged(own: str) -> Sheet:
    problems: list[str] = []
    together = notation.merged(sheet(BASE), sheet(own, "own.toml"), problems)
    assert problems == []
    return together


def said(of: Sheet) -> list[Any]:
    return [(step.at_s, step.value["do"], step.value.get("text")) for step in of.steps]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00", 0), ("0:07", 7), ("12:30", 750), ("59:59", 3599), ("1:02:03", 3723), ("10:00:00", 36_000),
        ("60:00", None), ("1:60", None), ("1:2:03", None), ("90", None), ("0:07.5", None), ("-0:07", None), (7, None),
    ],
)  # fmt: skip
def test_times(text: object, seconds: float | None) -> None:
    assert notation.seconds(text) == seconds


def test_everything_is_found_where_it_stands() -> None:
    read = sheet(BASE)
    assert [device.place for device in read.devices] == ["base.toml:4", "base.toml:5"]
    assert [step.place for step in read.steps] == [f"base.toml:{line}" for line in (8, 9, 9, 11, 13)]
    assert (read.place("patient"), read.place("step"), read.place("seed")) == (
        "base.toml:2",
        "base.toml:7",
        "base.toml:1",
    )


def test_tables_with_a_header_are_found_too() -> None:
    read = sheet('title = "t"\n[patient]\nid = "1"\nstep = []\n[[device]]\nid = "a"\n[[device]]\nid = "b"\n')
    assert read.place("patient") == "base.toml:2"
    assert [device.place for device in read.devices] == ["base.toml:5", "base.toml:7"]


def test_steps_of_its_own_come_after_those_of_the_base_at_the_same_time() -> None:
    own = 'step = [ {at = "0:05", do = "note", text = "mine"}, {at = "1:10", do = "note", text = "late"} ]'
    assert said(merged(own)) == [
        (5, "note", "one ] {"),
        (5, "note", "two"),
        (5, "note", "mine"),
        (60, "shot", None),
        (70, "note", "late"),
        (90, "drawn_up", None),
        (120, "start", None),
    ]


@pytest.mark.parametrize(
    ("without", "left"),
    [
        ('["note"]', ["shot", "drawn_up", "start"]),
        ('["pump-1.start", "shot@1:00"]', ["note", "note", "drawn_up"]),
        ('["carm.shot@1:00"]', ["note", "note", "drawn_up", "start"]),
    ],
)
def test_steps_of_the_base_fall_away(without: str, left: list[str]) -> None:
    assert [step.value["do"] for step in merged(f"without = {without}").steps] == left


@pytest.mark.parametrize("word", ["sleep", "staff.start", "note@0:06", "note@", "carm.", ""])
def test_what_leaves_out_nothing_is_a_mistake(word: str) -> None:
    problems: list[str] = []
    notation.merged(sheet(BASE), sheet(f'\nwithout = ["{word}"]', "own.toml"), problems)
    assert problems == [f"own.toml:2: without {word!r} leaves out nothing: [who.]do[@time] of the base"]


def test_keys_replace_those_of_the_base_and_tables_are_changed_key_by_key() -> None:
    together = merged('title = "mine"\npatient = {weight_kg = 40}')
    assert together.keys["title"] == "mine"
    assert together.keys["patient"] == {"name": "A^B", "note": "[[device]]\n{", "weight_kg": 40}
    assert together.place("patient") == "own.toml:2"


def test_a_device_of_the_base_gets_other_settings_and_another_joins() -> None:
    together = merged('device = [ {id = "carm", matrix = 64}, {id = "monitor-1", kind = "ge_dri"} ]')
    assert [device.value for device in together.devices] == [
        {"id": "pump-1", "kind": "new_era"},
        {"id": "carm", "kind": "carm", "matrix": 64},
        {"id": "monitor-1", "kind": "ge_dri"},
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('step = [\n {at = "0:09"},\n {at = "0:08"}]', "x.toml:3: step 2: at '0:08' is before the step above it"),
        ("step = [\n {at = 9}]", "x.toml:2: step 1: at 9: m:ss or h:mm:ss, in quotes"),
        ("step = 3", "x.toml:1: step 1: at None: m:ss or h:mm:ss, in quotes"),
        ("step =", "x.toml: Invalid value (at end of document)"),
    ],
)
def test_mistakes(text: str, problem: str) -> None:
    problems: list[str] = []
    notation.read(text, "x.toml", problems)
    assert problems == [problem]
