"""The whole room: every device of a scenario on its port, the C-arm and the staff on the network, the script.

Rules:
- Each of those who act has a queue of their own: a broker that is away holds up the staff, not the C-arm.
- One JSON line on stdout a step, at the moment it is due, for whoever shows the case to people.
- The end: the script is over, everybody has finished, the C-arm's queue is empty. Being told to stop (SIGINT,
  SIGTERM) is an end like any other, at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from simulators.carm.carm import CArm
from simulators.clock import ScenarioClock
from simulators.device import SerialDevice
from simulators.faults import Faults
from simulators.patient import Patient
from simulators.scenario import SERIAL_KINDS, DeviceSpec, Scenario, Step
from simulators.staff import Staff
from simulators.truth import TruthLog
from simulators.wire import SerialEnd

DRAIN_LIMIT_S = 60.0  # a room that took nothing for a minute is not going to
_SEED_STRIDE = 1000  # so that no two devices share a stream


class Settings(NamedTuple):
    """How a scenario is played. `carm`: where the C-arm sends; `linger_s`: real seconds that devices stay on.
    `hold`: the script begins when a line comes on stdin; the devices are on from the start. `commitment_port`: where
    the C-arm hears of storage commitment, instead of the scenario's own."""

    ports: Path
    carm: tuple[str, int] = ("127.0.0.1", 11112)
    mqtt: str = "mqtt://127.0.0.1:1883"
    room: str = "esi-1"
    speed: float = 1.0
    seed: int | None = None
    truth: Path | None = None
    faults: Faults = Faults()
    linger_s: float = 0.0
    hold: bool = False
    commitment_port: int | None = None


class Actor(Protocol):
    """Who can be asked to do something."""

    async def run(self) -> None:
        """Until cancelled."""

    async def do(self, action: str, /, **params: Any) -> Any:
        """What a step says."""


Tell = Callable[[Mapping[str, Any]], None]


def tell_stdout(line: Mapping[str, Any]) -> None:
    """One JSON line, at once."""
    print(json.dumps(line, ensure_ascii=False), flush=True)


