"""The server's doors, as somebody with curl and bad intentions tries them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from display_rig import Browser, FakeRoom, Nats, a_room, write_users
from structlog.testing import capture_logs

from esi_room.clock import ManualClock
from esi_room.display import audit, gate, server
from esi_room.display.sessions import MAY
from esi_room.display.settings import DisplaySettings, TlsFiles
from esi_room.errors import ConfigurationError
from esi_room.outputs.client import BrokerSettings

CLOCK = ManualClock()
RECORD = "20261130T120000Z-0001"
PAGES = ("/", "/console", "/records", f"/records/{RECORD}")
HTML = {"Accept": "text/html"}


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[FakeRoom]:
    """A room whose pages ask who comes."""
    write_users(tmp_path / "users")
    async with a_room(Nats(tmp_path / "b"), tmp_path, users=tmp_path / "users", clock=CLOCK, idle_s=600.0) as room:
        yield room
    CLOCK.advance(10_000)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def calm_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FakeRoom]:
    """The same, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("calm")
    write_users(folder / "users")
    async with a_room(Nats(folder / "b"), folder, users=folder / "users") as room:
        yield room


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def open_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FakeRoom]:
    folder = tmp_path_factory.mktemp("open")
    async with a_room(Nats(folder / "b"), folder) as room:
        yield room


def said(room: FakeRoom) -> list[tuple[str, int, str, str]]:
    """What the room's record is told of uses: event, outcome, actor, what."""
    uses = [json.loads(path.read_text())["said"] for path in (room.files / "audit").glob("*.json")]
    return sorted((use["event"], use["outcome"], use["actor"], use["what"]) for use in uses)


# --- who nobody knows -------------------------------------------------------------------------------------


async def test_nothing_of_the_room_is_shown_to_nobody(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as browser:
        for path in PAGES:
            assert await browser.status(path) == 401
            async with browser.get(path, headers=HTML, allow_redirects=False) as answer:
                assert answer.status == 303 and answer.headers["Location"].startswith("/login")
        for path in ("/config.json", "/mqtt", "/records/x/frame", "/records/../records", "/%72ecords"):
            assert await browser.status(path) in {401, 403, 404}, path
        for path in ("/login", "/static/login.js", "/schemas/index.json", "/favicon.ico"):
            assert await browser.status(path) in {200, 204}, path


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/static//etc/passwd",
        "/static/....//server.py", "/static/%00", "/schemas/..%2f..%2froom.toml",
        "/static/vendor/../../users.py", "/static/", "/static",
    ],
)  # fmt: skip
async def test_no_file_but_the_pages(open_site: FakeRoom, path: str) -> None:
    host, port = open_site.url.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    assert answer.split()[1] in {b"400", b"403", b"404"}
    writer.close()
    await writer.wait_closed()


async def test_every_answer_carries_the_headers(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as browser:
        await browser.login("Otto")
        for path in ("/", "/records", "/login", "/static/texts.js", "/config.json", "/none", "/console", "/login.json"):
            async with browser.get(path, allow_redirects=False) as answer:
                for name, value in server.HEADERS.items():
                    assert answer.headers[name] == value, (path, name)
                wanted = "no-cache" if path.startswith("/static") else "no-store"
                assert answer.headers["Cache-Control"] == wanted, path
        assert "unsafe" not in server.CSP and "*" not in server.CSP


def test_no_page_needs_what_the_policy_forbids() -> None:
    for path in (Path(server.__file__).parent / "static").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", text), path
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), path


# --- logging in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "role", "first", "allowed"),
    [
        ("Erika Muster", "console", "/console", {"/", "/console"}),
        ("Otto", "auditor", "/records", {"/", "/records"}),
        ("wall-1", "display", "/", {"/"}),
        ("bio", "engineer", "/", {"/"}),
    ],
)
async def test_each_role_is_let_into_what_it_is_for(
    site: FakeRoom, name: str, role: str, first: str, allowed: set[str]
) -> None:
    async with Browser(site.url) as browser:
        assert await browser.login(name) == first
        for path in ("/", "/console", "/records"):
            assert await browser.status(path) == (200 if path in allowed else 403)
        config = await browser.config()
        assert (config["user"], config["role"], config["room"]) == (name, role, "esi-1")
        assert config["may"] == MAY[role]._asdict()
        assert config["client"].startswith(f"{role}-")
    assert ("110114", 0, name, f"logged in at the pages as {role}, from 127.0.0.1") in said(site)
    refused = [what for event, outcome, actor, what in said(site) if (event, outcome, actor) == ("110113", 8, name)]
    assert len(refused) == 3 - len(allowed)


