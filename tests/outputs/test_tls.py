"""TLS to a real Mosquitto, with an authority and certificates made for the test: who is let in, and what is said."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import msgspec
import pytest
from outputs_rig import CLOCK, Mosquitto, lines, pulse, running, settings, subscribed, until, until_open

from esi_room.errors import BrokerError
from esi_room.outputs.client import BrokerSettings, connect
from esi_room.outputs.publisher import Publisher
from esi_room.record.journal import Journal

CONFIG = Path(__file__).parents[2] / "config"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificates(NamedTuple):
    """Made with the openssl program: `ca` signed `server` and `client`, `other` signed nothing."""

    openssl: str
    folder: Path

    def make(self) -> None:
        self.folder.mkdir()
        for name in ("ca", "other"):
            self._openssl("req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}")
        for name, host in (
            ("server", "IP:127.0.0.1"),
            ("elsewhere", "DNS:elsewhere.example"),
            ("client", "DNS:client"),
        ):
            self._openssl("req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            (self.folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
            signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext")
            self._openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([self.openssl, *arguments], cwd=self.folder, check=True, capture_output=True)

    def __getitem__(self, name: object) -> str:
        return str(self.folder / str(name))


class Brokers(NamedTuple):
    """One Mosquitto with five doors."""

    plain: int
    tls: int
    wss: int
    mutual: int
    elsewhere: int


@pytest.fixture(scope="session")
def certificates(peers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(peers.need("openssl"), tmp_path_factory.mktemp("tls") / "certificates")
    made.make()
    return made


@pytest.fixture
async def brokers(
    certificates: Certificates, tmp_path: Path, free_port: Callable[[], int], peers: ModuleType
) -> AsyncIterator[Brokers]:
    doors = Brokers(*(free_port() for _ in Brokers._fields))

    def door(port: int, *more: str, name: str = "server") -> str:
        files = {"cafile": "ca.crt", "certfile": f"{name}.crt", "keyfile": f"{name}.key"}
        tls = [f"{key} {certificates[file]}" for key, file in files.items()]
        return "\n".join([f"listener {port} 127.0.0.1", *tls, *more])

    doors_with_tls = [
        door(doors.tls),
        door(doors.wss, "protocol websockets"),
        door(doors.mutual, "require_certificate true"),
        door(doors.elsewhere, name="elsewhere"),
    ]
    broker = Mosquitto(
        peers.need("mosquitto"), tmp_path / "m", doors.plain, "\n".join(["allow_anonymous true", *doors_with_tls])
    )
    await broker.start()
    for port in doors:
        await until_open(port)
    yield doors
    await broker.stop()


def at(url: str, certificates: Certificates, ca: str | None = "ca", client: bool = False) -> BrokerSettings:
    return BrokerSettings(
        url=url,
        client_id="esi-room-esi-1",
        ca_file=None if ca is None else certificates[f"{ca}.crt"],
        cert_file=certificates["client.crt"] if client else None,
        key_file=certificates["client.key"] if client else None,
    )


@pytest.mark.parametrize(("scheme", "client"), [("mqtts", False), ("wss", False), ("mqtts", True)])
async def test_the_room_publishes_over_tls(
    scheme: str, client: bool, brokers: Brokers, certificates: Certificates, journal: Journal
) -> None:
    port = brokers.mutual if client else brokers.tls if scheme == "mqtts" else brokers.wss
    broker = at(f"{scheme}://127.0.0.1:{port}", certificates, client=client)
    publisher = Publisher(journal, msgspec.structs.replace(settings(port), broker=broker), CLOCK)
    async with subscribed(brokers.plain) as seen, running(publisher):
        for value in range(200):
            journal.append(pulse(value))
        await until(lambda: seen.vital().get("value") == 199)
        await until(lambda: len(seen.events()) >= len(lines(journal)))
        assert seen.first_seen() == lines(journal)


@pytest.mark.parametrize(
    ("scheme", "door", "ca", "words"),
    [
        ("mqtts", "tls", "other", "ca_file must hold the authority"),
        ("wss", "wss", "other", "ca_file must hold the authority"),
        ("mqtts", "tls", None, "ca_file must hold the authority"),
        ("mqtts", "elsewhere", "ca", "the host that the certificate was made for"),
        ("mqtts", "mutual", "ca", "client certificate"),
        ("mqtt", "tls", None, "may want TLS"),
    ],
)
async def test_a_refusal_says_at_once_what_to_do(
    scheme: str, door: str, ca: str | None, words: str, brokers: Brokers, certificates: Certificates
) -> None:
    url = f"{scheme}://127.0.0.1:{getattr(brokers, door)}"
    began_ns = CLOCK.now().mono_ns
    with pytest.raises(BrokerError, match=words) as refused:
        async with connect(at(url, certificates, ca)):
            pass
    assert url in str(refused.value)
    assert (CLOCK.now().mono_ns - began_ns) / 1e9 < 5.0


async def test_the_tls_listener_of_the_example_for_mosquitto(
    certificates: Certificates, tmp_path: Path, free_port: Callable[[], int], peers: ModuleType
) -> None:
    """config/mosquitto.conf with its TLS lines uncommented: a client needs a certificate and a password."""
    plain, web, tls = free_port(), free_port(), free_port()
    broker = Mosquitto(peers.need("mosquitto"), tmp_path, plain)
    text = (CONFIG / "mosquitto.conf").read_text().replace("1883", str(plain)).replace("9001", str(web))
    text = re.sub(r"^#(listener|cafile|certfile|keyfile|require_certificate)", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "m.conf").write_text("user root\n" + text.replace("8883", str(tls)))
    for name in ("ca.crt", "server.crt", "server.key"):
        shutil.copy(certificates[name], tmp_path / name)
    shutil.copy(CONFIG / "mosquitto.acl", tmp_path / "mosquitto.acl")
    (tmp_path / "passwords").write_text("esi-room:secret\n")
    subprocess.run([peers.need("mosquitto_passwd"), "-U", str(tmp_path / "passwords")], check=True)
    await broker.start()
    await until_open(tls)
    url = f"mqtts://127.0.0.1:{tls}"
    known = msgspec.structs.replace(at(url, certificates, client=True), username="esi-room", password="secret")
    async with connect(known) as client:
        await client.deliver("esi/esi-1/status", b"{}")
    for stranger in (at(url, certificates, client=True), msgspec.structs.replace(known, cert_file=None)):
        with pytest.raises(BrokerError):
            async with connect(stranger):
                pass
    await broker.stop()


@pytest.mark.parametrize("missing", ["ca_file", "cert_file"])
async def test_a_file_that_is_not_there_is_named(missing: str, certificates: Certificates) -> None:
    nowhere = msgspec.structs.replace(at("mqtts://127.0.0.1:1", certificates), **{missing: "/nowhere/file.crt"})
    with pytest.raises(BrokerError, match=r"/nowhere/file\.crt"):
        async with connect(nowhere):
            pass
