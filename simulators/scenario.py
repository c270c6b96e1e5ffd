"""Scenarios: who does what when, as TOML that a nurse could read.

    title = "..."            seed = 7            procedure = "..."
    [patient]                name (DICOM PN), id, birth_date (YYYY-MM-DD), sex, weight_kg; then what the body is like
    [staff]                  actor: who gives the commands where a step does not say
    [[device]]               id, kind (a key of KINDS), settings of that kind
    [[step]]                 at_s, who (staff, patient or a device's id), do, say (shown to people), parameters of `do`

Rules:
- Everything is checked before anything starts, against the devices' own actions: a scenario cannot ask for what a
  device cannot do. All mistakes are reported together, each with its line.
- Steps are in the order of their times; times are scenario seconds from the start.
"""

from __future__ import annotations

import inspect
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple

from simulators.carm.carm import CArm
from simulators.carm.case import Identity
from simulators.device import SerialDevice
from simulators.monitors.ge_dri import GeDri
from simulators.monitors.masimo_ascii1 import MasimoAscii1
from simulators.monitors.nellcor_ascii import NellcorAscii
from simulators.patient import Patient
from simulators.pumps.new_era import NewEra
from simulators.staff import Staff

SERIAL_KINDS: Mapping[str, type[SerialDevice]] = {
    "ge_dri": GeDri,
    "masimo_ascii1": MasimoAscii1,
    "nellcor_ascii": NellcorAscii,
    "new_era": NewEra,
}
KINDS: Mapping[str, type[SerialDevice] | type[CArm]] = {**SERIAL_KINDS, "carm": CArm}
LIBRARY = Path(__file__).parent / "scenarios"

_NOT_SETTINGS = frozenset({"seed", "name", "study"})  # the room gives these
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER = re.compile(r"\s*\[\[?\s*(\w+)\s*\]\]?")
_STEP_KEYS = frozenset({"at_s", "who", "do", "say"})
_WORDS = {float: "a number", int: "a whole number", str: "a text in quotes", bool: "true or false"}
_TOP_KEYS = frozenset({"title", "seed", "procedure", "patient", "staff", "device", "step"})


class ScenarioError(ValueError):
    """The scenario is wrong. `problems`: every mistake, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DeviceSpec(NamedTuple):
    """One device of the room."""

    id: str
    kind: str
    settings: dict[str, Any]


class Step(NamedTuple):
    """One thing that happens."""

    at_s: float
    who: str
    do: str
    params: dict[str, Any]
    say: str | None


class Scenario(NamedTuple):
    """A case. `body`: what `Patient` is made with."""

    title: str
    seed: int
    procedure: str
    identity: Identity
    body: dict[str, Any]
    actor: str
    devices: tuple[DeviceSpec, ...]
    steps: tuple[Step, ...]


def names() -> list[str]:
    """The scenarios that come with the simulators."""
    return sorted(path.stem for path in LIBRARY.glob("*.toml"))


def load(name_or_path: str) -> Scenario:
    """A scenario of the library by name, or a file. ScenarioError names every mistake."""
    path = LIBRARY / f"{name_or_path}.toml" if name_or_path in names() else Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(names())
        raise ScenarioError([f"{name_or_path}: {error.strerror}; a file, or one of {known}"]) from error
    return parse(text, path.name)


def parse(text: str, origin: str) -> Scenario:
    """A scenario from TOML. `origin` is what mistakes are reported under."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"{origin}: {error}"]) from error
    checker = _Checker(origin, text)
    scenario = checker.scenario(tree)
    if checker.problems:
        raise ScenarioError(checker.problems)
    return scenario


