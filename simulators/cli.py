"""The command line: a whole room, or one device on a bench.

Exit 0: fine, or told to stop; 1: the room did not take everything; 2: the call or the scenario is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from simulators import scenario as scenarios
from simulators.carm import dose_faults
from simulators.carm.carm import CArm
from simulators.carm.case import Identity
from simulators.carm.encoders import TRANSFER_SYNTAXES
from simulators.carm.faults import FAULTS
from simulators.carm.phantom import skin_to_target_mm
from simulators.clock import ScenarioClock
from simulators.device import SerialDevice
from simulators.faults import Faults
from simulators.patient import Patient
from simulators.room import Settings, SimulatedRoom, serial_device, tell_stdout, until_told_to_stop
from simulators.truth import TruthLog

# The lines of the truth log that say what the room answered.
ANSWERS = frozenset(
    {"c_find", "n_create", "n_set", "c_store", "n_action", "n_event_report", "sent_again", "commitment", "untold"}
)
DEMO_LIMIT_S = 15.0  # somebody is watching: a few attempts, then say why it failed
DEMO_IDENTITY = Identity("SIMULATED^PATIENT", "SIM-0001", "19600101", "O", 78.0)


class HostPort(click.ParamType[tuple[str, int]]):
    """`HOST:PORT`."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """The two parts."""
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            self.fail(f"{value!r}: HOST:PORT", param, ctx)
        return host, int(port)


class FaultRates(click.ParamType[Faults]):
    """`noise=20,flip=2000`: faults of the serial lines, one in that many."""

    name = "faults"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Faults:
        """The rates."""
        try:
            return value if isinstance(value, Faults) else Faults.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def main() -> None:
    """Simulators of an injection room. They speak the real wires: serial protocols, DICOM, MQTT."""


@main.command("list")
def list_scenarios() -> None:
    """Name the scenarios, the kinds of device, and what can go wrong with the C-arm.

    A scenario is told with its length and, where it is to raise alerts, their rules.
    """
    for name in scenarios.names():
        case = scenarios.load(name)
        minutes, seconds = divmod(round(case.steps[-1].at_s), 60)
        click.echo(
            f"{name:24} {minutes:2}:{seconds:02}  {case.title}{' → '[: 3 * bool(case.expect)]}{', '.join(case.expect)}"
        )
    click.echo(f"devices: {', '.join(scenarios.KINDS)}")
    click.echo("what can go wrong with the C-arm, as actions and settings of a scenario:")
    for name, meaning in FAULTS.items():
        click.echo(f"  {name:36} {meaning}")


@main.command()
@click.option("--scenario", "name", default="lumbar_interlaminar", show_default=True, help="A name or a file.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True)
@click.option("--ports", type=click.Path(path_type=Path), required=True, help="Directory for the serial ports.")
@click.option("--carm", type=HostPort(), default="127.0.0.1:11112", show_default=True, help="Where images go.")
@click.option("--mqtt", default="mqtt://127.0.0.1:1883", show_default=True)
@click.option("--room", default="esi-1", show_default=True)
@click.option("--truth", type=click.Path(path_type=Path), help="Write what really happened here (JSON lines).")
@click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's own.")
@click.option("--faults", type=FaultRates(), default="", help="For example noise=20,flip=2000.")
@click.option("--linger", "linger_s", type=click.FloatRange(0), default=0.0, help="Stay on for these seconds.")
@click.option("--commitment-port", type=click.IntRange(0, 65_535), help="Where the C-arm hears of commitment.")
@click.option("--hold", is_flag=True, help="Open the ports, then wait for a line on stdin before the script starts.")
def run(name: str, **options: Any) -> None:
    """Play a scenario.

    Example: python -m simulators run --scenario quick --ports /tmp/ports
    """
    try:
        room_settings = Settings(**options)
        scenario = scenarios.load(name)
    except scenarios.ScenarioError as error:
        raise click.UsageError(str(error)) from error
    _exit(_play(scenario, room_settings))


async def _play(scenario: scenarios.Scenario, settings: Settings) -> bool:
    try:
        room = SimulatedRoom(scenario, settings)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    return await until_told_to_stop(room.play())


@main.command()
@click.argument("kind", type=click.Choice(list(scenarios.SERIAL_KINDS)))
@click.option("--port", type=click.Path(path_type=Path), required=True, help="The symlink that clients open.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--faults", type=FaultRates(), default="", help="For example noise=20,flip=2000.")
@click.option("--truth", type=click.Path(path_type=Path), help="Write what really happened here (JSON lines).")
def device(kind: str, port: Path, seed: int, faults: Faults, truth: Path | None) -> None:
    """One device by itself until Ctrl-C. On stdin: an action a line, such as `nibp_start` or `program rate_ml_h=60`.

    Example: python -m simulators device ge_dri --port /tmp/monitor-1
    """
    _exit(_bench(kind, port, seed, faults, truth))


async def _bench(kind: str, port: Path, seed: int, faults: Faults, truth_path: Path | None) -> bool:
    clock, truth = ScenarioClock(), TruthLog(truth_path)
    made = serial_device(kind, port, Patient(seed), clock, truth, seed, faults, {})
    tell_stdout({"event": "opened", "kind": kind, "port": str(port), "actions": sorted(made.ACTIONS)})

    async def both() -> bool:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(made.run())
            tasks.create_task(_obey_stdin(made))
        return True

    try:
        return await until_told_to_stop(both())
    finally:
        truth.close()


async def _obey_stdin(made: SerialDevice) -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def readable() -> None:
        data = os.read(sys.stdin.fileno(), 4096)
        for line in data.decode(errors="replace").split("\n"):
            lines.put_nowait(line)
        if not data:
            loop.remove_reader(sys.stdin.fileno())

    # A regular file or /dev/null cannot be watched, and has nothing to say.
    with contextlib.suppress(PermissionError):
        loop.add_reader(sys.stdin.fileno(), readable)
    while True:
        action, *words = (await lines.get()).split() or [""]
        if action:
            await _obey(made, action, words)


async def _obey(made: SerialDevice, action: str, words: list[str]) -> None:
    try:
        await made.do(action, **{key: _value(text) for key, _, text in (word.partition("=") for word in words)})
    except ValueError as error:
        tell_stdout({"event": "refused", "do": action, "why": str(error)})
    else:
        tell_stdout({"event": "done", "do": action})


def _value(text: str) -> bool | float | str:
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


@main.command()
@click.option("--to", type=HostPort(), required=True)
@click.option("--ae", "ae_title", default="OEC_9900", show_default=True, help="Own AE title.")
@click.option("--called", "called_ae_title", default="ESI_ROOM", show_default=True)
@click.option("--syntax", "transfer_syntax", type=click.Choice(list(TRANSFER_SYNTAXES)), default="explicit")
@click.option("--kind", type=click.Choice(["xa", "enhanced_xa"]), default="xa", help="Of the recorded run.")
@click.option("--worklist", is_flag=True, help="Choose the patient from the room's worklist.")
@click.option("--order", help="That line of the worklist (Scheduled Procedure Step ID), not the first.")
@click.option("--mpps", is_flag=True, help="Tell of the performed procedure step.")
@click.option("--commitment", "commitment_port", type=click.IntRange(0, 65_535), metavar="PORT",
              help="Ask for storage commitment, hear the report on this port.")  # fmt: skip
@click.option("--dose-report", type=click.Choice(["none", "end", "cumulative", "continued"]), default="none")
@click.option("--dose-report-fault", type=click.Choice(list(dose_faults.FAULTS)), help="Spoil the dose reports.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
def carm(to: tuple[str, int], kind: str, worklist: bool, order: str | None, **settings: Any) -> None:
    """Play a short case: a scout, a lateral view with a needle, a contrast run; what the room answered, a line each.

    Exit 1 if the room did not do everything that it was asked for.

    \b
    Example:
      python -m simulators carm --to 127.0.0.1:11112
      python -m simulators carm --to 10.1.2.3:11112 --worklist --mpps --dose-report end --commitment 11113
    """
    _exit(until_told_to_stop(_short_case(to, kind, worklist or order is not None, order, settings)))


async def _short_case(
    to: tuple[str, int], kind: str, worklist: bool, order: str | None, settings: dict[str, Any]
) -> bool:
    truth = TruthLog()
    try:
        made = CArm(to, DEMO_IDENTITY, ScenarioClock(10.0), truth, **settings)
    except OSError as error:
        raise click.UsageError(f"commitment port: {error}") from error
    running = asyncio.create_task(made.run())
    try:
        if worklist:
            await made.do("worklist", order=order)
        await made.do("shot", view="ap")
        await made.do("shot", view="lateral", needle_depth_mm=skin_to_target_mm())
        await made.do("run", frames=16, needle_depth_mm=skin_to_target_mm(), contrast_to_ml=2.5, kind=kind)
        await made.do("end_case")
        return await made.drain(DEMO_LIMIT_S) and all(map(_was_done, truth.lines))
    except ValueError as error:
        tell_stdout({"event": "refused", "why": str(error)})
        return False
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        for line in truth.lines:
            if line["what"] in ANSWERS:
                tell_stdout(line)


def _was_done(line: dict[str, Any]) -> bool:
    """Whether what was asked of the room was done in the end; what is tried again is no failure."""
    if "retry_s" in line or "set_aside" in line:
        return "retry_s" in line
    if line["what"] == "commitment":
        return bool(line.get("committed"))
    return bool(line.get("ok", line["what"] != "untold"))


def _exit(work: Any) -> None:
    sys.exit(0 if asyncio.run(work) else 1)
