"""A room's configuration as its author sees it: every mistake, its line, what is allowed; or what was meant."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esi_room.config import examine, load
from esi_room.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "room.toml"
ROOM = '[room]\nid = "esi-1"\ntimezone = "Europe/Berlin"\ndata = "data"\n'
MQTT = '[mqtt]\nurl = "mqtt://127.0.0.1:1883"\n'
GOOD = ROOM + MQTT
DEVICE = '[[device]]\nid = "spo2"\ndriver = "masimo_ascii1"\nport = "/dev/ttyS0"\n'

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "room.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def mistakes(path: Path) -> list[str]:
    """What `load` says, without the directory."""
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return [problem.removeprefix(f"{path.parent}/") for problem in caught.value.problems]


# --- what is right ----------------------------------------------------------------------------------------


def test_the_smallest_room(write: Write, tmp_path: Path) -> None:
    config = load(write(GOOD))
    assert config.room.id == "esi-1"
    assert config.room.data == tmp_path / "data"
    assert config.client_id == "esi-room-esi-1"
    assert config.carm is None and config.display is None and config.device == ()
    assert config.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


def test_listeners_are_closed_by_default(write: Write) -> None:
    config = load(write(ROOM + '[mqtt]\nurl = "embedded"\n[carm]\nae_title = "ESI_ROOM"\n[display]\n'))
    assert config.carm is not None and config.display is not None
    assert config.mqtt.embedded
    assert config.mqtt.websocket_listen is None
    assert config.carm.peer == ()
    assert all(address.loopback for address in (config.mqtt.listen, config.carm.listen, config.display.listen))
    assert (config.carm.listen.host, config.carm.listen.port) == ("127.0.0.1", 11112)


def test_the_example_is_right_and_makes_every_driver() -> None:
    config = load(EXAMPLE)
    assert [device.id for device in config.device] == ["monitor-1", "oximeter-1", "pump-1"]
    assert [device.make().info.name for device in config.device] == [device.driver for device in config.device]


def test_the_settings_that_the_example_comments_out_are_right_too(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    text = text.replace('url = "embedded"', 'url = "mqtts://broker:8883"')
    text = text.replace("\nlisten = ", "\n#listen = ", 1).replace("\nwebsocket_", "\n#websocket_")
    text = text.replace("\npassword_env", "\n#password_env")
    pems = ("broker-ca.pem", "room.pem", "room.key", "dicom.pem", "dicom.key", "peers-ca.pem")
    pems += ("display.pem", "display.key", "clients-ca.pem", "display-client.pem", "display-client.key")
    for name in (*pems, "mqtt.password", "rules.toml", "display.logins"):
        (tmp_path / name).touch()
    (tmp_path / "room.toml").write_text(text)
    config = load(tmp_path / "room.toml")
    assert config.carm is not None and config.carm.limits.associations == 16
    assert config.device[0].line == {"baud": 115200}
    assert config.mqtt.username == "esi-room"


def test_line_settings_go_on_top_of_the_drivers(write: Write) -> None:
    (device,) = load(write(GOOD + DEVICE + '[device.line]\nbaud = 19200\nparity = "even"\n')).device
    driver = device.make()
    settings = device.settings(driver)
    assert (settings.baud, settings.parity, settings.data_bits) == (19200, "even", driver.info.line.data_bits)


def test_driver_options_reach_the_driver(write: Write) -> None:
    stanza = '[[device]]\nid = "pump"\ndriver = "new_era"\nport = "socket://10.1.2.3:4001"\n'
    (device,) = load(write(GOOD + stanza + "[device.options]\naddress = 7\n")).device
    assert any(octets.startswith(b"7") for octets in device.make().info.sends)


def test_paths_begin_at_the_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(ROOM + '[mqtt]\nurl = "mqtt://b"\nusername = "u"\npassword_file = "secret"\n')
    (tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.chdir("/")
    config = load(path)
    assert config.mqtt.password({}) == "hunter2"
    assert "hunter2" not in repr(config)


def test_the_password_from_the_environment(write: Write) -> None:
    config = load(write(ROOM + '[mqtt]\nurl = "mqtt://b"\nusername = "u"\npassword_env = "ROOM_PW"\n'))
    assert config.mqtt.password({"ROOM_PW": "x"}) == "x"
    with pytest.raises(ConfigurationError, match="ROOM_PW"):
        config.mqtt.password({})


def test_an_empty_password_file_is_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    config = load(write(ROOM + '[mqtt]\nurl = "mqtt://b"\nusername = "u"\npassword_file = "secret"\n'))
    with pytest.raises(ConfigurationError, match="secret"):
        config.mqtt.password({})


@pytest.mark.parametrize(
    "url", ["mqtt://h", "mqtts://h:1", "ws://h:9001/mqtt", "wss://h", "mqtt://[::1]:1883", "embedded"]
)
def test_broker_urls(write: Write, url: str) -> None:
    assert load(write(ROOM + f'[mqtt]\nurl = "{url}"\n')).mqtt.url == url


@pytest.mark.parametrize(
    ("listen", "host", "loopback"),
    [
        ("[::1]:9", "::1", True),
        ("localhost:9", "127.0.0.1", True),
        ("0.0.0.0:9", "0.0.0.0", False),
        ("[::]:9", "::", False),
    ],
)
def test_listen_addresses(write: Write, listen: str, host: str, loopback: bool) -> None:
    carm = load(write(GOOD + f'[carm]\nae_title = "A"\nlisten = "{listen}"\n')).carm
    assert carm is not None
    assert (carm.listen.host, carm.listen.port, carm.listen.loopback) == (host, 9, loopback)


def test_a_byte_order_mark_and_windows_line_ends_are_taken(write: Write) -> None:
    assert load(write(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())).room.id == "esi-1"


# --- what is wrong ----------------------------------------------------------------------------------------

CARM = GOOD + '[carm]\nae_title = "A"\n'
TLS = '[carm.tls]\ncert_file = "room.toml"\nkey_file = "room.toml"\nca_file = "room.toml"\n'
ARCHIVE = '[carm]\nae_title = "A"\n[[carm.destination]]\nid = "pacs"\nae_title = "P"\naddress = "a:104"\n'
DISPLAY = GOOD + '[display]\nusers_file = "display.users"\n'
WRONG = {
    "typo": (GOOD + 'usrname = "u"\n', 7, 'unknown key "usrname" in mqtt (did you mean "username"?); allowed: url,'),
    "missing": (GOOD.replace('id = "esi-1"\n', ""), 1, "room.id is missing; needed: 1 to 32 of A-Z"),
    "missing table": (ROOM, 1, "mqtt is missing; needed: the table [mqtt]"),
    "unknown table": (GOOD + "[mqt]\n", 7, 'unknown key "mqt" at the top (did you mean "mqtt"?)'),
    "case": (GOOD + "[Carm]\n", 7, '(did you mean "carm"?)'),
    "single brackets": (GOOD + "[device]\n", 7, "[device] stands in single brackets; write [[device]]"),
    "double brackets": (GOOD + "[[carm]]\n", 7, "[[carm]] stands in double brackets; write [carm]"),
    "type": (GOOD.replace('"esi-1"', "1"), 2, "room.id = 1 is no text in quotes; allowed: 1 to 32"),
    "id": (GOOD.replace("esi-1", "esi/1"), 2, 'room.id = "esi/1" is not allowed; allowed: 1 to 32 of A-Z a-z 0-9 _ -'),
    "id too long": (GOOD.replace("esi-1", "x" * 33), 2, "allowed: 1 to 32"),
    "time zone": (GOOD.replace("Berlin", "Berln"), 3, '(did you mean "Europe/Berlin"?)'),
    "scheme": (GOOD.replace("mqtt:", "mqt:"), 6, 'unknown scheme (did you mean "mqtt"?); allowed: mqtt://'),
    "url": (GOOD.replace(":1883", ":mqtt"), 6, "is no URL"),
    "url with a path": (GOOD.replace(":1883", ":1883/a"), 6, "must be a host and at most a port"),
    "no username": (GOOD + 'password_env = "P"\n', 7, "without username; both are needed"),
    "no password": (GOOD + 'username = "u"\n', 7, "without password_file or password_env"),
    "no such file": (GOOD.replace("mqtt:", "mqtts:") + 'ca_file = "no.pem"\n', 7, "names no file that is there"),
    "TLS files without TLS": (GOOD + 'ca_file = "room.toml"\n', 7, "only mqtts:// and wss:// use"),
    "certificate without key": (
        GOOD.replace("mqtt:", "mqtts:") + 'cert_file = "room.toml"\n',
        7,
        "without key_file; both are needed",
    ),
    "listen of another broker": (GOOD + 'listen = "127.0.0.1:1"\n', 7, "for the embedded broker"),
    "open broker": (
        ROOM + '[mqtt]\nurl = "embedded"\nlisten = "0.0.0.0:1883"\n',
        7,
        "opens the broker to the network without a password; allowed: a loopback address",
    ),
    "client id": (GOOD + 'client_id = "a.b"\n', 7, "allowed: 1 to 64 of A-Z"),
    "AE title": (GOOD + '[carm]\nae_title = "SEVENTEEN_LETTERS"\n', 8, "has 17 characters; allowed"),
    "AE title's letters": (GOOD + '[carm]\nae_title = "A\\\\B"\n', 8, "a character that DICOM forbids"),
    "AE title's space": (GOOD + '[carm]\nae_title = " A"\n', 8, "begins or ends with a space"),
    "port number": (GOOD + '[display]\nlisten = "127.0.0.1:99999"\n', 8, "is no ADDRESS:PORT"),
    "listen name": (GOOD + '[display]\nlisten = "myhost:80"\n', 8, "allowed: ADDRESS:PORT"),
    "same port": (
        GOOD + '[carm]\nae_title = "A"\n[display]\nlisten = "127.0.0.1:11112"\n',
        10,
        "carm.listen has port 11112",
    ),
    "origin": (
        ROOM + '[mqtt]\nurl = "embedded"\nwebsocket_origins = ["http://a/"]\n',
        7,
        "is no http://HOST[:PORT] or https://HOST[:PORT]; allowed: embedded broker: whose pages",
    ),
    "open display": (
        GOOD + '[display]\nlisten = "0.0.0.0:80"\n',
        8,
        "opens the pages to the network without cert_file and users_file; allowed: a loopback",
    ),
    "open display with users": (
        DISPLAY + 'broker.logins_file = "room.toml"\nlisten = "0.0.0.0:80"\n',
        10,
        "to the network without cert_file; allowed",
    ),
    "display's key": (GOOD + '[display]\ncert_file = "room.toml"\n', 8, "display.cert_file without key_file"),
    "display's clients": (
        GOOD + '[display]\nca_file = "room.toml"\ncert_file = "room.toml"\nkey_file = "room.toml"\n',
        8,
        "display.ca_file without users_file",
    ),
    "display's roles": (DISPLAY, 8, "without display.broker.logins_file: the broker would not know who is who"),
    "display's roles at the embedded broker": (
        ROOM + '[mqtt]\nurl = "embedded"\n[display.broker]\nlogins_file = "room.toml"\n',
        8,
        "for the embedded one the daemon sees to it",
    ),
    "display's users": (ROOM + '[mqtt]\nurl = "embedded"\n[display]\nusers_file = "."\n', 8, "names a directory"),
    "display's session": (GOOD + "[display]\nsession_h = 48\n", 8, "allowed: hours until a login ends"),
    "peer": (
        GOOD + '[carm]\nae_title = "A"\n[[carm.peer]]\nae_title = "B"\naddress = "carm.local"\n',
        11,
        "is no IP address; allowed: its IP address",
    ),
    "peer network": (
        GOOD + '[carm]\nae_title = "A"\n[[carm.peer]]\nae_title = "B"\naddress = "10.1.2.3/24"\n',
        11,
        "write 10.1.2.0/24 for the network",
    ),
    "same peer": (
        GOOD + '[carm]\nae_title = "A"\n' + '[[carm.peer]]\nae_title = "B"\naddress = "10.1.2.3"\n' * 2,
        13,
        "stands in another [[carm.peer]] already",
    ),
    "destination": (
        CARM + '[[carm.destination]]\nid = "pacs"\nae_title = "P"\naddress = "10.1.2.3"\n',
        12,
        "is no HOST:PORT; allowed: HOST:PORT, such as",
    ),
    "destination id": (
        CARM + '[[carm.destination]]\nid = "worklist"\nae_title = "P"\naddress = "a:104"\n',
        10,
        "names a part of the room; allowed: any but room, carm, orders, worklist",
    ),
    "destination named like a device": (
        CARM + '[[carm.destination]]\nid = "spo2"\nae_title = "P"\naddress = "a:104"\n' + DEVICE,
        10,
        "is a [[device]]'s id already",
    ),
    "TLS without a certificate": (
        CARM + '[[carm.destination]]\nid = "p"\nae_title = "P"\naddress = "a:104"\ntls = true\n',
        13,
        "carm.destination.tls without [carm.tls]",
    ),
    "TLS peer without a listener": (
        CARM + '[[carm.peer]]\nae_title = "P"\naddress = "10.1.2.3"\ntls = true\n' + TLS,
        12,
        "carm.peer.tls without carm.tls.listen",
    ),
    "TLS profile": (CARM + TLS + 'profile = "bcp"\n', 13, 'allowed: "bcp195" (PS3.15 B.12)'),
    "same port with TLS": (CARM + TLS + 'listen = "0.0.0.0:11112"\n', 13, "carm.listen has port 11112"),
    "hospital": (
        CARM + '[carm.worklist.hospital]\nae_title = "R"\naddress = "ris:104"\npol_s = 9\n',
        12,
        '(did you mean "poll_s"?)',
    ),
    "SOP class": (CARM + 'private_sop_classes = ["GE"]\n', 9, 'carm.private_sop_classes = "GE" is no UID'),
    "limit": (GOOD + '[carm]\nae_title = "A"\nlimits.associations = 0\n', 9, "associations = 0 is not allowed"),
    "same id": (GOOD + DEVICE + DEVICE.replace("ttyS0", "ttyS1"), 12, 'device.id = "spo2" stands in another'),
    "same port of two devices": (GOOD + DEVICE + DEVICE.replace("spo2", "b"), 14, "stands in another [[device]]"),
    "reserved id": (GOOD + DEVICE.replace("spo2", "carm"), 8, "names a part of the room"),
    "driver": (
        GOOD + DEVICE.replace("ascii1", "asci1"),
        9,
        'device.driver = "masimo_asci1" is unknown (did you mean "masimo_ascii1"?); allowed: ge_dri',
    ),
    "port": (GOOD + DEVICE.replace("/dev/ttyS0", "COM3"), 10, "allowed: /dev/serial/by-id/"),
    "port scheme": (GOOD + DEVICE.replace("/dev/ttyS0", "tcp://a:1"), 10, "socket://HOST:PORT"),
    "baud type": (GOOD + DEVICE + '[device.line]\nbaud = "9600"\n', 12, "allowed: a whole number"),
    "baud": (GOOD + DEVICE + "line.baud = 5\n", 11, "allowed: 50 to 4000000"),
    "parity": (GOOD + DEVICE + 'line.parity = "evn"\n', 11, '"even"'),
    "line key": (GOOD + DEVICE + "[device.line]\nbauds = 9600\n", 12, '(did you mean "baud"?)'),
    "option": (
        GOOD + DEVICE.replace("masimo_ascii1", "new_era") + "[device.options]\nadress = 1\n",
        12,
        'unknown key "adress" in device.options of new_era (did you mean "address"?)',
    ),
    "option type": (
        GOOD + DEVICE.replace("masimo_ascii1", "new_era") + '[device.options]\naddress = "one"\n',
        12,
        'device.options.address = "one" is not allowed; allowed: a whole number',
    ),
    "option that the driver refuses": (
        GOOD + DEVICE.replace("masimo_ascii1", "new_era") + "\n[device.options]\naddress = 1000\n",
        12,
        "device.options",
    ),
    "days": (GOOD + "[retention]\nkeep_days = 0\n", 8, "retention.keep_days = 0 is not allowed; allowed: whole days"),
    "part of a day": (GOOD + "[retention]\nkeep_days = 0.5\n", 8, "retention.keep_days = 0.5 is no whole number"),
    "a zero too few": (GOOD + "[retention]\nmax_bytes = 1000\n", 8, "at least 1073741824"),
    "images longer than records": (
        GOOD + "[retention]\nkeep_days = 10\nkeep_images_days = 11\n",
        9,
        "retention.keep_images_days = 11 is more than keep_days; allowed: at most 10",
    ),
    "an archive that is none": (
        GOOD + ARCHIVE + '[retention]\nkeep_days = 10\nonly_archived = ["pcas"]\n',
        15,
        'retention.only_archived: "pcas" is no carm.destination.id (did you mean "pacs"?); allowed: "pacs"',
    ),
    "an archive without images": (
        GOOD + ARCHIVE + 'images = false\nmpps = true\n[retention]\nonly_archived = ["pacs"]\n',
        16,
        '"pacs" is sent no images; allowed: one with images = true',
    ),
    "no archive at all": (GOOD + '[retention]\nonly_archived = ["pacs"]\n', 8, "allowed: none, there is no [[carm."),
    "retention key": (GOOD + "[retention]\nkeep_day = 1\n", 8, '(did you mean "keep_days"?)'),
    "data is a file": (GOOD.replace('"data"', '"room.toml"'), 4, "names a file"),
    "no TOML": (GOOD.replace('"esi-1"', "esi-1"), 2, "text must stand in quotes"),
    "cut off": (GOOD + "[carm", 7, "this is not TOML: Expected ']'"),
    "key twice": (ROOM.replace('data = "data"', 'id = "2"') + MQTT, 4, "Cannot overwrite a value"),
    "nested without end": ("a = " + "[" * 5000, 1, "this cannot be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_has_its_line_and_what_is_allowed(name: str, write: Write) -> None:
    text, line, words = WRONG[name]
    said = mistakes(write(text))
    assert any(one.startswith(f"room.toml:{line}: ") and words in one for one in said), said
    assert len(said) == 1, said


def test_all_mistakes_at_once_in_the_order_of_the_file(write: Write) -> None:
    text = GOOD.replace("esi-1", "esi 1").replace("Berlin", "Berln") + "[carm]\n" + DEVICE.replace("spo2", "room")
    text += DEVICE.replace("ascii1", "x").replace("spo2", "b").replace("ttyS0", "ttyS1") + "[device.line]\nbuad = 1\n"
    said = [one.split(": ")[0] for one in mistakes(write(text))]
    assert said == [f"room.toml:{line}" for line in (2, 3, 7, 9, 14, 17)]


def test_an_empty_file_says_what_a_room_needs(write: Write) -> None:
    said = mistakes(write(""))
    assert [one.split(";")[0] for one in said] == ["room.toml:1: mqtt is missing", "room.toml:1: room is missing"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.toml") == ["none.toml: cannot be read: No such file or directory"]
    (tmp_path / "dir.toml").mkdir()
    assert mistakes(tmp_path / "dir.toml") == ["dir.toml: cannot be read: Is a directory"]


def test_a_machine_without_time_zones(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    assert "tzdata" in mistakes(write(GOOD))[0]


def test_another_encoding_is_named_with_its_line(write: Write) -> None:
    assert mistakes(write(GOOD.encode() + b"# \xfcber\n")) == [
        "room.toml:7: byte 0xFC is not UTF-8; save the file as UTF-8"
    ]


@pytest.mark.parametrize(
    "text",
    [
        GOOD + 'password = "hunter2"\n',
        GOOD + 'Passwort = "hunter2"\n',
        GOOD + 'username = "u"\npassword_env = "hunter2!"\n',
        GOOD + 'username = "u"\npassword_file = "hunter2"\n',
        GOOD.replace("127.0.0.1", "user:hunter2@host"),
        GOOD.replace("127.0.0.1", "user:hunter2/x@host"),
        GOOD.replace("mqtt://127.0.0.1", "mqqt://user:hunter2@host"),
    ],
)
def test_a_password_in_the_file_is_refused_and_never_repeated(write: Write, text: str) -> None:
    said = "\n".join(mistakes(write(text)))
    assert "hunter2" not in said
    assert "password" in said or "mqqt" in said or "URL" in said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_to_the_example_goes_unworded(data: st.DataObject, tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = start + data.draw(st.integers(0, 12))
        text = text[:start] + data.draw(st.text('[]="#.\n\\ax1\0', max_size=4)) + text[stop:]
    path = tmp_path / "room.toml"
    path.write_text(text)
    findings = examine(path)
    assert (findings.config is None) == bool(findings.mistakes)
    for mistake in findings.mistakes:
        assert mistake.text and mistake.line is not None and 1 <= mistake.line <= text.count("\n") + 1
