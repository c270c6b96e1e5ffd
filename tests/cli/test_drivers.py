"""`esi-room drivers`."""

from __future__ import annotations

import json
import tomllib

import pytest
from click.testing import CliRunner

from esi_room.cli import main
from esi_room.cli.drivers import line_in_words
from esi_room.drivers import registry
from esi_room.line import LineSettings


def drivers(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["drivers", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_names_every_driver_and_its_line() -> None:
    table = drivers()
    for name in registry.DRIVERS:
        info = registry.load(name).INFO
        (row,) = [line for line in table.splitlines() if line.startswith(f"{name} ")]
        assert info.kind in row
        assert str(info.line.baud) in row


@pytest.mark.parametrize("name", registry.DRIVERS)
def test_a_page_says_every_byte_that_may_be_sent(name: str) -> None:
    page = drivers(name)
    words = " ".join(page.split())
    module = registry.load(name)
    for octets, why in module.INFO.sends.items():
        assert octets.hex(" ").upper() in words
        assert " ".join(why.split()) in words
    if not module.INFO.sends:
        assert "None: it only listens." in page
    assert module.INFO.document in page
    assert module.INFO.maker in page


@pytest.mark.parametrize("name", registry.DRIVERS)
def test_the_stanza_on_a_page_is_toml(name: str) -> None:
    page = drivers(name)
    stanza = page.split("In room.toml\n\n")[1].split("\n\n")[0]
    assert tomllib.loads(stanza)["device"][0]["driver"] == name


@pytest.mark.parametrize("name", registry.DRIVERS)
def test_json_holds_what_a_program_needs(name: str) -> None:
    said = json.loads(drivers(name, "--json"))
    info = registry.load(name).INFO
    assert {bytes.fromhex(one["hex"]) for one in said["sends"]} == set(info.sends)
    assert said["line"]["baud"] == info.line.baud
    assert len(said["wire"].splitlines()) > 5
    assert said in json.loads(drivers("--json"))


def test_an_unknown_driver_is_a_wrong_call() -> None:
    result = CliRunner().invoke(main, ["drivers", "ge_dir"])
    assert result.exit_code == 2
    assert "ge_dri" in result.output


def test_a_line_in_words() -> None:
    assert line_in_words(LineSettings(baud=19200, parity="even", rtscts=True)) == "19200 8E1 RTS/CTS"
    assert line_in_words(LineSettings(baud=9600, stop_bits=2, rts=False)) == "9600 8N2 RTS off"
