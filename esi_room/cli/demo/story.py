"""The demo's story: what each entry is worth telling, in a line. A function a type of entry; most are worth none.

Whoever is told of (`staff`, `room`, `carm`, `pump`, `alert`, or `device`: the entry's own source) gives the colour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Told = tuple[str, str]
"""Who, and what."""

CGY_CM2_PER_GY_M2 = 1e6
FORM_CHARS = 110  # of a form, that a line holds


class Story:
    """Tells of entries, and of some only once."""

    def __init__(self) -> None:
        self._rejected: set[str] = set()
        self._states: dict[str, str] = {}
        self._dose_told = ""

    def tell(self, entry: dict[str, Any]) -> Told | None:
        """What `entry` (a journal line) is worth."""
        kind, source, data = entry["type"], entry["source"], entry["data"]
        match kind:
            case "record.opened":
                return "room", f"{data['kind']} record {entry['record']} opened"
            case "device.state":
                return self._state(source, data)
            case "device.rejected":
                return self._reject(source, data)
            case "device.alarm" | "pump.alarm":
                return _alarm(source, data)
            case "carm.dose":
                return self._dose(data)
        return _entry(kind, data)

    def _state(self, source: str, data: dict[str, Any]) -> Told | None:
        again = self._states.get(source) == data["state"]
        self._states[source] = data["state"]
        return None if again else ("device", f"{data['state']}: {data['reason']}")

    def _reject(self, source: str, data: dict[str, Any]) -> Told | None:
        if source in self._rejected:
            return None
        self._rejected.add(source)
        return "device", f"rejects {data['bytes']} bytes: {', '.join(data['counts'])} (told once, recorded always)"

    def _dose(self, data: dict[str, Any]) -> Told | None:
        """The total, where a report or the procedure step changes it; image by image it is on the panel."""
        words = dose(data["total"])
        if data["provenance"] == "image header" or words in ("", self._dose_told):
            return None
        self._dose_told = words
        source = "MPPS" if data["provenance"] == "mpps" else data["provenance"]
        return "carm", f"dose by the {source}: {words}"


def view(data: dict[str, Any]) -> str:
    """Size and angle of an image, or what else the object is."""
    if data["rows"] is None:
        return {"SR": "dose report", "PR": "presentation state"}.get(
            data.get("modality") or "", "object without pixels"
        )
    size = f"{data['columns']}x{data['rows']}"
    angle = data.get("primary_angle_deg")
    return size if angle is None else f"{size} at {number(angle)}°"


def dose(data: dict[str, Any]) -> str:
    """Fluoroscopy time, dose area product and air kerma, in the units that people use."""
    known = [
        (data["fluoro_time_s"], 1, "s fluoroscopy"),
        (data["dap_gy_m2"], CGY_CM2_PER_GY_M2, "cGy·cm²"),
        (data["air_kerma_rp_gy"], 1000, "mGy"),
    ]
    return ", ".join(f"{number(value * factor)} {unit}" for value, factor, unit in known if value is not None)


def number(value: float | None) -> str:
    """As few digits as say it; `–` for none."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:g}"
    return f"{round(value, 1 if abs(value) >= 10 else 2):g}"


def _entry(kind: str, data: dict[str, Any]) -> Told | None:
    telling = _TELLING.get(kind)
    if telling is None:
        return ("staff", _form(kind, data)) if kind.startswith("clinical.") else None
    return telling(data)


# --- by type of entry -------------------------------------------------------------------------------------


def _alarm(source: str, data: dict[str, Any]) -> Told:
    return ("alert" if data["active"] else "device"), f"{source}: {data['text']}{'' if data['active'] else ' is over'}"


def _gap(data: dict[str, Any]) -> Told:
    return "device", f"nothing known from {data['from'][11:19]} to {data['to'][11:19]} ({data['reason']})"


def _pump_starts(data: dict[str, Any]) -> Told:
    return "pump", f"delivery starts: {number(data['rate_ml_h'])} mL/h, target {number(data['target_ml'])} mL"


def _pump_ends(word: str) -> Callable[[dict[str, Any]], Told]:
    return lambda data: ("pump", f"delivery {word}: {number(data['delivered_ml'])} mL")


