"""The simulated room as a process: a whole case with a recorder, and stopping it at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import aiomqtt
import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "simulators"]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, text=True, **pipes) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


@contextmanager
def broker(program: str, folder: Path, port: int) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as started:
        try:
            yield
        finally:
            started.terminate()


@contextmanager
def archive(port: int) -> Iterator[list[str]]:
    """A storage SCP; yields the SOP class names of what it got."""
    got: list[str] = []

    def store(event: Any) -> int:
        got.append(event.request.AffectedSOPClassUID.name)
        return 0

    entity = AE("ESI_ROOM")
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield got
    finally:
        server.shutdown()


@asynccontextmanager
async def recorder(port: int) -> AsyncIterator[list[str]]:
    """Says yes to every command; yields their names."""
    got: list[str] = []

    async def serve() -> None:
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port, identifier="recorder", timeout=2) as client:
                    await client.subscribe("esi/esi-1/command/+", qos=1)
                    async for message in client.messages:
                        request = json.loads(message.payload)  # type: ignore[arg-type]
                        got.append(message.topic.value.rpartition("/")[2])
                        reply = json.dumps({"id": request["id"], "ok": True})
                        await client.publish(f"esi/esi-1/reply/{request['client']}", reply, qos=1)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(serve())
    try:
        yield got
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_whole_case(peers: ModuleType, free_port: Callable[[], int], tmp_path: Path) -> None:
    mqtt, dicom, truth = free_port(), free_port(), tmp_path / "truth.jsonl"
    arguments = [
        *("run", "--scenario", "quick", "--speed", "12", "--ports", str(tmp_path / "ports"), "--truth", str(truth)),
        *("--carm", f"127.0.0.1:{dicom}", "--mqtt", f"mqtt://127.0.0.1:{mqtt}"),
    ]
    with broker(peers.need("mosquitto"), tmp_path, mqtt), archive(dicom) as images:
        async with recorder(mqtt) as commands:
            done = await asyncio.to_thread(call, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [line for line in lines if line["event"] == "step"]
    assert [line["event"] for line in lines] == ["opened", *["step"] * len(steps), "played", "finished"]
    assert lines[0]["devices"]["pump-1"] == {"kind": "new_era", "port": str(tmp_path / "ports" / "pump-1")}
    assert lines[0]["steps"] == len(steps) and lines[-1]["carm_stored_all"] is True
    assert commands == ["order", "start", *["phase"] * 2, "note", *["phase"] * 3, "note", "end"]
    fluoro, run = "X-Ray Radiofluoroscopic Image Storage", "X-Ray Angiographic Image Storage"
    assert images == [fluoro, fluoro, run, "X-Ray Radiation Dose SR Storage"]
    happened = [json.loads(line) for line in truth.read_text().splitlines()]
    assert {line["device"] for line in happened} == {"staff", "patient", "monitor-1", "oximeter-1", "pump-1", "carm"}
    assert not list((tmp_path / "ports").iterdir())  # the ports are gone with the devices


def test_nobody_there_and_told_to_stop(free_port: Callable[[], int], tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        arguments = [
            *("run", "--scenario", "quick", "--speed", "20", "--ports", str(tmp_path)),
            *("--carm", f"127.0.0.1:{free_port()}", "--mqtt", f"mqtt://127.0.0.1:{free_port()}"),
        ]
        with process(*arguments) as started:
            assert started.stdout is not None
            while '"do": "run"' not in started.stdout.readline():
                pass
            assert (tmp_path / "monitor-1").is_symlink()
            started.send_signal(number)
            _, errors = started.communicate(timeout=20)
        assert (started.returncode, errors) == (0, "")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 0.6])
def test_ctrl_c_while_it_starts_prints_no_traceback(tmp_path: Path, after_s: float) -> None:
    with process("run", "--scenario", "quick", "--ports", str(tmp_path)) as started:
        with suppress(subprocess.TimeoutExpired):
            started.wait(after_s)
        started.send_signal(signal.SIGTERM if after_s == 0 else signal.SIGINT)
        _, errors = started.communicate(timeout=20)
    assert "Traceback" not in errors


def test_one_device_on_a_bench(tmp_path: Path) -> None:
    port = tmp_path / "pump-1"
    with process("device", "new_era", "--port", str(port)) as started:
        assert started.stdin is not None and started.stdout is not None
        assert json.loads(started.stdout.readline())["port"] == str(port)
        started.stdin.write("program rate_ml_min=2 volume_ml=5 diameter_mm=14.43\nfly\n")
        started.stdin.flush()
        assert json.loads(started.stdout.readline()) == {"event": "done", "do": "program"}
        assert json.loads(started.stdout.readline())["event"] == "refused"
        assert asked_over_the_line(port, b"VOL\r").endswith(b"5.000ML\x03")
        started.send_signal(signal.SIGINT)
        assert started.wait(10) == 0
        assert started.stderr is not None and started.stderr.read() == ""


def asked_over_the_line(port: Path, command: bytes) -> bytes:
    """The answer to the second asking: the first gets the alarm that says the pump was switched on."""
    line = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        settings = termios.tcgetattr(line)
        settings[0] = settings[1] = settings[3] = 0
        settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[4] = settings[5] = termios.B19200
        termios.tcsetattr(line, termios.TCSANOW, settings)
        for _ in range(2):
            os.write(line, command)
            answer = b""
            while not answer.endswith(b"\x03"):
                answer += os.read(line, 64)
        return answer
    finally:
        os.close(line)


def test_the_demo_set_of_the_c_arm(free_port: Callable[[], int]) -> None:
    dicom = free_port()
    with archive(dicom) as images:
        done = call("carm", "--to", f"127.0.0.1:{dicom}", "--syntax", "implicit")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(images) == 3
    assert all(json.loads(line)["stored"] for line in done.stdout.splitlines())


def test_a_short_case_asks_for_what_it_is_told_to(free_port: Callable[[], int]) -> None:
    dicom = free_port()
    options = ["--worklist", "--mpps", "--dose-report", "end", "--commitment", "0", "--kind", "enhanced_xa"]
    with archive(dicom) as images:
        done = call("carm", "--to", f"127.0.0.1:{dicom}", *options)
    assert images[-2:] == ["Enhanced XA Image Storage", "X-Ray Radiation Dose SR Storage"]
    said = {line["what"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert {what for what, line in said.items() if line.get("offered") is False} == {"n_create", "n_set", "commitment"}
    assert said["c_find"]["reason"] == "no presentation context accepted"
    assert (done.returncode, done.stderr) == (1, ""), "this room only stores"


def test_list() -> None:
    done = call("list")
    assert done.returncode == 0
    assert "lumbar_interlaminar" in done.stdout and "ge_dri" in done.stdout
    [rule] = [line for line in done.stdout.splitlines() if line.startswith("rule_r18 ")]
    assert "14:20" in rule and rule.endswith("→ R18")
    assert "wrong_patient" in done.stdout and "dose_report fault=comma" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--scenario", "nothing", "--ports", "/tmp"], "one of carm_faults, caudal, cervical_interlaminar"),
        (["run", "--ports", "/tmp", "--carm", "here"], "HOST:PORT"),
        (["run", "--ports", "/tmp", "--faults", "gremlins=3"], "noise"),
        (["device", "toaster", "--port", "/tmp/x"], "toaster"),
    ],
)
def test_a_wrong_call_exits_2_and_says_what_is_allowed(arguments: list[str], says: str) -> None:
    done = call(*arguments)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
