"""TLS, and client certificates in a password's place; certificates made for the test by openssl, shown by Chromium."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from display_rig import HELLO, Browser, FakeRoom, Mosquitto, Nats, a_room, free_port, until_page, write_users
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page
from structlog.testing import capture_logs

from esi_room.display.settings import TlsFiles, server_tls
from esi_room.errors import ConfigurationError
from esi_room.outputs.client import BrokerSettings

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
SUBSCRIBE = """async () => {
  const {default: mqtt} = await import("/static/vendor/mqtt.js");
  const config = await (await fetch("/config.json")).json();
  const url = new URL(config.mqtt, location.href.replace(/^http/, "ws")).href;
  const client = mqtt.connect(url, {clientId: config.client + "-t1", protocolVersion: 4, timerVariant: "native"});
  window.got = [];
  client.on("message", (topic) => window.got.push(topic));
  await client.subscribeAsync(`esi/${config.room}/status`, {qos: 1});
  return `${config.role} ${config.user}`;
}"""


class Certificates(NamedTuple):
    """`ca` signed `server` and the people's; `other` signed `mallory`, who calls itself Erika Muster too."""

    openssl: str
    folder: Path

    def make(self) -> None:
        for name in ("ca", "other"):
            self._run("req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}")
        for name, subject, signer in (
            ("server", "/CN=server", "ca"),
            ("erika", "/CN=Erika Muster", "ca"),
            ("wall", "/CN=wall-1", "ca"),
            ("stranger", "/CN=stranger", "ca"),
            ("two", "/CN=Otto/CN=Erika Muster", "ca"),
            ("mallory", "/CN=Erika Muster", "other"),
        ):
            self._run("req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
            (self.folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
            signing = ("-CA", f"{signer}.crt", "-CAkey", f"{signer}.key", "-CAcreateserial", "-extfile", "ext")
            self._run("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")

    def _run(self, *arguments: str) -> None:
        subprocess.run([self.openssl, *arguments], cwd=self.folder, check=True, capture_output=True)

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    def of(self, name: str | None) -> ssl.SSLContext:
        """A client that trusts `ca` and shows this certificate."""
        context = ssl.create_default_context(cafile=self["ca.crt"])
        if name is not None:
            context.load_cert_chain(self[f"{name}.crt"], self[f"{name}.key"])
        return context


@pytest.fixture(scope="module")
def certificates(peers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(peers.need("openssl"), tmp_path_factory.mktemp("tls"))
    made.make()
    return made


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> AsyncIterator[FakeRoom]:
    folder = tmp_path_factory.mktemp("site")
    write_users(folder / "users")
    tls = TlsFiles(
        cert_file=certificates["server.crt"], key_file=certificates["server.key"], ca_file=certificates["ca.crt"]
    )
    async with a_room(Nats(folder / "b"), folder, users=folder / "users", tls=tls) as room:
        yield room


def client(site: FakeRoom, certificates: Certificates, name: str | None = None) -> Browser:
    return Browser(site.url, connector=aiohttp.TCPConnector(ssl=certificates.of(name)))


async def test_over_tls_the_browser_is_told_to_stay_with_it(site: FakeRoom, certificates: Certificates) -> None:
    assert site.url.startswith("https://")
    async with client(site, certificates) as it:
        async with it.get("/login") as answer:
            assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
        assert await it.login("Erika Muster") == "/console"
        cookie = it.cookie()
        assert cookie.key == "__Host-esi-room" and cookie["secure"] and cookie["path"] == "/"


@pytest.mark.parametrize(
    ("shown", "user", "role"), [("erika", "Erika Muster", "console"), ("wall", "wall-1", "display")]
)
async def test_a_certificate_logs_in(
    site: FakeRoom, certificates: Certificates, shown: str, user: str, role: str
) -> None:
    async with client(site, certificates, shown) as it:
        config = await it.config()
        assert (config["user"], config["role"]) == (user, role)
        assert await it.status("/console") == (200 if role == "console" else 403)


@pytest.mark.parametrize("shown", ["stranger", "two", None])
async def test_a_certificate_of_nobody_is_no_login(
    site: FakeRoom, certificates: Certificates, shown: str | None
) -> None:
    async with client(site, certificates, shown) as it:
        assert await it.status("/config.json") == 401
        assert await it.login("Otto") == "/records", "but a password is one all the same"


async def test_a_certificate_of_another_authority_is_not_listened_to(
    site: FakeRoom, certificates: Certificates
) -> None:
    async with client(site, certificates, "mallory") as it:
        with pytest.raises(aiohttp.ClientError):
            await it.status("/config.json")


async def test_a_certificate_alone_does_not_make_another_sites_request_ours(
    site: FakeRoom, certificates: Certificates
) -> None:
    """The browser shows it to every page's requests: Origin and token are what tells them apart."""
    async with client(site, certificates, "erika") as it:
        it.origin = {"Origin": "https://evil.example"}
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await it.mqtt()
        csrf = (await it.config())["csrf"]
        async with it.post("/logout", headers={"X-CSRF-Token": csrf, **it.origin}) as answer:
            assert answer.status == 403


async def test_no_old_tls(site: FakeRoom, certificates: Certificates) -> None:
    context = certificates.of(None)
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with Browser(site.url, connector=aiohttp.TCPConnector(ssl=context)) as it:
        with pytest.raises(aiohttp.ClientError):
            await it.status("/login")


async def test_a_wall_display_with_a_certificate_in_chromium(
    site: FakeRoom, certificates: Certificates, browser: Chromium
) -> None:
    origin = site.url.rstrip("/")
    shown = {"origin": origin, "certPath": certificates["wall.crt"], "keyPath": certificates["wall.key"]}
    context = await browser.new_context(client_certificates=[shown], ignore_https_errors=True)  # type: ignore[list-item]
    page = await context.new_page()
    answer = await page.goto(site.url)
    assert answer is not None and answer.status == 200
    assert await page.evaluate(SUBSCRIBE) == "display wall-1"
    await until_page(page, "window.got.length > 0")
    await context.close()


# --- towards the broker -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
async def test_a_broker_with_tls(
    certificates: Certificates, tmp_path: Path, peers: ModuleType, page: Page, scheme: str
) -> None:
    port = free_port()
    door = f"listener {port} 127.0.0.1\ncertfile {certificates['server.crt']}\nkeyfile {certificates['server.key']}\n"
    door += "protocol websockets\n" if scheme == "wss" else ""
    broker = Mosquitto(tmp_path / "b", peers.need("mosquitto"), door)
    where = BrokerSettings(url=f"{scheme}://127.0.0.1:{port}", client_id="", ca_file=certificates["ca.crt"])
    async with a_room(broker, tmp_path, upstream=where) as room:
        await page.goto(f"{room.url}static/login.css")
        assert await page.evaluate(SUBSCRIBE) == "open null"
        await until_page(page, "window.got.length > 0")


async def test_a_broker_of_another_authority_is_not_believed(
    certificates: Certificates, tmp_path: Path, peers: ModuleType
) -> None:
    port = free_port()
    door = f"listener {port} 127.0.0.1\ncertfile {certificates['server.crt']}\nkeyfile {certificates['server.key']}\n"
    broker = Mosquitto(tmp_path / "b", peers.need("mosquitto"), door)
    where = BrokerSettings(url=f"mqtts://127.0.0.1:{port}", client_id="", ca_file=certificates["other.crt"])
    async with a_room(broker, tmp_path, upstream=where) as room, Browser(room.url) as it, it.mqtt() as ws:
        with capture_logs() as logs:
            await ws.send_bytes(HELLO)
            await ws.receive()
        assert ws.close_code == 1013
        (away,) = (line for line in logs if line["event"] == "display_broker_away")
        assert "ca_file must hold the authority" in away["reason"]


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ConfigurationError, match=r"the certificates of the pages .*x.* cannot be loaded"):
        server_tls(TlsFiles(cert_file=str(tmp_path / "x"), key_file=str(tmp_path / "x")))
