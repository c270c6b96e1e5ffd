"""TLS at the listener: who gets through, what is said of those who do not, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from pydicom.filewriter import dcmwrite

from esi_room.carm import PeerRule
from esi_room.carm.settings import Tls
from esi_room.carm.tls import SUITES, client_context, server_context
from esi_room.errors import ConfigurationError

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
RSA = ("-newkey", "rsa:2048", "-nodes")
WEAK = ("-newkey", "rsa:1024", "-nodes")


class Certificates(NamedTuple):
    """Made with the openssl program; `name.crt` and `name.key`."""

    openssl: str
    folder: Path

    def authority(self, name: str) -> None:
        self._openssl("req", "-x509", *EC, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}")

    def make(self, name: str, *, key: tuple[str, ...] = EC, by: str = "ca", days: int = 30, use: str = "") -> None:
        self._openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ["-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", str(days)]
        if use:
            (self.folder / f"{name}.ext").write_text(f"extendedKeyUsage={use}\n")
            signing += ["-extfile", f"{name}.ext"]
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([self.openssl, *arguments], cwd=self.folder, check=True, capture_output=True)

    def __getitem__(self, name: object) -> str:
        return str(self.folder / str(name))

    def settings(self, name: str = "room", **how: object) -> Tls:
        usual = {"cert_file": self[f"{name}.crt"], "key_file": self[f"{name}.key"], "ca_file": self["ca.crt"]}
        return Tls(**usual | {"listen": ("127.0.0.1", 0)} | how)  # type: ignore[arg-type]

    def client(self, name: str | None = "carm", **how: object) -> ssl.SSLContext:
        """A peer with this certificate, or with none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self["ca.crt"])
        if name is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.load_cert_chain(self[f"{name}.crt"], self[f"{name}.key"])
        for key, value in how.items():
            setattr(context, key, value)
        return context