def _image(data: dict[str, Any]) -> Told:
    frames = f"run of {data['frames']} frames " if (data["frames"] or 1) > 1 else "image " if data["rows"] else ""
    kv = f", {number(data['kvp'])} kV" if data.get("kvp") else ""
    again = " (received before)" if data["duplicate_of"] else ""
    late = " (taken in an earlier record)" if data.get("taken_in") else ""
    whose = " OF ANOTHER PATIENT" if data.get("identity") == "mismatch" else ""
    size = f"{data['size_bytes'] / 1024:.0f} KiB"
    return "carm", f"{frames}{view(data)}{kv}, {size}, {data['sha256'][:12]}{again}{late}{whose}"


def _step(data: dict[str, Any]) -> Told:
    order = f", order {data['order']}" if data.get("order") else ""
    images = f", {data['images']} objects" if data["images"] else ""
    return "carm", f"procedure step {data['status']}{order}{images}"


def _commitment(data: dict[str, Any]) -> Told | None:
    if data["state"] != "reported":
        return None
    failed = f", not for {len(data['failed'])}" if data.get("failed") else ""
    who = "the room stands" if data["by"] == "room" else f"{data['peer']} stands"
    return "carm", f"{who} for {len(data.get('committed', ()))} objects{failed}"


def _order(data: dict[str, Any]) -> Told:
    return "carm" if data[
        "change"
    ] == "chosen" else "staff", f"order {data['order']} {data['change']} ({data['origin']})"


def _offset(data: dict[str, Any]) -> Told:
    ahead = "behind" if data["offset_s"] > 0 else "ahead of"
    return "carm", f"its clock is {number(abs(data['offset_s']))} s {ahead} the room's"


def _form(kind: str, data: dict[str, Any]) -> str:
    """A form in one line: its name and the words and numbers in it."""
    words = _values({key: value for key, value in data.items() if key not in ("actor", "code")})
    told = f"{kind.removeprefix('clinical.').replace('_', ' ')}: {', '.join(words)}"
    return told if len(told) <= FORM_CHARS else f"{told[:FORM_CHARS]}…"


def _values(value: Any, name: str = "") -> list[str]:
    if isinstance(value, dict):
        return [word for key, inner in value.items() for word in _values(inner, key.replace("_", " "))]
    if isinstance(value, list):
        return [word for inner in value for word in _values(inner, name)]
    if isinstance(value, bool):
        return [name if value else f"no {name}"]
    return [f"{name} {number(value)}"] if isinstance(value, int | float) else [str(value).replace("_", " ")]


def _phase(data: dict[str, Any]) -> Told:
    who = "staff" if data["origin"] == "staff" else "device"
    return who, f"phase {data['phase'].upper()}{'' if who == 'staff' else ' (' + data['reason'] + ')'}"


def _delivery(data: dict[str, Any]) -> Told:
    what = ", ".join(drug.replace("_", " ") for drug in data["drugs"])
    paused = f", {len(data['interruptions'])} interruption(s)" if data.get("interruptions") else ""
    rate = "" if data["mean_rate_ml_h"] is None else f" at {number(data['mean_rate_ml_h'])} mL/h on average"
    return "pump", f"delivered {number(data['delivered_ml'])} mL {what}{rate}{paused}"


def _completeness(data: dict[str, Any]) -> Told:
    if data["complete"]:
        return "room", "the record is complete"
    items = [lack["item"] for lack in data["lacks"]]
    few = ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
    differences = [syringe["text"] for syringe in data["syringes"] if syringe["text"]]
    return "alert", "; ".join(filter(None, [f"the record lacks {few}" if items else "", *differences]))


_TELLING: dict[str, Callable[[dict[str, Any]], Told | None]] = {
    "record.sealed": lambda data: ("room", f"record sealed after {data['entries']} entries"),
    "procedure.started": lambda data: ("staff", f"begins: {data['procedure'] or 'a procedure'}"),
    "procedure.phase": _phase,
    "procedure.delivery": _delivery,
    "procedure.completeness": _completeness,
    "alert.cleared": lambda data: ("room", f"over: {data['text']}"),
    "procedure.ended": lambda data: ("staff", f"ends the procedure: {data['outcome']}"),
    "clinical.note": lambda data: ("staff", f"“{data['text']}”"),
    "device.gap": _gap,
    "pump.started": _pump_starts,
    "pump.stopped": _pump_ends("stopped"),
    "pump.completed": _pump_ends("complete"),
    "carm.image": _image,
    "carm.mpps": _step,
    "carm.commitment": _commitment,
    "carm.order": _order,
    "clock.offset": _offset,
    "carm.association": lambda data: ("carm", f"{data['peer']}: {data['outcome']}, {data['reason']}"),
    "alert.raised": lambda data: ("alert", data["text"]),
}
