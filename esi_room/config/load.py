"""From a file to a configuration: all its mistakes at once, or none and the configuration."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from esi_room.config import devices, rules
from esi_room.config.carm import (
    Carm,
    CarmDestination,
    CarmHospital,
    CarmLimits,
    CarmPeer,
    CarmTls,
    CarmWorklist,
)
from esi_room.config.display import Display, DisplayBroker
from esi_room.config.lines import Lines
from esi_room.config.model import Device, Mqtt, Procedure, Retention, Room, RoomConfig, RoomFile
from esi_room.config.notes import notes
from esi_room.config.rules import Mistake
from esi_room.config.table import Table
from esi_room.config.words import shown, unknown_key
from esi_room.errors import ConfigurationError

TABLES: dict[tuple[str, ...], type[Table]] = {
    (): RoomFile,
    ("room",): Room,
    ("mqtt",): Mqtt,
    ("carm",): Carm,
    ("carm", "peer"): CarmPeer,
    ("carm", "limits"): CarmLimits,
    ("carm", "tls"): CarmTls,
    ("carm", "destination"): CarmDestination,
    ("carm", "worklist"): CarmWorklist,
    ("carm", "worklist", "hospital"): CarmHospital,
    ("device",): Device,
    ("procedure",): Procedure,
    ("retention",): Retention,
    ("display",): Display,
    ("display", "broker"): DisplayBroker,
}
_WRONG_TYPE = {
    "string_type": "is no text in quotes",
    "path_type": "is no text in quotes",
    "bool_type": "is neither true nor false",
    "int_type": "is no whole number",
    "float_type": "is no number",
    "dict_type": "is no table",
    "model_type": "is no table",
    "tuple_type": "is no list of tables",
}
# Values that may be a password put into the wrong key.
_NEVER_SHOWN = ("password_env", "password_file")
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_SYNTAX_HINT = {"Invalid value": "text must stand in quotes; numbers, true and false must not"}


class Finding(NamedTuple):
    """Something about one line of the file; `line` is None where the file could not be read."""

    line: int | None
    text: str


class Findings(NamedTuple):
    """All that can be said of a file. `config` is there exactly when there are no mistakes."""

    path: FilePath
    config: RoomConfig | None
    mistakes: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    def spell(self, finding: Finding) -> str:
        """`room.toml:12: what is wrong`."""
        return f"{self.path}{'' if finding.line is None else f':{finding.line}'}: {finding.text}"


def load(path: FilePath) -> RoomConfig:
    """The configuration in the file `path`. ConfigurationError with every mistake in it."""
    findings = examine(path)
    if findings.config is None:
        raise ConfigurationError([findings.spell(mistake) for mistake in findings.mistakes])
    return findings.config


def examine(path: FilePath) -> Findings:
    """Everything that is wrong with the file `path`, and everything worth a note if nothing is."""
    try:
        octets = path.read_bytes()
        text = octets.decode("utf-8-sig")
        raw = tomllib.loads(text)
        lines = Lines(text)
    except OSError as problem:
        return _unread(path, None, f"cannot be read: {problem.strerror}")
    except UnicodeDecodeError as problem:
        line = octets.count(b"\n", 0, problem.start) + 1
        return _unread(path, line, f"byte 0x{octets[problem.start]:02X} is not UTF-8; save the file as UTF-8")
    except tomllib.TOMLDecodeError as problem:
        return _unread(path, *_syntax(str(problem), text))
    except (RecursionError, ValueError) as problem:  # brackets nested a thousand deep, a number of 5000 digits
        return _unread(path, 1, f"this cannot be read: {problem}")
    checked, wrong = _checked(raw, path)
    wrong += [*rules.mistakes(raw), *devices.mistakes(raw)]
    if checked is None or wrong:
        return Findings(path, None, _findings(wrong, lines), ())
    config = RoomConfig.model_construct(
        path=path, sha256=hashlib.sha256(octets).hexdigest(), **dict(checked), _fields_set=checked.model_fields_set
    )
    return Findings(path, config, (), _findings(notes(config), lines))


def _unread(path: FilePath, line: int | None, text: str) -> Findings:
    return Findings(path, None, (Finding(line, text),), ())


def _syntax(problem: str, text: str) -> tuple[int, str]:
    """Line and words of what `tomllib` could not read; it stops at the first."""
    place = _SYNTAX_PLACE.search(problem)
    said = problem[: place.start()] if place else problem
    line = int(place[1]) if place and place[1] else len(text.splitlines()) or 1
    hint = _SYNTAX_HINT.get(said)
    return line, f"this is not TOML: {said}{f' ({hint})' if hint else ''}"


def _checked(raw: dict[str, Any], path: FilePath) -> tuple[RoomFile | None, list[Mistake]]:
    try:
        return RoomFile.model_validate(raw, context={"base": path.parent}), []
    except ValidationError as problem:
        return None, [Mistake(error["loc"], _words(error)) for error in problem.errors()]


def _findings(mistakes: Iterable[Mistake], lines: Lines) -> tuple[Finding, ...]:
    """In the order of the file, each once."""
    return tuple(sorted({Finding(lines.of(mistake.path), mistake.text) for mistake in mistakes}))


def _words(error: ErrorDetails) -> str:
    """A mistake found by pydantic, in this file's words."""
    keys = tuple(_names(error["loc"]))
    name, fields = ".".join(keys), TABLES[keys[:-1]].model_fields
    if error["type"] == "extra_forbidden":
        return unknown_key(".".join(keys[:-1]), keys[-1], fields)
    allowed = fields[keys[-1]].description
    if error["type"] == "missing":
        return f"{name} is missing; needed: {allowed}"
    if error["type"] == "tuple_type" and isinstance(error["input"], dict):
        return f"[{name}] stands in single brackets; write [[{name}]]"
    if error["type"] == "model_type" and isinstance(error["input"], list):
        return f"[[{name}]] stands in double brackets; write [{name}]"
    value = "" if keys[-1] in _NEVER_SHOWN else f" = {shown(error['input'])}"
    return f"{name}{value} {_problem(error)}; allowed: {allowed}"


def _problem(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _WRONG_TYPE.get(error["type"], "is not allowed")


def _names(path: tuple[str | int, ...]) -> Iterator[str]:
    return (key for key in path if isinstance(key, str))
