"""Displayed values: one 278-byte subrecord into readings, conditions and fields. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from esi_room.drivers.ge_dri import tables as t
from esi_room.drivers.ge_dri import words
from esi_room.events import Reading, ReadingStatus
from esi_room.nomenclature import ETCO2, RESPIRATORY_RATE_BY_CO2, Parameter, reading, vendor

SUBRECORD_BYTES = 278
BODY = slice(4, 274)
AUX_BYTES = 114

NIBP_STALE_AFTER_S = 300.0  # a cuff value is good until the next is due: ASA standard, every 5 minutes

_HEADER = struct.Struct("<IH")
_TAIL = struct.Struct("<BBH")
_AUX = struct.Struct("<IhIIh")


class Nibp(NamedTuple):
    """The cuff group apart: whether its values are worth telling depends on the records before."""

    active: bool
    measuring: bool
    old: bool
    readings: tuple[Reading, ...]

    @property
    def valid(self) -> bool:
        return any(r.value is not None for r in self.readings)


class Values(NamedTuple):
    """What one subrecord says. `nibp` None: this class has none, or the module is absent."""

    class_: int
    time_s: int
    readings: tuple[Reading, ...]
    conditions: tuple[str, ...]
    fields: dict[str, Any]
    nibp: Nibp | None


def values(subrecord: bytes) -> Values | None:
    """Decode one displayed-values (or trend) subrecord; None if it is cut off."""
    if len(subrecord) < SUBRECORD_BYTES:
        return None
    body = subrecord[BODY]
    marker, _, tail = _TAIL.unpack_from(subrecord, BODY.stop)
    class_ = tail >> 8 & 0xF
    parts = list(_parts(class_, body))
    fields: dict[str, Any] = {"marker": marker} if class_ == t.BASIC else {}
    for part in parts:
        fields |= part.fields
    if class_ not in t.GROUPS:
        fields[f"class_{class_}_hex"] = body.hex()
    return Values(
        class_=class_,
        time_s=int.from_bytes(subrecord[:4], "little"),
        readings=tuple(r for part in parts if part.name != "nibp" for r in part.readings),
        conditions=tuple(word for part in parts for word in part.conditions),
        fields=fields | _unknown(class_, body),
        nibp=next((_nibp(part) for part in parts if part.name == "nibp"), None),
    )


class _Part(NamedTuple):
    """One group, decoded."""

    name: str
    active: bool
    label: int
    readings: tuple[Reading, ...]
    conditions: tuple[str, ...]
    fields: dict[str, Any]


def _parts(class_: int, body: bytes) -> Iterator[_Part]:
    """The groups whose module is there."""
    status, label = 0, 0
    for group in t.GROUPS.get(class_, ()):
        at = group.at
        if group.own_header:
            status, label = _HEADER.unpack_from(body, at)
            at += t.GROUP_HEADER_BYTES
        if status & 3:
            raw = struct.unpack_from(f"<{len(group.fields)}h", body, at)
            yield _part(group, status, label, raw, body)


def _part(group: t.Group, status: int, label: int, raw: tuple[int, ...], body: bytes) -> _Part:
    active = bool(status & 2)
    named = active and group.own_header
    fields = _label_fields(group.name, label) if named else {}
    uncertain = {f.key: n for f, n in zip(group.fields, raw, strict=True) if f.parameter is None}
    if active and uncertain:
        fields[f"{group.name}_raw"] = uncertain
    readings = []
    for field, n in zip(group.fields, raw, strict=True):
        if field.parameter is not None:
            flags = _flags(group.name, field.key, status, label) if named else ()
            parameter = _coded(group.name, field.key, field.parameter, flags)
            readings.append(_reading(parameter, n, field.divisor, active, flags))
    if group.name == "co2":
        readings.append(_etco2_mmhg(readings))
    told = _status_words(group, status) if group.own_header else ()
    return _Part(group.name, active, label, tuple(readings), told + _more_words(group.name, label, body), fields)


def _reading(parameter: Parameter, raw: int, divisor: int, active: bool, flags: tuple[str, ...]) -> Reading:
    """Inactive: not measured, whatever number is there. At or under -32001: no measurement, but a reason."""
    if not active:
        return reading(parameter, None, "off", ("not_active",))
    if raw < words.SMALLEST_VALUE:
        return reading(parameter, None, "invalid", (*flags, words.SPECIAL_VALUES.get(raw, f"special_{raw}")))
    return reading(parameter, raw if divisor == 1 else raw / divisor, "ok", flags)


def _coded(group: str, key: str, parameter: Parameter, flags: tuple[str, ...]) -> Parameter:
    """The code of a rate depends on what the monitor counts it from."""
    if (group, key) == ("ecg", "hr") and not {f"source_{s}" for s in words.ECG_SOURCES} & set(flags):
        return vendor("ge_dri:ecg.hr", parameter.name, parameter.unit)
    if (group, key) == ("co2", "rr") and "source_co2" in flags:
        return RESPIRATORY_RATE_BY_CO2
    return parameter


def _etco2_mmhg(co2: list[Reading]) -> Reading:
    """EtCO2 as a pressure: the percentage, of the pressure that the same record states."""
    percent, pressure = co2[0], co2[3]
    if percent.value is None:
        return reading(ETCO2, None, percent.status, percent.flags)
    if pressure.value is None:
        return reading(ETCO2, None, "invalid", ("no_ambient_pressure",))
    return reading(ETCO2, round(percent.value / 100 * pressure.value, 3), "ok", percent.flags)


# --- status and labels ----------------------------------------------------------------------------------


def _status_words(group: t.Group, status: int) -> tuple[str, ...]:
    """Every set bit that is no part of a number, as a word; one without a name by its number."""
    numbers = (0, 1, *t.NUMBER_BITS.get(group.name, ()))
    return tuple(group.bits.get(n, f"{group.name}_bit_{n}") for n in range(32) if status >> n & 1 and n not in numbers)


def _more_words(group: str, label: int, body: bytes) -> tuple[str, ...]:
    """Bits that stand elsewhere than in the group's status."""
    if group == "nibp":
        return _words(label, words.NIBP_BITS)
    if group == "co_wedge":
        return _words(label, words.CO_BITS)
    if group == "arrh_ecg":
        bits = int.from_bytes(body[words.ARRHYTHMIA_AT : words.ARRHYTHMIA_AT + 4], "little")
        return tuple(words.ARRHYTHMIA_BITS.get(n, f"arrh_bit_{n}") for n in range(32) if bits >> n & 1)
    return ()


