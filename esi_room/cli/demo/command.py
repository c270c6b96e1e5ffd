"""The demo's course: broker, daemon, display, simulators, the story on the terminal; a verified record at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from esi_room.cli.demo import rules
from esi_room.cli.demo.children import Child
from esi_room.cli.demo.view import View
from esi_room.errors import BrokerError, EsiRoomError
from esi_room.outputs.broker import accepts
from esi_room.outputs.client import BrokerClient, BrokerSettings, connect
from esi_room.record.verify import Report
from esi_room.record.verify_room import verify_room

START_S = 20.0
REJOIN_S = 3.0
SETTLE_S = 0.5  # for the last entries to reach the terminal
REFRESH_PER_S = 8
DAY_S = 86_400  # the devices stay on until the demo ends them
EXAMPLE = """\b
Example:
  esi-room demo
  esi-room demo --speed 20 --data /tmp/room
  mosquitto_sub -t 'esi/#' -v        (meanwhile, in another terminal)
"""

CONFIGURATION = """\
# Written by `esi-room demo`. `esi-room run --config {path}` runs the daemon alone on it.
[room]
id = "esi-1"
timezone = "UTC"
data = "data"

[mqtt]
url = "embedded"
listen = "127.0.0.1:{mqtt}"

[carm]
ae_title = "ESI_ROOM"
listen = "127.0.0.1:{dicom}"

[procedure]
rules = "rules.toml"

[display]
listen = "127.0.0.1:{display}"

[[carm.peer]]
ae_title = "STORESCU"
address = "127.0.0.1"

[[carm.peer]]
ae_title = "OEC_9900"
address = "127.0.0.1"
"""


_CLAIMS: list[socket.socket] = []
_PLAIN: Any = {"highlight": False, "soft_wrap": True}


class Broken(EsiRoomError):
    """One of the demo's processes ended before its time."""


class Place(NamedTuple):
    """Where this demo lives."""

    folder: Path
    mqtt: int
    dicom: int
    display: int

    @property
    def configuration(self) -> Path:
        return self.folder / "room.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def ports(self) -> Path:
        return self.folder / "ports"


@click.command(epilog=EXAMPLE)
@click.option(
    "--scenario", default="lumbar_interlaminar", show_default=True, help="A name or a file: the case to play."
)
@click.option("--speed", default=10.0, show_default=True, type=click.FloatRange(0.1, 100), help="Times real time.")
@click.option(
    "--data", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-data"), show_default=True,
    help="Where everything goes; an earlier demo's room goes on there.",
)  # fmt: skip
@click.option("--stay", is_flag=True, help="Keep the room and its pages open after the case, until Ctrl-C.")
@click.option("--seed", type=int, default=None, help="Another patient, other noise.")
def command(*, scenario: str, speed: float, folder: Path, stay: bool, seed: int | None) -> None:
    """Run the whole simulated room: broker, C-arm, monitor, oximeter, pump, staff, daemon and display.

    It plays a lumbar epidural steroid injection, shows what happens, and ends with a verified record.
    Ctrl-C ends all of it at any moment; the record then holds what happened until there.
    """
    console = Console()
    place = _place(folder)
    try:
        interrupted = asyncio.run(_play(console, place, scenario=scenario, speed=speed, stay=stay, seed=seed))
    except Broken as error:
        console.print(f"[bold red]{error}", highlight=False)
        sys.exit(1)
    holds = _conclude(console, place)
    sys.exit(130 if interrupted else 0 if holds else 1)


def _place(folder: Path) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    return Place(folder.resolve(), _port(1883), _port(11112), _port(8080))


def _write_configuration(place: Place, opened: dict[str, Any], speed: float) -> None:
    """The room of this scenario's devices: a device's kind is its driver's name."""
    text = CONFIGURATION.format(path=place.configuration, mqtt=place.mqtt, dicom=place.dicom, display=place.display)
    for what in opened["devices"].values():
        if what.get("commitment_port") is not None:  # of the C-arm, which is the last peer above
            text += f"port = {what['commitment_port']}\n"
    for device, what in opened["devices"].items():
        if what["port"] is not None:
            text += f'\n[[device]]\nid = "{device}"\ndriver = "{what["kind"]}"\nport = "{what["port"]}"\n'
    place.configuration.write_text(text)
    rules.write(place.folder / "rules.toml", speed)