async def test_the_cookie_is_for_the_server_alone(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as browser:
        await browser.login("Erika Muster")
        cookie = browser.cookie()
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/" and not cookie["max-age"]
        assert len(cookie.value) >= 43, "256 bits"
    async with Browser(calm_site.url) as browser:
        await browser.login("wall-1")
        assert int(browser.cookie()["max-age"]) > 300 * 86_400


async def test_logging_out(site: FakeRoom) -> None:
    async with Browser(site.url) as browser:
        await browser.login("Erika Muster")
        kept, csrf = browser.cookie().value, (await browser.config())["csrf"]
        data, headers = {"csrf": csrf}, browser.origin
        async with browser.post("/logout", data=data, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login?why=out")
        assert await browser.status("/") == 401
    async with Browser(site.url) as thief:
        assert await thief.status("/", headers={"Cookie": f"esi-room={kept}"}) == 401
    assert ("110114", 0, "Erika Muster", "logged out of the pages, from 127.0.0.1") in said(site)


async def test_a_login_ends_by_itself_and_with_its_user(site: FakeRoom, tmp_path: Path) -> None:
    async with Browser(site.url) as browser, Browser(site.url) as wall:
        await browser.login("Erika Muster")
        await wall.login("wall-1")
        CLOCK.advance(601)
        assert await browser.status("/") == 401 and await wall.status("/") == 200
        await browser.login("Erika Muster")
        write_users(tmp_path / "users", {"Otto": "auditor"})
        assert await browser.status("/") == 401 and await wall.status("/") == 401


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/records", "/records"),
        (f"/records/{RECORD}", f"/records/{RECORD}"),
        ("https://evil.example", "/console"),
        ("//evil.example", "/console"),
        ("/\\evil.example", "/console"),
        ("/console\r\nSet-Cookie: a=b", "/console"),
        ("javascript:alert(1)", "/console"),
    ],
)
async def test_a_login_leads_to_our_own_pages_alone(calm_site: FakeRoom, wanted: str, leads_to: str) -> None:
    async with Browser(calm_site.url) as browser:
        assert await browser.login("Erika Muster", next_=wanted) == leads_to


# --- guessing ---------------------------------------------------------------------------------------------


async def test_a_wrong_name_and_a_wrong_password_are_answered_alike(site: FakeRoom) -> None:
    async with Browser(site.url) as browser:
        for name in ("Erika Muster", "nobody", "", "a:b", "x" * 5000, "hunter2"):
            assert await browser.login(name, "guess") in {"/login?why=wrong", "/login?why=wait"}
        assert await browser.status("/") == 401
    actors = {actor for event, outcome, actor, _ in said(site) if (event, outcome) == ("110114", 8)}
    assert actors == {"Erika Muster", "somebody unknown"}, "what was typed is not repeated: it may be a password"


async def test_brute_force(site: FakeRoom) -> None:
    async with Browser(site.url) as browser:
        answers = await asyncio.gather(*(browser.login("Erika Muster", f"guess {n}") for n in range(12)))
        assert answers.count("/login?why=wrong") == 5 and answers.count("/login?why=wait") == 7
        assert await browser.login("Erika Muster") == "/login?why=wait", "the right one waits as well"
        CLOCK.advance(60)
        assert await browser.login("Erika Muster") == "/console"


async def test_the_record_is_not_filled_by_whoever_guesses(site: FakeRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "REFUSALS_MAX", 3)
    async with Browser(site.url) as browser:
        for n in range(5):
            await browser.login(f"name {n}", "guess")
        assert len(said(site)) == 3
        CLOCK.advance(audit.REFUSALS_S + 1)
        await browser.login("Otto", "guess")
    assert [what for *_, actor, what in said(site) if actor == "Otto"] == [
        "login at the pages refused, from 127.0.0.1; 2 more before it that the log alone has"
    ]


# --- other people's pages ---------------------------------------------------------------------------------


async def test_no_other_site_can_post(site: FakeRoom) -> None:
    async with Browser(site.url) as browser:
        for more in ({"csrf": ""}, {"csrf": "0" * 64}):
            assert await browser.login("Erika Muster", **more) == "/login?why=old"
        browser.origin = {"Origin": "http://evil.example"}
        assert await browser.login("Erika Muster") == "403"
        browser.origin = {}
        assert await browser.login("Erika Muster") == "403"
        browser.origin = {"Origin": site.url.rstrip("/")}
        assert await browser.login("Erika Muster") == "/console"
        for data in ({}, {"csrf": "guess"}):
            async with browser.post("/logout", data=data, headers=browser.origin) as answer:
                assert answer.status == 403
        headers = {"X-CSRF-Token": (await browser.config())["csrf"], "Origin": "http://evil.example"}
        async with browser.post("/logout", headers=headers) as answer:
            assert answer.status == 403
        assert await browser.status("/console") == 200


