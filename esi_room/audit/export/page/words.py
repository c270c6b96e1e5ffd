"""What an entry says, in words that a person reads: for the tables, the drawing and the panel alike."""

from __future__ import annotations

from typing import Any

import msgspec

from esi_room.audit.export.case import Case, Said
from esi_room.events import Clinical

_LABELS = {
    "spo2_pct": "SpO₂",
    "heart_rate_bpm": "Heart rate",
    "pulse_rate_bpm": "Pulse",
    "respiratory_rate_bpm": "Respiration",
    "etco2_mmhg": "EtCO₂",
    "nibp_systolic_mmhg": "Cuff, systolic",
    "nibp_diastolic_mmhg": "Cuff, diastolic",
    "nibp_mean_mmhg": "Cuff, mean",
}
"""Of the vital signs that have a lane; any other has its own name, without the unit."""
_UNITS = {"mm[Hg]": "mmHg", "Cel": "°C", "m[H2O]": "mH₂O", "cm[H2O]": "cmH₂O"}
"""As a person writes what UCUM writes otherwise."""


def label(name: str) -> str:
    """Of a reading's name."""
    return _LABELS.get(name) or name.rpartition("_")[0].replace("_", " ") or name


def is_main(name: str) -> bool:
    """One of the signs that are looked for first."""
    return name in _LABELS


def unit(ucum: str) -> str:
    """Of a reading's unit."""
    return _UNITS.get(ucum, ucum)


def form_name(said: Said) -> str:
    """`clinical.time_out` is `time out`."""
    return said.entry.type.rpartition(".")[2].replace("_", " ")


def actor(said: Said) -> str:
    """Who said a form."""
    return said.data.actor if isinstance(said.data, Clinical) else ""


def fields(form: Any) -> dict[str, Any]:
    """What a form says, but for who said it."""
    found = msgspec.to_builtins(form)
    return {key: value for key, value in found.items() if key not in ("actor", "code")}


def words(value: Any) -> str:
    """Nested fields as a person reads them: `drug lidocaine, volume_ml 3`."""
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')} {words(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"({words(each)})" if isinstance(each, dict) else words(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not said"
    return f"{value:g}" if isinstance(value, float) else str(value)


def counts_now(case: Case, said: Said) -> str | None:
    """What counts in place of a form that was corrected; None where it was not."""
    if said.entry.seq not in case.corrections or said.place == "late":
        return None
    fact = case.facts.form(said.entry.seq)
    return "withdrawn" if fact is None else words(fields(fact.data))
