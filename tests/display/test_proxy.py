"""MQTT through the server: each role gets of each broker what it is for, and nobody gets in another way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import aiomqtt
import pytest
import pytest_asyncio
from display_rig import HELLO, USERS, Browser, FakeRoom, Mosquitto, Nats, a_room, until, write_users
from structlog.testing import capture_logs

from esi_room.clock import ManualClock
from esi_room.display.mqtt import proxy
from esi_room.display.mqtt.packets import binary, packet

RETAINED = ("state/vitals", "state/device/pump-1", "state/checkpoint", "status", "image/last", "private/identity")
SENT = ("event/vitals/numeric", "event/device/state")
ALL = {*RETAINED, *SENT}
SEEN = {
    "display": ALL - {"private/identity"},
    "console": ALL,
    "engineer": {"status", "state/device/pump-1", "event/device/state"},
    "auditor": ALL - {"private/identity"},
}
SAID = {"display": {"backfill"}, "console": {"phase", "backfill"}, "engineer": set(), "auditor": {"backfill"}}
WAIT_S = 2.0  # for what the server does not answer
NAMES = {role: name for name, role in USERS.items()}


@pytest_asyncio.fixture(loop_scope="session", params=["nats", "mosquitto"])
async def site(request: pytest.FixtureRequest, tmp_path: Path, peers: ModuleType) -> AsyncIterator[FakeRoom]:
    """A room on each broker whose pages ask who comes."""
    folder = tmp_path / "broker"
    broker = Nats(folder) if request.param == "nats" else Mosquitto(folder, peers.need("mosquitto"))
    write_users(tmp_path / "users")
    async with a_room(broker, tmp_path, users=tmp_path / "users") as room:
        yield room


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def calm_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FakeRoom]:
    """A room whose pages ask nobody, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("calm")
    async with a_room(Nats(folder / "b"), folder) as room:
        yield room


@pytest_asyncio.fixture(loop_scope="session")
async def open_site(tmp_path: Path) -> AsyncIterator[FakeRoom]:
    async with a_room(Nats(tmp_path / "b"), tmp_path) as room:
        yield room


class Page:
    """A page's MQTT client."""

    def __init__(self, client: aiomqtt.Client, me: str) -> None:
        self.client, self.me, self.got = client, me, list[str]()

    async def take(self) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            async for message in self.client.messages:
                self.got.append(str(message.topic).removeprefix("esi/esi-1/"))


@asynccontextmanager
async def joined(room: FakeRoom, browser: Browser, me: str = "", **more: Any) -> AsyncIterator[Page]:
    """The browser's page, connected through the server."""
    me = me or f"{(await browser.config())['client']}-1"
    host, port = room.url.removeprefix("http://").rstrip("/").split(":")
    headers = {**browser.origin, "Host": f"{host}:{port}", "Cookie": browser.cookies()}
    more |= {"transport": "websockets", "websocket_path": "/mqtt", "websocket_headers": headers, "timeout": WAIT_S}
    async with aiomqtt.Client(host, int(port), identifier=me, **more) as client:
        page = Page(client, me)
        taking = asyncio.create_task(page.take())
        yield page
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


@pytest.mark.parametrize("role", NAMES)
async def test_each_role_sees_and_says_what_it_is_for(site: FakeRoom, role: str) -> None:
    for topic in RETAINED:
        await site.publish(topic, b"{}", retain=True)
    async with Browser(site.url) as browser:
        await browser.login(NAMES[role])
        async with joined(site, browser) as page:
            wanted = (
                "event/#",
                "state/#",
                "state/device/+",
                "image/last",
                "status",
                "private/identity",
                f"reply/{page.me}",
            )
            for topic in (*wanted, "event/device/#", "state/vitals"):
                with contextlib.suppress(aiomqtt.MqttError):
                    await page.client.subscribe(f"esi/esi-1/{topic}", 1)
            for topic in SENT:
                await site.publish(topic, b"{}")
            for topic in ("command/phase", "command/backfill", "state/vitals", "status", "event/x", "private/identity"):
                fields = f'{{"id": "{topic}", "client": "{page.me}"}}'
                with contextlib.suppress(aiomqtt.MqttError):
                    await page.client.publish(f"esi/esi-1/{topic}", fields, 1)
            await site.publish(f"reply/{page.me}", b"last")
            await until(lambda: SEEN[role] <= set(page.got) and {name for name, _ in site.commands} == SAID[role])
            await until(lambda: f"reply/{page.me}" in page.got)
            assert set(page.got) - {f"reply/{page.me}"} == SEEN[role]


