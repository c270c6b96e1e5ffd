"""What a room says to a wall display: snapshots and lines of one case, as of now, and the answers to what it asks."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Coroutine, Sequence
from typing import Any

import display_rig as rig
from PIL import Image
from playwright.async_api import Page

from esi_room.errors import BrokerError

RECORD = "20261130T120000Z-4be1"
BEFORE = "20261130T110000Z-0a0a"


def head(seq: int = 100, record: str = RECORD, at_s: float = 0.0) -> dict[str, Any]:
    """What each snapshot begins with."""
    return {"as_of": {"record": record, "seq": seq}, "published_at": rig.now(at_s)}


def aged(at_s: float = 0.0, life_s: float | None = 15.0, *, stale: bool = False) -> dict[str, Any]:
    """Observed `at_s` from now (a negative number: so long ago)."""
    return {"observed_at": rig.now(at_s), "stale_after_s": life_s, "stale": stale}


def vital(name: str, value: float | None, unit: str, source: str = "monitor-1", **more: Any) -> dict[str, Any]:
    """One value of `state/vitals`; `more`: the arguments of `aged`, `status`, `flags`."""
    own = {key: more.pop(key) for key in ("status", "flags") if key in more}
    return {
        **aged(**more), "source": source, "code": 1, "name": name, "value": value, "unit": unit, "status": "ok",
        "flags": [], **own,
    }  # fmt: skip


def vitals(*values: dict[str, Any], conditions: Sequence[str] = ()) -> dict[str, Any]:
    """`state/vitals`."""
    told = [{**aged(), "source": "monitor-1", "conditions": list(conditions)}]
    return {**head(), "values": list(values), "conditions": told}


def healthy() -> dict[str, Any]:
    """`state/vitals` of somebody who is well."""
    return vitals(
        vital("heart_rate_bpm", 76, "/min"),
        vital("spo2_pct", 98, "%", "oximeter-1", life_s=15.0),
        vital("nibp_systolic_mmhg", 131, "mm[Hg]", at_s=-65.0, life_s=300.0),
        vital("nibp_diastolic_mmhg", 84, "mm[Hg]", at_s=-65.0, life_s=300.0),
        vital("nibp_mean_mmhg", 99, "mm[Hg]", at_s=-65.0, life_s=300.0),
        vital("respiratory_rate_bpm", 14, "/min"),
        vital("etco2_mmhg", 36.2, "mm[Hg]"),
    )


def procedure(phase: str = "injection", **more: Any) -> dict[str, Any]:
    """`state/procedure` of a running case."""
    order = ["evaluation", "preparation", "guidance", "injection", "recovery"]
    phases = [
        {"phase": each, "since": rig.now(-300.0 + 60 * number), "origin": "staff"}
        for number, each in enumerate(order[: order.index(phase) + 1])
    ]
    return {
        **head(), "kind": "procedure", "opened_at": rig.now(-310.0), "procedure": "Interlaminar injection L4/5",
        "started_at": rig.now(-310.0), "phase": phase, "phases": phases, "outcome": None, "ended_at": None,
        "plan": {"approach": "interlaminar", "side": "left", "levels": ["L4/5"]}, "rules": "1", "deliveries": [],
        "completeness": None, **more,
    }  # fmt: skip


def standby(**completeness: Any) -> dict[str, Any]:
    """`state/procedure` between two cases."""
    last = {
        "record": BEFORE, "seq": 260, "outcome": "completed", "ended_at": rig.now(-600.0), "complete": True,
        "lacks": [], "not_assessable": {}, "syringes": [], "deviations": [], **completeness,
    }  # fmt: skip
    return procedure() | {
        "kind": "standby", "procedure": None, "started_at": None, "phase": None, "phases": [], "plan": None,
        "opened_at": rig.now(-600.0), "completeness": last,
    }  # fmt: skip


def pump(**more: Any) -> dict[str, Any]:
    """`state/pump` with one pump that injects."""
    told = {
        **aged(), "source": "pump-1", "event": "pump.status", "state": "infusing", "rate_ml_h": 300.0,
        "delivered_ml": 3.1, "target_ml": 6.0, "pressure_mmhg": None, "drug": None, "withdrawn_ml": 0.0,
        "direction": "infuse", "detail": None, "alarms": [], **more,
    }  # fmt: skip
    return {**head(), "pumps": [told]}


def dose(provenance: str = "dose report", **more: Any) -> dict[str, Any]:
    """`state/dose`."""
    quantities = {"fluoro_time_s": 18.5, "dap_gy_m2": 0.000283, "air_kerma_rp_gy": 0.0123}
    total = {
        **aged(life_s=None), "seq": 90, "irradiation_events": 5, "provenance": dict.fromkeys(quantities, provenance),
        **quantities,
    }  # fmt: skip
    return {
        **head(), "total": total, "runs": [], "more_runs": 0, "exceeded": {}, "images": 2, "frames": 33, "last": None,
        "levels": {"fluoro_time_s": 120.0, "dap_gy_m2": 0.001, "air_kerma_rp_gy": 0.1}, **more,
    }  # fmt: skip


def carm(sha256: str = "aa", at_s: float = -12.0, **more: Any) -> dict[str, Any]:
    """`state/carm`: the object `sha256` is shown."""
    shown = {key: more.pop(key) for key in ("shown_sha256", "preview_problem", "objects") if key in more}
    image = {
        **aged(at_s, None), "seq": 80, "sha256": sha256, "sop_class_uid": "1", "sop_instance_uid": "2",
        "modality": "XA", "rows": 512, "columns": 512, "frames": 32, "acquired": None, "primary_angle_deg": -90.0,
        "secondary_angle_deg": 8.0, "kvp": 77.0, "tube_current_ma": 5.0, "peer": "C @ 1", **more,
    }  # fmt: skip
    return {
        **head(), "image": image, "objects": 2, "order": None, "steps": [], "shown_sha256": sha256,
        "preview_problem": None, **shown,
    }  # fmt: skip


def device(name: str, state: str | None = "connected", since_s: float = -400.0, **more: Any) -> dict[str, Any]:
    """`state/device/<name>`."""
    return {
        **head(), "device": name, "state": state, "since": rig.now(since_s), "reason": "identified", "driver": "x",
        "port": "/dev/x", "identity": None, "alarms": [], "rejected": {}, "gaps": 0, "last_gap": None, **more,
    }  # fmt: skip


def alert(name: str = "R15", at_s: float = -20.0, **more: Any) -> dict[str, Any]:
    """One of `state/alerts`."""
    return {
        "alert": name, "rule": name, "severity": "high", "text": f"Something about {name}", "facts": [1],
        "raised_at": rig.now(at_s), "acknowledged_at": None, "actor": None, "reason": None, "overridden": False,
        "source": "a book", **more,
    }  # fmt: skip


def alerts(*those: dict[str, Any]) -> dict[str, Any]:
    """`state/alerts`."""
    return {**head(), "alerts": list(those)}


def jpeg(grey: int = 120, size: int = 64) -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.new("L", (size, size), grey).save(file, "JPEG")
    return file.getvalue()


def line(seq: int, entry_type: str, data: dict[str, Any], at_s: float = 0.0, **more: Any) -> dict[str, Any]:
    """A journal line."""
    known = {"v": 1, "record": RECORD, "seq": seq, "prev": "0" * 64, "type": entry_type, "source": "monitor-1"}
    return {**known, "time": rig.now(at_s), "received": rig.now(), "mono_ns": 1, "data": data, **more}


def image_line(seq: int, sha256: str, at_s: float) -> dict[str, Any]:
    """A `carm.image` entry."""
    data = {
        "sha256": sha256, "rows": 512, "columns": 512, "frames": None, "duplicate_of": None,
        "primary_angle_deg": 0.0, "secondary_angle_deg": 0.0,
    }  # fmt: skip
    return line(seq, "carm.image", data, at_s, source="carm")


def readings(seq: int, at_s: float, **values: float | None) -> dict[str, Any]:
    """A `vitals.numeric` entry."""
    told = [{"code": 1, "name": name, "value": value, "unit": "x", "status": "ok"} for name, value in values.items()]
    return line(seq, "vitals.numeric", {"readings": told}, at_s)


async def say_all(room: rig.FakeRoom) -> None:
    """A whole case, as a display finds it that joins late."""
    for name in ("carm", "monitor-1", "oximeter-1", "pump-1"):
        await room.state(f"device/{name}", device(name, driver=None if name == "carm" else "x"))
    await room.state("vitals", healthy())
    await room.state("pump", pump())
    await room.state("dose", dose())
    await room.state("alerts", alerts())
    await room.state("carm", carm())
    await room.publish("image/last", jpeg(), retain=True)
    await room.state("procedure", procedure())


def answering(room: rig.FakeRoom, lines: Sequence[dict[str, Any]], *, pictures: bool = True) -> None:
    """Answer `backfill` and `frame` out of these lines, as the daemon does."""
    tasks: set[asyncio.Task[None]] = set()

    def answer(name: str, fields: dict[str, Any]) -> None:
        task = asyncio.create_task(_answered(_reply(room, lines, name, fields, pictures=pictures)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    room.answer = answer


async def _answered(reply: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(BrokerError, AssertionError):  # who asked has gone with the broker, and asks again
        await reply


async def _reply(
    room: rig.FakeRoom, lines: Sequence[dict[str, Any]], name: str, fields: dict[str, Any], *, pictures: bool
) -> None:
    to = f"reply/{fields['client']}"
    done: dict[str, Any] = {
        "id": fields["id"], "ok": True, "message": "", "problems": [], "record": None, "seq": None,
        "answered_at": rig.now(),
    }  # fmt: skip
    if name == "backfill":
        last = fields["to_seq"] if fields["to_seq"] is not None else 1 << 50
        found = [each for each in lines if each["record"] == fields["record"]]
        found = [each for each in found if fields["from_seq"] <= each["seq"] <= last][:500]
        for each in found:
            await room.publish(f"{to}/backfill", json.dumps(each).encode() + b"\n")
        await room.publish(to, {**done, "count": len(found)})
    elif name == "frame":
        of = next((each for each in lines if each["time"] == fields["at"]), None)
        if of is None or not pictures:
            await room.publish(to, {**done, "ok": False, "message": "no", "problems": ["there is no picture"]})
            return
        await room.publish(f"{to}/image", jpeg(40 + of["seq"] % 180))
        frame = {"record": of["record"], "seq": of["seq"], "sha256": of["data"]["sha256"], "number": 1}
        await room.publish(to, {**done, "frame": {**frame, "taken_at": of["time"]}})


async def texts(page: Page, selector: str) -> list[str]:
    """What is visible of these, each on one line."""
    found = page.locator(selector).locator("visible=true")
    return [" ".join(text.split()) for text in await found.all_inner_texts()]
