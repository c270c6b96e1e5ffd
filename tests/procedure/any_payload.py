"""Any payload that the room's own types allow, for hypothesis: a strategy made from what msgspec knows of a type.

Words are few and numbers of entries small, so that things meet: the same syringe twice, a correction of a form that is
there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from esi_room.clock import NS, Stamp
from esi_room.events import BY_TYPE, FORMS, Payload, Plan, ProcedureStarted, Reading
from esi_room.events.clinical import ALL, Correction
from esi_room.procedure.taken import Taken

T0_NS = 1_700_000_000 * NS
SOURCES = ("room", "carm", "monitor-1", "pump-1")
ENTRIES = 40  # a record of these tests has no more
INT64 = 2**63

_BY_PATTERN = {
    r"^[A-Za-z0-9_-]{1,64}$": st.sampled_from(["A", "B", "pump-1"]),
    r"^[0-9.]{1,64}$": st.just("1.2.3"),
    r"^\d{4}-\d{2}-\d{2}$": st.sampled_from(["2026-02-28", "2026-02-30", "0000-00-00"]),
    r"^[0-9a-f]{32}$": st.sampled_from(["0" * 32, "a1" * 16]),
    r"^\d{8}T\d{6}Z-[0-9a-f]{4}$": st.just("20261123T093000Z-1f2e"),
    r"\S": st.sampled_from(["x", "Frau Müller", "\U0001f9e0"]),
}
_NAMES = st.sampled_from(
    ["heart_rate_bpm", "pulse_rate_bpm", "nibp_systolic_mmhg", "spo2_pct", "etco2_mmhg", "temperature_1_cel"]
)
_VALUE = inspect.UnionType((inspect.IntType(), inspect.FloatType()))


def _text(kind: inspect.StrType) -> st.SearchStrategy[Any]:
    if kind.pattern is None:
        return st.sampled_from(["", "x", "A", "2026-11-23T09:30:00Z"]) if not kind.min_length else st.just("x")
    if kind.pattern in _BY_PATTERN:
        return _BY_PATTERN[kind.pattern]
    return st.sampled_from(["2026-11-23T09:30:00Z", "2026-11-23T25:61:00.5+01:00"])  # RFC 3339, in its shape at least


def _number(kind: inspect.IntType | inspect.FloatType) -> st.SearchStrategy[Any]:
    low = kind.ge if kind.ge is not None else kind.gt
    high = kind.le if kind.le is not None else kind.lt
    if isinstance(kind, inspect.IntType):
        return st.integers(-INT64 if low is None else int(low), INT64 if high is None else int(high))
    wide = {"allow_nan": False, "allow_infinity": False}
    number = st.floats(low, high, exclude_min=kind.gt is not None, exclude_max=kind.lt is not None, **wide)
    plain = st.integers(0, 200).map(float).filter(lambda x: (low is None or x > low) and (high is None or x < high))
    return number | plain


def _of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.Metadata():
            return _of(kind.type)
        case inspect.StructType():
            return of_type(kind.cls)
        case inspect.UnionType():
            return st.one_of(*(_of(each) for each in kind.types))
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.StrType():
            return _text(kind)
        case inspect.IntType() | inspect.FloatType():
            return _number(kind)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.VarTupleType():
            most = 3 if kind.max_length is None else min(3, kind.max_length)
            return st.lists(_of(kind.item_type), min_size=kind.min_length or 0, max_size=most).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_of(kind.key_type), _of(kind.value_type), max_size=2)
        case inspect.AnyType():
            return st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "A"])
    raise NotImplementedError(kind)


@cache
def of_type(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Any instance of a struct that msgspec would let in."""
    if cls is Correction:
        return corrections()
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    fields = {field.name: _of(field.type) for field in info.fields}
    if cls is Reading:
        fields |= {"name": _NAMES, "value": st.none() | st.sampled_from([30, 49, 50, 70, 90.5, 140]) | _of(_VALUE)}
    return st.builds(cls, **fields)


@cache
def corrections() -> st.SearchStrategy[Correction]:
    """Of any form, by the fields of any."""
    fields = st.one_of(*(of_type(form).map(_some_fields) for form in ALL if form is not Correction))
    loose = st.dictionaries(st.sampled_from(["side", "actor", "code", "volume_ml", "nonsense"]), _of(inspect.AnyType()))
    return st.builds(
        Correction,
        actor=st.just("x"),
        seq=st.integers(0, ENTRIES),
        reason=st.just("x"),
        fields=fields | loose,
        withdrawn=st.booleans(),
    )


def _some_fields(form: Payload) -> dict[str, Any]:
    said = msgspec.json.decode(msgspec.json.encode(form))
    return {name: value for name, value in said.items() if name not in ("actor", "code")}


TELLING = (
    "procedure.phase",
    "carm.image",
    "carm.dose",
    "pump.started",
    "pump.status",
    "vitals.numeric",
    "procedure.delivery",
)
ABOUT_THE_NEEDLE = (
    "approach",
    "needle",
    "aspiration",
    "contrast",
    "hand_injection",
    "drawn_up",
    "drug_given",
    "time_out",
)


def _any_of(kinds: Iterable[type[Payload]]) -> st.SearchStrategy[Payload]:
    return st.sampled_from(list(kinds)).flatmap(of_type)


def payloads() -> st.SearchStrategy[Payload]:
    """Any of any type, forms and what rules look at more often."""
    return st.one_of(
        _any_of(BY_TYPE.values()),
        _any_of(FORMS.values()),
        _any_of(FORMS[name] for name in ABOUT_THE_NEEDLE),
        *[_any_of(BY_TYPE[name] for name in TELLING)] * 2,
    )


@st.composite
def records(draw: st.DrawFn) -> list[Taken]:
    """Entries as they come: the clocks go on, now and then one of them steps; what happened may have been before."""
    size = draw(st.integers(0, ENTRIES))
    said = draw(st.lists(payloads(), min_size=size, max_size=size))
    started = [ProcedureStarted(procedure=None, origin="staff", plan=draw(of_type(Plan)))]
    mono_ns, entries = 0, []
    for seq, payload in enumerate((started if draw(st.integers(0, 9)) else []) + said):
        mono_ns += draw(st.sampled_from([0, 1, 2, 5, 31, 61, 301])) * NS
        wall_ns = T0_NS + mono_ns + draw(st.sampled_from([0, 0, 0, -3600, 3600])) * NS
        happened_ns = wall_ns - draw(st.sampled_from([0, 0, 0, 60, 600])) * NS
        source = draw(st.sampled_from(SOURCES))
        entries.append(Taken(seq, happened_ns, Stamp(wall_ns, mono_ns), source, payload))
    return entries