def _words(bits: int, table: dict[int, str]) -> tuple[str, ...]:
    return tuple(word for n, word in table.items() if bits >> n & 1)


def _flags(group: str, key: str, status: int, label: int) -> tuple[str, ...]:
    """What a group's label (for the heart rate: its status) says of one reading."""
    if (group, key) == ("ecg", "hr"):
        return (f"source_{_pick(words.HR_SOURCES, status >> 3 & 0xF)}",)
    about = words.LABELS.get(group)
    if about is None or about.key not in {key, None}:
        return ()
    word = _pick(about.words, label & about.mask)
    return (f"{about.prefix}_{word}",) if word else ()


def _label_fields(group: str, label: int) -> dict[str, Any]:
    """What a label says beside the readings; as a number where nothing here explains it."""
    if group == "ecg":
        return _ecg_fields(label)
    if group == "nibp":
        return {"nibp_cuff": _pick(words.CUFFS, label & 7)}
    if group in words.LABELS or group == "co_wedge" or not label:
        return {}
    return {f"{group}_label": label}


def _ecg_fields(label: int) -> dict[str, Any]:
    """Four bits a channel, channel 1 highest; bits 12 and 13 are the QRS source."""
    leads = [_pick(words.ECG_LEADS, label >> shift & 0xF) for shift in (8, 4, 0)]
    return {"ecg_leads": leads, "ecg_qrs_source": label >> 12 & 3}


def _pick(table: tuple[Any, ...], n: int) -> Any:
    return table[n] if n < len(table) else f"unknown_{n}"


def _nibp(part: _Part) -> Nibp:
    flags = ("older_than_60_s",) if part.label & words.NIBP_OLD else ()
    return Nibp(
        active=part.active,
        measuring=bool(part.label & words.NIBP_MEASURING),
        old=bool(flags),
        readings=tuple(_cuff_reading(r, flags) for r in part.readings),
    )


def _cuff_reading(r: Reading, flags: tuple[str, ...]) -> Reading:
    status: ReadingStatus = "questionable" if flags and r.status == "ok" else r.status
    parameter = Parameter(r.code, r.name, r.unit)
    return reading(parameter, r.value, status, r.flags + flags, NIBP_STALE_AFTER_S)


def _unknown(class_: int, body: bytes) -> dict[str, str]:
    spans = {f"class_{class_}_{start}_hex": body[start:end] for start, end in t.UNKNOWN.get(class_, ())}
    return {key: octets.hex() for key, octets in spans.items() if any(octets)}


def aux(subrecord: bytes) -> dict[str, Any] | None:
    """The auxiliary subrecord: times of spot measurements (Unix seconds, monitor's clock); 0 is unknown."""
    if len(subrecord) < AUX_BYTES:
        return None
    nibp_s, _, co_s, pcwp_s, bsa = _AUX.unpack_from(subrecord)
    fields = {"nibp_time_s": nibp_s, "co_time_s": co_s, "pcwp_time_s": pcwp_s, "body_surface_m2": bsa / 100}
    return {key: value for key, value in fields.items() if value > 0}
