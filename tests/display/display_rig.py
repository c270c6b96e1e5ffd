"""A room that displays look at: a broker, the display's server, and a publisher in the daemon's place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http.cookies import Morsel
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Page

from esi_room.clock import Clock, SystemClock, rfc3339
from esi_room.display import users
from esi_room.display.mqtt.packets import binary, packet
from esi_room.display.server import serving
from esi_room.display.settings import DisplaySettings
from esi_room.outputs import access
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerClient, BrokerSettings, connect

ROOM = "esi-1"
ACL = Path(__file__).parents[2] / "config" / "mosquitto.acl"
PASSWORD = "correct horse"
USERS = {"Erika Muster": "console", "wall-1": "display", "Otto": "auditor", "bio": "engineer"}
HELLO = packet(1, 0, binary(b"MQTT") + b"\4\2\0\x3c" + binary(b"open-1"))  # a CONNECT where nobody logs in
CHEAP = (2**4, 8, 1)  # scrypt, for tests
DEADLINE_S = 20.0
PAGE_TIMEOUT_MS = 10_000
CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def now(offset_s: float = 0.0) -> str:
    """This moment as the room writes it, `offset_s` later."""
    return rfc3339(SystemClock().now().wall_ns + int(offset_s * 1e9))


async def until(true: Callable[[], object], what: str = "") -> None:
    """Wait until `true()`; fail after DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        await asyncio.sleep(0.01)


async def until_page(page: Page, expression: str) -> None:
    """Wait until JavaScript `expression` is true (the pages' CSP forbids `page.wait_for_function`)."""
    end = time.monotonic() + DEADLINE_S
    while not await page.evaluate(expression):
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {expression}"
        await asyncio.sleep(0.02)


class Nats:
    """The embedded broker, as the daemon starts it."""

    def __init__(self, folder: Path, websocket: int | None = None, origins: tuple[str, ...] = ()) -> None:
        self.folder, self.port, self.logins = folder, free_port(), folder / access.LOGINS_FILE
        roles = access.keep_logins(self.logins)
        web = None if websocket is None else ("127.0.0.1", websocket)
        self._broker = EmbeddedBroker(folder, ("127.0.0.1", self.port), web, roles=roles, origins=origins)
        self.room_login: dict[str, str] = {}

    async def start(self) -> None:
        await self._broker.start()

    async def stop(self) -> None:
        await self._broker.stop()


class Mosquitto:
    """A Mosquitto with the users and rules of config/mosquitto.acl."""

    def __init__(self, folder: Path, program: str, more: str = "") -> None:
        self.folder, self.port, self._program = folder, free_port(), program
        self.logins = folder / access.LOGINS_FILE
        logins = access.keep_logins(self.logins)
        self.room_login = {"username": "esi-room", "password": "the room's own"}
        (folder / "mosquitto.acl").write_text(ACL.read_text())
        words = [
            f"{login.username}:{login.password}\n" for login in (*logins.values(), access.Login(**self.room_login))
        ]
        (folder / "passwords").write_text("".join(words))
        subprocess.run(["mosquitto_passwd", "-U", str(folder / "passwords")], check=True)
        (folder / "m.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\nallow_anonymous false\n"
            f"password_file passwords\nacl_file mosquitto.acl\n{more}"
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        null = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            self._program, "-c", str(self.folder / "m.conf"), stdout=null, stderr=null, cwd=self.folder
        )
        end = time.monotonic() + DEADLINE_S
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                await writer.wait_closed()
                return
            assert time.monotonic() < end, "mosquitto does not start"
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
            self._process = None


TAKEN = {"ok": True, "record": "20261130T120000Z-0001", "seq": 7, "message": "", "problems": []}
Answer = Callable[[str, dict[str, Any]], dict[str, Any] | None]