def _port(usual: int) -> int:
    """The usual port, or a free one where that is taken, or about to be by another demo."""
    for wanted in (usual, 0, 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", wanted))
                _claim(int(probe.getsockname()[1]))
                return int(probe.getsockname()[1])
    raise Broken("no free port on 127.0.0.1")


def _claim(port: int) -> None:
    """OSError where another demo has. Kept as long as this process lives: the daemon takes the port seconds later."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0esi-room-demo-{port}")
    except OSError:
        claim.close()
        raise
    _CLAIMS.append(claim)


async def _play(console: Console, place: Place, *, scenario: str, speed: float, stay: bool, seed: int | None) -> bool:
    """The case, from start to end; True if it was interrupted."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as children:
        simulators = await _start_simulators(place, scenario, speed, seed)
        children.push_async_callback(simulators.end)
        opened = await _opened(simulators)
        _write_configuration(place, opened, speed)
        display = await Child.start(
            "display", "esi_room.cli", "display", "--config", str(place.configuration), log=place.folder / "display.log"
        )
        children.push_async_callback(display.end)
        children.callback(asyncio.create_task(_tell_its_end(console, display)).cancel)
        daemon = await Child.start(
            "daemon", "esi_room.cli", "run", "--config", str(place.configuration), log=place.folder / "daemon.log"
        )
        children.push_async_callback(daemon.end)
        await _until_it_opens(place.display, display, stop)
        _introduce(console, place, opened)
        return await _course(console, place, daemon, simulators, opened, stop=stop, stay=stay)


async def _course(
    console: Console, place: Place, daemon: Child, simulators: Child, opened: dict[str, Any], *, stop: asyncio.Event,
    stay: bool,
) -> bool:  # fmt: skip
    view = View("esi-1", opened["title"])
    with _live(console, view) as live:
        watching = asyncio.create_task(_watch(live, view, place))
        try:
            await _first(stop, daemon, watching, _until_online(view), within_s=START_S)
            simulators.say("go")
            await _first(stop, daemon, watching, _tell_steps(live, simulators))
            interrupted = stop.is_set()
            if stay and not interrupted:
                live.console.print("\n[bold]The case is over; the room stays open until Ctrl-C.")
                await _first(stop, daemon, watching, asyncio.sleep(math.inf))
            await asyncio.sleep(SETTLE_S)
        finally:
            watching.cancel()
    return interrupted


async def _until_it_opens(port: int, display: Child, stop: asyncio.Event) -> None:
    """An address that is told can be opened. It is told in any case: without its display the room goes on."""
    ended = asyncio.create_task(display.ended())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while not (ended.done() or stop.is_set() or await accepts(("127.0.0.1", port))):
                await asyncio.sleep(0.1)
    ended.cancel()


async def _tell_its_end(console: Console, display: Child) -> None:
    """Without its pages the room goes on all the same."""
    await display.ended()
    words = f"the display ended by itself; the room goes on. The end of {display.log}:\n{display.last_words()}"
    console.print(Text(words, style="bold yellow"), soft_wrap=True)


async def _start_simulators(place: Place, scenario: str, speed: float, seed: int | None) -> Child:
    return await Child.start(
        "simulators", "simulators", "run", "--scenario", scenario, "--speed", str(speed),
        "--hold", "--linger", str(DAY_S), "--ports", str(place.ports), "--carm", f"127.0.0.1:{place.dicom}", "--mqtt", f"mqtt://127.0.0.1:{place.mqtt}",
        "--room", "esi-1", "--truth", str(place.folder / "truth.jsonl"),
        *([] if seed is None else ["--seed", str(seed)]),
        log=place.folder / "simulators.log", talk=True,
    )  # fmt: skip


async def _opened(simulators: Child) -> dict[str, Any]:
    """What the simulators say first: the scenario's title and its devices."""
    try:
        opened: dict[str, Any] = json.loads(await simulators.line())
    except ValueError as error:
        await simulators.ended()
        raise Broken(simulators.last_words().strip()) from error
    return opened


def _introduce(console: Console, place: Place, opened: dict[str, Any]) -> None:
    console.print(f"[bold]{opened['title']}[/], simulated at {opened['speed']:g} times real time", highlight=False)
    console.print(
        f"display http://127.0.0.1:{place.display}/   the wall display; /console and /records beside it", **_PLAIN
    )
    console.print(f"broker  mqtt://127.0.0.1:{place.mqtt}   try: mosquitto_sub -p {place.mqtt} -t 'esi/#' -v", **_PLAIN)
    console.print(
        f"C-arm   ESI_ROOM@127.0.0.1:{place.dicom}   try: storescu 127.0.0.1 {place.dicom} -aec ESI_ROOM FILE", **_PLAIN
    )
    console.print(f"files   {place.folder}\n", **_PLAIN)


async def _first(
    stop: asyncio.Event,
    daemon: Child,
    watching: asyncio.Task[None],
    course: Coroutine[Any, Any, None],
    within_s: float | None = None,
) -> None:
    """Until the course is through, or somebody wants to stop; Broken if the daemon ends or is not heard in time."""
    if stop.is_set():
        course.close()
        return
    through, asked = asyncio.create_task(course), asyncio.create_task(stop.wait())
    ended = asyncio.create_task(daemon.ended())
    try:
        done, _ = await asyncio.wait(
            {through, asked, ended, watching}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
        )
        if asked in done:
            return
        if through in done:
            through.result()
            return
        if watching in done:
            watching.result()
        what = "ended by itself" if ended in done else f"was not heard within {within_s:g} s"
        raise Broken(f"the daemon {what}. The end of {daemon.log}:\n{daemon.last_words()}")
    finally:
        for task in (through, asked, ended):
            task.cancel()


def _live(console: Console, view: View) -> Live:
    return Live(
        console=console,
        refresh_per_second=REFRESH_PER_S,
        get_renderable=lambda: view.panel() if console.is_terminal else Text(""),
        transient=not console.is_terminal,
    )


async def _watch(live: Live, view: View, place: Place) -> None:
    """Be a display: subscribe, and come back when the broker is not there yet or any more. A broker that is just
    starting may take a subscription and forget it: who hears nothing of a room that is there joins again."""
    settings = BrokerSettings(url=f"mqtt://127.0.0.1:{place.mqtt}", client_id="demo-terminal")
    while True:
        with contextlib.suppress(BrokerError):
            async with connect(settings) as client:
                await client.listen("esi/esi-1/#")
                reading = asyncio.create_task(_read(live, view, client))
                try:
                    await asyncio.wait({reading}, timeout=REJOIN_S)
                    if view.online or reading.done():
                        await reading
                finally:
                    reading.cancel()
        await asyncio.sleep(0.1)


async def _read(live: Live, view: View, client: BrokerClient) -> None:
    async for message in client.received():
        payload = message.payload if isinstance(message.payload, bytes) else b""
        line = view.message(str(message.topic), payload)
        if line is not None:
            live.console.print(line, soft_wrap=not live.console.is_terminal)


async def _until_online(view: View) -> None:
    while not (view.online and view.devices_connected(("carm",))):
        await asyncio.sleep(0.05)


async def _tell_steps(live: Live, simulators: Child) -> None:
    """What the script says to people, as it happens, until it was played. The devices stay on."""
    while line := await simulators.line():
        told = json.loads(line)
        if told.get("say"):
            live.console.print(Text(f"          · {told['say']}", style="italic bright_black"))
        if told["event"] == "refused":
            live.console.print(Text(f"          · refused: {told['why']}", style="bold yellow"))
        if told["event"] == "played":
            if not told["carm_stored_all"]:
                raise Broken("the C-arm could not deliver every image")
            return
    raise Broken(f"the simulators ended by themselves:\n{simulators.last_words()}")


def _conclude(console: Console, place: Place) -> bool:
    """Verify what was recorded, and say where it is."""
    reports = list(verify_room(place.data))
    holds = bool(reports) and all(report.ok for report in reports)
    case = next((report for report in reversed(reports) if report.kind == "procedure"), None)
    console.print()
    for problem in (p for report in reports for p in report.problems):
        console.print(f"[bold red]BROKEN[/] {problem}", highlight=False)
    if case is not None:
        console.print(_summary(case), highlight=False)
        console.print(f"record    {place.data / 'records' / case.record}", highlight=False, soft_wrap=True)
    if holds:
        console.print(f"[bold green]verified[/]  all {len(reports)} records of this room hold; check again yourself:")
    console.print(f"          esi-room verify {place.data}", highlight=False, soft_wrap=True)
    return holds


def _summary(case: Report) -> str:
    state = "sealed" if case.sealed else "open"
    return f"case      {case.lines} entries, {case.images} images, {case.wire_lines} lines of raw serial bytes, {state}"
