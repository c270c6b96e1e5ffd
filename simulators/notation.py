"""How a scenario is written down: where everything stands in its file, times, and one scenario told as another with
differences.

    extends = "lumbar_interlaminar"                  the base: a file beside this one, or a scenario of the library
    without = ["time_out", "carm.shot", "note@0:50"] steps of the base that fall away: [who.]do[@time]
    any other key                                    replaces the base's; patient and staff key by key, devices by id
    step = [ {at = "2:30", …}, … ]                   is put between the base's by time; after it where times are equal

Rules:
- Nothing is judged here but the notation itself: whether a device can do what a step asks is `scenario`'s business.
- Every part keeps the place where it was written, through any number of bases, so that a mistake names that line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

EXTENDS, WITHOUT = "extends", "without"

_TIME = re.compile(r"(?:(\d+):(?=\d\d:))?([0-5]?\d):([0-5]\d)")
_LEFT_OUT = re.compile(r"(?:(?P<who>[A-Za-z0-9_-]+)\.)?(?P<do>\w+)(?:@(?P<at>[\d:]+))?")
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*'  # text and comments hold nothing
    r"|(?P<header>^[ \t]*(?:\[\[[ \t]*[\w-]+[ \t]*\]\]|\[[ \t]*[\w-]+[ \t]*\]))"
    r"|(?P<key>^[ \t]*[\w-]+)(?=[ \t]*[.=])|(?P<bracket>[][{}])",
    re.MULTILINE | re.DOTALL,
)


class Part(NamedTuple):
    """A device or a step. `place`: file and line; `at_s`: of a step."""

    value: dict[str, Any]
    place: str
    label: str
    at_s: float = 0.0


class Sheet(NamedTuple):
    """A scenario as it is written. `keys`: everything but devices and steps; `places`: where each of these stands."""

    origin: str
    keys: dict[str, Any]
    places: dict[str, str]
    devices: list[Part]
    steps: list[Part]

    def place(self, key: str) -> str:
        """Where `key` stands; the first line where it is missing."""
        return self.places.get(key, f"{self.origin}:1")


def seconds(text: object) -> float | None:
    """Of `m:ss` or `h:mm:ss`; None for anything else."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else float(int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3]))


def read(text: str, origin: str, problems: list[str]) -> Sheet:
    """What one file says, its base not yet looked at. Mistakes of notation go to `problems`."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{origin}: {error}")
        tree = {}
    keys, elements = _lines(text)
    places = {key: f"{origin}:{line}" for key, line in keys.items()}
    devices = [Part(value, place, str(value.get("id"))) for value, place in _tables(tree, "device", origin, elements)]
    steps = list(_timed(_tables(tree, "step", origin, elements), problems))
    rest = {key: value for key, value in tree.items() if key not in ("device", "step")}
    return Sheet(origin, rest, places, devices, steps)


def merged(base: Sheet, own: Sheet, problems: list[str]) -> Sheet:
    """`own` as the differences from `base`."""
    keys, places = {**base.keys}, {**base.places, **own.places}
    for key, value in own.keys.items():
        old = keys.get(key)
        keys[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    kept = _left_out(base.steps, own, problems)
    steps = sorted([*kept, *own.steps], key=lambda step: step.at_s)
    keys.pop(WITHOUT, None)
    return Sheet(own.origin, keys, places, _devices(base.devices, own.devices), steps)


def _left_out(steps: list[Part], own: Sheet, problems: list[str]) -> list[Part]:
    """The steps of the base but those that `without` names; each of its words must leave out something."""
    words = own.keys.get(WITHOUT, [])
    for word in words if isinstance(words, list) else [words]:
        match = _LEFT_OUT.fullmatch(word) if isinstance(word, str) else None
        kept = steps if match is None else [step for step in steps if not _is_meant(step, match)]
        if len(kept) == len(steps):
            problems.append(f"{own.place(WITHOUT)}: without {word!r} leaves out nothing: [who.]do[@time] of the base")
        steps = kept
    return steps


def _is_meant(step: Part, match: re.Match[str]) -> bool:
    return (
        step.value.get("do") == match["do"]
        and match["who"] in (None, step.value.get("who", "staff"))
        and (match["at"] is None or step.at_s == seconds(match["at"]))
    )


def _devices(base: list[Part], own: list[Part]) -> list[Part]:
    """A device with an id of the base's is that one with other settings."""
    old = {device.label: device for device in base}
    changed = {device.label: device for device in own if device.label in old}
    kept = [
        changed[name]._replace(value={**device.value, **changed[name].value}) if name in changed else device
        for name, device in old.items()
    ]
    return [*kept, *(device for device in own if device.label not in old)]


def _tables(
    tree: dict[str, Any], key: str, origin: str, elements: dict[str, list[int]]
) -> Iterator[tuple[dict[str, Any], str]]:
    """The tables of an array, each with its place."""
    array = tree.get(key)
    lines = elements.get(key, [])
    for index, value in enumerate(array if isinstance(array, list) else [array] if array is not None else []):
        line = lines[index] if index < len(lines) else 1
        yield value if isinstance(value, dict) else {}, f"{origin}:{line}"


def _timed(tables: Iterator[tuple[dict[str, Any], str]], problems: list[str]) -> Iterator[Part]:
    """Steps, which are written in the order of their times."""
    before_s = 0.0
    for number, (value, place) in enumerate(tables, start=1):
        at_s, label = seconds(value.get("at")), f"step {number}"
        if at_s is None:
            problems.append(f"{place}: {label}: at {value.get('at')!r}: m:ss or h:mm:ss, in quotes")
        elif at_s < before_s:
            problems.append(f"{place}: {label}: at {value['at']!r} is before the step above it")
        before_s = max(before_s, at_s or 0.0)
        yield Part(value, place, label, before_s)


def _lines(text: str) -> tuple[dict[str, int], dict[str, list[int]]]:
    """The line of each key at the top and of each table, and of each element of the arrays of tables."""
    keys: dict[str, int] = {}
    elements: dict[str, list[int]] = {}
    depth, key, in_table = 0, "", False
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        line, counted = line + text.count("\n", counted, token.start()), token.start()
        if token["header"] and depth == 0:
            key, in_table = token["header"].strip("[] \t"), True
            keys.setdefault(key, line)
            elements.setdefault(key, []).append(line)
        elif token["key"] and depth == 0 and not in_table:
            key = token["key"].strip()
            keys.setdefault(key, line)
        elif token["bracket"]:
            if token["bracket"] == "{" and depth == 1 and not in_table:
                elements.setdefault(key, []).append(line)
            depth += 1 if token["bracket"] in "[{" else -1
    return keys, elements