class _Checker:
    """Reads the tree and collects what is wrong with it."""

    def __init__(self, origin: str, text: str) -> None:
        self.problems: list[str] = []
        self._origin = origin
        self._lines: dict[str, list[int]] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                self._lines.setdefault(header[1], []).append(number)

    def scenario(self, tree: dict[str, Any]) -> Scenario:
        for key in tree.keys() - _TOP_KEYS:
            self._wrong(self._line(key, 0), f"{key} is unknown; one of {', '.join(sorted(_TOP_KEYS))}")
        card = self._table(tree, "patient")
        identity = self._identity(card)
        body = {key: value for key, value in card.items() if key not in ("name", "id", "birth_date", "sex")}
        self._params("[patient]", self._line("patient", 0), Patient.__init__, body, skip=("seed",))
        devices = tuple(self._devices(self._list(tree, "device")))
        return Scenario(
            title=self._text(tree, "title"),
            seed=self._whole(tree, "seed"),
            procedure=self._text(tree, "procedure"),
            identity=identity,
            body=body,
            actor=str(self._table(tree, "staff").get("actor", "Dr. Example")),
            devices=devices,
            steps=tuple(self._steps(self._list(tree, "step"), {device.id: device.kind for device in devices})),
        )

    def _identity(self, card: dict[str, Any]) -> Identity:
        line = self._line("patient", 0)
        for key in ("name", "id", "birth_date"):
            if not isinstance(card.get(key), str):
                self._wrong(line, f"[patient] {key} is missing, or not a text in quotes")
        born = str(card.get("birth_date", ""))
        try:
            born = date.fromisoformat(born).strftime("%Y%m%d")
        except ValueError:
            self._wrong(line, f"[patient] birth_date {born!r}: YYYY-MM-DD")
        weight = card.get("weight_kg")
        return Identity(str(card.get("name")), str(card.get("id")), born, str(card.get("sex", "")), weight_kg=weight)

    def _devices(self, tables: list[dict[str, Any]]) -> Iterator[DeviceSpec]:
        seen: set[str] = {"staff", "patient"}
        for index, table in enumerate(tables):
            line = self._line("device", index)
            name, kind = str(table.get("id", "")), str(table.get("kind", ""))
            if not _ID.fullmatch(name) or name in seen:
                self._wrong(
                    line, f"[[device]] id {name!r}: letters, digits, - and _, each id once, not staff or patient"
                )
            seen.add(name)
            settings = {key: value for key, value in table.items() if key not in ("id", "kind")}
            if kind not in KINDS:
                self._wrong(line, f"{name}: kind {kind!r} is unknown; one of {', '.join(KINDS)}")
                continue
            self._values(name, line, settings, _settings(KINDS[kind]))
            yield DeviceSpec(name, kind, settings)

    def _steps(self, tables: list[dict[str, Any]], kinds: Mapping[str, str]) -> Iterator[Step]:
        before_s = 0.0
        for index, table in enumerate(tables):
            line, label = self._line("step", index), f"step {index + 1}"
            at_s = table.get("at_s")
            if isinstance(at_s, int | float) and at_s >= before_s:
                before_s = float(at_s)
            else:
                self._wrong(line, f"{label}: at_s {at_s!r} must be a number, not before the step above it")
            params = {key: value for key, value in table.items() if key not in _STEP_KEYS}
            step = Step(before_s, str(table.get("who")), str(table.get("do")), params, table.get("say"))
            self._step(line, label, step, kinds)
            yield step

    def _step(self, line: int, label: str, step: Step, kinds: Mapping[str, str]) -> None:
        who = ("staff", "patient", *kinds)
        if step.who not in who:
            self._wrong(line, f"{label}: who {step.who!r} is unknown; one of {', '.join(who)}")
            return
        actions = _actions(step.who, kinds)
        if step.do not in actions:
            self._wrong(line, f"{label}: {step.who} cannot {step.do!r}; one of {', '.join(sorted(actions))}")
            return
        self._params(f"{label}: {step.who} {step.do}", line, actions[step.do], step.params, skip=("action", "at_s"))

    def _params(
        self, label: str, line: int, method: Callable[..., Any], params: Mapping[str, Any], skip: tuple[str, ...]
    ) -> None:
        """Whether `method` can be called with `params`; `skip` is what the room itself gives."""
        hints = typing.get_type_hints(method)
        known = {name: p for name, p in inspect.signature(method).parameters.items() if name not in ("self", *skip)}
        self._values(label, line, params, {key: hints[key] for key in known})
        for key, parameter in known.items():
            if key not in params and parameter.default is inspect.Parameter.empty:
                self._wrong(line, f"{label}: {key} is missing")

    def _values(self, label: str, line: int, given: Mapping[str, Any], hints: Mapping[str, object]) -> None:
        for key, value in given.items():
            if key not in hints:
                self._wrong(line, f"{label}: {key} is unknown; one of {', '.join(sorted(hints)) or 'nothing'}")
            elif not _fits(value, hints[key]):
                self._wrong(line, f"{label}: {key} {value!r} is not {_allowed(hints[key])}")

    def _text(self, tree: dict[str, Any], key: str) -> str:
        if not isinstance(tree.get(key), str):
            self._wrong(1, f"{key} is missing, or not a text in quotes")
        return str(tree.get(key))

    def _whole(self, tree: dict[str, Any], key: str) -> int:
        value = tree.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._wrong(1, f"{key} {value!r}: a whole number, not negative")
            return 0
        return value

    def _table(self, tree: dict[str, Any], key: str) -> dict[str, Any]:
        value = tree.get(key)
        if isinstance(value, dict):
            return value
        self._wrong(self._line(key, 0), f"[{key}] is missing")
        return {}

    def _list(self, tree: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = tree.get(key)
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            return value
        self._wrong(self._line(key, 0), f"there must be at least one [[{key}]]")
        return []

    def _line(self, header: str, index: int) -> int:
        lines = self._lines.get(header, [])
        return lines[index] if index < len(lines) else 1

    def _wrong(self, line: int, what: str) -> None:
        self.problems.append(f"{self._origin}:{line}: {what}")


def _settings(kind: type) -> dict[str, object]:
    """The keyword settings of a device class and those it inherits, with their types."""
    found: dict[str, object] = {}
    for made in (vars(base).get("__init__") for base in kind.__mro__ if base is not object):
        if made is not None:
            hints = typing.get_type_hints(made)
            keywords = inspect.signature(made).parameters.values()
            found |= {p.name: hints[p.name] for p in keywords if p.kind is inspect.Parameter.KEYWORD_ONLY}
    return {name: hint for name, hint in found.items() if name not in _NOT_SETTINGS}


def _actions(who: str, kinds: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
    if who == "staff":
        return Staff.ACTIONS
    if who == "patient":
        return dict.fromkeys(Patient.actions(), Patient.do)
    return KINDS[kinds[who]].ACTIONS


def _fits(value: object, hint: object) -> bool:
    """Whether a TOML value may be given where `hint` is declared."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _allowed(hint: object) -> str:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_allowed(option) for option in typing.get_args(hint) if option is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    return _WORDS.get(hint, str(hint)) if isinstance(hint, type) else str(hint)
