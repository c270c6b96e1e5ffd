"""Latency: from a serial line's last byte to an MQTT subscriber, through the running daemon and through a bare script.

    python benchmarks/latency.py [--broker nats|mosquitto] [--samples 600] [--dir .]

Two oximeters (Masimo ASCII 1 on a pty each) say a line by turns, 20 a second each, at uneven intervals. One belongs to
the daemon (`esi-room run`), the other to a bare script (`peers/bare.py`): blocking `readline`, parse, `publish` at
QoS 1, nothing kept. Both publish to the same broker and are timed in the same seconds, so that whatever else the
machine does meets both. A sample runs from just before the write of a line's last byte to the subscriber's callback,
on one clock. The k-th entry belongs to the k-th line; a line that does not arrive ends the benchmark with words.

Measured twice: with the room idle, and while the daemon receives a cine run (multi-frame objects of 50 MiB one after
the other, as fast as it takes them) from dcmtk's storescu, which starts before the first sample and outlives the last.
Needs 10 GB on the disk of `--dir` meanwhile. Without the Debian packages dcmtk and mosquitto it says what is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import pty
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from peers import cine

sys.path.insert(0, str(Path(__file__).parents[1]))

from esi_room.outputs.broker import program as nats_server

ROOT = Path(__file__).parents[1]

INTERVAL_S = 0.05  # between two lines of one oximeter, on average; a real one says one a second
LAST_BYTE_S = 0.002  # between a line's other bytes and its last: whoever reads has read those
PATIENCE_S = 30.0  # for a process to start, or a line to arrive
SETTLE_S = 1.0
ENVIRONMENT = os.environ | {"TCP_NODELAY": "1", "PYTHONPATH": str(ROOT)}

DAEMON, BARE = "esi/bench/event/vitals/numeric", "esi/bare/vitals"
IMAGES = "esi/bench/event/carm/image"

CONFIGURATION = """\
[room]
id = "bench"
timezone = "UTC"
data = "data"

[mqtt]
{mqtt}

[carm]
ae_title = "ESI_ROOM"
listen = "127.0.0.1:{carm}"

[[carm.peer]]
ae_title = "STORESCU"
address = "127.0.0.1"

[[device]]
id = "oximeter-1"
driver = "masimo_ascii1"
port = "{port}"
"""


# --- both ends of the wire --------------------------------------------------------------------------------


class Oximeter:
    """The device's end of a pty; `port` is the other."""

    def __init__(self) -> None:
        self._device, self._line = pty.openpty()
        tty.setraw(self._line)
        self.port = os.ttyname(self._line)

    def say(self) -> int:
        """One line; when its last byte was written, ns."""
        when = time.strftime("%m/%d/%y %H:%M:%S", time.gmtime())
        line = f"{when} SN=0000145838 SPO2=097% BPM=080 PI=04.96% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- "
        octets = f"{line}ALARM=0000 EXC=000800\r\n".encode()
        os.write(self._device, octets[:-1])
        time.sleep(LAST_BYTE_S)
        now_ns = time.perf_counter_ns()
        os.write(self._device, octets[-1:])
        return now_ns

    def close(self) -> None:
        os.close(self._device)
        os.close(self._line)


class Subscriber:
    """When each message came, by topic, and how much the C-arm has sent."""

    def __init__(self, broker: int) -> None:
        self.arrived_ns: dict[str, list[int]] = {DAEMON: [], BARE: []}
        self.images, self.image_bytes = 0, 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="subscriber")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", broker)
        self._client.subscribe([(topic, 1) for topic in (DAEMON, BARE, IMAGES)])
        self._client.loop_start()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        now_ns = time.perf_counter_ns()
        if message.topic == IMAGES:
            self.images += 1
            self.image_bytes += json.loads(message.payload)["data"]["size_bytes"]
        else:
            self.arrived_ns[message.topic].append(now_ns)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


# --- processes --------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`command` for the time of the `with`; what it says goes to `log`."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def until(holds: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {PATIENCE_S:g} s\n{log.read_text()[-2000:]}")
        time.sleep(0.01)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def mosquitto() -> str:
    path = shutil.which("mosquitto", path="/usr/sbin:" + os.environ.get("PATH", ""))
    if path is None:
        raise SystemExit("mosquitto is not installed (Debian package mosquitto)")
    return path


# --- measuring --------------------------------------------------------------------------------------------


class Figures(NamedTuple):
    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, samples_ms: list[float]) -> Figures:
        cuts = statistics.quantiles(samples_ms, n=100, method="inclusive")
        return cls(cuts[49], cuts[98], max(samples_ms))


def measure(oximeters: dict[str, Oximeter], subscriber: Subscriber, samples: int, log: Path) -> dict[str, Figures]:
    """Figures by topic."""
    uneven = random.Random(1)
    begin = {topic: len(times) for topic, times in subscriber.arrived_ns.items()}
    said_ns: dict[str, list[int]] = {topic: [] for topic in oximeters}
    for _ in range(samples):
        for topic, oximeter in oximeters.items():
            said_ns[topic].append(oximeter.say())
            time.sleep(uneven.uniform(0.5, 1.5) * INTERVAL_S / len(oximeters) - LAST_BYTE_S)
    figures = {}
    for topic, times in subscriber.arrived_ns.items():
        until(lambda times=times, first=begin[topic]: len(times) >= first + samples, f"every line of {topic}", log)
        pairs = zip(said_ns[topic], times[begin[topic] :], strict=True)
        figures[topic] = Figures.of([(arrived - said) / 1e6 for said, arrived in pairs])
    return figures


