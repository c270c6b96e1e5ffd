"""The rules as data: what is in the file that comes with the software, and what is said of a file that is wrong."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import msgspec
import pytest

from esi_room.errors import ConfigurationError
from esi_room.procedure.rules import DEFAULT, RULES, load
from esi_room.procedure.rules.book import parse

CLINICAL = Path(__file__).parents[4] / "shared" / "clinical.md"  # beside the project, where it is worked on

R1 = '[R1]\ntext = "t"\nseverity = "high"\nsource = "s"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text.encode(), "rules.toml")
    return list(caught.value.problems)


def wrong(*lines: str, rule: str = "R10") -> str:
    """The one thing said of a rule with these lines."""
    (said,) = problems(
        "\n".join([f'version = "1"\n\n[{rule}]\ntext = "t"\nseverity = "low"\nsource = "s"', *lines, ""])
    )
    assert said.startswith("rules.toml:3: "), said
    return said.removeprefix("rules.toml:3: ")


def test_every_rule_is_in_the_file_and_on() -> None:
    book = load()
    assert list(book.rules) == [f"R{n}" for n in range(1, 19)] == list(RULES)
    assert (book.off, list(book.in_force)) == ((), list(RULES))
    assert book.sha256 == hashlib.sha256(DEFAULT.read_bytes()).hexdigest()
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", book.version)


def test_the_file_and_the_code_say_the_same_parameters() -> None:
    for rule, data in load().rules.items():
        assert data.parameters == RULES[rule].parameters, rule
        assert len(data.text) < 130 and data.source, rule


@pytest.mark.skipif(not CLINICAL.exists(), reason="the clinical table is not beside this clone")
def test_severities_are_those_of_the_clinical_table() -> None:
    """R4 `critical, with reason`, R8 `critical / low`, R16 `info to high`: the first word, but for R16."""
    rows = re.findall(r"^\| (R\d+) \|.*\| ([a-z]+)[^|]* \| [^|]* \|$", CLINICAL.read_text(), re.MULTILINE)
    assert len(rows) == 18
    stated = dict(rows) | {"R16": "medium"}
    assert {rule: data.severity for rule, data in load().rules.items()} == stated


def test_what_is_in_force_can_be_read_back_from_json() -> None:
    in_force = load().in_force
    assert msgspec.json.decode(msgspec.json.encode(in_force)) == in_force
    assert in_force["R11"] == {
        "severity": "high",
        "source": "lidocaine hydrochloride, prescribing information",
        "max_mg_per_kg": 4.5,
    }


def test_a_rule_that_is_switched_off_or_left_out_is_off() -> None:
    book = parse(f'version = "1"\n{R1}on = false\n{R1.replace("R1", "R2")}'.encode(), "rules.toml")
    assert list(book.in_force) == ["R2"]
    assert book.off == tuple(rule for rule in RULES if rule != "R2")
    assert set(book.rules) == {"R1", "R2"}


def test_the_order_of_the_file_does_not_matter_and_what_is_not_said_is_as_it_comes() -> None:
    text = 'version = "1"\n' + R1.replace("R1", "R10") + "nibp_max_age_s = 150\n" + R1.replace("R1", "R2")
    book = parse(text.encode(), "rules.toml")
    assert list(book.rules) == ["R2", "R10"]
    assert book.rules["R10"].parameters == {
        "nibp_max_age_s": 150,
        "heart_rate_max_age_s": 300.0,
        "spo2_max_age_s": 30.0,
        "etco2_max_age_s": 60.0,
    }


def test_every_mistake_is_named_with_its_line() -> None:
    text = '[R1]\ntext = ""\nseverity = "bad"\non = "yes"\nlimit = 1\n\n[R99]\n\n[R10]\ntext = "t"\nseverity = "low"\n'
    assert problems(text) == [
        "rules.toml:1: version is missing: a text in quotes",
        "rules.toml:1: R1: text is missing: a text in quotes",
        "rules.toml:1: R1: source is missing: a text in quotes",
        "rules.toml:1: R1: severity 'bad': allowed are info, low, medium, high, critical",
        "rules.toml:1: R1: on is true or false",
        "rules.toml:1: R1: limit is unknown: its parameters are none",
        f"rules.toml:7: there is no rule 'R99': allowed are {', '.join(RULES)}",
        "rules.toml:9: R10: source is missing: a text in quotes",
    ]


@pytest.mark.parametrize("value", ["-1", '"300"', "true", "[300]", "nan", "inf", "-inf", "{}"])
def test_a_limit_is_a_number_that_can_be_a_limit(value: str) -> None:
    assert wrong(f"nibp_max_age_s = {value}").endswith("is not like 300.0")


@pytest.mark.parametrize(
    ("rule", "line", "said"),
    [
        ("R7", "views = 2.5", "R7: views 2.5 is not like 2"),
        ("R6", "levels = []", "R6: levels [] is not like ['C6/7', 'C7/T1']"),
        ("R6", 'levels = ["C7-T1"]', "R6: levels 'C7-T1': allowed are C2/3, "),
        ("R8", 'reason_severity = "mild"', "R8: reason_severity 'mild': allowed are info, low, medium, high, critical"),
        ("R15", "fall_pct = 120", "R15: fall_pct 120 is more than 100"),
        ("R11", "max_mg = 300", "R11: max_mg is unknown: its parameters are max_mg_per_kg"),
    ],
)
def test_a_parameter_that_cannot_be(rule: str, line: str, said: str) -> None:
    assert wrong(line, rule=rule).startswith(said)


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"version = ", "rules.toml: "),
        (b"\xff\xfe", "rules.toml: "),
        (b'version = "1"\n[R1]\n[R1]\n', "rules.toml: "),
        (b'version = ""\n', "rules.toml:1: version is missing"),
        (b"version = 1\n", "rules.toml:1: version is missing"),
        (b'version = "1"\nR1 = 3\n', "rules.toml:1: R1 is no table: write [R1]"),
    ],
)
def test_what_is_no_file_of_rules(octets: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(octets, "rules.toml")
    assert caught.value.problems[0].startswith(said)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load(tmp_path / "rules.toml")


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(DEFAULT.read_text().replace("max_mg_per_kg = 4.5", "max_mg_per_kg = 7"))
    book = load(path)
    assert book.sha256 != load().sha256
    assert json.loads(msgspec.json.encode(book.in_force))["R11"]["max_mg_per_kg"] == 7
