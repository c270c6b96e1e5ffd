"""`play`: a scenario in a virtual room, from the first step to the last entry of the record."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import pytest

from esi_room import config, links
from esi_room.carm.child import Child
from esi_room.outputs import outbox, publisher
from esi_room.record.reader import journal_path, records
from esi_room.room.room import Room
from simulators import room as simulated
from simulators import scenario as scenarios
from simulators.carm import fluoroscope
from simulators.carm.carm import CArm
from simulators.faults import Faults
from simulators.monitors import ge_dri
from simulators.pumps import new_era
from virtual import dicom
from virtual.cables import Cables
from virtual.dicom import Network
from virtual.helpers import Blind, Helper, Listener, Reporter
from virtual.loop import NS, VirtualClock, VirtualLoop
from virtual.mqtt import Broker, Message
from virtual.world import world

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PORTS = Path("/dev")  # it is there, and nothing is put into it: the ports of a virtual room are names
LEAD_S = 2.0  # the devices are on and the daemon runs for this long before the script begins
LINGER_S = 5.0  # both go on for this long after it
OFF_S = 1.0  # the daemon is gone by then
IMAGE_PIXELS = 16
# How often devices look at what is due, and how often the publisher saves its cursor: their own 20 ms and 1 s are a
# third of the time that a case takes here.
TICK_S, SAVE_S = 0.1, 60.0

ROOM = """\
[room]
id = "esi-1"
timezone = "Europe/Berlin"
data = "data"

[mqtt]
url = "mqtt://127.0.0.1:1883"

[carm]
ae_title = "ESI_ROOM"
listen = "127.0.0.1:11112"
"""
PEER = '\n[[carm.peer]]\nae_title = "{title}"\naddress = "127.0.0.1"\n'
RULES = '\n[procedure]\nrules = "rules.toml"\n'
DEVICE = '\n[[device]]\nid = "{id}"\ndriver = "{kind}"\nport = "{port}"\n'


@dataclass(frozen=True)
class Played:
    """What is left of a case.

    `data`: the daemon's data directory. `began`: when the script did, its second 0. `records`: by id, in their order,
    each with its entries, parsed. `truth`: what really happened. `told`: what the simulators printed. `messages`:
    everything that was published, `retained`: what late joiners get. `stored`: whether the C-arm got rid of every
    object. `lasted_s`: virtual, `took_s`: real seconds.
    """

    case: scenarios.Scenario
    data: Path
    began: datetime
    records: Mapping[str, tuple[dict[str, Any], ...]]
    truth: tuple[dict[str, Any], ...]
    told: tuple[Mapping[str, Any], ...]
    messages: tuple[Message, ...]
    retained: Mapping[str, bytes]
    stored: bool
    lasted_s: float
    took_s: float

    @property
    def procedures(self) -> list[str]:
        """Ids of the procedure records."""
        return [record for record, (opened, *_) in self.records.items() if opened["data"].get("kind") == "procedure"]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries of the procedure records; a scenario has one, as a rule."""
        return [entry for record in self.procedures for entry in self.records[record]]

    @property
    def refused(self) -> list[Mapping[str, Any]]:
        """The steps that were refused: who, do, why."""
        return [line for line in self.told if line["event"] == "refused"]

    def of(self, kind: str, source: str | None = None) -> list[dict[str, Any]]:
        """The procedure records' entries of this type (`pump.`: of every type that begins so) and source."""
        found = [entry for entry in self.entries if source in (None, entry["source"])]
        if kind.endswith("."):
            return [entry for entry in found if entry["type"].startswith(kind)]
        return [entry for entry in found if entry["type"] == kind]

    def alerts(self) -> list[str]:
        """The rules whose alerts were raised in the procedure records, in their order."""
        return [entry["data"]["rule"] for entry in self.of("alert.raised")]

    def second(self, entry: Mapping[str, Any]) -> float:
        """At which second of the script an entry says that it happened."""
        return (datetime.fromisoformat(entry["time"]) - self.began).total_seconds()

    def happened(self, device: str, what: str) -> list[dict[str, Any]]:
        """The lines of the truth log that say `what` of `device`."""
        return [line for line in self.truth if line["device"] == device and line["what"] == what]

    def journal(self) -> bytes:
        """The octets of every record's journal, in the order of the chain."""
        return b"".join(journal_path(self.data, record).read_bytes() for record in self.records)

    def files(self) -> dict[str, str]:
        """Every file of every record: its name under `records` and its SHA-256."""
        root = self.data / "records"
        found = sorted(path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in found}


