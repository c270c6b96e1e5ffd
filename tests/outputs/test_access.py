"""The roles: one table for both brokers, and what each role gets of the embedded one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from esi_room.errors import BrokerError
from esi_room.outputs.access import ROLES, Access, keep_logins, read_logins
from esi_room.outputs.broker import EmbeddedBroker
from esi_room.outputs.client import BrokerClient, BrokerSettings, RefusedError, connect

ACL = Path(__file__).parents[2] / "config" / "mosquitto.acl"
RETAINED = ("state/vitals", "state/device/pump-1", "state/checkpoint", "status", "image/last", "private/identity")
SENT = ("event/vitals/numeric", "event/device/state", "replay/1/state/vitals")
COMMANDS = ("command/phase", "command/backfill", "command/frame", "state/vitals", "event/x", "replay/1/status")
DISPLAY = {*RETAINED, *SENT} - {"private/identity"}
SEEN = {
    "display": DISPLAY,
    "console": {*RETAINED, *SENT},
    "engineer": {"event/device/state", "state/device/pump-1", "status"},
    "auditor": DISPLAY,
    "witness": {"state/checkpoint"},
}
SAID = {
    "display": {"command/backfill", "command/frame"},
    "console": {"command/phase", "command/backfill", "command/frame"},
    "engineer": set[str](),
    "auditor": {"command/backfill", "command/frame", "replay/1/status"},
    "witness": set[str](),
}


def test_the_table_says_what_mosquitto_acl_says() -> None:
    read: dict[str, list[str]] = {}
    write: dict[str, list[str]] = {}
    user = ""
    for line in ACL.read_text().splitlines():
        match line.split():
            case ["user", name]:
                user = name
            case ["topic", what, topic] if user != "esi-room":
                for kind, table in (("read", read), ("write", write)):
                    if kind in what:
                        table.setdefault(user, []).append(topic.removeprefix("esi/+/"))
            case ["pattern", "read", topic]:
                assert topic == "esi/+/reply/%c/#"
    for role, access in ROLES.items():
        assert Access(tuple(sorted(read[role])), tuple(sorted(write.get(role, ())))) == Access(
            tuple(sorted(access.read)), tuple(sorted(access.write))
        ), role
    assert set(read) == set(ROLES)


async def _take(client: BrokerClient, topics: set[str]) -> None:
    async for message in client.received():
        topics.add(str(message.topic).removeprefix("esi/r/"))


async def test_each_role_gets_what_it_is_for(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    logins = keep_logins(tmp_path / "logins")
    broker = EmbeddedBroker(tmp_path / "b", ("127.0.0.1", port), roles=logins)
    await broker.start()
    url = f"mqtt://127.0.0.1:{port}"
    async with connect(BrokerSettings(url=url, client_id="room")) as room:
        heard: set[str] = set()
        await room.listen("esi/r/#")
        hearing = asyncio.create_task(_take(room, heard))
        for topic in RETAINED:
            await room.deliver(f"esi/r/{topic}", b"x", retain=True)
        for role, login in logins.items():
            mine = BrokerSettings(url=url, client_id=f"{role}-1", username=login.username, password=login.password)
            async with connect(mine) as client:
                got: set[str] = set()
                taking = asyncio.create_task(_take(client, got))
                for wanted in {*RETAINED, *SENT, f"reply/{role}-1", "#", "state/#", "+/+"}:
                    try:
                        await client.listen(f"esi/r/{wanted}")
                    except RefusedError:
                        assert wanted not in SEEN[role]
                for topic in SENT:
                    await room.deliver(f"esi/r/{topic}", b"x")
                heard.clear()
                for topic in COMMANDS:
                    await client.deliver(f"esi/r/{topic}", b"x")  # NATS acknowledges what it denies
                await room.deliver(f"esi/r/reply/{role}-1", b"last")
                async with asyncio.timeout(10):
                    while f"reply/{role}-1" not in got or not heard >= {*SAID[role], f"reply/{role}-1"}:
                        await asyncio.sleep(0.01)
                assert got - {f"reply/{role}-1"} == SEEN[role], role
                assert heard & set(COMMANDS) == SAID[role], role
                taking.cancel()
                await asyncio.gather(taking, return_exceptions=True)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
    await broker.stop()


async def test_a_wrong_password_is_refused(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    broker = EmbeddedBroker(tmp_path / "b", ("127.0.0.1", port), roles=keep_logins(tmp_path / "logins"))
    await broker.start()
    wrong = BrokerSettings(url=f"mqtt://127.0.0.1:{port}", client_id="x", username="console", password="guess")
    with pytest.raises(BrokerError, match="uthori"):
        async with connect(wrong):
            pass
    await broker.stop()


def test_a_room_may_not_be_named_as_a_role(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="'console' is the name of a role"):
        EmbeddedBroker(tmp_path, ("127.0.0.1", 1), username="console", password="p", roles=keep_logins(tmp_path / "l"))


def test_logins_are_made_once_and_private(tmp_path: Path) -> None:
    first = keep_logins(tmp_path / "logins")
    assert keep_logins(tmp_path / "logins") == first
    assert (tmp_path / "logins").stat().st_mode & 0o777 == 0o600
    assert first["display"].password not in repr(first)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("boss u p\n", ":1: this is no line"),
        ("# x\n\ndisplay u\n", ":3: this is no line"),
        ("display u p\ndisplay v q\n", ":2: this is no line"),
    ],
)
def test_a_wrong_file_of_logins_is_said_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "logins"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BrokerError, match=words):
        read_logins(path)
    path.chmod(0o644)
    with pytest.raises(BrokerError, match="chmod 600"):
        read_logins(path)
