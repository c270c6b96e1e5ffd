"""`esi-room display`: users, the static site, and the server as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from esi_room.cli import main
from esi_room.display.users import Users

ROOM = '[room]\nid = "esi-1"\ntimezone = "UTC"\ndata = "data"\n'
EMBEDDED = ROOM + '[mqtt]\nurl = "embedded"\n'
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("room.toml").write_text(EMBEDDED + '[display]\nusers_file = "display.users"\n')


def display(*arguments: str, said: str | None = None) -> Result:
    return CliRunner().invoke(main, ["display", *arguments], input=said)


def test_users_come_and_go() -> None:
    result = display("passwd", "--role", "console", "Erika Muster", said=f"{PASSWORD}\n")
    assert result.exit_code == 0 and result.output.endswith("display.users: Erika Muster is console\n")
    assert display("passwd", "--role", "display", "--certificate", "wall-1").exit_code == 0
    assert display("users").output == "console   password     Erika Muster\ndisplay   certificate  wall-1\n"
    assert [json.loads(line)["role"] for line in display("users", "--json").output.splitlines()] == [
        "console",
        "display",
    ]
    known = Users(Path("display.users"))
    assert known.verify("Erika Muster", PASSWORD) is not None
    assert display("passwd", "Erika Muster", said="another password\n").exit_code == 0
    assert known.verify("Erika Muster", PASSWORD) is None and known.get("Erika Muster") is not None
    assert display("passwd", "--remove", "wall-1").exit_code == 0
    assert known.get("wall-1") is None
    assert Path("display.users").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "said", "words"),
    [
        (("x",), PASSWORD, "x is new: --role says what for"),
        (("--role", "console", "x"), "short", "at least 10 characters"),
        (("--role", "console", "x:y"), PASSWORD, "a name is 1 to 64 of"),
        (("--role", "boss", "x"), PASSWORD, "'boss' is not one of"),
        (("--remove", "x"), PASSWORD, "there is no x"),
    ],
)
def test_what_makes_no_user(arguments: tuple[str, ...], said: str, words: str) -> None:
    result = display("passwd", *arguments, said=f"{said}\n")
    assert result.exit_code == 2 and words in result.output
    assert PASSWORD not in result.output and not Path("display.users").exists()


def test_without_a_file_of_users_it_is_said_where_to_name_it() -> None:
    Path("room.toml").write_text(EMBEDDED)
    result = display("users")
    assert result.exit_code == 2 and 'users_file = "display.users"' in result.output


def test_it_does_not_open_to_the_network() -> None:
    Path("room.toml").write_text(EMBEDDED)
    result = display("--listen", "0.0.0.0:8080")
    assert result.exit_code == 2 and "without TLS and users" in result.output
    result = display("--listen", "here")
    assert result.exit_code == 2 and "is no ADDRESS:PORT" in result.output


def test_users_that_are_not_there_yet() -> None:
    result = display()
    assert result.exit_code == 2 and "passwd --role console NAME" in result.output


# --- the static site --------------------------------------------------------------------------------------


def test_the_site_for_another_web_server() -> None:
    result = display("--write", "site", "--mqtt", "wss://broker.example:9001/mqtt")
    assert result.exit_code == 0, result.output
    config = json.loads(Path("site/config.json").read_text())
    assert (config["room"], config["mqtt"]) == ("esi-1", "wss://broker.example:9001/mqtt")
    for name in ("index.html", "console.html", "static/room.js", "static/vendor/mqtt.js", "schemas/command.note.json"):
        assert Path("site", name).is_file(), name
    for page in ("index.html", "console.html"):
        assert '="/' not in Path("site", page).read_text(), "names are relative: the site may lie in any folder"
    index = json.loads(Path("site/schemas/index.json").read_text())
    assert all(Path("site/schemas", f"command.{name}.json").is_file() for name in index["commands"])
    assert not Path("site/static/login.html").exists()


@pytest.mark.parametrize(
    ("mqtt", "said"),
    [
        ('url = "ws://b:9001/mqtt"', "ws://b:9001/mqtt"),
        ('url = "embedded"\nwebsocket_listen = "127.0.0.1:9001"', "ws://127.0.0.1:9001/mqtt"),
    ],
)
def test_where_the_broker_is_for_a_browser(mqtt: str, said: str) -> None:
    Path("room.toml").write_text(f"{ROOM}[mqtt]\n{mqtt}\n")
    assert display("--write", "site").exit_code == 0
    assert json.loads(Path("site/config.json").read_text())["mqtt"] == said


def test_a_broker_that_no_browser_reaches_is_asked_for() -> None:
    result = display("--write", "site")
    assert result.exit_code == 2 and "--mqtt wss://HOST:PORT/mqtt" in result.output
    result = display("--write", "site", "--mqtt", "mqtt://b")
    assert result.exit_code == 2 and "ws:// or wss://" in result.output
    assert not Path("site").exists()


# --- the process ------------------------------------------------------------------------------------------


def test_it_serves_before_daemon_and_broker_are_there_and_ends_in_order(free_port: Callable[[], int]) -> None:
    Path("room.toml").write_text(EMBEDDED)
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "esi_room.cli", "display", "--listen", f"127.0.0.1:{port}"],
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert (first["event"], first["url"]) == ("display_listens", f"http://127.0.0.1:{port}/")
        assert json.loads(process.stderr.readline())["event"] == "display_open"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config.json", timeout=10) as answer:
            assert json.load(answer)["room"] == "esi-1"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()
