"""Scenarios: who does what when, as TOML that a nurse could read.

    title = "..."          seed = 7            procedure = "..."
    expect = ["R1"]        the rules whose alerts it is to raise, exactly; none where it does not say
    patient = {...}        name (DICOM PN), id, birth_date (YYYY-MM-DD), sex, weight_kg; then what the body is like
    staff = {...}          actor: who speaks where a step does not say; further people, each under a short name
    device = [ {...}, ]    id, kind (a key of KINDS), settings of that kind
    step = [ {...}, ]      at (m:ss or h:mm:ss from the start), who (one of the staff, patient or a device's id; the
                           actor where it is left out), do, say (shown to people), parameters of `do`
    extends, without       a scenario as another one with differences: see `notation`

Rules:
- Everything is checked before anything starts, against the devices' own actions: a scenario cannot ask for what a
  device cannot do. What the staff say is the room's to judge: any command, its parameters as they are.
- All mistakes are reported together, each with the line that it is in. Steps are in the order of their times.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from simulators import notation
from simulators.carm.carm import CArm
from simulators.carm.case import Identity
from simulators.device import SerialDevice
from simulators.fitting import allowed, fits, is_json, settings_of
from simulators.monitors.ge_dri import GeDri
from simulators.monitors.masimo_ascii1 import MasimoAscii1
from simulators.monitors.nellcor_ascii import NellcorAscii
from simulators.notation import EXTENDS, WITHOUT, Part, Sheet
from simulators.patient import Patient
from simulators.pumps.new_era import NewEra
from simulators.staff import RESERVED, Staff

SERIAL_KINDS: Mapping[str, type[SerialDevice]] = {
    "ge_dri": GeDri,
    "masimo_ascii1": MasimoAscii1,
    "nellcor_ascii": NellcorAscii,
    "new_era": NewEra,
}
KINDS: Mapping[str, type[SerialDevice] | type[CArm]] = {**SERIAL_KINDS, "carm": CArm}
LIBRARY = Path(__file__).parent / "scenarios"

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COMMAND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RULE = re.compile(r"R[1-9][0-9]?|[a-z_]+(?:\.[a-z_]+)+")
_STEP_KEYS = frozenset({"at", "who", "do", "say"})
_TOP_KEYS = frozenset({"title", "seed", "procedure", "expect", "patient", "staff", "device", "step", EXTENDS, WITHOUT})


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
    """A case. `body`: what `Patient` is made with; `expect`: the rules whose alerts it is to raise."""

    title: str
    seed: int
    procedure: str
    expect: tuple[str, ...]
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
    return parse(text, path.name, path.parent)


def parse(text: str, origin: str, folder: Path = LIBRARY) -> Scenario:
    """A scenario from TOML. `origin` is what mistakes are reported under, `folder` where its base is looked for."""
    problems: list[str] = []
    sheet = _whole(notation.read(text, origin, problems), folder, (Path(origin).stem,), problems)
    if problems:  # a base that is missing, or half a file, would be a hundred mistakes more
        raise ScenarioError(problems)
    checker = _Checker()
    scenario = checker.scenario(sheet)
    if checker.problems:
        raise ScenarioError(checker.problems)
    return scenario


def _whole(own: Sheet, folder: Path, trail: tuple[str, ...], problems: list[str]) -> Sheet:
    """`own`, put together with what it extends. `trail`: the scenarios that led here."""
    base = own.keys.get(EXTENDS)
    if base is None:
        if WITHOUT in own.keys:
            problems.append(f"{own.place(WITHOUT)}: without what? There is no extends")
        return own
    path = next((path for path in (folder / f"{base}.toml", LIBRARY / f"{base}.toml") if path.is_file()), None)
    if path is None or base in trail:
        why = f"one of {', '.join(names())}" if path is None else f"goes in a circle: {' → '.join((*trail, base))}"
        problems.append(f"{own.place(EXTENDS)}: extends {base!r}: {why}")
        return own
    sheet = notation.read(path.read_text(encoding="utf-8"), path.name, problems)
    return notation.merged(_whole(sheet, path.parent, (*trail, base), problems), own, problems)


class _Checker:
    """Reads a sheet and collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def scenario(self, sheet: Sheet) -> Scenario:
        for key in sheet.keys.keys() - _TOP_KEYS:
            self._wrong(sheet.place(key), f"{key} is unknown; one of {', '.join(sorted(_TOP_KEYS))}")
        card, place = self._table(sheet, "patient"), sheet.place("patient")
        body = {key: value for key, value in card.items() if key not in ("name", "id", "birth_date", "sex")}
        self._params("patient", place, Patient.__init__, body, skip=("seed",))
        for key, parts in (("device", sheet.devices), ("step", sheet.steps)):
            if not parts:
                self._wrong(sheet.place(key), f"there must be at least one {key} = [{{…}}]")
        staff = self._staff(sheet)
        devices = tuple(self._devices(sheet.devices, {*staff, "patient"}))
        kinds = {device.id: device.kind for device in devices}
        return Scenario(
            title=self._text(sheet, "title"),
            seed=self._number(sheet, "seed"),
            procedure=self._text(sheet, "procedure"),
            expect=self._rules(sheet),
            identity=self._identity(card, place),
            body=body,
            actor=staff["staff"],
            devices=devices,
            steps=tuple(self._step(part, staff, kinds) for part in sheet.steps),
        )

    def _identity(self, card: dict[str, Any], place: str) -> Identity:
        for key in ("name", "id", "birth_date"):
            if not isinstance(card.get(key), str):
                self._wrong(place, f"patient: {key} is missing, or not a text in quotes")
        born = str(card.get("birth_date", ""))
        try:
            born = date.fromisoformat(born).strftime("%Y%m%d")
        except ValueError:
            self._wrong(place, f"patient: birth_date {born!r}: YYYY-MM-DD")
        weight = card.get("weight_kg")
        return Identity(str(card.get("name")), str(card.get("id")), born, str(card.get("sex", "")), weight_kg=weight)

    def _rules(self, sheet: Sheet) -> tuple[str, ...]:
        rules = sheet.keys.get("expect", [])
        if not isinstance(rules, list) or not all(isinstance(rule, str) and _RULE.fullmatch(rule) for rule in rules):
            self._wrong(sheet.place("expect"), f'expect {rules!r}: a list of rules, such as ["R1", "R10"]')
            return ()
        if len(set(rules)) < len(rules):
            self._wrong(sheet.place("expect"), f"expect {rules!r}: each rule once")
        return tuple(rules)

    def _devices(self, parts: list[Part], seen: set[str]) -> Iterator[DeviceSpec]:
        for part in parts:
            name, kind = str(part.value.get("id", "")), str(part.value.get("kind", ""))
            if not _ID.fullmatch(name) or name in seen:
                self._wrong(part.place, f"device id {name!r}: letters, digits, - and _, once, and nobody's name")
            seen.add(name)
            settings = {key: value for key, value in part.value.items() if key not in ("id", "kind")}
            if kind not in KINDS:
                self._wrong(part.place, f"{name}: kind {kind!r} is unknown; one of {', '.join(KINDS)}")
                continue
            self._values(name, part.place, settings, settings_of(KINDS[kind]))
            yield DeviceSpec(name, kind, settings)

    def _staff(self, sheet: Sheet) -> dict[str, str]:
        """The people by their short names; `staff` is the actor."""
        people = self._table(sheet, "staff")
        for short, name in people.items():
            if not isinstance(name, str) or not name or short in ("staff", "patient"):
                self._wrong(sheet.place("staff"), f"staff: {short} = {name!r}: a person's name in quotes")
        others = {short: name for short, name in people.items() if short != "actor"}
        return {"staff": people.get("actor", "Dr. Example"), **others}

    def _step(self, part: Part, staff: Mapping[str, str], kinds: Mapping[str, str]) -> Step:
        params = {key: value for key, value in part.value.items() if key not in _STEP_KEYS}
        who = str(part.value.get("who", "staff"))
        if who in staff and who != "staff":
            who, params = "staff", {"actor": staff[who], **params}
        step = Step(part.at_s, who, str(part.value.get("do")), params, part.value.get("say"))
        known = (*staff, "patient", *kinds)
        if who not in known:
            self._wrong(part.place, f"{part.label}: who {who!r} is unknown; one of {', '.join(known)}")
            return step
        actions = _actions(step.who, kinds)
        if step.do in actions:
            label = f"{part.label}: {step.who} {step.do}"
            self._params(label, part.place, actions[step.do], params, skip=("action", "at_s"))
        elif step.who == "staff" and _COMMAND.fullmatch(step.do):
            self._command(part, step)
        else:
            able = ", ".join(sorted(actions))
            self._wrong(part.place, f"{part.label}: {step.who} cannot {step.do!r}; one of {able}")
        return step

    def _command(self, part: Part, step: Step) -> None:
        """Whether it can be sent; what the room makes of it is the room's to say."""
        for key in RESERVED & step.params.keys():
            self._wrong(part.place, f"{part.label}: staff {step.do}: {key} is what the staff's console gives itself")
        if not is_json(step.params):
            self._wrong(part.place, f"{part.label}: staff {step.do}: a date or a time is written in quotes")

    def _params(
        self, label: str, place: str, method: Callable[..., Any], params: Mapping[str, Any], skip: tuple[str, ...]
    ) -> None:
        """Whether `method` can be called with `params`; `skip` is what the room itself gives."""
        hints = typing.get_type_hints(method)
        known = {name: p for name, p in inspect.signature(method).parameters.items() if name not in ("self", *skip)}
        self._values(label, place, params, {key: hints[key] for key in known})
        for key, parameter in known.items():
            if key not in params and parameter.default is inspect.Parameter.empty:
                self._wrong(place, f"{label}: {key} is missing")

    def _values(self, label: str, place: str, given: Mapping[str, Any], hints: Mapping[str, object]) -> None:
        for key, value in given.items():
            if key not in hints:
                self._wrong(place, f"{label}: {key} is unknown; one of {', '.join(sorted(hints)) or 'nothing'}")
            elif not fits(value, hints[key]):
                self._wrong(place, f"{label}: {key} {value!r} is not {allowed(hints[key])}")

    def _text(self, sheet: Sheet, key: str) -> str:
        if not isinstance(sheet.keys.get(key), str):
            self._wrong(sheet.place(key), f"{key} is missing, or not a text in quotes")
        return str(sheet.keys.get(key))

    def _number(self, sheet: Sheet, key: str) -> int:
        value = sheet.keys.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._wrong(sheet.place(key), f"{key} {value!r}: a whole number, not negative")
            return 0
        return value

    def _table(self, sheet: Sheet, key: str) -> dict[str, Any]:
        value = sheet.keys.get(key)
        if isinstance(value, dict):
            return value
        self._wrong(sheet.place(key), f"{key} = {{…}} is missing")
        return {}

    def _wrong(self, place: str, what: str) -> None:
        self.problems.append(f"{place}: {what}")


def _actions(who: str, kinds: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
    if who == "staff":
        return Staff.ACTIONS
    if who == "patient":
        return dict.fromkeys(Patient.actions(), Patient.do)
    return KINDS[kinds[who]].ACTIONS
