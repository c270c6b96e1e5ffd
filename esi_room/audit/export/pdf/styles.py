"""The page's own style sheet, as far as the report follows it: colours, and the rules of the drawing (`svg …`).

    svg .label { font-weight: 600; font-size: 12px; }   ->   elements of class `label` in the drawing

One look, said once: what the page's drawing gets there, the report's has.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from esi_room.audit.export import page

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SELECTOR = re.compile(r"svg (?P<tag>[a-z]+)?(?:\.(?P<kind>[\w-]+))?(?::not\(\[fill\]\))?")
_COLOUR = re.compile(r"--([a-z]+): (#[0-9a-f]+)")
_VARIABLE = re.compile(r"var\(--([a-z]+)\)")
_SHORT = re.compile(r"#([0-9a-f])([0-9a-f])([0-9a-f])\b")  # `#fff`, which reportlab reads as `#000fff`
_FONT = re.compile(r"(?P<bold>bold )?(?P<size>[\d.]+)px")


class Rule(NamedTuple):
    """Of the elements with this tag and class (None: any)."""

    tag: str | None
    kind: str | None
    sets: dict[str, str]


@cache
def colours() -> dict[str, str]:
    """`ink`, `soft`, `rule`, `broken`, `holds` …"""
    return {name: _SHORT.sub(r"#\1\1\2\2\3\3", value) for name, value in re.findall(_COLOUR, _css())}


@cache
def rules() -> tuple[Rule, ...]:
    """In their order: the later counts."""
    found = []
    for selectors, body in _RULE.findall(_css().split("@page")[0]):
        sets = dict(_declared(body))
        for each in selectors.split(","):
            selector = _SELECTOR.fullmatch(each.strip())
            if selector:
                found.append(Rule(selector["tag"], selector["kind"], sets))
    return tuple(found)


@cache
def style_of(tag: str, kinds: str) -> dict[str, str]:
    """What the sheet says of an element of the drawing; `kinds` is its class attribute."""
    names, found = kinds.split(), dict[str, str]()
    for rule in rules():
        if rule.tag in (None, tag) and (rule.kind is None or rule.kind in names):
            found |= rule.sets
    return found


def known(kind: str) -> bool:
    """Has this class a rule?"""
    return any(rule.kind == kind for rule in rules())


def _css() -> str:
    css = (resources.files(page) / "style.css").read_text("utf-8")
    return re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)


def _declared(body: str) -> list[tuple[str, str]]:
    """`font` is taken apart into what it sets."""
    found = []
    for each in body.split(";"):
        name, _, value = (part.strip() for part in each.partition(":"))
        value = _SHORT.sub(r"#\1\1\2\2\3\3", _VARIABLE.sub(lambda at: colours()[at[1]], value))
        font = _FONT.match(value) if name == "font" else None
        if font:
            found += [("font-size", f"{font['size']}px"), ("font-weight", "600" if font["bold"] else "400")]
        elif name:
            found.append((name, value))
    return found
