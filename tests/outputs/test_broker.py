"""The embedded broker as a user and a neighbour on the machine see it; and the example for Mosquitto."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import aiomqtt
import pytest
from outputs_rig import Mosquitto, subscribed, until

from esi_room.errors import BrokerError
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerSettings, RefusedError, connect, parse_url

CONFIG = Path(__file__).parents[2] / "config"


async def test_a_port_in_use_is_said_with_what_to_do(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    other = EmbeddedBroker(tmp_path / "one", ("127.0.0.1", port))
    await other.start()
    with pytest.raises(BrokerError, match=f"127.0.0.1:{port}.*another port"):
        await EmbeddedBroker(tmp_path / "two", ("127.0.0.1", port)).start()
    await other.stop()


async def test_it_is_started_again_when_it_dies(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    broker = EmbeddedBroker(tmp_path, ("127.0.0.1", port))
    await broker.start()
    task = asyncio.create_task(broker.run())
    first = broker._child
    assert first is not None
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish("esi/r/status", b"kept", 1, True)
    first.process.kill()
    await until(lambda: broker._child is not None and broker._child is not first)
    await asyncio.sleep(0.1)
    async with subscribed(port) as seen:
        await until(lambda: [m[1] for m in seen.got] == [b"kept"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_does_not_outlive_a_killed_daemon(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    program = f"""
import asyncio, pathlib
from esi_room.outputs.broker import EmbeddedBroker
async def main():
    broker = EmbeddedBroker(pathlib.Path({str(tmp_path)!r}), ("127.0.0.1", {port}))
    await broker.start()
    print("child", broker._child.process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    line = b""
    while not line.startswith(b"child "):  # the log is on stdout as well
        line = await daemon.stdout.readline()
    child = int(line.split()[1])
    daemon.send_signal(signal.SIGKILL)
    await daemon.communicate()

    def gone() -> bool:
        try:
            return (Path("/proc") / str(child) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    await until(gone)
    again = EmbeddedBroker(tmp_path, ("127.0.0.1", port))
    await again.start()
    await again.stop()


async def test_only_our_tree_is_open_and_the_configuration_is_private(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    broker = EmbeddedBroker(tmp_path / "b", ("127.0.0.1", port), username="u", password='p"\\ass')
    await broker.start()
    assert oct((tmp_path / "b/nats.conf").stat().st_mode & 0o777) == "0o600"
    assert os.getpgid(broker._child.process.pid) != os.getpgid(0), "Ctrl-C must reach us first"  # type: ignore[union-attr]
    url = f"mqtt://127.0.0.1:{port}"
    with pytest.raises(BrokerError, match="uthori"):
        async with connect(BrokerSettings(url=url, client_id="x")):
            pass
    async with connect(BrokerSettings(url=url, client_id="x", username="u", password='p"\\ass')) as client:
        await client.listen("esi/#")
        for topic in ("#", "$SYS/#", "other/#"):
            with pytest.raises(RefusedError):
                await client.listen(topic)
    await broker.stop()


async def test_websocket_for_our_own_pages(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port, web = free_port(), free_port()
    broker = EmbeddedBroker(tmp_path, ("127.0.0.1", port), ("127.0.0.1", web))
    await broker.start()
    async with connect(BrokerSettings(url=f"ws://127.0.0.1:{web}", client_id="x")) as client:
        await client.deliver("esi/r/status", b"x" * 600_000)
    assert await _upgrade(web, f"http://127.0.0.1:{web}") == b"101"
    assert await _upgrade(web, "http://evil.example") == b"403"
    await broker.stop()


async def _upgrade(port: int, origin: str) -> bytes:
    """HTTP status of a WebSocket handshake from a page of `origin`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Origin: {origin}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
    )
    status = (await reader.readline()).split()[1]
    writer.close()
    await writer.wait_closed()
    return status


@pytest.mark.parametrize(
    ("url", "words"), [("http://x", "starts with"), ("mqtt://", "no host"), ("mqtt://h:99999", "Port")]
)
def test_a_wrong_url_is_explained(url: str, words: str) -> None:
    with pytest.raises(BrokerError, match=words):
        parse_url(url)


def test_a_password_is_in_no_log() -> None:
    assert "secret" not in repr(BrokerSettings(url="mqtt://h", client_id="x", password="secret"))


async def test_the_example_for_mosquitto(tmp_path: Path, free_port: Callable[[], int], peers: ModuleType) -> None:
    """config/mosquitto.conf and .acl, with the ports changed: each role gets what it is for and no more."""
    port, web = free_port(), free_port()
    text = (CONFIG / "mosquitto.conf").read_text().replace("1883", str(port)).replace("9001", str(web))
    broker = Mosquitto(peers.need("mosquitto"), tmp_path, port)
    (tmp_path / "m.conf").write_text(f"user root\n{text}")
    (tmp_path / "mosquitto.acl").write_text((CONFIG / "mosquitto.acl").read_text())
    users = ("esi-room", "display", "console", "engineer", "auditor", "witness")
    (tmp_path / "passwords").write_text("".join(f"{user}:secret\n" for user in users))
    subprocess.run(["mosquitto_passwd", "-U", str(tmp_path / "passwords")], check=True)
    await broker.start()

    def as_(user: str) -> BrokerSettings:
        return BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id=f"{user}-1", username=user, password="secret")

    got: dict[str, list[str]] = {user: [] for user in users[1:]}
    sent = (
        "event/vitals/numeric",
        "event/device/state",
        "state/vitals",
        "state/checkpoint",
        "private/identity",
        "reply/console-1",
        "reply/console-1/backfill",
    )
    async with connect(as_("esi-room")) as room:
        for topic in sent[2:5]:
            await room.deliver(f"esi/r/{topic}", b"x", retain=True)
        for user, topics in got.items():
            async with connect(as_(user)) as client:
                await client.listen("esi/r/#")
                for topic in sent:
                    await room.deliver(f"esi/r/{topic}", b"x")
                for name in ("phase", "backfill", "frame"):
                    allowed = user == "console" or (user in {"display", "auditor"} and name != "phase")
                    if allowed:
                        await client.deliver(f"esi/r/command/{name}", b"{}")
                    else:
                        with pytest.raises(RefusedError):
                            await client.deliver(f"esi/r/command/{name}", b"{}")
                await asyncio.sleep(0.1)
                while client._queue.qsize():
                    topics.append(str(client._queue.get_nowait().topic)[6:])
    await broker.stop()
    assert {user: set(topics) for user, topics in got.items()} == {
        "display": {"event/vitals/numeric", "event/device/state", "state/vitals", "state/checkpoint"},
        "console": set(sent),
        "engineer": {"event/device/state"},
        "auditor": {"event/vitals/numeric", "event/device/state", "state/vitals", "state/checkpoint"},
        "witness": {"state/checkpoint"},
    }