def warm_up(oximeters: dict[str, Oximeter], subscriber: Subscriber, log: Path) -> None:
    """Until both publish what they are told, and nothing is under way."""
    for topic, times in subscriber.arrived_ns.items():

        def heard(topic: str = topic, times: list[int] = times) -> bool:
            oximeters[topic].say()
            time.sleep(INTERVAL_S)
            return len(times) > 1 / INTERVAL_S

        until(heard, f"a second of lines on {topic}", log)
    time.sleep(SETTLE_S)


def during_cine(
    oximeters: dict[str, Oximeter], subscriber: Subscriber, samples: int, command: list[str], work: Path
) -> tuple[dict[str, Figures], str]:
    """Figures by topic, and what the daemon received meanwhile."""
    with process(command, work / "storescu.log") as sender:
        until(lambda: subscriber.images >= cine.RUNS, "the first runs", work / "storescu.log")
        images, octets, began = subscriber.images, subscriber.image_bytes, time.monotonic()
        figures = measure(oximeters, subscriber, samples, work / "daemon.log")
        took_s = time.monotonic() - began
        if sender.poll() is not None:
            raise SystemExit(f"the sender ended early\n{(work / 'storescu.log').read_text()[-2000:]}")
        mib = (subscriber.image_bytes - octets) / 2**20
        return figures, f"{subscriber.images - images} objects, {mib:.0f} MiB, {mib / took_s:.0f} MiB/s"


@contextmanager
def room(broker: str, work: Path) -> Iterator[tuple[dict[str, Oximeter], Subscriber, int]]:
    """Broker, daemon, bare script and subscriber, all up: the oximeters, the subscriber, the C-arm's port."""
    port, carm = free_port(), free_port()
    oximeters = {DAEMON: Oximeter(), BARE: Oximeter()}
    with ExitStack() as stack:
        for oximeter in oximeters.values():
            stack.callback(oximeter.close)
        mqtt = f'url = "embedded"\nlisten = "127.0.0.1:{port}"'
        if broker == "mosquitto":
            mqtt, settings = f'url = "mqtt://127.0.0.1:{port}"', work / "mosquitto.conf"
            settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
            stack.enter_context(process([mosquitto(), "-c", str(settings)], work / "mosquitto.log"))
        (work / "room.toml").write_text(CONFIGURATION.format(mqtt=mqtt, carm=carm, port=oximeters[DAEMON].port))
        daemon = [sys.executable, "-m", "esi_room.cli", "run", "--config", str(work / "room.toml")]
        stack.enter_context(process(daemon, work / "daemon.log"))
        until(lambda: accepts(port) and accepts(carm), "the daemon", work / "daemon.log")
        script = [sys.executable, str(ROOT / "benchmarks/peers/bare.py"), oximeters[BARE].port, str(port), BARE]
        stack.enter_context(process(script, work / "bare.log"))
        subscriber = Subscriber(port)
        stack.callback(subscriber.close)
        warm_up(oximeters, subscriber, work / "daemon.log")
        yield oximeters, subscriber, carm


def benchmark(broker: str, samples: int, work: Path) -> None:
    with room(broker, work) as (oximeters, subscriber, carm):
        idle = measure(oximeters, subscriber, samples, work / "daemon.log")
        print_rows("idle", idle)
        if shutil.which("storescu") is None:
            print("\nCine run left out: storescu is not installed (Debian package dcmtk)")
            return
        busy, received = during_cine(oximeters, subscriber, samples, cine.command(work / "runs", carm), work)
    print_rows("during a cine run", busy)
    ratio = {topic: busy[topic].p99_ms / idle[topic].p99_ms for topic in idle}
    print(f"\nReceived meanwhile: {received}. p99 against idle: daemon {ratio[DAEMON]:.1f}, bare {ratio[BARE]:.1f}")


# --- the report -------------------------------------------------------------------------------------------


def print_rows(when: str, figures: dict[str, Figures]) -> None:
    names = {DAEMON: "esi_room, committed to disk first", BARE: "bare pyserial to paho, nothing kept"}
    for topic, name in names.items():
        print(f"| {name} | {when} | " + " | ".join(f"{ms:.2f}" for ms in figures[topic]) + " |", flush=True)


def version(broker: str) -> str:
    command = [nats_server(), "--version"] if broker == "nats" else [mosquitto(), "-h"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()[0]


def print_head(broker: str, samples: int) -> None:
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    print(
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{version(broker)}; {samples} lines each; load average before: {load}\n"
    )
    print("| from serial line to subscriber | room | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=("nats", "mosquitto"), default="nats")
    parser.add_argument("--samples", type=int, default=600, help="lines of each oximeter, twice")
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to be measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latency-", dir=arguments.dir) as folder:
        print_head(arguments.broker, arguments.samples)
        benchmark(arguments.broker, arguments.samples, Path(folder).resolve())


if __name__ == "__main__":
    main()
