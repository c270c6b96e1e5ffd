"""What the demo shows: a story line for each thing that happens, and a panel of how things stand.

It knows what any display knows, and from where any display knows it: the topics. Nothing here asks the daemon.
"""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from esi_room.cli.demo import story
from esi_room.cli.demo.story import number

COLOURS = {
    "staff": "bright_magenta",
    "room": "bright_black",
    "carm": "bright_yellow",
    "device": "bright_cyan",
    "pump": "bright_green",
    "alert": "bold bright_red",
}
VITALS = (
    ("HR", "heart_rate_bpm"),
    ("SpO2", "spo2_pct"),
    ("NIBP", "nibp_systolic_mmhg"),
    ("RR", "respiratory_rate_bpm"),
    ("EtCO2", "etco2_mmhg"),
    ("PI", "perfusion_index_pct"),
)
UNITS = {"/min": "/min", "mm[Hg]": "mmHg", "%": "%"}


class View:
    """Fed with messages, gives story lines and a panel."""

    def __init__(self, room: str, title: str) -> None:
        self._root, self._title = f"esi/{room}/", title
        self._states: dict[str, dict[str, Any]] = {}
        self.record: str | None = None
        self.events = 0
        self.images = 0
        self.procedures: list[str] = []
        self._story = story.Story()

    def message(self, topic: str, payload: bytes) -> Text | None:
        """A message of the room's tree; the story line it is worth, if any."""
        relative = topic.removeprefix(self._root)
        if relative.startswith(("state/", "status")):
            self._states[relative] = msgspec.json.decode(payload) if payload else {}
            return None
        if relative.startswith("event/"):
            return self._event(msgspec.json.decode(payload))
        return None

    @property
    def online(self) -> bool:
        """Has the daemon said that it is there?"""
        return self._states.get("status", {}).get("status") == "online"

    def devices_connected(self, devices: tuple[str, ...]) -> bool:
        """Is each of these heard?"""
        return all(self._states.get(f"state/device/{d}", {}).get("state") == "connected" for d in devices)

    # --- story --------------------------------------------------------------------------------------------

    def _event(self, entry: dict[str, Any]) -> Text | None:
        self.events += 1
        self.record = entry["record"]
        if entry["type"] == "procedure.started":
            self.procedures.append(entry["record"])
        self.images += entry["type"] == "carm.image"
        told = self._story.tell(entry)
        if told is None:
            return None
        who, what = told
        line = Text()
        line.append(f"{entry['received'][11:19]}  ", style="bright_black")
        line.append(f"{entry['source'] if who == 'device' else who:<11}", style=COLOURS[who])
        line.append(what, style=COLOURS["alert"] if who == "alert" else "")
        return line

    # --- panel --------------------------------------------------------------------------------------------

    def panel(self) -> RenderableType:
        """How things stand, from the retained snapshots."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bright_black", no_wrap=True)
        grid.add_column()
        grid.add_row("phase", self._phases())
        grid.add_row("vitals", self._vitals())
        grid.add_row("pump", self._pump())
        grid.add_row("C-arm", self._carm())
        grid.add_row("dose", self._dose())
        grid.add_row("devices", self._devices())
        grid.add_row("record", f"{self.record or '…'}   {self.events} entries seen")
        return Group(Panel(grid, title=f"[bold]{self._title}", border_style="blue", title_align="left"))

    def _phases(self) -> Text:
        state = self._states.get("state/procedure", {})
        text = Text()
        for phase in state.get("phases", ()):
            text.append(f"{phase['phase']} ", style="bold" if phase["phase"] == state["phase"] else "bright_black")
        return text if text.plain else Text("between cases", style="bright_black")

    def _vitals(self) -> Text:
        values = self._states.get("state/vitals", {}).get("values", ())
        text = Text()
        for label, name in VITALS:
            for value in values:
                if value["name"] == name:
                    text.append_text(self._vital(label, value, values))
        return text if text.plain else Text("nothing measured yet", style="bright_black")

    def _vital(self, label: str, value: dict[str, Any], values: tuple[dict[str, Any], ...]) -> Text:
        shown = number(value["value"])
        if value["name"] == "nibp_systolic_mmhg":
            shown += "".join(
                f"/{number(v['value'])}"
                for v in values
                if v["name"] == "nibp_diastolic_mmhg" and v["source"] == value["source"]
            )
        if value["stale"]:
            return Text(f"{label} ({shown}, since {value['observed_at'][11:19]})   ", style="bright_black strike")
        style = "bold" if value["status"] == "ok" else "yellow"
        return Text.assemble(
            (f"{label} ", "bright_black"),
            (shown, style),
            (f" {UNITS.get(value['unit'], value['unit'])}   ", "bright_black"),
        )

    def _pump(self) -> Text:
        text = Text()
        for pump in self._states.get("state/pump", {}).get("pumps", ()):
            style = "bright_black strike" if pump["stale"] else "bright_green" if pump["state"] == "infusing" else ""
            text.append(
                f"{pump['state'] or '?'}  {number(pump['rate_ml_h'])} mL/h  "
                f"{number(pump['delivered_ml'])} of {number(pump['target_ml'])} mL  ",
                style=style,
            )
        return text if text.plain else Text("nothing said yet", style="bright_black")

    def _carm(self) -> Text:
        image = self._states.get("state/carm", {}).get("image")
        if image is None:
            return Text("no image yet", style="bright_black")
        objects = self._states["state/carm"]["objects"]
        return Text(f"{objects} objects, last {story.view(image)} at {image['observed_at'][11:19]}")

    def _dose(self) -> Text:
        state = self._states.get("state/dose", {})
        if state.get("total") is None:
            return Text("none told yet", style="bright_black")
        return Text(story.dose(state["total"]), style="bold yellow" if state["exceeded"] else "")

    def _devices(self) -> Text:
        text = Text()
        for topic, state in sorted(self._states.items()):
            if topic.startswith("state/device/") and state.get("state"):
                good = state["state"] == "connected"
                text.append(f"{state['device']} ", style="")
                text.append(f"{state['state']}   ", style="green" if good else "bold yellow")
        return text
