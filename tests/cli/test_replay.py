"""`esi-room replay` as an auditor calls it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from virtual.mqtt import Broker
from virtual.room import Played, play

from esi_room.audit.replay import player
from esi_room.cli import main


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play("quick", tmp_path_factory.mktemp("quick"))


@pytest.fixture
def record(quick: Played, tmp_path: Path) -> Path:
    copy = shutil.copytree(quick.data, tmp_path / "data")
    return copy / "records" / quick.procedures[0]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(player, "connect", broker.connect)
    return broker


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["replay", *map(str, arguments)])
    return result.exit_code, result.output


def altered(record: Path) -> None:
    path = record / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"guidance", b"GUIDANCE", 1))


def test_the_same_octets_each_time(record: Path, broker: Broker) -> None:
    published = []
    for _ in range(2):
        assert call(record, "--speed", "max", "--mqtt", "mqtt://x", "--session", "one", "--no-images")[0] == 0
        published.append(tuple(broker.messages))
        broker.messages.clear()
    assert published[0] == published[1]
    assert {"/".join(message.topic.split("/")[:4]) for message in published[0]} == {"esi/esi-1/replay/one"}


def test_an_id_is_looked_for_in_the_configured_room(record: Path, broker: Broker) -> None:
    config = record.parents[2] / "room.toml"
    config.write_text(
        '[room]\nid = "esi-1"\ntimezone = "Europe/Berlin"\ndata = "data"\n[mqtt]\nurl = "mqtt://127.0.0.1:1883"\n'
    )
    status, said = call(record.name, "--config", config, "--speed", "max", "--no-images", "--to", "guidance")
    assert status == 0, said
    assert f"below esi/esi-1/replay/{record.name}/" in said


def test_a_record_that_does_not_hold_is_refused_unless_that_is_said(record: Path, broker: Broker) -> None:
    altered(record)
    options = [record, "--speed", "max", "--mqtt", "mqtt://x", "--no-images"]
    status, said = call(*options)
    assert (status, broker.messages) == (1, [])
    assert "DOES NOT HOLD" in said and "journal.jsonl:" in said
    status, said = call(*options, "--even-if-broken")
    assert status == 0 and "BROKEN" in said
    assert broker.messages


@pytest.mark.parametrize(
    "wrong", [["--speed", "0"], ["--speed", "fast"], ["--session", "a/b"], ["--from", "lunch"], ["--speed", "nan"]]
)
def test_a_wrong_call(record: Path, broker: Broker, wrong: list[str]) -> None:
    assert call(record, "--mqtt", "mqtt://x", *wrong)[0] == 2
    assert call(record.parent, "--mqtt", "mqtt://x")[0] == 2
    assert broker.messages == []


def test_a_real_broker_gets_it_paused_by_a_signal(
    record: Path, peers: ModuleType, free_port: Callable[[], int], tmp_path: Path
) -> None:
    port = free_port()
    server = subprocess.Popen([peers.need("mosquitto"), "-p", str(port)], stderr=subprocess.DEVNULL)
    url = f"mqtt://127.0.0.1:{port}"
    try:
        options = ["replay", str(record), "--mqtt", url, "--speed", "50", "--session", "s"]
        _until_up(port)
        with (tmp_path / "got").open("wb") as out:
            command = [peers.need("mosquitto_sub"), "-p", str(port), "-t", "esi/esi-1/replay/s/event/#", "-N"]
            listening = subprocess.Popen([*command, "-W", "60", "-C", "150"], stdout=out)
        replaying = subprocess.Popen([sys.executable, "-m", "esi_room.cli", *options], stdout=subprocess.PIPE)
        _until_handled(replaying.pid, signal.SIGTSTP)
        replaying.send_signal(signal.SIGTSTP)
        replaying.send_signal(signal.SIGCONT)
        said, _ = replaying.communicate(timeout=60)
        listening.wait(timeout=70)
    finally:
        server.terminate()
        server.wait()
    assert replaying.returncode == 0 and b"replayed 150 entries" in said
    assert (tmp_path / "got").read_bytes() == (record / "journal.jsonl").read_bytes()


def _until_up(port: int) -> None:
    import socket
    import time

    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return


def _until_handled(pid: int, number: signal.Signals) -> None:
    """Before that a SIGTSTP would stop the process."""
    import time

    for _ in range(500):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1]
        if int(caught, 16) >> (number - 1) & 1:
            return
        time.sleep(0.02)


def test_derived_again_without_a_difference(record: Path) -> None:
    status, said = call(record, "--derive")
    assert status == 0, said
    assert "oximeter-1: 35 entries beside 39 wire lines, no difference" in said
    assert "procedure: alerts, deliveries, phases and completeness beside the entries, no difference" in said
    assert call(record, "--derive", "--json") == (0, "")


def test_a_difference_is_said_with_its_bytes(record: Path) -> None:
    path = record / "journal.jsonl"
    octets = path.read_bytes()
    at = octets.index(b'"value":', octets.index(b'"source":"oximeter-1"', octets.index(b"vitals.numeric")))
    path.write_bytes(octets[:at] + b'"value":1' + octets[at + 8 :])
    assert call(record, "--derive")[0] == 1, "it does not verify either"
    status, said = call(record, "--derive", "--even-if-broken")
    assert (status, said.count("1 DIFFERENCE")) == (1, 1)
    assert "recorded otherwise than the bytes say" in said and "bytes:    " in said
    status, said = call(record, "--derive", "--even-if-broken", "--json")
    found = json.loads(said.splitlines()[-1])
    assert (status, found["device"]) == (1, "oximeter-1")
    assert bytes.fromhex(found["octets"])