def play(
    scenario: str | Path | scenarios.Scenario,
    folder: Path,
    *,
    seed: int | None = None,
    rules: Path | None = None,
    faults: Faults | None = None,
    more: str = "",
    start: datetime = START,
    pictures: bool = False,
) -> Played:
    """Play `scenario` (a name, a file or what was made of one) in a room in `folder`; an earlier room's goes on there.

    `seed`: instead of the scenario's. `rules`: a file of rules instead of the room's own. `faults`: of the serial
    lines. `more`: further tables of `room.toml`. `start`: when the room is switched on. `pictures`: with images that
    show something, which take half a second each.
    """
    began_s = time.perf_counter()
    case = scenarios.load(str(scenario)) if isinstance(scenario, str | Path) else scenario
    case = case if seed is None else case._replace(seed=seed)
    with world(start, case.seed) as clock, asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        stage = Stage(case, folder, faults or Faults(), rules)
        with stage.set(pictures=pictures):
            stored = runner.run(stage.play(more))
        return stage.played(stored, clock, began_s)


class Stage:
    """One case, being played."""

    def __init__(self, case: scenarios.Scenario, folder: Path, faults: Faults, rules: Path | None) -> None:
        self.case, self.folder, self.faults, self.rules = case, folder, faults, rules
        self.broker, self.cables, self.network = Broker(), Cables(), Network()
        self.told: list[Mapping[str, Any]] = []
        self.truth: list[dict[str, Any]] = []
        self.begin, self.over = asyncio.Event(), asyncio.Event()

    @contextmanager
    def set(self, *, pictures: bool) -> Iterator[None]:
        """What daemon and simulators reach for is of this room."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(links, "open_tty", self.cables.open)
            patch.setattr(simulated, "SerialEnd", self.cables.device_end)
            patch.setattr(publisher, "connect", self.broker.connect)
            patch.setattr(aiomqtt, "Client", self.broker.console)
            patch.setattr(Child, "start", self._helper)
            patch.setattr(simulated, "_line_on_stdin", self.begin.wait)
            patch.setattr(new_era, "TICK_S", TICK_S)
            patch.setattr(ge_dri, "SERVE_EVERY_S", TICK_S)
            patch.setattr(outbox, "SAVE_S", SAVE_S)
            dicom.installed(self.network, patch)
            if not pictures:
                patch.setattr(fluoroscope, "Phantom", Shadow)
            yield

    async def play(self, more: str) -> bool:
        """From the devices' being switched on to the end of the daemon."""
        settings = simulated.Settings(PORTS, faults=self.faults, hold=True, linger_s=LINGER_S + OFF_S)
        room = simulated.SimulatedRoom(self.case, settings, self._tell)
        self.truth = room.truth.lines
        daemon, stop = Room(self._configuration(room, more)), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(room.play())
            recording = group.create_task(daemon.run(stop))
            await asyncio.sleep(LEAD_S)
            self.begin.set()
            await self.over.wait()
            await asyncio.sleep(LINGER_S)
            stop.set()
            await recording
        return playing.result()

    def played(self, stored: bool, clock: VirtualClock, began_s: float) -> Played:
        """What it came to."""
        data = self.folder / "data"
        return Played(
            case=self.case,
            data=data,
            began=datetime.fromtimestamp(clock.start_ns // NS, UTC) + timedelta(seconds=LEAD_S),
            records={record: _entries(data, record) for record in records(data)},
            truth=tuple(self.truth),
            told=tuple(self.told),
            messages=tuple(self.broker.messages),
            retained=self.broker.retained,
            stored=stored,
            lasted_s=clock.passed_ns / NS,
            took_s=time.perf_counter() - began_s,
        )

    def _tell(self, line: Mapping[str, Any]) -> None:
        self.told.append(line)
        if line["event"] == "played":
            self.over.set()

    async def _helper(self, module: str) -> Helper:
        made: dict[str, Helper] = {
            "esi_room.carm.listener": Listener(self.network),
            "esi_room.carm.caller": Reporter(self.network),
            "esi_room.carm.picture.preview": Blind(),
        }
        return made[module]

    def _configuration(self, room: simulated.SimulatedRoom, more: str) -> config.RoomConfig:
        """As the demo makes it: a device's kind is its driver's name."""
        text = ROOM
        for spec in self.case.devices:
            actor = room.actors[spec.id]
            if isinstance(actor, CArm):
                text += PEER.format(title=spec.settings.get("ae_title", "OEC_9900"))
                text += "" if actor.commitment_port is None else f"port = {actor.commitment_port}\n"
            else:
                text += DEVICE.format(id=spec.id, kind=spec.kind, port=PORTS / spec.id)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.rules is not None:  # beside it: the record names the configuration by its octets, and no path differs
            shutil.copy(self.rules, self.folder / "rules.toml")
            text += RULES
        path = self.folder / "room.toml"
        path.write_text(f"{text}\n{more}")
        return config.load(path)


class Shadow:
    """In the place of the C-arm's phantom: images that are there, and show nothing."""

    def __init__(self, seed: int, **_: object) -> None:
        self.matrix = IMAGE_PIXELS

    def frame(self, view: object, scene: object, technique: object, number: int) -> Any:
        """One grey all over, another in each frame."""
        return np.full((self.matrix, self.matrix), number % 4096, dtype=np.uint16)


def _entries(data: Path, record: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(line) for line in journal_path(data, record).read_bytes().splitlines())