async def test_answers_are_their_owners_alone(site: FakeRoom) -> None:
    async with Browser(site.url) as console, Browser(site.url) as other:
        await console.login("Erika Muster")
        await other.login("Erika Muster")
        async with joined(site, console) as page:
            await page.client.subscribe(f"esi/esi-1/reply/{page.me}/#", 1)
            with pytest.raises(aiomqtt.MqttError):
                async with joined(site, other) as spy:
                    await spy.client.subscribe(f"esi/esi-1/reply/{page.me}/#", 1)
                    await spy.client.publish("esi/esi-1/command/x", b"{}", 1)
            await page.client.publish("esi/esi-1/command/note", f'{{"id": "1", "client": "{page.me}"}}', 1)
            await until(lambda: page.got)


async def test_a_page_cannot_be_somebody_else(site: FakeRoom) -> None:
    async with Browser(site.url) as browser, Browser(site.url) as other:
        await browser.login("Erika Muster")
        await other.login("Erika Muster")
        theirs = (await other.config())["client"]
        with pytest.raises(aiomqtt.MqttError, match="dentifier"):
            async with joined(site, browser, me=f"{theirs}-1"):
                raise AssertionError("let in")


async def test_a_login_of_its_own_does_not_help_a_page(site: FakeRoom) -> None:
    """It sends the console's very password, and is a display all the same."""
    login = dict(line.split()[0:3:2] for line in site.broker.logins.read_text().splitlines())["console"]
    await site.publish("private/identity", b"{}", retain=True)
    async with Browser(site.url) as browser:
        await browser.login("wall-1")
        async with joined(site, browser, username="console", password=login) as page:
            for topic in ("private/identity", "status"):
                with contextlib.suppress(aiomqtt.MqttError):
                    await page.client.subscribe(f"esi/esi-1/{topic}", 1)
            await until(lambda: "status" in page.got)
            assert set(page.got) == {"status"}


async def test_a_page_leaves_no_will(site: FakeRoom) -> None:
    async with Browser(site.url) as browser:
        await browser.login("Erika Muster")
        with pytest.raises(aiomqtt.MqttError, match="uthori"):
            async with joined(site, browser, will=aiomqtt.Will("esi/esi-1/command/end", b"{}")):
                raise AssertionError("let in")


# --- sessions ---------------------------------------------------------------------------------------------


async def test_a_page_goes_with_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "WATCH_S", 0.05)
    clock = ManualClock()
    write_users(tmp_path / "users")
    room_with_users = a_room(Nats(tmp_path / "b"), tmp_path, users=tmp_path / "users", clock=clock, idle_s=600.0)
    async with room_with_users as room, AsyncExitStack() as open_:
        browser, wall = [await open_.enter_async_context(Browser(room.url)) for _ in range(2)]
        await browser.login("Erika Muster")
        await wall.login("wall-1")
        async with joined(room, browser) as page, joined(room, wall) as display:
            for _ in range(3):
                clock.advance(500)
                await page.client.publish("esi/esi-1/command/x", f'{{"id": "1", "client": "{page.me}"}}', 1)
            clock.advance(601)
            with contextlib.suppress(aiomqtt.MqttError):
                await page.client._disconnected
            await display.client.subscribe("esi/esi-1/status", 1)
            await until(lambda: display.got)
            write_users(tmp_path / "users", {"Otto": "auditor"})
            with contextlib.suppress(aiomqtt.MqttError):
                await display.client._disconnected