class SimulatedRoom:
    """Everybody and everything in a scenario."""

    def __init__(self, scenario: Scenario, settings: Settings, tell: Tell = tell_stdout) -> None:
        self.scenario, self.settings, self._tell = scenario, settings, tell
        self.seed = scenario.seed if settings.seed is None else settings.seed
        self.clock = ScenarioClock(settings.speed)
        self.truth = TruthLog(settings.truth)
        self.patient = Patient(self.seed, **scenario.body)
        self.staff = Staff(
            settings.mqtt,
            settings.room,
            self.clock,
            self.truth,
            actor=scenario.actor,
            identity=scenario.identity,
            procedure=scenario.procedure,
        )
        settings.ports.mkdir(parents=True, exist_ok=True)
        self.actors: dict[str, Actor] = {"staff": self.staff}
        for index, spec in enumerate(scenario.devices):
            self.actors[spec.id] = self._device(spec, self.seed * _SEED_STRIDE + index)

    async def play(self) -> bool:
        """Play the script to its end. Whether everything the C-arm took reached the room."""
        self._tell(self._opening())
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(actor.run(), name=name) for name, actor in self.actors.items()]
                if self.settings.hold:
                    await _line_on_stdin()
                    self.clock.restart()
                stored = await self._script()
                self._tell({"event": "played", "t_s": round(self.clock.now_s(), 3), "carm_stored_all": stored})
                await asyncio.sleep(self.settings.linger_s)
                for task in running:
                    task.cancel()
        finally:
            self.truth.close()
        self._tell({"event": "finished", "t_s": round(self.clock.now_s(), 3), "carm_stored_all": stored})
        return stored

    async def _script(self) -> bool:
        queues: dict[str, asyncio.Queue[Step]] = {name: asyncio.Queue() for name in (*self.actors, "patient")}
        async with asyncio.TaskGroup() as workers:
            working = [workers.create_task(self._work(queue)) for queue in queues.values()]
            for step in self.scenario.steps:
                await self.clock.sleep_until(step.at_s)
                self._tell(_step_line(step))
                queues[step.who].put_nowait(step)
            for queue in queues.values():
                await queue.join()
            for worker in working:
                worker.cancel()
        carms = [actor for actor in self.actors.values() if isinstance(actor, CArm)]
        return all([await carm.drain(DRAIN_LIMIT_S) for carm in carms])

    async def _work(self, queue: asyncio.Queue[Step]) -> None:
        """Do one after the other what one of the actors is asked to do."""
        while True:
            step = await queue.get()
            try:
                answer = await self._do(step)
            except ValueError as error:  # the device says no: the case goes on, as it would
                self._tell({"event": "refused", "who": step.who, "do": step.do, "why": str(error)})
            else:
                if answer is not None and not answer.get("ok"):
                    why = answer.get("message") or answer.get("problems")
                    self._tell({"event": "refused", "who": step.who, "do": step.do, "why": why})
            finally:
                queue.task_done()

    async def _do(self, step: Step) -> Mapping[str, Any] | None:
        if step.who == "patient":
            self.patient.do(step.do, self.clock.now_s(), **step.params)
            self.truth.note("patient", step.do, t_s=self.clock.now_s(), **step.params)
            return None
        answer: Mapping[str, Any] | None = await self.actors[step.who].do(step.do, **step.params)
        return answer

    def _device(self, spec: DeviceSpec, seed: int) -> Actor:
        if spec.kind == "carm":
            return self._carm(spec, seed)
        port = self.settings.ports / spec.id
        return serial_device(
            spec.kind, port, self.patient, self.clock, self.truth, seed, self.settings.faults, spec.settings
        )

    def _carm(self, spec: DeviceSpec, seed: int) -> CArm:
        settings = dict(spec.settings)
        if self.settings.commitment_port is not None and "commitment_port" in settings:
            settings["commitment_port"] = self.settings.commitment_port
        return CArm(
            self.settings.carm,
            self.scenario.identity,
            self.clock,
            self.truth,
            seed=seed,
            name=spec.id,
            study=self.scenario.procedure,
            **settings,
        )

    def _opening(self) -> dict[str, Any]:
        devices: dict[str, Any] = {}
        for spec in self.scenario.devices:
            actor = self.actors[spec.id]
            if isinstance(actor, CArm):
                devices[spec.id] = {"kind": spec.kind, "port": None, "commitment_port": actor.commitment_port}
            else:
                devices[spec.id] = {"kind": spec.kind, "port": str(self.settings.ports / spec.id)}
        last_s = self.scenario.steps[-1].at_s
        return {
            "event": "opened",
            "title": self.scenario.title,
            "speed": self.clock.speed,
            "seed": self.seed,
            "steps": len(self.scenario.steps),
            "last_step_s": last_s,
            "devices": devices,
        }


def serial_device(
    kind: str,
    path: Path,
    patient: Patient,
    clock: ScenarioClock,
    truth: TruthLog,
    seed: int,
    faults: Faults,
    settings: Mapping[str, Any],
) -> SerialDevice:
    """A device of that kind on a pty behind `path`."""
    made = SERIAL_KINDS[kind]
    port = SerialEnd(path, baud=made.BAUD, bits_per_byte=made.BITS_PER_BYTE, seed=seed, faults=faults)
    return made(port, patient, clock, truth, seed=seed, **settings)


async def _line_on_stdin() -> None:
    """Returns at the next line on stdin, or at its end."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())


async def until_told_to_stop(work: Awaitable[bool]) -> bool:
    """`work`'s result; True if SIGINT or SIGTERM ended it."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return stopped


def _step_line(step: Step) -> dict[str, Any]:
    line = {"event": "step", "t_s": step.at_s, "who": step.who, "do": step.do, "say": step.say}
    return {**line, "params": step.params}
