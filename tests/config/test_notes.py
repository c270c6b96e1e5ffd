"""What is no mistake and yet worth a word."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from esi_room.config import examine

ROOM = '[room]\nid = "esi-1"\ntimezone = "Europe/Berlin"\ndata = "data"\n'
DEVICE = '[[device]]\nid = "spo2"\ndriver = "masimo_ascii1"\n'


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[str], list[str]]:
    def notes(text: str) -> list[str]:
        (tmp_path / "room.toml").write_text(ROOM + text)
        findings = examine(tmp_path / "room.toml")
        assert findings.mistakes == ()
        return [f"{note.line}: {note.text}" for note in findings.notes]

    return notes


PACS = '[[carm.destination]]\nid = "pacs"\nae_title = "P"\naddress = "a:104"\ncommitment = true\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[mqtt]\nurl = "embedded"\n', []),
        ('[mqtt]\nurl = "mqtt://localhost"\n', []),
        ('[mqtt]\nurl = "mqtts://broker"\n', []),
        ('[mqtt]\nurl = "mqtt://broker"\n', ["6: what goes to this broker travels unencrypted"]),
        (
            '[mqtt]\nurl = "embedded"\n[display]\nlisten = "0.0.0.0:80"\nusers_file = "u"\n'
            'cert_file = "room.toml"\nkey_file = "room.toml"\n',
            ["8: the pages open to the network", "9: ", "11: others may read"],
        ),
        (
            '[mqtt]\nurl = "embedded"\nlisten = "0.0.0.0:1883"\nusername = "u"\npassword_env = "ESI_ROOM_NONE"\n',
            ["7: the broker opens to the network", "9: ESI_ROOM_NONE is not in the environment"],
        ),
        (
            '[mqtt]\nurl = "embedded"\n[carm]\nae_title = "A"\nlisten = "0.0.0.0:104"\n',
            ["7: no [[carm.peer]]: every C-arm", "9: DICOM opens to the network"],
        ),
        (
            '[mqtt]\nurl = "embedded"\n[carm]\nae_title = "A"\n[[carm.peer]]\nae_title = "B"\naddress = "0.0.0.0/0"\n',
            ["11: every address: only the AE title"],
        ),
        (
            '[mqtt]\nurl = "embedded"\n[carm]\nae_title = "A"\nlearn = true\nworklist.folder = "none"\n' + PACS,
            [
                "7: no [[carm.peer]]",
                "9: for setting up: whoever connects is heard out",
                "10: ",
                "15: most archives answer on a connection of their own",
            ],
        ),
        (
            '[mqtt]\nurl = "embedded"\n[retention]\nkeep_days = 10\n',
            ["7: records are removed by it; what would go now: esi-room records "],
        ),
        (
            '[mqtt]\nurl = "embedded"\n[carm]\nae_title = "A"\npeer = [{ ae_title = "P", address = "10.1.2.3" }]\n'
            + PACS.replace("true", "false")
            + '[retention]\nkeep_days = 10\nonly_archived = ["pacs"]\n',
            ["15: records are removed by it", "17: pacs is not asked to commit to what it was sent"],
        ),
        (
            '[mqtt]\nurl = "embedded"\n[carm]\nae_title = "A"\npeer = [{ ae_title = "P", address = "10.1.2.3" }]\n'
            + PACS
            + "[retention]\nkeep_images_days = 10\n",
            ["15: no only_archived: images go whether", "15: records are removed by it"],
        ),
        (
            '[mqtt]\nurl = "embedded"\n[carm]\nae_title = "A"\npeer = [{ ae_title = "P", address = "10.1.2.3" }]\n'
            + PACS
            + '[retention]\nonly_archived = ["pacs"]\n',
            ["16: nothing is ever removed"],
        ),
    ],
)
def test_what_a_room_opens(notes: Callable[[str], list[str]], text: str, expected: list[str]) -> None:
    said = notes(text)
    assert len(said) == len(expected)
    assert all(one.startswith(start) for one, start in zip(said, expected, strict=True)), said


def test_a_password_that_others_may_read(notes: Callable[[str], list[str]], tmp_path: Path) -> None:
    text = '[mqtt]\nurl = "mqtts://b"\nusername = "u"\npassword_file = "pw"\n'
    (tmp_path / "pw").write_text("x")
    (tmp_path / "pw").chmod(0o644)
    assert [one for one in notes(text) if "chmod 600" in one]
    (tmp_path / "pw").chmod(0o600)
    assert notes(text) == []


@pytest.mark.parametrize(
    ("stanza", "expected"),
    [
        ('port = "/dev/serial/by-id/none"\n', "is not there now; the room waits for it"),
        ('port = "/dev/ttyUSB99"\n', "may be another adapter after a replug"),
        ('port = "socket://10.1.2.3:4001"\nline.baud = 19200\n', "do not reach a socket:// port"),
    ],
)
def test_ports(notes: Callable[[str], list[str]], stanza: str, expected: str) -> None:
    assert [one for one in notes('[mqtt]\nurl = "embedded"\n' + DEVICE + stanza) if expected in one]


def test_a_port_that_is_there_needs_no_note(notes: Callable[[str], list[str]], tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    text = '[mqtt]\nurl = "embedded"\n' + DEVICE + f'port = "{tmp_path}/port"\n'
    assert notes(text) == []


def test_a_port_that_this_user_may_not_open(
    notes: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "port").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may open everything
    assert "group dialout" in notes('[mqtt]\nurl = "embedded"\n' + DEVICE + f'port = "{tmp_path}/port"\n')[0]


def test_a_device_that_speaks_when_asked_and_is_not_asked(notes: Callable[[str], list[str]], tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    stanza = f'[[device]]\nid = "p"\ndriver = "new_era"\nport = "{tmp_path}/port"\nlisten_only = true\n'
    assert notes('[mqtt]\nurl = "embedded"\n' + stanza) == ["11: new_era speaks when asked, and this room will not ask"]