@pytest.fixture(scope="session")
def certificates(peers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(peers.need("openssl"), tmp_path_factory.mktemp("certificates"))
    for name in ("ca", "other"):
        made.authority(name)
    for name, how in {
        "room": {},
        "room_rsa": {"key": RSA},
        "carm": {},
        "carm_rsa": {"key": RSA},
        "weak": {"key": WEAK},
        "expired": {"days": -1},
        "foreign": {"by": "other"},
        "for_servers": {"use": "serverAuth"},
        "for_clients": {"use": "clientAuth"},
    }.items():
        made.make(name, **how)
    return made


@pytest.fixture
def secure(open_room, certificates):
    """A room with both doors."""
    return lambda **how: open_room(tls=certificates.settings(), **how)


def port_of(room) -> int:
    assert room.service.tls_address is not None
    return room.service.tls_address[1]


def shake(port: int, context: ssl.SSLContext) -> str | None:
    """A handshake and the first read after it (in TLS 1.3 a server's refusal comes then): the protocol, or None."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain) as line,
        ):
            line.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                return line.version() if line.recv(1) else None
            return line.version()
    except OSError:
        return None


# --- who gets through -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_images_go_in_over_tls_as_over_the_other_door(secure, scu, certificates, version):
    async with secure() as room:
        tls = certificates.client(maximum_version=version)
        assert await scu.store(port_of(room), scu.picture(), scu.picture(), tls=tls) == [0, 0]
        assert await scu.store(room.port, scu.picture()) == [0]
        assert len(room.frames()) == 3
        assert room.entries("carm.association") == []


async def test_octets_that_tls_has_decrypted_already_are_not_waited_for(secure, scu, certificates):
    """A run of 8 MiB in PDUs of 16 KiB: a wait of a turn (0.1 s) for each that `select` does not see takes minutes."""
    async with secure() as room:
        image = scu.picture(Rows=2048, Columns=4096, PixelData=bytes(8 << 20))
        started = time.monotonic()
        assert await scu.store(port_of(room), image, tls=certificates.client()) == [0]
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("key", ["carm", "carm_rsa"])
async def test_storescu_over_tls(secure, scu, certificates, peers, run, tmp_path, key):
    file = tmp_path / "image.dcm"
    dcmwrite(file, scu.picture(), enforce_file_format=True)
    async with secure() as room:
        credentials = ("+tls", certificates[f"{key}.key"], certificates[f"{key}.crt"], "+cf", certificates["ca.crt"])
        program = peers.need("storescu")
        code, said = await run(
            program, *credentials, "-xs", "-aet", "STORESCU", "-aec", "ESI_ROOM", "127.0.0.1", str(port_of(room)), file
        )
        assert code == 0, said
        assert len(room.frames()) == 1


async def test_tls_can_be_the_only_door(open_room, scu, certificates):
    async with open_room(listen=None, tls=certificates.settings()) as room:
        assert room.service.address is None
        assert await scu.store(port_of(room), scu.picture(), tls=certificates.client()) == [0]
        state = await room.entry("device.state", state="connected")
        assert state["reason"].endswith("(TLS)")


async def test_a_peer_for_tls_alone_is_refused_at_the_other_door(open_room, scu, certificates):
    rules = (PeerRule(ae_title="CARM", address="127.0.0.1", tls=True),)
    async with open_room(peers=rules, tls=certificates.settings()) as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(scu.request())
        assert await scu.read_pdu(reader) == (3, bytes([0, 1, 1, 3]))
        writer.close()
        await room.entry("carm.association", outcome="refused", reason="over TLS alone")
        assert await scu.store(port_of(room), scu.picture(), tls=certificates.client()) == [0]


async def test_what_the_room_calls_with_is_let_in_by_its_like(secure, scu, certificates):
    async with secure() as room:
        tls = client_context(certificates.settings("for_clients"))
        assert await scu.store(port_of(room), scu.picture(), tls=tls) == [0]


# --- who does not -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "the peer showed no certificate"),
        ("foreign", "not accepted: it is signed by an authority that is not in ca_file"),
        ("expired", "not accepted: it has expired"),
        ("for_servers", "not accepted: it is made out for another purpose"),
        ("weak", "shorter than the profile allows"),
    ],
)
async def test_a_certificate_that_will_not_do(secure, scu, certificates, name, said, version):
    async with secure() as room:
        tls = certificates.client(name, maximum_version=version)
        assert await asyncio.to_thread(shake, port_of(room), tls) is None
        entry = await room.entry("carm.association", outcome="refused", reason=said)
        assert entry["peer"] == "? @ 127.0.0.1"
        assert await scu.store(port_of(room), scu.picture(), tls=certificates.client()) == [0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
async def test_tls_older_than_1_2_is_refused(secure, certificates):
    async with secure() as room:
        old = certificates.client(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
        assert await asyncio.to_thread(shake, port_of(room), old) is None
        await room.entry("carm.association", outcome="refused", reason="older than 1.2")


async def test_a_peer_that_does_not_accept_our_certificate_is_told_apart(secure, certificates):
    async with secure() as room:
        tls = certificates.client()
        distrusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        distrusting.check_hostname = False
        distrusting.load_verify_locations(certificates["other.crt"])
        del tls
        assert await asyncio.to_thread(shake, port_of(room), distrusting) is None
        await room.entry("carm.association", outcome="refused", reason="does not know who signed our certificate")


@pytest.mark.parametrize("profile", SUITES)
async def test_the_suites_of_the_profile_and_no_others(open_room, certificates, profile):
    named = {"ECDHE-ECDSA-AES256-GCM-SHA384": True, "ECDHE-ECDSA-AES128-GCM-SHA256": True}
    named |= dict.fromkeys(("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-CCM"), profile == "modified-bcp195")
    named |= dict.fromkeys(("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"), False)
    async with open_room(tls=certificates.settings(profile=profile)) as room:
        for suite, allowed in named.items():
            tls = certificates.client(maximum_version=ssl.TLSVersion.TLSv1_2)
            tls.set_ciphers(f"{suite}:@SECLEVEL=0")
            assert (await asyncio.to_thread(shake, port_of(room), tls) is not None) == allowed, suite
        await room.entry("carm.association", outcome="refused", reason="no cipher suite of the profile")


async def test_each_protocol_at_the_others_door_is_named(secure, scu, certificates):
    async with secure() as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(room))
        writer.write(scu.request())
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
        writer.close()
        await room.entry("carm.association", outcome="refused", reason="plain DICOM on the port for TLS")
        assert await asyncio.to_thread(shake, room.port, certificates.client()) is None
        await room.entry("carm.association", outcome="refused", reason="TLS on the port for plain DICOM")


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01", b"\x16"], ids=["silent", "half", "a byte"])
async def test_a_handshake_that_never_ends_delays_nobody_and_ends(secure, scu, certificates, first):
    async with secure(request_timeout_s=1.5) as room:
        held = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(room))
            writer.write(first)
            held.append((reader, writer))
        started = time.monotonic()
        assert await scu.store(port_of(room), scu.picture(), tls=certificates.client()) == [0]
        assert time.monotonic() - started < 1.4
        for reader, writer in held:
            async with asyncio.timeout(5):
                with contextlib.suppress(ConnectionResetError):
                    await reader.read()
            writer.close()
        await room.entry("carm.association", outcome="refused", reason="silent in the middle of the handshake")


async def test_an_association_over_tls_is_cut_off_when_too_old(secure, scu, certificates):
    async with secure(association_timeout_s=0.5) as room:
        tls = certificates.client()
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(room), ssl=tls, server_hostname="room")
        writer.write(scu.request())
        assert (await scu.read_pdu(reader))[0] == 2
        async with asyncio.timeout(5):
            assert (await scu.read_pdu(reader))[0] == 7
        writer.close()
        await room.entry("carm.association", outcome="aborted", reason="open for longer")


# --- the room's own files ---------------------------------------------------------------------------------

OWN = {
    "expired": ({"name": "expired"}, "it has expired"),
    "for calling alone": ({"name": "for_clients"}, "made out for another purpose"),
    "a short key": ({"name": "weak"}, "shorter than the profile allows"),
    "another's key": ({"key_file": "carm.key"}, "the key is not the certificate's"),
    "no file": ({"cert_file": "none.crt"}, "none.crt: No such file"),
    "no certificate": ({"ca_file": "room.key"}, "no certificate in PEM form"),
    "no key": ({"key_file": "room.crt"}, "no certificate and key in PEM form"),
    "an encrypted key": ({"key_file": "encrypted.key"}, "the key is encrypted"),
}


@pytest.mark.parametrize(("how", "said"), OWN.values(), ids=OWN)
def test_what_is_wrong_with_the_rooms_own_files_is_found_at_the_start(certificates, how, said):
    subprocess.run(
        [certificates.openssl, "ec", "-in", "room.key", "-aes256", "-passout", "pass:x", "-out", "encrypted.key"],
        cwd=certificates.folder,
        check=True,
        capture_output=True,
    )
    own = {key: value if key == "name" else certificates[value] for key, value in how.items()}
    with pytest.raises(ConfigurationError) as raised:
        server_context(certificates.settings(**own))
    assert said in str(raised.value)
    secret = Path(certificates["room.key"]).read_text().splitlines()[1]
    assert secret not in str(raised.value)


async def test_a_listener_that_cannot_use_its_files_says_which(open_room, certificates):
    async with open_room(tls=certificates.settings("expired"), listening=False) as room:
        lost = await room.entry("device.state", state="lost")
        assert "expired.crt: it has expired" in lost["reason"] and "(TLS)" in lost["reason"]