async def test_a_token_of_one_login_is_no_good_for_another(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as one, Browser(calm_site.url) as other:
        await one.login("Erika Muster")
        await other.login("Erika Muster")
        headers = {"X-CSRF-Token": (await one.config())["csrf"], **other.origin}
        async with other.post("/logout", headers=headers) as answer:
            assert answer.status == 403


async def test_another_sites_name_for_this_machine_leads_nowhere(open_site: FakeRoom) -> None:
    """DNS rebinding: evil.example resolves to 127.0.0.1, and its page asks where nobody logs in."""
    async with Browser(open_site.url) as browser:
        for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""):
            assert await browser.status("/config.json", headers={"Host": host}) in {400, 403}
        port = open_site.url.rstrip("/").rpartition(":")[2]
        for host in ("localhost", f"localhost:{port}", f"[::1]:{port}"):
            assert await browser.status("/config.json", headers={"Host": host}) == 200


# --- wasting our time -------------------------------------------------------------------------------------


async def test_requests_are_bounded(calm_site: FakeRoom) -> None:
    async with Browser(calm_site.url) as browser:
        assert await browser.login("x", "y" * 100_000) in {"413", "/login?why=wrong"}
        assert await browser.status("/", headers={"X": "y" * 20_000}) == 400
        assert await browser.status("/" + "x" * 20_000) in {400, 414}
        assert await browser.status("/login") == 200


async def test_a_slow_request_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_S", 0.3)
    monkeypatch.setattr("esi_room.display.login.BODY_S", 0.3)
    write_users(tmp_path / "users")
    async with a_room(Nats(tmp_path / "b"), tmp_path, users=tmp_path / "users") as room:
        host, port = room.url.removeprefix("http://").rstrip("/").split(":")
        head = f"POST /login HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n"
        body = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nname="
        for start in (b"", b"GET / HT", head.encode(), (head + body).encode()):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(start)
            answer: list[bytes] = []

            async def drip(writer: asyncio.StreamWriter = writer) -> None:
                while True:
                    writer.write(b"a")
                    await asyncio.sleep(0.05)

            dripping = asyncio.create_task(drip())
            async with asyncio.timeout(10):
                while chunk := await _read(reader):
                    answer.append(chunk)
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
            assert b"".join(answer)[:12] in {b"", b"HTTP/1.1 408", b"HTTP/1.0 400"}
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        async with Browser(room.url) as browser:
            assert await browser.status("/login") == 200


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1000)
    except ConnectionError:
        return b""


async def test_one_address_cannot_take_every_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calm_site: FakeRoom
) -> None:
    monkeypatch.setattr(gate, "PER_ADDRESS_MAX", 5)
    host, port = calm_site.url.removeprefix("http://").rstrip("/").split(":")
    with capture_logs() as logs:
        lines = [await asyncio.open_connection(host, int(port)) for _ in range(12)]
        ended = [reader for reader, _ in lines if await _ends(reader)]
        elsewhere, writer = await asyncio.open_connection(host, int(port), local_addr=("127.0.0.2", 0))
        writer.write(f"GET /login HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert (await elsewhere.readline()).split()[1] == b"200"
    assert len(ended) >= 7
    assert [line["event"] for line in logs] == ["display_too_many_connections"]
    for _, each in [*lines, (elsewhere, writer)]:
        each.close()
        with contextlib.suppress(ConnectionError):
            await each.wait_closed()


async def _ends(reader: asyncio.StreamReader) -> bool:
    """Whether the other side closes it now."""
    try:
        async with asyncio.timeout(0.2):
            return not await _read(reader)
    except TimeoutError:
        return False


# --- closed by default ------------------------------------------------------------------------------------


async def test_it_does_not_open_to_the_network_by_itself(tmp_path: Path, open_site: FakeRoom) -> None:
    settings = DisplaySettings(
        room="r",
        timezone="UTC",
        data=tmp_path,
        host="0.0.0.0",
        port=1,
        broker=BrokerSettings(url="mqtt://x", client_id=""),
    )
    tls = TlsFiles(cert_file="c", key_file="k")
    for more, words in (
        ({}, "without TLS and users"),
        ({"tls": tls}, "without users"),
        ({"users": tmp_path / "u"}, "without TLS"),
        ({"users": tmp_path / "u", "tls": tls}, "passwd --role console NAME"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            async with server.serving(msgspec.structs.replace(settings, **more)):
                raise AssertionError("it listens")
    port = int(open_site.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(ConfigurationError, match="give another address with --listen"):
        async with server.serving(msgspec.structs.replace(settings, host="127.0.0.1", port=port)):
            raise AssertionError("it listens")
