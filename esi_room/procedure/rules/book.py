"""The rules as data: a TOML file, one table a rule; every mistake in it is named.

A rule that the file does not have is off. `DEFAULT` is the file that comes with the software (`config/rules.toml`).
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct

from esi_room.errors import ConfigurationError
from esi_room.events import Severity
from esi_room.events.clinical.words import Level
from esi_room.procedure.rules.table import RULES

_PACKAGED = Path(__file__).parent / "rules.toml"  # where a wheel has it
DEFAULT = _PACKAGED if _PACKAGED.exists() else Path(__file__).parents[3] / "config" / "rules.toml"
_OWN = frozenset({"text", "severity", "source", "on"})


class RuleData(Struct, frozen=True, kw_only=True):
    """One rule of the file."""

    id: str
    text: str
    severity: Severity
    source: str
    on: bool
    parameters: dict[str, Any]


class Book(Struct, frozen=True, kw_only=True):
    """A file of rules, in the order of their ids."""

    version: str
    sha256: str
    rules: dict[str, RuleData]

    @property
    def in_force(self) -> dict[str, dict[str, Any]]:
        """Severity, source and parameters of the rules that are on: what `procedure.rules` holds."""
        on = (rule for rule in self.rules.values() if rule.on)
        return {rule.id: {"severity": rule.severity, "source": rule.source, **rule.parameters} for rule in on}

    @property
    def off(self) -> tuple[str, ...]:
        """Ids of those that are not."""
        return tuple(rule for rule in RULES if rule not in self.in_force)


def load(path: Path | None = None) -> Book:
    """The rules in `path`, or those that come with the software. ConfigurationError names every mistake."""
    path = path or DEFAULT
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror or error}"]) from error
    return parse(octets, path.name)


def parse(octets: bytes, origin: str) -> Book:
    """From the file's octets; `origin` is what mistakes are reported under."""
    try:
        tree = tomllib.loads(octets.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{origin}: {error}"]) from error
    version = tree.pop("version", None)
    lines = _lines(octets.decode("utf-8"))
    problems = [] if isinstance(version, str) and version else [f"{origin}:1: version is missing: a text in quotes"]
    rules = {}
    for name, table in tree.items():
        wrong = list(_problems(name, table))
        problems += [f"{origin}:{lines.get(name, 1)}: {what}" for what in wrong]
        if not wrong:
            rules[name] = _rule(name, table)
    if problems:
        raise ConfigurationError(problems)
    ordered = {name: rules[name] for name in RULES if name in rules}
    return Book(version=str(version), sha256=hashlib.sha256(octets).hexdigest(), rules=ordered)


def _rule(name: str, table: dict[str, Any]) -> RuleData:
    given = {key: value for key, value in table.items() if key not in _OWN}
    return RuleData(
        id=name,
        text=table["text"],
        severity=table["severity"],
        source=table["source"],
        on=table.get("on", True),
        parameters={**RULES[name].parameters, **given},
    )


def _problems(name: str, table: Any) -> list[str]:
    if name not in RULES:
        return [f"there is no rule {name!r}: allowed are {', '.join(RULES)}"]
    if not isinstance(table, dict):
        return [f"{name} is no table: write [{name}]"]
    known = RULES[name].parameters
    wrong = [
        f"{name}: {key} is missing: a text in quotes" for key in ("text", "source") if not _is_text(table.get(key))
    ]
    if table.get("severity") not in get_args(Severity):
        wrong.append(f"{name}: severity {table.get('severity')!r}: allowed are {', '.join(get_args(Severity))}")
    if not isinstance(table.get("on", True), bool):
        wrong.append(f"{name}: on is true or false")
    for key, value in table.items():
        if key in _OWN:
            continue
        if key not in known:
            wrong.append(f"{name}: {key} is unknown: its parameters are {', '.join(known) or 'none'}")
        elif not _fits(value, known[key]):
            wrong.append(f"{name}: {key} {value!r} is not like {known[key]!r}")
        else:
            wrong += [f"{name}: {key} {what}" for what in _implausible(key, value)]
    return wrong


def _implausible(key: str, value: Any) -> list[str]:
    """What a parameter of that name cannot be."""
    allowed = get_args({"levels": Level, "reason_severity": Severity}.get(key, ()))
    given = value if isinstance(value, list) else [value]
    wrong = [f"{each!r}: allowed are {', '.join(allowed)}" for each in given if allowed and each not in allowed]
    if key.endswith("_pct") and value > 100:
        wrong.append(f"{value!r} is more than 100")
    return wrong


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _fits(value: Any, default: Any) -> bool:
    """Whether a parameter may be that: of the kind of its default, and no number below 0."""
    if isinstance(default, int | float) and not isinstance(default, bool):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and 0 <= value < math.inf and (isinstance(default, float) or isinstance(value, int))
    if isinstance(default, list):
        return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
    return type(value) is type(default)


def _lines(text: str) -> dict[str, int]:
    """The line of each table's header."""
    headers = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return {line[1:-1].strip(): number for number, line in headers if line.startswith("[") and line.endswith("]")}