class FakeRoom:
    """In the daemon's place: publishes what it is told, keeps what is retained, notes and answers commands.

    `url`: where the pages are, with a slash at the end. `commands`: what came in, as (name, fields). `answer`: makes
    the fields of the reply; None: no reply at all. `files`: the room's data directory.
    """

    def __init__(self, broker: Nats | Mosquitto, files: Path, url: str) -> None:
        self.broker, self.files, self.url = broker, files, url
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.answer: Answer = lambda name, fields: {
            "ok": True,
            "message": "recorded",
            "record": "20261130T120000Z-0001",
            "seq": 7,
        }
        self._kept: dict[str, bytes] = {}
        self._client: BrokerClient | None = None
        self._open = AsyncExitStack()

    async def publish(self, topic: str, content: Any, *, retain: bool = False) -> None:
        """`content`: bytes as they are, anything else as JSON. `topic` below esi/esi-1/."""
        octets = content if isinstance(content, bytes) else json.dumps(content).encode()
        if retain:
            self._kept[topic] = octets
        assert self._client is not None, "the broker is stopped"
        await self._client.deliver(f"esi/{ROOM}/{topic}", octets, retain=retain)

    async def state(self, topic: str, content: Any) -> None:
        """Retained: `state("vitals", {...})`."""
        await self.publish(f"state/{topic}", content, retain=True)

    async def event(self, entry: dict[str, Any]) -> None:
        """A journal line."""
        await self.publish(f"event/{entry['type'].replace('.', '/')}", json.dumps(entry).encode() + b"\n")

    async def status(self, word: str = "online", **more: Any) -> None:
        """Birth, or what a will would say."""
        known = {"software": "test", "configuration_sha256": "0" * 64, "record": None, "problem": None}
        await self.publish("status", {"status": word, "since": now(), **known, **more}, retain=True)

    async def join(self) -> None:
        """To the broker, which runs; what was retained is published again, as the daemon does."""
        url = f"mqtt://127.0.0.1:{self.broker.port}"
        settings = BrokerSettings(url=url, client_id=f"esi-room-{ROOM}", **self.broker.room_login)
        self._client = await self._open.enter_async_context(connect(settings))
        await self._client.listen(f"esi/{ROOM}/command/+")
        for topic, octets in self._kept.items():
            await self._client.deliver(f"esi/{ROOM}/{topic}", octets, retain=True)
        listening = asyncio.create_task(self._listen(self._client))
        self._open.push_async_callback(_cancelled, listening)

    async def leave(self) -> None:
        """The broker, in order."""
        self._client = None
        await self._open.aclose()

    async def stop_broker(self) -> None:
        """As when somebody restarts its machine."""
        await self.leave()
        await self.broker.stop()

    async def start_broker(self) -> None:
        """It is back, and so is the daemon."""
        await self.broker.start()
        await self.join()

    async def _listen(self, client: BrokerClient) -> None:
        async for message in client.received():
            fields = json.loads(bytes(message.payload))  # type: ignore[arg-type]
            name = str(message.topic).rpartition("/")[2]
            self.commands.append((name, fields))
            reply = self.answer(name, fields)
            if reply is not None:
                content = {"id": fields["id"], "answered_at": now(), **reply}
                await client.deliver(f"esi/{ROOM}/reply/{fields['client']}", json.dumps(content).encode())


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def write_users(path: Path, names: dict[str, str] = USERS, password: str = PASSWORD) -> None:
    """Users of these roles, all with one password."""
    users.write(path, {name: users.User(name, role, users.hashed(password, CHEAP)) for name, role in names.items()})


@asynccontextmanager
async def a_room(
    broker: Nats | Mosquitto,
    folder: Path,
    *,
    upstream: BrokerSettings | None = None,
    clock: Clock | None = None,
    **more: Any,
) -> AsyncIterator[FakeRoom]:
    """A broker, a server on it (by `upstream`; `more`: of its settings), a room that is joined and online."""
    plain = BrokerSettings(url=f"mqtt://127.0.0.1:{broker.port}", client_id="")
    settings = DisplaySettings(
        room=ROOM,
        timezone="Europe/Berlin",
        data=folder / "data",
        host="127.0.0.1",
        port=free_port(),
        broker=upstream or plain,
        logins=broker.logins,
        **more,
    )
    (settings.data / "records").mkdir(parents=True)
    (settings.data / "lock").touch()
    await broker.start()
    try:
        async with serving(settings, clock) as url:
            room = FakeRoom(broker, settings.data, url)
            await room.join()
            await room.status()
            try:
                yield room
            finally:
                await room.leave()
    finally:
        await broker.stop()
        shutil.rmtree(broker.folder, ignore_errors=True)


class Browser:
    """A client of the server: keeps cookies, follows nothing, says where it comes from."""

    def __init__(self, url: str, **more: Any) -> None:
        self.url, self._more = url, more
        self.origin = {"Origin": url.rstrip("/")}

    async def __aenter__(self) -> Browser:
        jar = aiohttp.CookieJar(unsafe=True)
        self._session = aiohttp.ClientSession(self.url, cookie_jar=jar, **self._more)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def get(self, path: str, **more: Any) -> Any:
        return self._session.get(path, **{"allow_redirects": False, **more})

    def post(self, path: str, **more: Any) -> Any:
        return self._session.post(path, **{"allow_redirects": False, **more})

    def mqtt(self, **headers: str) -> Any:
        """The WebSocket."""
        return self._session.ws_connect("/mqtt", protocols=("mqtt",), headers={**self.origin, **headers})

    async def status(self, path: str, **more: Any) -> int:
        async with self.get(path, **more) as answer:
            return int(answer.status)

    async def login(self, name: str, password: str = PASSWORD, next_: str = "", **more: Any) -> str:
        """Where the answer leads to; its status where it leads nowhere."""
        async with self.get("/login.json") as answer:
            csrf = (await answer.json())["csrf"]
        fields = {"name": name, "password": password, "csrf": csrf, "next": next_, **more}
        async with self.post("/login", data=fields, headers=self.origin) as answer:
            return str(answer.headers.get("Location", answer.status))

    async def config(self) -> dict[str, Any]:
        async with self.get("/config.json") as answer:
            return dict(await answer.json())

    def cookie(self) -> Morsel[str]:
        """The session's."""
        (found,) = (each for each in self._session.cookie_jar if each.key in {"esi-room", "__Host-esi-room"})
        return found

    def cookies(self) -> str:
        """As a header."""
        return "; ".join(f"{each.key}={each.value}" for each in self._session.cookie_jar)