async def test_no_other_sites_page_gets_a_socket(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as browser:
        for origin in ("http://evil.example", "null", "", "https://127.0.0.1:1"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await browser.mqtt(Origin=origin)
        async with browser.mqtt() as ws:
            assert ws.protocol == "mqtt"
        assert await browser.status("/mqtt", headers=browser.origin) == 400


async def test_pages_are_bounded(calm_site: FakeRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "PAGES_PER_SESSION", 2)
    async with Browser(calm_site.url) as browser, browser.mqtt(), browser.mqtt():
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await browser.mqtt()


# --- garbage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"GET / HTTP/1.1\r\n\r\n" * 8], 1002),
        ([b"\x10\xff\xff\xff\x7f"], 1002),
        ([HELLO[:9], HELLO[9:], b"\x10\0"], 1002),
        ([HELLO, HELLO], 1002),
        ([HELLO + b"\xf0\0"], 1002),
        ([packet(1, 0, binary(b"MQTT") + b"\4\2\0\x3c" + binary(b"esi-room-esi-1"))], 1008),
        ([HELLO, packet(3, 0, binary(b"esi/esi-1/command/x") + b"x" * 130_000)], None),
        ([HELLO, packet(3, 0, binary(b"esi/esi-1/command/x") + b"x" * 140_000)], 1009),
        ([HELLO, b"\x82\xff\xff\x7f"], 1002),
    ],
)
async def test_garbage_ends_its_own_connection_and_no_other(
    calm_site: FakeRoom, frames: list[bytes], code: int | None
) -> None:
    async with Browser(calm_site.url) as browser, browser.mqtt() as ws, browser.mqtt() as other:
        await other.send_bytes(HELLO.replace(b"open-1", b"open-2"))
        assert await other.receive_bytes() == b"\x20\2\0\0"
        for frame in frames:
            await ws.send_bytes(frame)
        while code is not None and (await ws.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
        assert ws.close_code == code
        await other.send_bytes(packet(12, 0, b""))
        assert await other.receive_bytes() == b"\xd0\0"


async def test_text_is_no_mqtt(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as browser, browser.mqtt() as ws:
        await ws.send_str("hello")
        await ws.receive()
        assert ws.close_code == 1002


async def test_a_connect_in_the_smallest_pieces(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as browser, browser.mqtt() as ws:
        for byte in HELLO:
            await ws.send_bytes(bytes([byte]))
        assert await ws.receive_bytes() == b"\x20\2\0\0"


async def test_who_says_nothing_is_cut_off(calm_site: FakeRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "FIRST_S", 0.1)
    async with Browser(calm_site.url) as browser, browser.mqtt() as ws:
        await ws.send_bytes(HELLO[:5])
        await ws.receive()
        assert ws.close_code == 1013


async def test_a_page_that_does_not_read_is_cut_off_and_holds_up_nobody(
    open_site: FakeRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "SLOW_S", 0.5)
    host, port = open_site.url.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        f"GET /mqtt HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    wanted = packet(8, 2, b"\0\1" + binary(b"esi/esi-1/#") + b"\0" + binary(b"esi/esi-1/event/#") + b"\0")
    for octets in (HELLO, wanted):  # masked, as a browser's frames are, with zeros
        writer.write(bytes([0x82, 0x80 | len(octets), 0, 0, 0, 0]) + octets)
    await reader.readexactly(2 + 4 + 2 + 4)
    async with Browser(open_site.url) as browser, joined(open_site, browser) as page:
        await page.client.subscribe("esi/esi-1/event/#", 1)
        for _ in range(60):
            await open_site.publish("event/x", b"x" * 400_000)
        await until(lambda: len(page.got) == 60, "the other page has all of it")
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


# --- the broker comes and goes ----------------------------------------------------------------------------


async def test_a_broker_that_is_away_is_one_line_in_the_log(open_site: FakeRoom) -> None:
    await open_site.stop_broker()
    with capture_logs() as logs:
        for _ in range(3):
            async with Browser(open_site.url) as browser, browser.mqtt() as ws:
                await ws.send_bytes(HELLO)
                await ws.receive()
                assert ws.close_code == 1013
        await open_site.start_broker()
        async with Browser(open_site.url) as browser, browser.mqtt() as ws:
            await ws.send_bytes(HELLO)
            assert await ws.receive_bytes() == b"\x20\2\0\0"
    said = [line["event"] for line in logs if line["event"].startswith("display_broker")]
    assert said == ["display_broker_away", "display_broker_back"]


@pytest.mark.parametrize(
    ("logins", "words"),
    [("display d p\n", "has no line for the role console"), ("", "chmod 600"), (None, "cannot be read")],
)
async def test_logins_that_are_no_good_are_said(open_site: FakeRoom, logins: str | None, words: str) -> None:
    open_site.broker.logins.unlink()
    if logins is not None:
        open_site.broker.logins.touch(0o600 if logins else 0o644)
        open_site.broker.logins.write_text(logins)
    with capture_logs() as logs:
        async with Browser(open_site.url) as browser, browser.mqtt() as ws:
            await ws.send_bytes(HELLO)
            await ws.receive()
            assert ws.close_code == 1013
    (away,) = (line for line in logs if line["event"] == "display_broker_away")
    assert words in away["reason"]
